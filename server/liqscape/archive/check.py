"""Looks at everything in an archive: every manifest, every file's checksum, every part. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from liqscape.archive.archivist import PARTS
from liqscape.archive.day_files import day_folder, days_in, file_crc32
from liqscape.archive.manifest import DayManifest, joined_spans, minute_text, read_manifest
from liqscape.archive.part_folder import PartFolder
from liqscape.archive.retention import dropped_so_far
from liqscape.journal.snapshot_folder import BAD, set_aside
from liqscape.journal.store import StoreDamaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something that is not as it was written: where it is, and what is wrong with it, in words."""

    path: Path
    wrong: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedArchive:
    """An archive.

    Attributes:
        days: manifests that can be read, by day.
        parts: parts of days that are not sealed.
        gaps: ticks that are in no day, in words.
        dropped: what retention has let go, in words; empty if nothing.
        aside: what was set aside before.
        damages: what is wrong.
    """

    days: dict[int, DayManifest]
    parts: int
    gaps: tuple[str, ...]
    dropped: str
    aside: tuple[Path, ...]
    damages: tuple[Damage, ...] = field(default=())

    @property
    def lines(self) -> list[str]:
        """Return what is to be said of it, but for damages."""
        if not (self.days or self.parts or self.aside):
            return []
        raw = [manifest.day for manifest in self.days.values() if not manifest.is_thin]
        thin = [manifest.day for manifest in self.days.values() if manifest.is_thin]
        size = sum(manifest.size for manifest in self.days.values())
        found = [f"archive   {_range(raw)}  {size / 1e6:,.1f} MB  {self.parts} parts of days to come"]
        if thin:
            found.append(f"archive   {_range(thin)}  merged events alone")
        if self.dropped:
            found.append(f"archive   {self.dropped}")
        found += [f"archive   gap: {gap}" for gap in self.gaps]
        found += [f"archive   set aside before: {path}" for path in self.aside]
        return found


def check_archive(archive: Path) -> CheckedArchive:
    """Return what is to be said of an archive; a server may be writing it."""
    days: dict[int, DayManifest] = {}
    damages: list[Damage] = []
    for day in days_in(archive):
        folder = day_folder(archive, day)
        try:
            days[day] = read_manifest(folder)
        except StoreDamaged as error:
            if folder.exists():  # retention may have come in between
                damages.append(Damage(path=folder, wrong=str(error)))
            continue
        damages += _damaged_files(folder, days[day])
    parts = PartFolder(archive / PARTS)
    names = parts.names()
    for tick, day in names:
        try:
            parts.read(tick, day)
        except StoreDamaged as error:
            if parts.path(tick, day).exists():
                damages.append(Damage(path=parts.path(tick, day), wrong=str(error)))
    return CheckedArchive(
        days=days,
        parts=len(names),
        gaps=tuple(_gaps(days)),
        dropped=_dropped(archive),
        aside=tuple(sorted(archive.rglob(f"*{BAD}*"))) if archive.is_dir() else (),
        damages=tuple(damages),
    )


def set_damages_aside(found: CheckedArchive) -> list[Path]:
    """Give what is damaged other names, under which it is not used; return them."""
    return [set_aside(damage.path) for damage in found.damages if damage.path.exists()]


def _damaged_files(folder: Path, manifest: DayManifest) -> list[Damage]:
    found: list[Damage] = []
    for name, about in manifest.files.items():
        path = folder / name
        try:
            size, crc = file_crc32(path)
        except OSError as error:
            if _is_still_named(folder, name):
                found.append(Damage(path=path, wrong=f"{path} cannot be read: {error.strerror}"))
            continue
        if size != about.size:
            found.append(Damage(path=path, wrong=f"{path} has {size} bytes, not {about.size}"))
        elif crc != about.crc32:
            found.append(Damage(path=path, wrong=f"{path} fails its checksum"))
    return found


def _is_still_named(folder: Path, name: str) -> bool:
    try:
        return name in read_manifest(folder).files
    except StoreDamaged:
        return False


def _gaps(days: dict[int, DayManifest]) -> list[str]:
    spans = joined_spans(span for manifest in days.values() for span in manifest.spans)
    return [
        f"ticks {before.tick + 1:,} to {after.after_tick:,}, after {minute_text(before.until_minute)} and before"
        f" {minute_text(after.after_minute + 1)} UTC"
        if after.after_tick > before.tick
        else f"another book begins with tick {after.after_tick + 1:,}, {minute_text(after.after_minute + 1)} UTC"
        for before, after in pairwise(spans)
    ]


def _dropped(archive: Path) -> str:
    said = dropped_so_far(archive)
    parts = []
    if said.get("raw_until"):
        parts.append(f"raw tables up to {said['raw_until']}")
    if said.get("whole_until"):
        parts.append(f"whole days up to {said['whole_until']}")
    return f"dropped: {' and '.join(parts)}, because {said.get('why', 'of the settings')}" if parts else ""


def _range(days: list[str]) -> str:
    return f"{days[0]} to {days[-1]} ({len(days)} days)" if days else "no raw days"
