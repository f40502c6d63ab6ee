"""What Binance and Aster are asked about the past, and how their answers are read: documented forms and real bodies."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import orjson
import pytest

from liqscape.events import Candle, Funding, OpenInterest
from liqscape.feeds.backfill.rows import PageRows, PageUnreadable, read_page
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.venues.binance_history import (
    ASTER,
    CANDLES,
    COINM,
    FUNDING,
    HOUR_NS,
    MARKS,
    MINUTE_NS,
    MS,
    OPEN_INTEREST,
    USDM,
    BinanceHistory,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.registry import VENUES
from tests.unit.feeds.venues.captured import listing, messages

T = 1_795_219_200_000
ALL_TIME = Span(0, 4_000_000_000 * 10**9)
BTC = BinanceHistory(listing("binance", "BTCUSDT"), USDM)
INVERSE = BinanceHistory(listing("binance", "BTCUSD_PERP", contract="inverse", contract_value=Fraction(100)), COINM)
ROW = [
    T,
    "65000.10",
    "65100.00",
    "64900.00",
    "65050.50",
    "12.500",
    T + 59_999,
    "812500.0",
    42,
    "7.250",
    "471250.0",
    "0",
]


def read(history: BinanceHistory, series: PastSeries, said: Any) -> PageRows:
    return read_page(history, series, orjson.dumps(said), ALL_TIME)


def test_candle_has_its_volume_and_what_takers_bought_of_it() -> None:
    assert read(BTC, CANDLES, [ROW]).events == (
        Candle(
            "binance:BTCUSDT",
            T * MS,
            T * MS + MINUTE_NS,
            650_001,
            651_000,
            649_000,
            650_505,
            1_250_000_000,
            725_000_000,
        ),
    )


def test_mark_candle_has_no_volume_and_prices_between_ticks_are_floored() -> None:
    row = [T, "65000.12345678", "65000.19999999", "65000.10000001", "65000.15", "0", T + 59_999, "0", 60, "0", "0", "0"]

    (event,) = read(BTC, MARKS, [row]).events

    assert event == Candle("binance:BTCUSDT", T * MS, T * MS + MINUTE_NS, 650_001, 650_001, 650_001, 650_001, 0, None)


def test_volume_of_inverse_contracts_is_in_contracts() -> None:
    row = [*ROW[:5], "1300", T + 59_999, "2.0", 42, "700", "1.1", "0"]

    (event,) = read(INVERSE, CANDLES, [row]).events

    assert isinstance(event, Candle)
    assert (event.quantity, event.taker_buy_quantity) == (1_300 * 10**8, 700 * 10**8)


def test_open_interest_is_stamped_with_the_end_of_its_period() -> None:
    said = [
        {"symbol": "BTCUSDT", "sumOpenInterest": "75375.617", "sumOpenInterestValue": "3248828883.71", "timestamp": T}
    ]

    assert read(BTC, OPEN_INTEREST, said).events == (OpenInterest("binance:BTCUSDT", T * MS, 7_537_561_700_000),)


def test_funding_is_of_the_interval_that_ended_when_it_was_paid() -> None:
    said = [{"symbol": "BTCUSDT", "fundingRate": "-0.00012345", "fundingTime": T + 7, "markPrice": "65000.0"}]

    assert read(BTC, FUNDING, said).events == (Funding("binance:BTCUSDT", T * MS - 8 * HOUR_NS, -123_450, 8),)


@pytest.mark.parametrize(
    ("history", "series", "url", "whose"),
    [
        (BTC, CANDLES, "https://fapi.binance.com/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m"}),
        (BTC, MARKS, "https://fapi.binance.com/fapi/v1/markPriceKlines", {"symbol": "BTCUSDT", "interval": "1m"}),
        (BTC, FUNDING, "https://fapi.binance.com/fapi/v1/fundingRate", {"symbol": "BTCUSDT"}),
        (
            BTC,
            OPEN_INTEREST,
            "https://fapi.binance.com/futures/data/openInterestHist",
            {"symbol": "BTCUSDT", "period": "5m"},
        ),
        (
            INVERSE,
            OPEN_INTEREST,
            "https://dapi.binance.com/futures/data/openInterestHist",
            {"pair": "BTCUSD", "contractType": "PERPETUAL", "period": "5m"},
        ),
        (INVERSE, CANDLES, "https://dapi.binance.com/dapi/v1/klines", {"symbol": "BTCUSD_PERP", "interval": "1m"}),
    ],
)
def test_request_for_a_page(history: BinanceHistory, series: PastSeries, url: str, whose: dict[str, str]) -> None:
    asked = history.request(series, T * MS, T * MS + series.page * series.step_ns)

    last = T + series.page * series.step_ns // MS - 1
    assert asked.url == url
    assert asked.query == {**whose, "startTime": str(T), "endTime": str(last), "limit": str(series.page)}


def test_aster_keeps_no_open_interest() -> None:
    aster = BinanceHistory(listing("aster", "BTCUSDT"), ASTER)

    assert [series.name for series in aster.series] == ["candles 1m", "mark 1m", "funding"]
    assert aster.request(CANDLES, 0, MINUTE_NS).url == "https://fapi.asterdex.com/fapi/v3/klines"


def test_series_draw_on_budgets_that_exist() -> None:
    for history in (BTC, INVERSE):
        assert {series.budget for series in history.series} <= {budget.name for budget in history.budgets}
    assert all(VENUES[name].history is not None for name in ("binance-usdm", "binance-coinm", "aster"))


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (2, "64000.00", "crossed candle"),
        (3, "-1", "crossed candle"),
        (9, "13.000", "absurd quantity"),
        (5, "-12.5", "absurd quantity"),
        (1, "NaN", "malformed"),
        (0, "soon", "malformed"),
    ],
)
def test_absurd_row_is_rejected_and_takes_no_good_one_with_it(field: int, value: Any, reason: str) -> None:
    bad, good = list(ROW), [T + 60_000, *ROW[1:]]
    bad[field] = value

    rows = read(BTC, CANDLES, [bad, good])

    assert [rejection.reason for rejection in rows.rejected] == [reason]
    assert len(rows.events) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"code":-1121,"msg":"Invalid symbol."}', r"refused: -1121 Invalid symbol\."),
        (b"[[17952192", "cannot be read"),
        (b"<html>busy</html>", "cannot be read"),
        (b'"no"', "unknown answer"),
        (b'{"msg":"no code"}', "cannot be read"),
    ],
)
def test_answer_that_is_no_page_is_told_as_such(body: bytes, message: str) -> None:
    with pytest.raises(PageUnreadable, match=message):
        read_page(BTC, CANDLES, body, ALL_TIME)


@pytest.mark.recorded
def test_recorded_bodies_are_read() -> None:
    samples = [body for body in messages("binance_usdm", "open_interest.rest.jsonl") if body.startswith(b"[")]
    candles = [body for body in messages("binance_coinm", "klines.rest.jsonl") if body.startswith(b"[[")]

    found = [event for body in samples for event in read_page(BTC, OPEN_INTEREST, body, ALL_TIME).events]
    months = [read_page(INVERSE, MARKS, body, ALL_TIME) for body in candles]

    assert OpenInterest("binance:BTCUSDT", 1_602_989_400_000 * MS, 3_631_687_700_000) in found
    assert months
    assert all(rows.events and not rows.rejected for rows in months)
