"""Where the feeds' thread leaves events for the engine's: bounded, and what does not fit is announced."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from liqscape.events import Candle, Event, Gap, PositionStatement, TickEnd
from liqscape.feeds.live.holes import Rejections

MAX_EVENTS: Final = 400_000
"""20 s of a burst of 20,000 trades a second, 80 MB. An engine that far behind does not catch up by being given more."""

BEHIND: Final = "the engine is behind"


class Inbox:
    """Events, in the order in which they came.

    Args:
        limit: events held at most.

    Attributes:
        dropped: events that did not fit, since the start.
    """

    def __init__(self, limit: int = MAX_EVENTS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._missed = Rejections()
        self.dropped = 0

    def put(self, events: Sequence[Event]) -> None:
        """Add events; those that do not fit are counted, and told as gaps with what is taken next."""
        with self._lock:
            room = self._limit - len(self._events)
            if room >= len(events):
                self._events.extend(events)
                return
            self._events.extend(events[: max(room, 0)])
            for event in events[max(room, 0) :]:
                self._drop(event)

    def take(self) -> list[Event]:
        """Return everything, by venue time; what is of one time in the order in which it came."""
        with self._lock:
            events, self._events = self._events, []
            events += self._missed.take()
        events.sort(key=venue_time_ns)
        return events

    def _drop(self, event: Event) -> None:
        if isinstance(event, TickEnd):
            return
        self.dropped += 1
        if isinstance(event, PositionStatement):
            return  # nothing of the market is missing; what is held is stated again, what is gone becomes too old
        from_ns = venue_time_ns(event)
        to_ns, count = (event.to_ns, event.rejected) if isinstance(event, Gap) else (from_ns + 1, 1)
        self._missed.add(event.instrument_id, BEHIND, from_ns, to_ns, count)


def venue_time_ns(event: Event) -> int:
    """Return when an event was, by its venue; of a gap, when it begins."""
    if isinstance(event, Gap):
        return event.from_ns
    if isinstance(event, Candle):
        return event.close_time_ns
    return event.time_ns
