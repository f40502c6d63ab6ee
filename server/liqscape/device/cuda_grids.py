"""The grids of all channels on the device: recomputed in full in every tick, a launch a stage for all of them.

Only cells whose level changed come back. Which events a launch reads is the affair of cuda_jobs.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device.backend import AdvanceRequest, LedgerView
from liqscape.device.cuda_jobs import Step
from liqscape.device.cuda_layout import ChannelMemory, GridLayout
from liqscape.device.job_tables import LARGEST_JOB_EVENTS
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
        memory: what it has on the device.
    """

    def __init__(
        self,
        grids: CudaGrids,
        frame: Timeframe,
        rows: RowRange,
        weights: NDArray[np.uint16],
        factors: NDArray[np.float64],
    ) -> None:
        cells, queue = frame.columns * rows.count, grids.queue
        self.memory = ChannelMemory(
            frame, rows, weights.copy(), factors.copy(), queue.zeros(cells, np.int64), queue.zeros(cells, np.uint8)
        )
        self._grids = grids
        self._shape = frame.columns, rows.count

    def advance(self, view: LedgerView, now_minute: int, newest_column: int | None = None) -> Changes:
        return self._grids.advance([AdvanceRequest(self, view, now_minute, newest_column)])[0]

    def cells(self) -> NDArray[np.int64]:
        return self._grids.queue.read(self.memory.cells_on_device).reshape(self._shape)

    def levels(self) -> NDArray[np.uint8]:
        return self._grids.queue.read(self.memory.ring).reshape(self._shape)


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
        largest_job: int = LARGEST_JOB_EVENTS,
        most_changes: int = _MOST_CHANGES,
    ) -> None:
        self.queue = queue
        self._threads = threads
        self._largest_job = largest_job
        self._layout: GridLayout | None = None
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

    def _project(self, asked: Sequence[AdvanceRequest]) -> GridLayout:
        """Launch what makes the delta grids."""
        channels = [_memory_of(request) for request in asked]
        if self._layout is None or not self._layout.is_of(channels):
            self._layout = None  # before the next one needs room
            self._layout = GridLayout(self.queue, channels, self._threads)
        layout = self._layout
        steps = [Step.of(request, memory.frame) for request, memory in zip(asked, channels, strict=True)]
        layout.update(steps, self._largest_job)
        queue, threads, base = self.queue, self._threads, layout.first_cell
        queue.hold(*layout.grids)
        queue.launch("clear_tiles", len(layout.scan_jobs), threads, layout.scan_jobs, layout.channels, base)
        tables = (layout.jobs.on_device, layout.channels, layout.runs, layout.weights)
        queue.launch("project_columns", layout.jobs.count, threads, *tables, base)
        return layout

    def _scan(self, layout: GridLayout) -> None:
        """Launch what turns deltas into grids and levels, and says which have changed."""
        tiles, table = layout.scan_jobs, layout.channels
        queue, threads, base = self.queue, self._threads, layout.first_cell
        queue.launch("sum_tiles", len(tiles), threads, tiles, table, base, layout.tile_sums)
        scanned = (tiles, table, layout.tile_sums, layout.factors, base, layout.first_level, layout.changed)
        queue.launch("scan_levels", len(tiles), threads, *scanned)
        counted = (table, layout.changed, layout.offsets, layout.totals)
        queue.launch("offset_columns", len(layout.memory), 4 * threads, *counted)

    def _changes(self, layout: GridLayout) -> list[Changes]:
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

    def _write_changes(self, layout: GridLayout, first: int) -> None:
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


def _memory_of(request: AdvanceRequest) -> ChannelMemory:
    assert isinstance(request.buffer, CudaChannelBuffer), "a channel of another backend"
    return request.buffer.memory
