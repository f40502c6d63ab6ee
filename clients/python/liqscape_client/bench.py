"""`liqscape bench`: refresh latency of a server as its clients see it, stage by stage.

Every subscriber has a connection of its own and parses every message. The first also applies everything to replicas,
checksums included; the others only read the stamps, because a hundred replicas in one process would measure this
process and not the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.client import Client
from liqscape_client.connection import add_connection_arguments, client_options, is_this_host
from liqscape_client.errors import ClientError, MissingPackage, NotInSync, Unreachable
from liqscape_client.latency import Meter
from liqscape_client.replica_set import ReplicaSet
from liqscape_client.retry import BUILDING_DELAY_S, Verdict, judge, retry_after_s, to_client_error
from liqscape_client.stream import SUBSCRIBE_METHOD

if TYPE_CHECKING:
    from rich.console import Console

MAX_SUBSCRIBERS: Final = 5000
"""Each is a connection: files and about 100 KB in this process."""

DEFAULT_SECONDS: Final = 10.0
DEFAULT_WAIT_S: Final = 180.0
_CLOCK_PROBES: Final = 8
_EXIT_FAILURE: Final = 1


@dataclass(frozen=True, slots=True)
class ClockRelation:
    """How stamps of the server compare with the clock here."""

    same_host: bool
    server_ahead_ns: int = 0
    uncertainty_ns: int = 0

    def __str__(self) -> str:
        if self.same_host:
            return "server on this host: one clock"
        ahead, uncertainty = f"{self.server_ahead_ns / 1e6:+.2f}", f"{self.uncertainty_ns / 1e6:.2f}"
        return (
            f"server on another host: its clock is {ahead} ms ahead +- {uncertainty} ms, estimated from the quickest of"
            f" {_CLOCK_PROBES} round trips; stages that cross hosts are off by as much"
        )


@dataclass(slots=True)
class BenchResult:
    """What a run found; bench_report.py turns it into words and JSON."""

    address: str
    subscribers: int
    cadence_ms: int
    started_unix_s: float
    clock: ClockRelation
    status: query_pb2.GetStatusResponse
    meter: Meter
    replicas: ReplicaSet
    seconds: float = 0.0
    channels: int = 0
    losses: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Return whether nothing was lost, damaged or out of order."""
        counters = self.replicas.counters
        return not (self.losses or counters.gaps or counters.checksum_failures or counters.malformed)


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `bench`."""
    add_connection_arguments(parser)
    parser.add_argument("--subscribers", type=_subscribers, default=1, help="streams of all channels (default 1)")
    parser.add_argument("--seconds", type=_seconds, default=DEFAULT_SECONDS, help="how long to measure (default 10)")
    parser.add_argument("--cadence-ms", type=int, default=0, help="interval asked for; 0 = every tick (default)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON too")
    parser.add_argument(
        "--wait", type=_seconds, default=DEFAULT_WAIT_S, help="longest wait for the join (default 180 s)"
    )


def run_bench(namespace: argparse.Namespace) -> int:
    """Measure, print and store.

    Returns:
        0 = measured and sound; 1 = unreachable, or something was lost, damaged or out of order.
    """
    try:
        console = open_console()
        result = asyncio.run(measure(namespace, console))
        from liqscape_client.bench_report import print_report, to_json

        print_report(result, console)
        if namespace.json is not None:
            namespace.json.write_text(json.dumps(to_json(result), indent=2) + "\n", "utf-8")
        return 0 if result.is_sound else _EXIT_FAILURE
    except (ClientError, OSError) as error:
        print(f"liqscape bench: {error}", file=sys.stderr)
        return _EXIT_FAILURE


def open_console() -> Console:
    """Return a console, or raise MissingPackage."""
    try:
        from rich.console import Console
    except ImportError as error:
        raise MissingPackage("bench needs the package 'rich'; run: pip install 'liqscape[watch]'") from error
    return Console()


async def measure(namespace: argparse.Namespace, console: Console) -> BenchResult:
    """Join every subscriber, then measure for the time asked.

    Raises:
        ServerError: the server refuses. NotInSync: the subscribers did not join in time.
    """
    async with Client(**client_options(namespace)) as client:
        clock = await clock_relation(client)
        result = BenchResult(
            address=namespace.address,
            subscribers=namespace.subscribers,
            cadence_ms=namespace.cadence_ms,
            started_unix_s=time.time(),
            clock=clock,
            status=await client.status(),
            meter=Meter(server_ahead_ns=clock.server_ahead_ns),
            replicas=ReplicaSet(time.monotonic),
        )
        run = _Run(client, result)
        try:
            await run.join(namespace.wait, console)
            result.status = await client.status()  # again: it may have been building history before
            await run.measure(namespace.seconds, console)
        finally:
            await run.stop()
        return result


class _Run:
    """The subscribers of one run."""

    def __init__(self, client: Client, result: BenchResult) -> None:
        self._client = client
        self._result = result
        self._tasks: list[asyncio.Task[None]] = []
        self._joined = 0
        self._all_joined = asyncio.Event()
        self._measuring = False
        self._said = "connecting"

    async def join(self, wait_s: float, console: Console) -> None:
        """Return once every subscriber has reached its SnapshotEnd."""
        self._tasks = [asyncio.create_task(self._subscriber(number)) for number in range(self._result.subscribers)]
        joined = asyncio.create_task(self._all_joined.wait())
        ends_s = time.monotonic() + wait_s
        try:
            with console.status(self._said) as status:
                while not joined.done():
                    if time.monotonic() > ends_s:
                        raise NotInSync(
                            f"{self._joined} of {self._result.subscribers} joined in {wait_s} s: {self._said}"
                        )
                    await asyncio.wait([joined, *self._tasks], timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                    self._raise_failures()
                    status.update(f"{self._joined} of {self._result.subscribers} joined: {self._said}")
        finally:
            joined.cancel()

    async def measure(self, seconds: float, console: Console) -> None:
        """Measure until the time has passed, or every stream is lost."""
        self._result.channels = len(self._result.replicas.channels())
        with console.status(f"measuring {self._result.subscribers} streams for {seconds:g} s"):
            started_s = time.monotonic()
            self._measuring = True
            await asyncio.wait(self._tasks, timeout=seconds)
            self._measuring = False
            self._result.seconds = time.monotonic() - started_s

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _raise_failures(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if self._result.losses:
            raise Unreachable("UNAVAILABLE", f"a stream was lost while joining: {self._result.losses[0]}")

    async def _subscriber(self, number: int) -> None:
        """Stream until cancelled; while the server builds history, ask again."""
        while True:
            channel = self._client.open_channel()
            try:
                await self._stream(channel, number)
                return
            except grpc.aio.AioRpcError as error:
                if self._all_joined.is_set():
                    self._result.losses.append(f"subscriber {number}: {to_client_error(error)}")
                    return
                if judge(error, served_before=False) is not Verdict.BUILDING:
                    raise to_client_error(error) from error
                self._said = error.details() or "the server builds history"
                wait_s = retry_after_s(error)
            finally:
                await channel.close()
            await asyncio.sleep(BUILDING_DELAY_S if wait_s is None else wait_s)

    async def _stream(self, channel: grpc.aio.Channel, number: int) -> None:
        subscribe: grpc.aio.UnaryStreamMultiCallable[stream_pb2.SubscribeRequest, bytes] = channel.unary_stream(
            SUBSCRIBE_METHOD, request_serializer=stream_pb2.SubscribeRequest.SerializeToString
        )
        meter, has_replica = self._result.meter, number == 0
        request = stream_pb2.SubscribeRequest(cadence_ms=self._result.cadence_ms)
        async for message in subscribe(request, metadata=self._client.metadata):
            frame = stream_pb2.Frame.FromString(message)
            broken = self._result.replicas.apply(frame).broken if has_replica else None
            done_unix_ns = time.time_ns()
            if self._measuring:
                meter.record(frame, len(message), done_unix_ns, has_replica=has_replica)
            if frame.HasField("snapshot_end"):
                self._count_joined()
            if broken is not None:
                self._result.losses.append(f"subscriber {number}: {broken}")
                return
        self._result.losses.append(f"subscriber {number}: the server ended the stream")

    def _count_joined(self) -> None:
        self._joined += 1
        self._said = "receiving"
        if self._joined == self._result.subscribers:
            self._all_joined.set()


async def clock_relation(client: Client) -> ClockRelation:
    """Compare the clocks: nothing to do on one host, otherwise the quickest of some round trips."""
    if is_this_host(client.address):
        return ClockRelation(same_host=True)
    best: tuple[int, int] | None = None
    for _ in range(_CLOCK_PROBES):
        asked = time.time_ns()
        server_unix_ns = (await client.status()).server_unix_ns
        answered = time.time_ns()
        probe = (answered - asked, server_unix_ns - (asked + answered) // 2)
        best = probe if best is None else min(best, probe)
    assert best is not None
    return ClockRelation(same_host=False, server_ahead_ns=best[1], uncertainty_ns=best[0] // 2)


def _subscribers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_SUBSCRIBERS:
        raise argparse.ArgumentTypeError(f"subscribers {text!r} is not a whole number from 1 to {MAX_SUBSCRIBERS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"seconds {text!r} is not a number above 0 and up to 86400")
    return value
