"""What a backfill has kept, as events: what precedes the live ticks of a server.

Every minute that has something ends with a TickEnd that renders nothing. Within it, by instrument: the mark prices of
the candle that ends there, gaps, the candle of what was traded, open interest, funding. A mark candle becomes its open,
high, low and close as mark prices, so that what was traded off the mark liquidates nobody here either. Pages are read
one after the other: a year of twenty instruments fits no memory as events.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

from liqscape.events import Candle, Event, Funding, Gap, MarkPrice, OpenInterest, TickEnd
from liqscape.feeds.backfill.page_store import PageDamaged, PageStore, SeriesKey
from liqscape.feeds.backfill.rows import PageUnreadable, read_page, time_of
from liqscape.feeds.source import Progress
from liqscape.feeds.venues.dialect import Channel, Listing, Venue
from liqscape.feeds.venues.history import PastSeries, VenueHistory

MINUTE_NS: Final = 60_000_000_000

JUMP: Final = 10
"""Open interest this many times larger or smaller than the last sample is a fault, or another unit. See
recorded_events.py: the hardest real fall was 28 % in four hours."""

JUMP_SAMPLES: Final = 12
"""Samples in a row that stay at a new level until it is believed: an hour of the usual ones."""

GAP_STEPS: Final = 2
"""Steps without open interest that are a gap: a venue that skips one sample has said no wrong."""

_ORDER: Final = {Channel.MARK: 0, Channel.TRADES: 1, Channel.OPEN_INTEREST: 2, Channel.FUNDING: 3}

_Said: TypeAlias = tuple[int, str, int, list[Event]]
"""Instant (end of a minute), instrument, order within it, events."""


class BackfilledHistory:
    """The kept past of listings.

    Args:
        store: where pages are kept.
        venues, listings: as of the live source that follows.
        from_ns: what was before is left out.
        until_ns: so is what was said after; None: nothing.

    Attributes:
        counters: what was met so far: pages, damaged pages, rows rejected, repeated rows, candles, marks, samples,
            rejected samples, gaps.
    """

    def __init__(
        self,
        store: PageStore,
        venues: Sequence[Venue],
        listings: Mapping[str, Sequence[Listing]],
        *,
        from_ns: int = 0,
        until_ns: int | None = None,
    ) -> None:
        self._store = store
        self._from_ns = from_ns
        self._until_ns = until_ns
        self.counters: Counter[str] = Counter()
        self._series: list[tuple[str, SeriesKey, VenueHistory, list[PastSeries]]] = []
        for venue in venues:
            for listing in listings.get(venue.name, ()) if venue.history is not None else ():
                self._add(venue, listing)
        self._done = 0
        self._total = sum(len(store.pages(self._key(key, s))) for _, key, _, kept in self._series for s in kept)
        self._end_ns: int | None = None

    def _add(self, venue: Venue, listing: Listing) -> None:
        assert venue.history is not None
        history = venue.history(listing)
        by_channel: dict[Channel, list[PastSeries]] = {}
        for series in history.series:
            by_channel.setdefault(series.channel, []).append(series)
        for of_channel in by_channel.values():
            key = SeriesKey(venue.name, listing.name, "")
            self._series.append((listing.instrument_id, key, history, of_channel))

    @staticmethod
    def _key(key: SeriesKey, series: PastSeries) -> SeriesKey:
        return SeriesKey(key.venue, key.instrument, series.name)

    @property
    def end_ns(self) -> int | None:
        """Return the end of the last tick yielded; None before there is one."""
        return self._end_ns

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was kept of these listings."""
        return self._total == 0

    def progress(self) -> Progress:
        """Return how many pages were read."""
        return Progress(self._done, self._total, "pages")

    def iterate(self) -> Iterator[Event]:
        """Yield all events, TickEnd after each step."""
        streams = [self._stream(name, key, history, of_channel) for name, key, history, of_channel in self._series]
        for instant_ns, group in groupby(heapq.merge(*streams, key=itemgetter(0, 1, 2)), key=itemgetter(0)):
            if instant_ns <= self._from_ns:
                continue
            if self._until_ns is not None and instant_ns > self._until_ns:
                return
            for _, _, _, events in group:
                yield from events
            self._end_ns = instant_ns
            yield TickEnd(instant_ns, render=False)

    async def events(self) -> AsyncIterator[Event]:
        """Yield all events; lets other tasks run after each step."""
        for event in self.iterate():
            yield event
            if isinstance(event, TickEnd):
                await asyncio.sleep(0)

    def _stream(
        self, name: str, key: SeriesKey, history: VenueHistory, of_channel: Sequence[PastSeries]
    ) -> Iterator[_Said]:
        rows = self._rows(key, history, of_channel)
        channel = of_channel[0].channel
        if channel is Channel.TRADES:
            said = self._candles(name, rows)
        elif channel is Channel.MARK:
            said = self._marks(rows)
        elif channel is Channel.OPEN_INTEREST:
            said = self._samples(name, rows)
        else:
            said = ((_instant(event), [event]) for _, event in rows if isinstance(event, Funding))
        order = _ORDER[channel]
        return ((instant_ns, name, order, events) for instant_ns, events in said)

    def _rows(
        self, key: SeriesKey, history: VenueHistory, of_channel: Sequence[PastSeries]
    ) -> Iterator[tuple[PastSeries, Event]]:
        """Yield the rows of a channel, ascending: of coarser series until finer ones begin."""
        begins: list[int | None] = []
        for series in of_channel:
            kept = [page.span.from_ns for page in self._store.pages(self._key(key, series)) if page.rows]
            begins.append(min(kept, default=None))
        for place in reversed(range(len(of_channel))):
            finer = [begin for begin in begins[:place] if begin is not None]
            series = of_channel[place]
            for event in self._pages(self._key(key, series), history, series):
                if finer and time_of(event) + series.step_ns > min(finer):
                    break
                yield series, event

    def _pages(self, key: SeriesKey, history: VenueHistory, series: PastSeries) -> Iterator[Event]:
        last_ns = -1
        for page in self._store.pages(key):
            self._done += 1
            try:
                rows = read_page(history, series, self._store.read(page), page.span)
            except (PageDamaged, PageUnreadable):
                self.counters["damaged pages"] += 1
                continue
            self.counters["pages"] += 1
            self.counters["rows rejected"] += len(rows.rejected)
            for event in rows.events:
                stamp = time_of(event)
                if stamp <= last_ns:
                    self.counters["repeated rows"] += 1
                    continue
                last_ns = stamp
                if stamp >= self._from_ns:
                    yield event

    def _candles(self, name: str, rows: Iterable[tuple[PastSeries, Event]]) -> Iterator[tuple[int, list[Event]]]:
        ended_ns: int | None = None
        for _, event in rows:
            assert isinstance(event, Candle)
            said: list[Event] = []
            if ended_ns is not None and event.open_time_ns > ended_ns:
                self.counters["gaps"] += 1
                said.append(Gap(name, ended_ns, event.open_time_ns, "no candles"))
            ended_ns = event.close_time_ns
            self.counters["candles"] += 1
            yield ended_ns, [*said, event]

    def _marks(self, rows: Iterable[tuple[PastSeries, Event]]) -> Iterator[tuple[int, list[Event]]]:
        for _, event in rows:
            assert isinstance(event, Candle)
            self.counters["marks"] += 1
            yield event.close_time_ns, list(marks_of(event))

    def _samples(self, name: str, rows: Iterable[tuple[PastSeries, Event]]) -> Iterator[tuple[int, list[Event]]]:
        last: OpenInterest | None = None
        strange = 0
        for series, event in rows:
            assert isinstance(event, OpenInterest)
            if last is not None and _jumps(last.quantity, event.quantity) and strange < JUMP_SAMPLES:
                strange += 1
                self.counters["rejected samples"] += 1
                yield _instant(event), [Gap(name, event.time_ns, event.time_ns, "open interest jumps", rejected=1)]
                continue
            strange = 0
            said: list[Event] = []
            if last is not None and event.time_ns - last.time_ns > GAP_STEPS * series.step_ns:
                self.counters["gaps"] += 1
                said.append(Gap(name, last.time_ns, event.time_ns, "no open interest"))
            last = event
            self.counters["samples"] += 1
            yield _instant(event), [*said, event]


def marks_of(candle: Candle) -> Iterator[MarkPrice]:
    """Yield the prices of a mark candle at instants within it: open, high, low, close."""
    name, span = candle.instrument_id, candle.close_time_ns - candle.open_time_ns
    yield MarkPrice(name, candle.open_time_ns, candle.open)
    if candle.high > max(candle.open, candle.close):
        yield MarkPrice(name, candle.open_time_ns + span // 3, candle.high)
    if candle.low < min(candle.open, candle.close):
        yield MarkPrice(name, candle.open_time_ns + 2 * span // 3, candle.low)
    if candle.close != candle.open:
        yield MarkPrice(name, candle.close_time_ns - 1, candle.close)


def _instant(event: OpenInterest | Funding) -> int:
    """Return the end of the minute at which an event is said: the first whole one that is not before it."""
    return -(-event.time_ns // MINUTE_NS) * MINUTE_NS


def _jumps(before: int, after: int) -> bool:
    return after * JUMP < before or after > before * JUMP
