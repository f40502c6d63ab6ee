"""The backend for machines without a GPU, and the definition of what every other backend returns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device.backend import LedgerColumns, LedgerView
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.device.numpy_live import NumpyLiveTable

_BLOCK_EVENTS = 1 << 18
"""Events projected at once: the temporaries of a block stay in the second-level cache, which is three times as fast."""

_SLICE_EVENTS = 2 * _BLOCK_EVENTS
"""Events between two checkpoints: some 5 ms."""


class NumpyBackend:
    """Arrays on the host."""

    name = "numpy"

    def live_table(self, groups: int) -> NumpyLiveTable:
        return NumpyLiveTable(groups)

    def ledger(self) -> NumpyLedger:
        return NumpyLedger()

    def project(
        self,
        view: LedgerView,
        frame: Timeframe,
        now_minute: int,
        rows: RowRange,
        weights: NDArray[np.uint16],
        newest_column: int | None = None,
        checkpoint: Callable[[], None] | None = None,
    ) -> NDArray[np.int64]:
        newest = frame.column_of(now_minute) if newest_column is None else newest_column
        first_minute = (newest - frame.columns + 1) * frame.column_minutes
        past_newest = (newest + 1) * frame.column_minutes  # where the axes are behind, these minutes count in newest
        grid = np.zeros((frame.columns, rows.count), np.int64)
        tiers = view.tiers()
        for events in (*(tiers[number] for number in view.tiers_from(first_minute)), view.columns()):
            # Of the column's own type, or searchsorted would convert the whole column.
            edges = np.array([first_minute, min(past_newest, now_minute + 1), now_minute + 1], events.minute.dtype)
            begin, end, last = np.searchsorted(events.minute, edges).tolist()
            for start in range(begin, last, _SLICE_EVENTS):
                stop = min(start + _SLICE_EVENTS, last)
                _accumulate(grid, events, start, min(stop, end), frame, first_minute, rows, weights)
                _accumulate(grid[-1:], events, max(start, end), stop, frame, first_minute, rows, weights)
                if checkpoint is not None:
                    checkpoint()
        for column in range(1, frame.columns):
            grid[column] += grid[column - 1]
        return grid

    def channel_buffer(
        self, frame: Timeframe, rows: RowRange, weights: NDArray[np.uint16], usd_per_weighted_lot: NDArray[np.float64]
    ) -> NumpyChannelBuffer:
        return NumpyChannelBuffer(self, frame, rows, weights, usd_per_weighted_lot)

    def levels(self, cells: NDArray[np.int64], usd_per_weighted_lot: NDArray[np.float64]) -> NDArray[np.uint8]:
        return levels_of(cells, usd_per_weighted_lot)


def _accumulate(
    grid: NDArray[np.int64],
    events: LedgerColumns,
    begin: int,
    end: int,
    frame: Timeframe,
    first_minute: int,
    rows: RowRange,
    weights: NDArray[np.uint16],
) -> None:
    """Add events[begin:end] to the columns they happened in; all to the same one where the grid has no other.

    Args:
        grid: int64[column, row]; its first column begins at first_minute, unless it is the only one.
        first_minute: what was opened before it does not count.
    """
    cells = grid.reshape(-1)
    first_column = np.int32(first_minute // frame.column_minutes)
    unweighted = bool((weights == WEIGHT_ONE).all())
    for start in range(begin, end, _BLOCK_EVENTS):
        block = slice(start, min(start + _BLOCK_EVENTS, end))
        row = events.row[block] // np.int32(rows.multiple) - np.int32(rows.first)
        # As uint32 a row below the range is huge, so one comparison tests both ends.
        kept = (row.view(np.uint32) < rows.count) & (events.open_minute[block] >= first_minute)
        cell = row.astype(np.int64)
        if len(grid) > 1:
            column = events.minute[block] // np.int32(frame.column_minutes) - first_column
            cell += column.astype(np.int64) * rows.count
        weight = WEIGHT_ONE if unweighted else weights[events.key[block]].astype(np.int64)
        # An event outside the grid adds zero to cell 0: cheaper than compressing three arrays.
        np.add.at(cells, np.where(kept, cell, 0), np.where(kept, events.lots[block] * weight, 0))


def levels_of(cells: NDArray[np.int64], usd_per_weighted_lot: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return uint8 levels of weighted lots; the two arrays broadcast. See Backend.levels.

    x = trunc(USD) >> 6; below 8 the level is x; from 8 on it is three bits of mantissa under the exponent. A float64
    has both ready in its bits, exactly, for every x below 2^53.
    """
    usd = (cells * usd_per_weighted_lot).astype(np.int64)
    x = np.clip(usd >> 6, 0, (1 << 34) - 1)
    bits = x.astype(np.float64).view(np.int64)
    exponent_and_mantissa = (bits >> 49) - ((1023 + 2) << 3)
    level: NDArray[np.uint8] = np.where(x < 8, x, exponent_and_mantissa).astype(np.uint8)
    return level


class NumpyChannelBuffer:
    """Adds new events to the newest column; recomputes everything when a column rolls.

    Every event since the last call counts in the newest column unless it has rolled, so both ways give the same
    integers.
    Grids are compared as integers first, so that levels are computed for the few cells that changed.
    """

    def __init__(
        self,
        backend: NumpyBackend,
        frame: Timeframe,
        rows: RowRange,
        weights: NDArray[np.uint16],
        usd_per_weighted_lot: NDArray[np.float64],
    ) -> None:
        self._backend = backend
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
        index = self._grow(view, newest) if newest == self._newest else self._recompute(view, now_minute, newest)
        self._newest = newest
        self._seen = view.appended
        level = levels_of(self._cells.reshape(-1)[index], self._factor[index % self._rows.count])
        ring_index = _window_to_ring(index, *self._cells.shape, newest)
        ring = self._ring.reshape(-1)
        differs = ring[ring_index] != level
        ring_index, level = ring_index[differs], level[differs]
        ring[ring_index] = level
        order = np.argsort(ring_index, kind="stable")
        return ring_index[order].astype(np.uint32), level[order]

    def cells(self) -> NDArray[np.int64]:
        return self._cells.copy()

    def levels(self) -> NDArray[np.uint8]:
        return self._ring.copy()

    def _grow(self, view: LedgerView, newest: int) -> NDArray[np.int64]:
        """Add the events since the last call to the newest column; return the flat window indices of what changed."""
        events = view.columns()
        end = len(events.minute)
        begin = end - (view.appended - self._seen)
        added = np.zeros((1, self._rows.count), np.int64)
        first_minute = (newest - self._frame.columns + 1) * self._frame.column_minutes
        _accumulate(added, events, begin, end, self._frame, first_minute, self._rows, self._weights)
        self._cells[-1] += added[0]
        return np.flatnonzero(added[0]) + (self._frame.columns - 1) * self._rows.count

    def _recompute(self, view: LedgerView, now_minute: int, newest: int) -> NDArray[np.int64]:
        """Project everything; return the flat window indices of what may have changed."""
        columns = self._frame.columns
        cells = self._backend.project(view, self._frame, now_minute, self._rows, self._weights, newest)
        rolled = columns if self._newest is None else min(newest - self._newest, columns)
        kept = columns - rolled
        changed = np.ones(cells.shape, np.bool_)  # the ring still holds what a column that entered has replaced
        np.not_equal(self._cells[rolled:], cells[:kept], out=changed[:kept])
        self._cells = cells
        return np.flatnonzero(changed)


def _window_to_ring(index: NDArray[np.int64], columns: int, rows: int, newest_column: int) -> NDArray[np.int64]:
    """Return the ring position of flat window indices: absolute column c sits at c modulo columns."""
    oldest_position = (newest_column + 1) % columns
    shifted = index + oldest_position * rows
    return np.where(shifted >= columns * rows, shifted - columns * rows, shifted)
