"""Messages of BingX, in the documented form; no real one is at hand."""

from __future__ import annotations

import gzip
import tracemalloc
from fractions import Fraction

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import Candle, Funding, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.bingx import BINGX_INVERSE, BINGX_LINEAR, BingxHistory, inflated
from liqscape.feeds.venues.dialect import (
    MAX_MESSAGE_BYTES,
    Channel,
    Dialect,
    Listing,
    Reading,
    Unreadable,
    VenueListing,
    read_answer,
)
from tests.unit.feeds.venues.captured import RECEIVE_NS, listing, read_all
from tests.unit.feeds.venues.hostile import check_hostile, mutations

BTC, INVERSE = "bingx:BTC-USDT", "bingx:BTC-USD"

AT = 1795219200344_000_000

ROW = {"q": "0.0421", "p": "65000.1", "T": 1795219200344, "m": False, "s": "BTC-USDT"}

TRADES = {"code": 0, "dataType": "BTC-USDT@trade", "data": [ROW, {**ROW, "m": True}]}

PREMIUM = {"symbol": "BTC-USDT", "markPrice": "65000.00", "indexPrice": "65003", "lastFundingRate": "0.0001"}

INTEREST = {"openInterest": "3289641547.10", "symbol": "BTC-USDT", "time": 1795219200344}


def linear() -> Listing:
    return listing("bingx", "BTC-USDT")


def inverse() -> Listing:
    return listing("bingx", "BTC-USD", contract="inverse", contract_value=Fraction(100))


def dialect() -> Dialect:
    return BINGX_LINEAR.dialect([linear()])


def answered(made: Dialect, channel: Channel, data: object, after_s: int = 0) -> Reading:
    into = Reading()
    poll = next(each for each in made.polls if channel in each.channels)
    read_answer(made, poll, orjson.dumps({"code": 0, "msg": "", "data": data}), RECEIVE_NS + after_s * 10**9, into)
    return into


def test_packed_frames_are_read_and_a_maker_who_bought_is_a_taker_sell() -> None:
    read = read_all(dialect(), [gzip.compress(orjson.dumps(TRADES)), orjson.dumps(TRADES)])

    bought = Trade(BTC, AT, 650_001, 4_210_000, TakerSide.BUY)
    sold = Trade(BTC, AT, 650_001, 4_210_000, TakerSide.SELL)
    assert read.events == [bought, sold, bought, sold]


def test_ping_is_answered_packed_or_not() -> None:
    read = read_all(dialect(), [gzip.compress(b"Ping"), b"Ping", b'{"ping":"5963","time":"2026"}'])

    assert read.replies == ["Pong", "Pong", '{"pong":"5963","time":"2026"}']
    assert read.heartbeats == 3


@pytest.mark.slow
def test_frame_that_unpacks_to_more_than_a_message_is_refused_before_it_does() -> None:
    bomb = gzip.compress(b"0" * (64 << 20), 1)
    tracemalloc.start()

    read = read_all(dialect(), [bomb, gzip.compress(b"Ping")[:-9], b"\x1f\x8bxx"])

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(bomb) < MAX_MESSAGE_BYTES
    assert peak < 4 * MAX_MESSAGE_BYTES
    assert [each.reason for each in read.rejected] == ["too large", "gzip", "gzip"]


@given(st.binary(max_size=200))
def test_any_frame_is_unpacked_or_refused(body: bytes) -> None:
    assert inflated(gzip.compress(body)) == body
    with pytest.raises(Unreadable):
        inflated(b"\x1f\x8b" + body)


def test_open_interest_is_a_worth_and_waits_for_a_mark_that_is_fresh() -> None:
    made = dialect()

    early = answered(made, Channel.OPEN_INTEREST, INTEREST)
    marked = answered(made, Channel.MARK, [PREMIUM])
    fresh = answered(made, Channel.OPEN_INTEREST, INTEREST, after_s=60)
    stale = answered(made, Channel.OPEN_INTEREST, INTEREST, after_s=61)

    assert early.ignored == stale.ignored == {"open interest without a mark": 1}
    assert marked.events == [MarkPrice(BTC, RECEIVE_NS, 650_000), Funding(BTC, RECEIVE_NS, 100_000, 8)]
    assert fresh.events == [OpenInterest(BTC, AT, 328_964_154_710 * 10**8 // 6_500_000)]


def test_open_interest_of_inverse_contracts_is_coins() -> None:
    made = BINGX_INVERSE.dialect([inverse()])

    answered(made, Channel.MARK, [{**PREMIUM, "symbol": "BTC-USD", "markPrice": "50000"}])
    read = answered(made, Channel.OPEN_INTEREST, [{"symbol": "BTC-USD", "openInterest": "749.1160"}])

    assert read.events == [OpenInterest(INVERSE, RECEIVE_NS, 374_558 * 10**8)]
    assert {each.url for each in made.endpoints} != {each.url for each in dialect().endpoints}


def test_inverse_trade_is_one_object_of_contracts() -> None:
    row = {"e": "trade", "E": 1, "s": "BTC-USD", "p": "55360.0", "q": "1", "T": 1795219200344, "m": False}

    read = read_all(
        BINGX_INVERSE.dialect([inverse()]), [orjson.dumps({"code": 0, "dataType": "BTC-USD@trade", "data": row})]
    )

    assert read.events == [Trade(INVERSE, AT, 553_600, 10**8, TakerSide.BUY)]


def test_stream_of_marks_serves_open_interest_too() -> None:
    made = dialect()
    said = {"code": 0, "dataType": "BTC-USDT@markPrice", "data": {"E": 1795219200344, "p": "65000", "s": "BTC-USDT"}}

    read = read_all(made, [orjson.dumps(said)])

    assert read.events == [MarkPrice(BTC, AT, 650_000)]
    assert len(answered(made, Channel.OPEN_INTEREST, INTEREST).events) == 1


def test_control_messages_and_what_is_not_wanted() -> None:
    made = dialect()

    read = read_all(
        made,
        [
            b'{"id":"BTC-USDT@trade","code":0,"msg":"","dataType":"","data":null}',
            b'{"id":"2","code":80015,"msg":"unknown dataType"}',
            orjson.dumps({**TRADES, "dataType": "ETH-USDT@trade"}),
            orjson.dumps({**TRADES, "dataType": "BTC-USDT@kline_1m"}),
            b"{}",
        ],
    )

    assert set(read.acknowledged) == made.endpoints[0].acknowledgements
    assert "80015" in read.refused[0]
    assert read.ignored == {"other instrument": 1, "kline_1m": 1}
    assert [each.reason for each in read.rejected] == ["unknown message"]


def test_bad_row_takes_no_good_one_with_it() -> None:
    rows = [ROW, {**ROW, "q": "0"}, {**ROW, "m": None}, {**ROW, "p": "65000.11"}, ROW]

    read = read_all(dialect(), [orjson.dumps({**TRADES, "data": rows})])

    assert len(read.events) == 2
    assert [each.reason for each in read.rejected] == ["quantity", "malformed", "malformed"]


def test_contracts_tell_tick_and_leverage() -> None:
    made, into = dialect(), Reading()
    row = {"symbol": "BTC-USDT", "pricePrecision": 1, "maxLongLeverage": "150", "status": "1"}

    body = {"code": 0, "data": [row, {**row, "pricePrecision": 99}]}
    read_answer(made, made.polls[0], orjson.dumps(body), RECEIVE_NS, into)

    assert into.listings == [VenueListing("BTC-USDT", None, Fraction(1, 10), 150, True)]
    assert [each.reason for each in into.rejected] == ["decimals"]


def test_history_of_linear_contracts() -> None:
    past = BingxHistory(linear())
    candles, mark, funding = past.series
    start = 1_666_583_700 * 10**9
    row = {"open": "19396.8", "close": "19394.4", "high": "19397.5", "low": "19385.7", "volume": "110.05"}
    into = Reading()

    past.request(candles, start, start + 60 * 10**9)
    rows = [{**row, "time": 1666583760000}, {**row, "time": 1666583700000}]
    past.read_page(candles, orjson.dumps({"code": 0, "data": rows}), into)
    past.request(mark, start, start + 60 * 10**9)
    past.read_page(mark, orjson.dumps({"code": 0, "data": [{**row, "openTime": 1666583700000}]}), into)
    eight = 28_800 * 10**9
    asked = past.request(funding, 1_585_684_800 * 10**9, 1_585_684_800 * 10**9 + eight)
    paid = {"symbol": "BTC-USDT", "fundingRate": "0.0001", "fundingTime": 1585684800000}
    past.read_page(funding, orjson.dumps({"code": 0, "data": [paid]}), into)

    assert asked.query["startTime"] == "1585684800000"
    prices = (193_968, 193_975, 193_857, 193_944)
    assert into.events == [
        Candle(BTC, start, start + 60 * 10**9, *prices, 11_005_000_000),
        Candle(BTC, start, start + 60 * 10**9, *prices, 0),
        Funding(BTC, 1_585_656_000 * 10**9, 100_000, 8),
    ]
    assert into.ignored == {"outside the span asked for": 1}
    assert not BingxHistory(inverse()).series


@given(mutations([TRADES, {"code": 0, "dataType": "BTC-USDT@markPrice", "data": {"E": 1795219200344, "p": "65000"}}]))
def test_hostile_messages_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    check_hostile(dialect, [*sent, *(gzip.compress(each, 1) for each in sent[:5])])


@given(mutations([{"code": 0, "data": PREMIUM}, {"code": 0, "data": [INTEREST]}]))
def test_hostile_answers_raise_nothing_and_make_no_absurd_event(sent: list[bytes]) -> None:
    made, into = dialect(), Reading()

    for body in sent:
        for poll in made.polls:
            read_answer(made, poll, body, RECEIVE_NS, into)

    assert all(isinstance(e, (MarkPrice, Funding, OpenInterest)) for e in into.events)
    assert all(e.quantity > 0 for e in into.events if isinstance(e, OpenInterest))
