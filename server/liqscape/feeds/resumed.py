"""A source that goes on where an earlier process has ended: what was taken then is not said again, and a hole is told.

A live source knows nothing of what happened while nobody listened: before its first tick, or while the machine slept.
Its ticks are those of a clock that may be set, forward or back. One that comes long after the one before has a hole
before it, whatever the reason. One that does not come after it is passed on: the market stage lets time stand still.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol, runtime_checkable

from liqscape.events import Event, Gap, TickEnd
from liqscape.feeds.source import EventSource

HOLE_TICKS: Final = 2
"""A first tick that ends so many nominal ticks after the last one, or more, does not follow it: a venue's clock and
ours may differ by less than one."""

HOLE_NS: Final = 10 * 10**9
"""So long without a tick is a hole while a source runs: a machine that is busy is late by a second or two."""


@runtime_checkable
class ResumableSource(Protocol):
    """A source that can say the same again, and leave out what it said before."""

    def resume(self, after_ns: int) -> None:
        """Let events() begin after the tick that ended then. Before events()."""
        ...


async def events_after(source: EventSource, after_ns: int | None) -> AsyncIterator[Event]:
    """Yield the events of a source, those of ticks up to an instant left out if it says the past.

    Args:
        source: of which events() was not called yet.
        after_ns: end of the last tick taken; None: there was none.
    """
    if isinstance(source, ResumableSource):
        if after_ns is not None:
            source.resume(after_ns)
        said = source.events()
    elif source.description.replay:
        said = source.events() if after_ns is None else _skipping(source, after_ns)
    else:
        said = _telling_holes(source, after_ns)
    async for event in said:
        yield event


async def _skipping(source: EventSource, after_ns: int) -> AsyncIterator[Event]:
    """Yield the events of ticks that end after an instant."""
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
        for held in waiting:
            yield held
        waiting = None


async def _telling_holes(source: EventSource, after_ns: int | None) -> AsyncIterator[Event]:
    """Yield all events, and before the end of a tick behind a hole a Gap of each instrument."""
    about = source.description
    tick_ns = about.tick_ms * 1_000_000
    last_ns, hole_ns, reason = after_ns, HOLE_TICKS * tick_ns, "the server was not running"
    async for event in source.events():
        if isinstance(event, TickEnd):
            if last_ns is not None and event.time_ns - last_ns >= hole_ns:
                for instrument in about.instruments:
                    yield Gap(instrument.instrument_id, last_ns, event.time_ns - tick_ns, reason)
            last_ns = event.time_ns if last_ns is None else max(last_ns, event.time_ns)
            hole_ns = max(HOLE_TICKS * tick_ns, HOLE_NS)
            reason = "no tick came: the machine slept, or its clock was set forward"
        yield event
