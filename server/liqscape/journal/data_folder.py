"""The folder of one server: its journal, its snapshots, and the settings under which both were made.

settings.json        what decides the state beside the ticks; other settings would make other books of them
journal.sqlite       ticks since the oldest snapshot (and journal.sqlite-wal, -shm); journal.head is their witness
snapshots/           see snapshot_folder
archive/             sealed days, see archive.day_files
lock                 held while a server or a command uses the folder
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liqscape.errors import ConfigError
from liqscape.journal.snapshot_file import read_snapshot, sync_folder
from liqscape.journal.snapshot_folder import SnapshotFolder, aside_of
from liqscape.journal.sqlite_store import SqliteJournal
from liqscape.journal.store import StoreDamaged, StoreUnavailable


class DataFolder:
    """See above.

    Args:
        folder: made where it is missing, unless it is only read.
        read_only: for who looks at it beside a server that may be running.

    Raises:
        ConfigError: it cannot be used, or somebody uses it.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self.journal_path = folder / "journal.sqlite"
        self.settings_path = folder / "settings.json"
        self.archive_path = folder / "archive"
        self.snapshots = SnapshotFolder(folder / "snapshots")
        self.read_only = read_only
        self._lock: int | None = None
        if read_only:
            if not folder.is_dir():
                raise ConfigError(f"data folder {folder} does not exist")
        else:
            self._take()

    def close(self) -> None:
        """Let others use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def open_journal(self, sync: str = "second") -> SqliteJournal:
        """Return the journal, a new one where there is none. See SqliteJournal."""
        return SqliteJournal(self.journal_path, sync, read_only=self.read_only)

    def try_journal(self) -> SqliteJournal | None:
        """Return the journal, None where it cannot be opened."""
        try:
            return self.open_journal()
        except (StoreDamaged, StoreUnavailable):
            return None

    def beside_journal(self) -> list[Path]:
        """Return the files in which SQLite keeps what is not in the journal's own yet, whether they exist or not."""
        return [self.journal_path.with_name(self.journal_path.name + ending) for ending in ("-wal", "-shm")]

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

    def set_journal_aside(self, journal: SqliteJournal | None, good: range) -> list[Path]:
        """Keep copies of a damaged journal under other names, and go on with its good ticks alone.

        Args:
            journal: the open one, if it could be opened. It is closed.
            good: the ticks to go on with.

        Returns:
            The files set aside.

        Raises:
            OSError: there is no room, say. StoreUnavailable: the same.
            StoreDamaged: the good ticks are not good.
        """
        rebuilt = self.journal_path.with_name("rebuilt.sqlite")
        rebuilt.unlink(missing_ok=True)
        aside: list[Path] = []
        for path in (self.journal_path, *self.beside_journal()):
            if path.exists():
                aside.append(aside_of(path))
                shutil.copyfile(path, aside[-1])
        if journal is not None:
            if good:
                journal.copy_to(rebuilt, good[0], good[-1])
            journal.close()
        for path in self.beside_journal():
            path.unlink(missing_ok=True)  # it would be taken for the log of the file that comes in place of this one
        if rebuilt.exists():
            rebuilt.replace(self.journal_path)
        else:
            self.journal_path.unlink(missing_ok=True)
        self.journal_path.with_suffix(".head").unlink(missing_ok=True)
        sync_folder(self.folder)
        return aside

    def _take(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"data folder {self.folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise ConfigError(f"data folder {self.folder} is in use by another process") from None


def _checksum(settings: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(settings, sort_keys=True).encode())
