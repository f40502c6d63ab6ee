"""Selections, waking, sharing, and what the hub says of its source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import STAMP_STEP_NS, Hub, Position, Selection
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.errors import InvalidArgument, NotFound
from liqscape.v1 import stream_pb2
from tests.fake_engine import FakeEngine, describe


class Origin:
    """An engine, an encoder and a hub, stepped by hand under a clock moved by hand."""

    def __init__(self, tick_ms: int = 1000) -> None:
        self.now_s = 100.0
        self.engine = FakeEngine(tick_ms=tick_ms)
        self.encoder = StreamEncoder(self.engine.shard, now_ns=lambda: 3)
        self.hub = Hub(InProcessFrameSource(self.engine.shard), now_ns=lambda: 4, monotonic=lambda: self.now_s)

    def step(self, ended: bool = False) -> TickRecord:
        record = self.encoder.encode(self.engine.step(ended=ended))
        self.hub.append(record)
        return record


@pytest.fixture
def origin() -> Origin:
    started = Origin()
    started.step()
    return started


def test_hub_is_ready_from_the_first_record_on() -> None:
    fresh = Origin()
    before = fresh.hub.is_ready

    fresh.step()

    assert (before, fresh.hub.is_ready) == (False, True)


def test_no_selector_selects_everything(origin: Origin) -> None:
    assert origin.hub.select([]) == Selection((1, 2, 3, 4), ("BTC", "ETH"))


def test_symbol_alone_selects_all_its_timeframes(origin: Origin) -> None:
    assert origin.hub.select([("ETH", "")]) == Selection((3, 4), ("ETH",))


def test_order_and_repeats_of_selectors_do_not_matter(origin: Origin) -> None:
    one = origin.hub.select([("ETH", "24h"), ("BTC", "12h"), ("ETH", "24h")])
    other = origin.hub.select([("BTC", "12h"), ("ETH", "24h")])

    assert one == other == Selection((1, 4), ("BTC", "ETH"))


def test_unknown_symbol_names_those_that_exist(origin: Origin) -> None:
    with pytest.raises(NotFound, match=r"symbol 'DOGE' is not served; served are BTC, ETH"):
        origin.hub.select([("BTC", "12h"), ("DOGE", "12h")])


def test_unknown_timeframe_names_the_allowed_ones(origin: Origin) -> None:
    with pytest.raises(InvalidArgument, match=r"timeframe '7m' is unknown; use one of 12h, 24h, 3d"):
        origin.hub.select([("BTC", "7m")])


def test_timeframe_that_is_not_served_is_not_found(origin: Origin) -> None:
    with pytest.raises(NotFound, match=r"timeframe '1y' of BTC is not served; served are 12h, 24h"):
        origin.hub.select([("BTC", "1y")])


def test_empty_symbol_is_refused(origin: Origin) -> None:
    with pytest.raises(InvalidArgument, match="symbol is empty; name one of BTC, ETH"):
        origin.hub.select([("", "12h")])


def test_channel_without_a_keyframe_is_not_offered(origin: Origin) -> None:
    described = origin.engine.shard
    hub = Hub(InProcessFrameSource(described))

    assert hub.channels() == []
    assert [channel.channel_id for channel in origin.hub.channels()] == [1, 2, 3, 4]


def test_batch_holds_only_what_was_selected(origin: Origin) -> None:
    batch = origin.hub.batch(origin.hub.select([("ETH", "12h")]), None)

    chunks = stream_pb2.Frame.FromString(origin.hub.frame(batch, 0)).sections[0].chunks
    assert [chunk.symbol.symbol for chunk in chunks if chunk.HasField("symbol")] == ["ETH"]
    assert [chunk.venue.symbol for chunk in chunks if chunk.HasField("venue")] == ["ETH"]
    assert [chunk.channel.channel_id for chunk in chunks if chunk.HasField("channel")] == [3]


def test_readers_of_one_selection_at_one_position_share_their_bytes(origin: Origin) -> None:
    selection = origin.hub.select([])
    origin.step()

    one = origin.hub.batch(selection, Position(1, 1))
    other = origin.hub.batch(selection, Position(1, 1))

    assert one is other
    assert origin.hub.frame(one, 0) is origin.hub.frame(other, 0)
    assert origin.hub.batch(selection, None) is not one


def test_shared_bytes_are_let_go_with_the_next_tick(origin: Origin) -> None:
    selection = origin.hub.select([])
    before = origin.hub.batch(selection, None)
    frame = origin.hub.frame(before, 0)

    origin.step()

    assert origin.hub.batch(selection, None) is not before
    assert origin.hub.batch(selection, None).to == Position(2, 2)
    assert origin.hub.frame(before, 0) == frame
    assert origin.hub.frame(before, 0) is not frame


def test_cache_of_frames_is_bounded(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liqscape.broadcast.hub.FRAME_CACHE_BYTES", 10)
    batch = origin.hub.batch(origin.hub.select([]), None)

    assert origin.hub.frame(batch, 0) is not origin.hub.frame(batch, 0)


def test_readers_handed_a_frame_within_a_millisecond_share_its_stamp_and_later_ones_do_not() -> None:
    engine, now_ns = FakeEngine(), 1_000_000_000
    hub = Hub(InProcessFrameSource(engine.shard), now_ns=lambda: now_ns)
    hub.append(StreamEncoder(engine.shard).encode(engine.step()))
    frame = hub.frame(hub.batch(hub.select([]), None), 0)

    first = hub.stamped(frame)
    now_ns += STAMP_STEP_NS - 1
    within = hub.stamped(frame)
    now_ns += 1
    later = hub.stamped(frame)
    now_ns -= 1
    before = hub.stamped(frame)  # the wall clock was set back

    assert within is first
    assert [stream_pb2.Frame.FromString(data).sent_unix_ns for data in (first, later, before)] == [
        1_000_000_000,
        1_000_000_000 + STAMP_STEP_NS,
        1_000_000_000 + STAMP_STEP_NS - 1,
    ]


def test_frame_that_is_nobody_elses_has_the_stamp_of_now(origin: Origin) -> None:
    heartbeat = stream_pb2.Frame(heartbeat=stream_pb2.Heartbeat())

    message = origin.hub.stamped(heartbeat.SerializeToString())

    assert stream_pb2.Frame.FromString(message).sent_unix_ns == 4


def test_step_is_the_newest_tick_alone_and_there_is_none_before_the_second(origin: Origin) -> None:
    selection = origin.hub.select([])
    first = origin.hub.step(selection)
    origin.step()
    step = origin.hub.step(selection)

    assert first is None
    assert step is not None
    assert (step.after, step.to) == (Position(1, 1), Position(2, 2))
    assert step.frame == origin.hub.frame(origin.hub.batch(selection, Position(1, 1)), 0)
    assert origin.hub.step(origin.hub.select([])) is step


def test_step_in_fragments_is_none() -> None:
    engine = FakeEngine(rows=200)
    hub, encoder = Hub(InProcessFrameSource(engine.shard), max_frame_bytes=1200), StreamEncoder(engine.shard)
    for _ in range(2):
        hub.append(encoder.encode(engine.step(cells=500)))

    assert hub.step(hub.select([])) is None


def test_states_tell_stale_after_a_silence_and_ended_at_the_end(origin: Origin) -> None:
    simulated = stream_pb2.DATA_STATE_SIMULATED
    fresh = origin.hub.states()
    origin.now_s += 5.1
    silent = origin.hub.states()
    origin.step(ended=True)
    origin.now_s += 100

    assert fresh == (simulated,)
    assert silent == (simulated, stream_pb2.DATA_STATE_STALE)
    assert origin.hub.states() == (simulated, stream_pb2.DATA_STATE_ENDED)


def test_long_ticks_are_not_called_stale_before_three_of_them() -> None:
    slow = Origin(tick_ms=60_000)
    slow.step()

    slow.now_s += 170
    patient = slow.hub.states()
    slow.now_s += 20

    assert stream_pb2.DATA_STATE_STALE not in patient
    assert stream_pb2.DATA_STATE_STALE in slow.hub.states()


async def test_record_wakes_every_waiting_reader(origin: Origin) -> None:
    waiting = [asyncio.create_task(origin.hub.wait(60, for_tick=True)) for _ in range(3)]
    await asyncio.sleep(0)

    origin.step()

    await asyncio.wait_for(asyncio.gather(*waiting), 5)


async def test_reader_that_leaves_does_not_take_the_others_with_it(origin: Origin) -> None:
    leaving = asyncio.create_task(origin.hub.wait(60, for_tick=True))
    staying = asyncio.create_task(origin.hub.wait(60, for_tick=True))
    await asyncio.sleep(0)

    leaving.cancel()
    await asyncio.wait({leaving})

    assert not staying.done()
    origin.step()
    await asyncio.wait_for(staying, 5)


async def test_reader_held_back_by_its_cadence_sleeps_through_records(origin: Origin) -> None:
    held_back = asyncio.create_task(origin.hub.wait(60, for_tick=False))
    await asyncio.sleep(0)

    origin.step()
    await asyncio.sleep(0)
    slept = not held_back.done()
    origin.hub.close("test", 0)

    await asyncio.wait_for(held_back, 5)
    assert slept


async def test_wait_ends_when_its_time_is_over(origin: Origin) -> None:
    await asyncio.wait_for(origin.hub.wait(0.001, for_tick=True), 5)


async def test_running_hub_takes_the_records_of_its_source() -> None:
    engine = FakeEngine()
    encoder = StreamEncoder(engine.shard)
    source = InProcessFrameSource(engine.shard)
    hub = Hub(source)

    async with hub.running():
        source.publish(encoder.encode(engine.step()))
        await asyncio.wait_for(hub.wait(60, for_tick=True), 5)

    assert hub.position == Position(1, 1)


class BrokenSource:
    """A source that sends a tick twice."""

    def __init__(self, record: TickRecord) -> None:
        self._record = record

    @property
    def shard(self) -> ShardDescription:
        return describe()

    async def records(self) -> AsyncIterator[TickRecord]:
        yield self._record
        yield self._record


async def test_source_that_breaks_the_rules_ends_the_streams(caplog: pytest.LogCaptureFixture) -> None:
    engine = FakeEngine()
    hub = Hub(BrokenSource(StreamEncoder(engine.shard).encode(engine.step())))

    async with hub.running():
        while hub.goodbye is None:
            await asyncio.wait_for(hub.wait(60, for_tick=False), 5)

    assert hub.goodbye.reason == "internal error"
    assert "frames of source shard-0 cannot be taken any more" in caplog.text
