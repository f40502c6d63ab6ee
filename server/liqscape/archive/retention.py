"""What an archive lets go, oldest first, and what it says of it.

A day first loses its raw tables: questions about it end, but windows that end days later still read its merged events.
A year after that it goes as a whole. The newest sealed day stays whatever the settings say.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from liqscape.archive.day_files import day_folder, table_path
from liqscape.archive.manifest import DayManifest, day_text, write_manifest
from liqscape.archive.schema import RAW_TABLES
from liqscape.axes import TIMEFRAMES
from liqscape.journal.snapshot_file import sync_folder

_LOG = logging.getLogger(__name__)

DROPPED: Final = "dropped.json"

MERGED_DAYS: Final = max(frame.column_minutes * frame.columns for frame in TIMEFRAMES) // 1440 + 1
"""So long are merged events kept after the raw ones: a window of a year that ends in the oldest raw day is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is to be kept.

    Attributes:
        days: of raw events, the newest sealed day included; None: all.
        most_bytes: of all sealed days; None: no limit.
    """

    days: int | None = None
    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Days whose raw tables were dropped, days that went as a whole, and whether for want of room."""

    thinned: tuple[int, ...]
    removed: tuple[int, ...]
    for_room: bool

    def __bool__(self) -> bool:
        return bool(self.thinned or self.removed)


def plan(days: dict[int, DayManifest], retention: Retention) -> Dropped:
    """Return what is to be dropped of sealed days.

    Args:
        days: manifests by day, ascending.
        retention: the settings.
    """
    numbers = sorted(days)
    if not numbers:
        return Dropped((), (), False)
    newest = numbers[-1]
    oldest_raw = numbers[0] if retention.days is None else newest - max(retention.days, 1) + 1
    removed = [] if retention.days is None else [day for day in numbers if day < oldest_raw - MERGED_DAYS]
    thinned = [day for day in numbers if day < oldest_raw and day not in removed and not days[day].is_thin]
    sizes = {day: days[day].size for day in numbers if day not in removed}
    for day in thinned:
        sizes[day] -= _raw_bytes(days[day])
    for_room = False
    if retention.most_bytes is not None:
        for day in numbers[:-1]:  # raw tables first: one day of them is as large as several merged ones
            has_raw = day in sizes and not days[day].is_thin and day not in thinned
            if has_raw and sum(sizes.values()) > retention.most_bytes:
                thinned.append(day)
                sizes[day] -= _raw_bytes(days[day])
                for_room = True
        for day in numbers[:-1]:
            if sum(sizes.values()) > retention.most_bytes and day in sizes:
                removed.append(day)
                del sizes[day]
                for_room = True
    return Dropped(tuple(sorted({*thinned} - {*removed})), tuple(sorted(removed)), for_room)


def carry_out(archive: Path, days: dict[int, DayManifest], dropped: Dropped) -> None:
    """Drop days as planned, and say so in the log and in the folder.

    Raises:
        OSError: it cannot be done now.
    """
    if not dropped:
        return
    _say(archive, dropped)
    for day in dropped.removed:
        doomed = archive / f".day={day_text(day)}.dropped"
        shutil.rmtree(doomed, ignore_errors=True)
        day_folder(archive, day).rename(doomed)  # readers see it whole or not at all
        shutil.rmtree(doomed)
    for day in dropped.thinned:
        folder, manifest = day_folder(archive, day), days[day]
        kept = {path: file for path, file in manifest.files.items() if not _is_raw(path)}
        write_manifest(folder, replace(manifest, files=kept, is_thin=True))
        for path in manifest.files.keys() - kept.keys():
            (folder / path).unlink(missing_ok=True)


def dropped_so_far(archive: Path) -> dict[str, str]:
    """Return what was dropped: raw_until, whole_until (days), and why."""
    try:
        found = json.loads((archive / DROPPED).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


def clean(archive: Path, days: dict[int, DayManifest]) -> None:
    """Remove what a killed process was writing or dropping.

    Raises:
        OSError: it cannot be removed.
    """
    if not archive.is_dir():
        return
    for path in archive.glob(".day=*"):
        shutil.rmtree(path)
    for day, manifest in days.items():
        if manifest.is_thin:
            for symbol in manifest.symbols:
                for table in RAW_TABLES:
                    (day_folder(archive, day) / table_path(symbol, table)).unlink(missing_ok=True)


def _say(archive: Path, dropped: Dropped) -> None:
    why = "the archive has reached its size" if dropped.for_room else "they are older than is to be kept"
    said = dropped_so_far(archive)
    for name, list_, what in (("raw_until", dropped.thinned, "raw tables"), ("whole_until", dropped.removed, "days")):
        if list_:
            last = day_text(max(list_))
            _LOG.warning("archive: dropping %s of %s to %s: %s", what, day_text(min(list_)), last, why)
            said[name] = max(last, said.get(name, ""))
    said["why"] = why
    temporary = archive / (DROPPED + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(said, indent=1, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(archive / DROPPED)
    sync_folder(archive)


def _is_raw(path: str) -> bool:
    return path.rpartition("/")[2].removesuffix(".parquet") in RAW_TABLES


def _raw_bytes(manifest: DayManifest) -> int:
    return sum(file.size for path, file in manifest.files.items() if _is_raw(path))
