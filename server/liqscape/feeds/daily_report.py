"""The file or folder of --cme: read at the start, and again when it changes; what cannot be read changes nothing.

The one place that touches the disk for it. A thread looks at sizes and times every few seconds, so that neither a tick
nor a question waits for a disk; others see a state that is replaced whole. A change that cannot be taken is logged once
and told in the status, and what was read before stays: yesterday's report is better than none, and says its day.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from liqscape.errors import ConfigError
from liqscape.feeds.context import DailyReportStatus
from liqscape.feeds.venues.cme import MAX_FILE_BYTES, DailyContext, DailyFile, DailyRow, contexts_of, read_daily_file

_LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
"""A look is a stat a file; a report that comes once a day is early enough within seconds."""

MAX_FILES: Final = 1000
"""Of a folder: a file a trading day for nearly four years, which is more than is used."""

MAX_FOLDER_BYTES: Final = 8 * MAX_FILE_BYTES
"""Of all files together."""

SUFFIX: Final = ".csv"

_Signature = tuple[tuple[str, int, int, int, int], ...]
"""Name, inode, size, and times of change of each file."""


@dataclass(frozen=True, slots=True)
class ReportState:
    """What was read.

    Attributes:
        number: of the reading; another number, other days.
        days: of each coin, ascending.
        status: how reading fares.
    """

    number: int
    days: Mapping[str, tuple[DailyContext, ...]]
    status: DailyReportStatus


class DailyReport:
    """The daily report of a running server.

    Args:
        path: a file, or a folder whose files `*.csv` count, in the order of their names; others are left alone.
        now_ns: wall clock.

    Raises:
        ConfigError: it cannot be read; names file, line, column and what is allowed.
    """

    def __init__(self, path: Path, now_ns: Callable[[], int]) -> None:
        self._path = path
        self._now_ns = now_ns
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="daily report", daemon=True)
        try:
            self._signature: _Signature | None = _signature(path)
            self.state = self._read(self._signature, 1)
        except ConfigError as error:
            raise ConfigError(f"daily report {path}{error}") from None

    def start(self) -> None:
        """Look at the files from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End that."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Read the files again if they have changed; one thread calls this."""
        try:
            signature = _signature(self._path)
        except ConfigError as error:
            if self._signature is not None:
                self._signature = None
                self._fail(error)
            return
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self.state = self._read(signature, self.state.number + 1, self.state.status.failures)
        except ConfigError as error:
            self._fail(error)
            return
        _LOG.info("daily report: %d rows of %d files", self.state.status.rows, self.state.status.files)

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            self.look()

    def _fail(self, error: ConfigError) -> None:
        _LOG.error("daily report stays as it was: %s%s", self._path, error)
        status = self.state.status
        # The folder is nobody's business who may ask for the status.
        said = f"{self._path.name}{error}; what was read before stays"
        self.state = replace(self.state, status=replace(status, failures=status.failures + 1, message=said))

    def _read(self, signature: _Signature, number: int, failures: int = 0) -> ReportState:
        latest = datetime.fromtimestamp(self._now_ns() / 1e9, UTC).date()
        rows: list[DailyRow] = []
        ignored = 0
        for name, *_ in signature:
            found = _file(self._path / name if name else self._path, f"/{name}" if name else "", latest)
            rows += found.rows
            ignored += found.ignored
        status = DailyReportStatus(len(signature), len(rows), ignored, self._now_ns(), failures)
        return ReportState(number, contexts_of(rows), status)


def _file(path: Path, name: str, latest: date) -> DailyFile:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror or error}") from None
    try:
        return read_daily_file(body, latest)
    except ConfigError as error:
        raise ConfigError(f"{name}, {error}" if str(error).startswith("line") else f"{name}: {error}") from None


def _signature(path: Path) -> _Signature:
    """Return what changes when a file does; an error's text follows the path.

    Raises:
        ConfigError: there is nothing, or too much.
    """
    try:
        about = os.stat(path)
        if stat.S_ISREG(about.st_mode):
            return (_of("", about),)
        if not stat.S_ISDIR(about.st_mode):
            raise ConfigError(" is neither a file nor a folder")
        with os.scandir(path) as entries:
            named = sorted((entry.name, entry.stat()) for entry in entries if _counts(entry))
    except FileNotFoundError:
        raise ConfigError(" does not exist; name a file, or a folder of such files") from None
    except OSError as error:
        raise ConfigError(f" cannot be read: {error.strerror or error}") from None
    size = sum(about.st_size for _, about in named)
    if len(named) > MAX_FILES or size > MAX_FOLDER_BYTES:
        limit = f"at most {MAX_FILES} and {MAX_FOLDER_BYTES} bytes are read; move old ones away"
        raise ConfigError(f" has {len(named)} files of {size} bytes; {limit}")
    return tuple(_of(name, about) for name, about in named)


def _counts(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(SUFFIX) and not entry.name.startswith(".") and entry.is_file()


def _of(name: str, about: os.stat_result) -> tuple[str, int, int, int, int]:
    return name, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
