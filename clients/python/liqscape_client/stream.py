"""A live stream: one task that drains the connection into replicas and keeps it alive; users sample the replicas.

Draining at once is what bounds the age of the data: a reader that falls behind would find seconds of old messages in
transport buffers, whatever the server merges.
"""

from __future__ import annotations

import asyncio
import enum
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import grpc
from google.protobuf.message import DecodeError as ProtobufDecodeError

from liqscape.v1 import stream_pb2
from liqscape_client.errors import ClientError, NotInSync
from liqscape_client.grids import Heatmap
from liqscape_client.replica_set import ChannelKey, FrameEffect, ReplicaSet
from liqscape_client.retry import Backoff, Verdict, judge, retry_after_s, to_client_error

SUBSCRIBE_METHOD: Final = "/liqscape.v1.StreamService/Subscribe"
HELLO_TIMEOUT_S: Final = 10.0
"""From the call to its first message; covers the TCP and TLS handshake."""

MAX_LAG_S: Final = 3.0
"""A stream whose messages arrive this much later than its quickest did is opened anew: old data sit in its buffers."""

STABLE_AFTER_S: Final = 5.0
"""In sync for this long, the next failure starts with the shortest delay again."""

ChannelFactory = Callable[[], grpc.aio.Channel]


class Phase(enum.Enum):
    """Where a stream stands."""

    CONNECTING = "connecting"
    BUILDING = "building"
    JOINING = "joining"
    IN_SYNC = "in sync"
    OUT_OF_SYNC = "out of sync"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream stands, and why. Only IN_SYNC means that what is shown is what the server holds."""

    phase: Phase
    reason: str = ""

    @property
    def in_sync(self) -> bool:
        return self.phase is Phase.IN_SYNC

    def __str__(self) -> str:
        return f"{self.phase.value}: {self.reason}" if self.reason else self.phase.value


@dataclass(slots=True)
class StreamUpdate:
    """What changed since the last update was taken; merged, because the reader samples and the latest wins."""

    channels: set[ChannelKey] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)
    frames: int = 0
    ticks_conflated: int = 0
    state: StreamState = StreamState(Phase.CONNECTING)


@dataclass(slots=True)
class StreamTotals:
    """Counters of the connection itself; those of the data are in ReplicaSet.counters."""

    connections: int = 0
    joins: int = 0
    frames: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _End:
    """Why a stream ended and what comes next."""

    reason: str
    asked_s: float | None = None
    building: bool = False
    refused: ClientError | None = None


class _Subscriber:
    """One reader of updates: a slot that is merged into, never a queue."""

    def __init__(self) -> None:
        self.pending = StreamUpdate()
        self.ready = asyncio.Event()

    def merge(self, effect: FrameEffect | None) -> None:
        if effect is not None:
            self.pending.channels |= effect.channels
            self.pending.symbols |= effect.symbols
            self.pending.frames += 1
            self.pending.ticks_conflated += effect.ticks_conflated
        self.ready.set()

    def take(self) -> StreamUpdate:
        taken, self.pending = self.pending, StreamUpdate()
        self.ready.clear()
        return taken


class LiveStream:
    """Channels of a server, kept in replicas until closed. Use as `async with client.stream(...) as stream`.

    Args:
        open_channel: opens a connection of its own; called once an attempt, so that no dead connection is used twice.
        selectors: channels wanted; empty = all.
        cadence_ms: smallest interval between messages; 0 = every tick.
        metadata: sent with each call.
        monotonic_s: clock that never steps.
        uniform: random float in [low, high], for jitter.
    """

    def __init__(
        self,
        open_channel: ChannelFactory,
        selectors: Sequence[stream_pb2.ChannelSelector] = (),
        *,
        cadence_ms: int = 0,
        metadata: Sequence[tuple[str, str]] = (),
        monotonic_s: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._open_channel = open_channel
        self._selectors = tuple(selectors)
        self._cadence_ms = cadence_ms
        self._metadata = tuple(metadata)
        self._monotonic_s = monotonic_s
        self._backoff = Backoff(uniform)
        self._subscribers: set[_Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._waiting = StreamState(Phase.CONNECTING)  # what to say while no stream is open
        self._failure: ClientError | None = None
        self._closed = False
        self._least_transit_s = float("inf")
        self._joined_s = float("inf")
        self.replicas = ReplicaSet(monotonic_s)
        self.totals = StreamTotals()

    async def __aenter__(self) -> LiveStream:
        self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to stream in a task of its own."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="liqscape stream")

    async def close(self) -> None:
        """End the stream and its task."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.replicas.disconnected("closed")
        self._notify(None)

    @property
    def failure(self) -> ClientError | None:
        """Return what ended the stream for good; None while there is hope."""
        return self._failure

    @property
    def state(self) -> StreamState:
        """Return where the stream stands now; computed anew each time, because silence changes it too."""
        if self._failure is not None:
            return StreamState(Phase.FAILED, str(self._failure))
        if self._closed:
            return StreamState(Phase.CLOSED)
        if self._waiting.phase is not Phase.JOINING:
            return self._waiting
        reason = self.replicas.out_of_sync_reason()
        if not reason:
            return StreamState(Phase.IN_SYNC)
        return StreamState(Phase.OUT_OF_SYNC if self.replicas.joined else Phase.JOINING, reason)

    def heatmap(self, symbol: str, timeframe: str) -> Heatmap:
        """Return a copy of one channel. It says itself whether it is in sync: the stream's state is taken into account.

        Raises:
            NotServed: the stream does not carry the channel. NotInSync: it has never held a keyframe.
        """
        heatmap = self.replicas.replica(symbol, timeframe).heatmap()
        state = self.state
        return heatmap if state.in_sync else replace(heatmap, in_sync=False, reason=str(state))

    async def wait_in_sync(self, timeout_s: float | None = None) -> None:
        """Return once the stream is in sync.

        Raises:
            NotInSync: the time ran out. ServerError: the server refused for good.
        """
        try:
            async with asyncio.timeout(timeout_s), aclosing(self.updates()) as updates:
                async for update in updates:
                    if update.state.in_sync:
                        return
        except TimeoutError:
            raise NotInSync(f"not in sync after {timeout_s} s: {self.state}") from None
        raise NotInSync(f"the stream was closed: {self.state}")

    def __aiter__(self) -> AsyncIterator[StreamUpdate]:
        return self.updates()

    async def updates(self) -> AsyncGenerator[StreamUpdate, None]:
        """Yield what changed, merged since the last one taken; the first at once. Ends when the stream is closed.

        Raises:
            ServerError: the server refused for good.
        """
        subscriber = _Subscriber()
        self._subscribers.add(subscriber)
        try:
            while True:
                update = subscriber.take()
                update.state = self.state
                if self._failure is not None:
                    raise self._failure
                if self._closed:
                    return
                yield update
                await subscriber.ready.wait()
        finally:
            self._subscribers.discard(subscriber)

    # ---- the task

    async def _run(self) -> None:
        try:
            self._fail(await self._stream_until_refused())
        except Exception as error:
            # A defect of ours must not leave a stream behind that looks alive.
            self._fail(ClientError(f"the stream broke down: {error!r}"))
            raise

    def _fail(self, failure: ClientError) -> None:
        self._failure = failure
        self.replicas.disconnected(str(failure))
        self._notify(None)

    async def _stream_until_refused(self) -> ClientError:
        """Open one stream after the other until the server refuses for good, and return how it put it."""
        while True:
            end = await self._one_stream()
            if end.refused is not None:
                return end.refused
            if self._monotonic_s() - self._joined_s >= STABLE_AFTER_S:
                self._backoff.reset()
            self._joined_s = float("inf")
            self.replicas.disconnected(end.reason)
            if end.building:
                delay_s = self._backoff.building_delay_s(end.asked_s)
                self._wait(Phase.BUILDING, end.reason)
            else:
                delay_s = self._backoff.next_delay_s(end.asked_s)
                phase = Phase.OUT_OF_SYNC if self.totals.joins else Phase.CONNECTING
                self._wait(phase, f"{end.reason}; trying again (attempt {self._backoff.attempts})")
            await asyncio.sleep(delay_s)

    async def _one_stream(self) -> _End:
        """Open one stream and read it to its end, whatever that is."""
        channel = self._open_channel()
        try:
            self.replicas.connecting()
            self.totals.connections += 1
            self._least_transit_s = float("inf")
            request = stream_pb2.SubscribeRequest(
                channels=self._selectors, cadence_ms=self._cadence_ms, resume=self.replicas.resume_points()
            )
            # No deserializer: the size of a message is of interest, and a bad one must not look like a broken line.
            subscribe: grpc.aio.UnaryStreamMultiCallable[stream_pb2.SubscribeRequest, bytes] = channel.unary_stream(
                SUBSCRIBE_METHOD, request_serializer=stream_pb2.SubscribeRequest.SerializeToString
            )
            return await self._read(subscribe(request, metadata=self._metadata))
        except TimeoutError:
            greeted = self._waiting.phase is Phase.JOINING
            silent_s = self.replicas.dead_after_s if greeted else HELLO_TIMEOUT_S
            return _End(f"nothing heard for {silent_s:.1f} s")
        except grpc.aio.AioRpcError as error:
            failure = to_client_error(error)
            verdict = judge(error, served_before=self.totals.joins > 0)
            return _End(
                str(failure),
                asked_s=retry_after_s(error),
                building=verdict is Verdict.BUILDING,
                refused=failure if verdict is Verdict.FATAL else None,
            )
        except (ProtobufDecodeError, grpc.aio.UsageError) as error:
            return _End(f"the server's bytes cannot be read: {error}")
        finally:
            await channel.close()

    async def _read(self, call: grpc.aio.UnaryStreamCall[stream_pb2.SubscribeRequest, bytes]) -> _End:
        asked_s: float | None = None
        silence_s = HELLO_TIMEOUT_S
        while True:
            async with asyncio.timeout(silence_s):
                message = await call.read()
            if message is grpc.aio.EOF or not isinstance(message, bytes):
                return _End("the server ended the stream", asked_s=asked_s)
            frame = stream_pb2.Frame.FromString(message)
            effect = self.replicas.apply(frame)
            self._waiting = StreamState(Phase.JOINING)
            self.totals.frames += 1
            self.totals.bytes += len(message)
            if effect.joined:
                self.totals.joins += 1
                self._joined_s = self._monotonic_s()
            if effect.reconnect_after_ms is not None:
                asked_s = effect.reconnect_after_ms / 1000
            lag_s = self._lag_s(frame.sent_unix_ns)
            broken = effect.broken or (f"{lag_s:.1f} s behind the server" if lag_s > MAX_LAG_S else None)
            if broken:
                self.replicas.disconnected(broken)
                self._waiting = StreamState(Phase.OUT_OF_SYNC, broken)
            self._notify(effect)
            if broken:
                return _End(broken)
            silence_s = self.replicas.dead_after_s

    def _lag_s(self, sent_unix_ns: int) -> float:
        """Return how much later than the quickest message of this stream one arrived, seconds.

        Needs no common clock: only differences between two clocks that both run are compared.
        """
        if not sent_unix_ns:
            return 0.0
        transit_s = self._monotonic_s() - sent_unix_ns / 1e9
        self._least_transit_s = min(self._least_transit_s, transit_s)
        return transit_s - self._least_transit_s

    def _wait(self, phase: Phase, reason: str) -> None:
        self._waiting = StreamState(phase, reason)
        self._notify(None)

    def _notify(self, effect: FrameEffect | None) -> None:
        for subscriber in self._subscribers:
            subscriber.merge(effect)
