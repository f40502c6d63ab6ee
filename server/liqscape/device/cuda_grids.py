"""The grids of all channels on the device: recomputed in full in every tick, a launch a stage for all of them.

What the tables of jobs say about the past changes only when a column ends or the past is merged, so that part stays on
the device; a tick adds the jobs of the events in each newest column. Only cells whose level changed come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MAX_GRID_ROWS, RowRange, Timeframe
from liqscape.device import job_tables
from liqscape.device.backend import AdvanceRequest, LedgerView
from liqscape.device.cuda_ledger import CudaLedgerView
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.job_tables import GridSpec, Table
from liqscape.device.queue import Queue
from liqscape.device.runtime import DeviceError

Changes = tuple[NDArray[np.uint32], NDArray[np.uint8]]

_THREADS: Final = 256
_EXPECTED_CHANGES: Final = 1 << 14
"""Changed cells read along with their number, 80 KB: a usual tick waits for the device once."""
_MOST_CHANGES: Final = 1 << 20
"""Changed cells that the device hands over at once, 5 MB: room for more is never needed, whatever happens."""


class CudaChannelBuffer:
    """See backend.ChannelBuffer.

    Attributes:
        frame, rows, weights, factors: of the channel.
        cells_on_device: int64[column x row], oldest column first.
        ring: uint8[column position x row], on the device.
    """

    def __init__(
        self,
        grids: CudaGrids,
        frame: Timeframe,
        rows: RowRange,
        weights: NDArray[np.uint16],
        factors: NDArray[np.float64],
    ) -> None:
        self.frame = frame
        self.rows = rows
        self.weights = weights.copy()
        self.factors = factors.copy()
        self.cells_on_device = grids.queue.zeros(frame.columns * rows.count, np.int64)
        self.ring = grids.queue.zeros(frame.columns * rows.count, np.uint8)
        self._grids = grids

    def advance(self, view: LedgerView, now_minute: int, newest_column: int | None = None) -> Changes:
        return self._grids.advance([AdvanceRequest(self, view, now_minute, newest_column)])[0]

    def cells(self) -> NDArray[np.int64]:
        return self._grids.queue.read(self.cells_on_device).reshape(self.frame.columns, self.rows.count)

    def levels(self) -> NDArray[np.uint8]:
        return self._grids.queue.read(self.ring).reshape(self.frame.columns, self.rows.count)


class CudaGrids:
    """Channels of any symbols, timeframes and weights.

    Args:
        queue: of the engine's thread.
        threads: of a block, four times as many where it is one for a channel; 32 to 256, a multiple of 32.
        largest_job: events of a projecting job at most.
        most_changes: changed cells handed over at once.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        threads: int = _THREADS,
        largest_job: int = job_tables.LARGEST_JOB_EVENTS,
        most_changes: int = _MOST_CHANGES,
    ) -> None:
        self.queue = queue
        self._threads = threads
        self._largest_job = largest_job
        self._layout: _Layout | None = None
        self._indices = queue.empty(most_changes, np.uint32)
        self._levels = queue.empty(most_changes, np.uint8)

    def advance(self, asked: Sequence[AdvanceRequest]) -> list[Changes]:
        """Bring channels to now; see Backend.advance. All of them in the same launches.

        Raises:
            OutOfDeviceMemory: no channel has changed.
        """
        if not asked:
            return []
        layout = self._project(asked)
        self._scan(layout)
        return self._changes(layout)

    def _project(self, asked: Sequence[AdvanceRequest]) -> _Layout:
        """Launch what makes the delta grids."""
        layout = self._layout_for([_own(request) for request in asked])
        jobs = layout.jobs([_Step.of(request) for request in asked], self.queue, self._largest_job)
        queue, threads, base = self.queue, self._threads, layout.first_cell
        queue.hold(*layout.grids)
        queue.launch("clear_tiles", len(layout.scan_jobs), threads, layout.scan_jobs, layout.channels, base)
        tables = (layout.job_table, layout.channels, layout.runs, layout.weights)
        queue.launch("project_columns", jobs, threads, *tables, base)
        return layout

    def _layout_for(self, buffers: list[CudaChannelBuffer]) -> _Layout:
        if self._layout is None or not self._layout.is_of(buffers):
            self._layout = None  # before the next one needs room
            self._layout = _Layout(self.queue, buffers, self._threads)
        return self._layout

    def _scan(self, layout: _Layout) -> None:
        """Launch what turns deltas into grids and levels, and says which have changed."""
        tiles, table = layout.scan_jobs, layout.channels
        queue, threads, base = self.queue, self._threads, layout.first_cell
        queue.launch("sum_tiles", len(tiles), threads, tiles, table, base, layout.tile_sums)
        scanned = (tiles, table, layout.tile_sums, layout.factors, base, layout.first_level, layout.changed)
        queue.launch("scan_levels", len(tiles), threads, *scanned)
        counted = (table, layout.changed, layout.offsets, layout.totals)
        queue.launch("offset_columns", len(layout.buffers), 4 * threads, *counted)

    def _changes(self, layout: _Layout) -> list[Changes]:
        """Return the changed cells of each channel."""
        self._write_changes(layout, 0)
        few = min(_EXPECTED_CHANGES, len(self._indices))
        totals, *first = self.queue.read_all([layout.totals, self._indices.part(0, few), self._levels.part(0, few)])
        ends = np.cumsum(totals, dtype=np.int64)
        count = int(ends[-1])
        if count > layout.cells:
            raise DeviceError(f"{count} cells have changed of {layout.cells}: the device computes nonsense")
        pieces = [first] if count <= few else []
        for begin in range(0, count if count > few else 0, len(self._indices)):
            if begin:
                self._write_changes(layout, begin)
            end = min(count - begin, len(self._indices))
            pieces.append(self.queue.read_all([self._indices.part(0, end), self._levels.part(0, end)]))
        indices, levels = (np.concatenate(column) for column in zip(*pieces, strict=True))
        begins = ends - totals
        return [
            (indices[begin:end].copy(), levels[begin:end].copy())
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        ]

    def _write_changes(self, layout: _Layout, first: int) -> None:
        columns = len(layout.channel_of_column)
        self.queue.launch(
            "write_changes",
            -(-columns // (self._threads // 32)),
            self._threads,
            np.uint32(columns),
            layout.channel_of_column,
            layout.channels,
            layout.changed,
            layout.offsets,
            layout.totals,
            layout.first_level,
            np.uint32(first),
            np.uint32(len(self._indices)),
            self._indices,
            self._levels,
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """One channel's way to now."""

    view: CudaLedgerView
    now_minute: int
    newest: int

    @classmethod
    def of(cls, request: AdvanceRequest) -> _Step:
        newest = request.newest_column
        if newest is None:
            newest = _own(request).frame.column_of(request.now_minute)
        return cls(cast(CudaLedgerView, request.view), request.now_minute, newest)


@dataclass(frozen=True, slots=True)
class _PastJobs:
    """Jobs of everything before a channel's newest column, and of merged events in it.

    Attributes:
        past, newest, first_run, first_raw: what they were made for; while these stay, so do the jobs.
        jobs: PROJECT_JOB[job].
        tail: the first raw event of the newest column.
    """

    past: DevicePast
    newest: int
    first_run: int
    first_raw: int
    jobs: Table
    tail: int

    def is_for(self, step: _Step, first_run: int) -> bool:
        """Return whether they are still right."""
        of_step = step.newest, first_run, step.view.first_raw
        return self.past is step.view.past and (self.newest, self.first_run, self.first_raw) == of_step


class _Layout:
    """What the launches for a set of channels need, and how little of it changes from tick to tick.

    Args:
        queue: of the engine's thread.
        buffers: the channels, in the order of their numbers.
        threads: of a block.
    """

    def __init__(self, queue: Queue, buffers: Sequence[CudaChannelBuffer], threads: int) -> None:
        self.buffers = tuple(buffers)
        self.grids = [array for b in buffers for array in (b.cells_on_device, b.ring)]
        cells, rings = [b.cells_on_device.address for b in buffers], [b.ring.address for b in buffers]
        self.first_cell, self.first_level = np.uint64(min(cells)), np.uint64(min(rings))
        weights = np.cumsum([0, *(len(b.weights) for b in buffers)]).tolist()
        factors = np.cumsum([0, *(b.rows.count for b in buffers)]).tolist()
        self._table = job_tables.channel_table(
            [
                GridSpec(b.frame, b.rows, (cell - min(cells)) // 8, ring - min(rings), first_weight, first_factor)
                for b, cell, ring, first_weight, first_factor in zip(
                    buffers, cells, rings, weights[:-1], factors[:-1], strict=True
                )
            ]
        )
        self.cells = sum(b.frame.columns * b.rows.count for b in buffers)
        columns = int(self._table["columns"].sum())
        tiles = int(self._table["first_tile"][-1]) - (-int(self._table["columns"][-1]) // job_tables.TILE_COLUMNS)
        self.weights = queue.put(np.concatenate([b.weights for b in buffers]))
        self.factors = queue.put(np.concatenate([b.factors for b in buffers]))
        self.channels = queue.empty(len(buffers), job_tables.CHANNEL)
        self.scan_jobs = queue.put(job_tables.scan_jobs(self._table, threads))
        numbers = np.repeat(np.arange(len(buffers), dtype=np.uint32), self._table["columns"])
        self.channel_of_column = queue.put(numbers)
        self.tile_sums = queue.empty(tiles * MAX_GRID_ROWS, np.int64)
        self.changed = queue.empty(columns * job_tables.WORDS_OF_COLUMN, np.uint32)
        self.offsets = queue.empty(columns, np.uint32)
        self.totals = queue.empty(len(buffers), np.uint32)
        self.job_table = queue.empty(0, job_tables.PROJECT_JOB)
        self.runs = queue.empty(0, job_tables.EVENT_RUN)
        self._past_jobs: list[_PastJobs | None] = [None] * len(buffers)
        self._past_count = 0
        self._merged_runs: dict[int, tuple[DevicePast, list[tuple[int, ...]]]] = {}  # by id of the past they hold

    def is_of(self, buffers: Sequence[CudaChannelBuffer]) -> bool:
        """Return whether these are its channels."""
        return len(buffers) == len(self.buffers) and all(
            mine is other for mine, other in zip(self.buffers, buffers, strict=True)
        )

    def jobs(self, steps: Sequence[_Step], queue: Queue, largest: int) -> int:
        """Bring the tables on the device up to date; return how many jobs there are.

        Args:
            steps: of each channel.
            queue: of the engine's thread.
            largest: events of a job at most.
        """
        first_runs = self._runs(steps, queue)
        moved = [
            number
            for number, (known, step, run) in enumerate(zip(self._past_jobs, steps, first_runs, strict=True))
            if known is None or not known.is_for(step, run)
        ]
        for number in moved:
            self._past_jobs[number] = self._jobs_of_past(number, steps[number], first_runs[number], largest)
            job_tables.set_window(self._table[number], self.buffers[number].frame, steps[number].newest)
        known_jobs = cast(list[_PastJobs], self._past_jobs)
        tails = np.array([known.tail for known in known_jobs], np.int64)
        first = np.array([step.view.first_raw for step in steps], np.int64)
        ends = np.array([step.view.raw_events for step in steps], np.int64)
        newest = self._table["columns"].astype(np.int64) - 1
        raw_runs = np.array(first_runs, np.int64) + [len(step.view.past.tiers) for step in steps]
        tail = job_tables.cut_jobs(np.arange(len(steps)), raw_runs, newest, first + tails, first + ends, largest)
        past = np.concatenate([known.jobs for known in known_jobs]) if moved else None
        count = (self._past_count if past is None else len(past)) + len(tail)
        if count > len(self.job_table):
            past = np.concatenate([known.jobs for known in known_jobs])
            self.job_table = queue.empty(count + max(count // 4, 1 << 10), job_tables.PROJECT_JOB)
        if past is not None:
            self._past_count = len(past)
            queue.write(self.job_table.part(0, len(past)), past)
        if moved:
            queue.write(self.channels, self._table)
        queue.write(self.job_table.part(self._past_count, count), tail)
        return count

    def _runs(self, steps: Sequence[_Step], queue: Queue) -> list[int]:
        """Write the table of runs, each ledger's once; return the number of each channel's first."""
        first: dict[int, int] = {}
        entries: list[tuple[int, ...]] = []
        merged: dict[int, tuple[DevicePast, list[tuple[int, ...]]]] = {}
        for step in steps:
            if id(step.view) not in first:
                first[id(step.view)] = len(entries)
                past = step.view.past
                known = self._merged_runs.get(id(past))
                of_past = known[1] if known is not None else [job_tables.run_entry(tier) for tier in past.tiers]
                merged[id(past)] = past, of_past
                entries += [*of_past, job_tables.entry_of(step.view.raw_arrays())]
        self._merged_runs = merged
        table = np.array(entries, job_tables.EVENT_RUN)
        if len(table) != len(self.runs):
            self.runs = queue.empty(len(table), job_tables.EVENT_RUN)
        queue.write(self.runs, table)
        return [first[id(step.view)] for step in steps]

    def _jobs_of_past(self, number: int, step: _Step, first_run: int, largest: int) -> _PastJobs:
        frame, view, newest = self.buffers[number].frame, step.view, step.newest
        first_minute = (newest - frame.columns + 1) * frame.column_minutes
        past, raw = view.past, view.raw()
        tail = int(raw.before(np.array([newest * frame.column_minutes]))[0])
        runs = [(first_run + k, past.tiers[k], past.limits[k] >= first_minute) for k in past.tiers_from(first_minute)]
        jobs = [
            job_tables.project_jobs(
                number,
                frame,
                newest,
                run,
                events.before,
                step.now_minute,
                largest,
                first_event=job_tables.first_event(events),
                opened_inside=opened_inside,
            )
            for run, events, opened_inside in (*runs, (first_run + len(past.tiers), raw.part(0, tail), False))
        ]
        return _PastJobs(view.past, newest, first_run, view.first_raw, np.concatenate(jobs), tail)


def _own(request: AdvanceRequest) -> CudaChannelBuffer:
    assert isinstance(request.buffer, CudaChannelBuffer), "a channel of another backend"
    return request.buffer
