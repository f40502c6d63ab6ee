"""One channel of a grid engine: what it last said, and what a tick makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import AdvanceRequest, ChannelBuffer
from liqscape.grid.queries import AxesSince
from liqscape.grid.updates import CandleColumns, Channel, ChannelAxes, ChannelUpdate
from liqscape.market.price_path import PricePath


class ChannelState:
    """What one channel last said.

    Args:
        channel: which.
        weights: uint16[key], what its cells count.
        price_path: the trigger price by column up to now; nothing is known by default.
    """

    def __init__(self, channel: Channel, weights: NDArray[np.uint16], price_path: PricePath | None = None) -> None:
        self.channel = channel
        self.weights = weights
        self.price_path = PricePath(channel.timeframe) if price_path is None else price_path
        self.generation = 0
        self.newest_column = -1
        self.axes: ChannelAxes | None = None
        self.buffer: ChannelBuffer | None = None
        self.history: list[AxesSince] = []

    def is_behind(self, now_minute: int) -> bool:
        """Return whether the newest column has ended."""
        return self.newest_column < self.channel.timeframe.column_of(now_minute)


@dataclass(frozen=True, slots=True)
class DueChannel:
    """A channel on its way to now.

    Attributes:
        state: its axes and newest column are those of now already.
        request: what is to be asked of the backend.
        fresh: it begins a generation.
        rolled: it has another newest column than before.
        whole: the buffer has been advanced before, unseen: what it said then is told too.
    """

    state: ChannelState
    request: AdvanceRequest
    fresh: bool
    rolled: bool
    whole: bool = False


def finish_channel(due: DueChannel, cells: NDArray[np.uint32], levels: NDArray[np.uint8]) -> ChannelUpdate | None:
    """Return what has changed of a channel, or None.

    Args:
        due: the channel.
        cells, levels: what its buffer's advance returned.
    """
    state = due.state
    if due.whole:
        ring = due.request.buffer.levels().reshape(-1)
        cells = np.flatnonzero(ring).astype(np.uint32)
        levels = ring[cells]
    if not (due.fresh or due.rolled or len(cells)):
        return None  # a price that moved alone is told with the next change, or by the symbol's mark price
    changed = state.price_path.take_changed(state.newest_column)
    window = state.price_path.window(state.newest_column)
    return ChannelUpdate(
        channel=state.channel,
        generation=state.generation,
        axes=state.axes if due.fresh else None,
        newest_column=state.newest_column,
        cells=cells,
        levels=levels,
        candles=CandleColumns(*(window if due.fresh else changed)),
        all_candles=CandleColumns(*window),
    )
