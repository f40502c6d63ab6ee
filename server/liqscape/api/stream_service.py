"""StreamService over gRPC: a cursor of the hub, pumped into a response stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import grpc

from liqscape.api.holding import Holding
from liqscape.api.limits import FULL_RETRY_AFTER_MS, ServiceLimits
from liqscape.api.playback_requests import PlaybackRequests
from liqscape.api.playbacks import Playbacks
from liqscape.api.requests import channels_of, parse, resume_points_of
from liqscape.api.session_requests import SessionRequests, end_with
from liqscape.api.stalls import StallWatch
from liqscape.api.status_codes import Context, guarded, refusal_while_not_serving
from liqscape.broadcast.cadence import cadence_class_ms
from liqscape.broadcast.credits import Credits, max_in_flight
from liqscape.broadcast.cursor import Cursor
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.ports import QueryPort
from liqscape.broadcast.selections import Wanted
from liqscape.errors import InvalidArgument, LimitExceeded, QueryError, Unavailable
from liqscape.v1 import stream_pb2

STREAM_SERVICE: Final = "liqscape.v1.StreamService"


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a stream is asked for, checked as far as that goes without a hub."""

    wanted: list[Wanted]
    resume: list[stream_pb2.ResumePoint]
    cadence_ms: int

    @classmethod
    def of(cls, asked: stream_pb2.SubscribeRequest) -> _Wish:
        wanted, resume = channels_of(asked), resume_points_of(asked)
        return cls(wanted, resume, cadence_class_ms(asked.cadence_ms))


class StreamService:
    """Handlers of StreamService."""

    def __init__(self, hubs: Hubs, queries: QueryPort, stalls: StallWatch, limits: ServiceLimits) -> None:
        self._hubs = hubs
        self._queries = queries
        self._stalls = stalls
        self._max_streams = limits.max_streams
        self._sessions = limits.sessions
        self._playbacks = Playbacks(hubs.counters, queries, stalls, limits)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server adds. No serializer: frames are bytes already."""
        methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Subscribe": grpc.unary_stream_rpc_method_handler(guarded(self.subscribe)),
            "Session": grpc.stream_stream_rpc_method_handler(guarded(self.session)),
            "Playback": grpc.stream_stream_rpc_method_handler(guarded(self.playback)),
        }
        return grpc.method_handlers_generic_handler(STREAM_SERVICE, methods)

    async def subscribe(self, request: bytes, context: Context) -> None:
        """Stream until either side ends it; see proto/README.md."""
        asked = parse(stream_pb2.SubscribeRequest, request)
        if asked.max_in_flight:
            raise InvalidArgument("max_in_flight belongs to Session; Subscribe has no acknowledgements, leave it out")
        wish = _Wish.of(asked)
        hub = await self._serving_hub(wish.resume)
        async with Holding(hub) as holding:
            cursor = await self._cursor(hub, holding, wish)
            with self._open():
                await self._send(hub, cursor, context)

    async def session(self, _requests: object, context: Context) -> None:
        """Stream under the peer's acknowledgements until either side ends it; see proto/README.md."""
        requests = SessionRequests(context, self._hubs.counters, self._sessions, self._hubs.monotonic)
        asked = await requests.opening()
        if asked is None:
            return
        wish, credits = _Wish.of(asked), Credits(max_in_flight(asked.max_in_flight))
        hub = await self._serving_hub(wish.resume)
        async with Holding(hub) as holding:
            cursor = await self._cursor(hub, holding, wish, credits)
            with self._open():
                await self._converse(hub, cursor, requests, holding, context)

    async def playback(self, _requests: object, context: Context) -> None:
        """Play the past under the peer's acknowledgements until either side ends it; see proto/README.md."""
        requests = PlaybackRequests(context, self._hubs.counters, self._sessions, self._hubs.monotonic)
        asked = await requests.opening()
        if asked is None:
            return
        hub = await self._serving_hub([])
        with self._open():
            await self._playbacks.play(hub, asked, requests, context)

    async def _converse(
        self, hub: Hub, cursor: Cursor, requests: SessionRequests, holding: Holding, context: Context
    ) -> None:
        listening = asyncio.create_task(requests.pass_on(cursor, holding), name="session requests")
        listening.add_done_callback(lambda _: cursor.stop())
        try:
            await self._send(hub, cursor, context)
        finally:
            listening.cancel()
            await asyncio.wait({listening})
        if not listening.cancelled() and (error := listening.exception()) is not None:
            if not isinstance(error, QueryError):
                raise error
            end_with(context, error)

    async def _cursor(self, hub: Hub, holding: Holding, wish: _Wish, credits: Credits | None = None) -> Cursor:
        return Cursor(
            hub,
            await holding.select(wish.wanted),
            cadence_ms=wish.cadence_ms,
            resume=wish.resume,
            credits=credits,
            idle_after_s=self._sessions.idle_after_s,
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """Hold a place for a stream."""
        counters = self._hubs.counters
        if counters.streams_open >= self._max_streams:
            counters.streams_refused += 1
            raise LimitExceeded(f"{self._max_streams} streams are open, the limit of this server", FULL_RETRY_AFTER_MS)
        counters.streams_open += 1
        counters.streams_opened += 1
        try:
            yield
        finally:
            counters.streams_open -= 1

    async def _send(self, hub: Hub, cursor: Cursor, context: Context) -> None:
        with self._stalls.watching(context) as writer:
            while (frame := await cursor.next_frame()) is not None:
                message = hub.stamped(frame)
                writer.writing_since = hub.monotonic()
                await context.write(message)
                writer.writing_since = None
                cursor.sent(len(message))

    async def _serving_hub(self, resume: list[stream_pb2.ResumePoint]) -> Hub:
        hub = self._hubs.current
        if hub.goodbye is not None:
            raise Unavailable(hub.goodbye.reason)
        if not hub.is_ready:
            raise refusal_while_not_serving(await self._queries.status())
        await self._hubs.caught_up(hub, resume)
        return hub
