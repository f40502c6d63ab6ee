"""The backend on a GPU: tables, logs and grids of all symbols in its memory; see backend.py for what each call does.

Two queues: that of the engine's thread, whose work is a tick, and a second one for whatever else is asked. The results
are NumPy's, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device.backend import (
    AdvanceRequest,
    AppendRequest,
    CloseRequest,
    EndedCohorts,
    LedgerColumns,
    LedgerSnapshot,
    LedgerView,
    LiveSnapshot,
    SweepRequest,
)
from liqscape.device.cuda_grids import CudaChannelBuffer, CudaGrids
from liqscape.device.cuda_ledger import CudaLedger, CudaLedgerView, CudaLogs
from liqscape.device.cuda_live import CudaLiveTable, CudaLiveTables
from liqscape.device.cuda_marks import LaunchSizes
from liqscape.device.cuda_queries import CudaQueries, TickGate
from liqscape.device.cuda_select import MergeSizes
from liqscape.device.cuda_tiers import DevicePast, compact
from liqscape.device.device_runs import DeviceRun
from liqscape.device.numpy_grid import levels_of
from liqscape.device.queue import Queue
from liqscape.device.runtime import OutOfDeviceMemory, Runtime
from liqscape.device.shedding import QueryRuntime, TickRuntime
from liqscape.errors import LimitExceeded

_THREADS: Final = 256
_RETRY_MS: Final = 5000
"""A question that found no memory may find some after the next merge; sooner is hardly worth asking."""


class CudaBackend:
    """Arrays on a device. One thread, the engine's, makes all calls but project and those of ledger views.

    Args:
        runtime: the device.
        threads: of a block that projects, scans, marks or merges; it decides how long things take and nothing else.
    """

    name = "cupy"
    recomputes_every_tick = True

    def __init__(self, runtime: Runtime, *, threads: int = _THREADS) -> None:
        self.runtime = runtime
        self._gate = TickGate()
        self._query_runtime = QueryRuntime(runtime)
        self._queries = CudaQueries(Queue(self._query_runtime, urgent=False), self._gate, threads=threads)
        # Nothing below refers to this object: a cycle would keep device memory until the collector comes by.
        give_way = partial(_give_way, self._query_runtime, self._queries)
        self._queue = Queue(TickRuntime(runtime, give_way), urgent=True)
        sizes = LaunchSizes(threads=threads, join_threads=min(threads, 128), offset_threads=4 * threads)
        self._tables = CudaLiveTables(self._queue, sizes=sizes)
        merge_sizes = MergeSizes(threads=threads, offset_threads=4 * threads)
        compact_beside = partial(_compact, self._queries, merge_sizes)
        self._logs = CudaLogs(self._queue, compact_beside, partial(_read, self._queries))
        self._grids = CudaGrids(self._queue, threads=threads)

    def live_table(self, groups: int, snapshot: LiveSnapshot | None = None) -> CudaLiveTable:
        return self._tables.table(groups, snapshot)

    def ledger(self, snapshot: LedgerSnapshot | None = None) -> CudaLedger:
        return CudaLedger(self._logs, snapshot)

    def sweep(self, asked: Sequence[SweepRequest]) -> list[EndedCohorts]:
        with self._gate.tick():
            return self._tables.sweep(asked)

    def close(self, asked: Sequence[CloseRequest]) -> list[tuple[EndedCohorts, NDArray[np.int64]]]:
        with self._gate.tick():
            return self._tables.close(asked)

    def append(self, asked: Sequence[AppendRequest]) -> list[NDArray[np.int64]]:
        with self._gate.tick():
            return self._tables.append(asked)

    def advance(self, asked: Sequence[AdvanceRequest]) -> list[tuple[NDArray[np.uint32], NDArray[np.uint8]]]:
        with self._gate.tick():
            return self._grids.advance(asked)

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
        own = cast(CudaLedgerView, view)
        try:
            return self._queries.project(own, frame, now_minute, rows, weights, newest_column, checkpoint)
        except OutOfDeviceMemory as error:
            raise LimitExceeded(f"a grid needs memory the device does not have now: {error}", _RETRY_MS) from error

    def channel_buffer(
        self, frame: Timeframe, rows: RowRange, weights: NDArray[np.uint16], usd_per_weighted_lot: NDArray[np.float64]
    ) -> CudaChannelBuffer:
        return CudaChannelBuffer(self._grids, frame, rows, weights, usd_per_weighted_lot)

    def levels(self, cells: NDArray[np.int64], usd_per_weighted_lot: NDArray[np.float64]) -> NDArray[np.uint8]:
        return levels_of(cells, usd_per_weighted_lot)  # from host to host: a device would only be a detour

    @property
    def counters(self) -> dict[str, int]:
        return {"queries_shed": self._query_runtime.times_closed}


def _give_way(runtime: QueryRuntime, queries: CudaQueries) -> None:
    runtime.close()
    queries.give_way()


def _compact(
    queries: CudaQueries, sizes: MergeSizes, raw: DeviceRun, first_event: int, past: DevicePast, now_minute: int
) -> DevicePast:
    return queries.run(lambda queue, next_slice: compact(queue, raw, first_event, past, now_minute, next_slice, sizes))


def _read(queries: CudaQueries, run: DeviceRun) -> LedgerColumns:
    return queries.run(lambda queue, next_slice: run.read(queue))
