"""Swept rows: what a loop over all cells finds.

Seen to fail with the first column counted, with the upper row left out, and with rises counted as falls.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liqscape.insight.swept import PriceColumns, swept_rows

ROW_UNITS = 10
FIRST_ROW = -2


def by_hand(cells: NDArray[np.int64], prices: PriceColumns) -> list[tuple[int, int, int]]:
    found = []
    for index, low, high in zip(prices.index.tolist(), prices.low.tolist(), prices.high.tolist(), strict=True):
        for row in range(cells.shape[1]):
            bottom = (FIRST_ROW + row) * ROW_UNITS
            goes_through = low < bottom + ROW_UNITS and high >= bottom
            if index > 0 and goes_through and cells[index - 1, row] > cells[index, row]:
                found.append((index, row, int(cells[index - 1, row] - cells[index, row])))
    return found


@given(
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.integers(-35, 45), st.integers(0, 30)), min_size=1, max_size=6),
)
def test_every_row_the_price_went_through(rows: int, seed: int, moves: list[tuple[int, int]]) -> None:
    cells = np.random.default_rng(seed).integers(0, 4, (len(moves), rows))
    low = np.array([low for low, _ in moves], np.int64)
    prices = PriceColumns(np.arange(len(moves)), low, low + np.array([up for _, up in moves], np.int64))

    found = swept_rows(cells, prices, FIRST_ROW, ROW_UNITS)

    assert list(zip(found.column.tolist(), found.row.tolist(), found.weighted_lots.tolist(), strict=True)) == by_hand(
        cells, prices
    )
