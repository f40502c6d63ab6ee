"""The folder of one server: its journal, its snapshots, and the settings under which both were made.

account.key          by which accounts that are followed are numbers in the journal; only where some are
settings.json        what decides the state beside the ticks; other settings would make other books of them
journal.sqlite       ticks since the oldest snapshot (and journal.sqlite-wal, -shm); journal.head is their witness
snapshots/           see snapshot_folder
rebuilt.sqlite       the good ticks of a damaged journal, whole, until they have taken its place
archive/             sealed days, see archive.day_files
margin_tables.json   what venues have told, see feeds.table_file
lock                 held while a server or a command uses the folder
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from liqscape.errors import ConfigError
from liqscape.journal.disk import make_folder, sync_file, sync_folder
from liqscape.journal.snapshot_file import read_snapshot
from liqscape.journal.snapshot_folder import SnapshotFolder, aside_of
from liqscape.journal.sqlite_store import Connect, SqliteJournal, connect_plainly
from liqscape.journal.store import StoreDamaged, StoreUnavailable

_KEY_BYTES: Final = 32


class DataFolder:
    """See above.

    Args:
        folder: made where it is missing, unless it is only read.
        read_only: for who looks at it beside a server that may be running.
        connect: how the journal reaches its file.

    Raises:
        ConfigError: it cannot be used, or somebody uses it.
    """

    def __init__(self, folder: Path, *, read_only: bool = False, connect: Connect = connect_plainly) -> None:
        self.folder = folder
        self.journal_path = folder / "journal.sqlite"
        self.settings_path = folder / "settings.json"
        self.archive_path = folder / "archive"
        self.snapshots = SnapshotFolder(folder / "snapshots")
        self.read_only = read_only
        self._connect = connect
        self._lock: int | None = None
        if read_only:
            if not folder.is_dir():
                raise ConfigError(f"data folder {folder} does not exist")
        else:
            self._take()
            try:
                self._finish_rebuilding()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Let others use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def open_journal(self, sync: str = "second") -> SqliteJournal:
        """Return the journal, a new one where there is none. See SqliteJournal."""
        return SqliteJournal(self.journal_path, sync, read_only=self.read_only, connect=self._connect)

    def try_journal(self) -> SqliteJournal | None:
        """Return the journal, None where it cannot be opened."""
        try:
            return self.open_journal()
        except (StoreDamaged, StoreUnavailable):
            return None

    def beside_journal(self) -> list[Path]:
        """Return the files in which SQLite keeps what is not in the journal's own yet, whether they exist or not."""
        return _beside(self.journal_path)

    @property
    def is_new(self) -> bool:
        """Return whether nothing was kept here yet."""
        return not (self.settings_path.exists() or self.journal_path.exists() or self.snapshots.ticks())

    def settings(self) -> Mapping[str, Any] | None:
        """Return the settings the folder was made under, from a snapshot where their file is broken; None of a new one.

        Raises:
            ConfigError: there are none to be had.
        """
        try:
            about = json.loads(self.settings_path.read_text("utf-8"))
            if about["crc32"] == _checksum(about["settings"]):
                return dict(about["settings"])
            wrong = "fails its checksum"
        except FileNotFoundError:
            if self.is_new:
                return None
            wrong = "is missing"
        except (OSError, ValueError, KeyError, TypeError) as error:
            wrong = f"cannot be read: {error}"
        for tick in reversed(self.snapshots.ticks()):
            try:
                return dict(read_snapshot(self.snapshots.path(tick)).settings)
            except StoreDamaged:
                continue
        raise ConfigError(f"{self.settings_path} {wrong}, and no snapshot tells the settings; use another folder")

    def keep_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the settings down.

        Raises:
            ConfigError: they cannot be written.
        """
        temporary = self.settings_path.with_name(self.settings_path.name + ".tmp")
        text = json.dumps({"settings": settings, "crc32": _checksum(settings)}, indent=1)
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.settings_path)
            sync_folder(self.folder)
        except OSError as error:
            raise ConfigError(f"{self.settings_path} cannot be written: {error.strerror}") from error

    def account_key(self) -> bytes:
        """Return the key by which accounts become numbers, made when it is first asked for.

        Raises:
            ConfigError: it is broken, or cannot be read or written.
        """
        path = self.folder / "account.key"
        try:
            key = path.read_bytes()
            if len(key) == _KEY_BYTES:
                return key
            raise ConfigError(f"{path} has {len(key)} bytes instead of {_KEY_BYTES}; remove it, for a new one")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
        key, temporary = secrets.token_bytes(_KEY_BYTES), path.with_suffix(".tmp")
        try:
            temporary.unlink(missing_ok=True)
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(self.folder)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        return key

    def set_journal_aside(self, journal: SqliteJournal | None, good: range) -> list[Path]:
        """Keep copies of a damaged journal under other names, and go on with its good ticks alone.

        Whoever is killed on the way leaves the damaged journal, or the good ticks whole, which the next one takes.

        Args:
            journal: the open one, if it could be opened. It is closed.
            good: the ticks to go on with; where there are none, it says by its end what the next one is.

        Returns:
            The files set aside.

        Raises:
            OSError: there is no room, say. StoreUnavailable: the same.
            StoreDamaged: the good ticks are not good.
        """
        unfinished = self._rebuilt.with_suffix(".tmp")
        for path in (unfinished, *_beside(unfinished)):
            path.unlink(missing_ok=True)
        aside: list[Path] = []
        for path in (self.journal_path, *self.beside_journal()):
            if path.exists():
                aside.append(aside_of(path))
                shutil.copyfile(path, aside[-1])
                sync_file(aside[-1])
        if journal is not None:
            if good:
                journal.copy_to(unfinished, good[0], good[-1])
            else:
                journal.copy_notes(unfinished, good.stop - 1)
            journal.close()
        if unfinished.exists():
            unfinished.replace(self._rebuilt)
            sync_folder(self.folder)
            self._take_rebuilt()
        else:
            self._forget_journal()
            self.journal_path.unlink(missing_ok=True)
            sync_folder(self.folder)
        return aside

    @property
    def _rebuilt(self) -> Path:
        return self.journal_path.with_name("rebuilt.sqlite")

    def _finish_rebuilding(self) -> None:
        """Let good ticks take the place of a damaged journal where a process was killed before it had done so."""
        if not self._rebuilt.exists():
            return
        try:
            self._take_rebuilt()
        except OSError as error:
            raise ConfigError(f"data folder {self.folder} cannot be written: {error.strerror}") from error

    def _take_rebuilt(self) -> None:
        self._forget_journal()
        sync_folder(self.folder)
        self._rebuilt.replace(self.journal_path)
        sync_folder(self.folder)

    def _forget_journal(self) -> None:
        """Remove what would be taken for the log and the witness of the file that comes in place of this one."""
        for path in (*self.beside_journal(), self.journal_path.with_suffix(".head")):
            path.unlink(missing_ok=True)

    def _take(self) -> None:
        try:
            make_folder(self.folder, 0o700)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"data folder {self.folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise ConfigError(f"data folder {self.folder} is in use by another process") from None


def _beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]


def _checksum(settings: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(settings, sort_keys=True).encode())
