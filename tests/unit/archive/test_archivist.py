"""What the archive makes of a shard that is killed, loses power or has no room: the same days, or a hole, said."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from liqscape.archive import archivist
from liqscape.archive.day_files import day_folder, days_in
from liqscape.archive.manifest import DAY_MINUTES, day_of, joined_spans, read_manifest
from liqscape.archive.reader import ArchiveReader
from liqscape.axes import timeframe
from liqscape.errors import DataLoss
from liqscape.events import Event, TickEnd
from liqscape.positions.mix import prior_inflow_mix
from tests.archived_market import DAY, INSTRUMENTS, START_MINUTE, SYMBOL, ArchivedShard, market, rendered

TICKS: list[list[Event]] = rendered(market(2, seed=9), (), every=8)
MIDNIGHT = (START_MINUTE // DAY + 2) * DAY
"""The second one; both days before it have parts."""
LOST = 8
"""Ticks that a loss of power takes before midnight: a snapshot and its part are among them."""


def first_tick_from(minute: int) -> int:
    """Return the number of the first tick that ends after the beginning of a minute."""
    ends = (tick[-1] for tick in TICKS)
    return next(n for n, end in enumerate(ends, 1) if isinstance(end, TickEnd) and end.time_ns > minute * 60 * 10**9)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of the sealed days."""
    archive = folder / "archive"
    found = (path for day in days_in(archive) for path in day_folder(archive, day).rglob("*") if path.is_file())
    return {str(path.relative_to(archive)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the days of a shard that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole")
    kept = ArchivedShard(folder, snapshot_ticks=1000)
    kept.take(TICKS, len(TICKS))
    kept.stop()
    return files(folder)


@pytest.mark.slow
@pytest.mark.parametrize("after_midnight", [-1, 1])
def test_days_of_a_killed_shard_are_the_same_to_the_byte(
    after_midnight: int, whole: dict[str, bytes], tmp_path: Path
) -> None:
    kept = ArchivedShard(tmp_path / "a", snapshot_ticks=5)
    kept.take(TICKS, first_tick_from(MIDNIGHT) + after_midnight)
    kept.killed(tmp_path / "b")

    kept = ArchivedShard(tmp_path / "b", snapshot_ticks=7)
    kept.take(TICKS, len(TICKS))
    kept.stop()

    assert files(tmp_path / "b") == whole
    assert kept.archivist.counters["archive_holes"] == 0


def lose_power(folder: Path, tick: int) -> None:
    """Take from a folder what was written of a tick and later ones, but for the archive, which had reached the disk.

    An older snapshot and a newer one are there before.
    """
    snapshots = {int(p.name.split("-")[1].split(".")[0]): p for p in (folder / "snapshots").iterdir()}
    parts = [int(path.name.split("-")[1]) for path in (folder / "archive" / "open").iterdir()]
    assert min(snapshots) < tick < max(snapshots)
    assert min(parts) < tick <= max(parts)
    for number, snapshot in snapshots.items():
        if number >= tick:
            snapshot.unlink()
    with closing(sqlite3.connect(folder / "journal.sqlite")) as connection, connection:
        connection.execute("DELETE FROM ticks WHERE tick >= ?", (tick,))
    (folder / "journal.head").unlink()


@pytest.mark.slow
def test_day_whose_last_ticks_a_loss_of_power_took_is_the_same_when_they_come_again(
    whole: dict[str, bytes], tmp_path: Path
) -> None:
    begins = first_tick_from(MIDNIGHT)
    kept = ArchivedShard(tmp_path, snapshot_ticks=5)
    kept.take(TICKS, begins + 9)
    kept.let_snapshots_end()
    kept.stop()
    lose_power(tmp_path, begins - LOST)

    kept = ArchivedShard(tmp_path, snapshot_ticks=5)
    assert kept.shard.tick == begins - LOST - 1
    kept.take(TICKS, len(TICKS))
    kept.stop()

    assert files(tmp_path) == whole
    assert kept.archivist.counters["archive_holes"] == 0


@pytest.mark.slow
def test_day_that_goes_on_otherwise_after_a_loss_of_power_is_made_anew_and_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begins = first_tick_from(MIDNIGHT)
    kept = ArchivedShard(tmp_path / "a", snapshot_ticks=5)
    kept.take(TICKS, begins + 9)
    kept.let_snapshots_end()
    kept.stop()
    lose_power(tmp_path / "a", begins - LOST)
    other = [*TICKS[: begins - LOST - 1], *TICKS[begins - LOST :]]  # a tick that nobody remembers is not told again

    with caplog.at_level(logging.ERROR):
        kept = ArchivedShard(tmp_path / "a", snapshot_ticks=1000)
        kept.take(other, begins + 4)
        kept.stop()

    untouched = ArchivedShard(tmp_path / "b", snapshot_ticks=1000)
    untouched.take(other, begins + 4)
    untouched.stop()
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert "is set aside as" in caplog.text


def test_mix_that_changes_is_told_by_the_minutes_it_was_in_force(tmp_path: Path) -> None:
    name, change = INSTRUMENTS[0].instrument_id, first_tick_from(MIDNIGHT) - 12
    prior = prior_inflow_mix(INSTRUMENTS[0].leverage_tiers)
    other = (prior[1], prior[0], *prior[2:])
    kept = ArchivedShard(tmp_path)
    kept.take(TICKS, change)
    kept.stop()

    kept = ArchivedShard(tmp_path, mixes={name: other})
    kept.take(TICKS, len(TICKS))
    kept.stop()

    reader = ArchiveReader(tmp_path / "archive", INSTRUMENTS)
    before, after = (TICKS[number][-1] for number in (change - 2, change + 3))
    assert isinstance(before, TickEnd)
    assert isinstance(after, TickEnd)
    assert reader.state(SYMBOL, before.time_ns // (60 * 10**9)).mixes[name] == prior
    assert reader.state(SYMBOL, after.time_ns // (60 * 10**9)).mixes[name] == other
    assert other != prior


def test_part_that_is_lost_is_a_hole_that_is_said_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evening = first_tick_from(MIDNIGHT) - 8
    kept = ArchivedShard(tmp_path, snapshot_ticks=5)
    kept.take(TICKS, evening)
    kept.let_snapshots_end()
    kept.stop()
    newest = sorted((tmp_path / "archive" / "open").iterdir())[-1]
    newest.unlink()

    with caplog.at_level(logging.ERROR):
        kept = ArchivedShard(tmp_path, snapshot_ticks=5)
        kept.take(TICKS, len(TICKS))
        kept.stop()

    day = day_of(MIDNIGHT - 1)
    manifest = read_manifest(day_folder(tmp_path / "archive", day))
    assert len(joined_spans(manifest.spans)) == 2
    assert kept.archivist.counters["archive_holes"] == 1
    assert "are missing in it" in caplog.text
    reader = ArchiveReader(tmp_path / "archive", INSTRUMENTS)
    with pytest.raises(DataLoss, match=manifest.day):
        reader.grid(SYMBOL, timeframe("24h"), (day + 1) * DAY_MINUTES - 1)
    assert reader.grid(SYMBOL, timeframe("24h"), manifest.spans[0].until_minute).cells.any()


def test_parts_that_cannot_be_written_are_let_go_when_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "open").write_text("a file in the place of a folder")
    monkeypatch.setattr(archivist, "MAX_OPEN_BYTES", 1000)

    with caplog.at_level(logging.ERROR):
        kept = ArchivedShard(tmp_path, snapshot_ticks=5)
        kept.take(TICKS, 60)
        kept.let_snapshots_end()
        kept.archivist.wait()
        waiting = len(kept.archivist._open)
        kept.stop()

    assert waiting == 1
    assert kept.archivist.counters["archive_holes"] > 0
    assert "are let go, they cannot be written" in caplog.text


def test_archive_without_room_is_said_and_ticks_and_snapshots_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "open").write_text("a file in the place of a folder")

    with caplog.at_level(logging.ERROR):
        kept = ArchivedShard(tmp_path, snapshot_ticks=5)
        kept.take(TICKS, 60)
        kept.let_snapshots_end()
        said = kept.keeper.said
        kept.stop()

    assert said.startswith("not archived: ")
    assert kept.keeper.all_counters["archive_failures"] > 0
    assert kept.keeper.counters["snapshots"] > 0
    assert kept.keeper.counters["snapshot_failures"] == 0
