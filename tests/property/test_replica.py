"""A replica that says "in sync" holds exactly the server's levels, whatever happened on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
import numpy as np
from google.protobuf.message import DecodeError as ProtobufDecodeError
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2
from liqscape_client.replica import Outcome, Replica
from liqscape_client.replica_set import ReplicaSet
from tests.unit.client.wire_model import ModelChannel, ModelEngine

COLUMNS, ROWS = 6, 5
CELLS = st.dictionaries(st.integers(0, COLUMNS * ROWS - 1), st.integers(0, 255), max_size=12)

CHANGES = st.tuples(st.sampled_from(["delta", "delta", "delta", "keyframe", "regenerate"]), CELLS, st.integers(0, 3))
FATES = st.tuples(
    st.sampled_from(["deliver", "deliver", "deliver", "lose", "repeat", "hold back", "damage"]),
    st.integers(0, 2**16),
)


@dataclass
class Line:
    """A transport that loses, repeats, reorders and damages, as told."""

    delivered: list[stream_pb2.ChannelChunk] = field(default_factory=list)
    held_back: list[stream_pb2.ChannelChunk] = field(default_factory=list)

    def pass_on(self, chunk: stream_pb2.ChannelChunk, fate: str, number: int) -> list[stream_pb2.ChannelChunk]:
        """Return what arrives when a chunk is sent."""
        if fate == "lose":
            return []
        if fate == "hold back":
            self.held_back.append(chunk)
            return []
        arriving = [damaged(chunk, number) if fate == "damage" else chunk]
        if fate == "repeat" and self.delivered:
            arriving.append(self.delivered[number % len(self.delivered)])
        if self.held_back and number % 2:
            arriving.append(self.held_back.pop(number % len(self.held_back)))
        self.delivered.extend(arriving)
        return arriving


def damaged(chunk: stream_pb2.ChannelChunk, number: int) -> stream_pb2.ChannelChunk:
    """Return a chunk with one byte of its payload flipped, cut off or added, or with another column or sum."""
    damage = stream_pb2.ChannelChunk()
    damage.CopyFrom(chunk)
    way, number = number % 5, number // 5
    place = number % len(chunk.payload)
    if way == 0:
        flipped = chunk.payload[place] ^ (1 << (number % 8))
        damage.payload = chunk.payload[:place] + bytes([flipped]) + chunk.payload[place + 1 :]
    elif way == 1:
        damage.payload = chunk.payload[:place]
    elif way == 2:
        damage.payload += bytes([number % 256])
    elif way == 3:
        damage.newest_column += 1 + number % 3
    else:
        damage.checksum ^= 1 << (number % 32)
    return damage


Change = tuple[str, dict[int, int], int]
Fate = tuple[str, int]


@given(st.lists(st.tuples(CHANGES, FATES), max_size=40))
def test_replica_in_sync_is_the_servers_state(script: list[tuple[Change, Fate]]) -> None:
    channel, replica, line = ModelChannel(columns=COLUMNS, rows=ROWS), Replica("BTC", "24h", 1), Line()
    replica.apply(channel.keyframe())

    for tick, ((kind, cells, advance), (fate, number)) in enumerate(script, start=2):
        if kind == "delta":
            # Half of the deltas carry no sum, which would hide what the chain lets through; damage needs one.
            summed = fate == "damage" or bool(number & 1)
            chunk = channel.change(tick, cells, advance=advance, zlibbed=bool(number & 64), summed=summed)
        elif kind == "keyframe":
            chunk = channel.keyframe()
        else:
            chunk = channel.regenerate(tick, first_row=2000 + tick, rows=ROWS)
        for arriving in line.pass_on(chunk, fate, number):
            was_in_sync, before = replica.in_sync, replica.tick
            outcome = replica.apply(arriving)

            assert replica.in_sync or outcome is not Outcome.APPLIED
            if replica.in_sync:
                np.testing.assert_array_equal(replica.levels(), channel.history[replica.tick])
                assert replica.tick >= before or not was_in_sync


@given(st.lists(st.tuples(CELLS, st.integers(0, 3), st.booleans()), min_size=1, max_size=30))
def test_undisturbed_chain_is_never_out_of_sync(script: list[tuple[dict[int, int], int, bool]]) -> None:
    channel, replica = ModelChannel(columns=COLUMNS, rows=ROWS), Replica("BTC", "24h", 1)
    replica.apply(channel.keyframe())

    for tick, (cells, advance, summed) in enumerate(script, start=2):
        outcome = replica.apply(channel.change(tick, cells, advance=advance, summed=summed))

        assert outcome is Outcome.APPLIED
        np.testing.assert_array_equal(replica.levels(), channel.window())


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=6))
def test_damaged_frames_never_raise(script: list[tuple[int, int, int]]) -> None:
    engine, replicas = ModelEngine(), ReplicaSet(lambda: 0.0)
    frames = engine.join(stream_pb2.SubscribeRequest())
    frames += [engine.frame(engine.step({1: {3: 7}}, advance=1)), engine.heartbeat()]
    messages = [bytearray(frame.SerializeToString()) for frame in frames]
    for number, place, mask in script:
        messages[number][place % len(messages[number])] ^= mask

    for message in messages:
        try:
            frame = stream_pb2.Frame.FromString(bytes(message))
        except ProtobufDecodeError:
            continue
        replicas.apply(frame)

    for key in replicas.channels():
        if replicas.replica(*key).has_levels:
            replicas.replica(*key).heatmap()


class StreamMachine(RuleBasedStateMachine):
    """A server that lives, dies and is left; a client that joins, resumes and loses messages."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.engine = ModelEngine(channels=[ModelChannel("BTC", "24h", 1), ModelChannel("ETH", "12h", 2)])
        self.replicas = ReplicaSet(lambda: self.now_s)
        self.undelivered: list[stream_pb2.Section] = []
        self.broken = True
        self.lost = False
        self.epochs = 1
        self.truth: dict[tuple[int, int, int], NDArray[np.uint8]] = {}

    @initialize()
    def join_first(self) -> None:
        self.reconnect(all_of_it=True, cut=0)

    @rule(btc=st.none() | CELLS, eth=st.none() | CELLS, advance=st.integers(0, 2), summed=st.booleans())
    def step(self, btc: dict[int, int] | None, eth: dict[int, int] | None, advance: int, summed: bool) -> None:
        changes = {number: cells for number, cells in ((1, btc), (2, eth)) if cells is not None}
        self.undelivered.append(self.engine.step(changes, advance=advance, summed=summed))
        self.remember()

    @rule(btc=CELLS, eth=st.none() | CELLS, advance=st.integers(0, 2), summed=st.booleans())
    def step_and_deliver(self, btc: dict[int, int], eth: dict[int, int] | None, advance: int, summed: bool) -> None:
        self.step(btc, eth, advance, summed)
        self.deliver(len(self.undelivered))

    @rule(btc=CELLS, eth=st.none() | CELLS, advance=st.integers(0, 2), summed=st.booleans())
    def step_and_lose(self, btc: dict[int, int], eth: dict[int, int] | None, advance: int, summed: bool) -> None:
        """A server with a defect: a section is never sent. The next change of its channels must show it."""
        self.deliver(len(self.undelivered))
        self.step(btc, eth, advance, summed)
        self.undelivered.clear()
        self.lost = True

    @rule(first_row=st.integers(1900, 2100))
    def move_rows(self, first_row: int) -> None:
        self.engine.tick += 1
        chunk = self.engine.channels[0].regenerate(self.engine.tick, first_row, 5)
        self.undelivered.append(self.engine.publish([chunk]))
        self.remember()

    @rule(count=st.integers(1, 5))
    def deliver(self, count: int) -> None:
        """Send everything up to some section as one message, as a conflating server does."""
        taken, self.undelivered = self.undelivered[:count], self.undelivered[count:]
        if taken and not self.broken:
            merged = stream_pb2.Section()
            for section in taken:
                merged.chunks.extend(section.chunks)
            merged.source_id, merged.epoch = taken[-1].source_id, taken[-1].epoch
            merged.tick, merged.complete = taken[-1].tick, True
            self.take(self.engine.frame(merged, ticks_conflated=len(taken) - 1))

    @rule()
    def deliver_twice(self) -> None:
        if self.engine.log and not self.broken:
            sent = len(self.engine.log) - len(self.undelivered)
            if sent > 0 and not self.lost:
                was_in_sync = self.replicas.in_sync
                self.take(self.engine.frame(self.engine.log[sent - 1]))
                assert self.replicas.in_sync or not was_in_sync

    @rule()
    def be_silent(self) -> None:
        self.now_s += 3.5
        assert not self.replicas.in_sync

    @rule()
    def beat(self) -> None:
        if not self.undelivered and not self.broken:
            self.take(self.engine.heartbeat())

    @rule(ring_ticks=st.integers(0, 10))
    def shorten_the_ring(self, ring_ticks: int) -> None:
        self.engine.ring_ticks = ring_ticks

    @rule()
    def restart_the_server(self) -> None:
        self.epochs += 1
        self.engine.restart(self.epochs)
        self.undelivered = []
        self.broken = True
        self.replicas.disconnected("connection lost")

    @rule(all_of_it=st.booleans(), cut=st.integers(0, 6))
    def reconnect(self, all_of_it: bool, cut: int) -> None:
        """Open a new stream; where not all of it arrives, it breaks within the join."""
        self.remember()
        self.replicas.disconnected("connection lost")
        points = self.replicas.resume_points()
        self.replicas.connecting()
        frames = self.engine.join(stream_pb2.SubscribeRequest(resume=points))
        self.broken = False
        self.undelivered = []
        for frame in frames if all_of_it else frames[:cut]:
            self.take(frame)
            assert frame.HasField("snapshot_end") or not self.replicas.in_sync
        if all_of_it and not frames[0].hello.resumed:
            self.lost = False
        if not all_of_it:
            self.broken = True
            self.replicas.disconnected("connection lost")

    def take(self, frame: stream_pb2.Frame) -> None:
        effect = self.replicas.apply(stream_pb2.Frame.FromString(frame.SerializeToString()))
        if effect.broken:
            assert not self.replicas.in_sync
            self.broken = True
            self.replicas.disconnected(effect.broken)

    def remember(self) -> None:
        for channel in self.engine.channels:
            self.truth[self.engine.epoch, channel.channel_id, channel.tick] = channel.window()

    @invariant()
    def in_sync_is_the_truth(self) -> None:
        if not self.replicas.in_sync:
            return
        for channel in self.engine.channels:
            replica = self.replicas.replica(channel.symbol, channel.timeframe)
            held = self.truth[self.engine.epoch, channel.channel_id, replica.tick]
            np.testing.assert_array_equal(replica.levels(), held)

    @invariant()
    def resume_points_are_not_ahead_of_what_is_held(self) -> None:
        """Whoever resumes there must find, with what follows, the newest state."""
        for point in self.replicas.resume_points():
            if point.epoch == self.engine.epoch and not self.lost:
                for channel in self.engine.channels:
                    replica = self.replicas.replica(channel.symbol, channel.timeframe)
                    assert replica.tick >= max(tick for tick in channel.history if tick <= point.tick)

    def teardown(self) -> None:
        """Whatever has happened: with a whole server and line, the next change of each channel leads to the newest."""
        self.engine.ring_ticks = 1000  # a resume that heals nothing must not be hidden by keyframes
        self.reconnect(all_of_it=True, cut=0)
        self.step({0: 1}, {0: 2}, advance=1, summed=True)
        self.deliver(1)
        if self.broken:
            self.reconnect(all_of_it=True, cut=0)
        assert self.replicas.in_sync
        for channel in self.engine.channels:
            replica = self.replicas.replica(channel.symbol, channel.timeframe)
            np.testing.assert_array_equal(replica.levels(), channel.window())


TestStream = StreamMachine.TestCase
# An example is a whole life of a server, some fifty times the work of one above.
PROFILE = settings.default
assert PROFILE is not None
TestStream.settings = settings(max_examples=PROFILE.max_examples // 2, stateful_step_count=40)
