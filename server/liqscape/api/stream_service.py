"""StreamService over gRPC: a cursor of the hub, pumped into a response stream."""

from __future__ import annotations

from typing import Final

import grpc

from liqscape.api.gate import check_channels
from liqscape.api.limits import FULL_RETRY_AFTER_MS, ServiceLimits
from liqscape.api.requests import channels_of, parse, resume_points_of
from liqscape.api.stalls import StallWatch
from liqscape.api.status_codes import Context, guarded, refusal_while_not_serving
from liqscape.broadcast.cursor import Cursor, cadence_class_ms
from liqscape.broadcast.frames import stamped
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.ports import QueryPort
from liqscape.errors import LimitExceeded, Unavailable
from liqscape.v1 import stream_pb2

STREAM_SERVICE: Final = "liqscape.v1.StreamService"


class StreamService:
    """Handlers of StreamService."""

    def __init__(self, hub: Hub, queries: QueryPort, stalls: StallWatch, limits: ServiceLimits) -> None:
        self._hub = hub
        self._queries = queries
        self._stalls = stalls
        self._max_streams = limits.max_streams

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server adds. No serializer: frames are bytes already."""
        return grpc.method_handlers_generic_handler(
            STREAM_SERVICE, {"Subscribe": grpc.unary_stream_rpc_method_handler(guarded(self.subscribe))}
        )

    async def subscribe(self, request: bytes, context: Context) -> None:
        """Stream until either side ends it; see proto/README.md."""
        asked = parse(stream_pb2.SubscribeRequest, request)
        wanted, resume = channels_of(asked), resume_points_of(asked)
        cadence_ms = cadence_class_ms(asked.cadence_ms)
        await self._require_serving()
        selection = self._hub.select(wanted)
        check_channels(len(selection.channel_ids))
        cursor = Cursor(self._hub, selection, cadence_ms=cadence_ms, resume=resume)
        counters = self._hub.counters
        if counters.streams_open >= self._max_streams:
            counters.streams_refused += 1
            raise LimitExceeded(f"{self._max_streams} streams are open, the limit of this server", FULL_RETRY_AFTER_MS)
        counters.streams_open += 1
        counters.streams_opened += 1
        try:
            with self._stalls.watching(context) as writer:
                while (frame := await cursor.next_frame()) is not None:
                    message = stamped(frame, self._hub.now_ns())
                    await writer.write(message)
                    counters.frames += 1
                    counters.frame_bytes += len(message)
        finally:
            counters.streams_open -= 1

    async def _require_serving(self) -> None:
        goodbye = self._hub.goodbye
        if goodbye is not None:
            raise Unavailable(goodbye.reason)
        if not self._hub.is_ready:
            raise refusal_while_not_serving(await self._queries.status())
