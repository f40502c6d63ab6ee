"""A light client: it follows the chain of every channel by its ticks alone and comes back where it left off.

Hundreds of them fit a process. It opens a connection of its own each time, as the shipped client does, and waits as
that one does before it tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Final

import grpc

from liqscape.v1 import stream_pb2
from liqscape_client.calls import SUBSCRIBE_METHOD
from liqscape_client.retry import Backoff, Verdict, judge, retry_after_s

SILENCE_LIMIT_S: Final = 3.0
"""Three heartbeats: then the stream is dead."""

HELLO_LIMIT_S: Final = 10.0

_OWN_CONNECTION: Final = (("grpc.use_local_subchannel_pool", 1),)


@dataclass(eq=False)
class Follower:
    """One reader of everything.

    Attributes:
        address: of the server.
        seed: of its jitter.
        in_sync_since: when its stream had told all that was missed and then a tick; None while it has none that has.
        epoch, tick: the newest message that is complete.
        hellos, resumed: streams begun, and those of them that went on without keyframes.
        keyframes, gaps: chunks that were keyframes, and those that did not follow what is held.
        lagged, farewells: why resume points were refused, and what was said at the end of streams.
        states: of the data, as last told by a heartbeat.
    """

    address: str
    seed: int = 1
    in_sync_since: float | None = None
    epoch: int = 0
    tick: int = 0
    hellos: int = 0
    resumed: int = 0
    keyframes: int = 0
    gaps: int = 0
    lagged: Counter[str] = field(default_factory=Counter)
    farewells: Counter[str] = field(default_factory=Counter)
    states: tuple[int, ...] = ()
    _has_joined: bool = False
    _held: dict[int, tuple[int, int]] = field(default_factory=dict)
    _last: stream_pb2.ResumePoint | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        backoff = Backoff(random.Random(self.seed).uniform)
        while True:
            asked_s = None
            try:
                asked_s = await self._one_stream()
                delay_s = backoff.next_delay_s(asked_s)
            except TimeoutError:
                delay_s = backoff.next_delay_s()
            except grpc.aio.AioRpcError as error:
                asked_s = retry_after_s(error)
                building = judge(error, served_before=True) is Verdict.BUILDING
                delay_s = backoff.building_delay_s(asked_s) if building else backoff.next_delay_s(asked_s)
            if self.in_sync_since is not None:
                backoff.reset()
            self.in_sync_since, self._has_joined = None, False
            await asyncio.sleep(delay_s)

    async def _one_stream(self) -> float | None:
        """Read one stream to its end; return when its server wants it back, seconds."""
        asked_s = None
        async with grpc.aio.insecure_channel(self.address, options=_OWN_CONNECTION) as channel:
            subscribe: grpc.aio.UnaryStreamMultiCallable[stream_pb2.SubscribeRequest, stream_pb2.Frame] = (
                channel.unary_stream(
                    SUBSCRIBE_METHOD,
                    request_serializer=stream_pb2.SubscribeRequest.SerializeToString,
                    response_deserializer=stream_pb2.Frame.FromString,
                )
            )
            call = subscribe(stream_pb2.SubscribeRequest(resume=[] if self._last is None else [self._last]))
            limit_s = HELLO_LIMIT_S
            while True:
                async with asyncio.timeout(limit_s):
                    frame: object = await call.read()
                if not isinstance(frame, stream_pb2.Frame):
                    return asked_s
                limit_s = SILENCE_LIMIT_S
                self._take(frame)
                if frame.WhichOneof("control") == "going_away":
                    asked_s = frame.going_away.reconnect_after_ms / 1000

    def _take(self, frame: stream_pb2.Frame) -> None:
        kind = frame.WhichOneof("control")
        if kind == "hello":
            self.hellos += 1
            self.resumed += frame.hello.resumed
            if not frame.hello.resumed:
                self._held.clear()
        elif kind == "lagged":
            self.lagged[stream_pb2.Lagged.Reason.Name(frame.lagged.reason)] += 1
        elif kind == "going_away":
            self.farewells[frame.going_away.reason] += 1
        elif kind == "heartbeat":
            self.states = tuple(frame.heartbeat.states)
        elif kind == "snapshot_end":
            self._has_joined = True
        for section in frame.sections:
            for chunk in section.chunks:
                if chunk.HasField("channel"):
                    self._chain(chunk.channel)
            if section.complete:
                if self._has_joined and self.in_sync_since is None:
                    self.in_sync_since = time.monotonic()
                self.epoch, self.tick = section.epoch, section.tick
                self._last = stream_pb2.ResumePoint(source_id=section.source_id, epoch=section.epoch, tick=section.tick)

    def _chain(self, chunk: stream_pb2.ChannelChunk) -> None:
        generation, tick = self._held.get(chunk.channel_id, (0, 0))
        if chunk.kind == stream_pb2.CHUNK_KIND_KEYFRAME:
            self.keyframes += 1
        elif (chunk.generation, chunk.prev_tick) != (generation, tick):
            if chunk.generation == generation and chunk.tick <= tick:
                return  # known already
            self.gaps += 1
            return
        self._held[chunk.channel_id] = (chunk.generation, chunk.tick)


@contextlib.asynccontextmanager
async def following(address: str, count: int) -> AsyncIterator[list[Follower]]:
    """Let so many followers run until the block is left."""
    followers = [Follower(address, seed) for seed in range(count)]
    tasks = [asyncio.create_task(follower.run()) for follower in followers]
    try:
        yield followers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_in_sync(followers: Iterable[Follower], limit_s: float) -> None:
    """Return once each of them has a stream that has told all that was missed, and then a tick.

    Raises:
        TimeoutError: not within the limit.
    """
    async with asyncio.timeout(limit_s):
        while any(follower.in_sync_since is None for follower in followers):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
