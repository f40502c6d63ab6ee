"""One backfill: what is missing of each listing's past, fetched newest first and kept page by page.

Newest first, because the latest hours matter most to a map and an interrupted run leaves them. What is kept is never
asked for again, so a run that was killed goes on where it was, short of the page that was on its way.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liqscape.feeds.backfill.fetcher import FetchedPage, PageFailed, PageFetcher, VenueRefuses
from liqscape.feeds.backfill.page_store import PageDamaged, PageStore, SeriesKey, StoredPage
from liqscape.feeds.backfill.rows import lacks
from liqscape.feeds.backfill.spans import DAY_NS, Span, missing, pages, wanted_spans
from liqscape.feeds.live.budgets import WeightBudget
from liqscape.feeds.live.timing import Timing
from liqscape.feeds.live.transport import Transport
from liqscape.feeds.venues.dialect import Listing, Venue
from liqscape.feeds.venues.history import PastSeries, VenueHistory

WORKERS: Final = 3
"""Requests on their way to a venue: they use its budget at a quarter of a second an answer, and are no load to it."""

EMPTY_PAGES_END: Final = 3
"""Pages without a row, one after the other going back, that end a series: the venue has no more. No halt of a venue
lasts the two days that three pages of minutes span."""

MAX_EDGES: Final = 20
"""Times that a page is asked for what it lacks: a venue may give a twentieth of the rows it says."""

LATE_NS: Final = DAY_NS
"""An empty page as new as this is not kept: what is not there yet may come."""


@dataclass(slots=True)
class VenueProgress:
    """How far one venue is.

    Attributes:
        total, done: pages to ask for; done or given up.
        rows: that were kept in this run.
        dropped: rows thrown away, outside the span, or told twice, by reason.
        failed: reasons of pages that could not be had, with how many.
        refused: why the venue serves nothing; None: it does.
    """

    total: int = 0
    done: int = 0
    rows: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    refused: str | None = None

    def drop(self, reason: str, count: int = 1) -> None:
        """Count rows thrown away."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


@dataclass(frozen=True, slots=True)
class _Job:
    key: SeriesKey
    history: VenueHistory
    series: PastSeries
    span: Span


@dataclass(slots=True)
class _End:
    """Where a series ends, going back: nothing is to be had before `before_ns`."""

    before_ns: int = 0
    empty: int = 0

    def saw(self, span: Span, *, has_rows: bool) -> None:
        self.empty = 0 if has_rows else self.empty + 1
        if self.empty >= EMPTY_PAGES_END:
            self.before_ns = max(self.before_ns, span.until_ns)


class Backfill:
    """See above.

    Args:
        store: where pages are kept.
        transport: what sends requests.
        timing: clocks.
        told: called with a venue's name after each page.

    Attributes:
        progress: of each venue, by its name.
        set_aside: pages that were damaged.
    """

    def __init__(
        self,
        store: PageStore,
        transport: Transport,
        timing: Timing,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._transport = transport
        self._timing = timing
        self._told = told
        self.progress: dict[str, VenueProgress] = {}
        self.set_aside: list[Path] = []

    async def run(self, venues: Sequence[Venue], listings: Mapping[str, Sequence[Listing]], from_ns: int) -> None:
        """Fetch what is missing.

        Args:
            venues: those with a history are asked, the others left out.
            listings: what is wanted of each, by its name.
            from_ns: how far back.

        Raises:
            StoreFull: a page could not be written.
        """
        plans = {
            venue.name: self._plan(venue, listings[venue.name], from_ns)
            for venue in venues
            if venue.history is not None
        }
        self.progress = {name: VenueProgress(total=len(jobs)) for name, (jobs, _) in plans.items()}
        for name in plans:
            self._told(name)
        async with asyncio.TaskGroup() as group:
            for name, (jobs, fetcher) in plans.items():
                group.create_task(self._venue(name, jobs, fetcher))

    def _plan(self, venue: Venue, listings: Sequence[Listing], from_ns: int) -> tuple[list[_Job], PageFetcher]:
        """Return what to ask a venue for, newest first, and by what."""
        budgets: dict[str, WeightBudget] = {}
        jobs: list[_Job] = []
        now_ns = self._timing.now_ns()
        for key, history, series, wanted in series_of(venue, listings, from_ns, now_ns):
            for budget in history.budgets:
                budgets.setdefault(budget.name, WeightBudget(budget, self._timing))
            kept = [page.span for page in self._intact(key)]
            jobs += [_Job(key, history, series, span) for span in pages(missing(wanted, kept), series)]
        jobs.sort(key=lambda job: (-job.span.until_ns, job.key))
        return jobs, PageFetcher(self._transport, self._timing, budgets, seed=int.from_bytes(venue.name.encode()))

    def _intact(self, key: SeriesKey) -> list[StoredPage]:
        """Return the kept pages of a series; damaged ones are set aside, and so missing again."""
        found = []
        for page in self._store.pages(key):
            try:
                self._store.read(page)
                found.append(page)
            except PageDamaged:
                self.set_aside.append(self._store.set_aside(page))
        return found

    async def _venue(self, name: str, jobs: Sequence[_Job], fetcher: PageFetcher) -> None:
        waiting = iter(jobs)
        ends = {key: self._end_met(key) for key in {job.key for job in jobs}}
        await asyncio.gather(*(self._work(name, waiting, ends, fetcher) for _ in range(WORKERS)))

    def _end_met(self, key: SeriesKey) -> _End:
        """Return what earlier runs have learnt of where a series ends: their oldest pages have no row."""
        end = _End()
        oldest = list(itertools.takewhile(lambda page: page.rows == 0, self._store.pages(key)))
        if len(oldest) >= EMPTY_PAGES_END:
            end.before_ns = oldest[-1].span.until_ns
        return end

    async def _work(
        self, name: str, waiting: Iterator[_Job], ends: Mapping[SeriesKey, _End], fetcher: PageFetcher
    ) -> None:
        progress = self.progress[name]
        for job in waiting:
            if progress.refused is None and job.span.until_ns > ends[job.key].before_ns:
                await self._page(progress, job, ends[job.key], fetcher)
            progress.done += 1
            self._told(name)

    async def _page(self, progress: VenueProgress, job: _Job, end: _End, fetcher: PageFetcher) -> None:
        try:
            fetched = await fetcher.fetch(job.history, job.series, job.span)
            # What an answer lacks is kept before the answer itself: killed in between, the page is asked for once more.
            edges = lacks(fetched.rows, job.series, job.span)
            for _ in range(MAX_EDGES):
                if not edges:
                    break
                edge = edges.pop()
                rest = await fetcher.fetch(job.history, job.series, edge)
                if rest.rows.events:
                    self._keep(progress, job, edge, rest)
                    edges += lacks(rest.rows, job.series, edge)
        except PageFailed as error:
            progress.failed[str(error)] = progress.failed.get(str(error), 0) + 1
            return
        except VenueRefuses as error:
            progress.refused = str(error)
            return
        end.saw(job.span, has_rows=bool(fetched.rows.events))
        if fetched.rows.events or job.span.until_ns <= self._timing.now_ns() - LATE_NS:
            self._keep(progress, job, job.span, fetched)

    def _keep(self, progress: VenueProgress, job: _Job, span: Span, page: FetchedPage) -> None:
        rows = page.rows
        self._store.write(job.key, span, page.request, page.body, len(rows.events), self._timing.now_ns())
        progress.rows += len(rows.events)
        progress.drop("outside what was asked for", rows.outside)
        progress.drop("told twice", rows.repeated)
        for rejection in rows.rejected:
            progress.drop(rejection.reason)


def series_of(
    venue: Venue, listings: Sequence[Listing], from_ns: int, now_ns: int
) -> Iterator[tuple[SeriesKey, VenueHistory, PastSeries, Span]]:
    """Yield what a venue has of each listing, and what is wanted of it."""
    if venue.history is None:
        return
    for listing in listings:
        history = venue.history(listing)
        for series, wanted in wanted_spans(history.series, from_ns, now_ns).items():
            yield SeriesKey(venue.name, listing.name, series.name), history, series, wanted
