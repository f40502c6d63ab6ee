"""An edge whose engine comes, goes and comes back: what its clients are told meanwhile, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from liqscape.app import serving_edge
from liqscape.broadcast.hubs import NEW_EPOCH
from liqscape.config import ServeConfig, SourceConfig
from liqscape.link.host import hosting, port_methods
from liqscape.link.places import engine_socket, socket_folder
from liqscape.v1 import query_pb2, stream_pb2
from tests.fake_engine import EPOCH
from tests.link_engine import WAIT_S, Busy, HostedEngine

GRID = query_pb2.GetGridRequest(symbol="BTC", timeframe="24h").SerializeToString()


@dataclass
class Edge:
    """A running edge without a supervisor, and a connection to it."""

    folder: Path
    channel: grpc.aio.Channel

    def call(self, method: str, request: bytes = b"", **options: Any) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
        call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(f"/liqscape.v1.{method}")
        return call(request, timeout=WAIT_S, **options)

    def stream(self, *resume: stream_pb2.ResumePoint) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
        return self.call("StreamService/Subscribe", stream_pb2.SubscribeRequest(resume=resume).SerializeToString())

    async def status(self) -> query_pb2.GetStatusResponse:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(
            "/liqscape.v1.QueryService/GetStatus"
        )
        return query_pb2.GetStatusResponse.FromString(await ask(b"", timeout=WAIT_S))


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    with socket_folder() as folder:
        config = ServeConfig(source=SourceConfig(), listen="127.0.0.1:0", stop_grace_seconds=0.1)
        async with (
            serving_edge(config, folder, 1) as running,
            grpc.aio.insecure_channel(running.server.address) as channel,
        ):
            yield Edge(folder, channel)


async def refusal(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> tuple[grpc.StatusCode, str, int]:
    """Return code, text, and when to ask again, of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    error = caught.value
    retry_after_ms = dict(error.trailing_metadata()).get("retry-after-ms", "0")
    return error.code(), error.details() or "", int(retry_after_ms)


async def until_frame(call: grpc.aio.UnaryStreamCall[bytes, bytes], control: str) -> stream_pb2.Frame:
    """Return the first frame with a control message."""
    while isinstance(message := await call.read(), bytes):
        frame = stream_pb2.Frame.FromString(message)
        if frame.WhichOneof("control") == control:
            return frame
    raise AssertionError(f"the stream has ended without {control}")


async def next_section(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> stream_pb2.Section:
    """Return the next section of a stream."""
    while isinstance(message := await call.read(), bytes):
        frame = stream_pb2.Frame.FromString(message)
        if frame.sections:
            return frame.sections[0]
    raise AssertionError("the stream has ended")


async def joined(edge: Edge) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
    """Return a stream that has been joined, as soon as the edge has something to serve."""
    async with asyncio.timeout(WAIT_S):
        while True:
            call = edge.stream()
            with contextlib.suppress(grpc.aio.AioRpcError):
                await until_frame(call, "snapshot_end")
                return call
            await asyncio.sleep(0.02)


async def test_edge_whose_engine_has_not_come_yet_answers_as_a_server_that_builds(edge: Edge) -> None:
    stream, grid = await refusal(edge.stream()), await refusal(edge.call("QueryService/GetGrid", GRID))
    status = await edge.status()

    for code, text, retry_after_ms in (stream, grid):
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert text == "history is still being built: 0 %"
        assert retry_after_ms == 1000
    assert status.state == query_pb2.ENGINE_STATE_BUILDING
    assert status.message == "the engine is starting"


async def test_engine_that_comes_is_served_without_a_word_to_the_edge(edge: Edge) -> None:
    engine = HostedEngine(edge.folder)
    engine.step(3)

    async with engine.hosted():
        stream = await joined(edge)
        engine.step()
        section = await next_section(stream)
        parts = [part async for part in edge.call("QueryService/GetGrid", GRID)]

    assert (section.epoch, section.tick) == (EPOCH, 4)
    assert len(parts) > 1


async def test_without_its_engine_an_edge_keeps_its_streams_and_says_when_to_ask_again(edge: Edge) -> None:
    engine = HostedEngine(edge.folder)
    engine.step(3)
    async with engine.hosted():
        stream = await joined(edge)

    code, text, retry_after_ms = await refusal(edge.call("QueryService/GetGrid", GRID))
    status = await edge.status()
    heartbeat = await until_frame(stream, "heartbeat")
    late = await joined(edge)

    assert (code, retry_after_ms) == (grpc.StatusCode.UNAVAILABLE, 1000)
    assert text == "the engine has ended and is being started again"
    assert (status.state, status.epoch) == (query_pb2.ENGINE_STATE_BUILDING, EPOCH)
    assert heartbeat.heartbeat.positions[0].tick == 3
    assert not late.done()


async def test_readers_of_an_engine_that_has_gone_are_sent_to_the_next_once_it_publishes(edge: Edge) -> None:
    first, second = HostedEngine(edge.folder), HostedEngine(edge.folder, epoch=9)
    first.step(3)
    async with first.hosted():
        stream = await joined(edge)

    async with second.hosted():
        while (await edge.status()).message:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        still_open = not stream.done()
        second.step()
        farewell = await until_frame(stream, "going_away")
        end = await stream.read()
        again = edge.stream(stream_pb2.ResumePoint(source_id="shard-0", epoch=EPOCH, tick=3))
        hello, lagged = await until_frame(again, "hello"), await until_frame(again, "lagged")

    assert still_open
    assert (farewell.going_away.reason, farewell.going_away.reconnect_after_ms) == (NEW_EPOCH, 0)
    assert end is grpc.aio.EOF
    assert hello.hello.sources[0].epoch == 9
    assert lagged.lagged.reason == stream_pb2.Lagged.REASON_EPOCH_CHANGED


async def test_edge_whose_connection_broke_leads_its_readers_on_in_the_same_epoch(edge: Edge) -> None:
    engine = HostedEngine(edge.folder)
    engine.step(3)
    async with engine.hosted():
        stream = await joined(edge)
    engine.step(2)

    async with engine.hosted():
        await until_frame(stream, "going_away")
        again = edge.stream(stream_pb2.ResumePoint(source_id="shard-0", epoch=EPOCH, tick=3))
        hello = await until_frame(again, "hello")
        section = await next_section(again)

    assert hello.hello.resumed
    assert section.tick == 5
    assert not any(chunk.channel.kind == stream_pb2.CHUNK_KIND_KEYFRAME for chunk in section.chunks)


async def test_client_that_hangs_up_or_runs_out_of_time_ends_the_work_in_the_engine(edge: Edge) -> None:
    engine = HostedEngine(edge.folder)
    engine.step()
    for end in ("cancel", "deadline"):
        busy = Busy(engine.fake)
        async with hosting(engine_socket(edge.folder), port_methods(busy), engine.fan):
            await joined(edge)
            call: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = edge.channel.unary_stream(
                "/liqscape.v1.QueryService/GetGrid"
            )
            question = call(GRID, timeout=0.5 if end == "deadline" else WAIT_S)
            reading = asyncio.ensure_future(question.read())
            await asyncio.wait_for(busy.began.wait(), WAIT_S)
            if end == "cancel":
                question.cancel()

            await asyncio.wait_for(busy.cancelled.wait(), WAIT_S)
            await asyncio.gather(reading, return_exceptions=True)
