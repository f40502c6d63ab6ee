"""I7: a shard made again of its journal, or of a snapshot and the journal since, goes on as the one that lived."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import TickEnd
from liqscape.grid.shard import Shard, ShardSnapshot
from liqscape.journal.snapshot_file import read_snapshot, write_snapshot
from liqscape.market.tick_codec import decode_tick, encode_tick
from liqscape.recovery import snapshot_of, stored_snapshot
from tests.conftest import fewer_examples
from tests.equal_shards import Stream, differences
from tests.property.made_up_days import Day, days, short_frames


def new_shard(day: Day, journal: list[bytes] | None = None) -> Shard:
    """Return a shard that has taken nothing, and writes what it takes down."""
    with short_frames():
        return Shard(
            day.instruments,
            NumpyBackend(),
            lambda: 0,
            rolls_per_tick=1,
            on_closed=None if journal is None else lambda tick, closed: journal.append(encode_tick(closed)),
        )


def through_a_file(folder: Path, snapshot: ShardSnapshot) -> ShardSnapshot:
    """Return what a file gives back of a snapshot."""
    path = folder / "a.snapshot"
    write_snapshot(path, stored_snapshot(snapshot, {}))
    return snapshot_of(read_snapshot(path))


@pytest.mark.slow
@settings(max_examples=settings().max_examples // 5)
@given(days(symbols=("BTC", "ETH"), min_ticks=10, max_ticks=20))
def test_journal_says_the_same_tick_by_tick(day: Day) -> None:
    journal: list[bytes] = []
    lived = new_shard(day, journal)
    sent, stream = [], Stream(lived)
    for tick in day.ticks:
        output = None
        for event in tick:
            output = lived.accept(event)
        sent.append(stream.send(output))

    again = new_shard(day)
    stream = Stream(again)

    assert [stream.send(again.replay(decode_tick(body), render=True)) for body in journal] == sent
    assert differences(lived, again) == []


@pytest.mark.slow
@fewer_examples(2)
@given(days(symbols=("BTC", "ETH"), min_ticks=10, max_ticks=20), st.integers(0, 19), st.integers(0, 19))
def test_restored_shard_goes_on_as_the_one_that_lived(
    tmp_path_factory: pytest.TempPathFactory, day: Day, snapshot_after: int, killed_after: int
) -> None:
    journal: list[bytes] = []
    lived = new_shard(day, journal)
    snapshot: ShardSnapshot | None = None
    ticks = list(day.ticks)
    first, rest = ticks[: killed_after + 1], ticks[killed_after + 1 :]
    for number, tick in enumerate(first):
        for event in tick:
            lived.accept(event)
        if number <= snapshot_after and lived.may_be_snapshot:
            copy = lived.snapshot()
            for log, work in lived.compactions():
                log.adopt(work())
            snapshot = copy()

    restored = new_shard(day)
    if snapshot is not None:
        restored.restore(through_a_file(tmp_path_factory.mktemp("snapshot"), snapshot))
    for body in journal[restored.tick :]:
        restored.replay(decode_tick(body))

    assert differences(lived, restored) == []
    streams = Stream(lived), Stream(restored)
    assert streams[0].send(lived.restate()) == streams[1].send(restored.restate())
    for tick in rest:
        for event in tick:
            said = lived.accept(event), restored.accept(event)
            if isinstance(event, TickEnd):
                assert streams[0].send(said[0]) == streams[1].send(said[1])
    assert differences(lived, restored) == []
