"""How long things take, as histograms of their own: no clock, no lock, no package.

A histogram has one writer, on one thread. Whoever reads it from another thread sees counts that add up and a sum that
may be one observation apart.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

LATENCY_BOUNDS_S: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds, seconds. Encoding a quiet tick takes half a millisecond, a reader is cut after 30 s, and a bar of a
feed that reports by the minute is up to 60 s behind its venue."""


class Histogram:
    """Counts of observations by upper bound."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation; clocks of two machines may disagree, so what is negative counts as none at all."""
        seconds = max(seconds, 0.0)
        self._counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        self._sum += seconds

    def add(self, other: Histogram) -> None:
        """Add the observations of another process."""
        self._counts = [mine + theirs for mine, theirs in zip(self._counts, other._counts, strict=True)]
        self._sum += other._sum

    @property
    def count(self) -> int:
        """Return the observations so far."""
        return sum(self._counts)

    @property
    def counts(self) -> tuple[int, ...]:
        """Return the observations of each bound alone, and last of what took longer."""
        return tuple(self._counts)

    @property
    def sum(self) -> float:
        """Return the seconds of all observations together."""
        return self._sum

    def cumulative(self) -> list[tuple[float, int]]:
        """Return (upper bound, observations up to it), the last bound being infinity."""
        counts = list(self._counts)
        total = 0
        buckets = []
        for bound, count in zip((*LATENCY_BOUNDS_S, float("inf")), counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets


class Stage(enum.Enum):
    """A stage of freshness: what lies between an event at a venue and a reader that has it."""

    VENUE_TO_BAR = "venue_to_bar"
    """Newest event of a symbol -> its bars are closed. Not of replays, whose events are old."""

    BAR_TO_GRID = "bar_to_grid"
    """Bars closed -> grids ready."""

    GRID_TO_FRAME = "grid_to_frame"
    """Grids ready -> the tick is encoded, has crossed to the event loop and can be sent."""

    FRAME_TO_SENT = "frame_to_sent"
    """The newest tick of a message may leave -> the transport has taken the message's last frame. For each message."""

    SENT_TO_ACKNOWLEDGED = "sent_to_acknowledged"
    """The transport has the message -> its reader says that it is applied; of calls in which readers say so."""


@dataclass(slots=True)
class Timings:
    """Every histogram of a server.

    Attributes:
        freshness: by stage; the engine's thread writes the first two, the event loop the others.
        tick_compute: one step of all books and grids; the engine's thread.
        encode: one tick made into chunks; the encoding thread.
        queries: by (method, status code), both from closed sets; the event loop.
        event_loop_lag: how late the event loop is; observed while metrics are served.
    """

    freshness: dict[Stage, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in Stage})
    tick_compute: Histogram = field(default_factory=Histogram)
    encode: Histogram = field(default_factory=Histogram)
    queries: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    event_loop_lag: Histogram = field(default_factory=Histogram)

    def add(self, other: Timings) -> None:
        """Add the observations of another process."""
        for stage, histogram in self.freshness.items():
            histogram.add(other.freshness[stage])
        self.tick_compute.add(other.tick_compute)
        self.encode.add(other.encode)
        for key, histogram in other.queries.items():
            self.queries.setdefault(key, Histogram()).add(histogram)
        self.event_loop_lag.add(other.event_loop_lag)

    def observe_query(self, method: str, code: str, seconds: float) -> None:
        """Count one answered or refused question."""
        histogram = self.queries.get((method, code))
        if histogram is None:
            histogram = self.queries[method, code] = Histogram()
        histogram.observe(seconds)

    def query_counts(self) -> dict[str, int]:
        """Return questions by method and code, under the names GetStatus shows them by."""
        return {
            f"query_{method}_{code}".lower(): histogram.count
            for (method, code), histogram in sorted(self.queries.items())
        }
