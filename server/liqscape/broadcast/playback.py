"""One playback: which picture of the past comes next, when it is made, and what its reader is told meanwhile.

Like a cursor it keeps a position and no queue: at most one picture is being made or on its way, and none is begun
before there is credit for it. So a slow reader slows the playback. What the reader says is merged into the state: of
several seeks the last one counts. Rules:

- a picture is asked for on the edge's loop and encoded on another thread; until it is being encoded it may be given up;
- after a picture it rests as long as the making took, times the playbacks that are open: all of them together have
  the thread that answers questions for about half of the time, and what they keep from ticks is bounded;
- what has been encoded is part of the chain: it goes out, or every channel begins a new generation;
- a position is told with the last message of each picture, and alone once something else has changed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from liqscape.broadcast.credits import Credits
from liqscape.broadcast.cursor import HEARTBEAT_MS, MAX_STREAM_AGE_S, RECONNECT_AT_ONCE_MS
from liqscape.broadcast.frames import MAX_FRAME_BYTES, fragments, section_frame
from liqscape.broadcast.hub import Hub, finish
from liqscape.broadcast.past_encoder import EncodedPicture, PastEncoder
from liqscape.broadcast.playback_messages import PlaybackSource, Span, check_speed, heartbeat, hello, interval_s
from liqscape.errors import InvalidArgument, OutOfRange
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import Channel
from liqscape.v1 import stream_pb2

LONGEST_REST_S: Final = 2.0
"""What took longer than that has mostly waited for others, and a reader that seeks is waiting too."""

Pictures = Callable[[int], Awaitable[Sequence[PastPicture]]]
"""Returns the picture of each channel at a minute; raises QueryError where there is none."""

Encode = Callable[[int, Sequence[PastPicture]], EncodedPicture]
OnThread = Callable[[Encode, int, Sequence[PastPicture]], Awaitable[EncodedPicture]]

_Position = stream_pb2.PlaybackPosition
_PLAYING: Final = _Position.STATE_PLAYING
_PAUSED: Final = _Position.STATE_PAUSED
_STOPPED: Final = _Position.STATE_STOPPED


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture that has been encoded.

    Attributes:
        minute, tick, source_watermark_ns: of it.
        frames: those that have still to go out, and how many keyframes are in each.
    """

    minute: int
    tick: int
    source_watermark_ns: int
    frames: deque[tuple[bytes, int]]


class Playback:
    """A reader of the past. Await begin(), then next_frame() after each frame has gone out; close() in any case.

    next_frame() is poll(), and where that has nothing make_what_is_due() and a while.

    Attributes:
        is_over: the last frame has been returned.
    """

    def __init__(
        self,
        hub: Hub,
        source: PlaybackSource,
        channels: Sequence[Channel],
        span: Span,
        pictures: Pictures,
        *,
        credits: Credits,
        speed: float = 0.0,
        paused: bool = False,
        idle_after_s: float = float("inf"),
        heartbeat_ms: int = HEARTBEAT_MS,
        max_age_s: float = MAX_STREAM_AGE_S,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        on_thread: OnThread = asyncio.to_thread,
    ) -> None:
        """Stand before the first picture.

        Args:
            hub: whose clocks, counters and goodbye these are.
            source: of whom it is.
            channels: what is played, with ids that are unique in it.
            span: which minutes.
            pictures: where they come from.
            credits: the window.
            speed: seconds of the span a second; 0 = as fast as is acknowledged.
            paused: stay at the first picture.
            idle_after_s: a reader for whom nothing can be done ends with GoingAway after so long without a sign.
            heartbeat_ms: idle time after which a heartbeat follows.
            max_age_s: age at which the playback ends with GoingAway.
            max_frame_bytes: a longer message is sent in fragments.
            on_thread: calls the encoder where it delays nobody.
        """
        self._hub = hub
        self._source = source
        self._channels = tuple(channels)
        self._span = span
        self._pictures = pictures
        self._credits = credits
        self._speed = check_speed("speed", speed)
        self._state = _PAUSED if paused else _PLAYING
        self._stopped = _Position.STOP_UNSPECIFIED
        self._details = ""
        self._idle_after_s = idle_after_s
        self._heartbeat_ms = heartbeat_ms
        self._max_frame_bytes = max_frame_bytes
        self._on_thread = on_thread
        self._encoder = PastEncoder(channels, simulated=source.simulated, now_ns=hub.now_ns)
        self._place = hub.new_place()
        self._sent_at = self._sign_at = self._due_at = hub.monotonic()
        self._ages_at = self._sent_at + max_age_s
        self._next: int | None = span.from_minute
        self._must_show = True  # the next picture is shown in whatever state: it is the first, or was sought
        self._anew = False  # every channel begins a new generation with the next picture
        self._making: asyncio.Task[None] | None = None
        self._making_since = self._rests_until = self._sent_at
        self._is_encoding = False
        self._failure: BaseException | None = None
        self._tick = 0
        self._under_way: _Shown | None = None
        self._newest: _Shown | None = None  # that has gone out to its end
        self._keyframes = 0
        self._snapshot_is_due = True
        self._requests = 0
        self._refused = ""
        self._position_is_due = False
        self._hello_is_due = True
        self._waiter: asyncio.Future[None] | None = None
        self.is_over = False

    # ---- what the reader gets

    async def begin(self) -> None:
        """Make the first picture.

        Raises:
            QueryError: there is none; OutOfRange where its minute is not held.
        """
        assert self._next is not None
        await self._encode(self._next, await self._pictures(self._next))
        self._pace()

    async def next_frame(self) -> bytes | None:
        """Return the next frame, without sent_unix_ns, when there is one; None after the last.

        Raises:
            QueryError: pictures cannot be made any more.
        """
        while True:
            frame = self.poll()
            if frame is not None:
                return frame
            if self._failure is not None:
                raise self._failure
            if self.is_over:
                return None
            self.make_what_is_due()
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            await self._hub.wait(self._wakes_at - self._hub.monotonic(), for_tick=False, waiter=waiter)

    def poll(self) -> bytes | None:
        """Return the next frame if one may go out now."""
        now = self._hub.monotonic()
        frame = None if self.is_over else self._frame(now)
        if frame is not None:
            self._sent_at = now
        return frame

    def _frame(self, now: float) -> bytes | None:
        if self._hello_is_due:
            self._hello_is_due = False
            return self._control(now, self._hello())
        if self._under_way is not None and self._credits.are_left:
            return self._data(now, self._under_way)
        if self._newest is not None:
            if self._snapshot_is_due:
                self._snapshot_is_due = False
                end = stream_pb2.SnapshotEnd(keyframes=self._keyframes)
                return self._control(now, stream_pb2.Frame(snapshot_end=end))
            if self._position_is_due:
                return self._control(now, stream_pb2.Frame(playback=self._position(self._newest)))
        if now >= self._ends_at:
            self.is_over = True
            return self._control(now, stream_pb2.Frame(going_away=self._farewell(now)))
        if now - self._sent_at >= self._heartbeat_ms / 1000:
            self._hub.counters.heartbeats += 1
            return self._control(now, self._heartbeat(self._newest))
        return None

    def _data(self, now: float, shown: _Shown) -> bytes:
        frame, keyframes = shown.frames.popleft()
        self._keyframes += keyframes
        self._hub.counters.keyframes += keyframes
        if not shown.frames:
            self._under_way, self._newest = None, shown
            self._hub.counters.playback_pictures += 1
            if self._next is None:
                self._stop(_Position.STOP_END_OF_SPAN)
            frame += stream_pb2.Frame(playback=self._position(shown)).SerializeToString()
        self._credits.sent(now, is_data=True)
        return frame

    def _control(self, now: float, frame: stream_pb2.Frame) -> bytes:
        self._credits.sent(now, is_data=False)
        return frame.SerializeToString()

    def _hello(self) -> stream_pb2.Frame:
        return hello(
            self._source,
            self._channels,
            now_ns=self._hub.now_ns(),
            heartbeat_ms=self._heartbeat_ms,
            picture_s=self._interval_s,
            max_in_flight=self._credits.max_in_flight,
        )

    def _heartbeat(self, shown: _Shown | None) -> stream_pb2.Frame:
        if shown is None:
            return heartbeat(self._source, None, 0)
        return heartbeat(self._source, shown.tick, shown.source_watermark_ns)

    def _position(self, shown: _Shown) -> stream_pb2.PlaybackPosition:
        self._position_is_due = False
        return _Position(
            minute=shown.minute,
            state=self._state,
            stopped=self._stopped,
            details=self._details,
            speed=self._speed,
            step_minutes=self._span.step_minutes,
            requests=self._requests,
            refused=self._refused,
        )

    # ---- what the reader says

    def acknowledge(self, frames: int) -> None:
        """Take how many frames the reader is done with.

        Raises:
            InvalidArgument: more than were sent, or fewer than it said before.
        """
        self._sign_at = now = self._hub.monotonic()
        self._credits.acknowledge(frames, now)
        self._wake()

    def play(self) -> None:
        """Go on. A minute that was not held is tried again.

        Raises:
            InvalidArgument: the span has ended.
        """
        if self._next is None:
            raise InvalidArgument("the span has ended; seek first")
        self._request()
        if self._state != _PLAYING:
            self._go_on(_PLAYING)
            self._due_at = self._hub.monotonic()

    def pause(self) -> None:
        """Stay. A picture that has been encoded still goes out."""
        self._request()
        if self._state == _PLAYING:
            self._state = _PAUSED
            if not self._must_show:
                self._give_up()

    def seek(self, minute: int) -> None:
        """Go to a minute.

        Raises:
            OutOfRange: it is not of the span.
        """
        self._span.check(minute)
        self._request()
        self._give_up()
        self._under_way = None
        self._anew = self._must_show = True
        self._next = minute
        self._due_at = self._hub.monotonic()
        self._go_on(_PAUSED if self._state == _STOPPED else self._state)

    def set_speed(self, speed: float) -> None:
        """Go on at another speed.

        Raises:
            InvalidArgument: names what is allowed.
        """
        checked = check_speed("speed.speed", speed)
        self._request()
        self._speed = checked
        self._due_at = min(self._due_at, self._hub.monotonic() + self._interval_s)

    def refuse(self, reason: str) -> None:
        """Tell that a request changes nothing, and go on as before."""
        self._request()
        self._refused = reason

    def stop(self) -> None:
        """End without another frame: the reader has left, or has broken the rules."""
        self.is_over = True
        self.close()
        self._wake()

    def close(self) -> None:
        """Let go of whatever is being made."""
        if self._making is not None:
            self._making.cancel()
            self._making = None

    def _request(self) -> None:
        self._requests += 1
        self._refused = ""
        self._position_is_due = True
        self._sign_at = self._hub.monotonic()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            finish(self._waiter)

    # ---- pictures

    def make_what_is_due(self) -> None:
        """Begin to make the next picture if it is time; poll() has it once the loop has come to it."""
        now = self._hub.monotonic()
        if self._can_make and now >= self._begins_at:
            assert self._next is not None
            self._pace()
            self._making_since = now
            self._making = asyncio.create_task(self._make(self._next), name="picture of the past")
            self._making.add_done_callback(self._made)

    @property
    def _can_make(self) -> bool:
        is_wanted = self._next is not None and (self._must_show or self._state == _PLAYING)
        return is_wanted and self._making is None and self._under_way is None and self._credits.are_left

    def _pace(self) -> None:
        """Set when the next picture is due. One that is a little late does not delay the others, a slow reader does."""
        now = self._hub.monotonic()
        late_s = now - self._due_at
        self._due_at = (self._due_at if late_s < self._interval_s else now) + self._interval_s

    async def _make(self, minute: int) -> None:
        try:
            pictures = await self._pictures(minute)
        except OutOfRange as error:
            self._must_show = False
            self._stop(_Position.STOP_NOT_HELD, str(error))
            return
        await self._encode(minute, pictures)

    async def _encode(self, minute: int, pictures: Sequence[PastPicture]) -> None:
        if self._anew:
            self._encoder.restart()
            self._anew = False
        self._is_encoding = True
        try:
            encoded = await self._on_thread(self._encoder.encode, self._tick + 1, pictures)
        finally:
            self._is_encoding = False
        if self._anew:
            return  # a seek has come meanwhile: nobody gets this, and nothing will follow it
        self._tick += 1
        self._must_show = False
        self._next = self._span.after(minute)
        self._under_way = _Shown(minute, self._tick, encoded.source_watermark_ns, self._frames(encoded))

    def _frames(self, encoded: EncodedPicture) -> deque[tuple[bytes, int]]:
        parts = fragments(encoded.entries, self._max_frame_bytes)
        are_keyframes = iter(encoded.are_keyframes)
        header = stream_pb2.Section(source_id=self._source.source_id, epoch=self._source.epoch, tick=self._tick)
        frames: deque[tuple[bytes, int]] = deque()
        for number, part in enumerate(parts, start=1):
            header.complete = number == len(parts)
            frames.append((section_frame(header, part, 0), sum(islice(are_keyframes, len(part)))))
        return frames

    def _made(self, task: asyncio.Task[None]) -> None:
        if task is self._making:
            self._making = None
            self._rest()
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
        self._wake()

    def _give_up(self) -> None:
        """Let go of a picture that is being made, unless it is part of the chain already."""
        if self._making is not None and not self._is_encoding:
            self._making.cancel()
            self._making = None
            self._rest()

    def _rest(self) -> None:
        now = self._hub.monotonic()
        rest_s = (now - self._making_since) * max(1, self._hub.counters.playbacks_open)
        self._rests_until = now + min(rest_s, LONGEST_REST_S)

    def _stop(self, why: stream_pb2.PlaybackPosition.Stop, details: str = "") -> None:
        self._state, self._stopped, self._details = _STOPPED, why, details
        self._position_is_due = True

    def _go_on(self, state: stream_pb2.PlaybackPosition.State) -> None:
        self._state, self._stopped, self._details = state, _Position.STOP_UNSPECIFIED, ""

    # ---- where it stands

    @property
    def _interval_s(self) -> float:
        return interval_s(self._span.step_minutes, self._speed)

    @property
    def _wakes_at(self) -> float:
        wakes_at = min(self._sent_at + self._heartbeat_ms / 1000, self._ends_at)
        return min(wakes_at, self._begins_at) if self._can_make else wakes_at

    @property
    def _begins_at(self) -> float:
        return max(self._due_at, self._rests_until)

    @property
    def _idles_at(self) -> float:
        is_waited_for = self._state != _PLAYING or not self._credits.are_left
        return self._sign_at + self._idle_after_s if is_waited_for else float("inf")

    @property
    def _ends_at(self) -> float:
        return min(self._ages_at, self._idles_at, self._hub.leaves_at(self._place))

    def _farewell(self, now: float) -> stream_pb2.GoingAway:
        if self._hub.goodbye is not None:
            return self._hub.goodbye
        reason = "stream age"
        if now >= self._idles_at:
            self._hub.counters.sessions_idle += 1
            reason = f"nothing was asked for or acknowledged for {self._idle_after_s:g} s"
        return stream_pb2.GoingAway(reason=reason, reconnect_after_ms=RECONNECT_AT_ONCE_MS)
