"""Messages of Bybit, v5 and before, made up from the documents and real ones."""

from __future__ import annotations

from fractions import Fraction

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
from liqscape.feeds.venues.bybit import BYBIT_INVERSE, BYBIT_LINEAR, NAMES_PER_CONNECTION
from liqscape.feeds.venues.dialect import Dialect, Reading, VenueListing, read_answer
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

BTCUSDT = "bybit:BTCUSDT"

TICKER = {
    "topic": "tickers.BTCUSDT",
    "type": "snapshot",
    "data": {
        "symbol": "BTCUSDT",
        "markPrice": "65001.27",
        "openInterest": "104000.5",
        "singleOpenInterest": "52000.25",
        "fundingIntervalHour": "4",
        "nextFundingTime": "1795248000000",
        "fundingRate": "0.0001",
    },
    "cs": 953223,
    "ts": 1795219200630,
}
TRADE = {
    "T": 1795219200865,
    "s": "BTCUSDT",
    "S": "Buy",
    "v": "0.012",
    "p": "65000.10",
    "L": "PlusTick",
    "i": "9c1f",
    "BT": False,
    "RPI": False,
    "seq": 178328,
}
LIQUIDATED = {"T": 1795219204929, "s": "BTCUSDT", "S": "Buy", "v": "0.350", "p": "64310.25"}
DOCUMENTED = [
    {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1795219200868, "data": [TRADE]},
    TICKER,
    {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": 1795219205204, "data": [LIQUIDATED]},
    {"success": True, "ret_msg": "", "conn_id": "a", "req_id": "1", "op": "subscribe"},
    {
        "topic": "liquidation.BTCUSDT",
        "data": {"symbol": "BTCUSDT", "side": "Sell", "price": "45212.50", "qty": "0.009", "time": 1632123952732},
    },
    {
        "topic": "instrument_info.100ms.BTCUSDT",
        "type": "delta",
        "timestamp_e6": "1654161578478930",
        "data": {"update": [{"symbol": "BTCUSDT", "mark_price_e4": "299770300", "open_interest_e8": "2818586500000"}]},
    },
]


def linear() -> Dialect:
    return BYBIT_LINEAR.dialect([listing("bybit", "BTCUSDT")])


def one(*said: object) -> Reading:
    return read_all(linear(), [orjson.dumps(each) for each in said])


def test_trade_has_the_side_of_its_taker() -> None:
    assert one(DOCUMENTED[0]).events == [Trade(BTCUSDT, 1795219200865_000_000, 650_001, 1_200_000, TakerSide.BUY)]


def test_first_ticker_tells_mark_open_interest_of_one_side_and_funding() -> None:
    time_ns = 1795219200630_000_000

    assert one(TICKER).events == [
        MarkPrice(BTCUSDT, time_ns, 650_012),
        OpenInterest(BTCUSDT, time_ns, 52_000_25 * 10**6),
        Funding(BTCUSDT, time_ns, 100_000, 4),
    ]


def test_change_of_a_ticker_is_read_with_what_was_told_before() -> None:
    changed = {**TICKER, "type": "delta", "data": {"symbol": "BTCUSDT", "fundingRate": "-0.0002"}}
    both_sides = {**TICKER, "type": "delta", "data": {"symbol": "BTCUSDT", "openInterest": "104000.7"}}

    read = one(TICKER, changed, both_sides)

    assert read.events[3:] == [Funding(BTCUSDT, 1795219200630_000_000, -200_000, 4)]


def test_open_interest_of_both_sides_is_halved_while_one_side_is_never_told() -> None:
    old = {**TICKER, "data": {"symbol": "BTCUSDT", "openInterest": "52774.528"}}

    assert one(old).events == [OpenInterest(BTCUSDT, 1795219200630_000_000, 26_387_264 * 10**5)]


def test_liquidation_tells_the_side_of_the_position_and_the_bankruptcy_price() -> None:
    assert one(DOCUMENTED[2]).events == [
        Liquidation(
            BTCUSDT, 1795219204929_000_000, 643_102, 35_000_000, PositionSide.LONG, PrintPrice.BANKRUPTCY, complete=True
        )
    ]


def test_spot_market_under_the_same_topics_is_ignored() -> None:
    spot = {key: value for key, value in TRADE.items() if key != "L"}
    ticker = {"topic": "tickers.BTCUSDT", "ts": 1795219200630, "data": {"symbol": "BTCUSDT", "usdIndexPrice": "1"}}

    read = one({"topic": "publicTrade.BTCUSDT", "data": [spot, TRADE]}, ticker)

    assert len(read.events) == 1
    assert read.ignored == {"spot trade": 1, "spot ticker": 1}


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [TRADE, {**TRADE, "p": "0"}, {**TRADE, "S": "buy"}, {**TRADE, "v": "-1"}, {**TRADE, "T": 5}]
    rows.append({**TRADE, "i": "9c20"})

    read = one({"topic": "publicTrade.BTCUSDT", "data": rows})

    assert len(read.events) == 2
    assert [each.reason for each in read.rejected] == [
        "price",
        "malformed",
        "quantity",
        "time",
    ]


def test_every_topic_is_asked_once_and_confirmed_by_an_id() -> None:
    many = BYBIT_INVERSE.dialect([listing("bybit", f"X{number}USD") for number in range(400)])

    asked = [orjson.loads(text) for endpoint in many.endpoints for text in endpoint.subscribe]
    topics = [topic for each in asked for topic in each["args"]]
    assert len(topics) == len(set(topics)) == 1200
    for endpoint in many.endpoints:
        sent = [orjson.loads(text) for text in endpoint.subscribe]
        assert len(endpoint.about) <= NAMES_PER_CONNECTION
        assert sum(len(each["args"]) for each in sent) == 3 * len(endpoint.about)
        assert sum(len(topic) + 3 for each in sent for topic in each["args"]) < 21_000
        assert endpoint.acknowledgements == {each["req_id"] for each in sent}


def test_control_messages_are_told_apart() -> None:
    refused = {"success": False, "ret_msg": "error:handler not found", "req_id": "2", "op": "subscribe"}

    read = one(DOCUMENTED[3], refused, {"success": True, "ret_msg": "pong", "op": "ping"}, {"op": "pong"})

    assert read.acknowledged == ["1"]
    assert len(read.refused) == 1
    assert read.heartbeats == 2


def test_listings_tell_tick_and_leverage() -> None:
    row = {
        "symbol": "BTCUSDT",
        "status": "Trading",
        "leverageFilter": {"maxLeverage": "100.00"},
        "priceFilter": {"tickSize": "0.10"},
    }
    dialect, into = linear(), Reading()

    read_answer(
        dialect,
        dialect.polls[0],
        orjson.dumps({"retCode": 0, "result": {"list": [row, {}]}}),
        RECEIVE_NS,
        into,
    )

    assert into.listings == [VenueListing("BTCUSDT", Fraction(1), Fraction(1, 10), 100)]
    assert len(into.rejected) == 1


def test_page_of_candles_is_told_ascending_and_without_the_minute_of_now() -> None:
    assert BYBIT_LINEAR.history is not None
    past = BYBIT_LINEAR.history(listing("bybit", "BTCUSDT"))
    rows = [
        ["1795219260000", "65001", "65002", "65000", "65001", "1", "65001"],
        ["1795219200000", "65000.1", "65003", "64999.9", "65001", "2.5", "1"],
        ["1795219140000", "65000", "65000", "65000.5", "65000", "1", "1"],
    ]

    body = {"retCode": 0, "time": 1795219290000, "result": {"list": rows}}

    read = read_page(past, series_named(past, "candles 1m"), body)

    assert read.events == [
        Candle(BTCUSDT, 1795219200000_000_000, 1795219260000_000_000, 650_001, 650_030, 649_999, 650_010, 250_000_000)
    ]
    assert read.ignored == {"unfinished candle": 1}
    assert [each.reason for each in read.rejected] == ["candle"]


def test_pages_of_open_interest_and_funding() -> None:
    assert BYBIT_LINEAR.history is not None
    past = BYBIT_LINEAR.history(listing("bybit", "BTCUSDT"))
    interest = [
        {"openInterest": "20.5", "singleOpenInterest": "10.2", "timestamp": "1795219500000"},
        {"openInterest": "20", "timestamp": "1795219200000"},
    ]
    paid = [
        {"symbol": "BTCUSDT", "fundingRate": "0.0002", "fundingRateTimestamp": "1795233600000"},
        {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": "1795219200000"},
    ]

    told = read_page(past, series_named(past, "open interest 5m"), {"retCode": 0, "result": {"list": interest}})
    funding = read_page(past, series_named(past, "funding"), {"retCode": 0, "result": {"list": paid}})

    assert told.events == [
        OpenInterest(BTCUSDT, 1795219200_000_000_000, 10 * 10**8),
        OpenInterest(BTCUSDT, 1795219500_000_000_000, 102 * 10**7),
    ]
    assert funding.events == [
        Funding(BTCUSDT, 1795204800_000_000_000, 100_000, 4),
        Funding(BTCUSDT, 1795219200_000_000_000, 200_000, 4),
    ]


def test_page_is_asked_by_its_span() -> None:
    assert BYBIT_INVERSE.history is not None
    past = BYBIT_INVERSE.history(listing("bybit", "BTCUSD"))

    asked = past.request(series_named(past, "open interest 5m"), 1795219200_000_000_000, 1795219500_000_000_000)

    assert asked.url == "https://api.bybit.com/v5/market/open-interest"
    assert asked.query == {
        "category": "inverse",
        "symbol": "BTCUSD",
        "intervalTime": "5min",
        "startTime": "1795219200000",
        "endTime": "1795219499999",
        "limit": "200",
    }


def test_old_recordings_are_read() -> None:
    read = one(*DOCUMENTED[4:])

    assert read.events == [
        Liquidation(
            BTCUSDT, 1632123952732_000_000, 452_125, 900_000, PositionSide.SHORT, PrintPrice.BANKRUPTCY, complete=False
        ),
        MarkPrice(BTCUSDT, 1654161578478_000_000, 299_770),
        OpenInterest(BTCUSDT, 1654161578478_000_000, 1_409_293_250_000),
    ]


@pytest.mark.recorded
def test_real_lists_of_contracts_are_read() -> None:
    bodies = captured("bybit", "instruments.rest.jsonl").read_bytes().splitlines()
    dialect, into = linear(), Reading()

    for body in bodies:
        read_answer(dialect, dialect.polls[0], body, RECEIVE_NS, into)

    assert into.rejected == []
    assert len(into.listings) == 801
    assert VenueListing("BTCUSDT", Fraction(1), Fraction(1, 10), 100) in into.listings
    assert into.listings[-1] == VenueListing("BTCUSDT", Fraction(1), Fraction(1, 2), 100)


@pytest.mark.recorded
def test_real_page_of_open_interest_of_2022_is_halved() -> None:
    assert BYBIT_INVERSE.history is not None
    past = BYBIT_INVERSE.history(listing("bybit", "BTCUSD", contract="inverse", contract_value=Fraction(1)))
    body = captured("bybit", "open_interest.rest.jsonl").read_bytes().splitlines()[2]

    assert read_page(past, series_named(past, "open interest 5m"), body).events == [
        OpenInterest("bybit:BTCUSD", 1669571100000_000_000, 230_567_146 * 10**8),
        OpenInterest("bybit:BTCUSD", 1669571400000_000_000, 230_567_192 * 10**8),
    ]


@given(mutations(orjson.dumps(each) for each in DOCUMENTED))
def test_no_mutation_of_a_message_raises_or_is_believed(message: bytes) -> None:
    assert_survives(linear, message)


@pytest.mark.recorded
def test_every_real_message_is_read() -> None:
    real = recorded_messages("bybit")
    names = {name for _, each in real for name in names_in(orjson.loads(each), ("s", "symbol"))}
    dialect = BYBIT_LINEAR.dialect([listing("bybit", name, price_decimals=8) for name in sorted(names)])

    read = read_all(dialect, (message for _, message in real))

    events, rejected = tally(read)
    assert rejected == {}
    assert_sound(read)
    assert events == {"Trade": 86, "Liquidation": 11, "MarkPrice": 67, "OpenInterest": 17, "Funding": 11}
    assert read.ignored["trade again"] == 15  # stand in the file of trades and in the contiguous capture


@pytest.mark.recorded
@pytest.mark.parametrize(("file", "facts"), [("liquidations.jsonl", 7), ("ticker.jsonl", 11), ("trades.jsonl", 3)])
def test_real_messages_agree_with_an_independent_reader(file: str, facts: int) -> None:
    assert facts_agreed(BYBIT_LINEAR.dialect, "bybit", "bybit", file, sides=2) == facts


@pytest.mark.recorded
@given(st.data())
def test_no_mutation_of_a_real_message_raises_or_is_believed(data: st.DataObject) -> None:
    assert_survives_real(linear, "bybit", data)
