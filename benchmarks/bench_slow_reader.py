"""How old is what a slow reader gets? Twenty ticks a second, and one message or look each 250 ms.

    python -m benchmarks.bench_slow_reader                30 s, stored
    python -m benchmarks.bench_slow_reader --seconds 3    shorter, nothing stored

Three readers, at the same time, of a server in a process of its own:

    session      reads one message, is busy for the interval, acknowledges, reads the next; W = 2
    subscribe    the same without acknowledgements, on a connection with the client's options: the server merges what it
                 has not sent yet, but not what lies in transport buffers
    client       the client by Subscribe, which drains by itself; its user looks at it once each interval

Age = now minus the instant at which the newest tick in hand was encoded; one host, one clock. The claims: no message of
the session is older than W x interval + SLACK_MS, and what the user of the client sees is younger than two ticks in 19
of 20 looks (the machine has other things to do; the oldest is told as well).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import numpy as np

from benchmarks import report
from liqscape.axes import Timeframe
from liqscape.v1 import stream_pb2
from liqscape_client.calls import SESSION_METHOD, SUBSCRIBE_METHOD
from liqscape_client.client import Client

TICK_MS: Final = 50
INTERVAL_MS: Final = 250
WINDOW: Final = 2
SLACK_MS: Final = 100
"""One tick, which may just have been missed, and as much again for a process that does not get a core at once."""

CELLS_PER_TICK: Final = 700
"""Scattered over a grid of 720 x 256: messages of about 2 KB."""


@dataclass(slots=True)
class Ages:
    """What one reader saw."""

    ms: list[float] = field(default_factory=list)
    ticks_conflated: int = 0

    def see(self, encoded_unix_ns: int) -> None:
        self.ms.append((time.time_ns() - encoded_unix_ns) / 1e6)

    @property
    def oldest_ms(self) -> float:
        return max(self.ms, default=float("inf"))

    def below_ms(self, share: float) -> float:
        """Return the age that a share of all was below."""
        return float(np.quantile(self.ms, share)) if self.ms else float("inf")

    def __str__(self) -> str:
        return (
            f"{self.below_ms(0.5):,.0f} / {self.below_ms(0.95):,.0f} / {self.oldest_ms:,.0f} ms, {len(self.ms)} taken, "
            f"{self.ticks_conflated} ticks merged"
        )


async def read_session(client: Client, ages: Ages, interval_s: float) -> None:
    """Read one message an interval and acknowledge it when done with it."""
    async with client.open_channel() as channel:
        session: grpc.aio.StreamStreamMultiCallable[stream_pb2.SessionRequest, stream_pb2.Frame] = (
            channel.stream_stream(
                SESSION_METHOD,
                request_serializer=stream_pb2.SessionRequest.SerializeToString,
                response_deserializer=stream_pb2.Frame.FromString,
            )
        )
        call = session()
        await call.write(stream_pb2.SessionRequest(open=stream_pb2.SubscribeRequest(max_in_flight=WINDOW)))
        frames = 0
        async for frame in call:
            frames += 1
            if look(frame, ages):
                await asyncio.sleep(interval_s)
                acknowledge = stream_pb2.Acknowledge(frames=frames)
                await call.write(stream_pb2.SessionRequest(acknowledge=acknowledge))


async def read_subscription(client: Client, ages: Ages, interval_s: float) -> None:
    """Read one message an interval."""
    async with client.open_channel() as channel:
        subscribe: grpc.aio.UnaryStreamMultiCallable[stream_pb2.SubscribeRequest, stream_pb2.Frame] = (
            channel.unary_stream(
                SUBSCRIBE_METHOD,
                request_serializer=stream_pb2.SubscribeRequest.SerializeToString,
                response_deserializer=stream_pb2.Frame.FromString,
            )
        )
        async for frame in subscribe(stream_pb2.SubscribeRequest()):
            if look(frame, ages):
                await asyncio.sleep(interval_s)


async def look_at_client(client: Client, ages: Ages, interval_s: float) -> None:
    """Look at a stream that drains by itself, once an interval."""
    async with client.stream() as stream:
        await stream.wait_in_sync(30)
        while True:
            newest = stream.replicas.symbol("BTC")
            assert newest is not None
            ages.see(newest.chunks_encoded_unix_ns)
            ages.ticks_conflated = stream.replicas.counters.ticks_conflated
            await asyncio.sleep(interval_s)


def look(frame: stream_pb2.Frame, ages: Ages) -> bool:
    """Note the age of a message of data; return whether it was one."""
    for section in frame.sections:
        for chunk in section.chunks:
            if chunk.HasField("symbol"):
                ages.see(chunk.symbol.chunks_encoded_unix_ns)
    ages.ticks_conflated += frame.ticks_conflated
    return bool(frame.sections)


READERS: Final = {"session": read_session, "subscribe": read_subscription, "client": look_at_client}


async def measure(address: str, seconds: float, interval_s: float) -> dict[str, Ages]:
    """Let all readers read for a time and return what each saw."""
    ages = {name: Ages() for name in READERS}
    async with Client(address) as client:
        tasks = [asyncio.create_task(read(client, ages[name], interval_s)) for name, read in READERS.items()]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()  # a reader that has ended by itself has failed
            raise RuntimeError("a stream ended")
    return ages


def broken_claims(ages: dict[str, Ages]) -> list[str]:
    """Return in words what does not hold."""
    limit_ms = WINDOW * INTERVAL_MS + SLACK_MS
    broken = []
    if ages["session"].oldest_ms > limit_ms:
        broken.append(f"a message of the session was {ages['session'].oldest_ms:.0f} ms old; {limit_ms} is allowed")
    seen_ms = ages["client"].below_ms(0.95)
    if seen_ms > 2 * TICK_MS:
        broken.append(f"what the client's user sees is {seen_ms:.0f} ms old; {2 * TICK_MS} is allowed")
    return broken


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    """Run a server in a process of its own and return its address."""
    command = (sys.executable, "-m", "benchmarks.bench_slow_reader", "--serve")
    process = await asyncio.create_subprocess_exec(*command, cwd=report.ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        address = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        assert address, "the server did not start"
        yield address
    finally:
        process.terminate()
        await process.wait()


async def serve() -> None:
    """Serve a made-up market until ended."""
    from liqscape.api.grpc_service import serve_grpc
    from liqscape.broadcast.encoder import StreamEncoder
    from liqscape.broadcast.hub import Hub
    from liqscape.broadcast.in_process import InProcessFrameSource
    from tests.fake_engine import FakeEngine, FakeQueries

    frame = Timeframe("24h", 2, 720, 120, 2)
    engine = FakeEngine(tick_ms=TICK_MS, rows=256, symbols=("BTC",), frames=(frame,))
    encoder, source = StreamEncoder(engine.shard), InProcessFrameSource(engine.shard)
    hub = Hub(source)
    async with hub.running():
        running = await serve_grpc("127.0.0.1:0", hub, FakeQueries(engine))
        loop = asyncio.get_running_loop()
        due = loop.time()
        source.publish(encoder.encode(engine.step(cells=CELLS_PER_TICK)))
        print(running.address, flush=True)
        while True:
            due += TICK_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))
            source.publish(encoder.encode(engine.step(cells=CELLS_PER_TICK)))
            engine.truth = {engine.tick: engine.truth[engine.tick]}  # nobody asks for older ticks


async def run(seconds: float) -> dict[str, Ages]:
    """Start the server and measure."""
    async with server() as address:
        return await measure(address, seconds, INTERVAL_MS / 1000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="how old is what a slow reader gets?")
    parser.add_argument("--seconds", type=float, help="how long to read; nothing is stored then (default 30)")
    parser.add_argument("--serve", action="store_true", help="only serve, for the readers of another process")
    options = parser.parse_args(arguments)
    if options.serve:
        asyncio.run(serve())
        return 0
    ages = asyncio.run(run(options.seconds or 30.0))
    figures = {
        f"session, W = {WINDOW}, age p50 / p95 / max": str(ages["session"]),
        "subscribe, read as slowly": str(ages["subscribe"]),
        "client by Subscribe, looked at as slowly": str(ages["client"]),
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    broken = broken_claims(ages)
    for claim in broken:
        print(f"NOT TRUE: {claim}", file=sys.stderr)
    if options.seconds is None:
        result: dict[str, Any] = {
            name: {"ages_ms": seen.ms, "merged": seen.ticks_conflated} for name, seen in ages.items()
        }
        report.store("slow_reader", "How old is what a slow reader gets, at 20 ticks a second?", figures, result)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
