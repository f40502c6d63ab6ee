"""Legs of a candle: what must stay, and the path they follow."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.axes import MINUTE_NS
from liqscape.feeds.candle_path import PART, CandleLegs, cut, whole
from liqscape.feeds.recordings import RecordedCandles

Prices = tuple[int, int, int, int]
OPEN_MINUTE = 600


def candles(*rows: Prices, minutes: int = 60, quantity: int = 1000) -> RecordedCandles:
    """Return candles of open, high, low, close, one after the other."""
    open_ns = (OPEN_MINUTE + minutes * np.arange(len(rows))) * MINUTE_NS
    opened, high, low, close = np.array(rows, np.int64).T
    return RecordedCandles(open_ns, opened, high, low, close, np.full(len(rows), quantity, np.int64), snapped=0)


def legs(*rows: Prices, minutes: int = 60, quantity: int = 1000) -> CandleLegs:
    return cut(candles(*rows, minutes=minutes, quantity=quantity), minutes * MINUTE_NS)


def path(found: CandleLegs) -> list[tuple[int, int]]:
    return list(zip(found.open.tolist(), found.close.tolist(), strict=True))


def minutes_of(stamps: np.ndarray) -> list[int]:
    return [(stamp // MINUTE_NS) - OPEN_MINUTE for stamp in stamps.tolist()]


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ((10_000, 10_030, 9_980, 10_010), [(10_000, 9_980), (9_980, 10_005), (10_005, 10_030), (10_030, 10_010)]),
        ((10_010, 10_030, 9_990, 10_000), [(10_010, 10_030), (10_030, 9_990), (9_990, 10_000)]),
        ((9_980, 10_010, 9_980, 10_000), [(9_980, 10_010), (10_010, 10_000)]),
        ((9_980, 10_000, 9_980, 10_000), [(9_980, 10_000)]),
        ((10_000, 10_000, 10_000, 10_000), [(10_000, 10_000)]),
    ],
)
def test_a_rising_candle_visits_its_low_first_and_a_falling_one_its_high(
    price: Prices, expected: list[tuple[int, int]]
) -> None:
    assert path(legs(price)) == expected  # 1/250 of 10,000 is 40: the leg of 50 is cut in two


def test_legs_have_equal_whole_minutes_and_quantity_by_length() -> None:
    found = legs((10_000, 10_030, 9_990, 10_010))

    assert path(found) == [(10_000, 9_990), (9_990, 10_030), (10_030, 10_010)]
    assert minutes_of(found.open_ns) == [0, 20, 40]
    assert minutes_of(found.close_ns) == [20, 40, 60]
    assert found.quantity.tolist() == [142, 572, 286]  # 10, 40 and 20 of 70, by cumulative floors


def test_a_crash_has_at_most_one_leg_a_minute() -> None:
    found = legs((100_000, 100_900, 30_000, 40_000), minutes=15)

    assert path(found)[:2] == [(100_000, 100_900), (100_900, 94_454)]
    assert minutes_of(found.close_ns) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15]


def test_whole_candles_are_said_as_they_are() -> None:
    given_candles = candles((5, 9, 3, 6), (6, 8, 6, 7))

    found = whole(given_candles, 60 * MINUTE_NS)

    assert path(found) == [(5, 6), (6, 7)]
    assert (found.high.tolist(), found.low.tolist()) == ([9, 8], [3, 6])
    assert minutes_of(found.close_ns) == [60, 120]


@given(
    rows=st.lists(st.lists(st.integers(1, 2_000_000), min_size=4, max_size=4), min_size=1, max_size=3),
    minutes=st.integers(15, 240),
    quantity=st.integers(0, 10**17),
)
def test_time_path_range_and_quantity_stay_what_they_were(rows: list[list[int]], minutes: int, quantity: int) -> None:
    prices = [(b, d, a, c) for a, b, c, d in map(sorted, rows)]

    found = legs(*prices, minutes=minutes, quantity=quantity)

    of_candle = (found.open_ns // MINUTE_NS - OPEN_MINUTE) // minutes
    for number, (opened, high, low, close) in enumerate(prices):
        (mine,) = np.nonzero(of_candle == number)
        one = [getattr(found, name)[mine].tolist() for name in ("open_ns", "close_ns", "open", "high", "low", "close")]
        begins, ends, opens, highs, lows, closes = one
        assert begins[0] == (OPEN_MINUTE + number * minutes) * MINUTE_NS
        assert ends[-1] == (OPEN_MINUTE + (number + 1) * minutes) * MINUTE_NS
        assert begins[1:] == ends[:-1]
        assert all(end > begin for begin, end in zip(begins, ends, strict=True))
        assert (opens[0], closes[-1], max(highs), min(lows)) == (opened, close, high, low)
        assert all(after == before for before, after in zip(closes, opens[1:], strict=False))
        assert int(found.quantity[mine].sum()) == quantity
        assert int(found.quantity[mine].min()) >= 0


@given(opened=st.integers(1000, 10**6), rise=st.integers(0, 60), fall=st.integers(0, 60))
def test_no_leg_is_longer_than_a_part_of_the_price_while_the_minutes_suffice(opened: int, rise: int, fall: int) -> None:
    high, low = opened + opened * rise // 1000, opened - opened * fall // 1000

    found = legs((opened, high, low, opened), minutes=240)

    assert all(abs(end - begin) <= max(1, opened // PART) for begin, end in path(found))
    assert all(end == begin for (_, end), (begin, _) in pairwise(path(found)))
