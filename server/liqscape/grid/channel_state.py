"""One channel of a grid engine: what it last said, and what a tick makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, SymbolScale
from liqscape.device.age_tiers import RAW_MINUTES
from liqscape.device.backend import AdvanceRequest, ChannelBuffer
from liqscape.errors import ModelError
from liqscape.grid.queries import AxesSince
from liqscape.grid.updates import CandleColumns, Channel, ChannelAxes, ChannelUpdate
from liqscape.market.price_path import PricePath, PricePathSnapshot


@dataclass(frozen=True, slots=True)
class AxesSnapshot:
    """Rows that a channel has had since a minute, and in which units."""

    from_minute: int
    generation: int
    scale: SymbolScale
    rows: RowRange


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSnapshot:
    """A ChannelState. axes are those of the last day, oldest first; none before the first render."""

    channel_id: int
    timeframe: str
    generation: int
    newest_column: int
    axes: tuple[AxesSnapshot, ...]
    prices: PricePathSnapshot


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

    def advance_axes(self, scale: SymbolScale, now_minute: int, mark_price: int, may_roll: bool) -> tuple[bool, bool]:
        """Bring axes and newest column to now, as far as they may move.

        Returns:
            Whether a generation begins, for which a buffer is wanted, and whether the newest column is another one.
        """
        frame = self.channel.timeframe
        fresh = self.axes is None or (may_roll and self.must_move(scale, mark_price))
        if fresh:
            self.axes, self.buffer = ChannelAxes(frame, scale, scale.row_range(frame, mark_price)), None
            self.generation += 1
            self.history.append(AxesSince(now_minute, self.generation, self.axes))
            expired = now_minute - RAW_MINUTES
            while len(self.history) > 1 and self.history[1].from_minute <= expired:
                self.history.pop(0)  # nobody may ask for grids that old
        newest = frame.column_of(now_minute) if fresh or may_roll else self.newest_column
        rolled, self.newest_column = newest != self.newest_column, newest
        return fresh, rolled

    def must_move(self, scale: SymbolScale, mark_price: int) -> bool:
        """Return whether the price has left the middle half of the rows."""
        return self.axes is not None and not self.axes.rows.holds_in_middle_half(scale.base_row(mark_price))

    def whole(self) -> ChannelUpdate | None:
        """Return everything the channel has said, as the beginning of a stream; None before its first render.

        The prices that have changed count as told.
        """
        if self.axes is None or self.buffer is None:
            return None
        levels = self.buffer.levels().reshape(-1)
        cells = np.flatnonzero(levels)
        self.price_path.take_changed(self.newest_column)
        candles = CandleColumns(*self.price_path.window(self.newest_column))
        return ChannelUpdate(
            channel=self.channel,
            generation=self.generation,
            axes=self.axes,
            newest_column=self.newest_column,
            cells=cells.astype(np.uint32),
            levels=levels[cells],
            candles=candles,
            all_candles=candles,
        )

    def snapshot(self) -> ChannelSnapshot:
        """Return everything but the grid, which follows from the ledger."""
        return ChannelSnapshot(
            channel_id=self.channel.channel_id,
            timeframe=self.channel.timeframe.name,
            generation=self.generation,
            newest_column=self.newest_column,
            axes=tuple(AxesSnapshot(a.from_minute, a.generation, a.axes.scale, a.axes.rows) for a in self.history),
            prices=self.price_path.snapshot(),
        )

    def restore(self, snapshot: ChannelSnapshot) -> None:
        """Be as when a snapshot was taken, but for the grid.

        Raises:
            ModelError: it is of another channel.
        """
        frame = self.channel.timeframe
        if (snapshot.channel_id, snapshot.timeframe) != (self.channel.channel_id, frame.name):
            raise ModelError(f"channel {snapshot.channel_id} ({snapshot.timeframe}) is not {self.channel}")
        self.generation, self.newest_column = snapshot.generation, snapshot.newest_column
        self.history = [
            AxesSince(a.from_minute, a.generation, ChannelAxes(frame, a.scale, a.rows)) for a in snapshot.axes
        ]
        self.axes = self.history[-1].axes if self.history else None
        self.price_path.restore(snapshot.prices)

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
