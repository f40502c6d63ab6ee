"""Events -> grid -> levels on the host: the full recompute, and what every other way of making a grid must equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device.backend import LedgerColumns, LedgerView

_BLOCK_EVENTS = 1 << 18
"""Events projected at once: the temporaries of a block stay in the second-level cache, which is three times as fast."""

_SLICE_EVENTS = 2 * _BLOCK_EVENTS
"""Events between two checkpoints: some 5 ms."""

_MOST_USD = 2.0**62


def project(
    view: LedgerView,
    frame: Timeframe,
    now_minute: int,
    rows: RowRange,
    weights: NDArray[np.uint16],
    newest_column: int | None = None,
    checkpoint: Callable[[], None] | None = None,
) -> NDArray[np.int64]:
    """Compute a grid; see Backend.project."""
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
            accumulate(grid, events, start, min(stop, end), frame, first_minute, rows, weights)
            accumulate(grid[-1:], events, max(start, end), stop, frame, first_minute, rows, weights)
            if checkpoint is not None:
                checkpoint()
    for column in range(1, frame.columns):
        grid[column] += grid[column - 1]
    return grid


def accumulate(
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
    # What passes int64 would be turned into anything, and on each machine into something else.
    usd = np.minimum(cells * usd_per_weighted_lot, _MOST_USD).astype(np.int64)
    x = np.clip(usd >> 6, 0, (1 << 34) - 1)
    bits = x.astype(np.float64).view(np.int64)
    exponent_and_mantissa = (bits >> 49) - ((1023 + 2) << 3)
    level: NDArray[np.uint8] = np.where(x < 8, x, exponent_and_mantissa).astype(np.uint8)
    return level
