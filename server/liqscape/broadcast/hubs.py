"""The hub that new streams join, and how another takes its place: a hub is one epoch, an edge outlives many.

An engine that has been started again has a new epoch and other channels. Its hub takes over once it has something to
serve; until then readers keep what the old one has, which says that it is stale. Then they are sent away in good order
and find the new epoch when they come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Final, Protocol

from liqscape.broadcast.hub import Hub
from liqscape.broadcast.ports import ChannelPort, FrameSource
from liqscape.broadcast.ring import Ring
from liqscape.v1 import stream_pb2

_LOG = logging.getLogger(__name__)

NEW_EPOCH: Final = "the engine has been started again"

NEW_EPOCH_RECONNECT_AFTER_MS: Final = 0
"""The server is well, and clients add a quarter of a second of jitter."""

NEW_EPOCH_SPREAD_S: Final = 1.0
"""Readers leave one after the other: all of them come back for keyframes, which are the largest messages there are."""


PEER_LAG_S: Final = 2.0
"""An edge may get a tick a little later than another one; who comes from there waits for it rather than for keyframes.
Nobody knows whether a tick that never was is meant, so the wait is bounded."""


class RestoredSource(FrameSource, Protocol):
    """A source that knows what has been published before its first record."""

    @property
    def ring(self) -> Ring:
        """Return a ring with the past; empty where the engine has published nothing yet."""
        ...

    @property
    def channels(self) -> ChannelPort | None:
        """Return what opens tiles and custom channels of this source; None = nothing does."""
        ...


class Hubs:
    """The newest hub, and the one before it while its readers leave. All share counters, timings and clocks.

    Attributes:
        current: what new streams join.
        found: set once a source has been followed.
    """

    def __init__(self, hub: Hub, *, peer_lag_s: float = 0.0) -> None:
        """Start with one hub, which may be the only one for good.

        Args:
            hub: what is joined first.
            peer_lag_s: how long a reader that is ahead of us waits to be led on; 0 where there is no other edge.
        """
        self.current = hub
        self.found = asyncio.Event()
        self._peer_lag_s = peer_lag_s
        self._former: Hub | None = None
        self.counters = hub.counters
        self.timings = hub.timings
        self.now_ns = hub.now_ns
        self.monotonic = hub.monotonic

    async def follow(self, sources: AsyncIterator[RestoredSource]) -> None:
        """Take the records of one source after the other. A source that breaks a chain is given up for the next."""
        async for source in sources:
            try:
                await self._take(source)
            except Exception:  # readers keep what they have; the next source begins with a keyframe of everything
                _LOG.exception("frames of source %s cannot be taken any more", source.shard.source_id)

    async def caught_up(self, hub: Hub, resume: Iterable[stream_pb2.ResumePoint]) -> None:
        """Return when a hub has every tick that resume points of its epoch name, or the time for that is over."""
        ticks = [p.tick for p in resume if (p.source_id, p.epoch) == (hub.shard.source_id, hub.shard.epoch)]
        ends_at = self.monotonic() + self._peer_lag_s
        while ticks and hub.ring.head_tick < max(ticks) and hub.goodbye is None:
            left_s = ends_at - self.monotonic()
            if left_s <= 0:
                return
            await hub.wait(left_s, for_tick=True)

    def succeed(self, hub: Hub) -> None:
        """Let a hub take over; readers of the one before it are sent to it."""
        self._former, self.current = self.current, hub
        self._former.close(NEW_EPOCH, NEW_EPOCH_RECONNECT_AFTER_MS, NEW_EPOCH_SPREAD_S)

    def close(self, reason: str, reconnect_after_ms: int, spread_s: float = 0.0) -> None:
        """Let every reader end with GoingAway; see Hub.close."""
        for hub in (self._former, self.current):
            if hub is not None:
                hub.close(reason, reconnect_after_ms, spread_s)

    async def _take(self, source: RestoredSource) -> None:
        hub = Hub(
            source,
            channels=source.channels,
            ring=source.ring,
            now_ns=self.now_ns,
            monotonic=self.monotonic,
            timings=self.timings,
            counters=self.counters,
        )
        if hub.is_ready:
            self.succeed(hub)
        self.found.set()
        async for record in source.records():
            hub.append(record)
            if hub is not self.current:
                self.succeed(hub)
