"""From TickOutput to TickRecord: what is sent, when, and that nothing but the tick outputs decides it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqscape.axes import Timeframe
from liqscape.broadcast.encoder import JOIN_KEYFRAME_MIN_TICKS, StreamEncoder, ticks_covering, ticks_within
from liqscape.broadcast.ports import EncodedChunk, TickRecord
from liqscape.errors import ModelError
from liqscape.grid.updates import TickOutput
from liqscape.v1 import stream_pb2
from tests.fake_engine import FakeEngine, describe
from tests.wire_decoder import ChannelReplica, decode_candles


def channel_chunk(chunk: EncodedChunk) -> stream_pb2.ChannelChunk:
    """Return what a `chunks` entry holds."""
    (parsed,) = stream_pb2.Section.FromString(chunk.data).chunks
    return parsed.channel


def encode_all(engine: FakeEngine, outputs: list[TickOutput], stamp: int = 3) -> list[TickRecord]:
    encoder = StreamEncoder(engine.shard, now_ns=lambda: stamp)
    return [encoder.encode(output) for output in outputs]


def test_first_record_carries_a_keyframe_of_every_channel() -> None:
    engine = FakeEngine()

    (record,) = encode_all(engine, [engine.step()])

    assert [chunk.channel_id for chunk in record.channels] == [1, 2, 3, 4]
    assert all(chunk.keyframe and chunk.prev_tick == 0 and chunk.tick == 1 for chunk in record.channels)
    assert record.keyframes == ()


def test_keyframe_tells_axes_candles_and_checksum() -> None:
    engine = FakeEngine()

    (record,) = encode_all(engine, [engine.step()])

    chunk = channel_chunk(record.channels[0])
    assert chunk.kind == stream_pb2.CHUNK_KIND_KEYFRAME
    assert chunk.encoding == stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB
    assert chunk.axes == stream_pb2.Axes(
        column_minutes=1, columns=6, first_row=100, rows=4, base_steps_per_row=2, base_step=1000, price_decimals=2
    )
    assert chunk.HasField("checksum")
    assert decode_candles(chunk.candles) == engine.truth[1][1].candles


def test_changed_channels_send_deltas_that_name_their_last_change() -> None:
    engine = FakeEngine()
    outputs = [engine.step(), engine.step(changing=[2]), engine.step(changing=[]), engine.step(changing=[1, 2])]

    records = encode_all(engine, outputs)

    links = [[(c.channel_id, c.prev_tick, c.tick) for c in record.channels] for record in records[1:]]
    assert links == [[(2, 1, 2)], [], [(1, 1, 4), (2, 2, 4)]]
    assert not any(chunk.keyframe for record in records[1:] for chunk in record.channels)


def test_deltas_lead_an_independent_decoder_to_the_engines_levels() -> None:
    engine = FakeEngine(seed=8)
    outputs = [engine.step(cells=4, moving=[1] if n % 3 == 0 else []) for n in range(30)]

    records = encode_all(engine, outputs)

    held = {channel_id: ChannelReplica() for channel_id in engine.channel_ids}
    for record in records:
        for chunk in record.channels:
            held[chunk.channel_id].apply(channel_chunk(chunk))
    for channel_id, replica in held.items():
        assert replica.ring == engine.truth[30][channel_id].ring
        assert replica.newest_column == engine.truth[30][channel_id].newest_column


def test_encoder_keeps_the_emitted_levels() -> None:
    engine = FakeEngine()
    encoder = StreamEncoder(engine.shard)

    encoder.encode(engine.step(cells=9))
    encoder.encode(engine.step(cells=9))

    assert encoder.levels(3).tobytes() == engine.truth[2][3].ring


def test_column_that_moves_without_a_change_sends_an_empty_delta() -> None:
    engine = FakeEngine()
    outputs = [engine.step(), engine.step(changing=[], moving=[1])]

    _, record = encode_all(engine, outputs)

    chunk = channel_chunk(record.channels[0])
    assert (chunk.payload, chunk.encoding, chunk.newest_column) == (b"\x00", stream_pb2.ENCODING_RLE8, 1001)


def test_large_change_is_sent_as_a_keyframe() -> None:
    engine = FakeEngine(rows=40)
    outputs = [engine.step(), engine.step(changing=[1, 2], cells=1000)]

    _, record = encode_all(engine, outputs)

    assert [chunk.keyframe for chunk in record.channels] == [True, True]
    assert channel_chunk(record.channels[0]).prev_tick == 0


@pytest.mark.parametrize(("changed", "keyframe"), [(140, False), (141, True)])
def test_keyframe_is_decided_at_0_6_of_the_uncompressed_grid(changed: int, keyframe: bool) -> None:
    # One run takes 4 bytes (header length, gap, two of length) beside its cells; 0.6 of 6 x 40 cells are 144 bytes.
    engine = FakeEngine(rows=40)
    first, second = engine.step(), engine.step(changing=[1])
    cells = np.arange(changed, dtype=np.uint32)
    update = replace(second.channels[0], cells=cells, levels=np.full(changed, 9, dtype=np.uint8))

    _, record = encode_all(engine, [first, replace(second, channels=(update,))])

    assert record.channels[0].keyframe is keyframe


def test_new_generation_starts_with_a_keyframe_of_a_cleared_ring() -> None:
    engine = FakeEngine()
    outputs = [engine.step(cells=9), engine.step(changing=[], renewing=[2], cells=1)]

    _, record = encode_all(engine, outputs)

    chunk = channel_chunk(record.channels[0])
    assert (chunk.generation, chunk.kind) == (2, stream_pb2.CHUNK_KIND_KEYFRAME)
    replica = ChannelReplica()
    replica.apply(chunk)
    assert replica.ring == engine.truth[2][2].ring
    assert sum(level != 0 for level in replica.ring) <= 1


def test_changing_channel_carries_a_checksum_once_a_second_of_ticks() -> None:
    engine = FakeEngine(tick_ms=300)
    outputs = [engine.step() for _ in range(8)]

    records = encode_all(engine, outputs)

    with_sum = [record.tick for record in records if channel_chunk(record.channels[0]).HasField("checksum")]
    assert with_sum == [1, 4, 7]


def test_skipped_ticks_count_as_time_for_the_checksum() -> None:
    engine = FakeEngine(tick_ms=250)
    outputs = [engine.step(), engine.step(skip_ticks=9)]

    _, record = encode_all(engine, outputs)

    assert channel_chunk(record.channels[0]).HasField("checksum")


def test_join_keyframes_are_refreshed_each_ten_seconds_of_ticks_and_staggered() -> None:
    engine = FakeEngine(tick_ms=1000)
    outputs = [engine.step() for _ in range(35)]

    records = encode_all(engine, outputs)

    refreshed = {c: [r.tick for r in records if c in {k.channel_id for k in r.keyframes}] for c in engine.channel_ids}
    assert refreshed == {1: [12, 22, 32], 2: [3, 13, 23, 33], 3: [4, 14, 24, 34], 4: [5, 15, 25, 35]}


def test_refreshed_keyframe_is_the_ring_at_the_channels_last_change() -> None:
    engine = FakeEngine(tick_ms=1000)
    outputs = [engine.step(cells=9), *(engine.step(changing=[2]) for _ in range(4)), engine.step(changing=[])]
    outputs += [engine.step(changing=[]) for _ in range(10)]

    records = encode_all(engine, outputs)

    refreshes = [
        (record.tick, keyframe) for record in records for keyframe in record.keyframes if keyframe.channel_id == 2
    ]
    tick, keyframe = refreshes[-1]
    assert (tick, keyframe.tick) == (13, 5)
    replica = ChannelReplica()
    replica.apply(channel_chunk(keyframe))
    assert replica.ring == engine.truth[5][2].ring
    assert replica.candles == engine.truth[5][2].candles


def test_join_keyframes_are_the_same_whenever_they_are_made() -> None:
    engine = FakeEngine(tick_ms=1000)
    outputs = [engine.step() for _ in range(25)]
    beside = StreamEncoder(engine.shard, now_ns=lambda: 3)
    made: list[TickRecord] = []

    for output in outputs:
        made.append(beside.encode(output))
        beside.prepare_keyframes()
        beside.prepare_keyframes()

    assert made == encode_all(engine, outputs)
    assert any(record.keyframes for record in made)


@pytest.mark.parametrize(("renewing", "kept"), [((), True), ((1,), False)])
def test_join_keyframe_is_dropped_where_the_stream_itself_has_a_newer_one(
    renewing: tuple[int, ...], kept: bool
) -> None:
    engine = FakeEngine(tick_ms=1000)
    outputs = [*(engine.step() for _ in range(11)), engine.step(renewing=renewing)]

    *_, record = encode_all(engine, outputs)

    assert (1 in {keyframe.channel_id for keyframe in record.keyframes}) is kept


def test_unchanged_channel_needs_no_new_join_keyframe() -> None:
    engine = FakeEngine(tick_ms=1000)
    outputs = [engine.step(), *(engine.step(changing=[2]) for _ in range(30))]

    records = encode_all(engine, outputs)

    assert {keyframe.channel_id for record in records for keyframe in record.keyframes} == {2}


def test_long_ticks_still_leave_several_between_join_keyframes() -> None:
    engine = FakeEngine(tick_ms=300_000)
    outputs = [engine.step() for _ in range(3 * JOIN_KEYFRAME_MIN_TICKS)]

    records = encode_all(engine, outputs)

    assert sum(len(record.keyframes) for record in records) <= 3 * len(engine.channel_ids)


def test_join_keyframe_is_refreshed_when_the_deltas_since_outweigh_it() -> None:
    frame = Timeframe("12h", 1, 60, 120, 2)
    engine = FakeEngine(rows=500, tick_ms=250, frames=[frame], symbols=["BTC"])
    outputs = [engine.step(cells=2000) for _ in range(12)]

    records = encode_all(engine, outputs)

    # 2,000 cells are about 6 KB of runs; a keyframe counts as 16 KB at least, and as more while the grid fills.
    assert [record.tick for record in records if record.keyframes] == [5, 8, 12]


def test_join_keyframe_does_not_delay_the_checksum_of_the_deltas() -> None:
    engine = FakeEngine(tick_ms=250)
    outputs = [engine.step() for _ in range(9)]

    records = encode_all(engine, outputs)

    assert any(record.keyframes for record in records[1:])
    for position in range(4):
        chunks = [channel_chunk(record.channels[position]) for record in records]
        assert [chunk.tick for chunk in chunks if chunk.HasField("checksum")] == [1, 5, 9]


def test_symbol_chunk_carries_price_states_and_stamps_every_tick() -> None:
    engine = FakeEngine()
    outputs = [engine.step(), engine.step(changing=[], ended=True)]

    _, record = encode_all(engine, outputs, stamp=77)

    (chunk,) = stream_pb2.Section.FromString(record.symbols["BTC"]).chunks
    assert chunk.symbol == stream_pb2.SymbolChunk(
        symbol="BTC",
        mark_price=6_500_002,
        price_decimals=2,
        source_watermark_unix_ns=2 * 10**9,
        states=[stream_pb2.DATA_STATE_SIMULATED, stream_pb2.DATA_STATE_ENDED],
        bars_closed_unix_ns=1,
        grids_ready_unix_ns=2,
        chunks_encoded_unix_ns=77,
    )
    assert record.ended
    assert record.source_watermark_ns == 2 * 10**9


def test_coverage_is_sent_on_change_and_at_most_once_a_second_of_ticks() -> None:
    engine = FakeEngine(tick_ms=300)
    outputs = [engine.step() for _ in range(10)]

    records = encode_all(engine, outputs)

    assert [record.tick for record in records if "binance:BTCUSDT" in record.venues] == [1, 5, 9]


def test_unchanged_coverage_is_not_sent_again() -> None:
    engine = FakeEngine(tick_ms=1000)
    first = engine.step()
    outputs = [first, *(replace(engine.step(), venues=first.venues) for _ in range(5))]

    records = encode_all(engine, outputs)

    assert [record.tick for record in records if record.venues] == [1]


def test_held_back_coverage_leaves_with_the_end_of_the_input() -> None:
    engine = FakeEngine(tick_ms=100)
    outputs = [engine.step(), engine.step(), engine.step(ended=True)]

    records = encode_all(engine, outputs)

    assert [sorted(record.venues) for record in records] == [
        ["binance:BTCUSDT", "binance:ETHUSDT"],
        [],
        ["binance:BTCUSDT", "binance:ETHUSDT"],
    ]


def test_wall_clock_changes_stamps_and_nothing_else() -> None:
    engine = FakeEngine(seed=4)
    outputs = [engine.step(cells=9, renewing=[1] if n == 20 else []) for n in range(40)]

    early = encode_all(engine, outputs, stamp=1)
    late = encode_all(engine, outputs, stamp=10**18)

    for one, other in zip(early, late, strict=True):
        assert replace(one, symbols={}) == replace(other, symbols={})
        assert one.symbols != other.symbols


def test_compression_decides_nothing_but_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Timeframe("12h", 1, 60, 120, 2)
    engine = FakeEngine(rows=500, tick_ms=250, frames=[frame], symbols=["BTC"])
    outputs = [engine.step(cells=2000) for _ in range(20)]

    usual = encode_all(engine, outputs)
    monkeypatch.setattr("liqscape.broadcast.channel_encoder.ZLIB_LEVEL", 0)
    monkeypatch.setattr("liqscape.broadcast.encoding.ZLIB_LEVEL", 0)
    uncompressed = encode_all(engine, outputs)

    for one, other in zip(usual, uncompressed, strict=True):
        assert [replace(c, data=b"") for c in one.channels] == [replace(c, data=b"") for c in other.channels]
        assert [replace(c, data=b"") for c in one.keyframes] == [replace(c, data=b"") for c in other.keyframes]
    assert usual != uncompressed


def test_tick_that_does_not_rise_is_refused() -> None:
    engine = FakeEngine()
    encoder = StreamEncoder(engine.shard)
    output = engine.step()
    encoder.encode(output)

    with pytest.raises(ModelError, match="tick 1 follows tick 1"):
        encoder.encode(output)


def test_generation_without_axes_is_refused() -> None:
    engine = FakeEngine()
    output = engine.step()
    bare = replace(output, channels=(replace(output.channels[0], axes=None),))

    with pytest.raises(ModelError, match="starts generation 1 without axes"):
        StreamEncoder(engine.shard).encode(bare)


def test_cell_outside_the_ring_is_refused() -> None:
    engine = FakeEngine()
    output = engine.step()
    update = replace(output.channels[0], cells=np.array([24], np.uint32), levels=np.array([1], np.uint8))

    with pytest.raises(ModelError, match="changed cell 24 lies outside a ring of 24 cells"):
        StreamEncoder(engine.shard).encode(replace(output, channels=(update,)))


def test_source_without_symbols_encodes_to_an_empty_record() -> None:
    record = StreamEncoder(describe()).encode(TickOutput(1, (), (), ()))

    assert (record.channels, record.symbols, record.source_watermark_ns) == ((), {}, 0)


@pytest.mark.parametrize(
    ("tick_ms", "within", "covering"), [(250, 4, 4), (300, 3, 4), (1000, 1, 1), (60_000, 1, 1), (1, 1000, 1000)]
)
def test_seconds_become_ticks(tick_ms: int, within: int, covering: int) -> None:
    assert (ticks_within(1000, tick_ms), ticks_covering(1000, tick_ms)) == (within, covering)
