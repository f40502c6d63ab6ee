"""One channel: chain, generation, gap, checksum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from liqscape.v1 import stream_pb2
from liqscape_client.decoding import MAX_RING_CELLS
from liqscape_client.errors import NotInSync
from liqscape_client.replica import Outcome, Replica
from tests.unit.client.wire_model import ModelChannel, encode_runs


def joined() -> tuple[ModelChannel, Replica]:
    """Return a channel with something in it and a replica that holds it."""
    channel = ModelChannel()
    channel.change(2, {0: 5, 7: 200, 29: 255})
    replica = Replica("BTC", "24h", 1)
    assert replica.apply(channel.keyframe()) is Outcome.APPLIED
    return channel, replica


def assert_holds(replica: Replica, channel: ModelChannel) -> None:
    assert replica.in_sync
    assert replica.tick == channel.tick
    np.testing.assert_array_equal(replica.levels(), channel.window())


def test_keyframe_brings_the_replica_into_sync() -> None:
    channel, replica = joined()

    assert_holds(replica, channel)


def test_new_replica_says_that_it_holds_nothing() -> None:
    replica = Replica("BTC", "24h", 1)

    assert not replica.in_sync
    assert replica.reason == "BTC 24h: no keyframe yet"
    with pytest.raises(NotInSync, match="has no keyframe yet"):
        replica.heatmap()


@pytest.mark.parametrize("zlibbed", [False, True])
@pytest.mark.parametrize("advance", [0, 1, 4])
def test_delta_in_the_chain_is_applied(zlibbed: bool, advance: int) -> None:
    channel, replica = joined()

    outcome = replica.apply(channel.change(5, {3: 9, 4: 0, 29: 1}, advance=advance, zlibbed=zlibbed))

    assert outcome is Outcome.APPLIED
    assert_holds(replica, channel)


def test_column_that_moves_without_a_change_is_applied() -> None:
    channel, replica = joined()

    outcome = replica.apply(channel.change(3, {}, advance=1))

    assert outcome is Outcome.APPLIED
    assert_holds(replica, channel)


def test_repeated_delta_is_ignored() -> None:
    channel, replica = joined()
    first = channel.change(3, {1: 1})
    replica.apply(first)
    replica.apply(channel.change(4, {1: 2}))

    outcome = replica.apply(first)

    assert outcome is Outcome.REPEATED
    assert_holds(replica, channel)


def test_missing_delta_is_a_gap_and_nothing_is_applied() -> None:
    channel, replica = joined()
    before = replica.levels()
    channel.change(3, {1: 1})

    outcome = replica.apply(channel.change(4, {2: 2}))

    assert outcome is Outcome.GAP
    assert outcome.breaks
    assert not replica.in_sync
    assert replica.reason == "BTC 24h: gap: tick 4 follows 3, but 2 is held"
    assert replica.gaps == 1
    np.testing.assert_array_equal(replica.levels(), before)


def test_delta_after_a_gap_waits_for_a_keyframe() -> None:
    channel, replica = joined()
    channel.change(3, {1: 1})
    replica.apply(channel.change(4, {2: 2}))

    outcome = replica.apply(channel.change(5, {2: 3}))

    assert outcome is Outcome.WAITING
    assert replica.gaps == 1
    assert not replica.in_sync


def test_keyframe_heals_a_gap() -> None:
    channel, replica = joined()
    channel.change(3, {1: 1})
    replica.apply(channel.change(4, {2: 2}))

    replica.apply(channel.keyframe())

    assert_holds(replica, channel)


def test_chunk_before_any_keyframe_waits() -> None:
    replica = Replica("BTC", "24h", 1)

    assert replica.apply(ModelChannel().change(2, {1: 1})) is Outcome.WAITING


def test_new_generation_replaces_rows_and_levels() -> None:
    channel, replica = joined()

    replica.apply(channel.regenerate(3, first_row=1900, rows=8))
    replica.apply(channel.change(4, {8: 3}))

    assert_holds(replica, channel)
    assert replica.generation == 2
    assert replica.heatmap().axes.first_row == 1900


def test_delta_of_an_unseen_generation_is_a_gap() -> None:
    channel, replica = joined()
    channel.regenerate(3, first_row=1900, rows=8)

    outcome = replica.apply(channel.change(4, {8: 3}))

    assert outcome is Outcome.GAP
    assert "generation 2 began unseen" in replica.reason


def test_delta_of_another_generation_in_the_chain_is_a_gap() -> None:
    channel, replica = joined()
    chunk = channel.change(3, {8: 3})
    chunk.generation = 2

    assert replica.apply(chunk) is Outcome.GAP


def test_late_delta_of_an_old_generation_is_ignored() -> None:
    channel, replica = joined()
    late = channel.change(3, {1: 1})
    replica.apply(late)
    replica.apply(channel.regenerate(4, first_row=1900, rows=8))

    outcome = replica.apply(late)

    assert outcome is Outcome.REPEATED
    assert_holds(replica, channel)


def test_older_keyframe_does_not_take_the_picture_back() -> None:
    channel, replica = joined()
    old = channel.keyframe()
    replica.apply(channel.change(3, {1: 1}))

    outcome = replica.apply(old)

    assert outcome is Outcome.REPEATED
    assert_holds(replica, channel)


def test_older_keyframe_is_taken_where_one_is_required() -> None:
    channel, replica = joined()
    old = channel.keyframe()
    delta = channel.change(3, {1: 1})
    replica.apply(delta)

    replica.require_keyframe("joining anew")
    replica.apply(old)
    replica.apply(delta)

    assert_holds(replica, channel)


def test_replica_that_requires_a_keyframe_says_so_and_shows_the_last_picture() -> None:
    channel, replica = joined()

    replica.require_keyframe("the engine has started anew")

    assert not replica.heatmap().in_sync
    assert replica.heatmap().reason == "BTC 24h: the engine has started anew"
    np.testing.assert_array_equal(replica.levels(), channel.window())


def test_wrong_checksum_of_a_delta_takes_the_replica_out_of_sync() -> None:
    channel, replica = joined()
    chunk = channel.change(3, {1: 1})
    chunk.checksum ^= 1

    outcome = replica.apply(chunk)

    assert outcome is Outcome.CHECKSUM_DIFFERS
    assert replica.reason == "BTC 24h: checksum differs at tick 3"
    assert replica.checksum_failures == 1


def test_wrong_level_is_found_by_the_next_checksum() -> None:
    channel, replica = joined()
    chunk = channel.change(3, {1: 1}, summed=False)
    chunk.payload = encode_runs({1: 2})
    assert replica.apply(chunk) is Outcome.APPLIED

    outcome = replica.apply(channel.change(4, {20: 1}))

    assert outcome is Outcome.CHECKSUM_DIFFERS


def test_wrong_newest_column_is_found_by_the_checksum() -> None:
    channel, replica = joined()
    chunk = channel.change(3, {1: 1})
    chunk.newest_column += 1

    assert replica.apply(chunk) is Outcome.CHECKSUM_DIFFERS


def test_keyframe_with_a_wrong_checksum_leaves_the_last_good_picture() -> None:
    channel, replica = joined()
    good = replica.levels()
    channel.change(3, {1: 77})
    chunk = channel.keyframe()
    chunk.checksum ^= 1

    outcome = replica.apply(chunk)

    assert outcome is Outcome.CHECKSUM_DIFFERS
    assert not replica.in_sync
    np.testing.assert_array_equal(replica.levels(), good)


def _without_axes(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.ClearField("axes")


def _without_checksum(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.ClearField("checksum")


def _without_rows(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.axes.rows = 0


def _too_large(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.axes.columns = MAX_RING_CELLS


def _without_step(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.axes.base_step = 0


def _absurd_step(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.axes.base_step = 1 << 63


def _absurd_decimals(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.axes.price_decimals = 300


def _absurd_column(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.newest_column = 1 << 62


def _unknown_kind(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.kind = stream_pb2.CHUNK_KIND_UNSPECIFIED


def _unequal_candles(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.candles.open_differences.append(1)


def _candles_from_the_future(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.candles.column_differences[-1] += 1


def _candles_out_of_order(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.candles.column_differences[-1] = 0


def _absurd_candles(chunk: stream_pb2.ChannelChunk) -> None:
    chunk.candles.high_minus_open[0] = (1 << 64) - 1


@pytest.mark.parametrize(
    "spoil",
    [
        _without_axes,
        _without_checksum,
        _without_rows,
        _too_large,
        _without_step,
        _absurd_step,
        _absurd_decimals,
        _absurd_column,
        _unknown_kind,
        _unequal_candles,
        _candles_from_the_future,
        _candles_out_of_order,
        _absurd_candles,
    ],
)
def test_malformed_keyframe_takes_the_replica_out_of_sync(spoil: Callable[[stream_pb2.ChannelChunk], None]) -> None:
    channel, replica = joined()
    chunk = channel.keyframe()
    spoil(chunk)

    outcome = replica.apply(chunk)

    assert outcome is Outcome.MALFORMED
    assert "malformed chunk at tick 2" in replica.reason
    np.testing.assert_array_equal(replica.levels(), channel.window())


def test_malformed_delta_changes_nothing() -> None:
    channel, replica = joined()
    good = replica.levels()
    chunk = channel.change(3, {1: 1})
    chunk.payload += b"\x00"

    outcome = replica.apply(chunk)

    assert outcome is Outcome.MALFORMED
    assert replica.malformed == 1
    np.testing.assert_array_equal(replica.levels(), good)


def test_heatmap_carries_axes_in_the_users_units() -> None:
    channel = ModelChannel(rows=4, columns=3)
    replica = Replica("BTC", "24h", 1)
    replica.apply(channel.keyframe())

    heatmap = replica.heatmap()

    assert heatmap.price_low().tolist() == [80400, 80440, 80480, 80520]
    assert heatmap.price_middle().tolist() == [80420, 80460, 80500, 80540]
    assert [str(start) for start in heatmap.column_start()] == [
        "2025-12-15T14:30",
        "2025-12-15T14:32",
        "2025-12-15T14:34",
    ]
    assert heatmap.column_start_unix_s().tolist() == [1765809000, 1765809120, 1765809240]


def test_heatmap_is_a_copy() -> None:
    channel, replica = joined()
    heatmap = replica.heatmap()
    levels, high = heatmap.levels.copy(), heatmap.candles.high.copy()

    replica.apply(channel.change(3, {1: 99}, advance=1))

    np.testing.assert_array_equal(heatmap.levels, levels)
    np.testing.assert_array_equal(heatmap.candles.high, high)


def test_candles_follow_the_window() -> None:
    channel, replica = joined()

    replica.apply(channel.change(3, {}, advance=2))

    candles = replica.heatmap().candles
    newest = channel.newest_column
    # The column in between was never spoken of: its position still holds one that has left the window.
    assert np.isnan(candles.open[-2])
    assert candles.open[-1] == 90_000 + 10 * (newest % 7)
    assert candles.high[-1] == candles.open[-1] + 9
    assert candles.low[-1] == candles.open[-1] - 8
    assert candles.close[-1] == candles.open[-1] + 3
    assert candles.open[0] == 90_000 + 10 * ((newest - 5) % 7)


def test_delta_without_candles_keeps_those_held() -> None:
    channel, replica = joined()
    chunk = channel.change(3, {1: 1})
    chunk.ClearField("candles")

    replica.apply(chunk)

    assert not np.isnan(replica.heatmap().candles.open).any()


def test_checksum_after_many_unsummed_deltas_covers_all_of_them() -> None:
    channel, replica = joined()
    generator = np.random.default_rng(3)
    for tick in range(3, 40):
        cells = {int(cell): int(generator.integers(256)) for cell in generator.integers(0, 30, 4)}
        replica.apply(channel.change(tick, cells, advance=int(generator.integers(2)), summed=False))

    outcome = replica.apply(channel.change(40, {0: 1}))

    assert outcome is Outcome.APPLIED
    assert_holds(replica, channel)
