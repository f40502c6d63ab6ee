"""A market of more than a day for a live run, made of segments that are each a simulation of its own.

Some come in ticks of a second or less, each of them rendered; quiet ones in ticks of some minutes, rendered when
somebody wants it, so that a day passes in little time.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

from liqscape.axes import MINUTE_NS, last_minute_before
from liqscape.clock import ManualClock
from liqscape.events import Event, TickEnd
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.feeds.simulated_venues import USUAL, Scenario
from liqscape.instruments import Instrument

START_MINUTE: Final = 20_776 * 1440 - 3
"""Shortly before a midnight (UTC), at which a column of every timeframe ends."""


@dataclass(frozen=True, slots=True)
class Segment:
    """So many minutes of market.

    Attributes:
        tick_ms: of the simulation.
        quiet_ticks: so many of its ticks are one of the engine's, but for those at whose end the plan wants something;
            0: every tick is a tick, and rendered.
    """

    minutes: int
    tick_ms: int
    scenario: Scenario = USUAL
    seed: int = 1
    quiet_ticks: int = 0


@dataclass(frozen=True, slots=True)
class Market:
    """What a run is fed with.

    Attributes:
        instruments: of the symbols they name.
        past: of the first segment; the others have none.
        segments: one after the other, from START_MINUTE on.
    """

    instruments: tuple[Instrument, ...]
    past: tuple[PastSpan, ...]
    segments: tuple[Segment, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols of the instruments."""
        return tuple(sorted({i.symbol for i in self.instruments}))

    @property
    def minutes(self) -> int:
        """Return how many minutes are live."""
        return sum(segment.minutes for segment in self.segments)

    def events(self, busy: Container[int]) -> Iterator[Event]:
        """Yield past and present; a tick ends with each of these minutes, and is rendered."""
        minute = START_MINUTE
        for number, segment in enumerate(self.segments):
            source = SimulateSource(
                clock=ManualClock(minute * MINUTE_NS),
                seed=segment.seed,
                symbols=self.symbols,
                instruments=self.instruments,
                scenario=segment.scenario,
                tick_ms=segment.tick_ms,
                past=() if number else self.past,
                start_ns=minute * MINUTE_NS,
            )
            events = source.iterate(segment.minutes * 60_000 // segment.tick_ms)
            if number:  # a step that would end when the segment before did
                next(event for event in events if isinstance(event, TickEnd))
            yield from _quiet(events, segment.quiet_ticks, busy) if segment.quiet_ticks else events
            minute += segment.minutes


def _quiet(events: Iterator[Event], quiet_ticks: int, busy: Container[int]) -> Iterator[Event]:
    ticks = 0
    for event in events:
        if not isinstance(event, TickEnd):
            yield event
            continue
        ticks += 1
        is_busy = event.time_ns % MINUTE_NS == 0 and last_minute_before(event.time_ns) in busy
        if is_busy or ticks >= quiet_ticks:
            yield TickEnd(event.time_ns, render=is_busy)
            ticks = 0
