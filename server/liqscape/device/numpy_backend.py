"""The backend for machines without a GPU, and the definition of what every other backend returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device.backend import (
    AdvanceRequest,
    AppendRequest,
    CloseRequest,
    EndedCohorts,
    LedgerSnapshot,
    LedgerView,
    LiveSnapshot,
    SweepRequest,
)
from liqscape.device.numpy_channel import NumpyChannelBuffer
from liqscape.device.numpy_grid import levels_of as levels_of
from liqscape.device.numpy_grid import project
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.device.numpy_live import NumpyLiveTable


class NumpyBackend:
    """Arrays on the host."""

    name = "numpy"
    recomputes_every_tick = False
    counters: Final[dict[str, int]] = {}

    def sweep(self, asked: Sequence[SweepRequest]) -> list[EndedCohorts]:
        return [one.table.sweep(one.trigger_rows) for one in asked]

    def close(self, asked: Sequence[CloseRequest]) -> list[tuple[EndedCohorts, NDArray[np.int64]]]:
        return [one.table.close(one.lots) for one in asked]

    def append(self, asked: Sequence[AppendRequest]) -> list[NDArray[np.int64]]:
        return [one.table.append(one.open_minute, one.rows, one.keys, one.lots, one.clocks) for one in asked]

    def advance(self, asked: Sequence[AdvanceRequest]) -> list[tuple[NDArray[np.uint32], NDArray[np.uint8]]]:
        return [one.buffer.advance(one.view, one.now_minute, one.newest_column) for one in asked]

    def live_table(self, groups: int, snapshot: LiveSnapshot | None = None) -> NumpyLiveTable:
        return NumpyLiveTable(groups, snapshot)

    def ledger(self, snapshot: LedgerSnapshot | None = None) -> NumpyLedger:
        return NumpyLedger(snapshot)

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
        return project(view, frame, now_minute, rows, weights, newest_column, checkpoint)

    def channel_buffer(
        self, frame: Timeframe, rows: RowRange, weights: NDArray[np.uint16], usd_per_weighted_lot: NDArray[np.float64]
    ) -> NumpyChannelBuffer:
        return NumpyChannelBuffer(frame, rows, weights, usd_per_weighted_lot)

    def levels(self, cells: NDArray[np.int64], usd_per_weighted_lot: NDArray[np.float64]) -> NDArray[np.uint8]:
        return levels_of(cells, usd_per_weighted_lot)
