"""Messages of MEXC, made up from the documents and real ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import Candle, Funding, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Dialect, Reading, VenueListing, read_answer
from liqscape.feeds.venues.mexc import MEXC
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing, messages, read_all
from tests.unit.feeds.venues.checks import (
    assert_sound,
    assert_survives,
    assert_survives_real,
    mutations,
    names_in,
    read_page,
    recorded_messages,
    tally,
)

BTC = "mexc:BTC_USDT"

SIZE = Fraction(1, 10_000)


def pushed(channel: str, data: Any) -> dict[str, Any]:
    return {"channel": f"push.{channel}", "symbol": "BTC_USDT", "ts": 1795219200500, "data": data}


DEAL = {"p": 65000.1, "v": 4, "T": 2, "O": 3, "M": 2, "t": 1795219200456, "i": "1"}
TICKER = {
    "symbol": "BTC_USDT",
    "lastPrice": 65000.1,
    "fairPrice": 65001.27,
    "indexPrice": 65003.1,
    "holdVol": 310000000,
    "fundingRate": -0.0001,
    "timestamp": 1795219200480,
}
DOCUMENTED = [
    pushed("deal", [DEAL, {**DEAL, "T": 1}]),
    pushed("ticker", TICKER),
    pushed("funding.rate", {"symbol": "BTC_USDT", "rate": -0.000021, "nextSettleTime": 1771084800000}),
    pushed("fair.price", {"price": 6867.5, "symbol": "BTC_USDT"}),
    {"channel": "push.tickers", "data": [TICKER], "ts": 1795219200500},
    {"channel": "rs.sub.deal", "data": "success", "ts": 1795219200500},
    {"channel": "pong", "data": 1795219200500},
]


def perpetuals() -> Dialect:
    return MEXC.dialect([listing("mexc", "BTC_USDT", unit=SIZE)])


def one(*said: object) -> Reading:
    return read_all(perpetuals(), [orjson.dumps(each) for each in said])


def test_deals_come_one_by_one_or_in_a_list() -> None:
    time_ns = 1795219200456_000_000

    assert one(DOCUMENTED[0], pushed("deal", {**DEAL, "i": "2"})).events == [
        Trade(BTC, time_ns, 650_001, 40_000, side) for side in (TakerSide.SELL, TakerSide.BUY, TakerSide.SELL)
    ]


def test_ticker_tells_mark_open_interest_and_funding() -> None:
    time_ns = 1795219200480_000_000

    assert one(DOCUMENTED[1]).events == [
        MarkPrice(BTC, time_ns, 650_012),
        OpenInterest(BTC, time_ns, 31_000 * 10**8),
        Funding(BTC, time_ns, -100_000, 8),
    ]


def test_channels_of_one_number_are_read() -> None:
    assert one(*DOCUMENTED[2:5]).events == [
        Funding(BTC, 1795219200500_000_000, -21_000, 8),
        MarkPrice(BTC, 1795219200500_000_000, 68_675),
        MarkPrice(BTC, 1795219200480_000_000, 650_012),
    ]


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [{**DEAL, "p": 0}, DEAL, {**DEAL, "T": 3}, {**DEAL, "v": 0.3}, {**DEAL, "t": "a"}, {**DEAL, "i": "2"}]

    read = one(pushed("deal", rows), pushed("depth", {}), {**pushed("deal", DEAL), "symbol": "X_USDT"})

    assert len(read.events) == 3
    assert len(read.rejected) == 3
    assert read.ignored == {"push.depth": 1, "other instrument": 1}


def test_every_contract_is_asked_for() -> None:
    many = MEXC.dialect([listing("mexc", f"X{number}_USDT") for number in range(70)])

    asked = [orjson.loads(text) for endpoint in many.endpoints for text in endpoint.subscribe]
    assert len({(each["method"], each["param"]["symbol"]) for each in asked}) == len(asked) == 140
    assert [len(endpoint.acknowledgements) for endpoint in many.endpoints] == [60, 60, 20]


def test_connection_is_subscribed_once_each_contract_is_confirmed() -> None:
    two = MEXC.dialect([listing("mexc", f"X{number}_USDT") for number in range(2)])
    confirmed = [orjson.dumps({"channel": f"rs.sub.{kind}", "data": "success"}) for kind in ("deal", "ticker", "deal")]

    first = read_all(two, confirmed)

    assert two.endpoints[0].acknowledgements - set(first.acknowledged) == {"sub.ticker 2"}
    assert read_all(two, confirmed[1:2]).acknowledged == ["sub.ticker 2"]


def test_control_messages_are_told_apart() -> None:
    refused = {"channel": "rs.error", "data": "not exists", "ts": 1}

    read = one(*DOCUMENTED[5:], refused, {"channel": "rs.sub.ticker", "data": "no such symbol"})

    assert (read.acknowledged, read.heartbeats, len(read.refused)) == (["sub.deal 1"], 1, 2)


def test_listings_tell_contract_size_tick_and_leverage() -> None:
    row = {
        "symbol": "BTC_USDT",
        "baseCoin": "BTC",
        "settleCoin": "USDT",
        "contractSize": 0.0001,
        "priceUnit": 0.5,
        "maxLeverage": 500,
        "state": 0,
    }
    dialect, into = perpetuals(), Reading()
    body = orjson.dumps(
        {"success": True, "code": 0, "data": [row, {}, {**row, "symbol": "BTC_USD", "settleCoin": "BTC", "state": 3}]}
    )

    read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)
    read_answer(dialect, dialect.polls[0], b'{"success":false,"code":510,"message":"too fast"}', RECEIVE_NS, into)

    assert into.listings == [
        VenueListing("BTC_USDT", SIZE, Fraction(1, 2), 500),
        VenueListing("BTC_USD", Fraction(1), Fraction(1, 2), 500, is_trading=False),
    ]
    assert (len(into.rejected), into.refused) == (1, ["510 too fast"])


def test_pages_of_columns_hold_the_span_asked_for() -> None:
    assert MEXC.history is not None
    past = MEXC.history(listing("mexc", "BTC_USDT", unit=SIZE))
    candles, marks = past.series
    data = {
        "time": [1795219200, 1795219260],
        "open": [65000.1, 1],
        "high": [65003, 1],
        "low": [64999.9, 1],
        "close": [65001, 1],
        "vol": [25000, 1],
    }
    body = {"success": True, "code": 0, "data": data}

    asked = past.request(marks, 1795219200_000_000_000, 1795219260_000_000_000)
    told = [read_page(past, series, body) for series in (candles, marks)]
    uneven = Reading()
    with pytest.raises(ValueError, match="zip"):
        past.read_page(candles, orjson.dumps({**body, "data": {**data, "vol": [1]}}), uneven)

    minute = (BTC, 1795219200_000_000_000, 1795219260_000_000_000, 650_001, 650_030, 649_999, 650_010)
    assert asked.url == "https://contract.mexc.com/api/v1/contract/kline/fair_price/BTC_USDT"
    assert asked.query == {"interval": "Min1", "start": "1795219200", "end": "1795219259"}
    assert [each.events for each in told] == [[Candle(*minute, 250_000_000)], [Candle(*minute, 0)]]
    assert told[0].ignored == {"outside the span asked for": 1}


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(perpetuals, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(perpetuals, "mexc", data)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    real = recorded_messages("mexc")
    names = {name for _, each in real for name in names_in(orjson.loads(each), ("symbol",))}
    dialect = MEXC.dialect([listing("mexc", name, price_decimals=8) for name in sorted(names)])

    read = read_all(dialect, (message for _, message in real))

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {}
    assert events == {"Trade": 5, "MarkPrice": 5, "OpenInterest": 3, "Funding": 4}


@pytest.mark.recorded
def test_real_deals_and_tickers_have_their_values() -> None:
    trades = read_all(perpetuals(), messages("mexc", "trades.jsonl")).events
    tickers = read_all(
        MEXC.dialect([listing("mexc", "BTC_USDT", unit=SIZE, price_decimals=2)]), messages("mexc", "ticker.jsonl")
    ).events

    assert trades == [
        Trade(BTC, 1616370338806_000_000, 576_020, 140_000, TakerSide.SELL),
        Trade(BTC, 1755487578276_000_000, 1_153_098, 550_000, TakerSide.SELL),
        Trade(BTC, 1755487578275_000_000, 1_153_098, 110_000, TakerSide.BUY),
    ]
    assert tickers[:3] == [
        MarkPrice(BTC, 1654165943014_000_000, 2_991_110),
        OpenInterest(BTC, 1654165943014_000_000, 12_357_864 * 10**4),
        Funding(BTC, 1654165943014_000_000, 72_000, 8),
    ]


@pytest.mark.recorded
def test_real_list_of_contracts_is_read() -> None:
    body = captured("mexc", "instruments.rest.jsonl").read_bytes().splitlines()[0]
    dialect, into = perpetuals(), Reading()

    read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)

    assert (into.listings, into.rejected) == ([VenueListing("BTC_USDT", SIZE, Fraction(1, 2), 125)], [])
