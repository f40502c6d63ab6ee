"""Frames of HTX, made up from the documents and real ones."""

from __future__ import annotations

import base64
import gzip
import json
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import (
    Candle,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    PrintPrice,
    TakerSide,
    Trade,
)
from liqscape.feeds.venues.dialect import (
    MAX_MESSAGE_BYTES,
    Channel,
    Dialect,
    Listing,
    Reading,
    VenueListing,
    read_answer,
    read_message,
)
from liqscape.feeds.venues.htx import HTX_COIN, HTX_LINEAR
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all, replayed
from tests.unit.feeds.venues.checks import (
    assert_sound,
    assert_survives,
    assert_survives_real,
    facts_agreed,
    mutations,
    names_in,
    read_page,
    recorded_messages,
    series_named,
    tally,
)

BTC = "htx:BTC-USDT"

SIZE = Fraction(1, 1000)

NOW_MS = RECEIVE_NS // 1_000_000

ROW = {"amount": 12, "quantity": 0.012, "ts": NOW_MS - 5, "id": 10, "price": 65000.1, "direction": "buy"}


def traded(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"ch": "market.BTC-USDT.trade.detail", "ts": NOW_MS, "tick": {"id": 1, "ts": NOW_MS, "data": list(rows)}}


CONFIRMED_MS = NOW_MS - 10_000

CONFIRMED = {"id": "1", "subbed": "market.BTC-USDT.trade.detail", "ts": CONFIRMED_MS, "status": "ok"}
"""Without it the first push is of before the subscription."""


CLOSED = {
    "symbol": "BTC",
    "contract_code": "BTC-USDT",
    "direction": "sell",
    "offset": "close",
    "volume": 227,
    "price": 23350.55,
    "created_at": 1608226502284,
    "amount": 0.227,
    "trade_turnover": 5300.5635,
}
LIQUIDATED = {"op": "notify", "topic": "public.*.liquidation_orders", "ts": 1608226502344, "data": [CLOSED]}
FUNDED = {
    "op": "notify",
    "topic": "public.BTC-USDT.funding_rate",
    "ts": 1617309787271,
    "data": [{"contract_code": "BTC-USDT", "funding_rate": "0.000754108135233895", "funding_time": "1617309780000"}],
}
MARKED = {
    "ch": "market.BTC-USDT.mark_price.1min",
    "ts": 1795219200400,
    "tick": {"id": 1795219200, "open": "65000", "close": "65001.27", "high": "65002", "low": "65000", "vol": "0"},
}
DOCUMENTED = [
    traded(ROW),
    LIQUIDATED,
    FUNDED,
    MARKED,
    {"ping": 1645289389594},
    {"op": "ping", "ts": "1789676447110"},
    {"id": "1", "subbed": "market.BTC-USDT.trade.detail", "ts": 1, "status": "ok"},
    {"op": "sub", "cid": "1", "topic": "public.*.liquidation_orders", "ts": 1, "err-code": 0},
]


def linear() -> Dialect:
    return HTX_LINEAR.dialect([listing("htx", "BTC-USDT", unit=SIZE)])


def one(*said: object) -> Reading:
    return read_all(linear(), [gzip.compress(orjson.dumps(each)) for each in said])


def test_amount_of_a_trade_counts_both_sides() -> None:
    assert one(CONFIRMED, traded(ROW)).events == [
        Trade(BTC, (NOW_MS - 5) * 1_000_000, 650_001, 6 * 10**5, TakerSide.BUY),
    ]


def test_first_odd_amount_ends_the_belief_in_both_sides() -> None:
    read = one(CONFIRMED, traded(ROW, {**ROW, "amount": 7}, ROW))

    assert [event.quantity for event in read.events if isinstance(event, Trade)] == [6 * 10**5, 7 * 10**5, 12 * 10**5]


def test_first_push_of_a_topic_repeats_the_latest_trade_however_new() -> None:
    read = one(traded(ROW), CONFIRMED, traded({**ROW, "id": 11}))

    assert len(read.events) == 1
    assert read.ignored == {"replayed trade": 1}


def test_first_push_after_the_confirmation_is_told_from_a_new_trade_by_its_time() -> None:
    before, after = {**ROW, "ts": CONFIRMED_MS - 1}, {**ROW, "ts": CONFIRMED_MS}

    read = one(CONFIRMED, traded(before, after), traded(before))

    assert len(read.events) == 2
    assert read.ignored == {"replayed trade": 1}


def test_confirmations_of_others_are_not_kept() -> None:
    strange = [{**CONFIRMED, "subbed": topic} for topic in ("", "market", "market.ETH-USDT.trade.detail", 7, None)]

    read = one(*strange, traded(ROW))

    assert (read.acknowledged, read.events) == (["1"] * 5, [])


def test_liquidation_tells_the_direction_of_the_closing_order() -> None:
    read = one(LIQUIDATED, {**LIQUIDATED, "data": [{**CLOSED, "direction": "buy"}]})

    assert read.events == [
        Liquidation(BTC, 1608226502284_000_000, 233_505, 22_700_000, side, PrintPrice.BANKRUPTCY, complete=False)
        for side in (PositionSide.LONG, PositionSide.SHORT)
    ]


def test_mark_and_funding() -> None:
    assert one(MARKED, FUNDED).events == [
        MarkPrice(BTC, 1795219200400_000_000, 650_012),
        Funding(BTC, 1617309787271_000_000, 754_108, 8),
    ]


def test_pings_are_echoed_as_they_came() -> None:
    read = one({"ping": 1645289389594}, {"op": "ping", "ts": "1789676447110"}, {"ping": {"a": 1}})

    assert read.replies == ['{"pong":1645289389594}', '{"op":"pong","ts":"1789676447110"}']
    assert [each.reason for each in read.rejected] == ["ping of another shape"]


def test_every_topic_is_confirmed_by_an_id() -> None:
    many = HTX_COIN.dialect([listing("htx", f"X{number}-USD") for number in range(70)])

    topics = []
    for endpoint in many.endpoints:
        sent = [orjson.loads(text) for text in endpoint.subscribe]
        topics += [each.get("sub") or each["topic"] for each in sent]
        assert endpoint.acknowledgements == {each.get("id") or each["cid"] for each in sent}
    assert len(topics) == len(set(topics)) == 2 * 70 + 2
    assert one(*DOCUMENTED[-2:]).acknowledged == ["1", "1"]


def test_refusals_are_told_and_a_covered_subscription_is_none() -> None:
    covered = {"op": "sub", "cid": "2", "topic": "public.*.liquidation_orders", "err-code": 2014}

    read = one(covered, {**covered, "err-code": 2011}, {"status": "error", "err-code": "bad-request", "id": "3"})

    assert (read.acknowledged, len(read.refused)) == (["2"], 2)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x1f\x8bnonsense", "no gzip"),
        (gzip.compress(orjson.dumps(MARKED), mtime=0)[:-12], "cut gzip"),
        (gzip.compress(b"[" + b"0" * (MAX_MESSAGE_BYTES + 1), mtime=0), "too large"),
        (gzip.compress(b"{}", mtime=0), "unknown message"),
    ],
)
def test_frame_that_cannot_be_unpacked_is_rejected(frame: bytes, reason: str) -> None:
    assert [each.reason for each in read_all(linear(), [frame]).rejected] == [reason]


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [{**ROW, "direction": ""}, ROW, {**ROW, "price": -1}, {**ROW, "amount": 0}, {**ROW, "id": 11}]

    read = one(CONFIRMED, traded(*rows))

    assert len(read.events) == 2
    assert [each.reason for each in read.rejected] == [
        "no taker side",
        "price",
        "quantity",
    ]


def test_open_interest_is_of_one_side_in_both_answers() -> None:
    linear_dialect, into = linear(), Reading()
    coin = HTX_COIN.dialect([listing("htx", "BTC-USD", contract="inverse", contract_value=Fraction(100))])
    (poll,) = [each for each in coin.polls if Channel.OPEN_INTEREST in each.channels]
    v5 = {"code": 200, "data": {"amount": "32476.091", "volume": "32476091", "contract_code": "BTC-USDT"}, "ts": NOW_MS}
    v1 = {"status": "ok", "data": [{"volume": 518018.0, "amount": 2769.67, "contract_code": "BTC-USD"}], "ts": NOW_MS}

    read_answer(linear_dialect, linear_dialect.polls[1], orjson.dumps(v5), RECEIVE_NS, into)
    read_answer(coin, poll, orjson.dumps(v1), RECEIVE_NS, into)
    read_answer(coin, poll, b'{"status":"error","err-code":1030}', RECEIVE_NS, into)

    assert into.events == [
        OpenInterest(BTC, NOW_MS * 1_000_000, 32_476_091 * 10**5),
        OpenInterest("htx:BTC-USD", NOW_MS * 1_000_000, 518_018 * 10**8),
    ]
    assert len(into.refused) == 1


def test_page_of_candles_is_halved_and_final() -> None:
    assert HTX_LINEAR.history is not None
    past = HTX_LINEAR.history(listing("htx", "BTC-USDT", unit=SIZE))
    series = series_named(past, "candles 1m")
    row = {"id": 1795219200, "open": 65000.1, "close": 65001, "high": 65003, "low": 64999.9, "vol": 532}
    body = {"status": "ok", "ts": 1795219262000, "data": [row, {**row, "id": 1795219260}]}

    asked = past.request(series, 1795219200_000_000_000, 1795219320_000_000_000)
    read = read_page(past, series, body)

    assert asked.url == "https://api.hbdm.com/linear-swap-ex/market/history/kline"
    assert asked.query["from"] == "1795219200"
    assert asked.query["to"] == "1795219319"
    assert read.events == [
        Candle(BTC, 1795219200_000_000_000, 1795219260_000_000_000, 650_001, 650_030, 649_999, 650_010, 266 * 10**5)
    ]
    assert read.ignored == {"unfinished candle": 1}


@pytest.mark.recorded
def test_real_page_of_open_interest_leaves_out_what_was_not_asked_for() -> None:
    assert HTX_COIN.history is not None
    past = HTX_COIN.history(listing("htx", "CRV-USD", contract="inverse", contract_value=Fraction(10)))
    series = series_named(past, "open interest 1h")
    body = captured("htx", "open_interest.rest.jsonl").read_bytes().splitlines()[3]

    past.request(series, 1648224000_000_000_000, 1648227600_000_000_000)
    asked_for = read_page(past, series, body)
    another = HTX_COIN.history(listing("htx", "CRV-USD", contract="inverse", contract_value=Fraction(10)))
    another.request(series, 1648227600_000_000_000, 1648231200_000_000_000)
    later = read_page(another, series, body)

    assert asked_for.events == [OpenInterest("htx:CRV-USD", 1648224000_000_000_000, 19_174 * 10**8)]
    assert (later.events, later.ignored) == ([], {"outside the span asked for": 1})


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(linear, message)


@given(st.binary(max_size=60))
def test_no_frame_raises(tail: bytes) -> None:
    packed = gzip.compress(orjson.dumps(MARKED), mtime=0)

    assert_survives(linear, packed[: len(tail)] + tail + packed[2 * len(tail) :])


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(linear, "htx", data)


def _told_ns(message: bytes) -> int:
    return int(orjson.loads(message).get("ts", NOW_MS)) * 1_000_000


def _all_listings() -> list[Listing]:
    names = {name for _, each in recorded_messages("htx") for name in names_in(orjson.loads(each), ("contract_code",))}
    topics = {orjson.loads(each)["ch"].split(".")[1] for _, each in recorded_messages("htx") if b'"ch"' in each}
    return [_listed(name) for name in sorted(names | topics)]


def _listed(name: str) -> Listing:
    """Return a contract with 8 decimals, of 0.001 coins, right for Bitcoin: of it alone is open interest recorded."""
    if name.endswith("USDT"):
        return listing("htx", name, price_decimals=8, unit=SIZE)
    return listing("htx", name, price_decimals=8, contract="inverse", contract_value=Fraction(100))


@pytest.mark.recorded
def test_every_real_message_is_read_or_refused_with_a_reason() -> None:
    dialect, read = HTX_LINEAR.dialect(_all_listings()), Reading()

    for _, message in recorded_messages("htx"):
        read_message(dialect, message, _told_ns(message), read)

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {"no taker side": 1}
    assert read.ignored["replayed trade"] == 18  # the first pushes of topics, nobody having confirmed them
    assert events == {"Trade": 26, "OpenInterest": 2, "Funding": 4, "Liquidation": 5}
    assert read.ignored["trade again"] == 3  # stand in the file of trades and in the contiguous capture


@pytest.mark.recorded
def test_real_frames_are_unpacked() -> None:
    dialect, read = HTX_LINEAR.dialect(_all_listings()), Reading()

    for line in messages("htx", "wire_gzip_frames.jsonl"):
        frame = json.loads(line)
        read_message(dialect, base64.b64decode(frame["b64"]), frame["recv_ns"], read)

    assert not read.rejected
    assert read.acknowledged == ["1", "2", "3", "4", "5", "6"]
    assert read.ignored == {"depth": 1, "replayed trade": 5}
    assert read.events == []


@pytest.mark.recorded
def test_real_stretch_tells_trades_from_replays() -> None:
    dialect, read = HTX_LINEAR.dialect(_all_listings()), Reading()

    for receive_ns, message in replayed("htx", "replay_20220219T164943Z_swap_and_linear.jsonl"):
        read_message(dialect, message, receive_ns, read)

    assert not read.rejected
    assert len(read.replies) == 12
    assert len(read.events) == 13
    assert read.ignored == {"depth": 30, "replayed trade": 12}


@pytest.mark.recorded
def test_real_liquidations_agree_with_an_independent_reader() -> None:
    assert facts_agreed(HTX_LINEAR.dialect, "htx", "htx", "liquidations.jsonl", ("contract_code",)) == 4


@pytest.mark.recorded
def test_real_lists_of_contracts_are_read() -> None:
    bodies = captured("htx", "instruments.rest.jsonl").read_bytes().splitlines()
    dialect, into = linear(), Reading()

    read_answer(dialect, dialect.polls[0], bodies[1], RECEIVE_NS, into)

    assert into.rejected == []
    assert into.listings[0] == VenueListing("BTC-USDT", Fraction(1, 1000), Fraction(1, 10))


@pytest.mark.recorded
def test_real_answers_of_open_interest_are_read() -> None:
    bodies = captured("htx", "open_interest.rest.jsonl").read_bytes().splitlines()
    coin = HTX_COIN.dialect([_listed("BTC-USD")])
    swap = linear()
    told = [Reading(), Reading()]

    read_answer(coin, coin.polls[1], bodies[6], RECEIVE_NS, told[0])
    read_answer(swap, swap.polls[1], bodies[7], RECEIVE_NS, told[1])

    assert told[0].events == [OpenInterest("htx:BTC-USD", 1664337226028_000_000, 518_018 * 10**8)]
    assert told[1].events == [OpenInterest(BTC, 1781327941440_000_000, 32_476_092 * 10**5)]
