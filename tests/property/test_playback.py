"""A playback shows the past as it was: whatever its reader says and however slow it is, what it holds at the position
it was told is GetGrid as of that minute, to the level.

Pictures come from a real engine over minutes in which rows move; whether a question has been answered, and whether a
picture has been encoded, when the next thing happens is part of the script.

Seen to fail when broken on purpose, one at a time:
- playback.py: a seek that begins no new generation, drops nothing that is under way, or lets what is being encoded go
  out; one that does not give up the picture asked for; the encoder not restarted; data that take no credit; a position
  that names the picture before;
- past_encoder.py: other rows taken for a delta; cells that have fallen left out; the newest column less one;
- past.py: columns in the order of time.
What pauses, paces and stops is told apart by hand: tests/unit/broadcast/test_playback.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray

from liqscape.axes import RowRange, timeframe
from liqscape.broadcast.credits import Credits
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.past_encoder import EncodedPicture
from liqscape.broadcast.playback import Encode, Playback
from liqscape.broadcast.playback_messages import PlaybackSource, Span
from liqscape.engine import EngineThread
from liqscape.errors import OutOfRange, QueryError
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import Channel, GridQuery
from liqscape.v1 import stream_pb2
from liqscape_client.replica_set import ReplicaSet
from tests.fake_engine import FakeEngine
from tests.past_engine import FIRST, LAST, levels_window, past_engine

CHANNELS: Final = (Channel(1, "BTC", timeframe("12h")), Channel(2, "BTC", timeframe("3d")))
SPAN: Final = Span(FIRST + 2, LAST + 6, 3)
"""Its last minutes lie ahead of what the engine holds."""

Position = stream_pb2.PlaybackPosition


@dataclass(frozen=True)
class Truth:
    """A channel at a minute, as GetGrid has it."""

    levels: NDArray[np.uint8]
    newest_column: int
    rows: RowRange


class Past:
    """What an engine says of each minute.

    Attributes:
        pictures: as a server's playback gets them.
        refusals: where there are none.
        truth: what they must come to.
    """

    def __init__(self) -> None:
        self.pictures: dict[int, list[PastPicture]] = {}
        self.refusals: dict[int, OutOfRange] = {}
        self.truth: dict[int, list[Truth]] = {}

    async def ask(self, engine: EngineThread) -> Past:
        """Ask for all of the span."""
        for minute in range(SPAN.from_minute, SPAN.until_minute):
            queries = [GridQuery(c.symbol, c.timeframe.name, as_of_minute=minute) for c in CHANNELS]
            try:
                self.pictures[minute] = [await engine.get_picture(query) for query in queries]
            except OutOfRange as error:
                self.refusals[minute] = error
            else:
                grids = [await engine.get_grid(query) for query in queries]
                self.truth[minute] = [Truth(levels_window(g), g.newest_column, g.axes.rows) for g in grids]
        return self


@pytest.fixture(scope="module")
def past() -> Past:
    with past_engine() as engine:
        asked = asyncio.run(Past().ask(engine))
    # The run says something only if rows move in it, and if a part of it is not held.
    assert len({str(truth[0].rows) for truth in asked.truth.values()}) > 1
    assert asked.refusals
    return asked


class Theatre:
    """A playback, its reader, and everything in between, moved by hand.

    Attributes:
        shown: minutes of the pictures that have come to their end.
    """

    def __init__(self, past: Past, *, window: int, speed: float, paused: bool) -> None:
        self._past = past
        self._now_s = 100.0
        self._window = window
        self._questions: deque[asyncio.Future[None]] = deque()
        self._encodings: deque[asyncio.Future[None]] = deque()
        self._withholds = False
        self._hub = Hub(InProcessFrameSource(FakeEngine().shard), monotonic=lambda: self._now_s, now_ns=lambda: 4)
        self.playback = Playback(
            self._hub,
            PlaybackSource("past", 99, True, "a market"),
            CHANNELS,
            SPAN,
            self._pictures,
            credits=Credits(window),
            speed=speed,
            paused=paused,
            max_frame_bytes=4096,  # so that each keyframe is a message of its own
            on_thread=self._encode,
        )
        self._replicas = ReplicaSet(lambda: self._now_s)
        self._frames = 0
        self._unacknowledged: list[int] = []
        self._requests = 0
        self._expected = SPAN.from_minute  # minute of the next picture
        self._since_pause: int | None = None
        self._whole_tick = 0
        self.shown: list[int] = []
        self.position = Position()

    async def begin(self) -> None:
        """Make the first picture, and let things take their time from then on."""
        await self.playback.begin()
        self._withholds = True

    # ---- what happens

    async def do(self, action: tuple[Any, ...]) -> None:
        """Do one thing of a script."""
        name, *arguments = action
        await getattr(self, f"_{name}")(*arguments)
        self.playback.make_what_is_due()
        await self._settle()

    async def _read(self, frames: int) -> None:
        for _ in range(frames):
            data = self.playback.poll()
            if data is None:
                self.playback.make_what_is_due()
                return
            self._take(stream_pb2.Frame.FromString(data))

    async def _acknowledge(self, messages: int) -> None:
        if messages == 0:
            self._unacknowledged.clear()
        del self._unacknowledged[:messages]
        done = self._unacknowledged[0] - 1 if self._unacknowledged else self._frames
        self.playback.acknowledge(done)

    async def _answer(self) -> None:
        _finish_next(self._questions)

    async def _finish_encoding(self) -> None:
        _finish_next(self._encodings)

    async def _pass(self, seconds: float) -> None:
        self._now_s += seconds

    async def _go(self, pictures: int) -> None:
        for _ in range(3 * pictures):  # what is under way, what is being encoded, what is asked for
            for action in (("read", 20), ("acknowledge", 0), ("pass", 1.0), ("answer",), ("finish_encoding",)):
                await self.do(action)

    async def _play(self) -> None:
        self._say(self.playback.play)
        self._since_pause = None

    async def _pause(self) -> None:
        self._say(self.playback.pause)
        self._since_pause = 0

    async def _seek(self, minute: int) -> None:
        if self._say(lambda: self.playback.seek(minute)):
            self._expected = minute
            self._since_pause = None if self._since_pause is None else 0

    async def _speed(self, speed: float) -> None:
        self._say(lambda: self.playback.set_speed(speed))

    async def catch_up(self) -> None:
        """Let everything be done and read that can be."""
        shown = -1
        while len(self.shown) > shown:
            shown = len(self.shown)
            await self._go(3)

    # ---- what must hold

    def _say(self, request: Any) -> bool:
        self._requests += 1
        try:
            request()
        except QueryError as error:
            self.playback.refuse(str(error))
            return False
        return True

    def _take(self, frame: stream_pb2.Frame) -> None:
        self._frames += 1
        effect = self._replicas.apply(frame)
        assert effect.broken is None
        if frame.sections:
            assert len(self._unacknowledged) < self._window, "data came without credit"
            self._unacknowledged.append(self._frames)
        if frame.WhichOneof("control") == "playback":
            if frame.sections:
                self._take_picture(frame.playback)
            self.position = frame.playback
            assert frame.playback.requests <= self._requests
            assert frame.playback.minute == self.shown[-1]
            if frame.playback.stopped:
                assert self._expected in self._past.refusals
                assert frame.playback.stopped == Position.STOP_NOT_HELD
                assert "is not held" in frame.playback.details
        if frame.WhichOneof("control") == "heartbeat" and self.shown:
            assert [position.tick for position in frame.heartbeat.positions] == [self._whole_tick]
        if frame.sections and frame.sections[0].complete:
            self._whole_tick = frame.sections[0].tick

    def _take_picture(self, position: stream_pb2.PlaybackPosition) -> None:
        minute = position.minute
        assert minute == self._expected, f"{minute} was neither sought nor the next of {self.shown}"
        self._expected = minute + SPAN.step_minutes
        self.shown.append(minute)
        if self._since_pause is not None:
            self._since_pause += 1
            assert self._since_pause <= 1, "pictures go on coming after a pause"
        for channel, truth in zip(CHANNELS, self._past.truth[minute], strict=True):
            replica = self._replicas.replica(channel.symbol, channel.timeframe.name)
            held = replica.heatmap()
            assert held.in_sync
            np.testing.assert_array_equal(held.levels, truth.levels)
            assert held.newest_column == truth.newest_column
            assert (held.axes.first_row, held.axes.rows) == (truth.rows.first, truth.rows.count)
        price = self._replicas.symbol("BTC")
        assert price is not None
        assert price.states == ("SIMULATED", "REPLAY")

    # ---- the engine's side

    async def _pictures(self, minute: int) -> Sequence[PastPicture]:
        if self._withholds:
            await _waiting_in(self._questions)
        if minute in self._past.refusals:
            raise self._past.refusals[minute]
        return self._past.pictures[minute]

    async def _encode(self, encode: Encode, tick: int, pictures: Sequence[PastPicture]) -> EncodedPicture:
        encoded = encode(tick, pictures)
        if self._withholds:
            await _waiting_in(self._encodings)
        return encoded

    async def _settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)


async def _waiting_in(queue: deque[asyncio.Future[None]]) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.append(future)
    await future


def _finish_next(queue: deque[asyncio.Future[None]]) -> None:
    """Let the next go on that somebody still waits for."""
    while queue:
        future = queue.popleft()
        if not future.done():
            future.set_result(None)
            return


MINUTES_OF_SPAN = st.integers(SPAN.from_minute - 1, SPAN.until_minute)
ACTIONS = st.one_of(
    st.tuples(st.just("go"), st.integers(1, 4)),
    st.tuples(st.just("read"), st.integers(1, 6)),
    st.tuples(st.just("read"), st.just(20)),
    st.tuples(st.just("acknowledge"), st.integers(0, 2)),
    st.tuples(st.just("answer")),
    st.tuples(st.just("finish_encoding")),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 20.0])),
    st.tuples(st.just("play")),
    st.tuples(st.just("pause")),
    st.tuples(st.just("seek"), MINUTES_OF_SPAN),
    st.tuples(st.just("speed"), st.sampled_from([0.0, 9.0, 180.0, 1e6, -1.0])),
)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    script=st.lists(ACTIONS, max_size=40),
    window=st.sampled_from([1, 2, 8]),
    speed=st.sampled_from([0.0, 180.0]),
    paused=st.booleans(),
    last=st.integers(SPAN.from_minute, LAST),
    plays_on=st.booleans(),
)
def test_reader_holds_the_grid_as_of_the_minute_it_is_told(
    past: Past, script: list[tuple[Any, ...]], window: int, speed: float, paused: bool, last: int, plays_on: bool
) -> None:
    async def run() -> None:
        theatre = Theatre(past, window=window, speed=speed, paused=paused)
        await theatre.begin()
        for action in script:
            await theatre.do(action)
        await theatre.do(("seek", last))
        await theatre.do(("speed", 0.0))
        await theatre.do(("play",) if plays_on else ("pause",))
        await theatre.catch_up()

        following = list(range(last, LAST + 1, SPAN.step_minutes)) if plays_on else [last]
        assert theatre.shown[-len(following) :] == following
        assert theatre.position.minute == following[-1]
        assert theatre.position.state == (Position.STATE_STOPPED if plays_on else Position.STATE_PAUSED)
        theatre.playback.close()

    asyncio.run(run())
