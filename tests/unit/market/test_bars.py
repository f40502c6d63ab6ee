"""Traded lots by row: spread, gathered, added up."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.market.bars import TradedRows


@pytest.mark.parametrize(
    ("lots", "low", "high"), [(224_118_200, 4450, 4468), (0, 3, 9), (1, 0, 4), (7, 5, 5), (2**53, 0, 9)]
)
def test_even_spread_adds_up_and_differs_by_at_most_one_lot(lots: int, low: int, high: int) -> None:
    rows = TradedRows.evenly(lots, low, high)

    assert rows.first_row == low
    assert len(rows.lots) == high - low + 1
    assert rows.total == lots
    assert rows.lots.max() - rows.lots.min() <= 1


def test_even_spread_is_by_cumulative_floors() -> None:
    rows = TradedRows.evenly(5, 10, 12)

    assert rows.lots.tolist() == [1, 2, 2]


def test_lots_by_row_become_an_array_with_zeros_between() -> None:
    rows = TradedRows.from_mapping({12: 5, 9: 1, 10: 0})

    assert rows.first_row == 9
    assert rows.lots.tolist() == [1, 0, 0, 5]
    assert rows.lots.dtype == np.int64


def test_sum_covers_the_rows_of_both_and_changes_neither() -> None:
    one = TradedRows(10, np.array([1, 2], np.int64))
    other = TradedRows(13, np.array([5], np.int64))
    overlapping = TradedRows(9, np.array([7, 7], np.int64))

    apart = one.plus(other)
    together = one.plus(overlapping)

    assert (apart.first_row, apart.lots.tolist()) == (10, [1, 2, 0, 5])
    assert (together.first_row, together.lots.tolist()) == (9, [7, 8, 2])
    assert one.lots.tolist() == [1, 2]
    assert other.plus(one).lots.tolist() == apart.lots.tolist()
