"""The signed events of one book of one symbol, and when the old ones among them are worth merging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from liqscape.device.age_tiers import RAW_MINUTES
from liqscape.device.backend import Backend, CompactedPast, LedgerSnapshot, LedgerView
from liqscape.positions.book import BookStep

COMPACT_EVERY_MINUTES: Final = 60
"""Minutes of events older than a day that gather before they are merged: a merge rewrites whole tiers."""

COMPACT_MIN_EVENTS: Final = 100_000
"""Below so many raw events a merge saves nothing."""


@dataclass(frozen=True, slots=True)
class EventLogSnapshot:
    """An EventLog; first_minute is that of its first event."""

    ledger: LedgerSnapshot
    first_minute: int | None


class EventLog:
    """A ledger and its upkeep."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._ledger = backend.ledger()
        self._first_minute: int | None = None

    def __len__(self) -> int:
        return len(self._ledger)

    @property
    def raw_events(self) -> int:
        """Return the number of events not merged yet."""
        return self._ledger.raw_events

    def record(self, step: BookStep) -> None:
        """Log what a tick did to the book."""
        for batch in step.events:
            if self._first_minute is None:
                self._first_minute = batch.minute
            self._ledger.append(batch.minute, batch.cohorts, batch.sign, int(batch.cause))

    def capture(self) -> LedgerView:
        """Return the ledger as it is now."""
        return self._ledger.capture()

    def compaction(self, now_minute: int) -> Callable[[], CompactedPast] | None:
        """Return the work of merging what is older than a day, if enough of it has gathered.

        The work changes nothing and may run on any thread; hand its result to adopt() between ticks.
        """
        if self._first_minute is None or self._ledger.raw_events < COMPACT_MIN_EVENTS:
            return None
        view = self._ledger.capture()
        overdue = now_minute - RAW_MINUTES - max(view.exact_from_minute, self._first_minute)
        return (lambda: view.compacted(now_minute)) if overdue >= COMPACT_EVERY_MINUTES else None

    def snapshot(self) -> Callable[[], EventLogSnapshot]:
        """Return the work of copying everything as it is now, for any thread."""
        view, first_minute = self._ledger.capture(), self._first_minute
        return lambda: EventLogSnapshot(view.snapshot(), first_minute)

    def restore(self, snapshot: EventLogSnapshot) -> None:
        """Be as when a snapshot was taken."""
        self._ledger = self._backend.ledger(snapshot.ledger)
        self._first_minute = snapshot.first_minute

    def coarsen_rows(self, multiple: int) -> None:
        """Put every event on the row that is multiple times as high; a merge under way comes to nothing."""
        self._ledger.coarsen_rows(multiple)

    def adopt(self, past: CompactedPast) -> None:
        """Replace merged events by what compaction() made of them; no grid changes."""
        self._ledger.adopt(past)
