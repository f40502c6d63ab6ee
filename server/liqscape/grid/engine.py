"""The grid engine of one symbol: ledger in, changed cells of nine timeframes and of custom channels out.

Every rendered tick brings every grid to now; only the cells whose level changed leave.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, SymbolScale, Timeframe
from liqscape.device.backend import AdvanceRequest, Backend, LedgerView
from liqscape.errors import ModelError
from liqscape.grid.channel_state import ChannelSnapshot, ChannelState, DueChannel, finish_channel
from liqscape.grid.custom_channels import CustomChannels, new_buffer
from liqscape.grid.event_log import EventLog, EventLogSnapshot
from liqscape.grid.queries import AxesSince
from liqscape.grid.updates import CandleColumns, Channel, ChannelAxes, ChannelUpdate
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep
from liqscape.positions.weights import default_weights


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """A GridEngine without its grids."""

    log: EventLogSnapshot
    channels: tuple[ChannelSnapshot, ...]


class GridEngine:
    """Ledger and channels of one symbol.

    Args:
        channels: the symbol's default channels, one a timeframe.
        scale: integer units of the symbol.
        instruments: how many instruments the keys number.
        backend: where ledger and grids live.

    Attributes:
        log: the events of the book.
        custom: channels that count other weights.
    """

    def __init__(self, channels: tuple[Channel, ...], scale: SymbolScale, instruments: int, backend: Backend) -> None:
        self.scale = scale
        self.weights = default_weights(instruments)
        self._backend = backend
        self.log = EventLog(backend)
        self.custom = CustomChannels(backend)
        self._channels = tuple(ChannelState(channel, self.weights) for channel in channels)
        self._followed: tuple[LedgerView, int] | None = None  # ledger and minute of a render whose grids are to be made
        self._by_id = {state.channel.channel_id: state for state in self._channels}

    @property
    def ledger_events(self) -> int:
        """Return the number of events logged."""
        return len(self.log)

    def record(self, step: BookStep, bars: list[Bar]) -> None:
        """Log what a step did to the book, and the price of the symbol in it (of the first bar that has one)."""
        self.log.record(step)
        for bar in bars:
            if bar.trigger is not None:
                for state in self._channels:
                    state.price_path.update(bar.first_minute, bar.minute, bar.trigger)
                self.custom.update_price(bar.first_minute, bar.minute, bar.trigger)
                break

    def open_channel(self, channel: Channel, default_id: int, weights: NDArray[np.uint16]) -> None:
        """Take up a custom channel beside the default one of its timeframe; see CustomChannels.open."""
        self.custom.open(channel, weights, self._by_id[default_id])

    def capture(self) -> LedgerView:
        """Return the ledger as it is now."""
        return self.log.capture()

    def coarsen_rows(self, scale: SymbolScale, multiple: int) -> None:
        """Begin a new generation of every channel on rows multiple times as high.

        Args:
            scale: the units from now on.
            multiple: its base step over that of now.
        """
        self.scale = scale
        self.log.coarsen_rows(multiple)
        for state in self._channels:
            state.axes, state.buffer = None, None
            state.history.clear()
        self.custom.forget_rows()

    def due_rolls(self, now_minute: int, mark_price: int) -> list[Channel]:
        """Return the channels whose axes are behind: a column has ended, or the price has left their middle half."""
        return [
            state.channel
            for state in self._channels
            if state.axes is not None and (state.is_behind(now_minute) or state.must_move(self.scale, mark_price))
        ]

    def render(self, now_minute: int, mark_price: int, rolls: Container[int] | None = None) -> list[ChannelUpdate]:
        """Bring every grid to now and return what changed since the last call; see prepare."""
        due = self.prepare(now_minute, mark_price, rolls)
        return self.finish(due, self._backend.advance([channel.request for channel in due]))

    def prepare(self, now_minute: int, mark_price: int, rolls: Container[int] | None = None) -> list[DueChannel]:
        """Begin to bring every grid to now: choose axes, and say what is to be asked of the backend.

        Args:
            now_minute: never below that of the call before.
            mark_price: rows move when it leaves the middle half of a channel's range.
            rolls: ids of the channels whose axes come to now; None: of all. Others keep theirs, and what has happened
                since counts in their newest column.

        Returns:
            Every channel, for finish; a custom one only once it has a grid.
        """
        view = self.log.capture()
        due = [
            self._prepare_channel(
                state, view, now_minute, mark_price, rolls is None or state.channel.channel_id in rolls
            )
            for state in self._channels
        ]
        return due + self.custom.prepare(view, now_minute)

    def finish(
        self, due: Sequence[DueChannel], changed: Sequence[tuple[NDArray[np.uint32], NDArray[np.uint8]]]
    ) -> list[ChannelUpdate]:
        """Return what changed since the last call.

        Args:
            due: what prepare returned.
            changed: what Backend.advance has answered to each of its requests.
        """
        updates = (finish_channel(one, *cells) for one, cells in zip(due, changed, strict=True))
        return [update for update in updates if update is not None]

    def follow(self, now_minute: int, mark_price: int, rolls: Container[int]) -> None:
        """Do to axes what render does, and leave the grids to rebuild. Arguments as in prepare."""
        for state in self._channels:
            state.advance_axes(self.scale, now_minute, mark_price, state.channel.channel_id in rolls)
            state.buffer = None
        self._followed = self.log.capture(), now_minute

    def rebuild(self) -> list[AdvanceRequest]:
        """Return what is to be asked of the backend so that every grid is as of the last render."""
        if self._followed is None:
            return []
        view, now_minute = self._followed
        self._followed = None
        requests: list[AdvanceRequest] = []
        for state in self._channels:
            if state.axes is not None and state.buffer is None:
                state.buffer = new_buffer(self._backend, state.axes, self.weights)
                requests.append(AdvanceRequest(state.buffer, view, now_minute, state.newest_column))
        return requests

    def whole(self) -> list[ChannelUpdate]:
        """Return every channel that was ever rendered as if it had changed as a whole."""
        updates = (state.whole() for state in self._channels)
        return [update for update in updates if update is not None]

    def snapshot(self) -> Callable[[], EngineSnapshot]:
        """Return the work of copying everything as it is now but the grids, for any thread."""
        log, channels = self.log.snapshot(), tuple(state.snapshot() for state in self._channels)
        return lambda: EngineSnapshot(log(), channels)

    def restore(self, snapshot: EngineSnapshot, minute: int) -> None:
        """Be as when a snapshot was taken, grids left to rebuild. On the units of then.

        Args:
            snapshot: taken before any render, or right after one.
            minute: of that render.

        Raises:
            ModelError: it is of other channels.
        """
        if len(snapshot.channels) != len(self._channels):
            raise ModelError(f"{len(snapshot.channels)} channels of a snapshot are not the {len(self._channels)} here")
        self.log.restore(snapshot.log)
        for state, was in zip(self._channels, snapshot.channels, strict=True):
            state.restore(was)
        self._followed = self.log.capture(), minute

    def self_check(self, number: int, now_minute: int) -> Callable[[], str | None] | None:
        """Return a comparison of one channel, as streamed, with the full recompute; None before its first render.

        The comparison may run on any thread; it returns what differs, in words, or None.
        """
        states = (*self._channels, *self.custom.states())
        state = states[number % len(states)]
        if state.buffer is None or state.axes is None:
            return None
        view, cells, frame, rows, newest = (
            self.log.capture(),
            state.buffer.cells(),
            state.channel.timeframe,
            state.axes.rows,
            state.newest_column,
        )

        def compare() -> str | None:
            wrong = int((self.project(view, frame, now_minute, rows, state.weights, newest) != cells).sum())
            return f"{wrong} of {cells.size} cells of {state.channel.symbol} {frame.name} differ" if wrong else None

        return compare

    def axes(self, channel_id: int) -> tuple[int, ChannelAxes] | None:
        """Return generation and axes of a channel, or None before its first render."""
        state = self._by_id.get(channel_id)
        return None if state is None or state.axes is None else (state.generation, state.axes)

    def history(self, channel_id: int) -> tuple[AxesSince, ...]:
        """Return the axes a channel has had over the last day, oldest first."""
        return tuple(self._by_id[channel_id].history)

    def newest_column(self, channel_id: int) -> int:
        """Return the newest column a channel has told of; behind that of now while its roll waits."""
        return self._by_id[channel_id].newest_column

    def candles(self, channel_id: int, newest_column: int) -> CandleColumns:
        """Return the price by column of a channel's window."""
        return CandleColumns(*self._by_id[channel_id].price_path.window(newest_column))

    def levels(self, channel_id: int) -> NDArray[np.uint8]:
        """Return the ring of levels a channel has emitted; for checks."""
        buffer = self._by_id[channel_id].buffer
        return np.zeros((0, 0), np.uint8) if buffer is None else buffer.levels()

    def project(
        self,
        view: LedgerView,
        frame: Timeframe,
        now_minute: int,
        rows: RowRange,
        weights: NDArray[np.uint16] | None = None,
        newest_column: int | None = None,
        checkpoint: Callable[[], None] | None = None,
    ) -> NDArray[np.int64]:
        """Return the exact grid of a captured ledger: int64[column, row] weighted lots; all cohorts without weights.

        See Backend.project.
        """
        weights = self.weights if weights is None else weights
        return self._backend.project(view, frame, now_minute, rows, weights, newest_column, checkpoint)

    def _prepare_channel(
        self, state: ChannelState, view: LedgerView, now_minute: int, mark_price: int, may_roll: bool
    ) -> DueChannel:
        left = state.axes is not None and state.buffer is None
        fresh, rolled = state.advance_axes(self.scale, now_minute, mark_price, may_roll)
        if left and not fresh:
            raise ModelError(f"{state.channel} is rendered before its grid is made again, see rebuild")
        if state.buffer is None:
            assert state.axes is not None
            state.buffer = new_buffer(self._backend, state.axes, self.weights)
        return DueChannel(state, AdvanceRequest(state.buffer, view, now_minute, state.newest_column), fresh, rolled)
