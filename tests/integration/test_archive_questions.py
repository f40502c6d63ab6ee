"""Questions to an engine about minutes that have left its memory, answered from its archive."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from liqscape.archive.archivist import Archivist
from liqscape.archive.day_files import day_folder, days_in
from liqscape.archive.manifest import day_text
from liqscape.archive.reader import ArchiveReader
from liqscape.broadcast.ports import ShardDescription
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.engine import EngineThread
from liqscape.errors import DataLoss, InvalidArgument, OutOfRange
from liqscape.events import Event
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.grid import event_log
from liqscape.grid.shard import Shard
from liqscape.grid.updates import GridQuery, PositionModel
from liqscape.journal.data_folder import DataFolder
from liqscape.keeper import Keeper
from tests.archived_market import (
    INSTRUMENTS,
    START_MINUTE,
    SYMBOL,
    ArchivedShard,
    as_served,
    market,
    minute_ends,
    rendered,
)

_ALL: Final = market(3, seed=4)
NOTED: Final = minute_ends(_ALL)[12]
"""Of the first evening, more than a day before the end."""
TICKS: Final = rendered(_ALL, [NOTED], every=25)


class ListedSource:
    """Events from a list, then an end."""

    @property
    def description(self) -> SourceDescription:
        """Return what it is."""
        return SourceDescription(name="a list", instruments=INSTRUMENTS, tick_ms=1000, simulated=True)

    def progress(self) -> Progress:
        """Return nothing."""
        return Progress(0, 0, "events")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events without ever waiting."""
        for tick in TICKS:
            for event in tick:
                yield event


class MergesAtOnce:
    """Stands in for the engine's background work: what may be merged is."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

    def after_tick(self, shard: Shard) -> None:
        """Merge."""
        for log, work in shard.compactions():
            log.adopt(work())

    def stop(self) -> None:
        """Do nothing."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineThread, Path]]:
    """Yield an engine whose input has ended, and the folder of its archive."""
    folder = tmp_path_factory.mktemp("engine") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_log, "COMPACT_MIN_EVENTS", 1)
        patch.setattr("liqscape.engine.BackgroundWork", MergesAtOnce)
        data = DataFolder(folder)
        shard = Shard(INSTRUMENTS, NumpyBackend(), lambda: 0, on_closed=lambda *tick: keeper.record(*tick))
        archivist = Archivist(data.archive_path, INSTRUMENTS)
        keeper = Keeper(data, {"made": "up"}, "off", maintain_seconds=1e6, archive=archivist)
        ended = threading.Event()
        started = EngineThread(
            description=ShardDescription("test", 7, 1000, True, False, "a list", shard.channels),
            source=ListedSource(),
            shard=shard,
            backend_name="numpy",
            publish=lambda record: None,
            on_end=ended.set,
            keeper=keeper,
            archive=ArchiveReader(data.archive_path, INSTRUMENTS),
        )
        started.start()
        assert ended.wait(60)
        archivist.wait()
        yield started, data.archive_path
        started.stop()


async def test_grid_of_days_ago_is_the_one_that_was_served(engine: tuple[EngineThread, Path], tmp_path: Path) -> None:
    beside = ArchivedShard(tmp_path)
    beside.take(TICKS, 60, [NOTED])
    beside.stop()
    assert len(beside.served) == 9

    for (minute, name), was in beside.served.items():
        answer = await engine[0].get_grid(GridQuery(SYMBOL, name, as_of_minute=minute))

        assert as_served(answer, levels_of(answer.cells, answer.usd_per_weighted_lot)) == was
        assert answer.cells.any()
        assert answer.reconciled


async def test_files_are_read_by_others_while_the_engine_lives(engine: tuple[EngineThread, Path]) -> None:
    files = sorted(engine[1].glob("day=*/symbol=BTC/bars.parquet"))

    bars = pd.concat(pd.read_parquet(path, partitioning=None) for path in files)

    assert len(files) == len(days_in(engine[1])) >= 4
    assert bars["tick"].is_monotonic_increasing
    assert bars["tick"].nunique() > 50
    assert (await engine[0].status()).counters["archive_days"] == len(files)


async def test_filters_and_a_mix_of_ones_own_are_parts_of_the_grid_of_then(engine: tuple[EngineThread, Path]) -> None:
    async def cells(**more: object) -> NDArray[np.int64]:
        query = GridQuery(SYMBOL, "24h", as_of_minute=NOTED, **more)  # type: ignore[arg-type]
        return (await engine[0].get_grid(query)).cells

    whole, venue, other = await cells(), await cells(venues=("venue",)), await cells(venues=("binance",))

    assert ((venue + other) == whole).all()
    assert venue.any()
    assert other.any()
    with pytest.raises(InvalidArgument, match="leverages has 7"):
        await cells(leverages=(7,))


async def test_ranges_of_archive_and_memory_are_both_named(engine: tuple[EngineThread, Path]) -> None:
    early = GridQuery(SYMBOL, "24h", as_of_minute=START_MINUTE - 1_000_000)

    with pytest.raises(
        OutOfRange, match=r"the archive of BTC holds minutes \d+ .* to \d+ .*; \d+ to \d+ are in memory"
    ):
        await engine[0].get_grid(early)
    with pytest.raises(OutOfRange, match="model open only is not archived"):
        await engine[0].get_grid(GridQuery(SYMBOL, "24h", as_of_minute=NOTED, model=PositionModel.OPEN_ONLY))


async def test_answer_that_nobody_waits_for_ends_between_two_pieces(
    engine: tuple[EngineThread, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = threading.Event(), threading.Event()
    pieces: list[int] = []
    read = ArchiveReader._read

    def slow(self: ArchiveReader, *arguments: object) -> Iterator[object]:
        for piece in read(self, *arguments):  # type: ignore[arg-type]
            pieces.append(1)
            reading.set()
            assert go_on.wait(30)
            yield piece

    monkeypatch.setattr(ArchiveReader, "_read", slow)
    asked = asyncio.ensure_future(engine[0].get_grid(GridQuery(SYMBOL, "1y", as_of_minute=NOTED)))
    await asyncio.to_thread(reading.wait, 30)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    go_on.set()
    monkeypatch.undo()

    assert (await engine[0].get_grid(GridQuery(SYMBOL, "24h"))).cells.any()  # the query thread is free
    assert len(pieces) == 1


async def test_lost_day_is_named_and_other_days_are_answered(engine: tuple[EngineThread, Path]) -> None:
    archive = engine[1]
    day = days_in(archive)[-2]
    folder = day_folder(archive, day)
    moved = folder.rename(folder.with_name("elsewhere"))

    with pytest.raises(DataLoss, match=f"{day_text(day)} is missing"):
        await engine[0].get_grid(GridQuery(SYMBOL, "12h", as_of_minute=day * 1440 + 700))
    assert (await engine[0].get_grid(GridQuery(SYMBOL, "24h", as_of_minute=NOTED))).cells.any()

    moved.rename(folder)
