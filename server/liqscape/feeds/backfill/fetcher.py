"""Asks one venue for pages, within its budgets, again where that helps, and says why where it does not."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from liqscape.errors import LiqscapeError
from liqscape.feeds.backfill.rows import PageRows, PageUnreadable, read_page
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.live.backoff import Backoff
from liqscape.feeds.live.budgets import WeightBudget
from liqscape.feeds.live.timing import Timing
from liqscape.feeds.live.transport import Answer, ConnectFailed, Transport
from liqscape.feeds.venues.dialect import Request
from liqscape.feeds.venues.history import PastSeries, VenueHistory

REQUEST_S: Final = 30.0
"""For a whole answer: a page has 200 KB."""

MAX_TRIES: Final = 6
"""Of one page: with the waits between them about a minute, which a restart of a venue's server takes."""

MAX_STOPS: Final = 30
"""Times that a venue may say "too many" before a page is given up: one that says nothing else is not asked for ever."""

STOP_S: Final = 10.0
"""Wait after "too many" where the venue does not say how long."""

_STOPS: Final = (418, 429)
_REFUSES: Final = (401, 403, 451)


class PageFailed(LiqscapeError):
    """A page that could not be had; the text says why."""


class VenueRefuses(LiqscapeError):
    """The venue does not serve us at all: by its law, or by its key."""


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """An answer and what it says."""

    request: Request
    body: bytes
    rows: PageRows


class PageFetcher:
    """Pages of one venue.

    Args:
        transport: what sends requests.
        timing: clock.
        budgets: by name; shared by all that asks the venue.
        seed: of the jitter between tries.
    """

    def __init__(
        self, transport: Transport, timing: Timing, budgets: Mapping[str, WeightBudget], seed: int = 0
    ) -> None:
        self._transport = transport
        self._timing = timing
        self._budgets = budgets
        self._generator = random.Random(seed)
        self.counters: Counter[str] = Counter()

    async def fetch(self, history: VenueHistory, series: PastSeries, span: Span) -> FetchedPage:
        """Return a page.

        Raises:
            PageFailed: it could not be had. VenueRefuses: nor could any other.
        """
        request = history.request(series, span.from_ns, span.until_ns)
        budget = self._budgets[series.budget]
        backoff = Backoff(self._generator)
        tries = stops = 0
        while True:
            await budget.take(series.weight)
            self.counters["requests"] += 1
            try:
                answer = await self._ask(request)
                if answer.status in _STOPS:
                    stops += 1
                    self.counters["stops"] += 1
                    budget.close_for(STOP_S if answer.retry_after_s is None else answer.retry_after_s)
                    if stops < MAX_STOPS:
                        continue
                    raise PageFailed(f"HTTP {answer.status} {stops} times")
                _check(answer)
                return FetchedPage(request, answer.body, read_page(history, series, answer.body, span))
            except (ConnectFailed, PageUnreadable) as error:
                tries += 1
                self.counters["failed tries"] += 1
                if tries >= MAX_TRIES:
                    raise PageFailed(str(error)) from error
                await self._timing.sleep(backoff.after_failure())

    async def _ask(self, request: Request) -> Answer:
        try:
            async with self._timing.timeout(REQUEST_S):
                return await self._transport.request(request)
        except TimeoutError:
            raise ConnectFailed(f"no answer in {REQUEST_S:g} s") from None


def _check(answer: Answer) -> None:
    """Raise what a status says."""
    said = answer.body[:120].decode(errors="replace")
    if answer.status in _REFUSES:
        raise VenueRefuses(f"HTTP {answer.status}: {said}")
    if answer.status >= 500:
        raise ConnectFailed(f"HTTP {answer.status}", answer.status)
    if answer.status != 200:
        raise PageFailed(f"HTTP {answer.status}: {said}")
