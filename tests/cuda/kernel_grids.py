"""Grids kept by the kernels: the launches of a tick, in order, over memory that stays where it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MAX_GRID_ROWS, RowRange, Timeframe
from liqscape.device.backend import LedgerColumns, LedgerView
from tests.cuda import job_tables
from tests.cuda.job_tables import GridSpec

Changes = tuple[NDArray[np.uint32], NDArray[np.uint8]]

POISON = 0x5A
"""What buffers are filled with that a kernel must write in full."""


class KernelModule(Protocol):
    """What CpuModule and cupy.RawModule have in common."""

    def get_function(self, name: str, /) -> Callable[[tuple[int, ...], tuple[int, ...], tuple[Any, ...]], None]:
        """Return a kernel."""
        ...


class KernelGrids:
    """Channels of any symbols, timeframes and weights, each as NumpyChannelBuffer has one, all in the same launches."""

    def __init__(
        self,
        module: KernelModule,
        channels: Sequence[tuple[Timeframe, RowRange, NDArray[np.uint16], NDArray[np.float64]]],
        threads: int = 256,
        largest_job: int = job_tables.LARGEST_JOB_EVENTS,
    ) -> None:
        """Make the channels: rings of zeros.

        Args:
            module: the kernels.
            channels: frame, rows, weights by key, USD per weighted lot by row.
            threads: of a block, four times as many where it is one for a channel; 32 to 256, a multiple of 32.
            largest_job: events of a projecting job at most.
        """
        self._module = module
        self._threads = threads
        self._largest_job = largest_job
        self._weights = np.concatenate([weights for _, _, weights, _ in channels])
        self._factors = np.concatenate([factors for _, _, _, factors in channels])
        first_weights = np.cumsum([0, *(len(weights) for _, _, weights, _ in channels)]).tolist()
        first_factors = np.cumsum([0, *(len(factors) for _, _, _, factors in channels)]).tolist()
        self._specs = [
            GridSpec(frame, rows, first_weight, first_factor)
            for (frame, rows, _, _), first_weight, first_factor in zip(
                channels, first_weights[:-1], first_factors[:-1], strict=True
            )
        ]
        self._table = job_tables.channel_table(self._specs)
        self._scan_jobs = job_tables.scan_jobs(self._table, threads)
        all_cells = sum(spec.frame.columns * spec.rows.count for spec in self._specs)
        self._columns = sum(spec.frame.columns for spec in self._specs)
        tiles = sum(-(-spec.frame.columns // job_tables.TILE_COLUMNS) for spec in self._specs)
        self._channel_of_column = np.repeat(np.arange(len(self._specs), dtype=np.uint32), self._table["columns"])
        self._all_cells = np.zeros(all_cells, np.int64)
        self._rings = np.zeros(all_cells, np.uint8)
        self._tile_sums = poisoned(tiles * MAX_GRID_ROWS, np.int64)
        self._changed = poisoned(self._columns * job_tables.WORDS_OF_COLUMN, np.uint32)
        self._offsets = poisoned(self._columns, np.uint32)
        self._totals = poisoned(len(self._specs), np.uint32)
        self._indices = poisoned(all_cells, np.uint32)
        self._levels = poisoned(all_cells, np.uint8)

    def advance(self, now: Sequence[tuple[LedgerView, int, int | None]]) -> list[Changes]:
        """Bring every channel to its now, as ChannelBuffer.advance does.

        Args:
            now: for each channel the ledger, now_minute, newest_column.
        """
        self.project(now)
        return self.scan()

    def project(self, now: Sequence[tuple[LedgerView, int, int | None]]) -> None:
        """Write the delta grids; see advance."""
        first_run: dict[int, int] = {}
        runs: list[LedgerColumns] = []
        jobs = []
        for number, (spec, (view, now_minute, column)) in enumerate(zip(self._specs, now, strict=True)):
            if id(view) not in first_run:
                first_run[id(view)] = len(runs)
                runs += [*view.tiers(), view.columns()]
            newest = spec.frame.column_of(now_minute) if column is None else column
            job_tables.set_window(self._table[number], spec.frame, newest)
            raw = len(view.tiers())
            for run in (*view.tiers_from(int(self._table[number]["first_minute"])), raw):
                run += first_run[id(view)]
                minute = runs[run].minute
                jobs.append(
                    job_tables.project_jobs(number, spec.frame, newest, run, minute, now_minute, self._largest_job)
                )
        run_table = np.array([job_tables.run_entry(events) for events in runs], job_tables.EVENT_RUN)
        table = np.concatenate(jobs)
        self._all_cells[:] = 0
        if not len(table):
            return  # CUDA refuses an empty launch
        self._launch(
            "project_columns", len(table), self._threads, table, self._table, run_table, self._weights, self._all_cells
        )

    def put_deltas(self, deltas: Sequence[NDArray[np.int64]], newest_columns: Sequence[int]) -> None:
        """Set the delta grid of every channel, int64[column, row], and where its window ends: what project does."""
        self._all_cells[:] = np.concatenate([grid.reshape(-1) for grid in deltas])
        for number, (spec, newest) in enumerate(zip(self._specs, newest_columns, strict=True)):
            job_tables.set_window(self._table[number], spec.frame, newest)

    def scan(self) -> list[Changes]:
        """Turn delta grids into grids and levels; return the ring cells of each channel whose level changed."""
        jobs, table = self._scan_jobs, self._table
        self._launch("sum_tiles", len(jobs), self._threads, jobs, table, self._all_cells, self._tile_sums)
        arguments = (jobs, table, self._tile_sums, self._factors, self._all_cells, self._rings, self._changed)
        self._launch("scan_levels", len(jobs), self._threads, *arguments)
        self._launch("offset_columns", len(table), 4 * self._threads, table, self._changed, self._offsets, self._totals)
        self._launch(
            "write_changes",
            -(-self._columns // (self._threads // 32)),
            self._threads,
            np.uint32(self._columns),
            self._channel_of_column,
            table,
            self._changed,
            self._offsets,
            self._totals,
            self._rings,
            self._indices,
            self._levels,
        )
        ends = np.cumsum(self._totals, dtype=np.int64)
        begins = ends - self._totals
        return [
            (self._indices[begin:end].copy(), self._levels[begin:end].copy())
            for begin, end in zip(begins, ends, strict=True)
        ]

    def cells(self, number: int) -> NDArray[np.int64]:
        """Return a channel's grid, int64[column, row], or after project alone its deltas."""
        return self._part(self._all_cells, number)

    def ring(self, number: int) -> NDArray[np.uint8]:
        """Return a channel's ring of levels, uint8[column position, row]."""
        return self._part(self._rings, number)

    def _part(self, buffer: NDArray[Any], number: int) -> NDArray[Any]:
        frame, rows = self._specs[number].frame, self._specs[number].rows
        begin = int(self._table[number]["first_cell"])
        return buffer[begin : begin + frame.columns * rows.count].reshape(frame.columns, rows.count).copy()

    def _launch(self, name: str, blocks: int, threads: int, *arguments: Any) -> None:
        self._module.get_function(name)((blocks,), (threads,), arguments)


def poisoned(size: int, dtype: type) -> NDArray[Any]:
    """Return memory for results that a kernel must write in full."""
    return np.full(size * np.dtype(dtype).itemsize, POISON, np.uint8).view(dtype)
