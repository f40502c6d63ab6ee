"""A shard as it was when its process ended: the newest good snapshot, then the ticks of the journal since.

Whatever is damaged is named in the log, set aside under another name, and not used. What a journal says after a tick
that is missing or broken is not used either: it would be told to another book than the one it is about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from liqscape.errors import ConfigError, ModelError
from liqscape.grid.shard import Shard, ShardSnapshot
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.plain_values import UnreadableValue, build, flatten
from liqscape.journal.snapshot_file import StoredSnapshot, read_snapshot
from liqscape.journal.sqlite_store import SqliteJournal
from liqscape.journal.store import StoreDamaged, StoreUnavailable
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.terms import UnreadableTerms, terms_of_plain
from liqscape.market.tick_codec import UnreadableTick, decode_tick

_LOG = logging.getLogger(__name__)

STATE_VERSION: Final = 2
"""Of ShardSnapshot and all that it is made of; another number for each other form. 2: with stamps of instruments."""

READABLE_VERSIONS: Final = (1, 2)


TERMS: Final = "terms"
"""Name among the settings of what terms_of_plain reads: of a snapshot those in force then, of a folder the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was found.

    Attributes:
        journal: open, to go on with.
        snapshot_tick: of the snapshot used; 0: none was.
        replayed: ticks of the journal after it.
        lost: ticks that were committed after the last good one.
        damaged: files set aside.
    """

    journal: SqliteJournal
    snapshot_tick: int
    replayed: int
    lost: int
    damaged: int


class ReplayObserver(Protocol):
    """Who must hear of the ticks of a replay as it hears of those of the market."""

    def begin(self, shard: Shard) -> None:
        """Take up a shard that was restored from a snapshot, or is new."""
        ...

    def before_tick(self, tick: int, closed: ClosedTick) -> None:
        """Hear of a tick before the shard takes it."""
        ...


def recover(
    folder: DataFolder,
    sync: str,
    shard: Shard,
    report: Callable[[str], None],
    observer: ReplayObserver | None = None,
) -> Recovery:
    """Bring a new shard to where an earlier one was, as far as that was kept. Its grids are left to restate.

    Args:
        folder: of the earlier one; its settings, terms included, are those of the shard.
        sync: see SqliteJournal.
        shard: has taken nothing yet.
        report: hears in words how far it is; what it raises ends the work.
        observer: hears of each tick.

    Raises:
        StoreUnavailable: the journal cannot be opened or written.
        ConfigError: journal or snapshot were written by another version of this program.
        ModelError: what was written as a whole does not fit the model; nothing is set aside.
    """
    try:
        removed = folder.snapshots.remove_unfinished()
        if removed:
            _LOG.info("removed %d unfinished snapshots of a process that was killed", removed)
        bad_snapshots = _restore(folder, shard, report)
        snapshot_tick = shard.tick
        if observer is not None:
            observer.begin(shard)
        journal, lost, bad_files = _replay(folder, sync, shard, report, observer)
    except OSError as error:  # what is damaged cannot be set aside
        raise StoreUnavailable(f"{folder.folder} cannot be written: {error.strerror or error}") from error
    return Recovery(
        journal=journal,
        snapshot_tick=snapshot_tick,
        replayed=shard.tick - snapshot_tick,
        lost=lost,
        damaged=bad_snapshots + bad_files,
    )


def snapshot_of(stored: StoredSnapshot) -> ShardSnapshot:
    """Return what a snapshot of a shard was made of.

    Raises:
        ConfigError: it was made by another version of this program.
    """
    if stored.version not in READABLE_VERSIONS:
        known = " and ".join(map(str, READABLE_VERSIONS))
        raise ConfigError(f"snapshot of tick {stored.tick} is of version {stored.version}; {known} are read here")
    try:
        return build(ShardSnapshot, stored.tree, stored.arrays)
    except UnreadableValue as error:
        raise ModelError(f"snapshot of tick {stored.tick} does not fit its version: {error}") from error


def stored_snapshot(snapshot: ShardSnapshot, settings: Mapping[str, Any]) -> StoredSnapshot:
    """Return what is stored of a snapshot."""
    arrays: list[NDArray[Any]] = []
    tree = flatten(snapshot, arrays)
    return StoredSnapshot(STATE_VERSION, snapshot.tick, settings, tree, arrays)


def _replay_tick(shard: Shard, tick: int, body: bytes, observer: ReplayObserver | None) -> None:
    try:
        closed = decode_tick(body)
        if observer is not None:
            observer.before_tick(tick, closed)
        shard.replay(closed)
    except UnreadableTick as error:  # its checksum is right, so it was written like this
        raise ConfigError(f"tick {tick} of the journal was written by another version: {error}") from error
    except ModelError as error:
        remedy = f"liqscape journal repair --before {tick} gives it up and what follows, or use another data folder"
        raise ModelError(f"tick {tick} of the journal cannot be taken: {error}; {remedy}") from error


def _restore(folder: DataFolder, shard: Shard, report: Callable[[str], None]) -> int:
    """Restore the newest good snapshot, if any; return how many bad ones were set aside."""
    bad = 0
    for tick in reversed(folder.snapshots.ticks()):
        report(f"restoring the snapshot of tick {tick:,}")
        try:
            stored = read_snapshot(folder.snapshots.path(tick))
        except StoreDamaged as error:
            aside = folder.snapshots.set_aside(tick)
            _LOG.error("snapshot of tick %d is damaged and set aside as %s: %s", tick, aside, error)
            bad += 1
            continue
        _begin_on_terms_of(stored, shard)
        shard.restore(snapshot_of(stored))
        break
    return bad


def _begin_on_terms_of(stored: StoredSnapshot, shard: Shard) -> None:
    """Have the terms in force that were in force then; of an older version, those that the shard was begun with."""
    if TERMS in stored.settings:
        try:
            shard.begin_with(terms_of_plain(stored.settings[TERMS]).values())
        except UnreadableTerms as error:
            raise ConfigError(f"snapshot of tick {stored.tick} was written by another version: {error}") from error


def _replay(
    folder: DataFolder, sync: str, shard: Shard, report: Callable[[str], None], observer: ReplayObserver | None
) -> tuple[SqliteJournal, int, int]:
    """Replay the journal; return it, the ticks lost, and how many files were set aside."""
    journal: SqliteJournal | None = None
    first = shard.tick + 1
    try:
        journal = folder.open_journal(sync)
        newest = journal.newest_tick() or 0
        for tick, body in journal.read(first):
            if (tick - first) % 100 == 0:
                report(f"replaying the journal: tick {tick:,} of {newest:,}")
            _replay_tick(shard, tick, body, observer)
    except StoreDamaged as error:
        damage = error
    except BaseException:
        if journal is not None:
            journal.close()
        raise
    else:
        return journal, 0, 0
    lost = _lost(journal, shard.tick)
    good = range(first, shard.tick + 1)
    aside = folder.set_journal_aside(journal, good)
    _LOG.error(
        "the journal is damaged after tick %d, %d ticks are lost, and what was found is set aside as %s: %s",
        shard.tick,
        lost,
        ", ".join(map(str, aside)),
        damage,
    )
    return folder.open_journal(sync), lost, len(aside)


def _lost(journal: SqliteJournal | None, good_tick: int) -> int:
    """Return how many ticks after the last good one are known to have been committed."""
    known = [good_tick]
    if journal is not None:
        for newest in (journal.newest_good_tick, journal.head.read):
            try:
                known.append(newest() or 0)
            except StoreDamaged:
                continue
    return max(known) - good_tick
