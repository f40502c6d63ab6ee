"""Messages of Phemex, in the documented form and real ones."""

from __future__ import annotations

from fractions import Fraction

import orjson
import pytest
from hypothesis import given

from liqscape.events import Candle, Funding, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Dialect, Listing, Reading, VenueListing, read_answer
from liqscape.feeds.venues.phemex import PHEMEX, SUBSCRIPTIONS_PER_CONNECTION, PhemexHistory, unscaled
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing, messages, read_all
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC, INVERSE = "phemex:BTCUSDT", "phemex:BTCUSD"

AT = 1795219200123456789

TRADES = {
    "sequence": 79157171,
    "symbol": "BTCUSDT",
    "trades_p": [[AT, "Buy", "65000.1", "0.7"], [AT, "Sell", "65000", "0.001"]],
    "type": "incremental",
}

SCALED = {"sequence": 1, "symbol": "BTCUSD", "trades": [[AT, "Sell", 650005000, 6]], "type": "incremental"}

ROW = ["BTCUSDT", "1", "1", "1", "1", "1", "1", "1848.5", "65003", "65001.29", "0.0001", "0.00012"]

PACK = {"data": [ROW], "method": "perp_market24h_pack_p.update", "timestamp": AT, "type": "incremental"}

MARKET = {
    "market24h": {"symbol": "BTCUSD", "markPrice": 650012900, "openInterest": 10113855, "fundingRate": -39075},
    "timestamp": AT,
}


def linear(name: str = "BTCUSDT", decimals: int = 1) -> Listing:
    return listing("phemex", name, price_decimals=decimals)


def inverse(name: str = "BTCUSD", decimals: int = 1) -> Listing:
    return listing("phemex", name, contract="inverse", contract_value=Fraction(1), price_decimals=decimals)


def dialect() -> Dialect:
    return PHEMEX.dialect([linear(), inverse()])


def told(*said: object) -> Reading:
    return read_all(dialect(), [orjson.dumps(each) for each in said])


def test_trades_told_in_text_and_in_scaled_integers() -> None:
    assert told(TRADES, SCALED).events == [
        Trade(BTC, AT, 650_001, 70_000_000, TakerSide.BUY),
        Trade(BTC, AT, 650_000, 100_000, TakerSide.SELL),
        Trade(INVERSE, AT, 650_005, 6 * 10**8, TakerSide.SELL),
    ]


def test_markets_tell_mark_open_interest_and_funding() -> None:
    assert told(PACK, MARKET).events == [
        MarkPrice(BTC, AT, 650_012),
        OpenInterest(BTC, AT, 184_850_000_000),
        Funding(BTC, AT, 100_000, 8),
        MarkPrice(INVERSE, AT, 650_012),
        OpenInterest(INVERSE, AT, 10_113_855 * 10**8),
        Funding(INVERSE, AT, -390_750, 8),
    ]


def test_fields_named_by_a_message_hold_from_then_on() -> None:
    fields = ["markRp", "symbol", "fundingRateRr", "openInterestRv"]
    row = ["65001.2", "BTCUSDT", "0.0001", "2"]

    read = told({**PACK, "fields": fields, "data": [row]}, {**PACK, "data": [row, ["65001.2", "ETHUSDT", "0", "1"]]})

    assert [type(event) for event in read.events] == [MarkPrice, OpenInterest, Funding] * 2
    assert read.ignored == {"other instrument": 1}


def test_snapshots_books_and_others_are_counted_not_rejected() -> None:
    read = told(
        {**TRADES, "type": "snapshot"},
        {**TRADES, "symbol": "ETHUSDT"},
        {"book": {}, "symbol": "BTCUSD"},
        {"orderbook_p": {}, "symbol": "BTCUSDT"},
        {"method": "kline_p.update"},
        {**PACK, "data": [[*ROW[:7], "0", *ROW[8:]]]},
    )

    assert not read.rejected
    assert read.ignored == {
        "trade before the subscription": 2,
        "other instrument": 1,
        "order book": 2,
        "kline_p.update": 1,
        "open interest of 0": 1,
    }


def test_control_messages() -> None:
    read = told(
        {"error": None, "id": 1, "result": {"status": "success"}},
        {"error": None, "id": 0, "result": "pong"},
        {"error": {"code": 6001, "message": "invalid argument"}, "id": 2, "result": None},
    )

    assert (read.acknowledged, read.heartbeats) == (["1"], 1)
    assert "invalid argument" in read.refused[0]


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [[AT, "Buy", "65000.1", "0.7"], [AT, "Buy", "65000.1"], [AT, "Buy", "0", "1"], [AT, "Buy", "65000.1", "0.7"]]

    read = told({**TRADES, "trades_p": rows}, {**SCALED, "trades": [[AT, "Sell", "650005000", 6]]})

    assert len(read.events) == 2
    assert [each.reason for each in read.rejected] == ["malformed", "price", "scaled number"]


@pytest.mark.parametrize(
    ("value", "text"), [(650_012_900, "65001.2900"), (-39, "-0.0039"), (5, "0.0005"), (0, "0.0000")]
)
def test_scaled_number_and_its_text(value: int, text: str) -> None:
    assert unscaled(value, 4) == text


def test_connections_hold_no_more_subscriptions_than_the_venue_takes() -> None:
    made = PHEMEX.dialect([linear(f"X{number}USDT") for number in range(45)])

    asked = [orjson.loads(text) for each in made.endpoints for text in each.subscribe]

    assert [each["params"] for each in asked if each["params"]] == [[f"X{number}USDT"] for number in range(45)]
    assert [len(each.subscribe) for each in made.endpoints] == [SUBSCRIPTIONS_PER_CONNECTION, 20, 6]
    for each in made.endpoints:
        assert each.acknowledgements == {str(orjson.loads(text)["id"]) for text in each.subscribe}


def test_products_tell_tick_and_leverage() -> None:
    made, into = dialect(), Reading()
    linear_row = {"symbol": "BTCUSDT", "type": "PerpetualV2", "tickSize": "0.1", "maxLeverage": 100, "status": "Listed"}
    inverse_row = {"symbol": "BTCUSD", "type": "Perpetual", "tickSize": 0.5, "maxLeverage": 100, "status": "Delisted"}
    spot = {"symbol": "sBTCUSDT", "type": "Spot"}

    body = {"code": 0, "data": {"products": [inverse_row, spot, {}], "perpProductsV2": [linear_row]}}
    read_answer(made, made.polls[0], orjson.dumps(body), RECEIVE_NS, into)

    assert into.listings == [
        VenueListing("BTCUSD", None, Fraction(1, 2), 100, False),
        VenueListing("BTCUSDT", None, Fraction(1, 10), 100, True),
    ]
    assert into.ignored == {"no perpetual": 1}
    assert len(into.rejected) == 1


def test_history_of_linear_contracts() -> None:
    past = PhemexHistory(linear())
    candles, funding = past.series
    start = 1_592_467_200 * 10**9
    row = [1592467200, 60, "23376", "23322", "23381", "23315", "23367", "208.671", "4875906.3"]
    into = Reading()

    asked = past.request(candles, start, start + 60 * 10**9)
    late = [1592467260, *row[1:]]
    past.read_page(candles, orjson.dumps({"code": 0, "msg": "OK", "data": {"rows": [late, row]}}), into)
    past.request(funding, start + 28_800 * 10**9, start + 57_600 * 10**9)
    paid = {
        "symbol": ".BTCUSDTFR8H",
        "fundingRate": "0.0001",
        "fundingTime": "1592496000000",
        "intervalSeconds": "28800",
    }
    past.read_page(
        funding, orjson.dumps({"code": "0", "data": {"rows": [paid, {**paid, "intervalSeconds": "7"}]}}), into
    )

    assert asked.query["from"] == "1592467200"
    assert into.events == [
        Candle(BTC, start, start + 60 * 10**9, 233_220, 233_810, 233_150, 233_670, 20_867_100_000),
        Funding(BTC, start, 100_000, 8),
    ]
    assert into.ignored == {"outside the span asked for": 1}
    assert [each.reason for each in into.rejected] == ["interval"]
    assert not PhemexHistory(inverse()).series


@given(mutations([TRADES, SCALED, PACK, {**PACK, "fields": list("abc")}, MARKET]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, sent)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    made = PHEMEX.dialect(
        [linear("BTCUSDT", 8), linear("SOLUSDT", 8), linear("XRPUSDT", 8), inverse("BTCUSD", 4), inverse("LINKUSD", 4)]
    )

    read = read_all(made, messages("phemex", "mixed.jsonl"))

    assert not read.rejected
    assert read.ignored == {"order book": 4, "other instrument": 3, "open interest of 0": 2}
    assert read.events == [
        MarkPrice(INVERSE, 1585526459199354600, 58_958_348),
        OpenInterest(INVERSE, 1585526459199354600, 10_113_855 * 10**8),
        Funding(INVERSE, 1585526459199354600, -390_750, 8),
        Trade("phemex:LINKUSD", 1591268230652613400, 43_780, 6 * 10**8, TakerSide.SELL),
        Trade(BTC, 1669198793402790400, 1_654_560_000_000, 70_000_000, TakerSide.BUY),
        MarkPrice("phemex:SOLUSDT", 1669198855202180600, 1_303_154_351),
        Funding("phemex:SOLUSDT", 1669198855202180600, 100_000, 8),
        MarkPrice(BTC, 1669198855202180600, 1_655_473_942_506),
        Funding(BTC, 1669198855202180600, 100_000, 8),
        Trade("phemex:XRPUSDT", 1669198857616162000, 37_580_000, 24_465_000_000, TakerSide.BUY),
    ]
