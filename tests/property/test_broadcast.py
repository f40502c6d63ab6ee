"""I6 at the hub: after any interleaving, a reader that says "in sync" holds exactly what was emitted.

Readers subscribe or hold sessions; they are fast, slow or stalled, lose messages, drop and resume, change their
channels and reject them. Some of these are tiles and custom channels, which come and go with their readers. The faults
that etcd's watches had, and what here would show each:
- progress ahead of data: a heartbeat sets the tick a replica names, and it must equal that tick (the invariants below);
  heartbeats between the fragments of a message: tests/unit/broadcast/test_session_cursor.py.
- back in time after a reconnect: what a replica holds is the channel at the tick it names, and `reconnect` resumes at
  any point; that its ticks never fall: test_replica.py.
- duplicates: test_replica.py, `deliver_twice` and the fate "repeat".
- loss under starvation: readers that do not acknowledge, or fall behind a ring of six ticks, are caught up by
  `all_read_everything`; over sockets: tests/integration/test_session.py and benchmarks/bench_slow_reader.py.
- resume from the future: `reconnect` with `old`; its reason: tests/unit/broadcast/test_cursor.py.

Seen to fail when broken on purpose, one at a time:
- encoder.py: `prev_tick = previous` made `tick - 1`; the write into the ring left out; a refreshed keyframe named by
  the tick of the refresh; a new generation applied to the old ring. checksum.py: columns not marked.
- encoding.py: gaps counted from the start of the run before; time order begun one column off.
- ring.py: `since` without the test of _gone_tick, or with it only where chunks are left; `join` without what came after
  the keyframe; eviction without is_needed_to_join; `_after` one tick late; _gone_tick not moved.
- hub.py: batches shared by readers at different positions; `complete` on every fragment.
- cursor.py: a change whose new channels are not missing; one that names none as starting; a reject forgotten when a
  change comes; _whole_tick moved with the first fragment; data sent without credit.
- hub.py: `without` that keeps the chunks of channels dropped; missing channels left out of the key of a batch.
- controls.py: refusal without the epoch or without the future; a position beyond its batch.
- tiles.py: `_difference` left out where rows have moved. controls.py: refusal without held_since.
- cursor.py: `_missing` emptied although nothing has come of a channel; hub.py: `awaited` left empty.
- in_process.py: chunks that a refreshed keyframe stands for kept behind it; a refresh put into an empty chain.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from liqscape.broadcast.cadence import CADENCE_CLASSES_MS
from liqscape.broadcast.credits import Credits
from liqscape.broadcast.cursor import Cursor
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource, merge_records
from liqscape.broadcast.ports import TickRecord
from liqscape.broadcast.ring import Ring
from liqscape.broadcast.selections import Selection, Wanted
from liqscape.grid.channel_specs import PositionFilter
from liqscape.grid.updates import TickOutput
from liqscape.v1 import stream_pb2
from tests.conftest import IS_FULL
from tests.fake_engine import ChannelTruth, FakeChannels, FakeEngine
from tests.wire_decoder import ChannelReplica, Gap, Replica

MAX_READERS = 5
CHANNELS = (1, 2, 3, 4)
TENS = PositionFilter.of(leverages=[10])
SELECTIONS: tuple[list[Wanted], ...] = (
    [],
    [Wanted("ETH", "24h"), Wanted("BTC", "12h")],
    [Wanted("BTC")],
    [Wanted("BTC", "12h", rows=(126, 129))],
    [Wanted("BTC", "12h"), Wanted("BTC", "12h", rows=(128, 128)), Wanted("ETH", "24h", positions=TENS)],
    [Wanted("ETH", "24h", rows=(0, 128), positions=TENS)],
)
WINDOWS = (0, 0, 1, 2, 8)
IDLE_AFTER_S = 10.0

channels = st.lists(st.sampled_from(CHANNELS), max_size=3, unique=True)


@dataclass
class Reader:
    """A client: what it holds, and its stream while it has one. window: of its sessions; 0 = it subscribes."""

    wanted: list[Wanted]
    cadence_ms: int
    window: int = 0
    replica: Replica = field(default_factory=Replica)
    cursor: Cursor | None = None
    held: Selection | None = None
    has_lost: bool = False
    frames: int = 0
    data_in_flight: int = 0
    rejected: set[int] = field(default_factory=set)

    @property
    def session(self) -> Cursor | None:
        """Return the stream if it is a session that goes on."""
        return self.cursor if self.window and self.cursor is not None and not self.cursor.is_over else None

    def acknowledge(self) -> None:
        if self.session is not None:
            self.session.acknowledge(self.frames)
            self.data_in_flight = 0


class Broadcast(RuleBasedStateMachine):
    """One engine, one hub, a few readers; no event loop: everything but waiting is plain code."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.epoch = 1000
        self.readers: list[Reader] = []
        self.queued: list[TickRecord] = []
        self.loop = asyncio.new_event_loop()
        self.custom = 10
        self.start_engine(1, first_tick=1)

    def teardown(self) -> None:
        self.loop.close()

    def start_engine(self, seed: int, first_tick: int) -> None:
        self.epoch += 1
        self.engine = FakeEngine(seed, epoch=self.epoch, tick_ms=5000, first_tick=first_tick, first_row=126)
        self.encoder = StreamEncoder(self.engine.shard, now_ns=lambda: 3)
        # A ring of six ticks and frames of one or two chunks: every limit is met within a few steps.
        self.hub = Hub(
            InProcessFrameSource(self.engine.shard),
            channels=FakeChannels(self.engine, build_ticks=1),
            ring=Ring(max_ticks=6, max_bytes=2000),
            max_frame_bytes=1024 + 250,
            now_ns=lambda: 4,
            monotonic=lambda: self.now_s,
        )
        self.queued = []
        for reader in self.readers:
            reader.held = None
        self.append(self.encoder.encode(self.engine.step(cells=6)))

    # ---- the engine

    @rule(changing=channels, moving=channels, cells=st.integers(0, 30), skip=st.integers(0, 2), held=st.booleans())
    def tick(self, changing: list[int], moving: list[int], cells: int, skip: int, held: bool) -> None:
        custom = self.engine.channel_ids[len(CHANNELS) :]
        changing = [*changing, *custom]
        self.publish(self.engine.step(changing=changing, moving=moving, cells=cells, skip_ticks=skip), held)

    @rule(renewing=channels, held=st.booleans())
    def new_generation(self, renewing: list[int], held: bool) -> None:
        self.publish(self.engine.step(changing=[1], renewing=renewing), held)

    @rule(count=st.integers(5, 12))
    def many_ticks(self, count: int) -> None:
        for _ in range(count):
            self.publish(self.engine.step(changing=[1, 3], cells=3), held=False)

    @rule(seed=st.integers(2, 9), resume=st.booleans())
    def engine_restarts(self, seed: int, resume: bool) -> None:
        # Ticks that both epochs have: only the epoch tells the two apart.
        self.start_engine(seed, first_tick=max(1, self.engine.tick - 1))
        self.publish(self.engine.step(), held=False)
        for index in range(len(self.readers)):
            self.reconnect(index, resume=resume, old=False)

    def publish(self, output: TickOutput, held: bool) -> None:
        """Pass a tick on; held = the edge is busy, and takes what has queued up as one record later."""
        self.queued.append(self.encoder.encode(output))
        if not held:
            self.append(merge_records(self.queued) if len(self.queued) > 1 else self.queued[0])
            self.queued = []

    def append(self, record: TickRecord) -> None:
        """Give the hub a record, and what it wants to close the time to be closed."""

        async def append() -> None:
            self.hub.append(record)
            for _ in range(3):
                await asyncio.sleep(0)

        self.loop.run_until_complete(append())

    def hold(self, reader: Reader, wanted: list[Wanted]) -> Selection:
        """Open what a reader wants, and let go what it had."""
        before = reader.held
        reader.held = self.loop.run_until_complete(self.hub.hold(self.hub.plan(wanted)))
        if before is not None:
            self.hub.release(before)
        return reader.held

    def is_open(self, reader: Reader) -> bool:
        """Return whether something has come of every channel a reader wants."""
        assert reader.held is not None
        return all(self.hub.ring.holds_channel(channel_id) for channel_id in reader.held.channel_ids)

    # ---- the readers

    @initialize()
    def first_reader(self) -> None:
        self.new_reader([], 0, 0)
        self.new_reader([], 0, 2)

    @precondition(lambda self: len(self.readers) < MAX_READERS)
    @rule(
        wanted=st.sampled_from(SELECTIONS),
        cadence_ms=st.sampled_from((0, *CADENCE_CLASSES_MS)),
        window=st.sampled_from(WINDOWS),
    )
    def new_reader(self, wanted: list[Wanted], cadence_ms: int, window: int) -> None:
        reader = Reader(wanted, cadence_ms, window, Replica(rejects=bool(window)))
        self.readers.append(reader)
        self.connect(reader, [])

    @rule(index=st.integers(0, MAX_READERS - 1), frames=st.integers(1, 12), acknowledging=st.booleans())
    def read(self, index: int, frames: int, acknowledging: bool) -> None:
        """Take some messages; who does not acknowledge is slow, and soon gets no data any more."""
        reader = self.readers[index % len(self.readers)]
        for _ in range(frames):
            frame = self.poll(reader)
            if frame is not None:
                self.deliver(reader, frame)
            elif reader.data_in_flight and acknowledging:
                reader.acknowledge()
            else:
                self.assert_caught_up(reader)
                break

    @rule(
        index=st.integers(0, MAX_READERS - 1), wanted=st.sampled_from(SELECTIONS), cadence_ms=st.sampled_from((0, 250))
    )
    def change(self, index: int, wanted: list[Wanted], cadence_ms: int) -> None:
        reader = self.readers[index % len(self.readers)]
        if reader.session is not None:
            reader.wanted, reader.cadence_ms = wanted, cadence_ms
            reader.session.change(self.hold(reader, wanted), cadence_ms)

    @rule(index=st.integers(0, MAX_READERS - 1), channel_ids=st.lists(st.sampled_from(CHANNELS), unique=True))
    def reject(self, index: int, channel_ids: list[int]) -> None:
        """Reject what is broken, and some that are not."""
        reader = self.readers[index % len(self.readers)]
        if reader.session is not None:
            reader.rejected.update(reader.replica.broken)
            reader.session.reject("", [*channel_ids, *reader.replica.broken], stream_pb2.Reject.REASON_GAP)

    @rule(index=st.integers(0, MAX_READERS - 1))
    def lose_and_reject(self, index: int) -> None:
        """Lose a message, find the gap in the next, and reject before that is answered."""
        self.publish(self.engine.step(cells=9), held=False)
        self.lose_a_frame(index)
        self.publish(self.engine.step(cells=9), held=False)
        self.read(index, 12, acknowledging=True)
        self.publish(self.engine.step(cells=9), held=False)
        self.reject(index, [])

    @rule(index=st.integers(0, MAX_READERS - 1))
    def starve(self, index: int) -> None:
        """Take data until the credit is used up, and a heartbeat in place of what is left."""
        self.publish(self.engine.step(cells=9), held=False)
        self.read(index, 12, acknowledging=False)
        self.now_s += 1.0
        self.read(index, 1, acknowledging=False)

    @rule(
        index=st.integers(0, MAX_READERS - 1),
        steps=st.lists(
            st.tuples(st.sampled_from(SELECTIONS), st.sampled_from(("", "tick", "read", "break"))),
            min_size=1,
            max_size=4,
        ),
    )
    def change_again_and_again(self, index: int, steps: list[tuple[list[Wanted], str]]) -> None:
        """Go over to other channels, some things happening between, and read everything."""
        reader = self.readers[index % len(self.readers)]
        self.mend(index)
        for wanted, then in steps:
            self.change(index, wanted, 0)
            if then == "tick":
                self.publish(self.engine.step(cells=9), held=False)
            elif then == "read":
                self.read(index, 2, acknowledging=True)
            elif then == "break":
                self.break_and_reject(reader)
        self.catch_up(index)

    @precondition(lambda self: sum(reader.session is not None for reader in self.readers) > 1)
    @rule()
    def break_beside_a_healthy_reader(self) -> None:
        """Two sessions are at one place with one selection; what one of them lacks is not what the other does."""
        pair = [index for index, reader in enumerate(self.readers) if reader.session is not None][:2]
        for index in pair:
            self.mend(index)
            self.change(index, [], 0)
            self.catch_up(index)
        self.publish(self.engine.step(cells=9), held=False)
        self.break_and_reject(self.readers[pair[1]])
        for index in pair:
            self.catch_up(index)

    def break_and_reject(self, reader: Reader) -> None:
        """Take a channel out of sync behind the server's back, as a defect of the reader would."""
        if reader.session is not None and reader.replica.channels:
            channel_id = min(reader.replica.channels)
            reader.replica.channels[channel_id].in_sync = False
            reader.replica.broken[channel_id] = "by hand"
            reader.has_lost = True
            reader.session.reject("", [channel_id], stream_pb2.Reject.REASON_MALFORMED)

    def catch_up(self, index: int) -> None:
        """Read everything on a session on which nothing was lost for good."""
        reader = self.readers[index % len(self.readers)]
        if reader.session is not None:
            reader.acknowledge()
            while not self.is_open(reader):
                self.publish(self.engine.step(changing=[]), held=False)
            self.now_s += 6.0
            self.read(index, 1000, acknowledging=True)
            assert reader.replica.is_whole
            assert reader.held is not None
            assert set(reader.replica.channels) == set(reader.held.channel_ids)
            reader.has_lost = reader.replica.miscounted = False

    @rule(index=st.integers(0, MAX_READERS - 1))
    def mend(self, index: int) -> None:
        """Whatever was lost on a session: rejecting every channel makes its reader whole, without a new stream."""
        reader = self.readers[index % len(self.readers)]
        if reader.session is None:
            return
        assert reader.held is not None
        reader.session.reject("", {*CHANNELS, *reader.held.channel_ids}, stream_pb2.Reject.REASON_MISSING)
        self.catch_up(index)

    @rule()
    def all_read_everything(self) -> None:
        for index in range(len(self.readers)):
            self.read(index, 1000, acknowledging=True)

    @rule(index=st.integers(0, MAX_READERS - 1))
    def lose_a_frame(self, index: int) -> None:
        reader = self.readers[index % len(self.readers)]
        frame = self.poll(reader)
        if frame is not None and stream_pb2.Frame.FromString(frame).sections:
            self.count(reader, is_data=True)
            reader.has_lost = True
            reader.rejected.clear()
        elif frame is not None:
            self.deliver(reader, frame)

    @rule(index=st.integers(0, MAX_READERS - 1), resume=st.booleans(), old=st.booleans())
    def reconnect(self, index: int, resume: bool, old: bool) -> None:
        """Drop a stream at any point and open another; only a whole replica resumes."""
        reader = self.readers[index % len(self.readers)]
        whole = reader.replica.resume is not None and all(c.in_sync for c in reader.replica.channels.values())
        points = []
        holds_what_it_wants = reader.held is not None and set(reader.replica.channels) == set(reader.held.channel_ids)
        if resume and whole and holds_what_it_wants and not reader.has_lost and reader.replica.channels:
            assert reader.replica.resume is not None
            points = [reader.replica.resume]
        elif old:
            points = [stream_pb2.ResumePoint(source_id="shard-0", epoch=self.epoch, tick=self.engine.tick + 1000)]
        self.connect(reader, points)

    @precondition(lambda self: len(self.readers) < MAX_READERS)
    @rule(window=st.sampled_from(WINDOWS), tile=st.booleans(), fold=st.sampled_from((1, 2)), ticks=st.integers(1, 3))
    def join_what_nobody_has_opened(self, window: int, tile: bool, fold: int, ticks: int) -> None:
        """Join a custom channel before it is built, beside one that is there; read on while it is."""
        self.custom += 1
        positions = PositionFilter.of(leverages=[self.custom])
        wanted = [
            Wanted("BTC", "24h"),
            Wanted("BTC", "12h", (0, 200) if tile else None, positions=positions, row_fold=fold),
        ]
        self.new_reader(wanted, 0, window)
        index = len(self.readers) - 1
        self.read(index, 1000, acknowledging=True)
        assert not self.readers[index].replica.is_whole
        for _ in range(ticks):
            self.publish(self.engine.step(cells=3), held=False)
            self.read(index, 1000, acknowledging=True)
        assert self.readers[index].replica.is_whole == (ticks > 1)

    @rule(index=st.integers(0, MAX_READERS - 1), away_s=st.sampled_from((1.0, 31.0)))
    def leave_and_resume(self, index: int, away_s: float) -> None:
        """Be away for so long that channels of one's own may have been closed; come back before the ring forgets."""
        reader = self.readers[index % len(self.readers)]
        if reader.held is None:
            return
        reader.cursor = None
        self.hub.release(reader.held)
        held, reader.held = reader.held, None
        self.now_s += away_s
        for _ in range(2):
            self.publish(self.engine.step(cells=3), held=False)
        whole = reader.replica.resume is not None and all(c.in_sync for c in reader.replica.channels.values())
        resumes = whole and not reader.has_lost and set(reader.replica.channels) == set(held.channel_ids)
        self.connect(reader, [reader.replica.resume] if resumes and reader.replica.resume is not None else [])
        self.read(index, 1000, acknowledging=True)

    @rule(seconds=st.sampled_from((0.05, 0.3, 1.0, 6.0, 31.0)))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    def connect(self, reader: Reader, points: list[stream_pb2.ResumePoint]) -> None:
        reader.replica.connecting()
        reader.has_lost = False
        reader.frames = reader.data_in_flight = 0
        reader.rejected.clear()
        reader.cursor = Cursor(
            self.hub,
            self.hold(reader, reader.wanted),
            cadence_ms=reader.cadence_ms,
            resume=points,
            max_age_s=float("inf"),
            credits=Credits(reader.window) if reader.window else None,
            idle_after_s=IDLE_AFTER_S,
        )

    def poll(self, reader: Reader) -> bytes | None:
        return None if reader.cursor is None else reader.cursor.poll()

    def deliver(self, reader: Reader, data: bytes) -> None:
        before = reader.replica.resume
        try:
            frame = reader.replica.apply(data)
        except Gap:
            assert reader.has_lost, "a gap on a stream that lost nothing"
            return
        self.count(reader, is_data=bool(frame.sections))
        assert reader.has_lost or not (reader.replica.broken or reader.replica.miscounted)
        for beat in frame.heartbeat.positions:
            # There is a price each tick, so nothing but a message that came whole moves a position.
            assert reader.has_lost or (before is not None and beat.tick == before.tick)

    def count(self, reader: Reader, *, is_data: bool) -> None:
        reader.frames += 1
        reader.data_in_flight += is_data
        assert not reader.window or reader.data_in_flight <= reader.window

    # ---- what must hold

    @invariant()
    def channels_equal_what_was_emitted(self) -> None:
        for reader in self.readers:
            if reader.cursor is None or not reader.replica.greeted:
                continue
            for channel_id, held in reader.replica.channels.items():
                # Whatever was lost: what has been applied is the channel as it was at its tick.
                if held.in_sync:
                    self.assert_equal(held, self.engine.truth[held.tick][channel_id])

    @invariant()
    def in_sync_replicas_equal_the_tick_they_name(self) -> None:
        for reader in self.readers:
            replica = reader.replica
            if reader.cursor is None or reader.has_lost or not replica.is_whole or replica.inside_message:
                continue
            assert replica.resume is not None
            assert replica.resume.epoch == self.epoch
            for channel_id, held in replica.channels.items():
                self.assert_equal(held, self.engine.truth[replica.resume.tick][channel_id])

    def assert_caught_up(self, reader: Reader) -> None:
        """A reader for which there is nothing to send is in sync at the newest tick, unless its cadence holds it."""
        if reader.cursor is None or reader.cursor.is_over or (reader.window and reader.data_in_flight == reader.window):
            return
        assert not reader.rejected & set(reader.replica.broken), "rejected in vain"
        reader.rejected.clear()
        if not reader.has_lost and not reader.cadence_ms and self.is_open(reader):
            assert reader.replica.is_whole
            assert reader.replica.resume is not None
            assert reader.replica.resume.tick == self.hub.ring.head_tick

    def assert_equal(self, held: ChannelReplica, truth: ChannelTruth) -> None:
        assert held.ring == truth.ring
        assert held.tick == truth.changed_tick
        assert held.newest_column == truth.newest_column
        assert held.generation == truth.generation
        assert held.axes.first_row == truth.first_row
        assert held.candles == truth.candles


TestBroadcast = Broadcast.TestCase
TestBroadcast.settings = settings(stateful_step_count=50, max_examples=1000 if IS_FULL else 60)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
