"""Playbacks over gRPC: places for them, pictures of the past from the owner of the shard, and their way to the peer."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from liqscape.api.gate import check_channels, current_caller, max_cells
from liqscape.api.limits import FULL_RETRY_AFTER_MS, ServiceLimits
from liqscape.api.playback_requests import PlaybackRequests, PlaybackWish, wish_of
from liqscape.api.session_requests import end_with
from liqscape.api.stalls import StallWatch
from liqscape.api.status_codes import Context
from liqscape.broadcast.counters import StreamCounters
from liqscape.broadcast.credits import Credits
from liqscape.broadcast.frames import stamped
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.playback import Pictures, Playback
from liqscape.broadcast.playback_messages import PlaybackSource
from liqscape.broadcast.ports import QueryPort
from liqscape.errors import LimitExceeded, QueryError, Unavailable
from liqscape.grid.past import PastPicture
from liqscape.v1 import stream_pb2


class Playbacks:
    """All playbacks of a server."""

    def __init__(self, counters: StreamCounters, queries: QueryPort, stalls: StallWatch, limits: ServiceLimits) -> None:
        self._counters = counters
        self._queries = queries
        self._stalls = stalls
        self._limits = limits
        self._open_by_caller: Counter[str] = Counter()

    async def play(
        self, hub: Hub, asked: stream_pb2.PlaybackOpen, requests: PlaybackRequests, context: Context
    ) -> None:
        """Play what an opening asks for until either side ends it.

        Raises:
            QueryError: it cannot be played, or not for this caller; nothing has been sent.
        """
        wish = wish_of(asked, hub.plan)
        check_channels(len(wish.channels))
        with self._place():
            playback = self._playback(hub, wish)
            try:
                await playback.begin()
                await self._converse(hub, playback, requests, context)
            finally:
                playback.close()

    def _playback(self, hub: Hub, wish: PlaybackWish) -> Playback:
        shard = hub.shard
        return Playback(
            hub,
            PlaybackSource(shard.source_id, secrets.randbits(64), shard.simulated, shard.input),
            wish.channels,
            wish.span,
            self._pictures(wish),
            credits=Credits(wish.max_in_flight),
            speed=wish.speed,
            paused=wish.paused,
            idle_after_s=self._limits.sessions.idle_after_s,
        )

    def _pictures(self, wish: PlaybackWish) -> Pictures:
        limit_s, cells = self._limits.max_grid_seconds, max_cells()

        async def pictures(minute: int) -> Sequence[PastPicture]:
            try:
                async with asyncio.timeout(limit_s):
                    # One after the other, so that no playback has more than one question waiting before others'.
                    return [
                        await self._queries.get_picture(replace(query, as_of_minute=minute, max_cells=cells))
                        for query in wish.queries
                    ]
            except TimeoutError:
                raise Unavailable(f"no picture of minute {minute} within {limit_s:g} s") from None

        return pictures

    async def _converse(self, hub: Hub, playback: Playback, requests: PlaybackRequests, context: Context) -> None:
        listening = asyncio.create_task(requests.pass_on(playback), name="playback requests")
        listening.add_done_callback(lambda _: playback.stop())
        try:
            await self._send(hub, playback, context)
        except QueryError as failure:
            end_with(context, failure)
            return
        finally:
            listening.cancel()
            await asyncio.wait({listening})
        if not listening.cancelled() and (error := listening.exception()) is not None:
            if not isinstance(error, QueryError):
                raise error
            end_with(context, error)

    async def _send(self, hub: Hub, playback: Playback, context: Context) -> None:
        with self._stalls.watching(context) as writer:
            while (frame := await playback.next_frame()) is not None:
                message = stamped(frame, hub.now_ns())
                await writer.write(message)
                self._counters.frames += 1
                self._counters.frame_bytes += len(message)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """Hold a place for a playback."""
        try:
            caller = self._check_places()
        except LimitExceeded:
            self._counters.playbacks_refused += 1
            raise
        self._open_by_caller[caller] += 1
        self._counters.playbacks_open += 1
        try:
            yield
        finally:
            self._counters.playbacks_open -= 1
            self._open_by_caller[caller] -= 1
            if not self._open_by_caller[caller]:
                del self._open_by_caller[caller]

    def _check_places(self) -> str:
        caller = current_caller()
        if caller is not None and self._open_by_caller[caller.key] >= caller.limits.playbacks:
            raise LimitExceeded(
                f"{caller.name} has {caller.limits.playbacks} playbacks open, its limit", FULL_RETRY_AFTER_MS
            )
        limit = self._limits.max_playbacks
        if self._counters.playbacks_open >= limit:
            raise LimitExceeded(f"{limit} playbacks are open, the limit of this server", FULL_RETRY_AFTER_MS)
        return "" if caller is None else caller.key
