"""A source that goes on where an earlier process has ended: what was taken then is not said again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from liqscape.events import Event, Gap, TickEnd
from liqscape.feeds.source import EventSource

HOLE_TICKS = 2
"""A first tick that ends so many nominal ticks after the last one, or more, does not follow it: a venue's clock and
ours may differ by less than one."""


@runtime_checkable
class ResumableSource(Protocol):
    """A source that can say the same again, and leave out what it said before."""

    def resume(self, after_ns: int) -> None:
        """Let events() begin after the tick that ended then. Before events()."""
        ...


async def events_after(source: EventSource, after_ns: int | None) -> AsyncIterator[Event]:
    """Yield the events of a source, those of ticks up to an instant left out.

    A live source knows nothing of what happened while nobody listened: then its first tick begins with a Gap of each
    instrument.

    Args:
        source: of which events() was not called yet.
        after_ns: end of the last tick taken; None: there was none.
    """
    if after_ns is None or isinstance(source, ResumableSource):
        if after_ns is not None and isinstance(source, ResumableSource):
            source.resume(after_ns)
        async for event in source.events():
            yield event
        return
    waiting: list[Event] | None = []
    async for event in source.events():
        if waiting is None:
            yield event
            continue
        waiting.append(event)
        if not isinstance(event, TickEnd):
            continue
        if event.time_ns <= after_ns:
            waiting.clear()
            continue
        for missed in _gaps(source, after_ns, event.time_ns):
            yield missed
        for held in waiting:
            yield held
        waiting = None


def _gaps(source: EventSource, after_ns: int, end_ns: int) -> list[Gap]:
    about = source.description
    tick_ns = about.tick_ms * 1_000_000
    if about.replay or end_ns - after_ns < HOLE_TICKS * tick_ns:
        return []
    reason = "the server was not running"
    return [Gap(i.instrument_id, after_ns, end_ns - tick_ns, reason) for i in about.instruments]
