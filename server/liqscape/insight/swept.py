"""Where the price went through a band and positions there ended: from a grid and its candles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MEANING: Final = (
    "what is gone of the estimate at the end of a column, in rows that the trigger price went through in it; a few of"
    " these positions may have been closed by their owners just before"
)


@dataclass(frozen=True, slots=True)
class PriceColumns:
    """Trigger prices of some columns of a window, in price units.

    Attributes:
        index: int64[n], ascending, 0 = the oldest column of the window.
        low, high: int64[n].
    """

    index: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SweptRows:
    """Cells in which something ended; in the order of columns, then rows.

    Attributes:
        column, row: int64[n], indices into the grid.
        weighted_lots: int64[n], above 0.
    """

    column: NDArray[np.int64]
    row: NDArray[np.int64]
    weighted_lots: NDArray[np.int64]


def swept_rows(cells: NDArray[np.int64], prices: PriceColumns, first_row: int, row_units: int) -> SweptRows:
    """Return what ended of each column in the rows its prices went through.

    Args:
        cells: int64[column, row], weighted lots open at the end of each column.
        prices: of the columns that have any; the first column of the window has none before it and counts for nothing.
        first_row: absolute number of row 0.
        row_units: height of a row, price units.
    """
    columns, rows = cells.shape
    chosen = prices.index > 0
    index = prices.index[chosen]
    bottom = np.clip(prices.low[chosen] // row_units - first_row, 0, rows)
    top = np.clip(prices.high[chosen] // row_units - first_row + 1, 0, rows)
    heights = np.maximum(top - bottom, 0)
    column = np.repeat(index, heights)
    before = np.repeat(np.cumsum(heights) - heights, heights)
    row = np.arange(len(column)) - before + np.repeat(bottom, heights)
    gone = cells[column - 1, row] - cells[column, row]
    ended = gone > 0
    assert columns > int(index.max(initial=0)), "prices of columns beyond the window"
    return SweptRows(column[ended], row[ended], gone[ended])
