"""Messages of OKX, v5 and v3, made up from the documents and real ones."""

from __future__ import annotations

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
from liqscape.feeds.venues.dialect import Channel, Dialect, Reading, VenueListing, read_answer
from liqscape.feeds.venues.okx import OKX
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, read_all
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

BTC = "okx:BTC-USDT-SWAP"

SIZE = Fraction(1, 100)

OPTIONS = ("-C", "-P")
"""How their names end."""

DETAIL = {
    "posSide": "long",
    "side": "sell",
    "sz": "13",
    "bkPx": "64310.25",
    "bkLoss": "0",
    "ccy": "",
    "ts": "1795219204010",
}


def pushed(channel: str, **row: Any) -> dict[str, Any]:
    name = "BTC-USDT-SWAP"
    return {"arg": {"channel": channel, "instId": name}, "data": [{"instId": name, "instType": "SWAP", **row}]}


def orders(*details: dict[str, Any]) -> dict[str, Any]:
    row = {"instType": "SWAP", "instFamily": "BTC-USDT", "instId": "BTC-USDT-SWAP", "uly": "BTC-USDT"}
    return {
        "arg": {"channel": "liquidation-orders", "instType": "SWAP"},
        "data": [{**row, "details": list(details)}],
    }


TRADE = pushed("trades", tradeId="1", px="65000.1", sz="12.5", side="buy", ts="1795219200897", count="3")
INTEREST = pushed("open-interest", oi="2800476.45", oiCcy="28004.7645", oiUsd="1820309692.5", ts="1795219203000")
MARK = pushed("mark-price", markPx="65001.27", ts="1795219203000")
FUNDING = pushed(
    "funding-rate",
    fundingRate="0.0000734174532791",
    fundingTime="1795219200000",
    nextFundingTime="1795233600000",
    nextFundingRate="",
    ts="1795219204000",
)
ACKNOWLEDGED = {"event": "subscribe", "arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "connId": "a"}
V3 = [
    {
        "table": "swap/trade",
        "data": [
            {
                "side": "buy",
                "trade_id": "1",
                "price": "56480.1",
                "size": "3",
                "instrument_id": "BTC-USDT-SWAP",
                "timestamp": "2021-03-22T01:33:00.684Z",
            }
        ],
    },
    {
        "table": "swap/liquidation",
        "data": [
            {
                "loss": "0",
                "size": "30",
                "price": "22376.9",
                "created_at": "2020-12-18T00:31:08.794Z",
                "type": "3",
                "instrument_id": "BTC-USDT-SWAP",
            }
        ],
    },
]
DOCUMENTED = [TRADE, INTEREST, MARK, FUNDING, orders(DETAIL), ACKNOWLEDGED, *V3]


def swaps() -> Dialect:
    return OKX.dialect([listing("okx", "BTC-USDT-SWAP", unit=SIZE)])


def one(*said: object) -> Reading:
    return read_all(swaps(), [orjson.dumps(each) for each in said])


def test_trade_is_counted_in_coins() -> None:
    assert one(TRADE).events == [Trade(BTC, 1795219200897_000_000, 650_001, 12_500_000, TakerSide.BUY)]


def test_open_interest_mark_and_funding() -> None:
    assert one(INTEREST, MARK, FUNDING).events == [
        OpenInterest(BTC, 1795219203000_000_000, 280_047_645 * 10**4),
        MarkPrice(BTC, 1795219203000_000_000, 650_012),
        Funding(BTC, 1795219204000_000_000, 73_417, 4),
    ]


def test_open_interest_of_another_contract_size_is_refused() -> None:
    wrong = OKX.dialect([listing("okx", "BTC-USDT-SWAP", unit=Fraction(1, 10))])

    read = read_all(wrong, [orjson.dumps(INTEREST)])

    assert (read.events, [each.reason for each in read.rejected]) == ([], ["another contract size"])


def test_open_interest_of_an_inverse_swap_counts_contracts() -> None:
    inverse = OKX.dialect([listing("okx", "BTC-USD-SWAP", contract="inverse", contract_value=Fraction(100))])
    row = {"instId": "BTC-USD-SWAP", "oi": "4092973", "oiCcy": "13840.0488", "ts": "1654348683853"}

    read = read_all(inverse, [orjson.dumps({"arg": {"channel": "open-interest"}, "data": [row]})])

    assert read.events == [OpenInterest("okx:BTC-USD-SWAP", 1654348683853_000_000, 4_092_973 * 10**8)]


def test_every_detail_of_a_liquidation_is_told_once() -> None:
    net = {**DETAIL, "posSide": "net", "side": "buy", "ts": "1795219204011"}
    found = one(orders(DETAIL, net, DETAIL), orders(DETAIL))

    assert found.events == [
        Liquidation(
            BTC, 1795219204010_000_000, 643_102, 13_000_000, PositionSide.LONG, PrintPrice.BANKRUPTCY, complete=False
        ),
        Liquidation(
            BTC, 1795219204011_000_000, 643_102, 13_000_000, PositionSide.SHORT, PrintPrice.BANKRUPTCY, complete=False
        ),
    ]
    assert found.ignored == {"repeated liquidation": 2}


def test_first_push_after_the_subscription_is_a_replay() -> None:
    read = one(ACKNOWLEDGED, orders(DETAIL), orders({**DETAIL, "ts": "1795219209999"}))

    assert [event.time_ns for event in read.events if isinstance(event, Liquidation)] == [1795219209999_000_000]
    assert read.ignored == {"replayed liquidations": 1}


def test_bad_row_takes_no_good_one_with_it() -> None:
    good = TRADE["data"][0]
    rows = [{**good, "px": "-1"}, good, {**good, "sz": "0"}, {**good, "side": "?"}, {**good, "ts": ""}]
    rows.append({**good, "tradeId": "2"})
    read = one({"arg": TRADE["arg"], "data": rows}, orders({**DETAIL, "sz": "x"}, DETAIL))

    assert [type(event) for event in read.events] == [Trade, Trade, Liquidation]
    assert len(read.rejected) == 5


def test_every_channel_is_asked_once_and_confirmed() -> None:
    many = OKX.dialect([listing("okx", f"X{number}-USDT-SWAP") for number in range(200)])

    texts = [text for endpoint in many.endpoints for text in endpoint.subscribe]
    asked = [argument for text in texts for argument in orjson.loads(text)["args"]]
    acknowledged = read_all(
        many, (orjson.dumps({"event": "subscribe", "arg": argument}) for argument in asked)
    ).acknowledged
    assert len(asked) == 4 * 200 + 1
    assert max(len(text) for text in texts) < 64_000
    assert set(acknowledged) == {name for endpoint in many.endpoints for name in endpoint.acknowledgements}
    assert [Channel.LIQUIDATIONS in endpoint.channels for endpoint in many.endpoints] == [True, False, False]


def test_control_messages_are_told_apart() -> None:
    read = read_all(swaps(), [b"pong", b'{"event":"error","code":"60012","msg":"Invalid request"}'])

    assert (read.heartbeats, len(read.refused)) == (1, 1)
    assert read_all(swaps(), [b'{"event":"notice","code":"64008","msg":"soon"}']).ignored == {"notice": 1}


def test_listings_tell_contract_size_tick_and_leverage() -> None:
    row = {"instId": "A", "ctVal": "0.01", "ctMult": "10", "ctType": "linear", "tickSz": "0.1", "lever": "100"}
    inverse = {**row, "instId": "B", "ctType": "inverse", "lever": "", "state": "suspend"}
    dialect, into = swaps(), Reading()

    body = orjson.dumps({"code": "0", "data": [{**row, "state": "live"}, inverse]})
    read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)
    read_answer(dialect, dialect.polls[0], b'{"code":"50011","msg":"Too Many Requests","data":[]}', RECEIVE_NS, into)

    assert into.listings == [
        VenueListing("A", Fraction(1, 10), Fraction(1, 10), 100),
        VenueListing("B", Fraction(1), Fraction(1, 10), None, is_trading=False),
    ]
    assert into.refused == ["50011 Too Many Requests"]


def test_pages_of_the_past() -> None:
    assert OKX.history is not None
    past = OKX.history(listing("okx", "BTC-USDT-SWAP", unit=SIZE))
    candles = [
        ["1795219260000", "1", "1", "1", "1", "1", "1", "1", "0"],
        ["1795219200000", "65000.1", "65003", "64999.9", "65001", "250", "2.5", "162502", "1"],
    ]
    paid = [
        {"fundingRate": "0.018", "realizedRate": "0.017", "fundingTime": "1795233600000"},
        {"fundingRate": "0.01", "realizedRate": "0.01", "fundingTime": "1795204800000"},
    ]
    interest = [["1790550000000", "2800476.45", "28006.5419", "2360916466.88"]]

    told = [
        read_page(past, series_named(past, name), {"code": "0", "msg": "", "data": rows})
        for name, rows in (("candles 1m", candles), ("funding", paid), ("open interest 5m", interest))
    ]

    assert told[0].events == [
        Candle(BTC, 1795219200000_000_000, 1795219260000_000_000, 650_001, 650_030, 649_999, 650_010, 250_000_000)
    ]
    assert told[0].ignored == {"unfinished candle": 1}
    assert told[1].events == [
        Funding(BTC, 1795176000000_000_000, 10_000_000, 8),
        Funding(BTC, 1795204800000_000_000, 17_000_000, 8),
    ]
    assert told[2].events == [OpenInterest(BTC, 1790550000000_000_000, 280_065_419 * 10**4)]


def test_page_is_asked_by_what_it_is_newer_and_older_than() -> None:
    assert OKX.history is not None
    past = OKX.history(listing("okx", "BTC-USDT-SWAP"))

    asked = past.request(series_named(past, "candles 1m"), 1795219200_000_000_000, 1795219500_000_000_000)

    assert asked.query == {
        "instId": "BTC-USDT-SWAP",
        "bar": "1m",
        "before": "1795219199999",
        "after": "1795219500000",
        "limit": "300",
    }


def test_v3_is_read() -> None:
    assert one(*V3).events == [
        Trade(BTC, 1616376780684_000_000, 564_801, 3_000_000, TakerSide.BUY),
        Liquidation(
            BTC, 1608251468794_000_000, 223_769, 30_000_000, PositionSide.LONG, PrintPrice.UNKNOWN, complete=False
        ),
    ]


@pytest.mark.recorded
def test_real_list_of_swaps_is_read() -> None:
    body = captured("okx", "instruments.rest.jsonl").read_bytes().splitlines()[0]
    dialect, into = swaps(), Reading()

    read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)

    assert into.rejected == []
    listed = {each.name: each for each in into.listings}
    assert len(listed) == 166
    assert listed["BTC-USD-SWAP"] == VenueListing("BTC-USD-SWAP", Fraction(1), Fraction(1, 10), 125)
    assert listed["BTC-USDT-SWAP"] == VenueListing("BTC-USDT-SWAP", SIZE, Fraction(1, 10), 125)


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(swaps, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(swaps, "okx", data)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    real = recorded_messages("okx")
    names = {name for _, each in real for name in names_in(orjson.loads(each), ("instId", "instrument_id"))}
    dialect = OKX.dialect(
        [listing("okx", name, price_decimals=8) for name in sorted(names) if name[-2:] not in OPTIONS]
    )

    read = read_all(dialect, (message for _, message in real))

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {}
    assert events == {"Trade": 85, "OpenInterest": 5, "MarkPrice": 4, "Funding": 5, "Liquidation": 6}
    assert read.ignored["trade again"] == 12  # stand in the file of trades and in the contiguous capture


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("file", "facts"), [("liquidations.jsonl", 4), ("ticker.jsonl", 9), ("trades.jsonl", 4), ("open_interest.jsonl", 1)]
)
def test_real_messages_agree_with_an_independent_reader(file: str, facts: int) -> None:
    assert facts_agreed(OKX.dialect, "okx", "okx", file, ("instId", "instrument_id")) == facts


@pytest.mark.recorded
def test_real_answer_of_open_interest_history_is_read() -> None:
    assert OKX.history is not None
    past = OKX.history(listing("okx", "BTC-USDT-SWAP", unit=SIZE))
    body = captured("okx", "open_interest.rest.jsonl").read_bytes().splitlines()[6]

    assert read_page(past, series_named(past, "open interest 5m"), body).events == [
        OpenInterest(BTC, 1790550000000_000_000, 280_065_419 * 10**4)
    ]
