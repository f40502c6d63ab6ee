"""The gRPC server on a real loopback socket, with an engine and questions that are made up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from liqscape.api.grpc_service import RunningGrpcServer, serve_grpc
from liqscape.api.limits import DEFAULT_LIMITS, CallerLimits, ServiceLimits, StallLimits
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.errors import ConfigError, LiqscapeError, NotFound, NotReady, Unavailable
from liqscape.grid.liquidation_map import MapAnswer
from liqscape.grid.updates import EngineStatus, GridAnswer, GridQuery, MapQuery
from liqscape.v1 import query_pb2, stream_pb2
from tests.fake_engine import EPOCH, FakeChannels, FakeEngine, FakeQueries, grid_answer, map_answer
from tests.wire_decoder import Replica, decode_candles

BUILDING = EngineStatus("building", "loading", 0.43, 12.0, EPOCH, 0, "numpy", "fake seed 1")
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024))

Channel = grpc.aio.Channel


@dataclass
class Server:
    """A server, its engine, and channels to it."""

    engine: FakeEngine
    encoder: StreamEncoder
    source: InProcessFrameSource
    hub: Hub
    queries: FakeQueries
    desk: FakeChannels
    running: RunningGrpcServer
    channel: Channel

    async def step(self, count: int = 1, cells: int = 2) -> None:
        """Publish ticks and return when the hub has them."""
        for _ in range(count):
            self.source.publish(self.encoder.encode(self.engine.step(cells=cells)))
        while self.hub.ring.head_tick < self.engine.tick:
            await self.hub.wait(5, for_tick=True)

    def subscribe(self, **fields: Any) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
        """Open a stream of raw frames."""
        return self.stream("StreamService/Subscribe", stream_pb2.SubscribeRequest(**fields).SerializeToString())

    def stream(
        self, method: str, request: bytes, timeout_s: float | None = 20
    ) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
        """Open a stream of raw messages."""
        call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(f"/liqscape.v1.{method}")
        return call(request, timeout=timeout_s)

    async def ask(self, method: str, request: bytes = b"") -> bytes:
        """Call a unary method with raw bytes."""
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(f"/{method}")
        return await call(request, timeout=20)

    async def status(self) -> query_pb2.GetStatusResponse:
        """Ask GetStatus."""
        return query_pb2.GetStatusResponse.FromString(await self.ask("liqscape.v1.QueryService/GetStatus"))

    async def map(self, timeout_s: float | None = 20, **fields: Any) -> list[query_pb2.GetLiquidationMapResponse]:
        """Ask GetLiquidationMap."""
        request = query_pb2.GetLiquidationMapRequest(**fields).SerializeToString()
        call = self.stream("QueryService/GetLiquidationMap", request, timeout_s)
        return [query_pb2.GetLiquidationMapResponse.FromString(part) async for part in call]

    async def grid(self, symbol: str, timeframe: str, timeout_s: float | None = 20) -> list[query_pb2.GetGridResponse]:
        """Ask GetGrid."""
        request = query_pb2.GetGridRequest(symbol=symbol, timeframe=timeframe)
        call = self.stream("QueryService/GetGrid", request.SerializeToString(), timeout_s)
        return [query_pb2.GetGridResponse.FromString(part) async for part in call]


@contextlib.asynccontextmanager
async def serving(
    *,
    steps: int = 1,
    rows: int = 4,
    first_row: int = 100,
    limits: ServiceLimits = DEFAULT_LIMITS,
    status: EngineStatus | None = None,
) -> AsyncIterator[Server]:
    engine = FakeEngine(rows=rows, first_row=first_row)
    source = InProcessFrameSource(engine.shard)
    desk = FakeChannels(engine)
    hub = Hub(source, channels=desk)
    queries = FakeQueries(engine)
    if status is not None:
        queries.state = status
    async with hub.running():
        running = await serve_grpc("127.0.0.1:0", hub, queries, limits=limits)
        async with grpc.aio.insecure_channel(running.address, options=SMALL_WINDOW) as channel:
            server = Server(engine, StreamEncoder(engine.shard), source, hub, queries, desk, running, channel)
            await server.step(steps)
            try:
                yield server
            finally:
                await running.stop(0.1)


async def next_frame(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> bytes:
    data = await asyncio.wait_for(call.read(), 10)
    assert isinstance(data, bytes), "the stream has ended"
    return data


async def read_until(call: grpc.aio.UnaryStreamCall[bytes, bytes], replica: Replica, control: str) -> None:
    while control not in replica.controls:
        replica.apply(await next_frame(call))


async def failure_of(
    call: grpc.aio.UnaryStreamCall[bytes, bytes],
) -> tuple[grpc.StatusCode, str, dict[str, str | bytes]]:
    """Return code, text and trailing metadata of a stream that ends before its first message."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 10)
    error = caught.value
    return error.code(), error.details() or "", dict(error.trailing_metadata())


def assert_equals_engine(replica: Replica, engine: FakeEngine) -> None:
    assert replica.in_sync
    for channel_id, channel in replica.channels.items():
        assert channel.ring == engine.truth[engine.tick][channel_id].ring


# ---- Subscribe


async def test_subscriber_joins_follows_and_holds_what_the_engine_emitted() -> None:
    async with serving(steps=3) as server:
        call, replica = server.subscribe(), Replica()
        await read_until(call, replica, "snapshot_end")

        for _ in range(20):
            await server.step()
            while replica.resume is None or replica.resume.tick < server.engine.tick:
                replica.apply(await next_frame(call))

        assert_equals_engine(replica, server.engine)
        assert replica.symbols["BTC"].mark_price == 6_500_000 + server.engine.tick


async def test_frames_carry_the_instant_they_were_sent() -> None:
    async with serving() as server:
        call = server.subscribe()

        stamps = [stream_pb2.Frame.FromString(await next_frame(call)).sent_unix_ns for _ in range(3)]

        assert stamps == sorted(stamps)
        assert stamps[0] > 1_600_000_000 * 10**9


@pytest.mark.slow
async def test_idle_stream_gets_heartbeats() -> None:
    async with serving(steps=2) as server:
        call, replica = server.subscribe(), Replica()

        await read_until(call, replica, "heartbeat")

        assert replica.resume == stream_pb2.ResumePoint(source_id="shard-0", epoch=EPOCH, tick=2)


async def test_dropped_subscriber_resumes_without_keyframes_and_is_whole() -> None:
    async with serving(rows=200) as server:
        await server.step(cells=600)
        replica = Replica()
        call = server.subscribe()
        await read_until(call, replica, "snapshot_end")
        call.cancel()
        await server.step(2)

        replica.connecting()
        call = server.subscribe(resume=[replica.resume])
        await read_until(call, replica, "snapshot_end")
        replica.apply(await next_frame(call))

        assert replica.keyframes == 0
        assert replica.lagged == []
        assert_equals_engine(replica, server.engine)


async def test_resume_of_another_epoch_lags_and_joins() -> None:
    async with serving(steps=2) as server:
        replica = Replica()
        point = stream_pb2.ResumePoint(source_id="shard-0", epoch=7, tick=1)

        await read_until(server.subscribe(resume=[point]), replica, "snapshot_end")

        assert replica.lagged == [stream_pb2.Lagged.REASON_EPOCH_CHANGED]
        assert_equals_engine(replica, server.engine)


async def test_selection_and_cadence_are_told_in_hello() -> None:
    async with serving() as server:
        selector = stream_pb2.ChannelSelector(symbol="ETH", timeframe="24h")

        frame = stream_pb2.Frame.FromString(await next_frame(server.subscribe(channels=[selector], cadence_ms=300)))

        assert frame.hello.cadence_ms == 500
        assert [(c.symbol, c.timeframe) for c in frame.hello.channels] == [("ETH", "24h")]


async def test_fifty_streams_fit_one_connection_and_hold_the_same() -> None:
    async with serving() as server:
        calls = [server.subscribe() for _ in range(50)]
        replicas = [Replica() for _ in calls]
        await asyncio.gather(
            *(read_until(call, replica, "snapshot_end") for call, replica in zip(calls, replicas, strict=True))
        )

        await server.step()
        for call, replica in zip(calls, replicas, strict=True):
            replica.apply(await next_frame(call))

        for replica in replicas:
            assert_equals_engine(replica, server.engine)
        assert (await server.status()).streams == 50


async def test_subscriber_that_goes_away_is_forgotten_and_the_others_go_on() -> None:
    async with serving() as server:
        leaving, staying = server.subscribe(), server.subscribe()
        replica = Replica()
        await read_until(leaving, Replica(), "snapshot_end")
        await read_until(staying, replica, "snapshot_end")

        leaving.cancel()
        await server.step(3)
        while replica.resume is None or replica.resume.tick < server.engine.tick:
            replica.apply(await next_frame(staying))
        await streams_fall_to(server, 1)

        assert_equals_engine(replica, server.engine)


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        (
            {"cadence_ms": 5001},
            "INVALID_ARGUMENT",
            "cadence_ms 5001 is too long; use 0 (every tick) or up to the classes",
        ),
        ({"channels": [("BTC", "7m")]}, "INVALID_ARGUMENT", "timeframe '7m' is unknown; use one of 12h, 24h,"),
        ({"channels": [("DOGE", "")]}, "NOT_FOUND", "symbol 'DOGE' is not served; served are BTC, ETH"),
        ({"channels": [("", "12h")]}, "INVALID_ARGUMENT", "symbol is empty; name one of BTC, ETH"),
        ({"channels": [("B" * 65, "")]}, "INVALID_ARGUMENT", "channels[0].symbol has 65 characters; at most 64"),
        ({"channels": [("BTC", "")] * 257}, "INVALID_ARGUMENT", "channels has 257 entries; at most 256 are allowed"),
        ({"resume": ["shard-0"] * 65}, "INVALID_ARGUMENT", "resume has 65 entries; at most 64 are allowed"),
        ({"resume": ["shard-0"] * 2}, "INVALID_ARGUMENT", "resume names source 'shard-0' twice"),
    ],
)
async def test_bad_requests_are_refused_by_name_and_limit(
    fields: dict[str, Sequence[tuple[str, str]]], code: str, text: str
) -> None:
    makers: dict[str, Callable[[Any], object]] = {
        "channels": lambda pairs: [stream_pb2.ChannelSelector(symbol=s, timeframe=t) for s, t in pairs],
        "resume": lambda names: [stream_pb2.ResumePoint(source_id=name, epoch=1, tick=1) for name in names],
        "cadence_ms": lambda value: value,
    }
    async with serving() as server:
        failure = await failure_of(server.subscribe(**{k: makers[k](v) for k, v in fields.items()}))

        assert failure[0].name == code
        assert failure[1].startswith(text)


async def test_bytes_that_are_no_request_are_invalid_and_too_many_are_refused() -> None:
    async with serving() as server:
        malformed = await failure_of(server.stream("StreamService/Subscribe", b"\x0a\xff\xff"))
        oversized = await failure_of(server.stream("StreamService/Subscribe", b"\x00" * 70_000))
        with pytest.raises(grpc.aio.AioRpcError) as status_failure:
            await server.ask("liqscape.v1.QueryService/GetStatus", b"\xff")

        assert malformed[:2] == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "request of 3 bytes is not a SubscribeRequest",
        )
        assert oversized[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert status_failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_server_full_of_streams_refuses_with_a_time_to_retry() -> None:
    async with serving(limits=ServiceLimits(max_streams=1)) as server:
        open_stream = server.subscribe()
        await read_until(open_stream, Replica(), "snapshot_end")

        code, text, trailing = await failure_of(server.subscribe())

        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert text == "1 streams are open, the limit of this server"
        assert trailing["retry-after-ms"] == "5000"
        assert (await server.status()).counters["streams_refused"] == 1


# ---- while history is being built


async def test_building_engine_refuses_with_progress_and_then_serves() -> None:
    async with serving(steps=0, status=BUILDING) as server:
        code, text, trailing = await failure_of(server.subscribe())
        server.queries.error = NotReady("not yet", 0.43)
        with pytest.raises(grpc.aio.AioRpcError) as grid_failure:
            await server.grid("BTC", "24h")
        status = await server.status()
        await server.step()
        replica = Replica()
        await read_until(server.subscribe(), replica, "snapshot_end")

        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert text == "history is still being built: 43 %, about 12 s left"
        assert trailing["retry-after-ms"] == "5000"
        assert (grid_failure.value.code(), grid_failure.value.details()) == (code, text)
        assert (status.state, status.progress, status.seconds_left) == (query_pb2.ENGINE_STATE_BUILDING, 0.43, 12.0)
        assert_equals_engine(replica, server.engine)


async def test_failed_engine_is_unavailable_and_says_why() -> None:
    failed = replace(BUILDING, state="failed", message="row 7 of btc.parquet: time goes back")
    async with serving(steps=0, status=failed) as server:
        code, text, _ = await failure_of(server.subscribe())

        assert code is grpc.StatusCode.UNAVAILABLE
        assert text == "the engine has failed: row 7 of btc.parquet: time goes back"


# ---- QueryService


async def test_grid_arrives_whole_in_fragments_of_a_mebibyte() -> None:
    async with serving() as server:
        server.queries.grid = answer = grid_answer(columns=720, rows=1000)

        header, *parts = await server.grid("BTC", "24h")

        fragments = [part.fragment for part in parts]
        cells = np.concatenate([np.frombuffer(f.cells, "<i8").reshape(f.columns, 1000) for f in fragments])
        np.testing.assert_array_equal(cells, answer.cells)
        assert [f.column_index for f in fragments] == list(np.cumsum([0, *(f.columns for f in fragments[:-1])]))
        assert max(part.ByteSize() for part in parts) <= 1 << 20
        assert len(fragments) == 6
        assert header.header.cells_bytes == cells.nbytes


async def test_grid_header_tells_how_to_read_the_cells() -> None:
    async with serving() as server:
        server.queries.grid = answer = grid_answer(columns=2, rows=3)

        header = (await server.grid("BTC", "24h"))[0].header

        assert (header.symbol, header.timeframe, header.epoch, header.tick) == ("BTC", "24h", EPOCH, 9)
        assert (header.generation, header.newest_column, header.lot_decimals, header.weight_one) == (3, 1719, 5, 4096)
        assert (header.axes.first_row, header.axes.rows, header.axes.columns) == (2900, 3, 2)
        assert list(header.usd_per_weighted_lot) == answer.usd_per_weighted_lot.tolist()
        assert decode_candles(header.candles) == {1718: (5, 9, 2, 7), 1719: (7, 8, 6, 6)}
        assert (header.mark_price, header.source_watermark_unix_ns) == (6_500_000, 9 * 10**9)
        assert list(header.states) == [stream_pb2.DATA_STATE_SIMULATED]
        assert [coverage.instrument for coverage in header.coverage] == ["binance:BTCUSDT"]
        assert "estimate" in header.meaning


@pytest.mark.parametrize(
    ("symbol", "timeframe", "error", "code", "text"),
    [
        ("BTC", "7m", None, "INVALID_ARGUMENT", "timeframe '7m' is unknown; use one of 12h"),
        ("BTC", "", None, "INVALID_ARGUMENT", "timeframe '' is unknown; use one of 12h"),
        ("", "24h", None, "INVALID_ARGUMENT", "symbol is empty"),
        ("B" * 65, "24h", None, "INVALID_ARGUMENT", "symbol has 65 characters; at most 64 are allowed"),
        ("DOGE", "24h", NotFound("symbol 'DOGE' is unknown; known are BTC"), "NOT_FOUND", "symbol 'DOGE' is unknown"),
        ("BTC", "24h", NotReady("no price yet", 1.0), "FAILED_PRECONDITION", "no price yet"),
        ("BTC", "24h", RuntimeError("secret path"), "INTERNAL", "internal error; the server's log has the details"),
    ],
)
async def test_grid_that_cannot_be_given_says_why(
    symbol: str, timeframe: str, error: LiqscapeError | None, code: str, text: str
) -> None:
    async with serving() as server:
        server.queries.error = error

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.grid(symbol, timeframe)

        assert caught.value.code().name == code
        assert (caught.value.details() or "").startswith(text)


class SlowQueries(FakeQueries):
    """Questions that are never answered."""

    asked: asyncio.Event | None = None

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        """Wait for ever."""
        if self.asked is not None:
            self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def get_liquidation_map(self, query: MapQuery) -> MapAnswer:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError


async def test_deadline_of_the_caller_ends_the_question() -> None:
    async with serving() as server:
        server.queries.__class__ = SlowQueries

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.grid("BTC", "24h", timeout_s=0.05)

        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_question_without_a_deadline_gets_the_servers() -> None:
    async with serving(limits=ServiceLimits(max_grid_seconds=0.05)) as server:
        server.queries.__class__ = SlowQueries

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.grid("BTC", "24h", timeout_s=None)

        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert caught.value.details() == "no grid within 0.1 s"


async def test_too_many_grids_at_once_are_refused_with_a_time_to_retry() -> None:
    async with serving(limits=ServiceLimits(max_grid_calls=0)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.grid("BTC", "24h")

        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ("retry-after-ms", "500") in tuple(caught.value.trailing_metadata())


async def test_map_arrives_whole_in_fragments_of_a_mebibyte() -> None:
    async with serving() as server:
        server.queries.map = answer = map_answer(series=396, rows=2260)

        header, *parts = await server.map(symbol="BTC")

        fragments = [part.fragment for part in parts]
        cells = np.concatenate([np.frombuffer(f.cells, "<i8").reshape(f.series, 2260) for f in fragments])
        np.testing.assert_array_equal(cells, answer.map.cells)
        assert max(part.ByteSize() for part in parts) <= 1 << 20
        assert len(fragments) == 7
        assert header.header.cells_bytes == cells.nbytes
        assert list(header.header.states) == [stream_pb2.DATA_STATE_SIMULATED]
        assert "estimate" in header.header.meaning


@pytest.mark.parametrize(
    ("fields", "error", "code", "text"),
    [
        ({"symbol": ""}, None, "INVALID_ARGUMENT", "symbol is empty"),
        ({"symbol": "BTC", "model": 7}, None, "INVALID_ARGUMENT", "model 7 is unknown; use net of closes, open only"),
        ({"symbol": "BTC", "breakdown": [7]}, None, "INVALID_ARGUMENT", "breakdown has 7; use venue, instrument"),
        ({"symbol": "DOGE"}, NotFound("symbol 'DOGE' is unknown; known are BTC"), "NOT_FOUND", "symbol 'DOGE' is unk"),
        ({"symbol": "BTC"}, NotReady("no price yet", 1.0), "FAILED_PRECONDITION", "no price yet"),
        ({"symbol": "BTC"}, Unavailable("the engine has failed: x"), "UNAVAILABLE", "the engine has failed: x"),
        (
            {"symbol": "BTC"},
            RuntimeError("secret path"),
            "INTERNAL",
            "internal error; the server's log has the details",
        ),
    ],
)
async def test_map_that_cannot_be_given_says_why(
    fields: dict[str, Any], error: LiqscapeError | None, code: str, text: str
) -> None:
    async with serving() as server:
        server.queries.error = error

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.map(**fields)

        assert caught.value.code().name == code
        assert (caught.value.details() or "").startswith(text)


async def test_map_while_history_is_built_is_refused_with_progress() -> None:
    async with serving(steps=0, status=BUILDING) as server:
        server.queries.error = NotReady("not yet", 0.43)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.map(symbol="BTC")

        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == "history is still being built: 43 %, about 12 s left"


async def test_maps_and_grids_share_the_limit_and_the_deadline_of_the_server() -> None:
    async with serving(limits=ServiceLimits(max_grid_calls=1, max_grid_seconds=0.2)) as server:
        server.queries.__class__ = SlowQueries
        assert isinstance(server.queries, SlowQueries)
        server.queries.asked = asyncio.Event()
        grid = asyncio.create_task(server.grid("BTC", "24h", timeout_s=None))
        await server.queries.asked.wait()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.map(symbol="BTC")
        with pytest.raises(grpc.aio.AioRpcError):
            await grid
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await server.map(symbol="BTC", timeout_s=None)

        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ("retry-after-ms", "500") in tuple(refused.value.trailing_metadata())
        assert (late.value.code(), late.value.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "no map within 0.2 s")


async def test_status_tells_engine_streams_and_counters() -> None:
    async with serving(steps=2) as server:
        call, replica = server.subscribe(), Replica()
        await read_until(call, replica, "snapshot_end")

        status = await server.status()

        assert (status.state, status.epoch, status.tick, status.backend) == (
            query_pb2.ENGINE_STATE_SERVING,
            EPOCH,
            7,
            "numpy",
        )
        assert list(status.states) == [stream_pb2.DATA_STATE_SIMULATED]
        assert not status.HasField("seconds_left")
        assert status.streams == 1
        assert status.counters["gaps"] == 4
        assert status.counters["stream_joins"] == 1
        assert status.counters["stream_keyframes"] == 4
        assert status.counters["stream_frames"] == 3
        assert status.counters["stream_frame_bytes"] > 300


async def test_instruments_come_sorted_with_the_nine_timeframes() -> None:
    async with serving() as server:
        answer = query_pb2.ListInstrumentsResponse.FromString(
            await server.ask("liqscape.v1.QueryService/ListInstruments")
        )

        assert [i.instrument for i in answer.instruments] == ["binance:BTCUSDT", "binance:ETHUSDT"]
        assert answer.instruments[0].tiers[0] == query_pb2.TierDescription(
            leverage=10,
            inflow_share_ppm=150_000,
            long_liquidation_ratio=0.904,
            short_liquidation_ratio=1.095,
            long_bankruptcy_ratio=0.9,
            short_bankruptcy_ratio=1.1,
        )
        assert [t.timeframe for t in answer.timeframes] == ["12h", "24h", "3d", "1w", "2w", "1m", "3m", "6m", "1y"]


# ---- the server itself


@pytest.mark.parametrize("service", ["", "liqscape.v1.StreamService", "liqscape.v1.QueryService"])
async def test_health_is_serving_while_history_is_still_being_built(service: str) -> None:
    async with serving(steps=0, status=BUILDING) as server:
        request = health_pb2.HealthCheckRequest(service=service).SerializeToString()

        answer = health_pb2.HealthCheckResponse.FromString(await server.ask("grpc.health.v1.Health/Check", request))

        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_stopping_server_says_goodbye_and_ends_streams_well() -> None:
    async with serving() as server:
        call, replica = server.subscribe(), Replica()
        await read_until(call, replica, "snapshot_end")

        stopping = asyncio.create_task(server.running.stop(10))
        await read_until(call, replica, "going_away")
        last = await asyncio.wait_for(call.read(), 10)
        code = await call.code()
        await asyncio.wait_for(stopping, 5)

        assert last is grpc.aio.EOF
        assert code is grpc.StatusCode.OK


async def test_second_server_on_the_same_port_fails_loudly() -> None:
    async with serving() as server:
        with pytest.raises(ConfigError, match=r"cannot listen on '127.0.0.1:\d+'"):
            await serve_grpc(server.running.address, server.hub, server.queries)


async def stall(server: Server) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
    """Return a stream that is not read, with a write of the server pending behind it."""
    call = server.subscribe()
    await read_until(call, Replica(), "snapshot_end")
    written, ticks_without_a_frame = -1, 0
    while ticks_without_a_frame < 20:
        await server.step(cells=600)
        await asyncio.sleep(0.005)
        ticks_without_a_frame = ticks_without_a_frame + 1 if written == server.hub.counters.frames else 0
        written = server.hub.counters.frames
    return call


async def streams_fall_to(server: Server, count: int) -> None:
    async with asyncio.timeout(10):
        while server.hub.counters.streams_open != count:
            await server.hub.wait(0.01, for_tick=True)


@pytest.mark.slow
async def test_reader_that_stops_reading_is_cut_and_told_when_it_wakes() -> None:
    limits = ServiceLimits(stalls=StallLimits(stalled_after_s=0.05, cut_after_s=0.2, check_every_s=0.02))
    async with serving(rows=2000, limits=limits) as server:
        stalled = await stall(server)

        await streams_fall_to(server, 0)
        code = grpc.StatusCode.UNKNOWN
        try:
            while await asyncio.wait_for(stalled.read(), 10) is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            code = error.code()

        assert code is grpc.StatusCode.ABORTED
        assert await stalled.details() == "nothing was read for 0.2 s; come back and resume"
        counters = (await server.status()).counters
        assert (counters["streams_cut"], counters["streams_stalled"]) == (1, 0)


@pytest.mark.slow
async def test_stream_that_was_cut_keeps_its_place_until_its_peer_takes_the_end_or_goes() -> None:
    limits = ServiceLimits(
        stalls=StallLimits(stalled_after_s=0.05, cut_after_s=0.2, check_every_s=0.02),
        per_address=CallerLimits(streams=1, channels=9, queries_per_minute=600, cells=1),
    )
    async with serving(rows=2000, limits=limits) as server:
        stalled = await stall(server)
        await streams_fall_to(server, 0)

        code, _, _ = await failure_of(server.subscribe())
        stalled.cancel()
        async with asyncio.timeout(10):
            while await is_refused(server.subscribe()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def is_refused(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> bool:
    try:
        await call.read()
    except grpc.aio.AioRpcError:
        return True
    return False


@pytest.mark.slow
async def test_stalled_reader_delays_nobody_and_its_end_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(rows=2000) as server:
        stalled = await stall(server)
        reading, replica = server.subscribe(), Replica()
        await read_until(reading, replica, "snapshot_end")

        for _ in range(20):
            await server.step(cells=600)
            while replica.resume is None or replica.resume.tick < server.engine.tick:
                replica.apply(await next_frame(reading))
        stalled.cancel()
        await streams_fall_to(server, 1)

        assert replica.ticks_conflated == 0
        assert_equals_engine(replica, server.engine)
        assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.slow
async def test_stalled_reader_does_not_hold_up_the_stop_beyond_its_grace() -> None:
    async with serving(rows=2000) as server:
        stalled = await stall(server)

        await asyncio.wait_for(server.running.stop(0.1), 5)

        assert server.hub.counters.streams_open == 0
        stalled.cancel()
