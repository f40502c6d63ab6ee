"""Answers of venues about the past, as they came: one file a page, so that nothing is asked twice or read only once.

DIR/backfill/VENUE/INSTRUMENT/SERIES/FROM-UNTIL-ROWS.page   seconds since 1970; rows that were good when it came
    one line of JSON: what was asked, when, the length and SHA-256 of the answer; then the answer, compressed
DIR/backfill/lock                                           held while pages are added

A page is written whole or not at all: a temporary file, fsync, rename. A damaged one is set aside under another name,
and its span counts as missing again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from liqscape.errors import ConfigError, LiqscapeError
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.venues.dialect import MAX_MESSAGE_BYTES, Request

SECOND_NS: Final = 1_000_000_000
VERSION: Final = 1
MAX_HEAD_BYTES: Final = 1 << 16


class PageDamaged(LiqscapeError):
    """A page that is not what was written."""


class StoreFull(LiqscapeError):
    """A page that could not be written; names the reason."""


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Whose past: venue as on the command line, the venue's name of the instrument, name of the series."""

    venue: str
    instrument: str
    series: str


@dataclass(frozen=True, slots=True, order=True)
class StoredPage:
    """A page by what its name says."""

    span: Span
    rows: int
    path: Path


class PageStore:
    """See above.

    Args:
        data: data folder; made where it is missing, unless it is only read.
        read_only: for who only looks at it; several may, beside one that adds pages.

    Raises:
        ConfigError: it cannot be used, or somebody else adds pages.
    """

    def __init__(self, data: Path, *, read_only: bool = False) -> None:
        self.folder = data / "backfill"
        self._lock: int | None = None
        if read_only:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"folder {self.folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ConfigError(f"folder {self.folder} is in use by another backfill") from None
        self._lock = lock

    def close(self) -> None:
        """Let others add pages."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def pages(self, key: SeriesKey) -> list[StoredPage]:
        """Return the pages of a series, ascending."""
        folder = self._folder_of(key)
        found = [_parsed(path) for path in folder.glob("*.page")] if folder.is_dir() else []
        return sorted(page for page in found if page is not None)

    def all_pages(self) -> list[StoredPage]:
        """Return the pages of all series."""
        found = [_parsed(path) for path in sorted(self.folder.rglob("*.page"))]
        return [page for page in found if page is not None]

    def write(
        self, key: SeriesKey, span: Span, request: Request, body: bytes, rows: int, fetched_ns: int
    ) -> StoredPage:
        """Keep an answer.

        Raises:
            StoreFull: it cannot be written.
        """
        folder = self._folder_of(key)
        name = f"{span.from_ns // SECOND_NS}-{span.until_ns // SECOND_NS}-{rows}.page"
        head = {
            "version": VERSION,
            "url": request.url,
            "query": dict(request.query),
            "json": None if request.json is None else request.json.decode(),
            "fetched_ns": fetched_ns,
            "bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        temporary = folder / f"{name}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(json.dumps(head).encode() + b"\n" + zlib.compress(body))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(folder / name)
        except OSError as error:
            raise StoreFull(f"page {name} cannot be written to {folder}: {error.strerror}") from error
        return StoredPage(span, rows, folder / name)

    def read(self, page: StoredPage) -> bytes:
        """Return an answer.

        Raises:
            PageDamaged: it is not what was written.
        """
        try:
            with page.path.open("rb") as file:
                head: dict[str, Any] = json.loads(file.readline(MAX_HEAD_BYTES))
                packed = file.read()
            unpacker = zlib.decompressobj()
            body = unpacker.decompress(packed, MAX_MESSAGE_BYTES)
            intact = unpacker.eof and len(body) == head["bytes"] and hashlib.sha256(body).hexdigest() == head["sha256"]
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise PageDamaged(f"page {page.path} cannot be read: {error}") from error
        if not intact:
            raise PageDamaged(f"page {page.path} fails its checksum")
        return body

    def set_aside(self, page: StoredPage) -> Path:
        """Give a damaged page another name, and return that."""
        aside = page.path.with_name(f"{page.path.name}.damaged")
        page.path.replace(aside)
        return aside

    def _folder_of(self, key: SeriesKey) -> Path:
        return self.folder.joinpath(*(quote(part, safe=" ") for part in (key.venue, key.instrument, key.series)))


def _parsed(path: Path) -> StoredPage | None:
    """Return the page of a file; None of a file that is none."""
    parts = path.stem.split("-")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    begin, end, rows = map(int, parts)
    return StoredPage(Span(begin * SECOND_NS, end * SECOND_NS), rows, path) if begin < end else None
