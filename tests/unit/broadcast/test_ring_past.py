"""A ring made from another one's past leads every reader on in the same way, then and later."""

from __future__ import annotations

import random

import pytest

from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.ports import EncodedChunk, TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.errors import ModelError
from tests.fake_engine import FakeEngine

MAX_TICKS = 12


def made_up_records(count: int, seed: int) -> list[TickRecord]:
    """Return records in which channels change, rest, move, and start new generations at random."""
    dice = random.Random(seed)
    engine = FakeEngine(seed, tick_ms=1000)
    encoder = StreamEncoder(engine.shard, now_ns=lambda: 3)
    records = []
    for _ in range(count):
        some = [channel_id for channel_id in engine.channel_ids if dice.random() < 0.5]
        records.append(
            encoder.encode(
                engine.step(
                    changing=some,
                    moving=some[:1],
                    renewing=some[-1:] if dice.random() < 0.1 else (),
                    skip_ticks=dice.randrange(2),
                )
            )
        )
    return records


def restored(ring: Ring) -> Ring:
    """Return another ring with the same past and the same limits."""
    other = Ring.restored(1000, ring.past())
    other._max_ticks, other._max_bytes = ring._max_ticks, ring._max_bytes
    return other


def assert_leads_on_alike(ring: Ring, other: Ring, floor_tick: int, channel_ids: tuple[int, ...]) -> None:
    assert (other.head_tick, other.ended, other.source_watermark_ns) == (
        ring.head_tick,
        ring.ended,
        ring.source_watermark_ns,
    )
    for channel_id in channel_ids:
        assert other.join(channel_id) == ring.join(channel_id)
    for tick in [held.tick for held in ring._held if held.tick >= floor_tick]:
        for channel_id in channel_ids:
            assert other.since(channel_id, tick) == ring.since(channel_id, tick), (channel_id, tick)
        assert other.symbol_entries(tick) == ring.symbol_entries(tick)
        assert other.venue_entries(tick) == ring.venue_entries(tick)
        assert other.head_ordinal - other.ordinal_at(tick) == ring.head_ordinal - ring.ordinal_at(tick)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [1, 5, 40])
def test_restored_ring_leads_every_reader_on_as_the_first_one_does(count: int, seed: int) -> None:
    records = made_up_records(count + 20, seed)
    ring = Ring(MAX_TICKS)
    for record in records[:count]:
        ring.append(record)
    channel_ids = tuple({chunk.channel_id for record in records[:1] for chunk in record.channels})

    other = restored(ring)

    assert other.floor_tick == ring.floor_tick
    assert_leads_on_alike(ring, other, ring.floor_tick, channel_ids)
    for record in records[count:]:
        ring.append(record)
        other.append(record)
        assert_leads_on_alike(ring, other, max(ring.floor_tick, other.floor_tick), channel_ids)


def test_reader_at_the_floor_is_led_on_by_both() -> None:
    records = made_up_records(40, seed=3)
    ring = Ring(MAX_TICKS)
    for record in records:
        ring.append(record)

    other = restored(ring)

    for channel_id in (1, 2, 3, 4):
        assert other.since(channel_id, ring.floor_tick) == ring.since(channel_id, ring.floor_tick)
    assert other.venue_entries(0) == ring.venue_entries(0)


def test_merged_ticks_are_still_counted_as_conflated() -> None:
    ring = Ring(MAX_TICKS)
    keyframe = EncodedChunk(1, 1, True, 0, 1, b"k")
    ring.append(TickRecord(1, (keyframe,), (), {}, {}, 0))
    ring.append(TickRecord(5, (), (), {}, {}, 0, ticks_merged=3))

    other = Ring.restored(1000, ring.past())

    assert other.head_ordinal - other.ordinal_at(1) == 4


def test_empty_ring_has_no_past() -> None:
    assert Ring(MAX_TICKS).past() == ()
    assert Ring.restored(1000, ()).is_empty


def test_only_the_past_may_begin_with_a_delta() -> None:
    records = made_up_records(40, seed=5)
    ring = Ring(MAX_TICKS)
    for record in records:
        ring.append(record)
    fresh = Ring(MAX_TICKS)
    begins_with_delta = next(record for record in ring.past() if record.channels)

    with pytest.raises(ModelError, match="breaks the chain at None"):
        fresh.append(begins_with_delta)
