"""What lets an engine end at any moment: each tick goes to the journal before it is taken, snapshots beside the ticks.

When nothing can be written the engine goes on from memory. Ticks wait until there is room again; when too many wait,
they are let go, and the journal goes on behind the next snapshot, which holds what they did. A journal that turns out
to be broken while it is written stays as it is, for a start to take from it what is good, until there is such a
snapshot; then it is set aside and a new one begins.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from liqscape.archive.archivist import Archivist
from liqscape.config import DEFAULT_SNAPSHOT_SECONDS
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import LiqscapeError
from liqscape.grid.shard import Shard, ShardSnapshot
from liqscape.grid.updates import TickOutput
from liqscape.journal.data_folder import DataFolder
from liqscape.journal.sqlite_store import SqliteJournal
from liqscape.journal.store import JournalStore, Note, Record, StoreDamaged, StoreUnavailable
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.notes import notes_of
from liqscape.market.terms import Terms, terms_as_plain
from liqscape.market.tick_codec import encode_tick
from liqscape.recovery import TERMS, recover, stored_snapshot
from liqscape.told_tables import that_can_follow

_LOG = logging.getLogger(__name__)

GROUP_TICKS: Final = 256
"""Ticks of history, which nobody sees, that are committed together."""

MAX_WAITING_BYTES: Final = 64 << 20
"""Of ticks while nothing can be written: hours of twenty instruments."""

RETRY_SECONDS: Final = 1.0

MAINTAIN_SECONDS: Final = 1.0
"""The policy \"second\" is named for it."""

REPLAYED_WORTH_A_SNAPSHOT: Final = 1000
"""After so many ticks were replayed, the next tick is snapshot: who falls again and again must not replay ever more."""


class Keeper:
    """The durable side of one shard. Everything is called on the engine's thread, between ticks, but for maintain.

    Args:
        folder: where it is kept; closed by stop.
        settings: what decides the state beside the ticks, kept with each snapshot; there the terms in force join it.
        sync: see journal.sqlite_store.SYNC_POLICIES.
        snapshot_seconds: between two snapshots.
        maintain_seconds: between two calls of maintain.
        monotonic: seconds; decides when snapshots are made and failures tried again.
        first_terms: in force before the first tick; those of the shard where none are given.
        archive: hears of every tick, and has written what a snapshot begins after before the snapshot is.

    Attributes:
        counters: for people; see api.exposition.
        message: what is wrong at present, in words; empty while nothing is.
        committed_tick: the newest tick that would outlive this process if it were killed now.
    """

    def __init__(
        self,
        folder: DataFolder,
        settings: Mapping[str, Any],
        sync: str,
        snapshot_seconds: float = DEFAULT_SNAPSHOT_SECONDS,
        maintain_seconds: float = MAINTAIN_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        first_terms: Sequence[Terms] = (),
        archive: Archivist | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter(
            journal_ticks=0,
            journal_bytes=0,
            journal_failures=0,
            journal_ticks_waiting=0,
            journal_ticks_let_go=0,
            journal_ticks_lost=0,
            journal_ticks_replayed=0,
            snapshots=0,
            snapshot_bytes=0,
            snapshot_failures=0,
            damaged_files=0,
            terms_changed=0,
        )
        self.message = ""
        self.committed_tick = 0
        self._folder = folder
        self._settings = settings
        self._first_terms = tuple(first_terms)
        self._sync = sync
        self._snapshot_seconds = snapshot_seconds
        self._maintain_seconds = maintain_seconds
        self._monotonic = monotonic
        self._archive = archive
        self._journal: JournalStore | None = None
        self._journal_in_use = threading.Lock()  # of the thread that maintains it: nobody closes it meanwhile
        self._broken: StoreDamaged | None = None  # what is wrong with the journal, while it waits to be set aside
        self._waiting: list[Record] = []
        self._waiting_bytes = 0
        self._notes: list[Note] = []  # wait as ticks do, and are never let go
        self._retry_at: float | None = None  # while nothing can be written
        self._let_go_until = 0  # the last tick let go, while no snapshot holds what it did
        self._snapshot_due = monotonic()
        self._snapshotting: tuple[int, Future[int]] | None = None
        self._snapshot_failed = False
        self._maintenance_failed = False
        self._truncate_before = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._stopping = threading.Event()
        self._maintainer = threading.Thread(target=self._maintain_until_stopped, name="journal", daemon=True)

    @property
    def is_snapshotting(self) -> bool:
        """Return whether a snapshot is being written, or waits to be taken over."""
        return self._snapshotting is not None

    @property
    def said(self) -> str:
        """Return what people should know of journal and archive now, in words; empty while all is well."""
        archive = () if self._archive is None else (self._archive.message, self._archive.notice)
        return "; ".join(text for text in (self.message, *archive) if text)

    @property
    def all_counters(self) -> dict[str, int]:
        """Return the counters of journal, snapshots and archive."""
        return {**self.counters, **({} if self._archive is None else self._archive.counters)}

    def restore(self, shard: Shard, report: Callable[[str], None]) -> TickOutput | None:
        """Bring a new shard to where an earlier one ended; return what its stream begins with, if it was rendered.

        Where its terms are others than were in force then, its next tick says so, and what opens from then on opens on
        them.

        Args:
            shard: new, on the terms wanted; its on_closed is record.
            report: hears in words how far it is; what it raises ends the work.

        Raises:
            StoreUnavailable, ConfigError, ModelError: see recover and Shard.propose.
        """
        wanted = shard.terms
        if self._first_terms:
            shard.begin_with(self._first_terms)
        found = recover(self._folder, self._sync, shard, report, self._archive)
        self._journal = found.journal
        self.committed_tick = shard.tick
        self._truncate_before = self._first_needed()
        self.counters["journal_ticks_replayed"] = found.replayed
        self.counters["journal_ticks_lost"] = found.lost
        self.counters["damaged_files"] = found.damaged
        is_as_kept = found.snapshot_tick and found.replayed < REPLAYED_WORTH_A_SNAPSHOT and not found.damaged
        if is_as_kept:
            self._snapshot_due = self._monotonic() + self._snapshot_seconds
        if shard.tick:
            _LOG.info("restored tick %d: snapshot %d and %d ticks", shard.tick, found.snapshot_tick, found.replayed)
        for change in shard.propose(that_can_follow(wanted, shard.terms)):
            _LOG.warning("from the next tick on another %s is in force", change)
        if self._archive is not None:
            self._archive.go_live()
            self._archive.check_files()
        self._maintainer.start()
        return shard.restate()

    def record(self, tick: int, closed: ClosedTick) -> None:
        """Commit a tick before it is taken; where that cannot be done, keep it for later. Never raises for a disk."""
        body = encode_tick(closed)
        self.counters["terms_changed"] += len(closed.terms)
        self._waiting.append((tick, body))
        self._waiting_bytes += len(body)
        self._notes += (Note(tick, kind, text) for kind, text in notes_of(closed))
        if closed.render or len(self._waiting) >= GROUP_TICKS:
            self._commit()
        if self._archive is not None:
            self._archive.before_tick(tick, closed)

    def after_tick(self, shard: Shard) -> None:
        """Take over a snapshot that is done, and begin one that is due. Between ticks."""
        if self._snapshotting is not None:
            if not self._snapshotting[1].done():
                return
            self._take_over(*self._snapshotting)
            self._snapshotting = None
        if self._monotonic() >= self._snapshot_due and shard.may_be_snapshot:
            self._snapshot_due = self._monotonic() + self._snapshot_seconds
            try:
                copy = shard.snapshot()
            except OutOfDeviceMemory as error:
                self._snapshot_fails(error)
            else:
                settings = {**self._settings, TERMS: terms_as_plain(shard.terms)}
                archived = None if self._archive is None else self._archive.cut()
                self._snapshotting = shard.tick, self._writer.submit(self._write_snapshot, copy, settings, archived)

    def maintain(self) -> None:
        """Do what waits for the disk; on a thread of its own, about each second."""
        with self._journal_in_use:
            if self._journal is None or self._broken is not None:
                return
            try:
                self._journal.maintain()
                while self._journal.truncate_before(self._truncate_before) and not self._stopping.wait(0.01):
                    pass
            except StoreDamaged as error:
                self._broken = error  # the engine's thread is told with its next tick
            except Exception as error:  # whatever it is, the next time may be better, and there must be one
                self.counters["journal_failures"] += 1
                if not self._maintenance_failed:
                    known = isinstance(error, LiqscapeError)
                    _LOG.error(
                        "a loss of power may take more than it should: %s", error, exc_info=None if known else error
                    )
                self._maintenance_failed = True
            else:
                self._maintenance_failed = False

    def stop(self) -> None:
        """Commit what waits, and let go of the folder."""
        self._stopping.set()
        if self._maintainer.is_alive():
            self._maintainer.join()
        self._writer.shutdown(wait=True, cancel_futures=True)
        self._retry_at = None
        if self._snapshotting is not None and not self._snapshotting[1].cancelled():
            self._take_over(*self._snapshotting)  # the journal may go on behind it
        if self._journal is not None:
            self._commit()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._waiting:
            _LOG.error("%d ticks that waited for the journal are in no file", len(self._waiting))
        if self._archive is not None:
            self._archive.stop()
        self._folder.close()

    def _write_snapshot(
        self, copy: Callable[[], ShardSnapshot], settings: Mapping[str, Any], archived: Future[None] | None
    ) -> int:
        if archived is not None:
            archived.result()  # or a restart would begin after what the archive has not kept
        return self._folder.snapshots.write(stored_snapshot(copy(), settings))

    def _commit(self) -> None:
        may_try = self._retry_at is None or self._monotonic() >= self._retry_at
        is_idle = not self._waiting and not self._notes
        if self._journal is None or self._let_go_until or is_idle or not may_try:
            self._bound_waiting()
            return
        try:
            if self._broken is not None:
                raise self._broken
            self._journal.append(self._waiting, self._notes)
        except StoreUnavailable as error:
            self._fail(error)
            self._bound_waiting()
            return
        except StoreDamaged as error:
            self._broken = error
            self._fail(error)
            self._let_go()
            return
        self.counters["journal_ticks"] += len(self._waiting)
        self.counters["journal_bytes"] += self._waiting_bytes
        if self._waiting:
            self.committed_tick = self._waiting[-1][0]
        if self._retry_at is not None:
            _LOG.warning("the journal is written again; %d ticks that waited are in it", len(self._waiting))
        self._retry_at, self.message = None, ""
        self._notes = []
        self._forget_waiting()

    def _fail(self, error: StoreUnavailable | StoreDamaged) -> None:
        self.counters["journal_failures"] += 1
        if self._retry_at is None:
            _LOG.error("the journal cannot be written, ticks go on from memory: %s", error)
        self._retry_at = self._monotonic() + RETRY_SECONDS
        self.message = f"not durable: {error}"

    def _bound_waiting(self) -> None:
        self.counters["journal_ticks_waiting"] = len(self._waiting)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._let_go()

    def _let_go(self) -> None:
        """Keep waiting ticks no longer: the next snapshot, which is due at once, will hold what they did."""
        _LOG.error("%d ticks are let go; the journal goes on behind the next snapshot", len(self._waiting))
        self.counters["journal_ticks_let_go"] += len(self._waiting)
        if self._waiting:
            self._let_go_until = self._waiting[-1][0]
        self._snapshot_due = self._monotonic()
        self._forget_waiting()

    def _forget_waiting(self) -> None:
        self._waiting, self._waiting_bytes = [], 0
        self.counters["journal_ticks_waiting"] = 0

    def _take_over(self, tick: int, written: Future[int]) -> None:
        try:
            self.counters["snapshot_bytes"] = written.result()
        except Exception as error:  # a defect of snapshots must not end the ticks, which the journal has
            self._snapshot_fails(error)
            return
        self.counters["snapshots"] += 1
        self._snapshot_failed = False
        self._truncate_before = self._first_needed()
        if self._archive is not None:
            self._archive.snapshots_kept(self._truncate_before - 1)
        if 0 < self._let_go_until <= tick and (self._broken is None or self._begin_anew(tick)):
            self._let_go_until = 0
            self._commit()

    def _begin_anew(self, tick: int) -> bool:
        """Set a broken journal aside, as the snapshot of a tick holds all it had; return whether another is begun."""
        with self._journal_in_use:
            try:
                broken, self._journal = self._journal, None
                if broken is not None and not isinstance(broken, SqliteJournal):
                    broken.close()
                    broken = None
                aside = self._folder.set_journal_aside(broken, range(tick + 1, tick + 1))
                self._journal = self._folder.open_journal(self._sync)
            except (OSError, LiqscapeError) as error:
                _LOG.error("a broken journal cannot be set aside: %s", error)
                self._snapshot_due = self._monotonic() + RETRY_SECONDS
                return False
            self.counters["damaged_files"] += len(aside)
            _LOG.error("the journal is broken and set aside as %s: %s", ", ".join(map(str, aside)), self._broken)
            self._broken, self._retry_at = None, None
            return True

    def _snapshot_fails(self, error: Exception) -> None:
        self.counters["snapshot_failures"] += 1
        if not self._snapshot_failed:
            known = isinstance(error, LiqscapeError)
            _LOG.error("snapshots cannot be written: %s", error, exc_info=None if known else error)
        self._snapshot_failed = True
        if self._let_go_until:
            self._snapshot_due = self._monotonic() + RETRY_SECONDS

    def _first_needed(self) -> int:
        """Return the first tick of the journal that leads from a snapshot to now."""
        kept = self._folder.snapshots.ticks()
        return kept[0] + 1 if kept else 0

    def _maintain_until_stopped(self) -> None:
        while not self._stopping.wait(self._maintain_seconds):
            self.maintain()
