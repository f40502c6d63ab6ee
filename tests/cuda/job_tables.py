"""What the host tells the kernels: tables of channels, of runs of events, and of the jobs of each launch.

The layouts are those of the structs in kernels.cu.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MAX_GRID_ROWS, RowRange, Timeframe
from liqscape.device.backend import LedgerColumns

TILE_COLUMNS: Final = 32
WORDS_OF_COLUMN: Final = MAX_GRID_ROWS // 32

LARGEST_JOB_EVENTS: Final = 1 << 14
"""Events of one job at most: small enough that the jobs of a long column spread over the whole GPU, and large enough
that a block adds many events before it adds its sums to global memory."""

CHANNEL: Final = np.dtype(
    [
        ("first_cell", np.int64),
        ("columns", np.uint32),
        ("rows", np.uint32),
        ("first_row", np.int32),
        ("row_magic", np.uint32),
        ("row_shift", np.uint32),
        ("first_minute", np.int32),
        ("first_weight", np.uint32),
        ("first_factor", np.uint32),
        ("oldest_position", np.uint32),
        ("first_column", np.uint32),
        ("first_tile", np.uint32),
        ("padding", np.uint32),
    ]
)
EVENT_RUN: Final = np.dtype([("row", np.uint64), ("open_minute", np.uint64), ("key", np.uint64), ("lots", np.uint64)])
PROJECT_JOB: Final = np.dtype([(name, np.uint32) for name in ("channel", "column", "run", "first_event", "events")])
SCAN_JOB: Final = np.dtype([(name, np.uint32) for name in ("channel", "first_column", "first_row")])

Table = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class GridSpec:
    """A channel as the host knows it.

    Attributes:
        frame, rows: the axes.
        first_weight: where its weight table begins among all.
        first_factor: where its USD per weighted lot begin among all.
    """

    frame: Timeframe
    rows: RowRange
    first_weight: int
    first_factor: int


def division(multiple: int) -> tuple[int, int]:
    """Return (magic, shift) with floor(n / multiple) = n x magic >> shift for every 0 <= n < 2^31.

    shift is 31 + s with 2^s the first power of two not below the multiple, magic = ceil(2^shift / multiple). Then
    0 <= magic x multiple - 2^shift < multiple <= 2^s, so n x magic / 2^shift is above n / multiple by less than
    n / 2^31 / multiple < 1 / multiple: never as far as the next whole number.
    """
    if not 1 <= multiple <= 1 << 31:
        raise ValueError(f"a multiple of {multiple} base rows has no magic number; 1 to 2^31 have")
    shift = 31 + (multiple - 1).bit_length()
    return -(-(1 << shift) // multiple), shift


def channel_table(specs: Sequence[GridSpec]) -> Table:
    """Return CHANNEL[channel]; the window of each is still to be set."""
    table = np.zeros(len(specs), CHANNEL)
    cell = column = tile = 0
    for entry, spec in zip(table, specs, strict=True):
        columns, rows = spec.frame.columns, spec.rows
        if rows.count > MAX_GRID_ROWS:
            raise ValueError(f"a grid has {rows.count} rows; at most {MAX_GRID_ROWS} fit a block's shared memory")
        entry["columns"], entry["rows"], entry["first_row"] = columns, rows.count, rows.first
        entry["row_magic"], entry["row_shift"] = division(rows.multiple)
        entry["first_weight"], entry["first_factor"] = spec.first_weight, spec.first_factor
        entry["first_cell"], entry["first_column"], entry["first_tile"] = cell, column, tile
        cell += columns * rows.count
        column += columns
        tile += -(-columns // TILE_COLUMNS)
    return table


def set_window(entry: Any, frame: Timeframe, newest_column: int) -> None:
    """Put the window of a CHANNEL entry where its newest column is."""
    entry["first_minute"] = (newest_column - frame.columns + 1) * frame.column_minutes
    entry["oldest_position"] = (newest_column + 1) % frame.columns


def run_entry(events: LedgerColumns) -> tuple[int, ...]:
    """Return the EVENT_RUN of host arrays; they must outlive it.

    Raises:
        ValueError: an array is not contiguous.
    """
    arrays = [getattr(events, name) for name in EVENT_RUN.names or ()]
    if not all(array.flags.c_contiguous for array in arrays):
        raise ValueError("a run of events is of contiguous arrays; kernels know no strides")
    return tuple(array.ctypes.data for array in arrays)


def project_jobs(
    channel: int,
    frame: Timeframe,
    newest_column: int,
    run: int,
    minute: NDArray[np.int32],
    now_minute: int,
    largest: int = LARGEST_JOB_EVENTS,
) -> Table:
    """Return the jobs that add one run's events to one channel: each of events of one column, at most `largest`.

    Args:
        channel, run: their numbers in their tables.
        frame: of the channel.
        newest_column: absolute. Events after it, up to now_minute, count in it: the axes may be behind.
        minute: int32[event], of the run, ascending.
        now_minute: events after it do not count.
        largest: events of a job at most.

    Returns:
        PROJECT_JOB[job]; none for columns without events.
    """
    first_minute = (newest_column - frame.columns + 1) * frame.column_minutes
    edges = first_minute + np.arange(frame.columns + 1, dtype=np.int64) * frame.column_minutes
    edges = np.minimum(edges, now_minute + 1)
    edges[-1] = now_minute + 1
    # Of the column's own type, or searchsorted would convert the whole column.
    bounds = np.searchsorted(minute, edges.astype(minute.dtype))
    events = np.maximum(np.diff(bounds), 0)
    pieces = -(-events // largest)
    column = np.repeat(np.arange(frame.columns), pieces)
    piece = np.arange(len(column)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    jobs = np.zeros(len(column), PROJECT_JOB)
    jobs["channel"], jobs["column"], jobs["run"] = channel, column, run
    jobs["first_event"] = bounds[column] + piece * largest
    jobs["events"] = np.minimum(events[column] - piece * largest, largest)
    return jobs


def scan_jobs(channels: Table, block_rows: int) -> Table:
    """Return SCAN_JOB[job]: every tile of every channel in blocks of rows.

    Args:
        channels: CHANNEL[channel].
        block_rows: threads of a block; a multiple of 32.
    """
    jobs = [
        (number, first_column, first_row)
        for number, (columns, rows) in enumerate(zip(channels["columns"], channels["rows"], strict=True))
        for first_column in range(0, columns, TILE_COLUMNS)
        for first_row in range(0, rows, block_rows)
    ]
    return np.array(jobs, SCAN_JOB)
