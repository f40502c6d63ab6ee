"""What the launches of a tick need for a set of channels: tables, and memory for what one kernel hands to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MAX_GRID_ROWS, RowRange, Timeframe
from liqscape.device import job_tables
from liqscape.device.cuda_jobs import JobTable, Step
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.job_tables import GridSpec
from liqscape.device.queue import DeviceArray, Queue


@dataclass(frozen=True, slots=True, eq=False)
class ChannelMemory:
    """One generation of a channel.

    Attributes:
        frame, rows: the axes.
        weights: uint16[key].
        factors: float64[row], USD per weighted lot.
        cells_on_device: int64[column x row], oldest column first.
        ring: uint8[column position x row], on the device.
    """

    frame: Timeframe
    rows: RowRange
    weights: NDArray[np.uint16]
    factors: NDArray[np.float64]
    cells_on_device: DeviceArray
    ring: DeviceArray


class GridLayout:
    """See above. Of the tables only what has changed goes to the device in a tick.

    Args:
        queue: of the engine's thread.
        channels: in the order of their numbers.
        threads: of a block.
    """

    def __init__(self, queue: Queue, channels: Sequence[ChannelMemory], threads: int) -> None:
        self.memory = tuple(channels)
        self.grids = [array for m in channels for array in (m.cells_on_device, m.ring)]
        self.first_cell = np.uint64(min(m.cells_on_device.address for m in channels))
        self.first_level = np.uint64(min(m.ring.address for m in channels))
        self.cells = sum(m.frame.columns * m.rows.count for m in channels)
        self._queue = queue
        self._table = job_tables.channel_table(self._specs())
        columns = self._table["columns"].astype(np.int64)
        tiles = int((-(-columns // job_tables.TILE_COLUMNS)).sum())
        self.weights = queue.put(np.concatenate([m.weights for m in channels]))
        self.factors = queue.put(np.concatenate([m.factors for m in channels]))
        self.channels = queue.empty(len(channels), job_tables.CHANNEL)
        self.scan_jobs = queue.put(job_tables.scan_jobs(self._table, threads))
        self.channel_of_column = queue.put(np.repeat(np.arange(len(channels), dtype=np.uint32), columns))
        self.tile_sums = queue.empty(tiles * MAX_GRID_ROWS, np.int64)
        self.changed = queue.empty(int(columns.sum()) * job_tables.WORDS_OF_COLUMN, np.uint32)
        self.offsets = queue.empty(int(columns.sum()), np.uint32)
        self.totals = queue.empty(len(channels), np.uint32)
        self.jobs = JobTable(queue, columns)
        self.runs = queue.empty(0, job_tables.EVENT_RUN)
        self._merged_runs: dict[int, tuple[DevicePast, list[tuple[int, ...]]]] = {}  # by id of the past they hold

    def is_of(self, channels: Sequence[ChannelMemory]) -> bool:
        """Return whether these are its channels."""
        return len(channels) == len(self.memory) and all(
            mine is other for mine, other in zip(self.memory, channels, strict=True)
        )

    def update(self, steps: Sequence[Step], largest: int) -> None:
        """Bring the tables on the device to now.

        Args:
            steps: of each channel.
            largest: events of a job at most.
        """
        frames = [m.frame for m in self.memory]
        moved = self.jobs.update(frames, steps, self._write_runs(steps), largest)
        for number in moved:
            job_tables.set_window(self._table[number], frames[number], steps[number].newest)
        if moved:
            self._queue.write(self.channels, self._table)

    def _specs(self) -> list[GridSpec]:
        weights = np.cumsum([0, *(len(m.weights) for m in self.memory)]).tolist()
        factors = np.cumsum([0, *(m.rows.count for m in self.memory)]).tolist()
        return [
            GridSpec(
                frame=m.frame,
                rows=m.rows,
                first_cell=(m.cells_on_device.address - int(self.first_cell)) // m.cells_on_device.dtype.itemsize,
                first_level=m.ring.address - int(self.first_level),
                first_weight=first_weight,
                first_factor=first_factor,
            )
            for m, first_weight, first_factor in zip(self.memory, weights[:-1], factors[:-1], strict=True)
        ]

    def _write_runs(self, steps: Sequence[Step]) -> list[int]:
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
            self.runs = self._queue.empty(len(table), job_tables.EVENT_RUN)
        self._queue.write(self.runs, table)
        return [first[id(step.view)] for step in steps]
