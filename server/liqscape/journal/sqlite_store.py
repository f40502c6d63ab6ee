"""A JournalStore in one file of SQLite, in WAL mode: one transaction a batch of ticks.

What a killed process has committed is there: it is in the system's cache, whatever the policy. The policy says what a
loss of power may take, see SYNC_POLICIES. Checkpoints, which wait for the disk, are made by maintain, never by append.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from liqscape.errors import ConfigError
from liqscape.journal.disk import sync_file
from liqscape.journal.head import Head
from liqscape.journal.store import Note, Record, StoreDamaged, StoreUnavailable, checksum

APPLICATION_ID: Final = 0x4C495153
"""LIQS, in the header of the file: what `file` and we know it by."""

MIGRATIONS: Final = (
    "CREATE TABLE ticks (tick INTEGER PRIMARY KEY, crc INTEGER NOT NULL, body BLOB NOT NULL);",
    "CREATE TABLE notes (tick INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, crc INTEGER NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY (tick, number)) WITHOUT ROWID;",
)
"""What makes version n + 1 of the schema of version n, from nothing on. Never changed, only added to."""

SYNC_POLICIES: Final = {"tick": "FULL", "second": "NORMAL", "off": "OFF"}
"""What a loss of power may take: nothing that was committed; what was committed since the last maintain, which is
called each second; whatever the system had not written, and then the file may be damaged, which is found."""

TRUNCATED_AT_ONCE: Final = 500
"""Records dropped in a transaction: an append that comes in between waits for some milliseconds."""

BUSY_SECONDS: Final = 5.0

Connect: TypeAlias = Callable[[str], sqlite3.Connection]
"""Opens the file that a URI names. Tests open it on a disk that forgets."""


def connect_plainly(uri: str) -> sqlite3.Connection:
    """Open a file as it is."""
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)


class SqliteJournal:
    """See JournalStore.

    Args:
        path: of the file; others of the same name and an ending lie beside it.
        sync: one of SYNC_POLICIES.
        read_only: nothing is written, not even what a reader leaves behind.
        connect: how the file is reached.

    Raises:
        StoreDamaged: it is not such a file.
        ConfigError: it is one of a later version.
        StoreUnavailable: it cannot be opened.
    """

    def __init__(
        self, path: Path, sync: str = "second", *, read_only: bool = False, connect: Connect = connect_plainly
    ) -> None:
        self.path = path
        self.head = Head(path.with_suffix(".head"))
        self._sync = SYNC_POLICIES[sync]
        self._read_only = read_only
        self._open = connect
        self._writer = self._connect()
        self._keeper: sqlite3.Connection | None = None
        try:
            self._migrate()
        except BaseException:
            self._writer.close()
            raise

    def append(self, records: Sequence[Record], notes: Sequence[Note] = ()) -> None:
        rows = [(tick, checksum(tick, body), body) for tick, body in records]
        numbered: Counter[int] = Counter()
        noted = []
        for note in notes:
            numbered[note.tick] += 1
            noted.append((note.tick, numbered[note.tick], note.kind, _note_checksum(note), note.text))
        try:
            with self._writer:
                self._writer.executemany("INSERT OR REPLACE INTO ticks VALUES (?, ?, ?)", rows)
                if noted:
                    self._writer.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?)", noted)
        except sqlite3.Error as error:
            raise self._failure("cannot be written", error) from error
        if records:
            self.head.write(records[-1][0])

    def read(self, from_tick: int) -> Iterator[Record]:
        expected = from_tick
        try:
            rows = self._writer.execute("SELECT tick, crc, body FROM ticks WHERE tick >= ? ORDER BY tick", (from_tick,))
            for tick, crc, body in rows:
                if tick != expected:
                    raise StoreDamaged(f"{self.path}: ticks {expected} to {tick - 1} are missing")
                # Pages that do not belong together make rows of any kind.
                if type(body) is not bytes or crc != checksum(tick, body):
                    raise StoreDamaged(f"{self.path}: tick {tick} fails its checksum")
                yield tick, body
                expected += 1
        except sqlite3.Error as error:
            raise StoreDamaged(f"{self.path}: reading tick {expected}: {error}") from error
        newest = self.head.read()
        # Asked again: beside a server that is running, ticks have come since the reading began.
        if newest is not None and newest >= expected and (self.newest_tick() or 0) < newest:
            raise StoreDamaged(f"{self.path}: ticks {expected} to {newest} were committed and are missing at the end")

    def notes(self) -> Iterator[Note]:
        if self._version < 2:
            return
        try:
            rows = self._writer.execute("SELECT tick, kind, crc, text FROM notes ORDER BY tick, number")
            for tick, kind, crc, text in rows:
                note = Note(tick, kind, text)
                if type(text) is not str or type(kind) is not str or crc != _note_checksum(note):
                    raise StoreDamaged(f"{self.path}: a note of tick {tick} fails its checksum")
                yield note
        except sqlite3.Error as error:
            raise StoreDamaged(f"{self.path}: reading notes: {error}") from error

    def newest_tick(self) -> int | None:
        return self._bound("max")

    def oldest_tick(self) -> int | None:
        return self._bound("min")

    def truncate_before(self, tick: int) -> int:
        keeper = self._keeper = self._keeper or self._connect()
        try:
            with keeper:
                oldest = keeper.execute("SELECT min(tick) FROM ticks").fetchone()[0]
                until = min(tick, (tick if oldest is None else oldest) + TRUNCATED_AT_ONCE)
                return keeper.execute("DELETE FROM ticks WHERE tick < ?", (until,)).rowcount
        except sqlite3.Error as error:
            raise self._failure("cannot be truncated", error) from error

    def maintain(self) -> None:
        keeper = self._keeper = self._keeper or self._connect()
        try:
            busy, in_log, in_file = keeper.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if self._sync != "OFF" and (busy or in_log != in_file):
                # Somebody reads an older state, a check for example. What was committed since is in the log alone,
                # which a checkpoint then need not have brought to the disk.
                sync_file(self.path.with_name(self.path.name + "-wal"))
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be brought to the disk: {error.strerror}") from error
        except sqlite3.Error as error:
            raise self._failure("cannot be brought to the disk", error) from error

    def vacuum(self) -> None:
        """Give the space of what was dropped back to the disk.

        Raises:
            StoreUnavailable: there is no room for it.
            StoreDamaged: the file is broken.
        """
        try:
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise self._failure("cannot be made smaller", error) from error

    def copy_to(self, path: Path, first_tick: int, newest_tick: int) -> None:
        """Write some records into a new journal, which lies on the disk then in one file, and the good notes so far.

        Raises:
            StoreUnavailable: it cannot be written.
            StoreDamaged: the records cannot be read.
        """
        with self._copy(path) as copy:
            records = (record for record in self.read(first_tick) if record[0] <= newest_tick)
            wanted = newest_tick + 1 - first_tick
            while batch := list(islice(records, min(wanted, TRUNCATED_AT_ONCE))):
                copy.append(batch)
                wanted -= len(batch)
            copy.append([], self._good_notes(newest_tick))

    def copy_notes(self, path: Path, newest_tick: int) -> None:
        """Write the notes up to a tick that are good into a new journal, if there are any; see copy_to."""
        if notes := self._good_notes(newest_tick):
            with self._copy(path) as copy:
                copy.append([], notes)

    @contextmanager
    def _copy(self, path: Path) -> Iterator[SqliteJournal]:
        copy = SqliteJournal(path, "tick", connect=self._open)
        try:
            yield copy
        finally:
            copy.close()
            copy.head.path.unlink(missing_ok=True)

    def _good_notes(self, newest_tick: int) -> list[Note]:
        found: list[Note] = []
        with suppress(StoreDamaged):  # the others are in the file that is set aside
            found.extend(note for note in self.notes() if note.tick <= newest_tick)
        return found

    def defects(self) -> list[str]:
        """Return what SQLite itself finds wrong with the file, in its words."""
        try:
            found = [str(row[0]) for row in self._writer.execute("PRAGMA integrity_check(20)")]
        except sqlite3.Error as error:
            return [str(error)]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        for connection in (self._keeper, self._writer):
            if connection is not None:
                connection.close()
        self.head.close()

    def newest_good_tick(self) -> int | None:
        """Return the newest tick kept; None of an empty store.

        Raises:
            StoreDamaged: it is not what was written, and then its number may be any.
        """
        try:
            row = self._writer.execute("SELECT tick, crc, body FROM ticks ORDER BY tick DESC LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise StoreDamaged(f"{self.path}: {error}") from error
        if row is None:
            return None
        tick, crc, body = row
        if type(body) is not bytes or crc != checksum(tick, body):
            raise StoreDamaged(f"{self.path}: tick {tick} fails its checksum")
        return int(tick)

    def _failure(self, what: str, error: sqlite3.Error) -> StoreUnavailable | StoreDamaged:
        """Return what an error means: that of a disk may pass, that of what is in the file does not."""
        kind = StoreUnavailable if isinstance(error, sqlite3.OperationalError) else StoreDamaged
        return kind(f"{self.path} {what}: {error}")

    def _bound(self, which: str) -> int | None:
        try:
            found = self._writer.execute(f"SELECT {which}(tick) FROM ticks").fetchone()[0]
        except sqlite3.Error as error:
            raise StoreDamaged(f"{self.path}: {error}") from error
        return None if found is None else int(found)

    def _connect(self) -> sqlite3.Connection:
        try:
            uri = f"{self.path.absolute().as_uri()}?mode={'ro' if self._read_only else 'rwc'}"
            connection = self._open(uri)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self.path} cannot be opened: {error}") from error
        try:
            connection.execute("PRAGMA cell_size_check = ON")
            if not self._read_only:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                connection.execute(f"PRAGMA synchronous = {self._sync}")
                connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            raise StoreUnavailable(f"{self.path} cannot be opened: {error}") from error
        except sqlite3.Error as error:
            connection.close()
            raise StoreDamaged(f"{self.path}: {error}") from error
        return connection

    def _migrate(self) -> None:
        try:
            version = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
            application = int(self._writer.execute("PRAGMA application_id").fetchone()[0])
            tables = int(self._writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        except sqlite3.Error as error:
            raise StoreDamaged(f"{self.path}: {error}") from error
        if tables and (application != APPLICATION_ID or version < 1):
            raise StoreDamaged(f"{self.path} is not a journal")
        if version > len(MIGRATIONS):
            raise ConfigError(f"{self.path} is of version {version}; {len(MIGRATIONS)} is the newest known here")
        self._version = version
        if self._read_only:
            if version < 1:
                raise StoreDamaged(f"{self.path} is not a journal")
            return
        self._version = len(MIGRATIONS)
        try:
            for number in range(version, len(MIGRATIONS)):
                self._writer.executescript(
                    f"BEGIN; {MIGRATIONS[number]} PRAGMA application_id = {APPLICATION_ID};"
                    f" PRAGMA user_version = {number + 1}; COMMIT;"
                )
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self.path} cannot be written: {error}") from error


def _note_checksum(note: Note) -> int:
    return zlib.crc32(f"{note.tick} {note.kind} {note.text}".encode())
