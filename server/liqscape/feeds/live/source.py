"""Venues as an event source: the feeds in a thread of their own, slices and ticks by the clock."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from liqscape.clock import Clock
from liqscape.errors import LiqscapeError
from liqscape.events import Event
from liqscape.feeds.exact import ExactView
from liqscape.feeds.live.account_desk import Following
from liqscape.feeds.live.connection import Recorder
from liqscape.feeds.live.feeds import Feeds
from liqscape.feeds.live.inbox import Inbox
from liqscape.feeds.live.slices import Slices
from liqscape.feeds.live.table_fetching import TableKeeper
from liqscape.feeds.live.timing import SystemTiming, Timing
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.feeds.status import VenueStatus
from liqscape.feeds.tables import TableBoard
from liqscape.feeds.venues.dialect import Listing, Venue

_LOG = logging.getLogger(__name__)

DEFAULT_TICK_MS: Final = 250
"""Four pictures a second: what is faster, nobody sees."""

STOP_S: Final = 10.0
"""For connections to be closed."""


class FeedsStopped(LiqscapeError):
    """The thread of the feeds has ended by a defect."""


class LiveSource:
    """See EventSource. Sockets are read in a thread, so that a long tick delays no receive time (see turn.py).

    Args:
        venues: to listen to.
        listings: what is wanted of each, by its name.
        clock: ends ticks.
        tick_ms: milliseconds.
        timing: clocks of the connections; None = the machine's, with stamps of `clock`.
        seed: of jitter; None = another one each time, so that servers that start together spread out.
        recorder, rewrite, following, tables, asked_tables: see Feeds.
    """

    def __init__(
        self,
        venues: Sequence[Venue],
        listings: Mapping[str, Sequence[Listing]],
        clock: Clock,
        *,
        tick_ms: int = DEFAULT_TICK_MS,
        timing: Timing | None = None,
        seed: int | None = None,
        recorder: Recorder | None = None,
        rewrite: Callable[[str], str] = lambda url: url,
        following: Following | None = None,
        tables: TableBoard | None = None,
        asked_tables: TableKeeper | None = None,
    ) -> None:
        self._tables = tables
        self.inbox = Inbox()
        self._slices = Slices(self.inbox, clock, tick_ms * 1_000_000)
        self._feeds = Feeds(
            venues,
            listings,
            self._hear,
            timing or SystemTiming(clock),
            seed=secrets.randbits(64) if seed is None else seed,
            recorder=recorder,
            rewrite=rewrite,
            following=following,
            tables=tables,
            asked_tables=asked_tables,
        )
        self._heard: set[str] = set()
        instruments = tuple(listing.instrument for venue in venues for listing in listings[venue.name])
        self._description = SourceDescription(
            name=f"live: {', '.join(venue.name for venue in venues)}",
            instruments=tuple(sorted(instruments, key=lambda i: i.instrument_id)),
            tick_ms=tick_ms,
        )

    @property
    def description(self) -> SourceDescription:
        return self._description

    def progress(self) -> Progress:
        """Return how many instruments have a price: before the first one there is nothing to show."""
        checks = [check for desk in self._feeds.desks for check in desk.plausibility.checks.values()]
        return Progress(sum(check.price > 0 for check in checks), len(checks), "instruments heard")

    def feeds(self) -> tuple[VenueStatus, ...]:
        """See ReportsFeeds."""
        return self._feeds.statuses

    def exact(self) -> tuple[ExactView, ...]:
        """See ReportsExact."""
        return self._feeds.exact

    def tables(self) -> TableBoard | None:
        """See TellsTables."""
        return self._tables

    async def events(self) -> AsyncIterator[Event]:
        """Yield events by venue time within each slice of a tick (see slices.py), until cancelled.

        Raises:
            FeedsStopped: of a defect.
        """
        thread = _FeedsThread(self._feeds)
        thread.start()
        try:
            while True:
                heard = await self._slices.next()
                thread.check()
                for event in heard:
                    yield event
        finally:
            self._slices.turn.give_back()
            thread.stop()

    def _hear(self, events: Sequence[Event]) -> None:
        """Take what is believed; on the feeds' thread."""
        self._slices.turn.wait()
        self.inbox.put(events)


class _FeedsThread:
    """Runs feeds in an event loop of their own."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._thread = threading.Thread(target=self._run, name="feeds", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._stopping = False
        self._error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def check(self) -> None:
        """Raise FeedsStopped if the thread has ended by itself."""
        if self._error is not None:
            raise FeedsStopped(f"the feeds have ended: {type(self._error).__name__}") from self._error

    def stop(self) -> None:
        """End the thread; every connection is closed then."""
        self._stopping = True
        loop, task = self._loop, self._task
        if loop is not None and task is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if not self._stopping:
                _LOG.exception("the feeds have ended")
                self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._ready.set()
        await self._feeds.run()
