"""A reader under credits: what it gets, when, and what it may say. Decoded by the independent decoder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from liqscape.broadcast.credits import Credits, max_in_flight
from liqscape.broadcast.cursor import Cursor
from liqscape.errors import InvalidArgument
from liqscape.metrics import Stage
from liqscape.v1 import stream_pb2
from tests.unit.broadcast.test_cursor import Origin, assert_equals_engine, kinds, read
from tests.wire_decoder import Replica

SMALL = 1024 + 200
BTC = (("BTC", ""),)
ETH = (("ETH", ""),)


def session(
    origin: Origin,
    *points: stream_pb2.ResumePoint,
    wanted: Sequence[tuple[str, str]] = (),
    window: int = 2,
    cadence_ms: int = 0,
    idle_after_s: float = 1e9,
) -> Cursor:
    return Cursor(
        origin.hub,
        origin.hub.select(wanted),
        cadence_ms=cadence_ms,
        resume=points,
        max_age_s=1e9,
        credits=Credits(window),
        idle_after_s=idle_after_s,
    )


def read_and_acknowledge(cursor: Cursor, replica: Replica) -> list[stream_pb2.Frame]:
    """Acknowledge what has been read, and all that comes until nothing more does."""
    taken: list[stream_pb2.Frame] = []
    cursor.acknowledge(replica.frames)
    while frames := read(cursor, replica):
        taken += frames
        cursor.acknowledge(replica.frames)
    return taken


def channels_in(frames: Sequence[stream_pb2.Frame]) -> list[tuple[int, str]]:
    """Return (channel, K or D) of every chunk."""
    return [
        (chunk.channel.channel_id, "K" if chunk.channel.kind == stream_pb2.CHUNK_KIND_KEYFRAME else "D")
        for frame in frames
        for section in frame.sections
        for chunk in section.chunks
        if chunk.HasField("channel")
    ]


def ids(channels: Iterable[stream_pb2.ChannelDescription]) -> list[int]:
    return [channel.channel_id for channel in channels]


def test_hello_tells_the_window() -> None:
    assert read(session(Origin(), window=3))[0].hello.max_in_flight == 3


@pytest.mark.parametrize("window", [1, 2, 8])
def test_no_more_than_the_window_is_in_flight(window: int) -> None:
    origin = Origin()
    cursor = session(origin, window=window)

    data = []
    for _ in range(20):
        data += [frame for frame in read(cursor) if frame.sections]
        origin.step()

    assert len(data) == window


def test_what_came_meanwhile_is_one_message_when_credit_comes_back_and_is_counted() -> None:
    origin = Origin()
    cursor, replica = session(origin), Replica()
    read_and_acknowledge(cursor, replica)
    origin.step()
    read(cursor, replica)
    origin.step()
    read(cursor, replica)

    origin.step(7)
    held_back = read(cursor, replica)
    cursor.acknowledge(replica.frames - 1)
    (frame,) = read(cursor, replica)

    assert held_back == []
    assert frame.ticks_conflated == 6
    assert frame.sections[0].tick == origin.engine.tick
    assert origin.hub.counters.ticks_conflated == 6
    assert_equals_engine(replica, origin.engine)


def test_fragments_of_a_join_need_credit_too() -> None:
    origin = Origin(max_frame_bytes=SMALL)
    cursor, replica = session(origin), Replica()

    first = read(cursor, replica)
    rest = read_and_acknowledge(cursor, replica)

    assert kinds(first) == ["hello", "data", "data"]
    assert kinds(rest) == ["data"] * (len(rest) - 1) + ["snapshot_end"]
    assert_equals_engine(replica, origin.engine)


def test_heartbeats_need_no_credit_and_name_only_what_went_out_whole() -> None:
    origin = Origin(max_frame_bytes=SMALL)
    cursor = session(origin)
    read(cursor)

    origin.now_s += 1.0
    (in_join,) = read(cursor)

    assert in_join.HasField("heartbeat")
    assert list(in_join.heartbeat.positions) == []


def test_heartbeat_of_a_reader_without_credit_names_the_tick_it_was_sent() -> None:
    origin = Origin()
    cursor, replica = session(origin, window=1), Replica()
    read_and_acknowledge(cursor, replica)
    origin.step()
    read(cursor, replica)

    origin.step(3)
    origin.now_s += 1.0
    (beat,) = read(cursor, replica)

    assert beat.heartbeat.positions[0].tick == 2
    assert_tick_is_held(replica, origin, 2)


def assert_tick_is_held(replica: Replica, origin: Origin, tick: int) -> None:
    assert replica.resume is not None
    assert replica.resume.tick == tick
    for channel_id, channel in replica.channels.items():
        assert channel.ring == origin.engine.truth[tick][channel_id].ring


def test_control_messages_may_be_acknowledged_with_the_data_after_them() -> None:
    origin = Origin()
    cursor, replica = session(origin, window=1), Replica()
    read_and_acknowledge(cursor, replica)
    origin.now_s += 1.0
    read(cursor, replica)
    origin.step()
    read(cursor, replica)

    cursor.acknowledge(replica.frames)
    origin.step()

    assert kinds(read(cursor, replica)) == ["data"]


def test_reader_that_never_acknowledges_gets_heartbeats_and_in_the_end_a_goodbye() -> None:
    origin = Origin()
    cursor = session(origin, idle_after_s=5.0)
    read(cursor)
    origin.step()
    read(cursor)

    got = []
    for _ in range(5):
        origin.now_s += 1.0
        origin.step()
        got += read(cursor)

    assert kinds(got) == ["heartbeat"] * 4 + ["going_away"]
    assert got[-1].going_away == stream_pb2.GoingAway(reason="nothing was acknowledged for 5 s")
    assert cursor.is_over
    assert origin.hub.counters.by_name()["sessions_idle"] == 1


def test_reader_that_gives_a_sign_now_and_then_is_not_idle() -> None:
    origin = Origin()
    cursor, replica = session(origin, window=1, idle_after_s=5.0), Replica()

    for _ in range(10):
        origin.step()
        read(cursor, replica)
        origin.now_s += 4.0
        cursor.acknowledge(replica.frames)

    assert not cursor.is_over


def test_goodbye_does_not_wait_for_credit() -> None:
    origin = Origin(max_frame_bytes=SMALL)
    cursor = session(origin, window=1)
    read(cursor)

    origin.hub.close("the server is stopping", 100)

    assert kinds(read(cursor)) == ["going_away"]


@pytest.mark.parametrize(
    ("frames", "text"),
    [(4, r"acknowledge.frames 4 leads what was sent, 3"), (1, r"acknowledge.frames 1 falls behind 2")],
)
def test_acknowledgement_of_what_cannot_be_is_refused(frames: int, text: str) -> None:
    cursor = session(Origin())
    read(cursor)
    cursor.acknowledge(2)

    with pytest.raises(InvalidArgument, match=text):
        cursor.acknowledge(frames)


@pytest.mark.parametrize(("asked", "window"), [(0, 2), (1, 1), (8, 8)])
def test_window_asked_for_is_used(asked: int, window: int) -> None:
    assert max_in_flight(asked) == window


def test_window_that_is_too_wide_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="max_in_flight 9 is too large; use 1 to 8, or 0 for the default"):
        max_in_flight(9)


# ---- change


def test_channels_kept_go_on_with_deltas_and_those_added_begin_with_keyframes() -> None:
    origin = Origin(rows=200)
    origin.step(cells=500)  # a keyframe is then longer than a few deltas
    cursor, replica = session(origin, wanted=(("BTC", ""),)), Replica()
    read_and_acknowledge(cursor, replica)

    cursor.change(origin.hub.select((("BTC", "24h"), ("ETH", "12h"))), 0)
    origin.step()
    frames = read_and_acknowledge(cursor, replica)

    changed = frames[0].selection_changed
    assert kinds(frames) == ["selection_changed", "data", "snapshot_end"]
    assert (ids(changed.continuing), ids(changed.starting)) == ([2], [3])
    assert (changed.changes, changed.refused) == (1, "")
    assert channels_in(frames)[:2] == [(2, "D"), (3, "K")]
    assert not [found for found in channels_in(frames) if found[0] in (1, 4)]
    assert set(replica.symbols) == {"BTC", "ETH"}
    assert_equals_engine(replica, origin.engine)


def test_channel_added_without_a_tick_brings_the_price_and_coverage_of_its_symbol() -> None:
    origin = Origin()
    cursor, replica = session(origin, wanted=BTC), Replica()
    read_and_acknowledge(cursor, replica)

    cursor.change(origin.hub.select(ETH), 0)
    frames = read_and_acknowledge(cursor, replica)

    assert kinds(frames) == ["selection_changed", "data", "snapshot_end"]
    assert replica.symbols["ETH"].mark_price == 6_500_001
    assert "binance:ETHUSDT" in replica.venues
    assert_equals_engine(replica, origin.engine)


def test_change_to_nothing_new_is_answered_all_the_same() -> None:
    origin = Origin()
    cursor, replica = session(origin, wanted=BTC), Replica()
    read_and_acknowledge(cursor, replica)

    cursor.change(origin.hub.select((("BTC", "24h"),)), 1000)
    frames = read_and_acknowledge(cursor, replica)

    assert kinds(frames) == ["selection_changed", "snapshot_end"]
    assert ids(frames[0].selection_changed.starting) == []
    assert frames[0].selection_changed.cadence_ms == 1000
    assert frames[1].snapshot_end.keyframes == 0


def test_changes_that_come_together_are_answered_together() -> None:
    origin = Origin()
    cursor, replica = session(origin, wanted=BTC), Replica()
    read_and_acknowledge(cursor, replica)

    cursor.change(origin.hub.select(ETH), 0)
    cursor.change(origin.hub.select(BTC), 0)
    frames = read_and_acknowledge(cursor, replica)

    assert kinds(frames) == ["selection_changed", "snapshot_end"]
    assert frames[0].selection_changed.changes == 2
    assert ids(frames[0].selection_changed.starting) == []


def test_change_in_the_middle_of_a_join_drops_what_has_not_gone_out() -> None:
    origin = Origin(max_frame_bytes=SMALL, rows=30, steps=3)
    cursor, replica = session(origin, window=1, wanted=BTC), Replica()
    begun = read(cursor, replica)

    cursor.change(origin.hub.select((("BTC", "24h"), ("ETH", "24h"))), 0)
    origin.step()
    answered = read(cursor, replica)
    rest = read_and_acknowledge(cursor, replica)

    assert kinds(begun) == ["hello", "data"]
    assert kinds(answered) == ["selection_changed"]
    assert ids(answered[0].selection_changed.starting) == [4]
    assert kinds(rest).count("snapshot_end") == 1
    assert {channel for channel, _ in channels_in(rest)} == {2, 4}
    assert (2, "K") in channels_in(rest)
    assert_equals_engine(replica, origin.engine)


def test_change_that_drops_all_that_is_left_of_a_message_still_ends_it() -> None:
    origin = Origin(max_frame_bytes=SMALL, rows=30, steps=3)
    cursor, replica = session(origin, window=1, wanted=BTC), Replica()
    read(cursor, replica)
    cursor.acknowledge(replica.frames)
    read(cursor, replica)
    insides = [replica.inside_message]

    cursor.change(origin.hub.select((("ETH", "24h"),)), 0)
    read_and_acknowledge(cursor, replica)
    insides.append(replica.inside_message)

    assert insides == [True, False]
    assert set(replica.channels) == {4}
    assert_equals_engine(replica, origin.engine)


def test_refused_change_leaves_everything_as_it_was_and_says_why() -> None:
    origin = Origin()
    cursor, replica = session(origin, wanted=BTC, cadence_ms=250), Replica()
    read_and_acknowledge(cursor, replica)

    cursor.refuse_change("symbol 'DOGE' is not served; served are BTC, ETH")
    (answer, _) = read_and_acknowledge(cursor, replica)

    changed = answer.selection_changed
    assert changed.refused == "symbol 'DOGE' is not served; served are BTC, ETH"
    assert (ids(changed.continuing), changed.cadence_ms) == ([1, 2], 250)
    assert ids(changed.starting) == []


def test_refused_change_tells_what_is_left_of_the_selection() -> None:
    origin = Origin()
    cursor, replica = session(origin, wanted=BTC, cadence_ms=250), Replica()
    read_and_acknowledge(cursor, replica)

    cursor.refuse_change("the device has no room", origin.hub.select([("BTC", "12h")]))
    (answer, _) = read_and_acknowledge(cursor, replica)

    assert ids(answer.selection_changed.continuing) == [1]


def test_faster_cadence_does_not_wait_for_the_slow_one() -> None:
    origin = Origin()
    cursor, replica = session(origin, cadence_ms=5000), Replica()
    read_and_acknowledge(cursor, replica)
    origin.step()
    read_and_acknowledge(cursor, replica)

    cursor.change(origin.hub.select(()), 100)
    read_and_acknowledge(cursor, replica)
    origin.step()
    origin.now_s += 0.1

    assert kinds(read_and_acknowledge(cursor, replica)) == ["data"]


# ---- reject


def test_rejected_channels_begin_anew_with_keyframes_and_are_counted_by_reason() -> None:
    origin = Origin(rows=200)
    origin.step(cells=500)
    cursor, replica = session(origin), Replica(rejects=True)
    read_and_acknowledge(cursor, replica)
    replica.channels[2].tick -= 1  # as after a chunk that was lost
    origin.step()
    read_and_acknowledge(cursor, replica)
    assert set(replica.broken) == {2}

    cursor.reject("", [2], stream_pb2.Reject.REASON_GAP)
    (frame,) = read_and_acknowledge(cursor, replica)

    assert channels_in([frame])[0] == (2, "K")
    assert {channel for channel, _ in channels_in([frame])} == {2}
    assert replica.broken == {}
    assert origin.hub.counters.by_name()["session_rejected_channels_gap"] == 1
    assert_equals_engine(replica, origin.engine)


def test_reject_waits_for_credit_and_for_no_cadence() -> None:
    origin = Origin()
    cursor, replica = session(origin, window=1, cadence_ms=5000), Replica()
    read_and_acknowledge(cursor, replica)
    origin.step()
    read(cursor, replica)

    cursor.reject("", [1], stream_pb2.Reject.REASON_MALFORMED)
    held_back = read(cursor, replica)
    cursor.acknowledge(replica.frames)
    (frame,) = read(cursor, replica)

    assert held_back == []
    assert (1, "K") in channels_in([frame])


def test_reject_of_a_channel_not_selected_is_passed_over_and_of_one_unknown_refused() -> None:
    origin = Origin()
    cursor, replica = session(origin, wanted=BTC), Replica()
    read_and_acknowledge(cursor, replica)

    cursor.reject("", [4], stream_pb2.Reject.REASON_GAP)

    assert read(cursor, replica) == []
    with pytest.raises(InvalidArgument, match=r"reject.channel_ids has 77, which is no channel of this epoch"):
        cursor.reject("shard-0", [1, 77], stream_pb2.Reject.REASON_GAP)
    with pytest.raises(InvalidArgument, match=r"reject.source_id 'shard-9' is unknown; the source is 'shard-0'"):
        cursor.reject("shard-9", [1], stream_pb2.Reject.REASON_GAP)


def test_reject_in_the_middle_of_a_join_puts_the_snapshot_off() -> None:
    origin = Origin(max_frame_bytes=SMALL, rows=30, steps=3)
    cursor, replica = session(origin, window=1), Replica(rejects=True)
    read(cursor, replica)

    cursor.reject("", [1], stream_pb2.Reject.REASON_CHECKSUM_DIFFERS)
    frames = read_and_acknowledge(cursor, replica)

    assert kinds(frames)[-1] == "snapshot_end"
    assert channels_in(frames)[-1][0] == 1
    assert replica.is_whole


async def test_acknowledgement_change_and_stop_wake_a_reader_that_waits() -> None:
    origin = Origin()
    cursor, replica = session(origin, window=1), Replica()
    read(cursor, replica)
    origin.step()

    waiting = asyncio.create_task(cursor.next_frame())
    await asyncio.sleep(0)
    cursor.acknowledge(replica.frames)
    data = await asyncio.wait_for(waiting, 5)
    waiting = asyncio.create_task(cursor.next_frame())
    await asyncio.sleep(0)
    cursor.change(origin.hub.select(BTC), 0)
    changed = await asyncio.wait_for(waiting, 5)
    end = await asyncio.wait_for(cursor.next_frame(), 5)
    waiting = asyncio.create_task(cursor.next_frame())
    await asyncio.sleep(0)
    cursor.stop()

    assert stream_pb2.Frame.FromString(data or b"").sections[0].tick == 2
    assert stream_pb2.Frame.FromString(changed or b"").HasField("selection_changed")
    assert stream_pb2.Frame.FromString(end or b"").HasField("snapshot_end")
    assert await asyncio.wait_for(waiting, 5) is None


async def passes(count: int = 5) -> None:
    """Let the event loop do what is due; a reader that is woken has looked by then."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_acknowledgement_with_credit_left_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = Origin()
    cursor, replica = session(origin, window=3), Replica()
    read_and_acknowledge(cursor, replica)
    origin.step()
    read(cursor, replica)
    looks: list[bytes | None] = []
    poll = Cursor.poll

    def counted(self: Cursor) -> bytes | None:
        looks.append(poll(self))
        return looks[-1]

    monkeypatch.setattr(Cursor, "poll", counted)
    waiting = asyncio.create_task(cursor.next_frame())
    await passes()
    before = len(looks)

    cursor.acknowledge(replica.frames)
    await passes()

    assert len(looks) == before
    cursor.stop()
    assert await asyncio.wait_for(waiting, 5) is None


async def test_session_that_slept_gets_the_very_bytes_that_one_who_polls_gets() -> None:
    origin = Origin(rows=30)
    sleeper, poller, replica = session(origin), session(origin), Replica()
    read_and_acknowledge(sleeper, replica)
    read_and_acknowledge(poller, Replica())

    for ticks in [1, 1, 3, 1, 2, 1]:
        sleeping = asyncio.create_task(sleeper.next_frame())
        await passes()
        origin.step(ticks)
        origin.now_s += 0.25
        frame = await asyncio.wait_for(sleeping, 5)

        assert frame == poller.poll()
        assert sleeper.free_since == poller.free_since
        replica.apply(frame or b"")
        for cursor in (sleeper, poller):
            cursor.acknowledge(replica.frames)
    assert_equals_engine(replica, origin.engine)


async def test_sleep_of_a_session_ends_with_the_tick_only_while_credit_is_left() -> None:
    origin = Origin()
    cursor, replica = session(origin), Replica()
    read_and_acknowledge(cursor, replica)
    for _ in range(2):
        served = asyncio.create_task(cursor.next_frame())
        await passes()
        origin.step()
        frame = await asyncio.wait_for(served, 5)
        replica.apply(frame or b"")

    sleeping = asyncio.create_task(cursor.next_frame())
    await passes()
    for _ in range(2):
        origin.step()
        await passes()
    held_back = not sleeping.done()
    cursor.acknowledge(replica.frames)
    merged = await asyncio.wait_for(sleeping, 5)

    assert held_back
    assert stream_pb2.Frame.FromString(merged or b"").ticks_conflated == 1


async def test_cadence_asked_for_on_the_way_holds_a_session_that_sleeps_back() -> None:
    origin = Origin()
    cursor, replica = session(origin), Replica()
    read_and_acknowledge(cursor, replica)
    cursor.change(origin.hub.select(()), 5000)
    read_and_acknowledge(cursor, replica)
    origin.step()
    read_and_acknowledge(cursor, replica)

    sleeping = asyncio.create_task(cursor.next_frame())
    await passes()
    origin.step()
    await passes()
    held_back = not sleeping.done()
    cursor.stop()
    last = await asyncio.wait_for(sleeping, 5)

    assert held_back
    assert last is None


def test_time_from_sent_to_acknowledged_is_that_of_messages_of_changes() -> None:
    origin = Origin()
    cursor, replica = session(origin), Replica()
    read_and_acknowledge(cursor, replica)
    acknowledged = origin.hub.timings.freshness[Stage.SENT_TO_ACKNOWLEDGED]
    joined = acknowledged.count
    origin.step()
    data = cursor.poll() or b""
    replica.apply(data)
    cursor.sent(len(data))

    origin.now_s += 0.25
    cursor.acknowledge(replica.frames)
    cursor.acknowledge(replica.frames)

    assert joined == 0
    assert (acknowledged.count, acknowledged.sum) == (1, 0.25)


def test_acknowledgement_before_the_transport_tells_is_not_waited_for() -> None:
    origin = Origin()
    cursor, replica = session(origin), Replica()
    read_and_acknowledge(cursor, replica)
    origin.step()
    data = cursor.poll() or b""
    replica.apply(data)

    cursor.acknowledge(replica.frames)
    cursor.sent(len(data))
    origin.now_s += 60
    cursor.acknowledge(replica.frames)

    assert origin.hub.timings.freshness[Stage.SENT_TO_ACKNOWLEDGED].count == 0
