"""Humps of rows made by hand, with the bounds they must get.

Seen to fail when broken on purpose, one at a time: joined without the rule of the valley, without the rule of width,
without the rule that both peaks are dense; the edge taken from the lower peak; bounds left as wide as the smoothing.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from liqscape.insight.humps import Hump, HumpRules, find_humps, smooth

HALF = 500_000


def humps(
    lots: list[int], *, half_width: int = 1, valley_ppm: int = HALF, edge_ppm: int = HALF, max_rows: int = 100
) -> list[tuple[int, int, int]]:
    found = find_humps(np.array(lots, np.int64), HumpRules(half_width, valley_ppm, edge_ppm, max_rows))
    assert all(isinstance(hump, Hump) for hump in found)
    return [(hump.first, hump.last, hump.peak) for hump in found]


def test_rows_without_lots_have_no_hump() -> None:
    assert humps([0, 0, 0]) == []
    assert humps([]) == []


def test_hump_reaches_to_its_last_row_with_half_of_its_highest() -> None:
    assert humps([0, 49, 50, 80, 100, 60, 49, 0]) == [(2, 5, 4)]


def test_valley_below_half_of_the_lower_hump_keeps_both_apart() -> None:
    assert humps([100, 39, 80]) == [(0, 0, 0), (2, 2, 2)]


def test_valley_of_half_of_the_lower_hump_joins_them() -> None:
    assert humps([100, 40, 80]) == [(0, 2, 0)]


def test_lower_hump_below_half_of_the_higher_stands_for_itself_however_shallow_the_valley() -> None:
    assert humps([100, 45, 49, 30]) == [(0, 0, 0), (2, 3, 2)]


def test_humps_that_are_too_wide_together_are_split_at_their_deepest_valley() -> None:
    lots = [90, 80, 100, 60, 95, 70, 90]

    assert humps(lots, max_rows=7) == [(0, 6, 2)]
    assert humps(lots, max_rows=6) == [(0, 3, 2), (4, 6, 4)]


def test_one_hump_that_is_too_wide_is_cut_to_the_rows_around_its_peak_the_higher_neighbour_first() -> None:
    assert humps([60, 70, 80, 90, 100, 85, 75, 65], max_rows=4) == [(2, 5, 4)]
    assert humps([60, 70, 80, 90, 100], max_rows=3) == [(2, 4, 4)]
    assert humps([100, 90, 80, 70, 60], max_rows=1) == [(0, 0, 0)]


def test_smoothing_joins_what_falls_into_neighbouring_rows() -> None:
    lots = [0, 100, 0, 90, 0, 0, 0, 70, 0]

    assert humps(lots) == [(1, 1, 1), (3, 3, 3), (7, 7, 7)]
    assert humps(lots, half_width=2) == [(1, 3, 1), (7, 7, 7)]


def test_flat_top_has_its_peak_where_most_lots_lie() -> None:
    assert humps([10, 50, 50, 10]) == [(1, 2, 1)]
    # smoothed: 20, 20, 20 at rows 1 to 3
    assert humps([0, 10, 0, 10, 0], half_width=2) == [(1, 3, 1)]
    # smoothed: 8, 11, 11, 11
    assert humps([2, 4, 1, 5], half_width=2) == [(0, 3, 3)]


@pytest.mark.parametrize("half_width", [1, 2, 3, 7])
def test_smoothing_is_the_sum_over_a_triangle_and_exact(half_width: int) -> None:
    lots = np.random.default_rng(half_width).integers(0, 1 << 50, 40)

    smoothed = smooth(lots, half_width)

    for row in range(40):
        near = range(max(0, row - half_width), min(40, row + half_width + 1))
        assert smoothed[row] == sum(int(lots[at]) * max(0, half_width - abs(at - row)) for at in near)


def test_humps_of_a_long_random_row_hold_all_rules() -> None:
    random = np.random.default_rng(5)
    lots = random.integers(0, 1000, 3000) * random.integers(0, 2, 3000)
    rules = HumpRules(3, 700_000, 400_000, 25)

    found = find_humps(lots, rules)

    smoothed = smooth(lots, 3)
    assert len(found) > 100
    for hump in found:
        assert hump.first <= hump.peak <= hump.last
        assert hump.last - hump.first < 25
        assert lots[hump.first] > 0
        assert lots[hump.last] > 0
        assert lots[hump.peak] > 0
        assert smoothed[hump.peak] == smoothed[hump.first : hump.last + 1].max()
    for left, right in itertools.pairwise(found):
        assert left.last < right.first
