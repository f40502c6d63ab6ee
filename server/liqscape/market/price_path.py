"""The trigger price by column of one timeframe: what is drawn over a heatmap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import Timeframe
from liqscape.market.bars import PriceRange

_UNKNOWN = np.iinfo(np.int64).min


class PricePath:
    """Candles of the newest columns, in a ring; a bar longer than a column is drawn in each column it covers."""

    def __init__(self, frame: Timeframe) -> None:
        self._frame = frame
        self._column = np.full(frame.columns, _UNKNOWN, np.int64)
        self._prices = np.zeros((4, frame.columns), np.int64)  # open, high, low, close
        self._changed: set[int] = set()

    def update(self, first_minute: int, minute: int, price: PriceRange) -> None:
        """Take the price of a bar that covers first_minute..minute."""
        newest = self._frame.column_of(minute)
        oldest = max(self._frame.column_of(first_minute), newest - self._frame.columns + 1)
        for column in range(oldest, newest + 1):
            slot = column % self._frame.columns
            if self._column[slot] == column:
                self._prices[1, slot] = max(self._prices[1, slot], price.high)
                self._prices[2, slot] = min(self._prices[2, slot], price.low)
                self._prices[3, slot] = price.close
            else:
                self._column[slot] = column
                self._prices[:, slot] = (price.open, price.high, price.low, price.close)
            self._changed.add(column)

    def take_changed(self, newest_column: int) -> NDArray[np.int64]:
        """Return int64[5, n] (column, open, high, low, close) of the columns changed since the last call, ascending."""
        oldest = newest_column - self._frame.columns
        columns = np.array(sorted(c for c in self._changed if c > oldest), np.int64)
        self._changed.clear()
        return self._rows(columns % self._frame.columns)

    def window(self, newest_column: int) -> NDArray[np.int64]:
        """Return int64[5, n] of every known column of the window, ascending."""
        slots = np.flatnonzero(self._column > newest_column - self._frame.columns)
        return self._rows(slots[np.argsort(self._column[slots])])

    def _rows(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate((self._column[None, slots], self._prices[:, slots]))
