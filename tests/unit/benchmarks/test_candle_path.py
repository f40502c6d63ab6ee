"""Legs of a candle: what must stay, and the path they follow."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.candle_path import legs, walked
from liqscape.axes import SymbolScale
from liqscape.market.bars import Bar, PriceRange, TradedRows

SCALE = SymbolScale("BTC", price_decimals=1, base_step=200, lot_decimals=5)


def candle(price: tuple[int, int, int, int], *, lots: int = 1000, minutes: int = 60, sample: int | None = 900) -> Bar:
    """Return a candle of open, high, low, close that starts at minute 600."""
    _, high, low, _ = price
    rows = TradedRows.evenly(lots, SCALE.base_row(low), SCALE.base_row(high))
    return Bar("binance:BTCUSDT", "BTC", 600, 600 + minutes - 1, PriceRange(*price), rows, sample, 5)


def path(bars: list[Bar]) -> list[tuple[int, int]]:
    return [(bar.trigger.open, bar.trigger.close) for bar in bars if bar.trigger is not None]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ((5000, 9000, 3000, 6000), [(5000, 3000), (3000, 9000), (9000, 6000)]),
        ((6000, 9000, 3000, 5000), [(6000, 9000), (9000, 3000), (3000, 5000)]),
        ((3000, 9000, 3000, 5000), [(3000, 9000), (9000, 5000)]),
    ],
)
def test_a_rising_candle_visits_its_low_first_and_a_falling_one_its_high(
    price: tuple[int, int, int, int], expected: list[tuple[int, int]]
) -> None:
    assert path(legs(candle(price), SCALE, None)) == expected


def test_open_interest_lies_on_the_line_between_the_samples() -> None:
    found = legs(candle((5000, 9000, 3000, 6000), sample=900), SCALE, 600)

    assert [bar.open_interest_lots for bar in found] == [700, 800, 900]
    assert [bar.minute for bar in found] == [619, 639, 659]


def test_without_an_earlier_sample_only_the_last_leg_has_one() -> None:
    found = legs(candle((5000, 9000, 3000, 6000)), SCALE, None)

    assert [bar.open_interest_lots for bar in found] == [None, None, 900]


@pytest.mark.parametrize(
    "bar",
    [
        candle((5000, 9000, 3000, 6000), minutes=1),
        candle((5000, 5000, 5000, 5000)),
        candle((5000, 9000, 5000, 9000)),
        Bar("binance:BTCUSDT", "BTC", 600, 659, None, None, 7, 5),
    ],
)
def test_what_has_no_legs_is_left_as_it_is(bar: Bar) -> None:
    assert legs(bar, SCALE, 3) == [bar]


@given(
    prices=st.lists(st.integers(2000, 20_000), min_size=4, max_size=4),
    lots=st.integers(0, 10**9),
    minutes=st.integers(3, 240),
    samples=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)),
)
def test_lots_minutes_range_and_sample_stay_what_they_were(
    prices: list[int], lots: int, minutes: int, samples: tuple[int, int]
) -> None:
    low, *between, high = sorted(prices)
    bar = candle((between[0], high, low, between[1]), lots=lots, minutes=minutes, sample=samples[1])

    found = legs(bar, SCALE, samples[0])

    assert sum(leg.traded.total for leg in found if leg.traded is not None) == lots
    assert found[0].first_minute == bar.first_minute
    assert found[-1].minute == bar.minute
    assert all(after.first_minute == before.minute + 1 for before, after in pairwise(found))
    assert min(leg.trigger.low for leg in found if leg.trigger is not None) == low
    assert max(leg.trigger.high for leg in found if leg.trigger is not None) == high
    assert found[-1].open_interest_lots == samples[1]


def test_the_line_starts_at_the_last_sample_before_the_candle() -> None:
    first = candle((5000, 5000, 5000, 5000), sample=600)
    second = candle((5000, 9000, 3000, 6000), sample=900)

    assert [bar.open_interest_lots for bar in walked([first, second], SCALE)] == [600, 700, 800, 900]
