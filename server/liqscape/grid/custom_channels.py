"""Channels of one symbol that count other weights than everything in full, or on coarser rows. Each follows the default
channel of its timeframe: the same rows or several of them in one, the same newest column: cells can be compared.

Where a tick recomputes every grid anyway, a new one is made in the tick. Where it does not, a first grid would hold the
tick up: it is made of an immutable view on another thread, and a tick takes it over and adds what has come since. Until
then a new channel says nothing, and one whose default channel has moved its rows goes on with its old ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import AdvanceRequest, Backend, ChannelBuffer, LedgerView
from liqscape.grid.channel_state import ChannelState, DueChannel
from liqscape.grid.updates import Channel, ChannelAxes
from liqscape.market.bars import PriceRange


@dataclass(slots=True, eq=False)
class _Follower:
    """A custom channel.

    Attributes:
        state: what it last said.
        leader: the default channel of its timeframe.
        generation: of the leader, whose rows it has; 0 = it has none yet.
        made_for: of the leader, for whose rows an empty buffer waits, where a tick fills it.
        build: of the rows to come; None = none is needed, or it has not been begun.
    """

    state: ChannelState
    leader: ChannelState
    generation: int = 0
    made_for: int = 0
    build: ChannelBuild | None = None

    @property
    def is_behind(self) -> bool:
        """Return whether the leader has other rows."""
        return self.generation != self.leader.generation

    @property
    def axes(self) -> ChannelAxes | None:
        """Return the axes that it is to have; None until the leader has any."""
        return _follow(self.leader, self.state.channel)

    @property
    def awaits_build(self) -> bool:
        """Return whether nobody makes the grid it needs."""
        return self.is_behind and (self.build is None or self.build.generation != self.leader.generation)


class ChannelBuild:
    """A first grid to be made beside the ticks.

    Args:
        backend: where it is made; one whose buffers any thread may make.
        state: of the channel.
        leader: as it is between two ticks.
        view: the ledger then.
        now_minute: the newest minute of the view.

    Attributes:
        channel: whose grid it is.
        generation: of the leader, whose rows the grid has.
        buffer: the grid, once it has been made.
    """

    def __init__(
        self, backend: Backend, state: ChannelState, leader: ChannelState, view: LedgerView, now_minute: int
    ) -> None:
        axes = _follow(leader, state.channel)
        assert axes is not None
        self.channel = state.channel
        self.generation = leader.generation
        self.buffer: ChannelBuffer | None = None
        self._backend = backend
        self._weights = state.weights
        self._axes = axes
        self._newest = leader.newest_column
        self._view: LedgerView | None = view
        self._now_minute = now_minute

    def run(self) -> None:
        """Make the grid. On any thread."""
        view, self._view = (
            self._view,
            None,
        )  # kept no longer than needed: it holds merged events that have been replaced
        assert view is not None
        buffer = new_buffer(self._backend, self._axes, self._weights)
        buffer.advance(view, self._now_minute, self._newest)
        self.buffer = buffer


def _follow(leader: ChannelState, channel: Channel) -> ChannelAxes | None:
    """Return the axes of a channel whose leader has those of now."""
    axes = leader.axes
    if axes is None or channel.row_fold == 1:
        return axes
    return replace(axes, rows=axes.rows.folded(channel.row_fold))


def new_buffer(backend: Backend, axes: ChannelAxes, weights: NDArray[np.uint16]) -> ChannelBuffer:
    """Return the buffer of a generation with these axes."""
    factors = np.array(axes.scale.usd_per_weighted_lot(axes.rows), np.float64)
    return backend.channel_buffer(axes.timeframe, axes.rows, weights, factors)


class CustomChannels:
    """The custom channels of one symbol. On the engine's thread."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._followers: dict[int, _Follower] = {}

    def states(self) -> Iterator[ChannelState]:
        """Yield what each channel last said."""
        return (follower.state for follower in self._followers.values())

    def open(self, channel: Channel, weights: NDArray[np.uint16], leader: ChannelState) -> None:
        """Take a channel up. It begins with a tick to come.

        Args:
            channel: the new one.
            weights: uint16[key].
            leader: the default channel of its timeframe.

        Raises:
            OutOfDeviceMemory: there is no room for its grid.
        """
        follower = _Follower(ChannelState(channel, weights, leader.price_path.copy()), leader)
        axes = follower.axes
        if self._backend.recomputes_every_tick and axes is not None:
            follower.state.buffer = new_buffer(self._backend, axes, weights)  # here an error harms nobody else
            follower.made_for = leader.generation
        self._followers[channel.channel_id] = follower

    def close(self, channel_id: int) -> None:
        """Let a channel go."""
        self._followers.pop(channel_id, None)

    def update_price(self, first_minute: int, minute: int, price: PriceRange) -> None:
        """Take the price of a bar."""
        for state in self.states():
            state.price_path.update(first_minute, minute, price)

    def forget_rows(self) -> None:
        """Let every channel wait for the rows that its leader is about to have: those of now mean nothing any more."""
        for follower in self._followers.values():
            follower.state.axes = follower.state.buffer = None

    def prepare(self, view: LedgerView, now_minute: int) -> list[DueChannel]:
        """Begin to bring every channel that has a grid to now, once its leader has been prepared."""
        due = (self._prepare(follower, view, now_minute) for follower in self._followers.values())
        return [one for one in due if one is not None]

    def builds(self, capture: Callable[[], LedgerView], now_minute: int) -> list[ChannelBuild]:
        """Return the grids that are to be made beside the ticks, each once. Call it between ticks.

        Args:
            capture: returns the ledger as it is.
            now_minute: the newest one in it.
        """
        if self._backend.recomputes_every_tick:
            return []
        begun = [f for f in self._followers.values() if f.awaits_build and f.leader.axes is not None]
        for follower in begun:
            follower.build = ChannelBuild(self._backend, follower.state, follower.leader, capture(), now_minute)
        return [follower.build for follower in begun if follower.build is not None]

    def retry(self, build: ChannelBuild) -> None:
        """Have a grid that could not be made begun anew."""
        follower = self._followers.get(build.channel.channel_id)
        if follower is not None and follower.build is build:
            follower.build = None

    def _prepare(self, follower: _Follower, view: LedgerView, now_minute: int) -> DueChannel | None:
        state, leader, axes = follower.state, follower.leader, follower.axes
        fresh, built = False, follower.build
        if follower.is_behind and axes is not None:
            if self._backend.recomputes_every_tick:
                if follower.made_for != leader.generation:
                    state.buffer = new_buffer(self._backend, axes, state.weights)
                    follower.made_for = leader.generation
                fresh = True
            elif built is not None and built.buffer is not None and built.generation == leader.generation:
                state.buffer, follower.build, fresh = built.buffer, None, True
        if fresh:
            state.axes, follower.generation = axes, leader.generation
            state.generation += 1
        if state.axes is None or state.buffer is None:
            return None
        rolled = leader.newest_column != state.newest_column
        state.newest_column = leader.newest_column
        request = AdvanceRequest(state.buffer, view, now_minute, state.newest_column)
        whole = fresh and not self._backend.recomputes_every_tick
        return DueChannel(state, request, fresh, rolled, whole)
