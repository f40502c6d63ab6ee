"""Messages of dYdX v4, in the documented form and real ones."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import Candle, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Channel, Dialect, Listing, Reading, VenueListing, read_answer
from liqscape.feeds.venues.dydx import DYDX, MARKETS_PER_CONNECTION, DydxHistory
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all, replayed
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC = "dydx:BTC-USD"

ROW = {
    "id": "0165",
    "size": "0.35",
    "price": "64310",
    "side": "SELL",
    "type": "LIMIT",
    "createdAt": "2026-11-21T00:00:57.627Z",
    "createdAtHeight": "12345678",
}

AT = 1_795_219_257_627_000_000

TRADES = {"type": "channel_data", "id": "BTC-USD", "channel": "v4_trades", "contents": {"trades": [ROW]}}

TRADING = {
    "type": "channel_data",
    "channel": "v4_markets",
    "contents": {
        "trading": {"BTC-USD": {"openInterest": "381.7348", "nextFundingRate": "0.0000135166"}},
        "oraclePrices": {"BTC-USD": {"oraclePrice": "60387.51779", "effectiveAt": "2026-11-21T00:00:57.627Z"}},
    },
}


def market(name: str = "BTC-USD", decimals: int = 0) -> Listing:
    return listing("dydx", name, price_decimals=decimals)


def dialect() -> Dialect:
    return DYDX.dialect([market()])


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def test_liquidated_sell_is_a_trade_and_closed_a_long() -> None:
    rows = [ROW, {**ROW, "side": "BUY", "type": "LIQUIDATED"}, {**ROW, "id": "0166", "type": "LIQUIDATED"}]

    read = told({**TRADES, "contents": {"trades": rows}})

    assert read.events == [
        Trade(BTC, AT, 64_310, 35_000_000, TakerSide.SELL),
        Trade(BTC, AT, 64_310, 35_000_000, TakerSide.BUY),
        Liquidation(BTC, AT, 64_310, 35_000_000, PositionSide.SHORT),
        Trade(BTC, AT, 64_310, 35_000_000, TakerSide.SELL),
        Liquidation(BTC, AT, 64_310, 35_000_000, PositionSide.LONG),
    ]


def test_changes_of_markets_tell_open_interest_funding_and_the_oracle_price() -> None:
    assert told(TRADING).events == [
        OpenInterest(BTC, RECEIVE_NS, 38_173_480_000),
        Funding(BTC, RECEIVE_NS, 13_516, 1),
        MarkPrice(BTC, AT, 60_387),
    ]


def test_answer_to_a_subscription_repeats_trades_and_tells_the_state_of_markets() -> None:
    state = {"oraclePrice": "60387.5", "openInterest": "648.2389", "nextFundingRate": "0"}
    markets = {"BTC-USD": state, "ETH-USD": state}

    read = told(
        {**TRADES, "type": "subscribed"},
        {"type": "subscribed", "channel": "v4_markets", "contents": {"markets": markets}},
    )

    assert read.acknowledged == ["v4_trades:BTC-USD", "v4_markets:"]
    assert read.events == [
        MarkPrice(BTC, RECEIVE_NS, 60_387),
        OpenInterest(BTC, RECEIVE_NS, 64_823_890_000),
        Funding(BTC, RECEIVE_NS, 0, 1),
    ]
    assert read.ignored == {"trade before the subscription": 1, "other instrument": 1}


def test_batched_changes_are_read_one_by_one() -> None:
    contents = [{"trades": [ROW]}, {"x": 1}, {"trades": [{**ROW, "id": "0166"}]}]
    batch = {**TRADES, "type": "channel_batch_data", "contents": contents}

    read = told(batch)

    assert len(read.events) == 2
    assert [each.reason for each in read.rejected] == ["malformed"]


def test_what_is_not_wanted_is_counted() -> None:
    read = told(
        {"type": "connected", "connection_id": "x", "message_id": 0},
        {**TRADES, "id": "ETH-USD"},
        {**TRADES, "channel": "v3_trades"},
        {**TRADES, "contents": {"trades": [{**ROW, "type": "DELEVERAGED"}]}},
        {"type": "error", "message": "Invalid subscription id"},
    )

    assert not read.rejected
    assert read.ignored == {"connected": 1, "other instrument": 1, "v3_trades": 1, "trade of type DELEVERAGED": 1}
    assert read.refused == ["Invalid subscription id"]


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [ROW, {**ROW, "createdAt": "yesterday"}, {**ROW, "size": "0"}, {**ROW, "price": "64310.5"}]
    rows.append({**ROW, "id": "0166"})
    markets = {"BTC-USD": {"oraclePrice": "x", "openInterest": "1"}}

    read = told({**TRADES, "contents": {"trades": rows}}, {**TRADING, "contents": {"trading": markets}}, TRADING)

    assert [each.reason for each in read.rejected] == ["malformed", "quantity", "malformed", "malformed"]
    assert len(read.events) == 5


def test_connections_hold_no_more_markets_than_the_indexer_takes() -> None:
    names = [f"X{number}-USD" for number in range(70)]

    endpoints = DYDX.dialect([market(name) for name in names]).endpoints

    asked = [orjson.loads(text) for each in endpoints for text in each.subscribe]
    assert [each["id"] for each in asked if each["channel"] == "v4_trades"] == names
    assert sum(each["channel"] == "v4_markets" for each in asked) == 1
    for each in endpoints:
        assert sum(b'"id"' in text.encode() for text in each.subscribe) <= MARKETS_PER_CONNECTION
        assert len(each.acknowledgements) == len(each.subscribe)


def test_history_reads_newest_first_and_a_candle_tells_open_interest() -> None:
    past = DydxHistory(market())
    candles, interest, funding = past.series
    start = 1_795_277_460 * 10**9
    row = {
        "startedAt": "2026-11-21T16:11:00.000Z",
        "low": "64980",
        "high": "65020",
        "open": "65000",
        "close": "65010",
        "baseTokenVolume": "3.27",
        "startingOpenInterest": "381.7348",
    }
    body = orjson.dumps({"candles": [{**row, "startedAt": "2026-11-21T16:12:00.000Z"}, row]})
    into = Reading()

    asked = past.request(candles, start, start + 120 * 10**9)
    past.read_page(candles, body, into)
    past.read_page(interest, body, into)
    hour = 1_795_273_200 * 10**9
    asked_for_payments = past.request(funding, hour + 3600 * 10**9, hour + 7200 * 10**9)
    paid = {"rate": "0.000002375", "effectiveAt": "2026-11-21T16:00:00.219Z"}
    past.read_page(
        funding, orjson.dumps({"historicalFunding": [paid, {**paid, "effectiveAt": "2026-11-21T15:00:00.1Z"}]}), into
    )

    assert (asked.query["fromISO"], asked.query["toISO"]) == ("2026-11-21T16:11:00.000Z", "2026-11-21T16:12:59.999Z")
    assert asked_for_payments.query["effectiveBeforeOrAt"] == "2026-11-21T16:59:59.999Z"
    minute = 60 * 10**9
    assert into.events == [
        Candle(BTC, start, start + minute, 65_000, 65_020, 64_980, 65_010, 327_000_000),
        Candle(BTC, start + minute, start + 2 * minute, 65_000, 65_020, 64_980, 65_010, 327_000_000),
        OpenInterest(BTC, start, 38_173_480_000),
        OpenInterest(BTC, start + minute, 38_173_480_000),
        Funding(BTC, hour, 2_375, 1),
    ]
    assert into.ignored == {"outside the span asked for": 1}
    assert {each.channel for each in past.series} == {Channel.TRADES, Channel.OPEN_INTEREST, Channel.FUNDING}


@given(mutations([TRADES, TRADING, {**TRADES, "contents": {"trades": [{**ROW, "type": "LIQUIDATED"}]}}]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
@pytest.mark.parametrize("file", ["trades.jsonl", "ticker.jsonl", "book.jsonl", "control.jsonl"])
def test_every_real_message_is_read(file: str) -> None:
    made = DYDX.dialect([market("BTC-USD", 5), market("ETH-USD", 5)])

    read = read_all(made, messages("dydx", file))

    assert not read.rejected
    if file == "trades.jsonl":
        at, before = 1_724_371_199_851_000_000, 1_722_756_890_628_000_000
        assert read.events == [
            Trade(BTC, at, 6_039_700_000, 200_000, TakerSide.BUY),
            Trade(BTC, before, 2_287_000, 390_000_000, TakerSide.SELL),
            Liquidation(BTC, before, 2_287_000, 390_000_000, PositionSide.LONG),
        ]
        assert read.ignored == {"v3_trades": 25, "trade before the subscription": 1}
    elif file == "ticker.jsonl":
        assert read.events[:3] == [
            MarkPrice(BTC, RECEIVE_NS, 6_038_751_779),
            OpenInterest(BTC, RECEIVE_NS, 64_823_890_000),
            Funding(BTC, RECEIVE_NS, 13_516, 1),
        ]
        assert read.events[6:] == [MarkPrice("dydx:ETH-USD", 1_724_371_254_301_000_000, 262_335_210)]
    else:
        assert not read.events


@pytest.mark.recorded
def test_real_stretch_of_v3_is_none_of_ours() -> None:
    read = read_all(dialect(), (m for _, m in replayed("dydx", "replay_20211028T180350Z_v3_10markets.jsonl")))

    assert (read.events, read.rejected) == ([], [])
    assert set(read.ignored) == {"connected", "v3_trades", "v3_orderbook"}


@pytest.mark.recorded
def test_real_list_of_markets_and_payments() -> None:
    body = orjson.loads(captured("dydx", "instruments.rest.jsonl").read_bytes().splitlines()[2])["result"]
    paid = orjson.loads(captured("dydx", "ticker.rest.jsonl").read_bytes().splitlines()[1])["result"]
    made, into, past = dialect(), Reading(), DydxHistory(market())

    read_answer(made, made.polls[0], orjson.dumps(body), RECEIVE_NS, into)
    past.request(past.series[2], 1_765_206_000 * 10**9, 1_765_213_200 * 10**9)
    past.read_page(past.series[2], orjson.dumps(paid), into)

    assert VenueListing("BTC-USD", None, Fraction(1), 50, True) in into.listings
    assert into.events == [
        Funding(BTC, 1_765_202_400 * 10**9, 375, 1),
        Funding(BTC, 1_765_206_000 * 10**9, 2_375, 1),
    ]
