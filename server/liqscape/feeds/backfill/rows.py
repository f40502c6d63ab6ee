"""A page -> its good rows: in order, once, and within the span that was asked for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from liqscape.errors import LiqscapeError
from liqscape.events import Candle, Event, Funding, OpenInterest
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.venues.dialect import MISSHAPEN, Channel, Reading, Rejection, Unreadable
from liqscape.feeds.venues.history import PastSeries, VenueHistory

_UNREADABLE = (Unreadable, *MISSHAPEN)


class PageUnreadable(LiqscapeError):
    """An answer that is no page, or in which the venue says no."""


@dataclass(frozen=True, slots=True)
class PageRows:
    """What a page says.

    Attributes:
        events: Candle, OpenInterest or Funding, ascending by time_of.
        outside: rows of another span, dropped.
        repeated: rows of a stamp that another row has too, dropped but for the last.
        rejected: rows thrown away, with their reasons.
    """

    events: tuple[Event, ...]
    outside: int = 0
    repeated: int = 0
    rejected: tuple[Rejection, ...] = field(default=())


def time_of(event: Event) -> int:
    """Return the stamp by which a row is known: the open of a candle, the end of a funding interval, or the instant."""
    if isinstance(event, Candle):
        return event.open_time_ns
    if isinstance(event, Funding):
        return event.time_ns + event.interval_hours * 3_600_000_000_000
    if isinstance(event, OpenInterest):
        return event.time_ns
    raise PageUnreadable(f"a page holds a {type(event).__name__}")


def read_page(history: VenueHistory, series: PastSeries, body: bytes, span: Span) -> PageRows:
    """Return the rows of an answer.

    Raises:
        PageUnreadable: it is no page.
    """
    reading = Reading()
    try:
        # A history may leave out rows of spans it was never asked for; a kept page was asked for by another process.
        history.request(series, span.from_ns, span.until_ns)
        history.read_page(series, body, reading)
    except _UNREADABLE as error:
        raise PageUnreadable(f"cannot be read: {error!r}"[:200]) from error
    if reading.refused:
        raise PageUnreadable(f"refused: {reading.refused[0]}"[:200])
    by_time: dict[int, Event] = {}
    outside = 0
    for event in reading.events:
        stamp = time_of(event)
        if span.from_ns <= stamp < span.until_ns:
            by_time[stamp] = event
        else:
            outside += 1
    events = tuple(by_time[stamp] for stamp in sorted(by_time))
    return PageRows(events, outside, len(reading.events) - outside - len(events), tuple(reading.rejected))


def lacks(rows: PageRows, series: PastSeries, span: Span) -> list[Span]:
    """Return what a page leaves out at its beginning and end: an answer cut short, or the edge of what the venue keeps.

    Holes inside are the venue's, and of a page without any row nothing is lacking: there is nothing.
    """
    if not rows.events or series.channel is Channel.FUNDING:
        return []
    first, last = time_of(rows.events[0]), time_of(rows.events[-1])
    edges = (Span(span.from_ns, first), Span(last + series.step_ns, span.until_ns))
    return [edge for edge in edges if edge.until_ns - edge.from_ns >= series.step_ns]
