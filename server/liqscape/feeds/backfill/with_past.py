"""A live source that begins with what a backfill has kept: positions are there before the first live tick."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from liqscape.clock import Clock
from liqscape.events import Event
from liqscape.feeds.backfill.page_store import PageStore
from liqscape.feeds.backfill.past import BackfilledHistory
from liqscape.feeds.exact import ExactView, ReportsExact
from liqscape.feeds.resumed import events_after
from liqscape.feeds.source import EventSource, Progress, SourceDescription
from liqscape.feeds.status import ReportsFeeds, VenueStatus
from liqscape.feeds.tables import TableBoard, board_of
from liqscape.feeds.venues.dialect import Listing, Venue


class WithPast:
    """See EventSource, ResumableSource, ReportsFeeds, ReportsExact and TellsTables.

    The past ends where its pages end, minutes or more before the first live tick: that tick tells a Gap of each
    instrument. A server that starts again takes what was backfilled of its absence.

    Args:
        live: what follows.
        data: data folder, of which only the kept pages are read.
        venues, listings: of the live source.
        clock: nothing is taken as past that it has not reached.
    """

    def __init__(
        self,
        live: EventSource,
        data: Path,
        venues: Sequence[Venue],
        listings: Mapping[str, Sequence[Listing]],
        clock: Clock,
    ) -> None:
        self._live = live
        self._store = PageStore(data, read_only=True)
        self._venues = venues
        self._listings = listings
        self._clock = clock
        self._after_ns: int | None = None
        self._past: BackfilledHistory | None = None

    @property
    def description(self) -> SourceDescription:
        """Return what the live source is."""
        return self._live.description

    def resume(self, after_ns: int) -> None:
        """Let events() begin after the tick that ended then."""
        self._after_ns = after_ns

    def progress(self) -> Progress:
        """Return how far the past is told; then what the live source says."""
        return self._live.progress() if self._past is None else self._past.progress()

    def feeds(self) -> tuple[VenueStatus, ...]:
        """Return the newest status of each venue."""
        return self._live.feeds() if isinstance(self._live, ReportsFeeds) else ()

    def exact(self) -> tuple[ExactView, ...]:
        """Return what the live source knows of accounts: their past is not told."""
        return self._live.exact() if isinstance(self._live, ReportsExact) else ()

    def tables(self) -> TableBoard | None:
        """Return where the live source tells margin tables."""
        return board_of(self._live)

    async def events(self) -> AsyncIterator[Event]:
        """Yield the past, then what is live."""
        past = BackfilledHistory(
            self._store,
            self._venues,
            self._listings,
            from_ns=self._after_ns or 0,
            until_ns=self._clock.now_ns(),
        )
        self._past = past
        async for event in past.events():
            yield event
        self._past = None
        ended_ns = self._after_ns if past.end_ns is None else past.end_ns
        async for event in events_after(self._live, ended_ns):
            yield event
