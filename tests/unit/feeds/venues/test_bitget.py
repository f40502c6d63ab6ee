"""Messages of Bitget, v3 to those of 2021, made up from the documents and real ones."""

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
from liqscape.feeds.venues.bitget import BITGET
from liqscape.feeds.venues.dialect import Dialect, Reading, VenueListing, read_answer
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing, messages, read_all
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

BTC = "bitget:BTCUSDT"


def pushed(topic: str, *rows: Any, action: str = "update", **argument: str) -> dict[str, Any]:
    return {
        "action": action,
        "arg": {"instType": "usdt-futures", "topic": topic, "symbol": "BTCUSDT", **argument},
        "data": list(rows),
        "ts": 1795219200123,
    }


TRADED = {"i": "1", "p": "65000.1", "v": "0.01", "S": "sell", "T": "1795219200008", "L": "2", "isRPI": "no"}
TICKER = pushed(
    "ticker",
    {
        "lastPrice": "65000.1",
        "markPrice": "65001.27",
        "indexPrice": "65003",
        "openInterest": "31000.12",
        "fundingRate": "-0.0001",
        "nextFundingTime": "1795248000000",
    },
    action="snapshot",
)
CLOSED = {"symbol": "BTCUSDT", "side": "buy", "price": "64300.15", "amount": "25720.06", "ts": "1795219204162"}
LIQUIDATED = {
    "action": "update",
    "arg": {"instType": "usdt-futures", "topic": "liquidation"},
    "data": [CLOSED],
    "ts": 1795219204162,
}
V2 = [
    {
        "action": "update",
        "arg": {"instType": "USDT-FUTURES", "channel": "trade", "instId": "BTCUSDT"},
        "data": [{"ts": "1795219200008", "price": "65000.1", "size": "0.01", "side": "buy", "tradeId": "1"}],
        "ts": 1795219200123,
    },
    {
        "action": "snapshot",
        "arg": {"instType": "USDT-FUTURES", "channel": "ticker", "instId": "BTCUSDT"},
        "data": [{"markPrice": "65001.2", "holdingAmount": "57.7", "fundingRate": ""}],
        "ts": 1795219200123,
    },
]
V1 = [
    {
        "action": "update",
        "arg": {"instType": "mc", "channel": "trade", "instId": "BTCUSDT"},
        "data": [["1653882567817", "30322.5", "1.117", "buy"]],
    },
    {
        "action": "snapshot",
        "arg": {"instType": "mc", "channel": "ticker", "instId": "BTCUSDT"},
        "data": [
            {"systemTime": 1654160847314, "markPrice": "29906.42", "holding": "87338.493", "capitalRate": "0.0001"}
        ],
    },
    {
        "data": [
            {"instrument_id": "BTCUSDT", "price": "58784.0", "side": "sell", "size": "25", "timestamp": "1616236212569"}
        ],
        "table": "swap/trade",
    },
    {
        "data": [{"funding_rate": "0.000106539854", "funding_time": "1617346800000", "instrument_id": "BTCUSDT"}],
        "table": "swap/funding_rate",
    },
]
ACKNOWLEDGED = {"event": "subscribe", "arg": {"instType": "usdt-futures", "topic": "ticker", "symbol": "BTCUSDT"}}
DOCUMENTED = [pushed("publicTrade", TRADED), TICKER, LIQUIDATED, ACKNOWLEDGED, *V2, *V1]


def perpetuals() -> Dialect:
    return BITGET.dialect([listing("bitget", "BTCUSDT")])


def one(*said: object) -> Reading:
    return read_all(perpetuals(), [orjson.dumps(each) for each in said])


def test_trades_count_from_the_subscription_on() -> None:
    read = one(pushed("publicTrade", TRADED, action="snapshot"), pushed("publicTrade", TRADED))

    assert read.events == [Trade(BTC, 1795219200008_000_000, 650_001, 1_000_000, TakerSide.SELL)]
    assert read.ignored == {"replayed trades": 1}


def test_ticker_tells_mark_open_interest_and_funding() -> None:
    time_ns = 1795219200123_000_000

    assert one(TICKER).events == [
        MarkPrice(BTC, time_ns, 650_012),
        OpenInterest(BTC, time_ns, 3_100_012 * 10**6),
        Funding(BTC, time_ns, -100_000, 8),
    ]


def test_liquidation_tells_the_side_of_the_position_and_its_worth() -> None:
    read = one(LIQUIDATED, LIQUIDATED)

    assert read.events == [
        Liquidation(
            BTC, 1795219204162_000_000, 643_001, 40_000_000, PositionSide.LONG, PrintPrice.UNKNOWN, complete=False
        )
    ]
    assert read.ignored == {"repeated liquidation": 1}


@pytest.mark.recorded
def test_real_amounts_of_liquidations_are_in_quote() -> None:
    (message,) = messages("bitget", "liquidations.jsonl")
    dialect = BITGET.dialect([listing("bitget", name, price_decimals=4) for name in ("APEUSDT", "IPUSDT")])

    found = [event.quantity for event in read_all(dialect, [message]).events if isinstance(event, Liquidation)]

    assert found == [8_310_000_000, 28_650_000_000]


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [{**TRADED, "p": ""}, TRADED, {**TRADED, "v": None}, {**TRADED, "S": "Buy"}, {**TRADED, "i": "2"}]
    read = one(pushed("publicTrade", *rows), {**LIQUIDATED, "data": [{**CLOSED, "price": "0"}, CLOSED]})

    assert [type(event) for event in read.events] == [Trade, Trade, Liquidation]
    assert len(read.rejected) == 4


def test_other_markets_and_topics_are_counted_not_rejected() -> None:
    read = one(pushed("ticker", {}, instType="spot"), pushed("books5"), pushed("publicTrade", {}, symbol="XUSDT"))

    assert (read.events, read.rejected) == ([], [])
    assert read.ignored == {"other market": 1, "books5": 1, "other instrument": 1}


def test_every_topic_is_asked_once_and_confirmed() -> None:
    many = BITGET.dialect(
        [listing("bitget", f"X{number}USDT") for number in range(60)] + [listing("bitget", "BTCPERP")]
    )

    asked = [orjson.loads(text)["args"] for endpoint in many.endpoints for text in endpoint.subscribe]
    acknowledged = read_all(
        many, (orjson.dumps({"event": "subscribe", "arg": argument}) for part in asked for argument in part)
    ).acknowledged
    assert max(len(part) for part in asked) <= 5
    assert len(acknowledged) == len(set(acknowledged)) == 2 * 61 + 2
    assert set(acknowledged) == {name for endpoint in many.endpoints for name in endpoint.acknowledgements}
    assert max(len(endpoint.acknowledgements) for endpoint in many.endpoints) <= 50


def test_control_messages_are_told_apart() -> None:
    read = read_all(perpetuals(), [b"pong", b'{"event":"error","code":30001,"msg":"no channel"}'])

    assert (read.heartbeats, len(read.refused)) == (1, 1)


def test_listings_tell_tick_and_leverage() -> None:
    row = {"symbol": "BTCUSDT", "pricePlace": "1", "priceEndStep": "5", "maxLever": "150", "symbolStatus": "normal"}
    dialect, into = perpetuals(), Reading()

    body = orjson.dumps({"code": "00000", "data": [row, {}]})
    read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)
    read_answer(dialect, dialect.polls[0], b'{"code":"40034","msg":"no such product"}', RECEIVE_NS, into)

    assert into.listings == [VenueListing("BTCUSDT", Fraction(1), Fraction(1, 2), 150)]
    assert (len(into.rejected), into.refused) == (1, ["40034 no such product"])


def test_page_of_candles_is_asked_by_its_span_and_read() -> None:
    assert BITGET.history is not None
    past = BITGET.history(listing("bitget", "BTCUSDT"))
    series = series_named(past, "candles 1m")
    rows = [
        ["1795219200000", "65000.1", "65003", "64999.9", "65001", "2.5", "162502"],
        ["1795219260000", "65001", "65001", "65001", "65001", "0", "0"],
        ["1795219320000", "65001", "65001", "65001", "65001", "0", "0"],
        ["1795219320000"],
    ]

    asked = past.request(series, 1795219200_000_000_000, 1795219380_000_000_000)
    read = read_page(past, series, {"code": "00000", "requestTime": 1795219321000, "data": rows})

    assert (asked.query["startTime"], asked.query["endTime"]) == ("1795219200000", "1795219379999")
    assert read.events == [
        Candle(BTC, 1795219200000_000_000, 1795219260000_000_000, 650_001, 650_030, 649_999, 650_010, 250_000_000),
        Candle(BTC, 1795219260000_000_000, 1795219320000_000_000, 650_010, 650_010, 650_010, 650_010, 0),
    ]
    assert (read.ignored, len(read.rejected)) == ({"unfinished candle": 1}, 1)


def test_older_sockets_are_read() -> None:
    time_ns = 1795219200123_000_000
    old_ns = 1654160847314_000_000

    assert one(*V2, *V1).events == [
        Trade(BTC, 1795219200008_000_000, 650_001, 1_000_000, TakerSide.BUY),
        MarkPrice(BTC, time_ns, 650_012),
        OpenInterest(BTC, time_ns, 577 * 10**7),
        Trade(BTC, 1653882567817_000_000, 303_225, 111_700_000, TakerSide.BUY),
        MarkPrice(BTC, old_ns, 299_064),
        OpenInterest(BTC, old_ns, 87_338_493 * 10**5),
        Funding(BTC, old_ns, 100_000, 8),
        Trade(BTC, 1616236212569_000_000, 587_840, 25 * 10**8, TakerSide.SELL),
        Funding(BTC, 1617346800000_000_000, 106_539, 8),
    ]


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(perpetuals, message)


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(perpetuals, "bitget", data)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    real = recorded_messages("bitget")
    keys = ("instId", "symbol", "instrument_id")
    names = {name for _, each in real for name in names_in(orjson.loads(each), keys)}
    dialect = BITGET.dialect([listing("bitget", name, price_decimals=8) for name in sorted(names)])

    read = read_all(dialect, (message for _, message in real))

    events, rejected = tally(read)
    assert_sound(read)
    assert rejected == {}
    assert events == {"Trade": 44, "MarkPrice": 232, "OpenInterest": 232, "Funding": 232, "Liquidation": 2}


@pytest.mark.recorded
@pytest.mark.parametrize(("file", "facts"), [("ticker.jsonl", 5), ("trades.jsonl", 1)])
def test_real_messages_agree_with_an_independent_reader(file: str, facts: int) -> None:
    assert facts_agreed(BITGET.dialect, "bitget", "bitget", file, ("instId", "symbol")) == facts
