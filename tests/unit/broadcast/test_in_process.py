"""Records from the engine's thread to the loop, also when the loop is late."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.in_process import InProcessFrameSource, merge_records
from liqscape.broadcast.ports import EncodedChunk, TickRecord
from liqscape.broadcast.ring import Ring
from tests.fake_engine import FakeEngine, describe


def chunk(tick: int, *, prev_tick: int = 0, channel_id: int = 1, generation: int = 1) -> EncodedChunk:
    return EncodedChunk(channel_id, generation, prev_tick == 0, prev_tick, tick, bytes(100))


def record(
    tick: int, *channels: EncodedChunk, refreshed: tuple[EncodedChunk, ...] = (), ended: bool = False
) -> TickRecord:
    return TickRecord(tick, channels, refreshed, {"BTC": b"%d" % tick}, {f"v{tick % 2}": b"%d" % tick}, tick, ended)


async def taken(source: InProcessFrameSource) -> list[TickRecord]:
    return [record async for record in source.records()]


async def test_records_of_another_thread_arrive_once_and_in_order() -> None:
    source = InProcessFrameSource(describe(), max_records=10_000)

    def publish_all() -> None:
        for tick in range(1, 2001):
            source.publish(record(tick))
        source.close()

    engine = threading.Thread(target=publish_all)
    engine.start()
    records = await asyncio.wait_for(taken(source), 20)
    engine.join()

    assert [record.tick for record in records] == list(range(1, 2001))
    assert not any(record.ticks_merged for record in records)


async def test_records_published_before_the_reader_came_are_kept() -> None:
    source = InProcessFrameSource(describe())
    source.publish(record(1))
    source.publish(record(2))
    source.close()

    records = await asyncio.wait_for(taken(source), 5)

    assert [record.tick for record in records] == [1, 2]


async def test_stalled_loop_gets_one_merged_record_that_keeps_the_chain() -> None:
    engine = FakeEngine(tick_ms=1000)
    encoder = StreamEncoder(engine.shard)
    source = InProcessFrameSource(engine.shard, max_records=8)
    ring = Ring(max_ticks=1000)

    for _ in range(50):
        source.publish(encoder.encode(engine.step()))
    source.close()
    records = await asyncio.wait_for(taken(source), 5)

    assert len(records) <= 8
    assert len(records) + sum(record.ticks_merged for record in records) == 50
    for each in records:
        ring.append(each)
    assert ring.head_tick == ring.head_ordinal == 50


async def test_bytes_bound_the_queue_as_well() -> None:
    source = InProcessFrameSource(describe(), max_bytes=1000)

    for tick in range(1, 100):
        source.publish(record(tick, chunk(tick, prev_tick=tick - 1), refreshed=(chunk(tick),)))
    source.close()
    records = await asyncio.wait_for(taken(source), 5)

    assert len(records) <= 5
    assert records[-1].tick == 99


async def test_nothing_is_published_after_close() -> None:
    source = InProcessFrameSource(describe())
    source.publish(record(1))
    source.close()

    source.publish(record(2))

    assert [record.tick for record in await asyncio.wait_for(taken(source), 5)] == [1]


def test_publishing_to_a_loop_that_has_gone_is_harmless() -> None:
    source = InProcessFrameSource(describe())

    async def take_one() -> None:
        source.publish(record(1))
        async for _ in source.records():
            break

    asyncio.run(take_one())

    source.publish(record(2))
    source.close()


def test_description_may_change() -> None:
    source = InProcessFrameSource(describe())

    source.describe(describe(epoch=9))

    assert source.shard.epoch == 9


def test_merged_record_keeps_chains_and_the_newest_of_everything() -> None:
    merged = merge_records([record(4, chunk(4, prev_tick=3)), record(5), record(6, chunk(6, prev_tick=4), ended=True)])

    assert [(c.prev_tick, c.tick) for c in merged.channels] == [(3, 4), (4, 6)]
    assert (merged.tick, merged.source_watermark_ns, merged.ended, merged.ticks_merged) == (6, 6, True, 2)
    assert merged.symbols == {"BTC": b"6"}
    assert merged.venues == {"v0": b"6", "v1": b"5"}


def test_keyframe_of_the_stream_replaces_what_was_queued_before_it() -> None:
    merged = merge_records(
        [
            record(4, chunk(4, prev_tick=3), refreshed=(chunk(3, channel_id=2), chunk(4))),
            record(5, chunk(5, generation=2)),
        ]
    )

    assert [(c.keyframe, c.tick) for c in merged.channels] == [(True, 5)]
    assert [(c.channel_id, c.tick) for c in merged.keyframes] == [(2, 3)]


def test_keyframe_of_the_stream_outdates_one_made_for_joins_before_it() -> None:
    merged = merge_records([record(4, refreshed=(chunk(2),)), record(5, chunk(5, generation=2))])

    assert [c.tick for c in merged.channels] == [5]
    assert merged.keyframes == ()


def test_keyframe_made_for_joins_replaces_the_queued_changes_it_stands_for() -> None:
    merged = merge_records(
        [record(4, chunk(4, prev_tick=3)), record(5, refreshed=(chunk(4),)), record(6, chunk(6, prev_tick=4))]
    )

    assert [(c.keyframe, c.prev_tick, c.tick) for c in merged.channels] == [(True, 0, 4), (False, 4, 6)]
    assert merged.keyframes == ()


def test_keyframe_made_for_joins_leaves_the_changes_after_it_in_the_chain() -> None:
    refreshed = chunk(3)
    later = record(4, chunk(4, prev_tick=3), refreshed=(refreshed,))

    both = merge_records([record(3, chunk(3, prev_tick=2)), later])
    alone = merge_records([later, record(5, chunk(5, prev_tick=4))])

    assert (both.channels, both.keyframes) == ((refreshed, chunk(4, prev_tick=3)), ())
    assert (alone.channels, alone.keyframes) == ((chunk(4, prev_tick=3), chunk(5, prev_tick=4)), (refreshed,))


def test_keyframe_of_an_unchanged_channel_stays_outside_the_chain() -> None:
    merged = merge_records([record(4), record(5, refreshed=(chunk(2),))])

    assert merged.channels == ()
    assert [c.tick for c in merged.keyframes] == [2]


def test_merging_again_adds_the_counts() -> None:
    once = merge_records([record(1), record(2), record(3)])

    assert merge_records([once, record(4)]).ticks_merged == 3


def test_channel_that_ends_among_merged_records_leaves_nothing_but_its_end() -> None:
    records = [
        record(1, chunk(1), chunk(1, channel_id=5)),
        record(2, chunk(2, prev_tick=1), refreshed=(chunk(1, channel_id=6),)),
        replace(record(3), closed=(5, 6)),
        replace(record(4, chunk(4, prev_tick=2)), closed=(9,)),
    ]

    merged = merge_records(records)

    assert [(c.channel_id, c.tick) for c in merged.channels] == [(1, 1), (1, 2), (1, 4)]
    assert merged.keyframes == ()
    assert merged.closed == (5, 6, 9)
