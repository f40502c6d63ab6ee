"""The backend for machines without a GPU, and the definition of what every other backend returns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device.backend import LedgerView
from liqscape.device.numpy_channel import NumpyChannelBuffer
from liqscape.device.numpy_grid import levels_of as levels_of
from liqscape.device.numpy_grid import project
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.device.numpy_live import NumpyLiveTable


class NumpyBackend:
    """Arrays on the host."""

    name = "numpy"

    def live_table(self, groups: int) -> NumpyLiveTable:
        return NumpyLiveTable(groups)

    def ledger(self) -> NumpyLedger:
        return NumpyLedger()

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
