"""The journal in SQLite: what is committed is there, and what is missing or broken is named.

Seen to fail when broken on purpose, one at a time: in sqlite_store.py the checksum not looked at, the hole not looked
at, the head not looked at, append without a transaction; in store.py the tick left out of the checksum.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from liqscape.errors import ConfigError
from liqscape.journal import sqlite_store
from liqscape.journal.sqlite_store import MIGRATIONS, SYNC_POLICIES, TRUNCATED_AT_ONCE, SqliteJournal
from liqscape.journal.store import Note, StoreDamaged, StoreUnavailable, checksum


def body(tick: int) -> bytes:
    return f"tick {tick}".encode() * 20


def records(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(tick, body(tick)) for tick in range(first, last + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[SqliteJournal]:
    with closing(SqliteJournal(path)) as opened:
        yield opened


def change(path: Path, statement: str, *values: object) -> None:
    """Do to the file what nobody should."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize("sync", SYNC_POLICIES)
def test_what_was_appended_is_read_by_the_next_process(path: Path, sync: str) -> None:
    with closing(SqliteJournal(path, sync)) as journal:
        journal.append(records(5, 7))
        journal.append(records(8, 8))

        # A second one beside it sees what a process that was killed now would leave.
        with closing(SqliteJournal(path, sync)) as other:
            assert list(other.read(5)) == records(5, 8)
            assert list(other.read(8)) == records(8, 8)
            assert list(other.read(9)) == []
            assert (other.oldest_tick(), other.newest_tick(), other.head.read()) == (5, 8, 8)


def test_new_journal_is_empty(journal: SqliteJournal) -> None:
    assert (list(journal.read(1)), journal.oldest_tick(), journal.newest_tick()) == ([], None, None)


def test_tick_again_takes_its_place(journal: SqliteJournal) -> None:
    journal.append(records(1, 3))
    journal.append([(3, b"other")])

    assert list(journal.read(3)) == [(3, b"other")]


def test_missing_tick_is_named(path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 9))
    change(path, "DELETE FROM ticks WHERE tick IN (4, 5)")
    reading = journal.read(1)

    assert [next(reading)[0] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(StoreDamaged, match=r"journal\.sqlite: ticks 4 to 5 are missing"):
        next(reading)


def test_missing_end_is_named(path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 9))
    change(path, "DELETE FROM ticks WHERE tick > 6")

    with pytest.raises(StoreDamaged, match="ticks 7 to 9 were committed and are missing at the end"):
        list(journal.read(1))


@pytest.mark.parametrize("crc", [checksum(4, b"other"), checksum(3, body(4))])
def test_broken_tick_is_named(path: Path, journal: SqliteJournal, crc: int) -> None:
    journal.append(records(1, 9))
    change(path, "UPDATE ticks SET crc = ? WHERE tick = 4", crc)

    with pytest.raises(StoreDamaged, match="tick 4 fails its checksum"):
        list(journal.read(1))


def test_old_ticks_are_dropped_some_at_a_time(journal: SqliteJournal) -> None:
    journal.append(records(1, TRUNCATED_AT_ONCE + 20))

    dropped = [journal.truncate_before(TRUNCATED_AT_ONCE + 11) for _ in range(3)]

    assert dropped == [TRUNCATED_AT_ONCE, 10, 0]
    assert journal.oldest_tick() == TRUNCATED_AT_ONCE + 11
    journal.append(records(TRUNCATED_AT_ONCE + 21, TRUNCATED_AT_ONCE + 21))
    assert len(list(journal.read(TRUNCATED_AT_ONCE + 11))) == 11


def test_full_disk_keeps_none_of_a_batch_and_takes_it_when_there_is_room(path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 1))
    pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.execute(f"PRAGMA max_page_count = {pages + 1}").fetchone()

    with pytest.raises(StoreUnavailable, match=r"journal\.sqlite cannot be written: database or disk is full"):
        journal.append(records(2, 200))

    assert (journal.newest_tick(), journal.head.read()) == (1, 1)
    journal._writer.execute("PRAGMA max_page_count = 100000").fetchone()
    journal.append(records(2, 200))
    assert list(journal.read(1)) == records(1, 200)


def test_maintenance_empties_the_write_ahead_log(path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 300))
    journal.maintain()
    alone = path.parent / "copy" / path.name
    alone.parent.mkdir()
    alone.write_bytes(path.read_bytes())

    with closing(SqliteJournal(alone)) as copied:
        assert list(copied.read(1)) == records(1, 300)


def test_reader_beside_a_writer_changes_nothing(path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 3))
    with closing(SqliteJournal(path, read_only=True)) as reader:
        reading = reader.read(1)
        assert next(reading) == (1, body(1))
        journal.append(records(4, 5))  # the reader finds a head that is ahead of what it reads
        assert [tick for tick, _ in reading] == [2, 3]
        with pytest.raises(StoreUnavailable, match="readonly"):
            reader.append(records(6, 6))


def test_good_ticks_are_copied_into_one_file(tmp_path: Path, path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 1200))
    change(path, "UPDATE ticks SET crc = 0 WHERE tick = 1150")

    journal.copy_to(tmp_path / "rebuilt.sqlite", 100, 1149)

    assert sorted(p.name for p in tmp_path.glob("rebuilt*")) == ["rebuilt.sqlite"]
    with closing(SqliteJournal(tmp_path / "rebuilt.sqlite")) as copied:
        assert list(copied.read(100)) == records(100, 1149)


def test_space_of_dropped_ticks_is_given_back(path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 1000))
    journal.vacuum()
    before = path.stat().st_size
    while journal.truncate_before(991):
        pass

    journal.vacuum()

    assert path.stat().st_size < before / 4
    assert journal.defects() == []


def test_file_of_something_else_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")

    with pytest.raises(StoreDamaged, match="is not a journal"):
        SqliteJournal(path)


def test_file_that_is_no_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"nothing of the kind" * 100)

    with pytest.raises(StoreDamaged, match="file is not a database"):
        SqliteJournal(path)


def test_file_of_a_later_version_is_refused_and_not_touched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_store, "MIGRATIONS", (*MIGRATIONS, "ALTER TABLE ticks ADD COLUMN more;"))
        SqliteJournal(path).close()

    with pytest.raises(ConfigError, match=r"journal\.sqlite is of version 3; 2 is the newest known here"):
        SqliteJournal(path)


def test_file_of_an_earlier_version_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteJournal(path)) as journal:
        journal.append(records(1, 2))
    monkeypatch.setattr(sqlite_store, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE more (x);"))

    with closing(SqliteJournal(path)) as journal:
        assert list(journal.read(1)) == records(1, 2)
        assert journal._writer.execute("SELECT count(*) FROM more").fetchone() == (0,)
        assert journal._writer.execute("PRAGMA user_version").fetchone() == (3,)


def test_journal_of_the_first_version_is_read_and_takes_notes_from_now_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_store, "MIGRATIONS", MIGRATIONS[:1])
        with closing(SqliteJournal(path)) as old:
            old.append(records(1, 2))
    with closing(SqliteJournal(path, read_only=True)) as looked_at:
        assert (list(looked_at.read(1)), list(looked_at.notes())) == (records(1, 2), [])

    note = Note(3, "correction", "words")
    with closing(SqliteJournal(path)) as journal:
        journal.append(records(3, 3), [note, note])
        assert (list(journal.read(1)), list(journal.notes())) == (records(1, 3), [note, note])


def test_notes_outlive_their_ticks_and_are_copied(tmp_path: Path, path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 5), [Note(2, "a", "one"), Note(4, "b", "two")])
    journal.truncate_before(5)
    journal.copy_to(tmp_path / "some.sqlite", 5, 5)
    journal.copy_notes(tmp_path / "none.sqlite", 3)

    for name, texts in (("some", ["one", "two"]), ("none", ["one"])):
        with closing(SqliteJournal(tmp_path / f"{name}.sqlite")) as copied:
            assert [note.text for note in copied.notes()] == texts
    change(path, "UPDATE notes SET text = 'other' WHERE tick = 4")
    with pytest.raises(StoreDamaged, match=r"journal\.sqlite: a note of tick 4 fails its checksum"):
        list(journal.notes())


def test_rows_of_any_kind_are_damage(path: Path, journal: SqliteJournal) -> None:
    journal.append(records(1, 3))
    change(path, "UPDATE ticks SET body = 'text' WHERE tick = 3")

    with pytest.raises(StoreDamaged, match="tick 3 fails its checksum"):
        list(journal.read(1))
    with pytest.raises(StoreDamaged, match="tick 3 fails its checksum"):
        journal.newest_good_tick()


def test_folder_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        SqliteJournal(tmp_path / "missing" / "journal.sqlite")
