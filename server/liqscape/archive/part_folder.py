"""The parts of days that are not sealed yet, one file each, in the form of a snapshot; a bad one is set aside."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from liqscape.archive.parts import Part, from_stored, to_stored
from liqscape.errors import ConfigError
from liqscape.journal.snapshot_file import read_snapshot, write_snapshot
from liqscape.journal.snapshot_folder import set_aside
from liqscape.journal.store import StoreDamaged, StoreUnavailable

_LOG = logging.getLogger(__name__)

_NAME: Final = re.compile(r"tick-(\d+)-day-(\d+)\.part")


class PartFolder:
    """See above. A file is named for its last tick and its day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[tuple[int, int]]:
        """Return last tick and day of each part, ascending."""
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir()) if self.folder.is_dir() else ()
        return sorted((int(name[1]), int(name[2])) for name in found if name is not None)

    def path(self, tick: int, day: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"tick-{tick:012}-day-{day}.part"

    def write(self, part: Part) -> int:
        """Write a part, on the disk when this returns. Returns its bytes.

        Raises:
            StoreUnavailable: it cannot be written; nothing is left of it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"{self.folder} cannot be made: {error.strerror}") from error
        return write_snapshot(self.path(part.tick, part.day), to_stored(part))

    def read(self, tick: int, day: int) -> Part:
        """Return a part.

        Raises:
            StoreDamaged: it is not as it was written, or of another version.
        """
        path = self.path(tick, day)
        try:
            part = from_stored(read_snapshot(path))
        except ConfigError as error:
            raise StoreDamaged(str(error)) from error
        if (part.tick, part.day) != (tick, day):
            raise StoreDamaged(f"{path} is of tick {part.tick}, day {part.day}")
        return part

    def good(self, day: int) -> tuple[list[Part], int]:
        """Return the good parts of a day in order; how many were bad, and are set aside."""
        found: list[Part] = []
        bad = 0
        for tick, of_day in self.names():
            if of_day != day:
                continue
            try:
                found.append(self.read(tick, day))
            except StoreDamaged as error:
                bad += 1
                _LOG.error("archive: a part is damaged and set aside as %s: %s", set_aside(self.path(tick, day)), error)
        return sorted(found, key=lambda part: part.spans[0].after_tick), bad

    def remove_after(self, tick: int) -> None:
        """Remove the parts that end after a tick, and what a killed process was writing."""
        for last, day in self.names():
            if last > tick:
                self.path(last, day).unlink()
        for path in self.folder.glob("*.tmp"):
            path.unlink()

    def remove(self, tick: int, day: int) -> None:
        """Remove a part."""
        self.path(tick, day).unlink(missing_ok=True)
