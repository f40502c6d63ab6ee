"""A server on loopback that speaks the protocol from hand-built frames, and misbehaves when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import query_pb2, stream_pb2
from tests.unit.client.wire_model import ModelChannel, ModelEngine

END = b"end of stream"


@dataclass
class Refusal:
    """A status in place of an answer."""

    code: grpc.StatusCode
    details: str
    retry_after_ms: int | None = None

    async def abort(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        trailing = (("retry-after-ms", str(self.retry_after_ms)),) if self.retry_after_ms is not None else ()
        await context.abort(self.code, self.details, trailing)


class FakeServer:
    """Serves a ModelEngine. Frames are pushed by the test; nothing is sent by itself but the join.

    Attributes:
        refusal: given in place of every answer while set.
        refuses_questions: whether to questions too, or only to streams.
        requests: every SubscribeRequest so far.
        grid_parts: what GetGrid answers.
        left: set once a stream was open and is not any more.
    """

    def __init__(self, engine: ModelEngine) -> None:
        self.engine = engine
        self.refusal: Refusal | None = None
        self.refuses_questions = True
        self.requests: list[stream_pb2.SubscribeRequest] = []
        self.grid_parts: Callable[[], list[query_pb2.GetGridResponse]] = lambda: grid_parts(engine.channels[0])
        self.port = 0
        self.left = asyncio.Event()
        self._streams: set[asyncio.Queue[bytes]] = set()
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> FakeServer:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        stream: grpc.RpcMethodHandler[Any, Any] = grpc.unary_stream_rpc_method_handler(
            self._subscribe, request_deserializer=stream_pb2.SubscribeRequest.FromString
        )
        get_grid = grpc.unary_stream_rpc_method_handler(
            self._get_grid,
            request_deserializer=query_pb2.GetGridRequest.FromString,
            response_serializer=query_pb2.GetGridResponse.SerializeToString,
        )
        get_status = grpc.unary_unary_rpc_method_handler(
            self._get_status,
            request_deserializer=query_pb2.GetStatusRequest.FromString,
            response_serializer=query_pb2.GetStatusResponse.SerializeToString,
        )
        instruments = grpc.unary_unary_rpc_method_handler(
            self._list_instruments,
            request_deserializer=query_pb2.ListInstrumentsRequest.FromString,
            response_serializer=query_pb2.ListInstrumentsResponse.SerializeToString,
        )
        questions: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetGrid": get_grid,
            "GetStatus": get_status,
            "ListInstruments": instruments,
        }
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("liqscape.v1.StreamService", {"Subscribe": stream}),
                grpc.method_handlers_generic_handler("liqscape.v1.QueryService", questions),
            )
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Die: every stream breaks."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None
        self._streams.clear()

    def push(self, frame: stream_pb2.Frame) -> None:
        """Send a message on every open stream."""
        self.push_bytes(frame.SerializeToString())

    def push_bytes(self, message: bytes) -> None:
        for queue in self._streams:
            queue.put_nowait(message)

    def end_streams(self) -> None:
        """End every open stream in good order."""
        self.push_bytes(END)

    async def _subscribe(
        self, request: stream_pb2.SubscribeRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[bytes]:
        self.requests.append(request)
        if self.refusal is not None:
            await self.refusal.abort(context)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        for frame in self.engine.join(request):
            queue.put_nowait(frame.SerializeToString())
        self._streams.add(queue)
        try:
            while (message := await queue.get()) is not END:
                yield message
        finally:
            self._streams.discard(queue)
            self.left.set()

    async def _get_grid(
        self, request: query_pb2.GetGridRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[query_pb2.GetGridResponse]:
        if self.refusal is not None and self.refuses_questions:
            await self.refusal.abort(context)
        for part in self.grid_parts():
            yield part

    async def _get_status(
        self, request: query_pb2.GetStatusRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> query_pb2.GetStatusResponse:
        if self.refusal is not None and self.refuses_questions:
            await self.refusal.abort(context)
        return query_pb2.GetStatusResponse(
            server_version="0.1.0", state=query_pb2.ENGINE_STATE_SERVING, backend="numpy", input="model"
        )

    async def _list_instruments(
        self, request: query_pb2.ListInstrumentsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> query_pb2.ListInstrumentsResponse:
        described = query_pb2.InstrumentDescription(instrument="binance:BTCUSDT", symbol="BTC")
        return query_pb2.ListInstrumentsResponse(instruments=[described])


def grid_cells(channel: ModelChannel) -> NDArray[np.int64]:
    """Return made-up weighted lots, int64[column, row]."""
    return np.arange(channel.columns * channel.rows, dtype=np.int64).reshape(channel.columns, channel.rows) * 4096


def grid_parts(channel: ModelChannel) -> list[query_pb2.GetGridResponse]:
    """Return the answer to GetGrid in a header and fragments of at most two columns."""
    header = query_pb2.GridHeader(
        symbol=channel.symbol,
        timeframe=channel.timeframe,
        epoch=0xABCDEF,
        tick=channel.tick,
        generation=channel.generation,
        axes=channel.axes(),
        newest_column=channel.newest_column,
        lot_decimals=5,
        weight_one=4096,
        usd_per_weighted_lot=[0.25 + row for row in range(channel.rows)],
        candles=channel.candles([channel.newest_column]),
        mark_price=89_040,
        source_watermark_unix_ns=1_765_809_000_000_000_000,
        states=[stream_pb2.DATA_STATE_SIMULATED],
        cells_bytes=channel.columns * channel.rows * 8,
        meaning="weighted lots; an estimate",
    )
    parts = [query_pb2.GetGridResponse(header=header)]
    cells = grid_cells(channel).astype("<i8")
    for start in range(0, channel.columns, 2):
        some = cells[start : start + 2]
        fragment = query_pb2.GridFragment(column_index=start, columns=len(some), cells=some.tobytes())
        parts.append(query_pb2.GetGridResponse(fragment=fragment))
    return parts
