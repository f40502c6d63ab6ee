"""SQLite on a LossyDisk: a VFS of APSW that tells the disk what is written and synced, and a connection as our journal
knows them.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import apsw

from liqscape.journal.sqlite_store import Connect
from tests.crash.lossy_disk import LossyDisk, PowerLoss

_NUMBERS: Final = itertools.count()
_NAMED_WITH_THEIR_FOLDER: Final = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
"""Files whose name SQLite brings to the disk with their first sync, as its own VFS does."""


def connecting(disk: LossyDisk) -> Connect:
    """Return what opens files on a disk."""
    vfs = _Vfs(disk)

    def connect(uri: str) -> sqlite3.Connection:
        return cast(sqlite3.Connection, _Connection(vfs, unquote(urlsplit(uri).path)))

    return connect


class _Vfs(apsw.VFS):
    def __init__(self, disk: LossyDisk) -> None:
        self.disk = disk
        self.vfs_name = f"lossy {next(_NUMBERS)}"
        super().__init__(self.vfs_name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        is_new = not path.exists()
        self.disk.count()
        return _File(self.disk, path, name, flags, is_new)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        if Path(filename).exists():
            self.disk.count()
            self.disk.deleted(Path(filename), with_name=syncdir)
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, disk: LossyDisk, path: Path, name: Any, flags: list[int], is_new: bool) -> None:
        self._with_name = is_new and bool(flags[0] & _NAMED_WITH_THEIR_FOLDER)
        super().__init__("unix", name, flags)
        self._disk, self._path = disk, path
        self._node = disk.opened(path)

    def xWrite(self, data: Any, offset: int) -> None:
        self._disk.count()
        self._node.pending.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.count()
        self._node.pending.append(size)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._disk.count()
        self._disk.sync(self._path, self._node, with_name=self._with_name)
        self._with_name = False


class _Cursor:
    def __init__(self, rows: Iterable[Any], rowcount: int) -> None:
        self._rows = iter(rows)
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)


class _Connection:
    """What SqliteJournal uses of sqlite3.Connection, with its errors."""

    def __init__(self, vfs: _Vfs, path: str) -> None:
        self._vfs = vfs
        self._connection = _translated(apsw.Connection, path, vfs=vfs.vfs_name)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> _Cursor:
        before = self._connection.total_changes()
        rows = _translated(lambda: list(self._connection.execute(statement, values)))
        return _Cursor(rows, self._connection.total_changes() - before)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        _translated(lambda: self._connection.executemany(statement, rows))

    def executescript(self, statements: str) -> None:
        _translated(lambda: list(self._connection.execute(statements)))

    def __enter__(self) -> None:
        _translated(lambda: list(self._connection.execute("BEGIN")))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, PowerLoss):
            return
        _translated(lambda: list(self._connection.execute("COMMIT" if kind is None else "ROLLBACK")))

    def close(self) -> None:
        _translated(self._connection.close)


def _translated(call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    try:
        return call(*arguments, **more)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise sqlite3.DatabaseError(str(error)) from error
    except apsw.Error as error:
        if isinstance(error.__context__, PowerLoss):
            raise PowerLoss from error
        raise sqlite3.OperationalError(str(error)) from error
