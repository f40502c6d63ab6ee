"""Messages of WOO X, of both its streams, in the documented form and real ones."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import Candle, Funding, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Dialect, Listing, Reading, VenueListing, read_answer
from liqscape.feeds.venues.woox import INSTRUMENTS_PER_MESSAGE, WOOX, WooxHistory
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing, messages, read_all
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC = "woox:PERP_BTC_USDT"

AT = 1795219200000_000_000

NOW = {"s": "PERP_BTC_USDT", "ts": 1795219200000}

TRADE = {**NOW, "px": "65000.1", "sx": "0.09", "sd": "BUY", "src": 0}


def perpetual(name: str = "PERP_BTC_USDT", decimals: int = 1) -> Listing:
    return listing("woox", name, price_decimals=decimals)


def dialect() -> Dialect:
    return WOOX.dialect([perpetual()])


def pushed(topic: str, data: object) -> dict[str, object]:
    return {"topic": topic, "ts": 1795219200002, "data": data}


TOLD = (
    pushed("trade@PERP_BTC_USDT", TRADE),
    pushed("markprice@PERP_BTC_USDT", {**NOW, "px": "65001.29"}),
    pushed("openinterest@PERP_BTC_USDT", {**NOW, "oi": "221.5"}),
    pushed("estfundingrate@PERP_BTC_USDT", {**NOW, "r": "0.00001181", "ft": 1795228800000}),
)


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def test_stream_of_now_tells_its_time_inside() -> None:
    assert told(*TOLD).events == [
        Trade(BTC, AT, 650_001, 9_000_000, TakerSide.BUY),
        MarkPrice(BTC, AT, 650_012),
        OpenInterest(BTC, AT, 22_150_000_000),
        Funding(BTC, AT, 11_810, 8),
    ]


def test_pings_are_answered_and_refusals_told() -> None:
    read = told(
        {"cmd": "PING", "ts": 1795219200000},
        {"event": "ping", "ts": 1795219200001},
        {"id": "1", "cmd": "SUBSCRIBE", "success": True},
        {"id": "1", "event": "subscribe", "success": False, "errorMsg": "Auth is needed."},
        {"id": "2", "event": "request", "success": True, "data": {}},
    )

    assert [orjson.loads(text) for text in read.replies] == [
        {"cmd": "PONG", "ts": 1795219200000},
        {"event": "pong", "ts": 1795219200001},
    ]
    assert (read.heartbeats, read.acknowledged, read.ignored) == (2, ["1"], {"request": 1})
    assert "Auth is needed" in read.refused[0]


def test_what_is_not_wanted_is_counted_and_what_is_hostile_rejected() -> None:
    read = told(
        pushed("trade@PERP_ETH_USDT", {**TRADE, "s": "PERP_ETH_USDT"}),
        pushed("bbo@PERP_BTC_USDT", NOW),
        pushed("orderbookupdate@PERP_BTC_USDT@50", NOW),
        pushed("trade@PERP_BTC_USDT", {**TRADE, "px": "0"}),
        pushed("trade@PERP_BTC_USDT", {**TRADE, "ts": "1795219200000"}),
        {"id": 1},
        TOLD[0],
    )

    assert len(read.events) == 1
    assert read.ignored == {"other instrument": 1, "bbo": 1, "orderbookupdate": 1}
    assert [each.reason for each in read.rejected] == ["price", "time", "unknown message"]


def test_subscriptions_name_every_topic_once() -> None:
    made = WOOX.dialect([perpetual(f"PERP_X{number}_USDT") for number in range(50)])

    asked = [orjson.loads(text)["params"] for text in made.endpoints[0].subscribe]

    named = [topic for each in asked for topic in each]
    assert len(named) == len(set(named)) == 200
    assert max(map(len, asked)) == 4 * INSTRUMENTS_PER_MESSAGE


def test_topics_of_an_instrument_are_asked_for_in_one_message_trades_first() -> None:
    made = WOOX.dialect([perpetual(f"PERP_X{number}_USDT") for number in range(50)])

    asked = [orjson.loads(text)["params"] for text in made.endpoints[0].subscribe]

    in_message = [{topic.partition("@")[2] for topic in each} for each in asked]
    assert sum(map(len, in_message)) == 50
    assert all(each[0].startswith("trade@") for each in asked)


def test_listings_tell_perpetuals() -> None:
    made, into = dialect(), Reading()
    row = {"symbol": "PERP_BTC_USDT", "status": "TRADING", "quoteTick": "0.1"}

    body = {"success": True, "data": {"rows": [row, {**row, "symbol": "SPOT_BTC_USDT"}, {"symbol": "PERP_X"}]}}
    read_answer(made, made.polls[0], orjson.dumps(body), RECEIVE_NS, into)

    assert into.listings == [VenueListing("PERP_BTC_USDT", price_tick=Fraction(1, 10))]
    assert (into.ignored, len(into.rejected)) == ({"no perpetual": 1}, 1)


def test_history_leaves_out_the_candle_of_now() -> None:
    past = WooxHistory(perpetual())
    candles, funding = past.series
    start, minute = 1_751_622_120 * 10**9, 60 * 10**9
    row = {"open": "108994.1", "close": "108994.2", "high": "108994.9", "low": "108994", "volume": "1.5"}
    rows = [{**row, "startTimestamp": 1751622180000}, {**row, "startTimestamp": 1751622120000}]
    into = Reading()

    asked = past.request(candles, start, start + 2 * minute)
    past.read_page(candles, orjson.dumps({"success": True, "data": {"rows": rows}, "timestamp": 1751622205410}), into)
    past.request(funding, 1_751_587_200 * 10**9, 1_751_616_000 * 10**9)
    paid = {"fundingRate": "-0.00004953", "fundingRateTimestamp": 1751616000000}
    past.read_page(funding, orjson.dumps({"success": True, "data": {"rows": [paid]}}), into)

    assert (asked.query["after"], asked.query["before"]) == ("1751622119999", "1751622240000")
    assert into.events == [
        Candle(BTC, start, start + minute, 1_089_941, 1_089_949, 1_089_940, 1_089_942, 150_000_000),
        Funding(BTC, 1_751_587_200 * 10**9, -49_530, 8),
    ]
    assert into.ignored == {"candle not closed": 1}


@given(mutations(TOLD))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    eth = "woox:PERP_ETH_USDT"

    read = read_all(WOOX.dialect([perpetual(decimals=2), perpetual("PERP_ETH_USDT")]), messages("woox", "mixed.jsonl"))

    assert not read.rejected
    assert read.events == [
        MarkPrice(BTC, 1674432000007_000_000, 2_271_111),
        Funding(BTC, 1674432059002_000_000, 7_820, 8),
        Trade(BTC, 1674432059820_000_000, 2_270_397, 9_000_000, TakerSide.SELL),
        OpenInterest(BTC, 1674432013624_000_000, 8_322_410_000),
        MarkPrice(eth, 1782770880000_000_000, 16_229),
        OpenInterest(eth, 1782770880570_000_000, 95_500 * 10**8),
        Funding(eth, 1782770939000_000_000, 11_810, 8),
        Trade(eth, 1782770940001_000_000, 16_228, 1_000_000, TakerSide.BUY),
    ]
    assert read.ignored == {
        "other instrument": 1,
        "request": 1,
        "orderbookupdate": 3,
        "bbo": 2,
        "indexprice": 2,
    }
