"""The newest tick that was committed, in a file of its own: what shows that the end of a journal is missing.

A write-ahead log that is cut off, or whose last frames are broken, looks like a shorter one. This file is written after
each commit, in place, so a killed process leaves it whole. It waits for the disk when it is made, so that a loss of
power leaves no empty one, and never again: then it may be behind the journal, which is no harm, or ahead of it by what
the policy allows to be lost, and that is told.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final

from liqscape.journal.disk import sync_folder
from liqscape.journal.store import StoreDamaged, StoreUnavailable

_FORM: Final = struct.Struct("<4sqI")
_MAGIC: Final = b"LQH1"


class Head:
    """The file. Made when it is first written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def read(self) -> int | None:
        """Return the newest tick ever committed; None where there was none.

        Raises:
            StoreDamaged: the file is not as it was written.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreDamaged(f"{self.path} cannot be read: {error.strerror}") from error
        if len(data) != _FORM.size or data[:4] != _MAGIC or _FORM.unpack(data)[2] != zlib.crc32(data[:-4]):
            raise StoreDamaged(f"{self.path} fails its checksum")
        return int(_FORM.unpack(data)[1])

    def write(self, tick: int) -> None:
        """Note a tick.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        body = _FORM.pack(_MAGIC, tick, 0)[:-4]
        try:
            is_new = self._file is None and not self.path.exists()
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._file, body + struct.pack("<I", zlib.crc32(body)), 0)
            if is_new:
                os.fsync(self._file)
                sync_folder(self.path.parent)
        except OSError as error:
            raise StoreUnavailable(f"{self.path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
