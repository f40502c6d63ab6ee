"""Tiles and custom channels as one hub has them: opened with the first reader, closed some time after the last.

All readers of this hub share one lease. A channel that nobody reads any more is kept for a while, so that who comes
back resumes; it makes room at once when another one would be refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from liqscape.broadcast.counters import StreamCounters
from liqscape.broadcast.ports import ChannelPort
from liqscape.errors import LimitExceeded, NotFound, Unavailable
from liqscape.grid.channel_specs import ChannelSpec
from liqscape.grid.updates import Channel

LINGER_S: Final = 30.0
"""What the ring holds: a reader that resumes within it finds the channel alive, and needs no keyframe."""

OPEN_WITHIN_S: Final = 10.0
"""An engine answers between two ticks. One that takes so long is in trouble, and the caller had better know."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A channel this hub has a lease on, or is about to.

    Attributes:
        spec: what it is.
        opening: the answer of the engine.
        readers: streams that have it selected.
        leaving: those of them that are about to give it up for others.
        idle_since: since when there are none.
        was_read: a stream has got it; one that never was need not be kept.
    """

    spec: ChannelSpec
    opening: asyncio.Task[Channel]
    readers: int = 0
    leaving: int = 0
    idle_since: float = 0.0
    was_read: bool = False

    @property
    def is_idle(self) -> bool:
        """Return whether it is open and nobody reads it."""
        return not self.readers and self.opening.done()

    @property
    def is_given_up(self) -> bool:
        """Return whether it is open and nobody will read it, once those that leave have what they ask for."""
        return self.readers == self.leaving and self.opening.done()


class OnDemand:
    """See above. On the hub's event loop.

    Args:
        port: the engine; None = there is none that opens channels.
        monotonic: seconds.
        counters: what was refused is counted there.
    """

    def __init__(self, port: ChannelPort | None, monotonic: Callable[[], float], counters: StreamCounters) -> None:
        self._port = port
        self._monotonic = monotonic
        self._counters = counters
        self._by_spec: dict[ChannelSpec, _Entry] = {}
        self._by_id: dict[int, _Entry] = {}
        self._newest_id = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._making_room = asyncio.Lock()

    def channel(self, channel_id: int) -> Channel | None:
        """Return a channel that is open here."""
        entry = self._by_id.get(channel_id)
        return None if entry is None else entry.opening.result()

    def was_ever(self, channel_id: int) -> bool:
        """Return whether a channel may have been open here. Ids rise and are not used again."""
        return channel_id <= self._newest_id

    async def hold(self, specs: Sequence[ChannelSpec], instead_of: Collection[int] = ()) -> list[Channel]:
        """Return channels, opened where they are not, and count a reader on each until it is released.

        Args:
            specs: which.
            instead_of: ids of channels that the caller holds and releases afterwards; those that nobody else reads and
                that are not asked for again may be closed already.

        Raises:
            QueryError: as ChannelPort.open_channel says; nothing is held then that was not held before.
        """
        entries: list[_Entry] = []
        held = (self._by_id.get(channel_id) for channel_id in instead_of)
        leaving = [entry for entry in held if entry is not None]  # of what is asked for again this is a reader more
        for entry in leaving:
            entry.leaving += 1
        try:
            for spec in specs:
                entry = self._entry(spec)
                entry.readers += 1
                entries.append(entry)
            try:
                async with asyncio.timeout(OPEN_WITHIN_S):
                    # Shielded: others may wait for the same one, and what has been opened must not be forgotten.
                    channels = [await asyncio.shield(entry.opening) for entry in entries]
            except TimeoutError:
                raise Unavailable(f"the engine has opened no channel within {OPEN_WITHIN_S:g} s") from None
        except BaseException as error:
            self._counters.channels_refused += isinstance(error, LimitExceeded)
            for entry in entries:
                self._let_go(entry)
            raise
        finally:
            for entry in leaving:
                entry.leaving -= 1
        for entry in entries:
            entry.was_read = True
        return channels

    def release(self, channel_ids: Iterable[int]) -> None:
        """Give readers back; ids of default channels are passed over."""
        for channel_id in channel_ids:
            entry = self._by_id.get(channel_id)
            if entry is not None:
                self._let_go(entry)

    def close_idle(self) -> None:
        """Close what nobody has read for long enough."""
        if not self._by_id:
            return
        now = self._monotonic()
        for entry in [e for e in self._by_id.values() if e.is_idle]:
            if not entry.was_read or now - entry.idle_since >= LINGER_S:
                closing = asyncio.get_running_loop().create_task(self._close(entry), name="close channel")
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def _entry(self, spec: ChannelSpec) -> _Entry:
        entry = self._by_spec.get(spec)
        if entry is None:
            opening = asyncio.get_running_loop().create_task(self._open(spec), name="open channel")
            entry = self._by_spec[spec] = _Entry(spec, opening)
            opening.add_done_callback(lambda _: self._opened(entry))
        return entry

    def _opened(self, entry: _Entry) -> None:
        if entry.opening.cancelled() or entry.opening.exception() is not None:
            self._by_spec.pop(entry.spec, None)
            return
        channel_id = entry.opening.result().channel_id
        self._by_id[channel_id] = entry
        self._newest_id = max(self._newest_id, channel_id)

    async def _open(self, spec: ChannelSpec) -> Channel:
        """Have a channel opened; where that is refused, close those that nobody reads, the longest idle first."""
        if self._port is None:
            raise NotFound("this server has default channels alone; leave rows, prices, positions and row_fold out")
        async with self._making_room:
            pass  # what is made there is for another
        try:
            return await self._port.open_channel(spec)
        except LimitExceeded as refusal:
            async with self._making_room:
                return await self._open_in_place(self._port, spec, refusal)

    async def _open_in_place(self, port: ChannelPort, spec: ChannelSpec, refusal: LimitExceeded) -> Channel:
        """Have a channel opened that was refused, in place of others."""
        while in_the_way := [e for e in self._by_id.values() if e.is_given_up and _is_alike(e.spec, spec)]:
            await self._close(min(in_the_way, key=lambda entry: (entry.readers, entry.idle_since)))
            try:
                return await port.open_channel(spec)
            except LimitExceeded as again:
                refusal = again
        raise refusal

    async def _close(self, entry: _Entry) -> None:
        channel_id = entry.opening.result().channel_id
        # First, so that nobody can take it any more: who wants it from now on asks the engine.
        if self._by_id.pop(channel_id, None) is entry:
            del self._by_spec[entry.spec]
            assert self._port is not None
            await self._port.close_channel(channel_id)

    def _let_go(self, entry: _Entry) -> None:
        entry.readers -= 1
        entry.idle_since = self._monotonic()

    def describe(self, channel_ids: Collection[int]) -> list[Channel]:
        """Return those channels that are open here, by id."""
        found = (self.channel(channel_id) for channel_id in sorted(channel_ids))
        return [channel for channel in found if channel is not None]


def _is_alike(one: ChannelSpec, other: ChannelSpec) -> bool:
    """Return whether closing one may make room for the other: a tile of a custom channel keeps that one open."""
    if not one.whole.is_default and not other.whole.is_default:
        return True
    return (one.tile is None) == (other.tile is None)
