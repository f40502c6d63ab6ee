"""What the host tells the kernels: tables of channels, of runs of events, and of the jobs of each launch.

The layouts are those of the structs in kernels.cu.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MAX_GRID_ROWS, RowRange, Timeframe
from liqscape.device.device_runs import DeviceRun
from liqscape.device.queue import DeviceArray

TILE_COLUMNS: Final = 32
WORDS_OF_COLUMN: Final = MAX_GRID_ROWS // 32

LARGEST_JOB_EVENTS: Final = 1 << 14
"""Events of one job at most: small enough that the jobs of a long column spread over the whole GPU, and large enough
that a block adds many events before it adds its sums to global memory."""

CHANNEL: Final = np.dtype(
    [
        ("first_cell", np.int64),
        ("first_level", np.int64),
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
PROJECT_JOB: Final = np.dtype(
    [(name, np.uint32) for name in ("channel", "column", "run", "first_event", "events", "opened_inside")]
)
APPEND_JOB: Final = np.dtype(
    [
        *((name, np.int64) for name in ("row", "open_minute", "key", "lots", "cause")),
        ("first_event", np.uint32),
        ("events", np.uint32),
    ]
)
SCAN_JOB: Final = np.dtype([(name, np.uint32) for name in ("channel", "first_column", "first_row")])

Table = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class GridSpec:
    """A channel as the host knows it.

    Attributes:
        frame, rows: the axes.
        first_cell, first_level: where grid and ring are, in items from the base pointers of all.
        first_weight: where its weight table begins among all.
        first_factor: where its USD per weighted lot begin among all.
    """

    frame: Timeframe
    rows: RowRange
    first_cell: int = 0
    first_level: int = 0
    first_weight: int = 0
    first_factor: int = 0


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
    column = tile = 0
    for entry, spec in zip(table, specs, strict=True):
        columns, rows = spec.frame.columns, spec.rows
        if rows.count > MAX_GRID_ROWS:
            raise ValueError(f"a grid has {rows.count} rows; at most {MAX_GRID_ROWS} fit a block's shared memory")
        entry["columns"], entry["rows"], entry["first_row"] = columns, rows.count, rows.first
        entry["row_magic"], entry["row_shift"] = division(rows.multiple)
        entry["first_weight"], entry["first_factor"] = spec.first_weight, spec.first_factor
        entry["first_cell"], entry["first_level"] = spec.first_cell, spec.first_level
        entry["first_column"], entry["first_tile"] = column, tile
        column += columns
        tile += -(-columns // TILE_COLUMNS)
    return table


def set_window(entry: Any, frame: Timeframe, newest_column: int) -> None:
    """Put the window of a CHANNEL entry where its newest column is."""
    entry["first_minute"] = (newest_column - frame.columns + 1) * frame.column_minutes
    entry["oldest_position"] = (newest_column + 1) % frame.columns


def run_entry(run: DeviceRun) -> tuple[int, ...]:
    """Return the EVENT_RUN of a run; its arrays must outlive it. Its first event is that of the arrays' memory.

    The kernels read several events at once, and so from aligned places: jobs number events from there, see first_event.
    """
    columns = (run.row, run.open_minute, run.key, run.lots)
    assert len({column.first for column in columns}) == 1, "columns of one run begin at the same event"
    return entry_of(columns)


def entry_of(columns: Sequence[DeviceArray]) -> tuple[int, ...]:
    """Return the EVENT_RUN of arrays of rows, open minutes, keys and lots, from the beginning of their memory."""
    return tuple(column.memory.address for column in columns)


def first_event(run: DeviceRun) -> int:
    """Return the number of a run's first event, counted as its run_entry does."""
    return run.row.first


def project_jobs(
    channel: int,
    frame: Timeframe,
    newest_column: int,
    run: int,
    events_before: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    now_minute: int,
    largest: int = LARGEST_JOB_EVENTS,
    *,
    first_event: int = 0,
    opened_inside: bool = False,
) -> Table:
    """Return the jobs that add one run's events to one channel: each of events of one column, at most `largest`.

    Args:
        channel, run: their numbers in their tables.
        frame: of the channel.
        newest_column: absolute. Events after it, up to now_minute, count in it: the axes may be behind.
        events_before: tells for minutes how many events of the run happened before each.
        now_minute: events after it do not count.
        largest: events of a job at most.
        first_event: of the run, see first_event().
        opened_inside: all its events opened within the window.

    Returns:
        PROJECT_JOB[job]; none for columns without events.
    """
    first_minute = (newest_column - frame.columns + 1) * frame.column_minutes
    edges = first_minute + np.arange(frame.columns + 1, dtype=np.int64) * frame.column_minutes
    edges = np.minimum(edges, now_minute + 1)
    edges[-1] = now_minute + 1
    bounds = events_before(edges) + first_event
    jobs = cut_jobs(channel, run, np.arange(frame.columns), bounds[:-1], bounds[1:], largest)
    jobs["opened_inside"] = opened_inside
    return jobs


def cut_jobs(
    channel: int | NDArray[Any],
    run: int | NDArray[Any],
    column: NDArray[Any],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    largest: int,
) -> Table:
    """Return PROJECT_JOB[job] of events begin to end of each column, in pieces of at most `largest`."""
    events = np.maximum(end - begin, 0)
    pieces = -(-events // largest)
    part = np.repeat(np.arange(len(column)), pieces)
    before = (np.arange(len(part)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * largest
    jobs = np.zeros(len(part), PROJECT_JOB)
    jobs["channel"] = channel[part] if isinstance(channel, np.ndarray) else channel
    jobs["run"] = run[part] if isinstance(run, np.ndarray) else run
    jobs["column"] = column[part]
    jobs["first_event"] = begin[part] + before
    jobs["events"] = np.minimum(events[part] - before, largest)
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
