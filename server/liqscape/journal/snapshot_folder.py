"""The snapshots of a data folder: one file a tick, the newest ones kept; a bad one is set aside, never deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from liqscape.journal.disk import make_folder
from liqscape.journal.snapshot_file import StoredSnapshot, write_snapshot
from liqscape.journal.store import StoreUnavailable

KEEP_SNAPSHOTS: Final = 3
"""So many are kept; two could be bad, and the journal still leads from the third to now."""

BAD: Final = ".bad"
"""Ending of what was set aside."""

_NAME: Final = re.compile(r"tick-(\d+)\.snapshot")


class SnapshotFolder:
    """See above.

    Args:
        folder: made where it is missing.
        keep: so many, at least one.
    """

    def __init__(self, folder: Path, keep: int = KEEP_SNAPSHOTS) -> None:
        self.folder = folder
        self._keep = keep

    def path(self, tick: int) -> Path:
        """Return the file of a tick."""
        return self.folder / f"tick-{tick:012}.snapshot"

    def ticks(self) -> list[int]:
        """Return the ticks of which there is a snapshot, ascending."""
        names = (_NAME.fullmatch(path.name) for path in self._files())
        return sorted(int(name[1]) for name in names if name is not None)

    def write(self, snapshot: StoredSnapshot) -> int:
        """Write a snapshot and forget the oldest ones. Returns its bytes.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        try:
            make_folder(self.folder)
        except OSError as error:
            raise StoreUnavailable(f"{self.folder} cannot be made: {error.strerror}") from error
        size = write_snapshot(self.path(snapshot.tick), snapshot)
        self.prune()
        return size

    def prune(self) -> int:
        """Forget the oldest ones beyond those to be kept; return how many.

        Raises:
            StoreUnavailable: they cannot be removed.
        """
        old = self.ticks()[: -self._keep]
        try:
            for tick in old:
                self.path(tick).unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"{self.folder}: {error.strerror}") from error
        return len(old)

    def set_aside(self, tick: int) -> Path:
        """Give the snapshot of a tick another name, under which it is not used. Returns it."""
        return set_aside(self.path(tick))

    def remove_unfinished(self) -> int:
        """Remove what a killed process was writing; return how many files."""
        unfinished = [path for path in self._files() if path.suffix == ".tmp"]
        for path in unfinished:
            path.unlink()
        return len(unfinished)

    def _files(self) -> Iterator[Path]:
        return iter(sorted(self.folder.iterdir()) if self.folder.is_dir() else ())


def set_aside(path: Path) -> Path:
    """Give a file a free name that ends with .bad, or .bad and a number. Returns it."""
    aside = aside_of(path)
    path.rename(aside)
    return aside


def aside_of(path: Path) -> Path:
    """Return the first such name that is free."""
    names = (path.with_name(f"{path.name}{BAD}{number or ''}") for number in range(1000))
    return next(name for name in names if not name.exists())
