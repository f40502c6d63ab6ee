"""One channel on the host: a tick adds what is new to its newest column; a roll brings a column in and takes one out.

Both give the integers of the full recompute, which is what any longer step does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device.backend import LedgerColumns, LedgerView
from liqscape.device.numpy_grid import accumulate, levels_of, project


class NumpyChannelBuffer:
    """See device.backend.ChannelBuffer. Grid and levels are rings: absolute column c is at c modulo columns.

    Grids are compared as integers first, so that levels are computed for the few cells that changed.
    """

    def __init__(
        self,
        frame: Timeframe,
        rows: RowRange,
        weights: NDArray[np.uint16],
        usd_per_weighted_lot: NDArray[np.float64],
    ) -> None:
        self._frame = frame
        self._rows = rows
        self._weights = weights
        self._factor = usd_per_weighted_lot
        self._cells = np.zeros((frame.columns, rows.count), np.int64)
        self._ring = np.zeros((frame.columns, rows.count), np.uint8)
        self._newest: int | None = None
        self._seen = 0

    def advance(
        self, view: LedgerView, now_minute: int, newest_column: int | None = None
    ) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        newest = self._frame.column_of(now_minute) if newest_column is None else newest_column
        if newest == self._newest:
            changed = self._grow(view, newest)
        elif self._newest is not None and newest == self._newest + 1 and self._frame.columns > 1:
            changed = self._roll(view, newest)
        else:
            changed = self._recompute(view, now_minute, newest)
        self._newest = newest
        self._seen = view.appended
        level = levels_of(self._cells.reshape(-1)[changed], self._factor[changed % self._rows.count])
        ring = self._ring.reshape(-1)
        differs = np.flatnonzero(ring[changed] != level)
        changed, level = changed[differs], level[differs]
        ring[changed] = level
        return changed.astype(np.uint32), level

    def cells(self) -> NDArray[np.int64]:
        oldest = 0 if self._newest is None else (self._newest + 1) % self._frame.columns
        return np.concatenate((self._cells[oldest:], self._cells[:oldest]))

    def levels(self) -> NDArray[np.uint8]:
        return self._ring.copy()

    def _grow(self, view: LedgerView, newest: int) -> NDArray[np.int64]:
        """Add the events since the last call to the newest column; return the cells that changed, ascending."""
        events = view.columns()
        end = len(events.minute)
        added = self._sum(events, end - (view.appended - self._seen), end, newest)
        slot = newest % self._frame.columns
        self._cells[slot] += added
        return np.flatnonzero(added) + slot * self._rows.count

    def _roll(self, view: LedgerView, newest: int) -> NDArray[np.int64]:
        """Bring the next column in and take the oldest one out; return the cells that changed, ascending.

        What has come since the last call may lie before or after the end of the column that was the newest, and what
        came before may have been counted in it although it lies after.
        """
        events, before = view.columns(), newest - 1
        end = len(events.minute)
        seen = end - (view.appended - self._seen)
        entered = int(np.searchsorted(events.minute, np.int32(newest * self._frame.column_minutes)))
        old, new = before % self._frame.columns, newest % self._frame.columns
        correction = self._sum(events, seen, entered, before) - self._sum(events, entered, seen, before)
        self._cells[old] += correction
        column = self._cells[old] + self._sum(events, entered, end, before)
        replaced = np.flatnonzero(column != self._cells[new]) + new * self._rows.count
        self._cells[new] = column
        evicted = self._evict(view, newest)
        corrected = np.flatnonzero(correction) + old * self._rows.count
        if not len(evicted):
            return np.sort(np.concatenate((corrected, replaced)))
        return np.unique(np.concatenate((corrected, replaced, evicted)))

    def _evict(self, view: LedgerView, newest: int) -> NDArray[np.int64]:
        """Take what was opened in the column before the window out of every column of it; return the cells."""
        frame, rows, columns = self._frame, self._rows, self._frame.columns
        first_column = newest - columns + 1
        begin, until = (first_column - 1) * frame.column_minutes, first_column * frame.column_minutes
        tiers = view.tiers()
        runs = (*(tiers[number] for number in view.tiers_from(begin, until)), view.columns())
        found = [self._opened(run, begin) for run in runs]
        column, row, lots = (np.concatenate(parts) for parts in zip(*found, strict=True))
        touched, place = np.unique(row, return_inverse=True)
        if not len(touched):
            return np.empty(0, np.int64)
        taken = np.zeros((columns, len(touched)), np.int64)
        np.add.at(taken.reshape(-1), np.clip(column - first_column, 0, columns - 1) * len(touched) + place, lots)
        for later in range(1, columns):
            taken[later] += taken[later - 1]
        in_ring = np.roll(taken, first_column % columns, axis=0)
        self._cells[:, touched] -= in_ring
        slot, number = np.nonzero(in_ring)
        cells: NDArray[np.int64] = slot.astype(np.int64) * rows.count + touched[number]
        return cells

    def _opened(
        self, events: LedgerColumns, begin: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return column, row and weighted lots of the events of cohorts opened in the column that begins there."""
        # As uint32 a minute before it is huge, so one comparison tests both ends.
        since = (events.open_minute - np.int32(begin)).view(np.uint32)
        chosen = np.flatnonzero(since < self._frame.column_minutes)
        row = events.row[chosen].astype(np.int64) // self._rows.multiple - self._rows.first
        inside = (row >= 0) & (row < self._rows.count)
        chosen, row = chosen[inside], row[inside]
        column = events.minute[chosen].astype(np.int64) // self._frame.column_minutes
        return column, row, events.lots[chosen] * self._weights[events.key[chosen]].astype(np.int64)

    def _recompute(self, view: LedgerView, now_minute: int, newest: int) -> NDArray[np.int64]:
        """Project everything; return the cells that changed, ascending."""
        cells = project(view, self._frame, now_minute, self._rows, self._weights, newest)
        cells = np.roll(cells, (newest + 1) % self._frame.columns, axis=0)
        changed = np.flatnonzero(cells != self._cells)
        self._cells = cells
        return changed

    def _sum(self, events: LedgerColumns, begin: int, end: int, newest: int) -> NDArray[np.int64]:
        """Return int64[row] of events[begin:end], of the window whose newest column is this."""
        total = np.zeros((1, self._rows.count), np.int64)
        first_minute = (newest - self._frame.columns + 1) * self._frame.column_minutes
        accumulate(total, events, begin, end, self._frame, first_minute, self._rows, self._weights)
        column: NDArray[np.int64] = total[0]
        return column
