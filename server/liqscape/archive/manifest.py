"""What an archived day says about itself: which ticks and events it holds, in which units, and its files.

A day holds one span of ticks, or several with holes between them. Spans of two days join where one ends with the tick
after which the other begins; only inside joined spans is a grid exact.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from liqscape.archive.schema import SCHEMA_VERSION
from liqscape.axes import SymbolScale
from liqscape.journal.plain_values import UnreadableValue, build
from liqscape.journal.snapshot_file import sync_folder
from liqscape.journal.store import StoreDamaged

DAY_MINUTES: Final = 1440
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 16 << 20
"""A hundred times that of a day of ten symbols at twenty venues."""

_EPOCH: Final = date(1970, 1, 1).toordinal()


def day_of(minute: int) -> int:
    """Return the day a minute lies in, counted from 1970."""
    return minute // DAY_MINUTES


def day_text(day: int) -> str:
    """Return a day as YYYY-MM-DD."""
    return date.fromordinal(_EPOCH + day).isoformat()


def day_number(text: str) -> int:
    """Return the day of YYYY-MM-DD.

    Raises:
        ValueError: it is not one.
    """
    return date.fromisoformat(text).toordinal() - _EPOCH


def minute_text(minute: int) -> str:
    """Return a minute for people, in UTC."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Ticks in a row.

    Attributes:
        after_tick: the tick before the first; 0: this is the beginning of everything.
        tick: the last one.
        after_minute: the minute that lasted when the span began; what it holds of it may be a part. -1 at tick 0.
        until_minute: the last minute of which everything is held.
        first_events: by symbol, how many events its ledger had been told before.
        events: by symbol, how many at the end.
    """

    after_tick: int
    tick: int
    after_minute: int
    until_minute: int
    first_events: Mapping[str, int]
    events: Mapping[str, int]

    def is_followed_by(self, later: Span, symbol: str | None = None) -> bool:
        """Return whether nothing is missing between this span and a later one, of a symbol or of any."""
        if self.tick != later.after_tick:
            return False
        names = {*self.events, *later.first_events} if symbol is None else {symbol}
        return all(self.events.get(name, 0) == later.first_events.get(name, 0) for name in names)

    def joined(self, later: Span) -> Span:
        """Return this span and the one that follows it as one."""
        return replace(self, tick=later.tick, until_minute=later.until_minute, events=later.events)


def joined_spans(spans: Iterable[Span], symbol: str | None = None) -> list[Span]:
    """Return spans in the order given, those that follow each other as one."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].is_followed_by(span, symbol):
            found[-1] = found[-1].joined(span)
        else:
            found.append(span)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedSymbol:
    """Of a symbol in a day: its units at the end of it, its instruments by number.

    mixes are the inflow shares in force, by the version that its minutes name, and by instrument id.
    first_minute is the first one whose end is told, -1 if there is none.
    content is the CRC-32 of what it was made from: bars, events, and what was served at the end of its minutes.
    """

    price_decimals: int
    lot_decimals: int
    base_step: int
    instruments: tuple[str, ...]
    mixes: Mapping[str, Mapping[str, tuple[int, ...]]]
    first_minute: int
    content: int

    def scale(self, symbol: str) -> SymbolScale:
        """Return its units at the end of the day."""
        return SymbolScale(symbol, self.price_decimals, self.base_step, self.lot_decimals)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """A file: its bytes, their CRC-32, and the rows of its table."""

    size: int
    crc32: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayManifest:
    """A day; files by their path in its folder. is_thin: the raw tables were dropped when the day had grown old."""

    schema_version: int
    day: str
    spans: tuple[Span, ...]
    symbols: Mapping[str, ArchivedSymbol]
    files: Mapping[str, ArchivedFile]
    is_thin: bool = False

    @property
    def number(self) -> int:
        """Return the day, counted from 1970."""
        return day_number(self.day)

    @property
    def size(self) -> int:
        """Return the bytes of the files."""
        return sum(file.size for file in self.files.values())


def write_manifest(folder: Path, manifest: DayManifest) -> None:
    """Write a manifest, whole or not at all, and on the disk when this returns.

    Raises:
        OSError: it cannot be written.
    """
    about = asdict(manifest)
    text = json.dumps({"manifest": about, "crc32": _checksum(about)}, indent=1, sort_keys=True)
    temporary = folder / (MANIFEST + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MANIFEST)
    sync_folder(folder)


def read_manifest(folder: Path) -> DayManifest:
    """Return the manifest of a day's folder.

    Raises:
        StoreDamaged: it is not as it was written, or of another version.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise StoreDamaged(f"{path} is larger than any manifest")
        found: Any = json.loads(path.read_text("utf-8"))
        about = found["manifest"]
        if found["crc32"] != _checksum(about):
            raise StoreDamaged(f"{path} fails its checksum")
        manifest = build(DayManifest, about, ())
        if manifest.schema_version != SCHEMA_VERSION:
            raise StoreDamaged(f"{path} is of version {manifest.schema_version}; {SCHEMA_VERSION} is read here")
        day_number(manifest.day)
    except OSError as error:
        raise StoreDamaged(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, UnreadableValue) as error:
        raise StoreDamaged(f"{path}: {error}") from error
    return manifest


def _checksum(about: Any) -> int:
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())
