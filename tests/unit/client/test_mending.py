"""Which channels are rejected, how often, and when rejecting is given up; under a clock moved by hand."""

from __future__ import annotations

from liqscape.v1 import stream_pb2
from liqscape_client.frame_effect import FrameEffect
from liqscape_client.mending import MAX_REJECTS, MEND_WITHIN_S, Mending
from liqscape_client.replica_set import ReplicaSet
from liqscape_client.stream_state import StreamTotals
from tests.unit.client.wire_model import SOURCE, ModelChannel, ModelEngine


class Session:
    """A joined client of two channels."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.engine = ModelEngine(channels=[ModelChannel("BTC", "24h", 1), ModelChannel("ETH", "12h", 2)])
        self.replicas = ReplicaSet(lambda: self.now_s)
        self.totals = StreamTotals()
        self.mending = Mending(lambda: self.now_s, self.totals)
        for frame in self.engine.join(stream_pb2.SubscribeRequest()):
            self.take(frame)

    def take(self, frame: stream_pb2.Frame) -> list[tuple[str, list[int], int]]:
        """Apply a message and return what is rejected."""
        self.effect: FrameEffect = self.replicas.apply(frame)
        rejects = self.mending.take(self.effect, self.replicas)
        return [(reject.source_id, list(reject.channel_ids), reject.reason) for reject in rejects]

    def step(self, *channel_ids: int) -> list[tuple[str, list[int], int]]:
        return self.take(self.engine.frame(self.engine.step({number: {0: self.engine.tick} for number in channel_ids})))

    def lose(self, *channel_ids: int) -> None:
        self.engine.step({number: {0: self.engine.tick} for number in channel_ids})

    def keyframe(self, channel: int) -> list[tuple[str, list[int], int]]:
        return self.take(self.engine.frame(self.engine.publish([self.engine.channels[channel - 1].keyframe()])))


GAP = stream_pb2.Reject.REASON_GAP


def test_channel_is_rejected_once_until_its_keyframe_comes() -> None:
    session = Session()
    session.lose(1)

    said = [session.step(1), session.step(1), session.step(1, 2), session.keyframe(1), session.step(1)]

    assert said == [[(SOURCE, [1], GAP)], [], [], [], []]
    assert session.mending.failure() is None
    assert session.replicas.in_sync
    assert (session.totals.channels_rejected, session.totals.channels_mended) == (1, 1)


def test_each_broken_channel_is_rejected() -> None:
    session = Session()
    session.lose(1, 2)

    assert session.step(1, 2) == [(SOURCE, [1], GAP), (SOURCE, [2], GAP)]


def test_join_that_ends_without_a_keyframe_rejects_what_is_missing() -> None:
    session = Session()
    session.replicas.connecting()
    session.take(session.engine.hello())

    said = session.take(stream_pb2.Frame(snapshot_end=stream_pb2.SnapshotEnd()))

    missing = stream_pb2.Reject.REASON_MISSING
    assert said == [(SOURCE, [1], missing), (SOURCE, [2], missing)]


def test_channel_that_breaks_again_and_again_is_given_up() -> None:
    session = Session()

    for _ in range(MAX_REJECTS):
        session.lose(1)
        session.step(1)
        session.keyframe(1)
    hope = session.mending.failure()
    session.lose(1)
    session.step(1)

    assert hope is None
    assert session.mending.failure() == f"channel 1 of {SOURCE} broke again after 3 keyframes"
    assert session.totals.mending_failed == 1


def test_keyframe_that_does_not_come_is_given_up() -> None:
    session = Session()
    session.lose(1)
    session.step(1)

    session.now_s += MEND_WITHIN_S
    in_time = session.mending.failure()
    session.now_s += 0.1

    assert in_time is None
    assert session.mending.failure() == f"no keyframe of channel 1 of {SOURCE} came within 10 s"


def test_channel_that_is_not_wanted_any_more_is_forgotten() -> None:
    session = Session()
    session.lose(1)
    session.step(1)
    kept = stream_pb2.ChannelDescription(channel_id=2, source_id=SOURCE, symbol="ETH", timeframe="12h")

    session.take(stream_pb2.Frame(selection_changed=stream_pb2.SelectionChanged(changes=1, continuing=[kept])))
    session.now_s += 100

    assert session.mending.failure() is None
    assert session.totals.channels_mended == 0
    assert session.replicas.channels() == (("ETH", "12h"),)


def test_damage_on_a_stream_that_cannot_reject_asks_for_a_new_one() -> None:
    session = Session()
    session.lose(1)

    session.step(1)

    assert session.effect.fatal is None
    assert session.effect.broken == "BTC 24h: gap: tick 3 follows 2, but 1 is held"
