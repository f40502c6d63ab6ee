"""CudaGrids over NumPy's ledgers: what the tests of its kernels look at, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device import job_tables
from liqscape.device.backend import AdvanceRequest, LedgerView
from liqscape.device.cuda_grids import Changes, CudaChannelBuffer, CudaGrids
from liqscape.device.cuda_ledger import CudaLedger, CudaLedgerView, CudaLogs
from liqscape.device.cuda_queries import SLICE_EVENTS, CudaQueries, TickGate
from liqscape.device.queue import Queue
from tests.cuda.cpu_module import CpuModule
from tests.cuda.cpu_runtime import CpuRuntime
from tests.cuda.device_copies import view_on_device


class KernelGrids:
    """Channels of any symbols, timeframes and weights, each as NumpyChannelBuffer has one, all in the same launches.

    Args:
        module: the kernels.
        channels: frame, rows, weights by key, USD per weighted lot by row.
        threads, largest_job, most_changes: of CudaGrids.
    """

    def __init__(
        self,
        module: CpuModule,
        channels: Sequence[tuple[Timeframe, RowRange, NDArray[np.uint16], NDArray[np.float64]]],
        threads: int = 256,
        largest_job: int = job_tables.LARGEST_JOB_EVENTS,
        most_changes: int = 5000,
    ) -> None:
        self._queue = Queue(CpuRuntime([module]), urgent=True)
        self._grids = CudaGrids(self._queue, threads=threads, largest_job=largest_job, most_changes=most_changes)
        self._buffers = [CudaChannelBuffer(self._grids, *channel) for channel in channels]
        self._layout: Any = None

    def advance(self, now: Sequence[tuple[LedgerView, int, int | None]]) -> list[Changes]:
        """Bring every channel to its now, as ChannelBuffer.advance does.

        Args:
            now: for each channel the ledger, now_minute, newest_column.
        """
        return self._grids.advance(self._asked(now))

    def put_deltas(self, deltas: Sequence[NDArray[np.int64]], newest_columns: Sequence[int]) -> None:
        """Set the delta grid of every channel, int64[column, row], and where its window ends: what project does."""
        nothing = CudaLedger(CudaLogs(self._queue, _unused, _unused)).capture()
        self._layout = self._grids._project(
            [
                AdvanceRequest(buffer, nothing, (newest + 1) * buffer.memory.frame.column_minutes - 1)
                for buffer, newest in zip(self._buffers, newest_columns, strict=True)
            ]
        )
        for buffer, delta in zip(self._buffers, deltas, strict=True):
            self._queue.write(buffer.memory.cells_on_device, delta.reshape(-1))

    def scan(self) -> list[Changes]:
        """Turn delta grids into grids and levels; return the ring cells of each channel whose level changed."""
        self._grids._scan(self._layout)
        return self._grids._changes(self._layout)

    def cells(self, number: int) -> NDArray[np.int64]:
        """Return a channel's grid, int64[column, row], or after project alone its deltas."""
        return self._buffers[number].cells()

    def ring(self, number: int) -> NDArray[np.uint8]:
        """Return a channel's ring of levels, uint8[column position, row]."""
        return self._buffers[number].levels()

    def _asked(self, now: Sequence[tuple[LedgerView, int, int | None]]) -> list[AdvanceRequest]:
        copies: dict[int, CudaLedgerView] = {}
        for view, _, _ in now:
            if id(view) not in copies:
                copies[id(view)] = view_on_device(self._queue, view)
        return [
            AdvanceRequest(buffer, copies[id(view)], minute, newest)
            for buffer, (view, minute, newest) in zip(self._buffers, now, strict=True)
        ]


def projected(
    module: CpuModule,
    view: LedgerView,
    frame: Timeframe,
    now_minute: int,
    rows: RowRange,
    weights: NDArray[np.uint16],
    newest_column: int | None = None,
    *,
    threads: int = 256,
    largest_job: int = job_tables.LARGEST_JOB_EVENTS,
    slice_events: int = SLICE_EVENTS,
    checkpoint: Callable[[], None] | None = None,
) -> NDArray[np.int64]:
    """Return the grid of a NumPy ledger as CudaQueries computes it."""
    queue = Queue(CpuRuntime([module]), urgent=False)
    queries = CudaQueries(queue, TickGate(), threads=threads, largest_job=largest_job, slice_events=slice_events)
    copy = view_on_device(queue, view)
    return queries.project(copy, frame, now_minute, rows, weights, newest_column, checkpoint)


def _unused(*_: object) -> Any:
    raise AssertionError("nothing is merged or read here")
