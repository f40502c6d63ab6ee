"""Records over a real unix socket: every edge gets each of them, whenever it comes and however slow it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest

from liqscape.broadcast.in_process import MAX_QUEUED_RECORDS
from liqscape.broadcast.ports import EncodedChunk, ShardDescription, TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.link.asker import Asker
from liqscape.link.engine_link import LinkedFrames
from liqscape.link.fan import Fan
from liqscape.link.host import hosting, port_methods
from tests.link_engine import WAIT_S, HostedEngine, first_source, hosted_engine, linked


@pytest.fixture
async def engine() -> AsyncIterator[HostedEngine]:
    """Return an engine that can be asked."""
    async with hosted_engine() as made:
        yield made


async def taken(source: LinkedFrames, until_tick: int) -> list[TickRecord]:
    """Return the records up to a tick."""
    records = []
    async with asyncio.timeout(WAIT_S):
        async for record in source.records():
            records.append(record)
            if record.tick >= until_tick:
                return records
    raise AssertionError("the stream has ended")


async def test_edge_that_comes_late_holds_the_same_past_and_gets_what_follows(engine: HostedEngine) -> None:
    engine.step(150)
    kept = Ring.restored(1000, engine.fan._ring.past())

    async with linked(engine.path) as link, first_source(link) as source:
        engine.step(3)
        records = await taken(source, 153)

    assert source.shard == engine.fake.shard
    assert [record.tick for record in records] == [151, 152, 153]
    assert source.ring.past() == kept.past()
    assert source.ring.floor_tick < 150 - 20


def bulky_records(count: int, size_bytes: int) -> list[TickRecord]:
    """Return a chain of one channel: a keyframe, then a delta each tick."""
    chunks = [EncodedChunk(1, 1, tick == 1, tick - 1, tick, bytes(size_bytes)) for tick in range(1, count + 1)]
    return [TickRecord(chunk.tick, (chunk,), (), {}, {}, 0) for chunk in chunks]


async def test_past_of_many_megabytes_comes_in_parts(engine: HostedEngine) -> None:
    path, fan = engine.path.with_name("bulky"), Fan(engine.fake.shard)
    for record in bulky_records(40, 300_000):
        fan.publish(record)

    async with hosting(path, port_methods(engine.queries), fan), linked(path) as link, first_source(link) as source:
        pass

    assert source.ring.chunk_bytes == 39 * 300_000  # the first keyframe is held apart
    assert source.ring.past() == fan._ring.past()


async def test_every_edge_gets_every_record_in_order(engine: HostedEngine) -> None:
    async with (
        linked(engine.path) as one,
        linked(engine.path) as two,
        first_source(one) as first,
        first_source(two) as second,
    ):
        engine.step(30)

        got = await asyncio.gather(taken(first, 30), taken(second, 30))

    assert [[record.tick for record in records] for records in got] == [list(range(1, 31))] * 2
    assert got[0] == got[1]


async def test_slow_edge_has_its_ticks_merged_and_its_chain_is_whole(engine: HostedEngine) -> None:
    path, fan = engine.path.with_name("slow"), Fan(engine.fake.shard)
    ticks, together = 1280, MAX_QUEUED_RECORDS // 2
    everything: list[TickRecord] = []
    async with (
        hosting(path, port_methods(engine.queries), fan),
        linked(path) as slow,
        linked(path) as quick,
        first_source(slow) as stalled,
        first_source(quick) as other,
        asyncio.timeout(WAIT_S),
    ):
        reading = other.records()
        for record in bulky_records(ticks, 20_000):
            fan.publish(record)
            if record.tick % together == 0:
                everything += [await anext(reading) for _ in range(together)]  # the other one does not read
        queued = max(len(edge._queue) for edge in fan._edges)
        records = await taken(stalled, ticks)

    assert [record.tick for record in everything] == list(range(1, ticks + 1))
    assert sum(record.ticks_merged for record in everything) == 0
    assert queued <= MAX_QUEUED_RECORDS
    assert sum(1 + record.ticks_merged for record in records) == ticks
    assert sum(record.ticks_merged for record in records) > ticks / 4
    ring = Ring.for_tick_ms(1000)
    for record in records:
        ring.append(record)  # raises where the chain is broken
    assert ring.head_tick == ticks


async def test_change_of_the_description_arrives_before_the_record_that_needs_it(engine: HostedEngine) -> None:
    seen: list[tuple[int, ShardDescription]] = []
    changed = replace(engine.fake.shard, input="changed")
    async with linked(engine.path) as link, first_source(link) as source:
        engine.step()
        engine.fan.describe(changed)
        engine.step()
        async with asyncio.timeout(WAIT_S):
            async for record in source.records():
                seen.append((record.tick, source.shard))
                if record.tick == 2:
                    break

    assert seen[1] == (2, changed)


async def test_engine_that_comes_back_is_a_source_of_its_own(engine: HostedEngine) -> None:
    path = engine.path.with_name("again")
    first, second = Fan(engine.fake.shard), Fan(replace(engine.fake.shard, epoch=5))
    async with linked(path) as link:
        sources = link.sources()
        async with hosting(path, port_methods(engine.queries), first), asyncio.timeout(WAIT_S):
            source = await anext(sources)
        rest = [record async for record in source.records()]
        async with hosting(path, port_methods(engine.queries), second), asyncio.timeout(WAIT_S):
            following = await anext(sources)

    assert rest == []
    assert following.shard.epoch == 5


async def test_edge_that_goes_leaves_nothing_behind(engine: HostedEngine) -> None:
    async with linked(engine.path) as link, first_source(link):
        open_now = len(engine.fan._edges)

    async with asyncio.timeout(WAIT_S):
        while engine.fan._edges:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert open_now == 1


async def test_stream_of_records_is_refused_where_there_are_none(engine: HostedEngine) -> None:
    path = engine.path.with_name("supervisor")
    asker = Asker(path, "the supervisor")
    async with hosting(path, {}):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asker.records(b"me").read()
    await asker.close()

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
