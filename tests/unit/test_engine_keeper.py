"""An engine with a keeper: it goes on where an earlier one ended, and says when nothing can be kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.engine import EngineThread
from liqscape.events import Event, TickEnd
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.grid.updates import EngineStatus
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.sqlite_store import SqliteJournal
from liqscape.journal.store import StoreUnavailable
from liqscape.keeper import Keeper
from tests.crash.small_market import INSTRUMENTS
from tests.kept_shard import market_ticks, new_shard, rendered_after

WAIT_S = 30.0


class Recording:
    """A source that says the same in each life, from the beginning."""

    def __init__(self, ticks: list[list[Event]]) -> None:
        self._ticks = ticks

    @property
    def description(self) -> SourceDescription:
        """Return what it is."""
        return SourceDescription(name="ticks", instruments=INSTRUMENTS, tick_ms=1000, replay=True)

    def progress(self) -> Progress:
        """Return nothing."""
        return Progress(0, 0, "ticks")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events without ever waiting."""
        for tick in self._ticks:
            for event in tick:
                yield event


def live(folder: Path, ticks: list[list[Event]]) -> tuple[list[TickRecord], list[int], EngineStatus]:
    """Run an engine until its source has ended; return what it published, the ends of ticks it took, and its status."""
    keeper = Keeper(DataFolder(folder), {}, "second", maintain_seconds=1e6)
    taken: list[int] = []

    def record(tick: int, closed: object) -> None:
        taken.append(tick)
        keeper.record(tick, closed)  # type: ignore[arg-type]

    shard, published, ended = new_shard(record), list[TickRecord](), threading.Event()
    engine = EngineThread(
        description=ShardDescription("test", 7, 1000, False, True, "ticks", shard.channels),
        source=Recording(ticks),
        shard=shard,
        backend_name="numpy",
        publish=published.append,
        on_end=ended.set,
        keeper=keeper,
    )
    engine.start()
    assert ended.wait(WAIT_S)
    status = asyncio.run(engine.status())
    engine.stop()
    return published, taken, status


def rendered(ticks: list[list[Event]]) -> list[int]:
    ends = ((number, tick[-1]) for number, tick in enumerate(ticks, 1))
    return [number for number, end in ends if isinstance(end, TickEnd) and end.render]


def test_second_life_begins_with_the_last_tick_whole_and_takes_none_twice(tmp_path: Path) -> None:
    ticks = market_ticks(60)
    first = rendered_after(ticks, 30)
    live(tmp_path, ticks[:first])

    published, taken, status = live(tmp_path, ticks)

    assert taken == list(range(first + 1, 61))
    told = [record.tick for record in published]
    assert told == [first, *(tick for tick in rendered(ticks) if tick > first), rendered(ticks)[-1] + 1]
    assert {chunk.keyframe for chunk in published[0].channels} == {True}
    assert len(published[0].channels) == 4
    assert status.counters["journal_ticks_replayed"] + status.counters["snapshots"] > 0
    assert (status.state, status.tick, status.message) == ("ended", 60, "the input has ended")


def test_life_after_the_end_serves_the_last_state(tmp_path: Path) -> None:
    ticks = market_ticks(last := rendered_after(market_ticks(60), 40))
    live(tmp_path, ticks)

    published, taken, status = live(tmp_path, ticks)

    assert taken == []
    assert [(record.tick, record.ended) for record in published] == [(last, False), (last + 1, True)]
    assert status.state == "ended"


def test_full_disk_is_in_the_status_and_ticks_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreUnavailable("disk is full")

    monkeypatch.setattr(SqliteJournal, "append", full)
    messages: list[str] = []
    set_serving = EngineThread._set_serving

    def look(engine: EngineThread) -> None:
        set_serving(engine)
        messages.append(engine._finished.status.message)

    monkeypatch.setattr(EngineThread, "_set_serving", look)

    published, _, status = live(tmp_path, market_ticks(30))

    assert len(published) > 10
    assert set(messages) == {"not durable: disk is full"}
    assert (status.tick, status.counters["journal_failures"] > 0) == (30, True)


def test_folder_that_cannot_be_restored_fails_the_engine_and_says_why(tmp_path: Path) -> None:
    ticks = market_ticks(40)
    live(tmp_path, ticks)

    _, taken, status = live_of_another_market(tmp_path, ticks)

    assert taken == []
    assert status.state == "failed"
    assert "which is none of the instruments here" in status.message


def live_of_another_market(folder: Path, ticks: list[list[Event]]) -> tuple[list[TickRecord], list[int], EngineStatus]:
    """Run an engine that knows fewer instruments than the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.kept_shard.INSTRUMENTS", INSTRUMENTS[:1])
        return live(folder, ticks)
