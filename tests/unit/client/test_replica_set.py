"""All replicas of a stream: join, epochs, heartbeats, resume points."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.v1 import stream_pb2
from liqscape_client.errors import NotServed
from liqscape_client.replica_set import FrameEffect, ReplicaSet
from tests.unit.client.wire_model import SOURCE, ModelChannel, ModelEngine


class FakeMonotonic:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def engine_with_two_channels() -> ModelEngine:
    return ModelEngine(channels=[ModelChannel("BTC", "24h", 1), ModelChannel("ETH", "12h", 7, rows=8)])


def apply_all(replicas: ReplicaSet, frames: list[stream_pb2.Frame]) -> list[FrameEffect]:
    return [replicas.apply(frame) for frame in frames]


def joined(engine: ModelEngine) -> tuple[ReplicaSet, FakeMonotonic]:
    clock = FakeMonotonic()
    replicas = ReplicaSet(clock)
    replicas.connecting()
    apply_all(replicas, engine.join(stream_pb2.SubscribeRequest()))
    assert replicas.in_sync
    return replicas, clock


def resume(replicas: ReplicaSet, engine: ModelEngine) -> list[FrameEffect]:
    replicas.disconnected("connection lost")
    replicas.connecting()
    return apply_all(replicas, engine.join(stream_pb2.SubscribeRequest(resume=replicas.resume_points())))


def test_stream_is_in_sync_from_snapshot_end_on() -> None:
    engine = engine_with_two_channels()
    replicas = ReplicaSet(FakeMonotonic())
    replicas.connecting()
    reasons = []

    for frame in engine.join(stream_pb2.SubscribeRequest()):
        replicas.apply(frame)
        reasons.append(replicas.out_of_sync_reason())

    assert reasons == ["0 of 2 channels have come", "1 of 2 channels have come", "2 of 2 channels have come", ""]
    assert replicas.channels() == (("BTC", "24h"), ("ETH", "12h"))


def test_nothing_is_in_sync_before_a_connection() -> None:
    replicas = ReplicaSet(FakeMonotonic())

    assert replicas.out_of_sync_reason() == "not connected"
    assert replicas.resume_points() == []


def test_server_without_channels_can_be_joined() -> None:
    engine = ModelEngine(channels=[])
    replicas = ReplicaSet(FakeMonotonic())

    effects = apply_all(replicas, engine.join(stream_pb2.SubscribeRequest()))

    assert effects[-1].joined
    assert replicas.in_sync
    assert replicas.resume_points() == []


def test_delta_names_what_changed() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)

    effect = replicas.apply(engine.frame(engine.step({7: {3: 9}}), ticks_conflated=4))

    assert effect.channels == {("ETH", "12h")}
    assert effect.symbols == {"BTC", "ETH"}
    assert effect.ticks_conflated == replicas.counters.ticks_conflated == 4
    assert effect.broken is None
    np.testing.assert_array_equal(replicas.replica("ETH", "12h").levels(), engine.channels[1].window())


def test_gap_breaks_the_stream_and_forbids_to_resume() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.step({1: {0: 1}})

    effect = replicas.apply(engine.frame(engine.step({1: {0: 2}})))

    assert effect.broken == "BTC 24h: gap: tick 3 follows 2, but 1 is held"
    assert replicas.out_of_sync_reason() == effect.broken
    assert replicas.resume_points() == []
    assert replicas.counters.gaps == 1


def test_keyframe_in_the_same_message_mends_a_gap() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.step({1: {0: 1}})
    merged = engine.step({1: {0: 2}})
    engine.tick += 1
    later = engine.publish([engine.channels[0].regenerate(engine.tick, 1900, 5)])
    merged.chunks.extend(later.chunks)
    merged.tick, merged.complete = later.tick, True

    effect = replicas.apply(engine.frame(merged, ticks_conflated=1))

    assert replicas.counters.gaps == 1
    assert effect.broken is None
    assert replicas.in_sync
    assert [point.tick for point in replicas.resume_points()] == [engine.tick]
    np.testing.assert_array_equal(replicas.replica("BTC", "24h").levels(), engine.channels[0].window())


def test_silence_of_three_heartbeats_is_out_of_sync() -> None:
    replicas, clock = joined(engine_with_two_channels())

    clock.now_s += 3.0
    assert replicas.in_sync
    clock.now_s += 0.1

    assert replicas.out_of_sync_reason() == "nothing heard for 3.1 s"


def test_heartbeat_is_proof_of_life() -> None:
    engine = engine_with_two_channels()
    replicas, clock = joined(engine)

    clock.now_s += 2.9
    replicas.apply(engine.heartbeat())
    clock.now_s += 2.9

    assert replicas.in_sync


@pytest.mark.parametrize(("heartbeat_ms", "dead_after_s"), [(0, 3.0), (50, 0.15), (5000, 15.0), (4_000_000_000, 90.0)])
def test_interval_of_heartbeats_comes_from_hello_within_bounds(heartbeat_ms: int, dead_after_s: float) -> None:
    replicas, _ = joined(ModelEngine(heartbeat_ms=heartbeat_ms))

    assert replicas.dead_after_s == pytest.approx(dead_after_s)


def test_complete_section_moves_the_resume_point() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)

    replicas.apply(engine.frame(engine.step({1: {0: 1}})))

    assert replicas.resume_points() == [stream_pb2.ResumePoint(source_id=SOURCE, epoch=0xABCDEF, tick=2)]


def test_fragment_does_not_move_the_resume_point() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    section = engine.step({1: {0: 1}})
    section.complete = False

    replicas.apply(engine.frame(section))

    assert [point.tick for point in replicas.resume_points()] == [1]


def test_heartbeat_moves_the_resume_point() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.tick = 9

    replicas.apply(engine.heartbeat())

    assert [point.tick for point in replicas.resume_points()] == [9]


def test_half_a_join_cannot_be_resumed() -> None:
    engine = engine_with_two_channels()
    replicas = ReplicaSet(FakeMonotonic())

    apply_all(replicas, engine.join(stream_pb2.SubscribeRequest())[:2])

    assert replicas.resume_points() == []


def test_resumed_stream_goes_on_with_deltas() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    for _ in range(3):
        engine.step({1: {0: engine.tick}, 7: {2: engine.tick}}, advance=1)

    effects = resume(replicas, engine)

    assert len(effects) == 5  # Hello, three ticks, SnapshotEnd
    assert replicas.in_sync
    np.testing.assert_array_equal(replicas.replica("BTC", "24h").levels(), engine.channels[0].window())


def test_disconnected_stream_is_out_of_sync_and_keeps_its_picture() -> None:
    replicas, _ = joined(engine_with_two_channels())

    replicas.disconnected("connection lost")

    assert replicas.out_of_sync_reason() == "connection lost"
    assert replicas.replica("BTC", "24h").has_levels
    assert len(replicas.resume_points()) == 1


def test_refused_resume_point_says_why_and_joins_anew() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.ring_ticks = 1
    for _ in range(3):
        engine.step({1: {0: engine.tick}})

    resume(replicas, engine)

    assert replicas.in_sync
    assert replicas.last_lagged == "OUT_OF_RING"
    assert replicas.counters.lagged == 1
    np.testing.assert_array_equal(replicas.replica("BTC", "24h").levels(), engine.channels[0].window())


def test_new_epoch_drops_all_state() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    old = replicas.replica("BTC", "24h")
    engine.restart(epoch=0x123)
    replicas.disconnected("connection lost")

    replicas.apply(engine.hello())

    assert replicas.replica("BTC", "24h") is not old
    assert not replicas.replica("BTC", "24h").has_levels
    assert replicas.symbol("BTC") is None
    assert replicas.covered_share("BTC") is None
    assert replicas.counters.epoch_changes == 1


def test_resume_into_a_new_epoch_joins_anew() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.restart(epoch=0x123)

    resume(replicas, engine)

    assert replicas.in_sync
    assert replicas.last_lagged == "EPOCH_CHANGED"
    assert [point.epoch for point in replicas.resume_points()] == [0x123]


def test_hello_of_a_new_epoch_that_claims_to_resume_is_not_believed() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.restart(epoch=0x123)

    replicas.apply(engine.hello(resumed=True))
    effect = replicas.apply(engine.snapshot_end(0))

    assert effect.broken == "the join has ended, but BTC 24h: no keyframe yet"
    assert not replicas.in_sync


@pytest.mark.parametrize("carrier", ["section", "heartbeat"])
def test_epoch_that_changes_within_a_stream_breaks_it(carrier: str) -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.epoch = 0x123
    frame = engine.heartbeat() if carrier == "heartbeat" else engine.frame(engine.step({1: {0: 1}}))

    effect = replicas.apply(frame)

    assert effect.broken == "the engine has started anew"
    assert not replicas.in_sync
    assert replicas.resume_points() == []


def test_new_join_of_the_same_epoch_requires_every_keyframe() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)

    apply_all(replicas, [engine.hello(), engine.snapshot_end(0)])

    assert replicas.out_of_sync_reason() == "BTC 24h: no keyframe since the last join"


def test_channel_id_that_names_another_channel_is_a_new_replica() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    engine.channels[0].timeframe = "3d"

    replicas.apply(engine.hello(resumed=True))

    assert not replicas.replica("BTC", "3d").has_levels


def test_data_before_hello_break_the_stream() -> None:
    engine = engine_with_two_channels()
    replicas = ReplicaSet(FakeMonotonic())
    replicas.connecting()

    effect = replicas.apply(engine.frame(engine.step({1: {0: 1}})))

    assert effect.broken == "the server sent data before Hello"


def test_section_of_an_unknown_source_breaks_the_stream() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    section = engine.step({1: {0: 1}})
    section.source_id = "another"

    assert replicas.apply(engine.frame(section)).broken == "section of the unknown source 'another'"


def test_chunk_of_an_unknown_channel_is_counted() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)
    section = engine.step({1: {0: 1}})
    section.chunks[0].channel.channel_id = 99

    effect = replicas.apply(engine.frame(section))

    assert effect.broken is None
    assert replicas.counters.unknown_chunks == 1


def test_channel_that_is_not_served_is_named_with_those_that_are() -> None:
    replicas, _ = joined(engine_with_two_channels())

    with pytest.raises(NotServed, match="channel BTC 1y is not in this stream; it carries BTC 24h, ETH 12h"):
        replicas.replica("BTC", "1y")


def test_price_coverage_and_states_are_kept() -> None:
    replicas, _ = joined(engine_with_two_channels())

    state = replicas.symbol("BTC")

    assert state is not None
    assert state.mark_price == pytest.approx(89_040.61)
    assert replicas.data_states("BTC") == ("SIMULATED",)
    assert replicas.covered_share("BTC") == pytest.approx(0.4)
    assert replicas.inputs() == ("model",)


def test_warning_of_a_heartbeat_holds_until_the_next_price() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)

    replicas.apply(engine.heartbeat([stream_pb2.DATA_STATE_SIMULATED, stream_pb2.DATA_STATE_STALE]))
    warned = replicas.data_states("BTC")
    replicas.apply(engine.frame(engine.step({})))

    assert warned == ("SIMULATED", "STALE")
    assert replicas.data_states("BTC") == ("SIMULATED",)


def test_going_away_names_when_to_come_back() -> None:
    engine = engine_with_two_channels()
    replicas, _ = joined(engine)

    effect = replicas.apply(stream_pb2.Frame(going_away=stream_pb2.GoingAway(reconnect_after_ms=1500)))

    assert effect.reconnect_after_ms == 1500
    assert effect.broken is None
