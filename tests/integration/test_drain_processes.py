"""The end of real servers: streams that move to another one, a second SIGTERM, and what is logged meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from liqscape.v1 import stream_pb2
from liqscape_client import Client
from liqscape_client.stream import SUBSCRIBE_METHOD
from tests.integration.synthetic_recording import write_recording
from tests.integration.test_processes import drain as swallow

WAIT_S = 60.0
STREAMS = 8

pytestmark = pytest.mark.slow


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_recording(tmp_path, bars=60, step_minutes=5, seed=7)


@dataclass
class Running:
    """A server's process and what it has said."""

    process: asyncio.subprocess.Process
    address: str = ""
    log: list[str] = field(default_factory=list)

    async def end(self) -> int:
        """Wait for its end and return the status."""
        async with asyncio.timeout(WAIT_S):
            return await self.process.wait()


@asynccontextmanager
async def server(manifest: Path, *arguments: str) -> AsyncIterator[Running]:
    """Run `liqscape serve` on the recording, built to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "serve", "--source", f"history:{manifest}", "--speed", "max"),
        *("--recordings", str(manifest.parent), "--listen", "127.0.0.1:0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    running = Running(process)

    async def keep(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            running.log.append(line.decode())

    keeping = asyncio.create_task(keep(process.stderr))
    swallowing: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(WAIT_S):
            while not running.address:
                line = (await process.stdout.readline()).decode()
                assert line, "".join(running.log)
                if found := re.search(r"liqscape serves .* on ([0-9.]+:\d+)", line):
                    running.address = found.group(1)
        swallowing = asyncio.create_task(swallow(process.stdout))
        async with Client(running.address) as client, client.stream(symbols=["BTC"], timeframes=["24h"]) as stream:
            await stream.wait_in_sync(WAIT_S)
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await keeping
        if swallowing is not None:
            await swallowing


@dataclass
class Stream:
    """One stream, frame by frame."""

    call: grpc.aio.UnaryStreamCall[stream_pb2.SubscribeRequest, stream_pb2.Frame]
    last: stream_pb2.ResumePoint = field(default_factory=stream_pb2.ResumePoint)

    async def until(self, control: str) -> stream_pb2.Frame:
        """Return the first frame with a control message."""
        async with asyncio.timeout(WAIT_S):
            async for frame in self.call:
                for section in frame.sections:
                    self.last = stream_pb2.ResumePoint(
                        source_id=section.source_id, epoch=section.epoch, tick=section.tick
                    )
                if frame.WhichOneof("control") == control:
                    return frame
        raise AssertionError(f"the stream has ended without {control}")


def subscribe(channel: grpc.aio.Channel, resume: stream_pb2.ResumePoint | None = None) -> Stream:
    call: grpc.aio.UnaryStreamMultiCallable[stream_pb2.SubscribeRequest, stream_pb2.Frame] = channel.unary_stream(
        SUBSCRIBE_METHOD,
        request_serializer=stream_pb2.SubscribeRequest.SerializeToString,
        response_deserializer=stream_pb2.Frame.FromString,
    )
    points = [] if resume is None else [resume]
    return Stream(call(stream_pb2.SubscribeRequest(resume=points)))


async def test_every_reader_of_a_draining_server_hears_it_and_goes_on_at_another(manifest: Path) -> None:
    async with server(manifest, "--drain", "3") as first, server(manifest) as second, AsyncExitStack() as stack:
        old = [await stack.enter_async_context(grpc.aio.insecure_channel(first.address)) for _ in range(STREAMS)]
        new = [await stack.enter_async_context(grpc.aio.insecure_channel(second.address)) for _ in range(STREAMS)]
        streams = [subscribe(channel) for channel in old]
        for stream in streams:
            await stream.until("snapshot_end")
        loop = asyncio.get_running_loop()
        left: list[float] = []
        went_unhealthy: list[float] = []

        async def watch_health() -> None:
            async for answer in health_pb2_grpc.HealthStub(old[0]).Watch(health_pb2.HealthCheckRequest()):
                if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    went_unhealthy.append(loop.time())
                    return

        async def move(stream: Stream, channel: grpc.aio.Channel) -> tuple[str, bool]:
            frame = await stream.until("going_away")
            left.append(loop.time())
            moved = subscribe(channel, stream.last)
            refusal = await moved.until("lagged")
            await moved.until("snapshot_end")
            reason = stream_pb2.Lagged.Reason.Name(refusal.lagged.reason)
            return reason, frame.going_away.reconnect_after_ms == 1000

        watching = asyncio.create_task(watch_health())
        moving = [asyncio.create_task(move(*pair)) for pair in zip(streams, new, strict=True)]
        await asyncio.sleep(0.2)
        began = loop.time()
        first.process.send_signal(signal.SIGTERM)
        moved = await asyncio.gather(*moving)
        await watching
        status = await first.end()
        took_s = loop.time() - began

        assert moved == [("REASON_EPOCH_CHANGED", True)] * STREAMS
        assert went_unhealthy[0] < min(left)
        assert max(left) - min(left) > 1.0
        assert status == 0
        assert took_s < 15


async def test_second_sigterm_ends_at_once(manifest: Path) -> None:
    async with server(manifest, "--drain", "600") as running, grpc.aio.insecure_channel(running.address) as channel:
        stream = subscribe(channel)
        await stream.until("snapshot_end")
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            async for answer in health:
                if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    break
        drains = running.process.returncode is None

        running.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            status = await running.process.wait()

        assert drains
        assert status == -signal.SIGTERM


async def test_interrupt_cuts_a_drain_short_and_still_says_goodbye(manifest: Path) -> None:
    async with server(manifest, "--drain", "600") as running, grpc.aio.insecure_channel(running.address) as channel:
        streams = [subscribe(channel) for _ in range(4)]
        for stream in streams:
            await stream.until("snapshot_end")

        running.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        running.process.send_signal(signal.SIGINT)

        for stream in streams:
            await stream.until("going_away")
        async with asyncio.timeout(10):
            assert await running.end() == 0


async def test_log_of_a_server_is_json_lines_and_says_what_it_went_through(manifest: Path) -> None:
    async with server(manifest, "--log-format", "json", "--log-level", "info", "--metrics", "127.0.0.1:0") as running:
        running.process.send_signal(signal.SIGTERM)
        assert await running.end() == 0

    lines = [json.loads(line) for line in running.log]
    by_message = {line["message"]: line for line in lines}

    assert all(set(line) == {"time", "level", "logger", "message", "fields"} for line in lines)
    assert by_message["serving"]["fields"]["address"] == running.address
    assert by_message["serving"]["fields"]["metrics"].startswith("127.0.0.1:")
    draining = by_message["draining"]["fields"]
    assert draining["seconds"] == 5.0
    assert draining["streams"] in (0, 1)  # the one that waited for the server may not have ended yet
    assert "drained" in by_message


async def test_status_command_prints_what_the_server_does(manifest: Path) -> None:
    async with server(manifest) as running:
        for_people = await command("status", "--address", running.address)
        as_json = json.loads((await command("status", "--address", running.address, "--json"))[1])
    code, text = for_people
    gone = await command("status", "--address", running.address)

    assert code == 0
    assert text.startswith("state     ended (REPLAY, ENDED): the input has ended\n")
    assert "binance:BTCUSDT" in text
    assert as_json["state"] == "ended"
    assert as_json["symbols"][0]["symbol"] == "BTC"
    assert as_json["symbols"][0]["coverage"][0]["instrument"] == "binance:BTCUSDT"
    assert as_json["counters"]["stream_joins"] == 1
    assert isinstance(as_json["epoch"], int)
    assert gone[0] == 1


async def command(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WAIT_S):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()
