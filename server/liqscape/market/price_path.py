"""The trigger price by column of one timeframe: what is drawn over a heatmap."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import Timeframe
from liqscape.market.bars import PriceRange

_UNKNOWN = -(1 << 62)


@dataclass(frozen=True, slots=True)
class PricePathSnapshot:
    """A PricePath.

    Attributes:
        rows: int64[5, n]: column, open, high, low, close.
        changed: columns not told yet.
    """

    rows: NDArray[np.int64]
    changed: tuple[int, ...]


class PricePath:
    """Candles of the newest columns, in a ring; a bar longer than a column is drawn in each column it covers.

    Plain lists: a bar touches one slot or a few, and NumPy would spend its time on scalars.
    """

    def __init__(self, frame: Timeframe) -> None:
        self._frame = frame
        # One slot more than columns: while a roll waits, the column to come is known beside the whole old window.
        self._slots = frame.columns + 1
        self._column = [_UNKNOWN] * self._slots
        self._open = [0] * self._slots
        self._high = [0] * self._slots
        self._low = [0] * self._slots
        self._close = [0] * self._slots
        self._changed: set[int] = set()
        self._window = np.zeros((5, 0), np.int64)  # as last returned; only its last column may be out of date
        self._window_newest: int | None = None

    def copy(self) -> PricePath:
        """Return another path that knows what this one does."""
        return copy.deepcopy(self)

    def update(self, first_minute: int, minute: int, price: PriceRange) -> None:
        """Take the price of a bar that covers first_minute..minute."""
        columns = self._frame.columns
        newest = self._frame.column_of(minute)
        for column in range(max(self._frame.column_of(first_minute), newest - columns + 1), newest + 1):
            slot = column % self._slots
            if self._column[slot] == column:
                self._high[slot] = max(self._high[slot], price.high)
                self._low[slot] = min(self._low[slot], price.low)
            else:
                self._column[slot] = column
                self._open[slot], self._high[slot], self._low[slot] = price.open, price.high, price.low
            self._close[slot] = price.close
            self._changed.add(column)
            if column != self._window_newest:
                self._window_newest = None
        if len(self._changed) > 4 * columns:  # nobody asks while history is built
            self._changed = {column for column in self._changed if column > newest - columns}

    def snapshot(self) -> PricePathSnapshot:
        """Return everything that is known. The window as last returned is made anew when it is asked for."""
        paths = (self._column, self._open, self._high, self._low, self._close)
        known = [slot for slot, column in enumerate(self._column) if column != _UNKNOWN]
        rows = np.array([[path[slot] for slot in known] for path in paths], np.int64)
        return PricePathSnapshot(rows, tuple(sorted(self._changed)))

    def restore(self, snapshot: PricePathSnapshot) -> None:
        """Be as when a snapshot was taken; this path has heard nothing yet."""
        for column, *prices in snapshot.rows.T.tolist():
            slot = column % self._slots
            self._column[slot] = column
            self._open[slot], self._high[slot], self._low[slot], self._close[slot] = prices
        self._changed = set(snapshot.changed)
        self._window_newest = None

    def take_changed(self, newest_column: int) -> NDArray[np.int64]:
        """Return int64[5, n] (column, open, high, low, close) of the columns changed since the last call, ascending.

        Columns after the newest one are told by a later call.
        """
        oldest = newest_column - self._frame.columns
        changed = sorted(column for column in self._changed if oldest < column <= newest_column)
        self._changed = {column for column in self._changed if column > newest_column}
        return self._rows(changed)

    def window(self, newest_column: int) -> NDArray[np.int64]:
        """Return int64[5, n] of every known column of the window, ascending."""
        if newest_column == self._window_newest:
            window = self._window.copy()
            window[:, -1:] = self._rows([newest_column])
        else:
            oldest = newest_column - self._frame.columns
            window = self._rows(sorted(column for column in self._column if oldest < column <= newest_column))
            known = window.shape[1] > 0 and window[0, -1] == newest_column
            self._window_newest = newest_column if known else None
        self._window = window
        return window

    def _rows(self, columns: list[int]) -> NDArray[np.int64]:
        slots = [column % self._slots for column in columns]
        prices = [[path[slot] for slot in slots] for path in (self._open, self._high, self._low, self._close)]
        return np.array([columns, *prices], np.int64)
