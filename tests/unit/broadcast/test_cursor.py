"""One reader: join, resume, conflation, cadence, heartbeat, goodbye. Decoded by the independent decoder."""

from __future__ import annotations

import asyncio

import pytest

from liqscape import __version__
from liqscape.broadcast.cadence import cadence_class_ms
from liqscape.broadcast.cursor import Cursor
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource, merge_records
from liqscape.broadcast.ring import Ring
from liqscape.errors import InvalidArgument
from liqscape.v1 import stream_pb2
from tests.fake_engine import EPOCH, FakeEngine
from tests.wire_decoder import Replica


class Origin:
    """An engine and a hub, stepped by hand under a clock moved by hand."""

    def __init__(self, *, max_frame_bytes: int = 1 << 20, max_ticks: int = 100, steps: int = 1, rows: int = 4) -> None:
        self.now_s = 100.0
        self.engine = FakeEngine(tick_ms=1000, rows=rows)
        self.encoder = StreamEncoder(self.engine.shard, now_ns=lambda: 3)
        self.hub = Hub(
            InProcessFrameSource(self.engine.shard),
            ring=Ring(max_ticks),
            max_frame_bytes=max_frame_bytes,
            now_ns=lambda: 4,
            monotonic=lambda: self.now_s,
        )
        self.step(steps)

    def step(self, count: int = 1, cells: int = 2) -> None:
        for _ in range(count):
            self.hub.append(self.encoder.encode(self.engine.step(cells=cells)))

    def cursor(
        self,
        *points: stream_pb2.ResumePoint,
        wanted: tuple[tuple[str, str], ...] = (),
        cadence_ms: int = 0,
        max_age_s: float = 1e9,
    ) -> Cursor:
        selection = self.hub.select(wanted)
        return Cursor(self.hub, selection, cadence_ms=cadence_ms, resume=points, max_age_s=max_age_s)

    def point(self, tick: int, *, epoch: int = EPOCH, source_id: str = "shard-0") -> stream_pb2.ResumePoint:
        return stream_pb2.ResumePoint(source_id=source_id, epoch=epoch, tick=tick)


def read(cursor: Cursor, replica: Replica | None = None) -> list[stream_pb2.Frame]:
    """Take every frame that may go out now, into a replica if there is one."""
    frames = []
    while (data := cursor.poll()) is not None:
        frames.append(stream_pb2.Frame.FromString(data))
        if replica is not None:
            replica.apply(data)
    return frames


def kinds(frames: list[stream_pb2.Frame]) -> list[str]:
    return [frame.WhichOneof("control") or "data" for frame in frames]


def assert_equals_engine(replica: Replica, engine: FakeEngine) -> None:
    assert replica.in_sync
    for channel_id, channel in replica.channels.items():
        assert channel.ring == engine.truth[engine.tick][channel_id].ring


def test_join_is_hello_keyframes_snapshot_end_then_deltas() -> None:
    origin = Origin()
    cursor, replica = origin.cursor(), Replica()

    joined = read(cursor, replica)
    origin.step()
    after = read(cursor, replica)

    assert kinds(joined) == ["hello", "data", "snapshot_end"]
    assert joined[2].snapshot_end.keyframes == 4
    assert kinds(after) == ["data"]
    assert_equals_engine(replica, origin.engine)


def test_hello_tells_what_will_be_served() -> None:
    origin = Origin()

    hello = read(origin.cursor(wanted=(("ETH", "24h"),), cadence_ms=250))[0].hello

    assert hello == stream_pb2.Hello(
        protocol_revision=1,
        server_version=__version__,
        server_unix_ns=4,
        cadence_ms=250,
        heartbeat_ms=1000,
        sources=[
            stream_pb2.SourceDescription(
                source_id="shard-0",
                epoch=EPOCH,
                tick_ms=1000,
                states=[stream_pb2.DATA_STATE_SIMULATED],
                input="fake seed 1",
            )
        ],
        channels=[stream_pb2.ChannelDescription(channel_id=4, source_id="shard-0", symbol="ETH", timeframe="24h")],
    )


def test_long_join_comes_in_fragments_and_only_the_last_is_complete() -> None:
    origin = Origin(max_frame_bytes=1024 + 200)
    cursor, replica = origin.cursor(), Replica()

    frames = read(cursor, replica)

    sections = [section for frame in frames for section in frame.sections]
    assert len(sections) > 3
    assert [section.complete for section in sections] == [False] * (len(sections) - 1) + [True]
    assert all(frame.ByteSize() <= 1024 + 200 for frame in frames[1:])
    assert_equals_engine(replica, origin.engine)


def test_tick_that_comes_during_a_long_join_follows_as_a_delta() -> None:
    origin = Origin(max_frame_bytes=1024 + 200)
    cursor, replica = origin.cursor(), Replica()
    for _ in range(3):
        data = cursor.poll()
        assert data is not None
        replica.apply(data)

    origin.step()
    frames = read(cursor, replica)

    assert "snapshot_end" in kinds(frames)
    assert kinds(frames)[-1] == "data"
    assert_equals_engine(replica, origin.engine)


def test_join_of_an_engine_without_channels_still_ends() -> None:
    engine = FakeEngine(symbols=())
    hub = Hub(InProcessFrameSource(engine.shard))
    hub.append(StreamEncoder(engine.shard).encode(engine.step()))

    frames = read(Cursor(hub, hub.select([])))

    assert kinds(frames) == ["hello", "snapshot_end"]


def test_slow_reader_gets_everything_as_one_message_and_the_count() -> None:
    origin = Origin()
    cursor, replica = origin.cursor(), Replica()
    read(cursor, replica)

    origin.step(5)
    (frame,) = read(cursor, replica)

    assert frame.ticks_conflated == 4
    assert frame.sections[0].tick == 6
    assert [chunk.symbol.mark_price for chunk in frame.sections[0].chunks if chunk.symbol.symbol == "BTC"] == [
        6_500_006
    ]
    assert origin.hub.counters.ticks_conflated == 4
    assert_equals_engine(replica, origin.engine)


def test_ticks_merged_before_the_hub_are_counted_as_well() -> None:
    origin = Origin()
    cursor = origin.cursor()
    read(cursor)

    origin.hub.append(merge_records([origin.encoder.encode(origin.engine.step()) for _ in range(3)]))
    (frame,) = read(cursor)

    assert frame.ticks_conflated == 2
    assert origin.hub.counters.source_ticks_merged == 2


def test_fragments_count_conflated_ticks_once() -> None:
    origin = Origin(max_frame_bytes=1024 + 200)
    cursor = origin.cursor()
    read(cursor)

    origin.step(5)
    frames = read(cursor)

    assert len(frames) > 1
    assert [frame.ticks_conflated for frame in frames] == [0] * (len(frames) - 1) + [4]


def test_resume_inside_the_ring_goes_on_with_deltas() -> None:
    origin = Origin(rows=200)
    origin.step(cells=500)  # a keyframe is then longer than a few deltas
    replica = Replica()
    read(origin.cursor(), replica)
    origin.step(2)
    assert replica.resume is not None

    replica.connecting()
    frames = read(origin.cursor(replica.resume), replica)

    assert kinds(frames) == ["hello", "snapshot_end", "data"]
    assert frames[0].hello.resumed
    assert frames[1].snapshot_end.keyframes == 0
    assert frames[2].ticks_conflated == 1
    assert not any(chunk.channel.kind == stream_pb2.CHUNK_KIND_KEYFRAME for chunk in frames[2].sections[0].chunks)
    assert origin.hub.counters.resumes == 1
    assert_equals_engine(replica, origin.engine)


def test_resume_at_the_newest_tick_has_nothing_to_send() -> None:
    origin = Origin(steps=3)

    frames = read(origin.cursor(origin.point(3)))

    assert kinds(frames) == ["hello", "snapshot_end"]
    assert frames[0].hello.resumed


def test_resume_at_the_oldest_tick_held_is_honoured_and_one_before_is_not() -> None:
    origin = Origin(steps=40, max_ticks=12)
    floor = origin.hub.ring.floor_tick

    at_floor = read(origin.cursor(origin.point(floor)))
    below = read(origin.cursor(origin.point(floor - 1)))

    assert floor == 28
    assert at_floor[0].hello.resumed
    assert not below[0].hello.resumed


@pytest.mark.parametrize(
    ("tick", "epoch", "source_id", "reason", "name"),
    [
        (3, EPOCH + 1, "shard-0", stream_pb2.Lagged.REASON_EPOCH_CHANGED, "epoch_changed"),
        (1, EPOCH, "shard-0", stream_pb2.Lagged.REASON_OUT_OF_RING, "out_of_ring"),
        (41, EPOCH, "shard-0", stream_pb2.Lagged.REASON_FROM_THE_FUTURE, "from_the_future"),
        (3, EPOCH, "shard-9", stream_pb2.Lagged.REASON_UNKNOWN_SOURCE, "unknown_source"),
    ],
)
def test_resume_that_cannot_be_honoured_says_why_and_joins(
    tick: int, epoch: int, source_id: str, reason: stream_pb2.Lagged.Reason, name: str
) -> None:
    origin = Origin(steps=40, max_ticks=12)
    replica = Replica()

    frames = read(origin.cursor(origin.point(tick, epoch=epoch, source_id=source_id)), replica)

    assert kinds(frames) == ["hello", "lagged", "data", "snapshot_end"]
    assert not frames[0].hello.resumed
    assert frames[1].lagged == stream_pb2.Lagged(reason=reason, source_id=source_id)
    assert origin.hub.counters.by_name()[f"stream_lagged_{name}"] == 1
    assert_equals_engine(replica, origin.engine)


def test_one_source_that_is_unknown_spoils_the_resume() -> None:
    origin = Origin(steps=3)

    frames = read(origin.cursor(origin.point(3), origin.point(3, source_id="shard-9")))

    assert kinds(frames) == ["hello", "lagged", "data", "snapshot_end"]


def test_reader_left_behind_by_the_ring_is_brought_back_by_keyframes() -> None:
    origin = Origin(max_ticks=12)
    cursor, replica = origin.cursor(), Replica()
    read(cursor, replica)

    origin.step(60)
    frames = read(cursor, replica)

    assert kinds(frames) == ["data"]
    assert frames[0].ticks_conflated == 59
    assert_equals_engine(replica, origin.engine)


def test_idle_second_brings_a_heartbeat_with_the_position() -> None:
    origin = Origin(steps=3)
    cursor = origin.cursor()
    read(cursor)

    origin.now_s += 0.99
    early = read(cursor)
    origin.now_s += 0.01
    (frame,) = read(cursor)

    assert early == []
    assert frame.heartbeat == stream_pb2.Heartbeat(
        positions=[origin.point(3)],
        source_watermark_unix_ns=[3 * 10**9],
        states=[stream_pb2.DATA_STATE_SIMULATED],
    )
    assert read(cursor) == []


def test_data_put_the_heartbeat_off() -> None:
    origin = Origin()
    cursor = origin.cursor()
    read(cursor)

    for _ in range(5):
        origin.now_s += 0.9
        origin.step()

        assert kinds(read(cursor)) == ["data"]


def test_cadence_holds_messages_back_and_merges_them() -> None:
    origin = Origin()
    cursor, replica = origin.cursor(cadence_ms=1000), Replica()
    read(cursor, replica)

    sent = []
    for quarter in range(13):
        origin.step()
        sent += [(quarter, frame.ticks_conflated) for frame in read(cursor, replica)]
        origin.now_s += 0.25

    assert sent == [(0, 0), (4, 3), (8, 3), (12, 3)]
    assert_equals_engine(replica, origin.engine)


def test_jitter_of_a_tick_does_not_hold_it_back_by_a_whole_tick() -> None:
    origin = Origin()
    cursor = origin.cursor(cadence_ms=250)
    read(cursor)

    sent = []
    for gap_s in (0.0, 0.26, 0.24, 0.255, 0.245, 0.23):
        origin.now_s += gap_s
        origin.step()
        sent.append(len(read(cursor)))

    assert sent == [1] * 6


def test_heartbeat_of_a_slow_cadence_names_only_what_was_sent() -> None:
    origin = Origin()
    cursor = origin.cursor(cadence_ms=5000)
    read(cursor)
    origin.step()
    read(cursor)

    origin.step(3)
    origin.now_s += 1.0
    (frame,) = read(cursor)

    assert frame.heartbeat.positions[0].tick == 2


def test_closed_hub_says_goodbye_after_the_message_under_way() -> None:
    origin = Origin(max_frame_bytes=1024 + 200)
    cursor, replica = origin.cursor(), Replica()
    data = cursor.poll()
    assert data is not None
    replica.apply(data)

    origin.hub.close("the server is stopping", 1500)
    frames = read(cursor, replica)

    assert kinds(frames)[-2:] == ["snapshot_end", "going_away"]
    assert frames[-1].going_away == stream_pb2.GoingAway(reason="the server is stopping", reconnect_after_ms=1500)
    assert cursor.is_over
    assert_equals_engine(replica, origin.engine)


def test_old_stream_ends_by_itself() -> None:
    origin = Origin()
    cursor = origin.cursor(max_age_s=60)
    read(cursor)

    origin.now_s += 60
    frames = read(cursor)

    assert kinds(frames) == ["going_away"]
    assert frames[0].going_away.reason == "stream age"
    assert cursor.is_over


async def test_next_frame_waits_for_the_next_tick_and_ends_with_none() -> None:
    origin = Origin()
    cursor = origin.cursor()
    read(cursor)
    waiting = asyncio.create_task(cursor.next_frame())
    await asyncio.sleep(0)

    origin.step()
    data = await asyncio.wait_for(waiting, 5)
    origin.hub.close("test", 0)
    last = [await asyncio.wait_for(cursor.next_frame(), 5) for _ in range(2)]

    assert stream_pb2.Frame.FromString(data or b"").sections[0].tick == 2
    assert stream_pb2.Frame.FromString(last[0] or b"").HasField("going_away")
    assert last[1] is None


async def test_next_frame_brings_heartbeats_on_a_real_clock() -> None:
    engine = FakeEngine()
    hub = Hub(InProcessFrameSource(engine.shard))
    hub.append(StreamEncoder(engine.shard).encode(engine.step()))
    cursor = Cursor(hub, hub.select([]), heartbeat_ms=5)
    read(cursor)

    beats = [await asyncio.wait_for(cursor.next_frame(), 5) for _ in range(3)]

    assert all(stream_pb2.Frame.FromString(beat or b"").HasField("heartbeat") for beat in beats)


async def test_next_frame_of_a_cadence_comes_when_it_is_due_without_another_tick() -> None:
    engine = FakeEngine()
    encoder = StreamEncoder(engine.shard)
    hub = Hub(InProcessFrameSource(engine.shard))
    hub.append(encoder.encode(engine.step()))
    cursor = Cursor(hub, hub.select([]), cadence_ms=250)
    read(cursor)
    hub.append(encoder.encode(engine.step()))
    read(cursor)
    hub.append(encoder.encode(engine.step()))

    data = await asyncio.wait_for(cursor.next_frame(), 5)

    assert stream_pb2.Frame.FromString(data or b"").sections[0].tick == 3


@pytest.mark.parametrize(
    ("asked", "served"),
    [(0, 0), (1, 100), (100, 100), (101, 250), (250, 250), (251, 500), (600, 1000), (1001, 5000), (5000, 5000)],
)
def test_cadence_is_rounded_up_to_its_class(asked: int, served: int) -> None:
    assert cadence_class_ms(asked) == served


def test_cadence_above_the_slowest_class_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"cadence_ms 5001 is too long; use 0 .* 100, 250, 500, 1000, 5000"):
        cadence_class_ms(5001)


def test_readers_of_a_hub_that_drains_leave_one_after_the_other_and_get_ticks_until_then() -> None:
    origin = Origin()
    cursors = [origin.cursor() for _ in range(20)]
    for cursor in cursors:
        read(cursor)
    origin.hub.close("the server is stopping", 1000, spread_s=10.0)

    left = []
    for _ in range(10):
        origin.now_s += 1.0
        origin.step()
        kinds_by_cursor = [kinds(read(cursor)) for cursor in cursors if not cursor.is_over]
        left.append(sum(found == ["going_away"] for found in kinds_by_cursor))
        assert all(found in (["going_away"], ["data"]) for found in kinds_by_cursor)

    assert sum(left) == 20
    assert max(left) <= 3, left


async def test_reader_waits_for_its_turn_to_leave_without_spinning() -> None:
    origin = Origin()
    cursor = origin.cursor()
    read(cursor)
    origin.hub.close("test", 0, spread_s=60.0)

    waiting = asyncio.create_task(cursor.next_frame())
    await asyncio.sleep(0.01)

    assert not waiting.done()
    origin.hub.close("test", 0)
    last = await asyncio.wait_for(waiting, 5)
    assert stream_pb2.Frame.FromString(last or b"").HasField("going_away")


def test_frame_that_ends_a_message_of_changes_says_since_when_it_might_have_left() -> None:
    origin = Origin(max_frame_bytes=1024 + 200)
    cursor = origin.cursor()
    joining = [cursor.free_since for _ in iter(cursor.poll, None)]
    origin.step(cells=4000)
    appended_at = origin.now_s

    origin.now_s += 0.25
    following = [cursor.free_since for _ in iter(cursor.poll, None)]

    assert set(joining) == {None}
    assert following[-1] == appended_at
    assert set(following[:-1]) <= {None}


async def test_reader_that_slept_gets_the_very_bytes_that_one_who_polls_gets() -> None:
    origin = Origin(rows=30)
    sleeper, poller, replica = origin.cursor(), origin.cursor(), Replica()
    read(sleeper, replica)
    read(poller)

    for ticks in [1, 1, 3, 1, 2, 1, 1]:
        sleeping = asyncio.create_task(sleeper.next_frame())
        await asyncio.sleep(0)
        origin.step(ticks)
        origin.now_s += 0.25
        frame = await asyncio.wait_for(sleeping, 5)

        assert frame == poller.poll()
        assert sleeper.free_since == poller.free_since
        replica.apply(frame or b"")
    assert_equals_engine(replica, origin.engine)
    sleeping = asyncio.create_task(sleeper.next_frame())
    await asyncio.sleep(0)
    origin.step()
    origin.hub.close("the server is stopping", 100)

    assert await asyncio.wait_for(sleeping, 5) == poller.poll()
    assert sleeper.is_over


async def test_reader_that_slept_shares_the_frame_of_a_tick_with_the_others() -> None:
    origin = Origin()
    cursors = [origin.cursor() for _ in range(3)]
    for cursor in cursors:
        read(cursor)

    for _ in range(2):
        sleeping = [asyncio.create_task(cursor.next_frame()) for cursor in cursors]
        await asyncio.sleep(0)
        origin.step()
        frames = await asyncio.wait_for(asyncio.gather(*sleeping), 5)

        assert all(frame is frames[0] for frame in frames)
