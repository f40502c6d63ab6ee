"""One hub takes the place of another: who is told what, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from liqscape.broadcast.cursor import Cursor
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import NEW_EPOCH, NEW_EPOCH_SPREAD_S, Hubs
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.v1 import stream_pb2
from tests.fake_engine import FakeEngine


class Life:
    """One life of an engine: a past, and records given one by one."""

    def __init__(self, epoch: int, past: int = 0) -> None:
        self.engine = FakeEngine(epoch=epoch)
        self._encoder = StreamEncoder(self.engine.shard, now_ns=lambda: 3)
        kept = Ring.for_tick_ms(1000)
        for _ in range(past):
            kept.append(self.record())
        self.ring = Ring.restored(1000, kept.past())
        self.coming: asyncio.Queue[TickRecord | None] = asyncio.Queue()

    @property
    def shard(self) -> ShardDescription:
        return self.engine.shard

    @property
    def channels(self) -> None:
        return None

    def record(self) -> TickRecord:
        return self._encoder.encode(self.engine.step())

    async def records(self) -> AsyncIterator[TickRecord]:
        while (record := await self.coming.get()) is not None:
            yield record


class Followed:
    """Hubs that follow lives of an engine, under a clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        first = Hub(InProcessFrameSource(FakeEngine(epoch=1).shard), monotonic=lambda: self.now_s, now_ns=lambda: 4)
        self.hubs = Hubs(first)
        self.lives: asyncio.Queue[Life] = asyncio.Queue()
        self.taken: asyncio.Queue[Life] = asyncio.Queue()

    async def sources(self) -> AsyncIterator[Life]:
        while True:
            life = await self.lives.get()
            yield life
            self.taken.put_nowait(life)

    async def follow(self, life: Life) -> None:
        """Let a life begin, and wait until what is due has been done."""
        self.lives.put_nowait(life)
        await settled()

    def cursor(self) -> Cursor:
        hub = self.hubs.current
        return Cursor(hub, hub.select(()), max_age_s=1e9)

    def read(self, cursor: Cursor) -> list[stream_pb2.Frame]:
        frames = []
        while (data := cursor.poll()) is not None:
            frames.append(stream_pb2.Frame.FromString(data))
        return frames


async def settled() -> None:
    """Return when every task has done what it can do without waiting for the test."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def followed() -> AsyncIterator[Followed]:
    made = Followed()
    task = asyncio.create_task(made.hubs.follow(made.sources()))
    yield made
    task.cancel()
    await asyncio.wait({task})


async def test_hub_of_an_engine_that_has_published_takes_over_with_its_past(followed: Followed) -> None:
    before = followed.hubs.current
    assert not before.is_ready

    await followed.follow(Life(epoch=2, past=5))

    assert followed.hubs.current is not before
    assert followed.hubs.current.is_ready
    assert followed.hubs.current.shard.epoch == 2
    assert followed.hubs.current.ring.floor_tick == 1


async def test_readers_keep_what_they_have_until_the_next_engine_publishes(followed: Followed) -> None:
    first, second = Life(epoch=2, past=2), Life(epoch=3)
    await followed.follow(first)
    reader = followed.cursor()
    followed.read(reader)
    first.coming.put_nowait(None)
    await followed.follow(second)
    followed.now_s += 10
    (heartbeat,) = followed.read(reader)
    still = followed.hubs.current.shard.epoch

    second.coming.put_nowait(second.record())
    await settled()
    followed.now_s += NEW_EPOCH_SPREAD_S
    (farewell,) = followed.read(reader)

    assert stream_pb2.DATA_STATE_STALE in heartbeat.heartbeat.states
    assert still == 2
    assert farewell.going_away.reason == NEW_EPOCH
    assert farewell.going_away.reconnect_after_ms == 0
    assert reader.is_over
    assert followed.hubs.current.shard.epoch == 3


async def test_readers_of_an_old_epoch_leave_one_after_the_other(followed: Followed) -> None:
    await followed.follow(first := Life(epoch=2, past=2))
    readers = [followed.cursor() for _ in range(20)]
    for reader in readers:
        followed.read(reader)
    first.coming.put_nowait(None)
    await followed.follow(Life(epoch=3, past=1))

    left = []
    for _ in range(11):
        for reader in readers:
            followed.read(reader)
        left.append(sum(reader.is_over for reader in readers))
        followed.now_s += NEW_EPOCH_SPREAD_S / 10

    assert left[0] < 5
    assert 5 < left[5] < 15
    assert left[10] == 20


async def test_counters_and_timings_go_on_from_hub_to_hub(followed: Followed) -> None:
    before = followed.hubs.current
    await followed.follow(first := Life(epoch=2, past=2))
    followed.cursor()
    first.coming.put_nowait(None)
    await followed.follow(Life(epoch=3, past=2))

    followed.cursor()

    assert followed.hubs.current.counters is before.counters is followed.hubs.counters
    assert followed.hubs.current.timings is before.timings
    assert followed.hubs.counters.joins == 2


async def test_source_that_breaks_its_chain_is_given_up_for_the_next(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    await followed.follow(life := Life(epoch=2, past=2))
    record = life.record()
    life.coming.put_nowait(record)
    life.coming.put_nowait(record)
    await settled()

    given_up = await asyncio.wait_for(followed.taken.get(), 5)
    await followed.follow(Life(epoch=2, past=4))

    assert given_up is life
    assert "frames of source shard-0 cannot be taken any more" in caplog.text
    assert followed.hubs.current.ring.head_tick == 4


async def test_closing_sends_the_readers_of_both_hubs_away(followed: Followed) -> None:
    await followed.follow(first := Life(epoch=2, past=2))
    old = followed.cursor()
    first.coming.put_nowait(None)
    await followed.follow(Life(epoch=3, past=2))
    new = followed.cursor()

    followed.hubs.close("the server is stopping", 1000)

    for reader in (old, new):
        frames = followed.read(reader)
        assert frames[-1].going_away.reason == "the server is stopping"


async def test_reader_that_is_ahead_of_this_edge_is_led_on_once_the_tick_has_come(followed: Followed) -> None:
    hubs, life = Hubs(followed.hubs.current, peer_lag_s=2.0), Life(epoch=2, past=3)
    hub = Hub(life, ring=life.ring, monotonic=lambda: followed.now_s)
    point = stream_pb2.ResumePoint(source_id="shard-0", epoch=2, tick=4)
    waiting = asyncio.create_task(hubs.caught_up(hub, [point]))
    await settled()
    waits = not waiting.done()

    hub.append(life.record())
    await asyncio.wait_for(waiting, 5)

    assert waits
    assert hub.ring.head_tick == 4


async def test_tick_that_never_comes_is_not_waited_for_beyond_the_limit(followed: Followed) -> None:
    hubs, life = Hubs(followed.hubs.current, peer_lag_s=2.0), Life(epoch=2, past=3)
    hub = Hub(life, ring=life.ring, monotonic=lambda: followed.now_s)
    point = stream_pb2.ResumePoint(source_id="shard-0", epoch=2, tick=400)
    waiting = asyncio.create_task(hubs.caught_up(hub, [point]))
    await settled()

    followed.now_s += 2.0
    hub.append(life.record())

    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize(
    "point",
    [
        stream_pb2.ResumePoint(source_id="shard-0", epoch=2, tick=3),
        stream_pb2.ResumePoint(source_id="shard-0", epoch=1, tick=400),
        stream_pb2.ResumePoint(source_id="another", epoch=2, tick=400),
    ],
    ids=["not ahead", "another epoch", "another source"],
)
async def test_nobody_else_waits(followed: Followed, point: stream_pb2.ResumePoint) -> None:
    hubs, life = Hubs(followed.hubs.current, peer_lag_s=2.0), Life(epoch=2, past=3)
    hub = Hub(life, ring=life.ring, monotonic=lambda: followed.now_s)

    await asyncio.wait_for(hubs.caught_up(hub, [point]), 5)


async def test_server_of_one_process_waits_for_nobody(followed: Followed) -> None:
    life = Life(epoch=2, past=3)
    hub = Hub(life, ring=life.ring, monotonic=lambda: followed.now_s)
    point = stream_pb2.ResumePoint(source_id="shard-0", epoch=2, tick=400)

    await asyncio.wait_for(Hubs(hub).caught_up(hub, [point]), 5)
