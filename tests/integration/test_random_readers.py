"""I6 over real sockets: random ticks and readers, an engine that starts anew. Every whole replica is what was emitted.

Readers subscribe or hold sessions; they read at once, slowly, or not at all for a while; they drop their call and come
back with or without a resume point; they change what they read: all channels, a symbol, tiles, a custom channel, coarse
rows. After every message that leaves a reader whole, each of its rings is compared with what the engine emitted at the
tick it names, and a chunk that does not follow what is held ends the test. At the end everybody has to have caught up.

What is random comes from a seed, which is shown; the order in which sockets are served is the machine's.
LIQSCAPE_READER_TICKS and LIQSCAPE_READER_SEEDS say how much; `make prove` takes 5,000 ticks of each of ten seeds.

Seen to fail when broken on purpose, one at a time: ring.py, `since` without the first chunk of a long chain; hub.py,
batches shared by readers at different positions, and `complete` on every fragment of small frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from dataclasses import dataclass, field

import grpc
import pytest

from liqscape.api.grpc_service import RunningGrpcServer, serve_grpc
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.ring import Ring
from liqscape.v1 import stream_pb2
from tests.fake_engine import EPOCH, FakeChannels, FakeEngine, FakeQueries
from tests.wire_decoder import Replica

TICKS = int(os.environ.get("LIQSCAPE_READER_TICKS", "600"))
SEEDS = range(1, 1 + int(os.environ.get("LIQSCAPE_READER_SEEDS", "2")))
READERS = 10
RING_TICKS = 40
MAX_FRAME_BYTES = 400
"""So small that joins, and what came while a reader stalled, are cut into fragments."""
EPOCHS = 3
CATCH_UP_S = 60.0
SMALL_WINDOW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024))

Request = stream_pb2.SessionRequest
Selector = stream_pb2.ChannelSelector
SELECTIONS: tuple[list[stream_pb2.ChannelSelector], ...] = (
    [],
    [Selector(symbol="BTC")],
    [Selector(symbol="ETH", timeframe="24h"), Selector(symbol="BTC", timeframe="12h")],
    [Selector(symbol="BTC", timeframe="12h", rows=stream_pb2.RowSpan(first=0, last=200))],
    [Selector(symbol="ETH", timeframe="12h", positions=stream_pb2.PositionFilter(leverages=[10]))],
    [Selector(symbol="ETH", timeframe="12h", row_fold=2), Selector(symbol="ETH", timeframe="12h")],
)


@dataclass
class Life:
    """One life of an engine, and the server of it."""

    engine: FakeEngine
    encoder: StreamEncoder
    source: InProcessFrameSource
    hub: Hub
    running: RunningGrpcServer
    stack: contextlib.AsyncExitStack

    @classmethod
    async def begin(cls, epoch: int, seed: int) -> Life:
        engine = FakeEngine(seed, epoch=epoch, first_row=126)
        source = InProcessFrameSource(engine.shard)
        hub = Hub(source, channels=FakeChannels(engine), ring=Ring(RING_TICKS), max_frame_bytes=MAX_FRAME_BYTES)
        stack = contextlib.AsyncExitStack()
        await stack.enter_async_context(hub.running())
        running = await serve_grpc("127.0.0.1:0", hub, FakeQueries(engine))
        stack.push_async_callback(running.stop, 0.2)
        return cls(engine, StreamEncoder(engine.shard), source, hub, running, stack)


@dataclass
class World:
    """Everything of one run."""

    random: random.Random
    lives: list[Life] = field(default_factory=list)
    is_over: bool = False
    last_tick: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def now(self) -> Life:
        return self.lives[-1]

    async def start_anew(self) -> None:
        """Begin another life, under a new epoch; the one before says goodbye."""
        before = self.lives[-1] if self.lives else None
        self.lives.append(await Life.begin(EPOCH + len(self.lives), self.random.randrange(1 << 30)))
        self.tick()
        if before is not None:
            await before.stack.aclose()

    def tick(self) -> None:
        """Make a tick: nothing, a little, much, columns that move, rows that are renewed."""
        dice, life = self.random, self.now
        ids = life.engine.channel_ids
        output = life.engine.step(
            changing=[i for i in ids if dice.random() < 0.6],
            cells=dice.choice((0, 1, 2, 12)),
            moving=[i for i in ids if dice.random() < 0.05],
            renewing=[i for i in ids if dice.random() < 0.01],
        )
        life.source.publish(life.encoder.encode(output))
        self.counts["ticks"] += 1


class Reader:
    """One client that does what its dice say."""

    def __init__(self, world: World, number: int, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed * 1000 + number)
        self._replica = Replica()
        self._selection = self._dice.choice(SELECTIONS)
        self._asked = 0

    async def run(self) -> None:
        """Read until the world is over and everything of it has been read."""
        while True:
            life = self._world.now
            async with grpc.aio.insecure_channel(life.running.address, options=SMALL_WINDOW) as channel:
                holds_session = self._dice.random() < 0.5
                call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(
                    "/liqscape.v1.StreamService/Session" if holds_session else SUBSCRIBE
                )()
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await self._read(call, life, holds_session=holds_session)
                call.cancel()
            self._world.counts["calls"] += 1
            if self._has_everything:
                return
            await asyncio.sleep(0)

    @property
    def _has_everything(self) -> bool:
        resume, epoch = self._replica.resume, self._world.now.engine.shard.epoch
        is_late = resume is not None and resume.epoch == epoch and resume.tick >= self._world.last_tick
        return self._world.is_over and is_late and self._is_whole

    @property
    def _is_whole(self) -> bool:
        return self._replica.is_whole and not self._replica.inside_message

    async def _read(self, call: grpc.aio.StreamStreamCall[bytes, bytes], life: Life, *, holds_session: bool) -> None:
        dice, replica = self._dice, self._replica
        resume = [replica.resume] if replica.resume is not None and dice.random() < 0.8 else []
        if replica.changes < self._asked or not replica.is_whole:
            resume = []  # a resume point is of channels that are held: not of those that were still to come
        if not resume and dice.random() < 0.5:
            self._selection = dice.choice(SELECTIONS)
        asked = stream_pb2.SubscribeRequest(channels=self._selection, resume=resume)
        replica.connecting()
        self._asked = 0
        message = Request(open=asked) if holds_session else asked
        await call.write(message.SerializeToString())
        if not holds_session:
            await call.done_writing()
        pace = dice.choice((0.0, 0.0, 0.002, 0.02))
        ends_after = dice.randrange(5, 200)
        while not self._has_everything:
            async with asyncio.timeout(CATCH_UP_S):
                data = await call.read()
            if not isinstance(data, bytes):
                return  # the server has said goodbye
            frame = replica.apply(data)
            self._check()
            if frame.WhichOneof("control") == "lagged":
                self._world.counts["lagged"] += 1
            if holds_session:
                await self._answer(call)
            if self._world.is_over:
                continue
            ends_after -= 1
            if ends_after <= 0:
                return
            if dice.random() < 0.02:
                await self._stall(life)
            elif pace:
                await asyncio.sleep(pace)

    async def _answer(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        acknowledge = stream_pb2.Acknowledge(frames=self._replica.frames)
        await call.write(Request(acknowledge=acknowledge).SerializeToString())
        if not self._world.is_over and self._dice.random() < 0.02 and self._replica.changes == self._asked:
            self._selection = self._dice.choice(SELECTIONS)
            self._asked += 1
            self._world.counts["changes"] += 1
            change = stream_pb2.Change(channels=self._selection)
            await call.write(Request(change=change).SerializeToString())

    async def _stall(self, life: Life) -> None:
        """Read nothing for some ticks, sometimes for more than the ring holds."""
        until = life.engine.tick + self._dice.choice((5, 20, RING_TICKS + 10))
        self._world.counts["stalls"] += 1
        # Ticks are made by the test itself, every two milliseconds.
        while life.engine.tick < until and life is self._world.now and not self._world.is_over:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    def _check(self) -> None:
        resume = self._replica.resume
        if not self._is_whole or resume is None:
            return
        truth = self._world.lives[resume.epoch - EPOCH].engine.truth
        for channel_id, channel in self._replica.channels.items():
            # Who dropped in the middle of a message holds some channels of a later tick than the one it resumes from.
            tick = max(resume.tick, channel.tick)
            expected = truth[tick][channel_id]
            assert bytes(channel.ring) == expected.ring, f"channel {channel_id} at tick {tick}"
            assert channel.newest_column == expected.newest_column
        self._world.counts["checks"] += 1


SUBSCRIBE = "/liqscape.v1.StreamService/Subscribe"


@pytest.mark.slow
@pytest.mark.timeout(120 + TICKS // 20)
@pytest.mark.parametrize("seed", SEEDS)
async def test_every_whole_replica_is_what_was_emitted(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(random.Random(seed))
    try:
        await world.start_anew()
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(Reader(world, number, seed).run()) for number in range(READERS)]
            for number in range(TICKS):
                if number and number % (TICKS // EPOCHS) == 0:
                    await world.start_anew()
                world.tick()
                await asyncio.sleep(0.002)
            world.is_over, world.last_tick = True, world.now.engine.tick
            while not all(reader.done() for reader in readers):
                world.tick()  # what is opened now begins with a tick to come
                await asyncio.sleep(0.02)
    finally:
        for life in world.lives:
            await life.stack.aclose()

    with capsys.disabled():
        print(f"\nseed {seed}: {dict(world.counts)}")
    assert world.counts["ticks"] >= TICKS
    assert world.counts["checks"] > TICKS // 4
    assert min(world.counts[name] for name in ("changes", "stalls", "lagged")) > 0
