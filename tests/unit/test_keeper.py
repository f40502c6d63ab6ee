"""What keeps a shard: commits before ticks are taken, snapshots beside them, and going on from memory on a full disk.

Seen to fail when broken on purpose, one at a time, in keeper.py: ticks that waited forgotten when the disk has room
again; the journal going on right after ticks were let go; the journal truncated before the newest snapshot in place of
the oldest; the failure logged each time.
"""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from liqscape import keeper as keeper_module
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import ConfigError
from liqscape.events import Correction, Event
from liqscape.journal.snapshot_folder import KEEP_SNAPSHOTS
from liqscape.journal.store import JournalStore, Note, Record, StoreDamaged, StoreUnavailable
from liqscape.recovery import snapshot_of, stored_snapshot
from tests.crash.small_market import HISTORY_TICKS
from tests.equal_shards import differences
from tests.kept_shard import KeptShard, market_ticks, new_shard, reference, rendered_after, sends_the_same


class FailingStore:
    """A store whose disk is full while the test says so."""

    def __init__(self, store: JournalStore) -> None:
        self.store = store
        self.is_full = True
        self.is_broken = False
        self.tries = 0

    def append(self, records: Sequence[Record], notes: Sequence[Note] = ()) -> None:
        self.tries += 1
        self._check()
        self.store.append(records, notes)

    def notes(self) -> Iterator[Note]:
        return self.store.notes()

    def read(self, from_tick: int) -> Iterator[Record]:
        return self.store.read(from_tick)

    def newest_tick(self) -> int | None:
        return self.store.newest_tick()

    def oldest_tick(self) -> int | None:
        return self.store.oldest_tick()

    def truncate_before(self, tick: int) -> int:
        self._check()
        return self.store.truncate_before(tick)

    def maintain(self) -> None:
        self._check()
        self.store.maintain()

    def close(self) -> None:
        self.store.close()

    def _check(self) -> None:
        if self.is_broken:
            raise StoreDamaged("file is broken")
        if self.is_full:
            raise StoreUnavailable("disk is full")


def refuse(*_: object) -> int:
    raise StoreUnavailable("disk is full")


@pytest.fixture(scope="module")
def ticks() -> list[list[Event]]:
    return market_ticks(90)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[KeptShard]:
    shard = KeptShard(tmp_path)
    yield shard
    shard.stop()


def fill(kept: KeptShard) -> FailingStore:
    """Let the disk be full from now on."""
    assert kept.keeper._journal is not None
    store = FailingStore(kept.keeper._journal)
    kept.keeper._journal = store
    return store


def test_new_folder_has_nothing_to_restore(kept: KeptShard) -> None:
    assert (kept.first, kept.shard.tick, kept.keeper.committed_tick, kept.keeper.message) == (None, 0, 0, "")


def test_history_is_committed_in_groups_and_a_tick_that_is_seen_at_once(
    kept: KeptShard, ticks: list[list[Event]]
) -> None:
    kept.take(ticks, HISTORY_TICKS)
    assert kept.keeper.committed_tick == 0

    kept.take(ticks, rendered := rendered_after(ticks, HISTORY_TICKS + 1))

    assert kept.keeper.committed_tick == rendered
    assert kept.keeper.counters["journal_ticks"] == rendered


def test_long_history_is_committed_every_so_often(kept: KeptShard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "GROUP_TICKS", 3)
    kept.take(market_ticks(HISTORY_TICKS), HISTORY_TICKS)

    assert kept.keeper.committed_tick == 6


def test_end_in_good_order_commits_the_rest(tmp_path: Path, ticks: list[list[Event]]) -> None:
    first = KeptShard(tmp_path)
    first.take(ticks, HISTORY_TICKS)
    first.stop()

    again = KeptShard(tmp_path)

    assert (again.shard.tick, again.keeper.counters["journal_ticks_replayed"]) == (HISTORY_TICKS, HISTORY_TICKS)
    assert differences(again.shard, reference(ticks, HISTORY_TICKS)) == []
    again.stop()


def test_restart_serves_what_was_served_and_goes_on(tmp_path: Path, ticks: list[list[Event]]) -> None:
    first = KeptShard(tmp_path, snapshot_seconds=20)
    for second in range(60):
        first.now = second
        first.take(ticks, second)
        first.let_snapshots_end()  # however slow the disk is, the last one is some ticks before the end
    first.stop()

    again = KeptShard(tmp_path)

    lived = reference(ticks, first.shard.tick)
    assert 0 < again.keeper.counters["journal_ticks_replayed"] < 20
    assert again.first is not None
    assert differences(again.shard, lived) == []
    assert sends_the_same(again.shard, lived, ticks)
    again.stop()


def test_full_disk_is_said_once_and_ticks_go_on(
    kept: KeptShard, ticks: list[list[Event]], caplog: pytest.LogCaptureFixture
) -> None:
    kept.take(ticks, 20)
    store = fill(kept)

    kept.take(ticks, 40)

    assert (kept.shard.tick, kept.keeper.committed_tick, store.tries) == (40, 20, 1)
    assert kept.keeper.message == "not durable: disk is full"
    assert kept.keeper.counters["journal_ticks_waiting"] == 20
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "the journal cannot be written, ticks go on from memory: disk is full"
    ]
    assert differences(kept.shard, reference(ticks, 40)) == []


def test_full_disk_is_tried_again_each_second_and_nothing_is_missing_then(
    tmp_path: Path, ticks: list[list[Event]], caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptShard(tmp_path)
    kept.take(ticks, 20)
    store = fill(kept)
    for second in range(1, 11):
        kept.now = second
        kept.take(ticks, 20 + 2 * second)
    assert 5 < store.tries < 12
    store.is_full = False
    kept.now += 1

    kept.take(ticks, last := rendered_after(ticks, 41))

    assert (kept.keeper.message, kept.keeper.committed_tick) == ("", last)
    assert (kept.keeper.counters["journal_ticks_waiting"], kept.keeper.counters["journal_ticks_let_go"]) == (0, 0)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING][1:] == [
        f"the journal is written again; {last - 20} ticks that waited are in it"
    ]
    kept.stop()
    again = KeptShard(tmp_path)
    assert differences(again.shard, reference(ticks, last)) == []
    again.stop()


def test_correction_and_terms_of_a_full_disk_are_there_when_there_is_room(
    tmp_path: Path, ticks: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptShard(tmp_path, snapshot_seconds=1)
    kept.take(ticks, 20)
    store = fill(kept)
    now_ns, name = kept.shard.end_ns, kept.shard.instruments[0].instrument_id
    kept.shard.accept(Correction(name, now_ns, now_ns - 1, now_ns - 1, 5 * 10**8, "a typo"))
    changed = [replace(terms, size_mix=(500_000, 500_000)) for terms in kept.shard.terms]
    kept.shard.propose(changed)
    monkeypatch.setattr(keeper_module, "MAX_WAITING_BYTES", 1)

    kept.take(ticks, 40)
    assert kept.keeper.counters["journal_ticks_let_go"] > 0
    kept.let_snapshots_end()
    store.is_full, kept.now = False, 5
    kept.take(ticks, 60)
    kept.let_snapshots_end()
    kept.take(ticks, rendered_after(ticks, 61))

    kept.stop()
    again = KeptShard(tmp_path)
    assert again.shard.terms == tuple(changed)
    assert differences(again.shard, kept.shard) == []
    assert again.keeper._journal is not None
    notes = list(again.keeper._journal.notes())
    assert [note.tick for note in notes if "a typo" in note.text] == [21]
    assert [note.tick for note in notes if note.kind == "terms"] == [21] * len(changed)
    again.stop()


def test_ticks_that_are_too_many_to_wait_are_let_go_and_a_snapshot_stands_for_them(
    tmp_path: Path, ticks: list[list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptShard(tmp_path / "data")
    kept.take(ticks, 20)
    kept.let_snapshots_end()
    with monkeypatch.context() as full:
        full.setattr(keeper_module, "MAX_WAITING_BYTES", 2000)
        full.setattr(kept.folder.snapshots, "write", refuse)
        store = fill(kept)
        kept.take(ticks, 50)
        store.is_full = False
        kept.now += 2
        kept.take(ticks, 55)
        kept.let_snapshots_end()

    # There is room in the journal, but it must not go on behind a hole: a snapshot has to be there before.
    assert kept.keeper.counters["journal_ticks_let_go"] > 10
    assert kept.keeper.committed_tick == 20
    shutil.copytree(tmp_path / "data", tmp_path / "killed")
    killed = KeptShard(tmp_path / "killed")
    assert (killed.shard.tick, killed.keeper.counters["damaged_files"]) == (20, 0)
    killed.stop()

    kept.now += 2
    kept.take(ticks, 80)
    kept.let_snapshots_end()
    kept.take(ticks, last := rendered_after(ticks, 81))
    assert (kept.keeper.committed_tick, kept.keeper.message) == (last, "")
    kept.stop()
    again = KeptShard(tmp_path / "data")
    assert again.keeper.counters["damaged_files"] == 0
    assert differences(again.shard, reference(ticks, last)) == []
    again.stop()


def test_snapshot_that_cannot_be_written_is_said_once_and_tried_again(
    kept: KeptShard, ticks: list[list[Event]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept.take(ticks, 20)
    kept.let_snapshots_end()
    good = kept.keeper.counters["snapshots"]

    with monkeypatch.context() as patch:
        patch.setattr(kept.folder.snapshots, "write", refuse)
        for until in (30, 40):
            kept.now += 2e9
            kept.take(ticks, until)
            kept.let_snapshots_end()
    assert kept.keeper.counters["snapshot_failures"] == 2
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "snapshots cannot be written: disk is full"
    ]

    kept.now += 2e9
    kept.take(ticks, 50)
    kept.let_snapshots_end()

    assert kept.keeper.counters["snapshots"] == good + 1


def test_snapshot_that_has_no_memory_or_a_defect_does_not_end_the_ticks(
    kept: KeptShard, ticks: list[list[Event]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_memory() -> None:
        raise OutOfDeviceMemory("no memory")

    monkeypatch.setattr(kept.shard, "snapshot", no_memory)
    kept.take(ticks, 20)
    assert kept.keeper.counters["snapshot_failures"] == 1
    monkeypatch.setattr(kept.shard, "snapshot", lambda: lambda: object())
    kept.now += 2e9

    kept.take(ticks, 40)
    kept.let_snapshots_end()

    assert (kept.shard.tick, kept.keeper.counters["snapshot_failures"], kept.keeper.counters["snapshots"]) == (40, 2, 0)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "snapshots cannot be written: no memory"
    ]


def test_maintenance_that_fails_is_said_once_and_counted(kept: KeptShard, caplog: pytest.LogCaptureFixture) -> None:
    store = fill(kept)

    for is_full in (True, True, False, True):
        store.is_full = is_full
        kept.keeper.maintain()

    assert kept.keeper.counters["journal_failures"] == 3
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "a loss of power may take more than it should: disk is full"
    ] * 2


@pytest.mark.parametrize("found_by", ["ticks", "maintenance"])
def test_journal_that_breaks_makes_room_for_another_once_a_snapshot_stands_for_it(
    tmp_path: Path, ticks: list[list[Event]], found_by: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptShard(tmp_path / "data")
    kept.take(ticks, 20)
    kept.let_snapshots_end()
    store = fill(kept)
    store.is_full, store.is_broken = False, True
    if found_by == "maintenance":
        kept.keeper.maintain()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept.folder.snapshots, "write", refuse)
        kept.take(ticks, 30)
        kept.let_snapshots_end()
    # What the broken one still has is not given up before a snapshot has it.
    assert (kept.keeper.committed_tick, kept.keeper.message) == (20, "not durable: file is broken")
    shutil.copytree(tmp_path / "data", tmp_path / "killed")
    killed = KeptShard(tmp_path / "killed")
    assert (killed.shard.tick, killed.keeper.counters["damaged_files"]) == (20, 0)
    killed.stop()

    kept.now += 2
    kept.take(ticks, 40)
    kept.let_snapshots_end()
    kept.take(ticks, last := rendered_after(ticks, 41))

    assert (kept.keeper.committed_tick, kept.keeper.message) == (last, "")
    assert kept.keeper.counters["damaged_files"] >= 1
    assert any("the journal is broken and set aside as" in record.getMessage() for record in caplog.records)
    kept.keeper.maintain()
    kept.stop()
    again = KeptShard(tmp_path / "data")
    assert again.keeper.counters["damaged_files"] == 0
    assert differences(again.shard, reference(ticks, last)) == []
    again.stop()


def test_maintenance_goes_on_after_a_failure_that_nobody_foresaw(
    kept: KeptShard, caplog: pytest.LogCaptureFixture
) -> None:
    store = fill(kept)
    store.is_full = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "maintain", lambda: 1 // 0)
        kept.keeper.maintain()

    kept.keeper.maintain()

    assert kept.keeper.counters["journal_failures"] == 1
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "a loss of power may take more than it should: integer division or modulo by zero"
    ]


def test_snapshot_that_is_done_at_the_end_lets_the_journal_go_on(
    tmp_path: Path, ticks: list[list[Event]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptShard(tmp_path, snapshot_seconds=1)
    kept.take(ticks, 20)
    kept.let_snapshots_end()
    store = fill(kept)
    with monkeypatch.context() as full:
        full.setattr(keeper_module, "MAX_WAITING_BYTES", 1)
        kept.take(ticks, 30)
    kept.let_snapshots_end()
    store.is_full = False
    kept.now = 5
    kept.take(ticks, begun := rendered_after(ticks, 31))
    assert kept.keeper.is_snapshotting
    for event in ticks[begun]:
        kept.shard.accept(event)

    kept.stop()

    assert not any("in no file" in record.getMessage() for record in caplog.records)
    again = KeptShard(tmp_path)
    assert differences(again.shard, reference(ticks, begun + 1)) == []
    again.stop()


def test_ticks_that_still_wait_at_the_end_are_told(
    tmp_path: Path, ticks: list[list[Event]], caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptShard(tmp_path)
    kept.take(ticks, 20)
    fill(kept)
    kept.take(ticks, 25)

    kept.stop()

    assert caplog.records[-1].getMessage() == "5 ticks that waited for the journal are in no file"


def test_journal_leads_from_the_oldest_snapshot_kept_to_now(tmp_path: Path, ticks: list[list[Event]]) -> None:
    kept = KeptShard(tmp_path, snapshot_seconds=10)
    for second in range(70):
        kept.now = second
        kept.take(ticks, second)
        kept.let_snapshots_end()
        kept.keeper.maintain()
    kept.stop()

    found = kept.folder.snapshots.ticks()
    assert len(found) == KEEP_SNAPSHOTS
    for tick in found:
        again = KeptShard(tmp_path)
        again.keeper.maintain()
        assert again.keeper.counters["journal_ticks_replayed"] == again.shard.tick - kept.folder.snapshots.ticks()[-1]
        assert differences(again.shard, reference(ticks, 69)) == []
        again.stop()
        assert tick <= again.shard.tick
        kept.folder.snapshots.path(kept.folder.snapshots.ticks()[-1]).unlink()
    again = KeptShard(tmp_path)
    assert (again.shard.tick, again.keeper.counters["damaged_files"] > 0) == (0, True)
    again.stop()


def test_restore_that_is_interrupted_lets_go_of_the_folder(tmp_path: Path, ticks: list[list[Event]]) -> None:
    first = KeptShard(tmp_path)
    first.take(ticks, 30)
    first.stop()
    kept = KeptShard.__new__(KeptShard)

    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        restore = keeper_module.Keeper.restore
        patch.setattr(keeper_module.Keeper, "restore", lambda k, shard, report: restore(k, shard, interrupt))
        with pytest.raises(KeyboardInterrupt):
            kept.__init__(tmp_path)  # type: ignore[misc]
        kept.keeper.stop()

    again = KeptShard(tmp_path)
    assert again.shard.tick == 30
    again.stop()


@pytest.mark.parametrize("version", [0, 3])
def test_snapshot_of_an_unknown_version_is_refused(ticks: list[list[Event]], version: int) -> None:
    stored = stored_snapshot(reference(ticks, rendered_after(ticks, 20)).snapshot()(), {})

    with pytest.raises(ConfigError, match=f"is of version {version}; 1 and 2 are read here"):
        snapshot_of(replace(stored, version=version))


def test_snapshot_of_the_first_version_is_read(ticks: list[list[Event]]) -> None:
    """It has no stamps of instruments: nothing is late or said again then but what comes after."""
    lived = reference(ticks, rendered_after(ticks, 40))
    tree = copy.deepcopy(stored := stored_snapshot(lived.snapshot()(), {})).tree
    del tree["market"]["held_ns"]
    for carry in tree["market"]["carries"].values():
        for name in ("sampled_ns", "candle_ns", "prices_behind_ns", "samples_behind_ns"):
            del carry[name]

    again = new_shard()
    again.restore(snapshot_of(replace(stored, version=1, tree=tree)))

    assert differences(again, lived) == ["market"]
    assert sends_the_same(again, lived, ticks)
