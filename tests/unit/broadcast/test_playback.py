"""A playback by hand, over small made-up pictures: what it says, when, and what it does with what its reader says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from liqscape.axes import RowRange
from liqscape.broadcast.credits import Credits
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.past_encoder import EncodedPicture
from liqscape.broadcast.playback import Encode, Playback
from liqscape.broadcast.playback_messages import PlaybackSource, Span, check_speed
from liqscape.errors import InvalidArgument, OutOfRange, QueryError, Unavailable
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import Channel, ChannelAxes
from liqscape.v1 import stream_pb2
from tests.fake_engine import FRAMES, SCALES, FakeEngine, candle_columns
from tests.wire_decoder import Replica

CHANNELS = (Channel(1, "BTC", FRAMES[0]), Channel(2, "ETH", FRAMES[1]))
SPAN = Span(100, 120, 2)
Position = stream_pb2.PlaybackPosition


def picture(channel: Channel, minute: int, first_row: int = 100) -> PastPicture:
    """Return a picture that nothing but channel and minute decide."""
    frame = channel.timeframe
    ring = np.random.default_rng([channel.channel_id, minute]).integers(0, 256, (frame.columns, 4), dtype=np.uint8)
    newest = frame.column_of(minute)
    candles = candle_columns({c: (c, c + 2, c - 2, c + 1) for c in range(newest - 3, newest)})
    axes = ChannelAxes(frame, SCALES[channel.symbol], RowRange(first_row, 4, 2))
    return PastPicture(minute, axes, newest, ring, candles, 6_500_000 + minute, minute * 10**9)


class Hand:
    """A playback moved by hand.

    Attributes:
        now_s: of the hub's clock.
        asked: minutes of which pictures were asked for.
        failure: raised in place of pictures.
        first_rows: of pictures from a minute on.
        held_until: no later minute has a picture.
        gate, encoding_gate: closed, pictures wait, or what has been made of them.
        given_up: questions that were cancelled.
    """

    def __init__(self, *, span: Span = SPAN, window: int = 8, **options: Any) -> None:
        self.now_s = 100.0
        self.asked: list[int] = []
        self.failure: QueryError | None = None
        self.moved_at = 10**9
        self.held_until = 10**9
        self.given_up = 0
        self.gate, self.encoding_gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.encoding_gate.set()
        self.hub = Hub(InProcessFrameSource(FakeEngine().shard), now_ns=lambda: 4, monotonic=lambda: self.now_s)
        self.playback = Playback(
            self.hub,
            PlaybackSource("shard-0", 99, True, "fake"),
            CHANNELS,
            span,
            self._pictures,
            credits=Credits(window),
            on_thread=self._encode,
            **options,
        )
        self.replica = Replica()

    async def read(self) -> list[stream_pb2.Frame]:
        """Take every frame that may go out now, and what the work in between makes of it; acknowledge nothing."""
        frames: list[stream_pb2.Frame] = []
        while True:
            data = self.playback.poll()
            if data is None:
                self.playback.make_what_is_due()
                for _ in range(8):
                    await asyncio.sleep(0)
                data = self.playback.poll()
                if data is None:
                    return frames
            frames.append(self.replica.apply(data))

    async def watch(self, seconds: float = 0.0) -> list[stream_pb2.Frame]:
        """Read, acknowledge, and let time pass."""
        frames = await self.read()
        self.playback.acknowledge(self.replica.frames)
        self.now_s += seconds
        return frames

    async def _pictures(self, minute: int) -> Sequence[PastPicture]:
        self.asked.append(minute)
        if self.failure is not None:
            raise self.failure
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if minute > self.held_until:
            raise OutOfRange(f"as_of_minute {minute} is not held; ask for 3 to {self.held_until}")
        return [picture(channel, minute, 100 + 7 * (minute >= self.moved_at)) for channel in CHANNELS]

    async def _encode(self, encode: Encode, tick: int, pictures: Sequence[PastPicture]) -> EncodedPicture:
        encoded = encode(tick, pictures)
        await self.encoding_gate.wait()
        return encoded


async def begun(**options: Any) -> Hand:
    hand = Hand(**options)
    await hand.playback.begin()
    return hand


def minutes(frames: Sequence[stream_pb2.Frame]) -> list[int]:
    """Return the minutes of the pictures."""
    return [frame.playback.minute for frame in frames if frame.sections and frame.HasField("playback")]


def positions(frames: Sequence[stream_pb2.Frame]) -> list[stream_pb2.PlaybackPosition]:
    """Return the positions that came without a picture."""
    return [frame.playback for frame in frames if not frame.sections and frame.HasField("playback")]


def chunks(frames: Sequence[stream_pb2.Frame]) -> list[stream_pb2.ChannelChunk]:
    return [
        chunk.channel
        for frame in frames
        for section in frame.sections
        for chunk in section.chunks
        if chunk.HasField("channel")
    ]


def assert_shows(hand: Hand, minute: int) -> None:
    for channel in CHANNELS:
        held = hand.replica.channels[channel.channel_id]
        assert held.in_sync
        assert bytes(held.ring) == picture(channel, minute).ring.tobytes()


async def test_playback_is_hello_keyframes_snapshot_end_then_a_picture_each_step() -> None:
    hand = await begun(speed=60.0)

    joined = await hand.watch(2.0)
    second = await hand.watch(2.0)
    third = await hand.watch()

    assert [frame.WhichOneof("control") for frame in joined] == ["hello", "playback", "snapshot_end"]
    assert joined[0].hello.sources[0] == stream_pb2.SourceDescription(
        source_id="shard-0",
        epoch=99,
        tick_ms=2000,
        states=[stream_pb2.DATA_STATE_SIMULATED, stream_pb2.DATA_STATE_REPLAY],
        input="fake",
    )
    assert [(c.channel_id, c.symbol, c.timeframe) for c in joined[0].hello.channels] == [
        (1, "BTC", "12h"),
        (2, "ETH", "24h"),
    ]
    assert (joined[0].hello.max_in_flight, joined[2].snapshot_end.keyframes) == (8, 2)
    assert (minutes(joined), minutes(second), minutes(third)) == ([100], [102], [104])
    assert [section.tick for frame in (*joined, *second, *third) for section in frame.sections] == [1, 2, 3]
    assert_shows(hand, 104)


async def test_symbol_chunk_says_what_the_price_was_and_that_this_is_a_replay() -> None:
    hand = await begun(paused=True)

    await hand.watch()

    chunk = hand.replica.symbols["ETH"]
    assert (chunk.mark_price, chunk.source_watermark_unix_ns) == (6_500_000 + SPAN.from_minute, 100 * 10**9)
    assert list(chunk.states) == [stream_pb2.DATA_STATE_SIMULATED, stream_pb2.DATA_STATE_REPLAY]


async def test_every_chunk_has_a_checksum_and_deltas_follow_one_generation() -> None:
    class Half(Hand):
        """Half of the cells stay, so that deltas are worth it."""

        async def _pictures(self, minute: int) -> Sequence[PastPicture]:
            found = list(await super()._pictures(minute))
            for one in found:
                one.ring[: len(one.ring) // 2 + 1] = 7
            return found

    hand = Half(speed=60.0)
    await hand.playback.begin()
    for _ in range(4):
        await hand.watch(2.0)

    found = chunks(await hand.watch())
    assert {chunk.kind for chunk in found} == {stream_pb2.CHUNK_KIND_DELTA}
    assert {chunk.generation for chunk in found} == {1}
    assert all(chunk.HasField("checksum") for chunk in found)
    assert [chunk.prev_tick for chunk in found] == [chunk.tick - 1 for chunk in found]


async def test_rows_that_move_begin_a_generation() -> None:
    hand = await begun(speed=60.0)
    hand.moved_at = 102
    await hand.watch(2.0)

    found = chunks(await hand.watch())

    assert [(c.generation, c.kind, c.axes.first_row) for c in found] == [(2, stream_pb2.CHUNK_KIND_KEYFRAME, 107)] * 2
    assert_shows(hand, 102)


async def test_pictures_come_at_the_pace_of_the_speed() -> None:
    hand = await begun(speed=240.0)

    shown = []
    for _ in range(17):
        shown += minutes(await hand.watch(0.125))

    assert shown == [100, 102, 104, 106, 108]  # one each half second, over two seconds


async def test_picture_that_is_a_little_late_does_not_delay_those_after_it() -> None:
    hand = await begun(speed=240.0)
    await hand.watch(0.75)

    late = minutes(await hand.watch(0.25))
    in_time = minutes(await hand.watch(0.5))

    assert (late, in_time) == ([102], [104])


async def test_as_fast_as_acknowledged_is_as_fast_as_acknowledged() -> None:
    hand = await begun(speed=0.0, window=2)

    first = await hand.read()
    more = await hand.read()
    hand.playback.acknowledge(hand.replica.frames)
    rest = await hand.read()

    assert (minutes(first), minutes(more), minutes(rest)) == ([100, 102], [], [104, 106])


async def test_slow_reader_slows_the_playback_and_never_gets_more_than_its_window() -> None:
    hand = await begun(speed=60.0, window=1)
    await hand.watch(2.0)
    await hand.read()

    hand.now_s += 50.0
    held_back, asked_meanwhile = await hand.read(), list(hand.asked)
    hand.playback.acknowledge(hand.replica.frames)
    after = await hand.read()
    hand.playback.acknowledge(hand.replica.frames)
    at_once = await hand.read()

    assert (asked_meanwhile, hand.asked) == ([100, 102], [100, 102, 104])
    assert (minutes(held_back), minutes(after), minutes(at_once)) == ([], [104], [])  # no catching up


async def test_end_of_the_span_stops_and_is_told_with_the_last_picture() -> None:
    hand = await begun(span=Span(100, 105, 2))

    frames = await hand.watch()

    assert minutes(frames) == [100, 102, 104]
    last = next(frame.playback for frame in reversed(frames) if frame.sections)
    assert (last.state, last.stopped) == (Position.STATE_STOPPED, Position.STOP_END_OF_SPAN)


async def test_play_after_the_end_is_refused_and_a_seek_leads_out_of_it() -> None:
    hand = await begun(span=Span(100, 101, 1))
    await hand.watch()

    with pytest.raises(InvalidArgument, match="the span has ended; seek first"):
        hand.playback.play()
    hand.playback.seek(100)
    frames = await hand.watch()

    assert minutes(frames) == [100]
    assert positions(frames)[0].state == Position.STATE_PAUSED


async def test_minute_that_is_not_held_stops_and_play_tries_it_again() -> None:
    hand = await begun()
    hand.held_until = 102

    stopped = await hand.watch()
    hand.held_until = 104
    hand.playback.play()
    again = await hand.watch()

    (told,) = positions(stopped)
    assert (told.minute, told.state, told.stopped) == (102, Position.STATE_STOPPED, Position.STOP_NOT_HELD)
    assert told.details == "as_of_minute 104 is not held; ask for 3 to 102"
    assert minutes(again) == [104]
    assert positions(again)[-1].details == "as_of_minute 106 is not held; ask for 3 to 104"


async def test_seek_to_a_minute_that_is_not_held_stops_and_asks_once() -> None:
    hand = await begun(paused=True)
    hand.held_until = 105
    await hand.watch()

    hand.playback.seek(110)
    frames = await hand.watch(5.0)
    later = await hand.watch()

    assert [(p.minute, p.stopped) for p in positions(frames)][-1] == (100, Position.STOP_NOT_HELD)
    assert hand.asked == [100, 110]
    assert minutes([*frames, *later]) == []
    assert_shows(hand, 100)


async def test_first_minute_that_is_not_held_is_an_error() -> None:
    hand = Hand()
    hand.held_until = 99

    with pytest.raises(OutOfRange, match="as_of_minute 100 is not held"):
        await hand.playback.begin()


async def test_pause_holds_the_picture_and_play_goes_on_after_it() -> None:
    hand = await begun(speed=60.0)
    await hand.watch(2.0)

    hand.playback.pause()
    paused = await hand.watch(60.0)
    later = await hand.watch(60.0)
    hand.playback.play()
    played = await hand.watch()

    assert [(p.minute, p.state, p.requests) for p in positions(paused)] == [(100, Position.STATE_PAUSED, 1)]
    assert (minutes(paused), minutes(later), minutes(played)) == ([], [], [102])


async def test_pause_gives_up_a_picture_that_is_asked_for() -> None:
    hand = await begun()
    hand.gate.clear()
    await hand.watch()

    hand.playback.pause()
    await hand.watch()

    assert (hand.asked, hand.given_up) == ([100, 102], 1)


async def test_picture_that_has_been_encoded_when_a_pause_comes_still_goes_out_whole() -> None:
    hand = await begun(speed=60.0)
    await hand.watch(2.0)
    hand.encoding_gate.clear()
    await hand.watch()

    hand.playback.pause()
    hand.encoding_gate.set()
    frames = await hand.watch(2.0)
    hand.playback.play()
    after = await hand.watch()

    assert (minutes(frames), minutes(after)) == ([102], [104])
    assert next(f.playback.state for f in frames if f.sections) == Position.STATE_PAUSED
    assert_shows(hand, 104)


async def test_opened_paused_it_shows_the_first_picture_and_waits() -> None:
    hand = await begun(paused=True)

    frames = await hand.watch(60.0)
    later = await hand.watch()

    assert (minutes(frames), minutes(later), hand.asked) == ([100], [], [100])
    assert frames[1].playback.state == Position.STATE_PAUSED


async def test_seek_shows_its_minute_with_keyframes_of_a_new_generation_and_goes_on_from_there() -> None:
    hand = await begun(speed=60.0)
    await hand.watch()

    hand.playback.seek(111)
    frames = await hand.watch(2.0)
    after = await hand.watch()

    assert (minutes(frames), minutes(after)) == ([111], [113])
    assert {(c.generation, c.kind) for c in chunks(frames)} == {(2, stream_pb2.CHUNK_KIND_KEYFRAME)}
    assert positions(frames)[0].requests == 1
    assert_shows(hand, 113)


async def test_of_several_seeks_only_the_last_is_worked_on_while_paused_too() -> None:
    hand = await begun(paused=True)
    hand.gate.clear()
    await hand.watch()

    for minute in (105, 110, 117):
        hand.playback.seek(minute)
        await hand.watch()
    hand.gate.set()
    frames = await hand.watch()

    assert (hand.asked, hand.given_up) == ([100, 105, 110, 117], 2)
    assert minutes(frames) == [117]
    assert frames[-1].playback.state == Position.STATE_PAUSED


SMALL_FRAMES = 1024 + 1


async def test_fragments_need_credit_each_and_the_last_one_tells_the_position() -> None:
    hand = await begun(window=1, max_frame_bytes=SMALL_FRAMES, paused=True)

    frames = [await hand.read()]
    while not frames[-1] or not frames[-1][-1].HasField("snapshot_end"):
        hand.playback.acknowledge(hand.replica.frames)
        frames.append(await hand.read())

    sections = [frame.sections[0] for part in frames for frame in part if frame.sections]
    assert len(sections) == 4  # two prices, two keyframes
    assert [section.complete for section in sections] == [False] * 3 + [True]
    assert [len([frame for frame in part if frame.sections]) for part in frames] == [1] * 4
    assert [minutes(part) for part in frames] == [[], [], [], [100]]
    assert_shows(hand, 100)


async def test_seek_in_the_middle_of_a_picture_drops_the_rest_of_it() -> None:
    hand = await begun(window=3, max_frame_bytes=SMALL_FRAMES, paused=True)
    first = await hand.read()

    hand.playback.seek(110)
    rest: list[stream_pb2.Frame] = []
    while not hand.replica.in_sync:  # the replica counts the keyframes that SnapshotEnd names
        rest += await hand.watch()

    assert len(chunks(first)) == 1
    assert minutes([*first, *rest]) == [110]
    assert_shows(hand, 110)


async def test_seek_while_a_picture_is_being_encoded_drops_it() -> None:
    hand = await begun()
    hand.encoding_gate.clear()
    await hand.watch()

    hand.playback.seek(111)
    hand.encoding_gate.set()
    frames = [*await hand.watch(), *await hand.watch()]

    assert minutes(frames)[0] == 111
    assert {(c.generation, c.kind) for c in chunks(frames[:3])} == {(2, stream_pb2.CHUNK_KIND_KEYFRAME)}


@pytest.mark.parametrize("minute", [99, 120, -(2**63), 2**63 - 1])
async def test_seek_out_of_the_span_is_refused_in_words(minute: int) -> None:
    hand = await begun(paused=True)
    await hand.watch()

    with pytest.raises(OutOfRange) as caught:
        hand.playback.seek(minute)
    hand.playback.refuse(str(caught.value))
    frames = await hand.watch()

    (told,) = positions(frames)
    assert told.refused == f"seek.minute {minute} lies outside of the span; use 100 to 119"
    assert (told.minute, told.requests) == (100, 1)


async def test_speed_changes_on_the_way_and_is_told() -> None:
    hand = await begun(speed=1.0)
    await hand.watch(1.0)

    hand.playback.set_speed(120.0)
    told = await hand.watch(1.0)
    shown = await hand.watch()

    assert (minutes(told), positions(told)[0].speed) == ([], 120.0)
    assert minutes(shown) == [102]


@pytest.mark.parametrize("speed", [-1.0, 0.05, 2e9, float("nan"), float("inf")])
def test_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(InvalidArgument, match=r"use 0.1 to 1e\+09 seconds of the span a second, or 0"):
        check_speed("speed", speed)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        ((-1, 5, 1), "from_minute -1 is invalid"),
        ((2**31, 2**31 + 5, 1), "from_minute 2147483648 is invalid"),
        ((5, 5, 1), "until_minute 5 is invalid; it must lie above from_minute 5"),
        ((5, 2**31 + 1, 1), "until_minute 2147483649 is invalid"),
        ((5, 9, 0), "step_minutes 0 is invalid"),
        ((5, 9, 527_041), "step_minutes 527041 is invalid"),
    ],
)
def test_span_that_is_none_is_refused(span: tuple[int, int, int], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        Span(*span)


async def test_heartbeat_follows_each_idle_second_and_names_the_picture_that_is_whole() -> None:
    hand = await begun(paused=True)
    await hand.watch(0.9)

    early = await hand.watch(0.1)
    (beat,) = await hand.watch()

    assert early == []
    assert [(p.source_id, p.epoch, p.tick) for p in beat.heartbeat.positions] == [("shard-0", 99, 1)]
    assert list(beat.heartbeat.source_watermark_unix_ns) == [100 * 10**9]


async def test_reader_that_leaves_it_paused_is_sent_away_and_one_that_plays_slowly_is_not() -> None:
    paused, slow = await begun(paused=True, idle_after_s=10.0), await begun(speed=0.1, idle_after_s=10.0)
    for hand in (paused, slow):
        await hand.watch(10.0)

    left, stayed = await paused.watch(), await slow.watch()

    assert left[-1].going_away.reason == "nothing was asked for or acknowledged for 10 s"
    assert paused.playback.is_over
    assert [frame.WhichOneof("control") for frame in stayed] == ["heartbeat"]


async def test_reader_that_does_not_acknowledge_is_sent_away() -> None:
    hand = await begun(window=1, idle_after_s=10.0)
    await hand.read()

    hand.now_s += 10.0
    frames = await hand.read()

    assert frames[-1].HasField("going_away")


async def test_server_that_stops_says_goodbye() -> None:
    hand = await begun()
    await hand.watch()
    hand.hub.close("the server is stopping", 1000)

    frames = await hand.watch()

    assert frames[-1].going_away == stream_pb2.GoingAway(reason="the server is stopping", reconnect_after_ms=1000)


@pytest.mark.parametrize("playbacks", [1, 3])
async def test_it_rests_as_long_as_a_picture_took_for_each_playback_that_is_open(playbacks: int) -> None:
    hand = await begun()
    hand.hub.counters.playbacks_open = playbacks
    hand.gate.clear()
    await hand.watch(0.25)
    hand.gate.set()

    taken = minutes(await hand.watch(0.25 * playbacks - 0.125))
    resting = minutes(await hand.watch(0.125))
    hand.gate.clear()
    await hand.watch()

    assert (taken, resting) == ([102], [])
    assert hand.asked == [100, 102, 104]


async def test_it_never_rests_for_long() -> None:
    hand = await begun()
    hand.gate.clear()
    await hand.watch(25.0)
    hand.gate.set()

    taken = minutes(await hand.watch(1.9))
    resting = minutes(await hand.watch(0.1))
    shown = minutes(await hand.watch())

    assert (taken, resting, shown[:1]) == ([102], [], [104])


async def test_seeks_one_after_the_other_do_not_work_without_rest() -> None:
    hand = await begun(paused=True)
    hand.hub.counters.playbacks_open = 1
    hand.gate.clear()
    await hand.watch()
    hand.playback.seek(105)
    await hand.watch(0.25)

    hand.playback.seek(110)
    await hand.watch(0.125)
    resting = list(hand.asked)
    await hand.watch(0.125)
    await hand.watch()

    assert (resting, hand.asked) == ([100, 105], [100, 105, 110])


async def test_error_of_the_engine_ends_it() -> None:
    hand = await begun()
    hand.failure = Unavailable("the engine has ended and is being started again")
    await hand.watch()

    with pytest.raises(Unavailable, match="the engine has ended"):
        await hand.playback.next_frame()


async def test_close_gives_up_what_is_being_made() -> None:
    hand = await begun()
    hand.gate.clear()
    await hand.watch()

    hand.playback.close()
    await asyncio.sleep(0)

    assert hand.given_up == 1
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "picture of the past"]


async def test_acknowledgement_that_leads_is_an_error() -> None:
    hand = await begun()
    await hand.read()

    with pytest.raises(InvalidArgument, match="leads what was sent"):
        hand.playback.acknowledge(99)
