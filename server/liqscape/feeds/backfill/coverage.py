"""How much of what is wanted is kept, and where it has holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from liqscape.feeds.backfill.page_store import PageDamaged, PageStore, SeriesKey
from liqscape.feeds.backfill.rows import PageUnreadable, read_page, time_of
from liqscape.feeds.backfill.run import series_of
from liqscape.feeds.backfill.spans import Span, holes, missing
from liqscape.feeds.venues.dialect import Channel, Listing, Venue
from liqscape.feeds.venues.history import PastSeries


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one series of one listing.

    Attributes:
        key, series: which.
        wanted: what was to be had.
        rows: in it.
        first_ns, last_ns: stamps of the first and last of them; None: there is none.
        unasked: parts that no kept page is of.
        gaps: where rows are missing between the first and the last.
        damaged: pages that could not be read.
    """

    key: SeriesKey
    series: PastSeries
    wanted: Span
    rows: int
    first_ns: int | None
    last_ns: int | None
    unasked: tuple[Span, ...]
    gaps: tuple[Span, ...]
    damaged: int

    @property
    def share(self) -> float:
        """Return the rows there are, of those that a series with a row each step would have in the wanted span."""
        step = self.series.step_ns
        expected = (self.wanted.until_ns - 1) // step - (self.wanted.from_ns - 1) // step
        return min(1.0, self.rows / max(1, expected))


def coverage(
    store: PageStore, venues: Sequence[Venue], listings: Mapping[str, Sequence[Listing]], from_ns: int, now_ns: int
) -> Iterator[Coverage]:
    """Yield the coverage of each series of each listing."""
    for venue in venues:
        for key, history, series, wanted in series_of(venue, listings.get(venue.name, ()), from_ns, now_ns):
            pages = store.pages(key)
            stamps: set[int] = set()
            damaged = 0
            for page in pages:
                try:
                    rows = read_page(history, series, store.read(page), page.span)
                except (PageDamaged, PageUnreadable):
                    damaged += 1
                    continue
                stamps.update(time_of(event) for event in rows.events)
            times = sorted(stamp for stamp in stamps if wanted.from_ns <= stamp < wanted.until_ns)
            yield Coverage(
                key=key,
                series=series,
                wanted=wanted,
                rows=len(times),
                first_ns=times[0] if times else None,
                last_ns=times[-1] if times else None,
                unasked=tuple(missing(wanted, (page.span for page in pages))),
                gaps=_gaps(times, series),
                damaged=damaged,
            )


def _gaps(times: Sequence[int], series: PastSeries) -> tuple[Span, ...]:
    if len(times) < 2 or series.channel is Channel.FUNDING:  # its intervals are the venue's to change
        return ()
    return tuple(holes(times, series.step_ns, Span(times[0], times[-1] + series.step_ns)))
