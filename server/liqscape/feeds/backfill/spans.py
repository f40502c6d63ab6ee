"""Which spans of a series are wanted, which are missing, and in which pages to ask for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from liqscape.feeds.venues.dialect import Channel
from liqscape.feeds.venues.history import PastSeries

MINUTE_NS: Final = 60_000_000_000
DAY_NS: Final = 1_440 * MINUTE_NS

SETTLED_NS: Final = 120_000_000_000
"""Age at which a row is taken as final: venues go on changing a candle for seconds after its end, and some state theirs
of a minute late."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """[from_ns, until_ns)."""

    from_ns: int
    until_ns: int


def wanted_spans(series: Sequence[PastSeries], from_ns: int, now_ns: int) -> dict[PastSeries, Span]:
    """Return what to have of each series; of those of one channel, coarser ones only where finer ones do not reach.

    Args:
        series: of one listing, the finest of each channel first.
        from_ns: how far back.
        now_ns: nothing that is not final by now.
    """
    found: dict[PastSeries, Span] = {}
    ends: dict[Channel, int] = {}
    for each in series:
        # Candles are whole steps. The others are said at instants, which need not keep to the step.
        grain_ns = each.step_ns if each.channel in (Channel.TRADES, Channel.MARK) else MINUTE_NS
        until_ns = ends.get(each.channel, now_ns - SETTLED_NS) // grain_ns * grain_ns
        reach_ns = from_ns if each.depth_ns is None else max(from_ns, now_ns - each.depth_ns)
        begin_ns = -(-reach_ns // grain_ns) * grain_ns
        ends[each.channel] = min(begin_ns, ends.get(each.channel, begin_ns))
        if begin_ns < until_ns:
            found[each] = Span(begin_ns, until_ns)
    return found


def missing(wanted: Span, kept: Iterable[Span]) -> list[Span]:
    """Return the parts of a span that lie in none of others, ascending."""
    found: list[Span] = []
    at_ns = wanted.from_ns
    for each in sorted(kept):
        if each.from_ns > at_ns:
            found.append(Span(at_ns, min(each.from_ns, wanted.until_ns)))
        at_ns = max(at_ns, each.until_ns)
        if at_ns >= wanted.until_ns:
            break
    if at_ns < wanted.until_ns:
        found.append(Span(at_ns, wanted.until_ns))
    return [each for each in found if each.from_ns < each.until_ns]


def pages(spans: Iterable[Span], series: PastSeries) -> list[Span]:
    """Return spans cut into what one request each may ask for, ascending.

    Cuts are at whole pages since 1970, so that another day cuts in the same places.
    """
    size = series.step_ns * series.page
    found: list[Span] = []
    for span in spans:
        at_ns = span.from_ns
        while at_ns < span.until_ns:
            end_ns = min((at_ns // size + 1) * size, span.until_ns)
            found.append(Span(at_ns, end_ns))
            at_ns = end_ns
    return found


def holes(times_ns: Sequence[int], step_ns: int, span: Span) -> list[Span]:
    """Return where rows of a series that should come every step are missing.

    Args:
        times_ns: stamps of the rows, ascending.
        step_ns: their distance.
        span: where they should be.
    """
    edges = [span.from_ns - step_ns, *(t for t in times_ns if span.from_ns <= t < span.until_ns), span.until_ns]
    found = []
    for earlier, later in pairwise(edges):
        if later - earlier > step_ns:
            found.append(Span(earlier + step_ns, later))
    return found
