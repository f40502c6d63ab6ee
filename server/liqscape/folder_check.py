"""Looks at everything in a data folder, every checksum and every tick; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from liqscape.errors import ConfigError, ModelError
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.head import Head
from liqscape.journal.snapshot_file import read_snapshot
from liqscape.journal.sqlite_store import SqliteJournal
from liqscape.journal.store import StoreDamaged, StoreUnavailable
from liqscape.market.tick_codec import UnreadableTick, decode_tick
from liqscape.recovery import snapshot_of


@dataclass(frozen=True, slots=True)
class CheckedSnapshot:
    """A snapshot: its tick, bytes, and what is wrong with it, if anything."""

    tick: int
    size: int
    wrong: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedJournal:
    """A journal.

    Attributes:
        size: bytes of its files.
        oldest, newest: ticks in it; None where there are none, or nobody can tell.
        good: the ticks that follow the newest good snapshot, as far as they are good.
        wrong: what is wrong, in words; the first thing of each kind.
    """

    size: int
    oldest: int | None
    newest: int | None
    good: range
    wrong: tuple[str, ...]


def check_snapshots(folder: DataFolder) -> list[CheckedSnapshot]:
    """Return what is to be said of each snapshot, the oldest first."""
    found: list[CheckedSnapshot] = []
    for tick in folder.snapshots.ticks():
        path, wrong = folder.snapshots.path(tick), None
        try:
            snapshot = snapshot_of(read_snapshot(path))
            if snapshot.tick != tick:
                wrong = f"{path} is of tick {snapshot.tick}"
        except (StoreDamaged, ConfigError, ModelError) as error:
            wrong = str(error)
        found.append(CheckedSnapshot(tick, path.stat().st_size, wrong))
    return found


def check_journal(folder: DataFolder, snapshots: list[CheckedSnapshot]) -> CheckedJournal:
    """Return what is to be said of the journal."""
    base = max((snapshot.tick for snapshot in snapshots if snapshot.wrong is None), default=0)
    files = (folder.journal_path, *folder.beside_journal())
    size = sum(path.stat().st_size for path in files if path.exists())
    nothing = range(base + 1, base + 1)
    if not folder.journal_path.exists():
        return CheckedJournal(size=size, oldest=None, newest=None, good=nothing, wrong=_without(folder, base))
    try:
        journal = folder.open_journal()
    except (StoreDamaged, StoreUnavailable, ConfigError) as error:
        return CheckedJournal(size=size, oldest=None, newest=None, good=nothing, wrong=(str(error),))
    try:
        return _checked(journal, base, size)
    finally:
        journal.close()


def _without(folder: DataFolder, base: int) -> tuple[str, ...]:
    """Return what is wrong when there is no journal."""
    try:
        newest = Head(folder.journal_path.with_suffix(".head")).read()
    except StoreDamaged as error:
        return (str(error),)
    if newest is None or newest <= base:
        return ()
    return (f"{folder.journal_path} is missing, and ticks up to {newest} were committed to it",)


def _checked(journal: SqliteJournal, base: int, size: int) -> CheckedJournal:
    wrong = journal.defects()
    oldest = newest = None
    good, problem = _good_from(journal, base + 1)
    if problem is not None:
        wrong.append(problem)
    try:
        for _ in journal.notes():
            pass
        oldest, newest = journal.oldest_tick(), journal.newest_tick()
        if oldest is not None and oldest <= base:
            older, problem = _good_from(journal, oldest)
            if problem is not None and older.stop <= base:
                wrong.append(f"{problem}; nothing needs that tick while the snapshot of tick {base} is good")
    except StoreDamaged as error:
        wrong.append(str(error))
    return CheckedJournal(size=size, oldest=oldest, newest=newest, good=good, wrong=tuple(dict.fromkeys(wrong)))


def _good_from(journal: SqliteJournal, first: int) -> tuple[range, str | None]:
    """Return the good ticks from one on, and what is wrong with the one after them."""
    end = first
    try:
        for tick, body in journal.read(first):
            decode_tick(body)
            end = tick + 1
    except (StoreDamaged, UnreadableTick) as error:
        return range(first, end), str(error)
    return range(first, end), None
