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
        requests: every SubscribeRequest so far, those that opened a session included.
        said: what readers of sessions have said beside that. Nothing is answered by itself.
        grid_parts: what GetGrid answers.
        map_parts: what GetLiquidationMap answers.
        map_requests: every GetLiquidationMapRequest so far.
        clusters: what ListClusters answers.
        grid_requests: every GetGridRequest so far.
        left: set once a stream was open and is not any more.
    """

    def __init__(self, engine: ModelEngine) -> None:
        self.engine = engine
        self.refusal: Refusal | None = None
        self.refuses_questions = True
        self.requests: list[stream_pb2.SubscribeRequest] = []
        self.said: list[stream_pb2.SessionRequest] = []
        self.grid_parts: Callable[[], list[query_pb2.GetGridResponse]] = lambda: grid_parts(engine.channels[0])
        self.map_parts: Callable[[], list[query_pb2.GetLiquidationMapResponse]] = map_parts
        self.map_requests: list[query_pb2.GetLiquidationMapRequest] = []
        self.clusters: Callable[[], query_pb2.ListClustersResponse] = cluster_answer
        self.grid_requests: list[query_pb2.GetGridRequest] = []
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
        session: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(
            self._session, request_deserializer=stream_pb2.SessionRequest.FromString
        )
        get_grid = grpc.unary_stream_rpc_method_handler(
            self._get_grid,
            request_deserializer=query_pb2.GetGridRequest.FromString,
            response_serializer=query_pb2.GetGridResponse.SerializeToString,
        )
        get_map = grpc.unary_stream_rpc_method_handler(
            self._get_map,
            request_deserializer=query_pb2.GetLiquidationMapRequest.FromString,
            response_serializer=query_pb2.GetLiquidationMapResponse.SerializeToString,
        )
        list_clusters = grpc.unary_unary_rpc_method_handler(
            self._list_clusters,
            request_deserializer=query_pb2.ListClustersRequest.FromString,
            response_serializer=query_pb2.ListClustersResponse.SerializeToString,
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
            "GetLiquidationMap": get_map,
            "ListClusters": list_clusters,
            "GetStatus": get_status,
            "ListInstruments": instruments,
        }
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "liqscape.v1.StreamService", {"Subscribe": stream, "Session": session}
                ),
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

    async def _session(
        self, requests: AsyncIterator[stream_pb2.SessionRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[bytes]:
        opening = await anext(requests)

        async def listen() -> None:
            async for request in requests:
                self.said.append(request)

        listening = asyncio.create_task(listen())
        try:
            async for message in self._subscribe(opening.open, context):
                yield message
        finally:
            listening.cancel()

    async def _get_grid(
        self, request: query_pb2.GetGridRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[query_pb2.GetGridResponse]:
        self.grid_requests.append(request)
        if self.refusal is not None and self.refuses_questions:
            await self.refusal.abort(context)
        for part in self.grid_parts():
            yield part

    async def _get_map(
        self, request: query_pb2.GetLiquidationMapRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[query_pb2.GetLiquidationMapResponse]:
        self.map_requests.append(request)
        if self.refusal is not None and self.refuses_questions:
            await self.refusal.abort(context)
        for part in self.map_parts():
            yield part

    async def _list_clusters(
        self, request: query_pb2.ListClustersRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> query_pb2.ListClustersResponse:
        if self.refusal is not None and self.refuses_questions:
            await self.refusal.abort(context)
        return self.clusters()

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
        as_of_minute=channel.newest_column * channel.column_minutes,
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


MAP_CELLS = np.array([[5, 7, 0], [0, 0, 11], [2, 0, 0], [0, 1, 13]], np.int64) * 4096
"""Made-up weighted lots, int64[series, row]: longs and shorts of 10x, then of 20x."""


def map_parts() -> list[query_pb2.GetLiquidationMapResponse]:
    """Return the answer to GetLiquidationMap in a header and a fragment for each leverage."""
    long, short = query_pb2.POSITION_SIDE_LONG, query_pb2.POSITION_SIDE_SHORT
    outside = query_pb2.MapAmount(weighted_lots=3 * 4096, usd=1.5)

    def series(leverage: int, side: query_pb2.PositionSide, lots: int) -> query_pb2.MapSeries:
        inside = query_pb2.MapAmount(weighted_lots=lots * 4096, usd=float(lots))
        return query_pb2.MapSeries(leverage=leverage, side=side, inside=inside, below=outside)

    header = query_pb2.MapHeader(
        symbol="BTC",
        epoch=0xABCDEF,
        tick=9,
        axis=query_pb2.RowAxis(first_row=2225, rows=3, base_steps_per_row=2, base_step=200, price_decimals=1),
        lot_decimals=5,
        weight_one=4096,
        usd_per_weighted_lot=[0.25, 0.5, 1.0],
        mark_price=890_406,
        price_row=2226,
        source_watermark_unix_ns=1_765_809_000_000_000_000,
        states=[stream_pb2.DATA_STATE_SIMULATED],
        coverage=[stream_pb2.VenueChunk(symbol="BTC", instrument="binance:BTCUSDT", live_long_lots=20)],
        meaning="weighted lots; an estimate",
        model=query_pb2.POSITION_MODEL_NET_OF_CLOSES,
        reconciled=True,
        series=[series(10, long, 12), series(10, short, 11), series(20, long, 2), series(20, short, 14)],
        cells_bytes=96,
        long_cumulative_weighted_lots=[14 * 4096, 7 * 4096, 0],
        short_cumulative_weighted_lots=[6 * 4096, 7 * 4096, 31 * 4096],
        long_cumulative_usd=[14.0, 7.0, 0.0],
        short_cumulative_usd=[3.0, 4.0, 28.0],
        by_side=[series(0, long, 14), series(0, short, 25)],
    )
    parts = [query_pb2.GetLiquidationMapResponse(header=header)]
    for start in (0, 2):
        cells = MAP_CELLS[start : start + 2].astype("<i8").tobytes()
        fragment = query_pb2.MapFragment(series_index=start, series=2, cells=cells)
        parts.append(query_pb2.GetLiquidationMapResponse(fragment=fragment))
    return parts


def cluster_answer() -> query_pb2.ListClustersResponse:
    """Return one cluster of longs, a fifth of it stated."""
    return query_pb2.ListClustersResponse(
        symbol="BTC",
        axis=query_pb2.RowAxis(first_row=900, rows=200, base_steps_per_row=2, base_step=500, price_decimals=1),
        mark_price=1_000_000,
        source_watermark_unix_ns=1_000_000_000,
        server_unix_ns=3_500_000_000,
        covered_share=0.75,
        order=query_pb2.CLUSTER_ORDER_SCORE,
        clusters=[
            query_pb2.Cluster(
                side=query_pb2.POSITION_SIDE_LONG,
                rank=1,
                first_row=950,
                last_row=954,
                peak_row=952,
                price_low=95_000.0,
                price_high=95_500.0,
                lots=50,
                usd=47.5,
                mean_leverage=20.0,
                stated_share=0.2,
                isolated=True,
                grade=query_pb2.RELIABILITY_GRADE_MEDIUM,
                reasons=[query_pb2.ReliabilityReason(code="few_venues", text="1 venue is counted, fewer than 3")],
            )
        ],
    )
