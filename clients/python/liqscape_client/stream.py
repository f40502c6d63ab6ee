"""A live stream: one task that drains the connection into replicas and keeps it alive; users sample the replicas.

Draining at once is what bounds the age of the data: a reader that falls behind would find seconds of old messages in
transport buffers, whatever the server merges.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Unpack

import grpc
from google.protobuf.message import DecodeError as ProtobufDecodeError

from liqscape.v1 import stream_pb2
from liqscape_client.calls import SUBSCRIBE_METHOD as SUBSCRIBE_METHOD
from liqscape_client.calls import SessionCall, StreamCall, SubscribeCall
from liqscape_client.channel_parts import ChannelPart
from liqscape_client.channel_selectors import ChannelOptions, wanted_selectors
from liqscape_client.errors import ChangeRefused, ClientError, NotInSync
from liqscape_client.frame_effect import FrameEffect
from liqscape_client.grids import Heatmap
from liqscape_client.mending import Mending
from liqscape_client.replica_set import ReplicaSet
from liqscape_client.retry import Backoff, Verdict, judge, retry_after_s, to_client_error
from liqscape_client.stream_state import Phase as Phase
from liqscape_client.stream_state import StreamEnd, StreamTotals, Subscriber
from liqscape_client.stream_state import StreamState as StreamState
from liqscape_client.stream_state import StreamUpdate as StreamUpdate
from liqscape_client.tile_stack import stack_tiles

HELLO_TIMEOUT_S: Final = 10.0
"""From the call to its first message; covers the TCP and TLS handshake."""

MAX_LAG_S: Final = 3.0
"""A stream whose messages arrive this much later than its quickest did is opened anew: old data sit in its buffers."""

STABLE_AFTER_S: Final = 5.0
"""In sync for this long, the next failure starts with the shortest delay again."""

ChannelFactory = Callable[[], grpc.aio.Channel]


@dataclass(slots=True, eq=False)
class _Change:
    """A change of channels that the server has not answered yet."""

    selectors: tuple[stream_pb2.ChannelSelector, ...]
    cadence_ms: int
    answered: asyncio.Future[None]
    asked_of: SessionCall | None = None


class LiveStream:
    """Channels of a server, kept in replicas until closed. Use as `async with client.stream(...) as stream`.

    Args:
        open_channel: opens a connection of its own; called once an attempt, so that no dead connection is used twice.
        selectors: channels wanted; empty = all.
        cadence_ms: smallest interval between messages; 0 = every tick.
        credits: read by Session with this many messages of data ahead of what has been applied, 1 to 8, where lines
            are slow, this process is short of time, or channels are to be changed; None = read by Subscribe.
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
        credits: int | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        monotonic_s: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._open_channel = open_channel
        self._selectors = tuple(selectors)
        self._cadence_ms = cadence_ms
        self._credits = credits
        self._session: SessionCall | None = None
        self._changing = asyncio.Lock()
        self._change: _Change | None = None
        self._metadata = tuple(metadata)
        self._monotonic_s = monotonic_s
        self._backoff = Backoff(uniform)
        self._subscribers: set[Subscriber] = set()
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
        self._end_change()
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

    def heatmap(self, symbol: str, timeframe: str, part: ChannelPart | None = None) -> Heatmap:
        """Return a copy of one channel. It says itself whether it is in sync: the stream's state is taken into account.

        Args:
            symbol, timeframe: which.
            part: of a tile or custom channel.

        Raises:
            NotServed: the stream does not carry the channel. NotInSync: it has never held a keyframe.
        """
        heatmap = self.replicas.replica(symbol, timeframe, part).heatmap()
        state = self.state
        return heatmap if state.in_sync else replace(heatmap, in_sync=False, reason=str(state))

    def viewport(self, symbol: str, timeframe: str, positions: ChannelPart | None = None) -> Heatmap:
        """Return the tiles of a timeframe that this stream carries as one picture; see stack_tiles.

        Args:
            symbol, timeframe: which.
            positions: of a custom channel.

        Raises:
            NotServed: it carries none, or not those between. NotInSync: one has never held a keyframe.
        """
        parts = self.replicas.parts(symbol, timeframe)
        wanted = [p for p in parts if p is not None and p.tile is not None and p.positions == positions]
        return stack_tiles([self.heatmap(symbol, timeframe, part) for part in wanted])

    async def change(
        self,
        symbols: str | Iterable[str] = (),
        timeframes: str | Iterable[str] = (),
        *,
        cadence_ms: int = 0,
        selectors: Iterable[stream_pb2.ChannelSelector] = (),
        **options: Unpack[ChannelOptions],
    ) -> None:
        """Go over to other channels on the open stream; return once the server has said that they are served.

        The stream is joining until the keyframes of those that are new have come; what is kept goes on. A stream that
        breaks meanwhile asks again when it is open.

        Args:
            symbols: base coins wanted from now on; none = every channel the server has.
            timeframes: of each symbol; none = all nine.
            cadence_ms: smallest interval between messages; 0 = every tick.
            selectors, options: as in Client.stream.

        Raises:
            ChangeRefused: the server says why; the stream goes on as before.
            ClientError: the stream has ended, or was opened without credits.
        """
        wanted = wanted_selectors(symbols, timeframes, selectors, options)
        if self._credits is None:
            raise ClientError("channels can only be changed on a session; open the stream with credits=2")
        if self._failure is not None or self._closed:
            raise ClientError(f"the stream is not open: {self.state}")
        async with self._changing:  # one at a time, so that an answer has one meaning
            change = _Change(tuple(wanted), cadence_ms, asyncio.get_running_loop().create_future())
            self._change = change
            try:
                await self._say_change()
                await change.answered
            finally:
                self._change = None

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
        subscriber = Subscriber()
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
        self._end_change()
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

    async def _one_stream(self) -> StreamEnd:
        """Open one stream and read it to its end, whatever that is."""
        channel = self._open_channel()
        try:
            self.replicas.connecting()
            self.totals.connections += 1
            self._least_transit_s = float("inf")
            return await self._read(self._call(channel))
        except TimeoutError:
            greeted = self._waiting.phase is Phase.JOINING
            silent_s = self.replicas.dead_after_s if greeted else HELLO_TIMEOUT_S
            return StreamEnd(f"nothing heard for {silent_s:.1f} s")
        except grpc.aio.AioRpcError as error:
            failure = to_client_error(error)
            verdict = judge(error, served_before=self.totals.joins > 0)
            return StreamEnd(
                str(failure),
                asked_s=retry_after_s(error),
                building=verdict is Verdict.BUILDING,
                refused=failure if verdict is Verdict.FATAL else None,
            )
        except (ProtobufDecodeError, grpc.aio.UsageError) as error:
            return StreamEnd(f"the server's bytes cannot be read: {error}")
        finally:
            self._session = None
            await channel.close()

    def _call(self, channel: grpc.aio.Channel) -> StreamCall:
        request = stream_pb2.SubscribeRequest(
            channels=self._selectors, cadence_ms=self._cadence_ms, resume=self.replicas.resume_points()
        )
        if self._credits is None:
            return SubscribeCall(channel, request, self._metadata)
        request.max_in_flight = self._credits
        mending = Mending(self._monotonic_s, self.totals)
        self._session = SessionCall(channel, request, self._metadata, self.replicas, mending)
        return self._session

    async def _read(self, call: StreamCall) -> StreamEnd:
        asked_s: float | None = None
        silence_s = HELLO_TIMEOUT_S
        while True:
            async with asyncio.timeout(silence_s):
                message = await call.read()
            if message is None:
                return StreamEnd("the server ended the stream", asked_s=asked_s)
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
            if effect.changed is not None:
                self._take_answer(effect.changed)
            async with asyncio.timeout(silence_s):
                broken = await call.settle(effect)
                await self._say_change()
            lag_s = self._lag_s(frame.sent_unix_ns)
            broken = broken or (f"{lag_s:.1f} s behind the server" if lag_s > MAX_LAG_S else None)
            if broken:
                self.replicas.disconnected(broken)
                self._waiting = StreamState(Phase.OUT_OF_SYNC, broken)
            self._notify(effect)
            if broken:
                return StreamEnd(broken)
            silence_s = self.replicas.dead_after_s

    async def _say_change(self) -> None:
        """Ask for the change that is wanted, if it has not been asked for on this stream and can be."""
        change, session = self._change, self._session
        if change is not None and session is not None and session.is_greeted and change.asked_of is not session:
            change.asked_of = session
            await session.change(change.selectors, change.cadence_ms)

    def _take_answer(self, changed: stream_pb2.SelectionChanged) -> None:
        change = self._change
        if change is None or change.answered.done():
            return
        if changed.refused:
            change.answered.set_exception(ChangeRefused(changed.refused))
            return
        self._selectors, self._cadence_ms = change.selectors, change.cadence_ms
        self.totals.changes += 1
        change.answered.set_result(None)

    def _end_change(self) -> None:
        if self._change is not None and not self._change.answered.done():
            self._change.answered.set_exception(ClientError(f"the stream has ended: {self.state}"))

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
