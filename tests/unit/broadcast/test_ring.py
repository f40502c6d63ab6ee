"""What the ring gives readers at every tick, and what it lets go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from liqscape.broadcast.ports import EncodedChunk, TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.errors import ModelError


def keyframe(tick: int, size: int = 100, channel_id: int = 1, generation: int = 1) -> EncodedChunk:
    return EncodedChunk(channel_id, generation, True, 0, tick, bytes(size))


def delta(prev_tick: int, tick: int, size: int = 10, channel_id: int = 1, generation: int = 1) -> EncodedChunk:
    return EncodedChunk(channel_id, generation, False, prev_tick, tick, bytes(size))


def record(
    tick: int,
    *channels: EncodedChunk,
    refreshed: Sequence[EncodedChunk] = (),
    ticks_merged: int = 0,
    ended: bool = False,
) -> TickRecord:
    return TickRecord(
        tick, channels, tuple(refreshed), {"BTC": b"s%d" % tick}, {}, tick * 10, ended=ended, ticks_merged=ticks_merged
    )


def ticks(chunks: Sequence[EncodedChunk]) -> list[tuple[bool, int]]:
    return [(chunk.keyframe, chunk.tick) for chunk in chunks]


def filled(ring: Ring, last: int, size: int = 10) -> Ring:
    """Return a ring with a keyframe at tick 1 and a delta each tick up to the last."""
    ring.append(record(1, keyframe(1)))
    for tick in range(2, last + 1):
        ring.append(record(tick, delta(tick - 1, tick, size)))
    return ring


def test_reader_at_a_tick_gets_exactly_what_came_after_it() -> None:
    ring = filled(Ring(max_ticks=10), 5)

    assert ticks(ring.since(1, 3)) == [(False, 4), (False, 5)]
    assert ring.since(1, 5) == []


def test_join_is_the_keyframe_and_what_came_after_it() -> None:
    ring = filled(Ring(max_ticks=10), 3)

    assert ticks(ring.join(1)) == [(True, 1), (False, 2), (False, 3)]


def test_refreshed_keyframe_shortens_the_join_and_leaves_the_chain_alone() -> None:
    ring = filled(Ring(max_ticks=10), 3)

    ring.append(record(4, delta(3, 4), refreshed=[keyframe(4)]))
    ring.append(record(5, delta(4, 5)))

    assert ticks(ring.join(1)) == [(True, 4), (False, 5)]
    assert ticks(ring.since(1, 3)) == [(False, 4), (False, 5)]


def test_keyframe_is_sent_where_it_is_shorter_than_the_chunks_it_replaces() -> None:
    ring = filled(Ring(max_ticks=20), 8, size=30)

    ring.append(record(9, delta(8, 9, 30), refreshed=[keyframe(9, size=100)]))

    assert ticks(ring.since(1, 5)) == [(True, 9)]
    assert ticks(ring.since(1, 6)) == [(False, 7), (False, 8), (False, 9)]


def test_chunks_before_a_keyframe_of_the_stream_are_left_out() -> None:
    ring = filled(Ring(max_ticks=20), 3)

    ring.append(record(4, keyframe(4, generation=2)))
    ring.append(record(5, delta(4, 5, generation=2), refreshed=[keyframe(5, size=5000, generation=2)]))

    assert ticks(ring.since(1, 1)) == [(True, 4), (False, 5)]
    assert ticks(ring.since(1, 4)) == [(False, 5)]


def test_oldest_ticks_go_and_readers_there_get_the_keyframe() -> None:
    ring = filled(Ring(max_ticks=3), 4)
    ring.append(record(5, delta(4, 5), refreshed=[keyframe(5, size=1000)]))

    ring.append(record(6, delta(5, 6)))

    assert (ring.held_ticks, ring.floor_tick) == (3, 3)
    assert ticks(ring.since(1, 3)) == [(False, 4), (False, 5), (False, 6)]
    assert ticks(ring.since(1, 2)) == [(True, 5), (False, 6)]


def test_change_that_has_gone_from_the_ring_is_not_missed_by_a_reader_before_it() -> None:
    ring = filled(Ring(max_ticks=2), 2)
    ring.append(record(3, refreshed=[keyframe(2)]))
    ring.append(record(4))
    ring.append(record(5))

    assert ticks(ring.since(1, 1)) == [(True, 2)]
    assert ring.since(1, 2) == []


def test_chunks_that_a_join_needs_stay_whatever_the_limits() -> None:
    ring = filled(Ring(max_ticks=2, max_bytes=20), 6)

    assert ring.held_ticks == 5
    assert ticks(ring.join(1)) == [(True, 1), *((False, tick) for tick in range(2, 7))]


def test_bytes_of_chunks_bound_the_ring() -> None:
    ring = Ring(max_ticks=1000, max_bytes=400)
    ring.append(record(1, keyframe(1)))

    for tick in range(2, 100):
        ring.append(record(tick, delta(tick - 1, tick, 50), refreshed=[keyframe(tick)]))

    assert ring.chunk_bytes == 400
    assert ring.held_ticks == 8


def test_ring_is_sized_for_30_seconds_of_ticks() -> None:
    ring = Ring.for_tick_ms(250)
    ring.append(record(1, keyframe(1)))

    for tick in range(2, 500):
        ring.append(record(tick, delta(tick - 1, tick), refreshed=[keyframe(tick)]))

    assert ring.held_ticks == 120


def test_merged_record_brings_several_chunks_of_a_channel() -> None:
    ring = filled(Ring(max_ticks=10), 2)

    ring.append(record(5, delta(2, 3), delta(3, 4), delta(4, 5), ticks_merged=2))

    assert ticks(ring.since(1, 3)) == [(False, 4), (False, 5)]
    assert ring.head_ordinal == 5


def test_ordinals_count_published_ticks_whatever_their_numbers() -> None:
    ring = Ring(max_ticks=3)
    ring.append(record(10, keyframe(10)))
    for before, tick in ((10, 20), (20, 30), (30, 40), (40, 50)):
        ring.append(record(tick, delta(before, tick), refreshed=[keyframe(tick)]))

    assert ring.head_ordinal == 5
    assert [ring.ordinal_at(tick) for tick in (20, 30, 35, 50)] == [2, 3, 3, 5]


def test_symbols_and_venues_keep_their_newest_chunk_only() -> None:
    ring = Ring(max_ticks=3)
    ring.append(TickRecord(1, (keyframe(1),), (), {"BTC": b"a"}, {"x:BTC": b"v"}, 1))
    ring.append(TickRecord(2, (), (), {"BTC": b"b"}, {}, 2))

    assert ring.symbol_entries(0) == {"BTC": b"b"}
    assert ring.symbol_entries(2) == {}
    assert ring.venue_entries(0) == {"x:BTC": b"v"}
    assert ring.venue_entries(1) == {}
    assert ring.source_watermark_ns == 2


@pytest.mark.parametrize(
    "chunk",
    [delta(1, 4), delta(3, 4, generation=2), keyframe(2), delta(3, 3)],
    ids=["gap", "generation", "old", "loop"],
)
def test_chunk_that_does_not_follow_is_refused(chunk: EncodedChunk) -> None:
    ring = filled(Ring(max_ticks=10), 3)

    with pytest.raises(ModelError, match="breaks the chain at 3"):
        ring.append(record(4, chunk))


def test_delta_before_any_keyframe_is_refused() -> None:
    with pytest.raises(ModelError, match="breaks the chain at None"):
        Ring(max_ticks=10).append(record(2, delta(1, 2)))


def test_record_that_does_not_rise_is_refused() -> None:
    ring = filled(Ring(max_ticks=10), 3)

    with pytest.raises(ModelError, match="record of tick 3 follows tick 3"):
        ring.append(record(3))


def test_channel_without_a_keyframe_cannot_be_joined() -> None:
    ring = filled(Ring(max_ticks=10), 1)

    assert ring.holds_channel(1)
    assert not ring.holds_channel(2)


def test_channel_that_has_ended_is_forgotten_and_its_chunks_go_with_their_ticks() -> None:
    ring = Ring(max_ticks=3)
    ring.append(record(1, keyframe(1), keyframe(1, channel_id=5)))
    ring.append(record(2, delta(1, 2), delta(1, 2, channel_id=5)))
    before = (ring.held_since(5), ring.holds_channel(5), ring.chunk_bytes)

    ring.append(replace(record(3, delta(2, 3)), closed=(5,)))
    after = (ring.held_since(5), ring.holds_channel(5))
    for tick in range(4, 8):
        ring.append(record(tick, delta(tick - 1, tick), refreshed=[keyframe(tick)]))

    assert before == (1, True, 220)
    assert after == (None, False)
    assert (ring.held_ticks, ring.chunk_bytes) == (3, 30)


def test_channel_that_begins_is_held_from_its_first_record_on() -> None:
    ring = filled(Ring(max_ticks=10), 4)

    ring.append(record(5, keyframe(5, channel_id=6)))
    ring.append(record(6, delta(5, 6, channel_id=6), refreshed=[keyframe(3, channel_id=7)]))

    assert [ring.held_since(channel_id) for channel_id in (1, 6, 7)] == [1, 5, 6]
    assert ticks(ring.since(6, 4)) == [(True, 5), (False, 6)]
    newest = ring.join_keyframe(7)
    assert newest is not None
    assert newest.tick == 3
    assert ring.join_keyframe(8) is None
