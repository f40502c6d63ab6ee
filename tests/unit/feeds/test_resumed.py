"""A source that goes on says nothing twice, and a hole between then and now is a Gap."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from liqscape.axes import MINUTE_NS
from liqscape.clock import ManualClock
from liqscape.events import Event, Gap, TickEnd
from liqscape.feeds.resumed import events_after
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.feeds.source import EventSource, Progress, SourceDescription
from tests.unit.synthetic_market import BTC, EXAMPLE_MINUTE, at, mark, tick_end

MINUTE = EXAMPLE_MINUTE
START_NS = 20_776 * 1440 * MINUTE_NS


class LiveSource:
    """A venue: it says what happens now, and knows nothing of before."""

    def __init__(self, events: list[Event], *, replay: bool = False) -> None:
        self._events = events
        self._replay = replay

    @property
    def description(self) -> SourceDescription:
        """Return what it is."""
        return SourceDescription(name="a venue", instruments=(BTC,), tick_ms=1000, replay=self._replay)

    def progress(self) -> Progress:
        """Return nothing."""
        return Progress(0, 0, "events")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events."""
        for event in self._events:
            yield event


async def said(source: EventSource, after_ns: int | None) -> list[Event]:
    return [event async for event in events_after(source, after_ns)]


def seconds(first: int, last: int) -> list[Event]:
    """Return ticks of a second each, the first of which ends so many seconds into the minute."""
    ends = range(first, last + 1)
    return [event for s in ends for event in (mark(at(MINUTE, s - 0.5), 908_000 + s), tick_end(MINUTE, s))]


async def test_new_source_is_as_it_is() -> None:
    assert await said(LiveSource(seconds(1, 3)), None) == seconds(1, 3)


async def test_ticks_of_the_past_taken_before_are_left_out() -> None:
    assert await said(LiveSource(seconds(1, 5), replay=True), at(MINUTE, 3)) == seconds(4, 5)


async def test_live_ticks_are_taken_though_the_clock_was_set_back_meanwhile() -> None:
    assert await said(LiveSource(seconds(1, 5)), at(MINUTE, 3)) == seconds(1, 5)


async def test_hole_is_a_gap_of_every_instrument() -> None:
    events = await said(LiveSource(seconds(30, 31)), at(MINUTE, 3))

    heard, *rest = seconds(30, 31)
    assert events == [
        heard,
        Gap(BTC.instrument_id, at(MINUTE, 3), at(MINUTE, 29), "the server was not running"),
        *rest,
    ]


async def test_sleep_of_hours_is_a_gap_and_a_busy_machine_is_none() -> None:
    awake, late, asleep = seconds(1, 2), seconds(11, 11), seconds(9000, 9001)

    events = await said(LiveSource([*awake, *late, *asleep]), None)

    reason = "no tick came: the machine slept, or its clock was set forward"
    gap = Gap(BTC.instrument_id, at(MINUTE, 11), at(MINUTE, 8999), reason)
    assert events == [*awake, *late, asleep[0], gap, *asleep[1:]]


async def test_clock_set_back_and_forward_again_is_no_hole() -> None:
    steps = [*seconds(100, 100), *seconds(40, 41), *seconds(101, 101)]

    assert await said(LiveSource(steps), at(MINUTE, 99)) == steps


async def test_hole_in_a_recording_is_its_own_affair() -> None:
    assert await said(LiveSource(seconds(30, 31), replay=True), at(MINUTE, 3)) == seconds(30, 31)


def simulation(clock: ManualClock, start_ns: int | None = START_NS, *, speed: float = 1.0) -> SimulateSource:
    return SimulateSource(
        clock=clock,
        symbols=("BTC",),
        past=(PastSpan(60, 30),),
        start_ns=start_ns,
        follows_clock=True,
        speed=speed,
        ticks=20,
    )


@pytest.mark.slow
@pytest.mark.parametrize("taken", [2, 3, 10])
async def test_simulation_goes_on_with_the_tick_that_follows(taken: int) -> None:
    whole = [event async for event in simulation(ManualClock(START_NS)).events()]
    ends = [event.time_ns for event in whole if isinstance(event, TickEnd)]

    rest = await said(simulation(ManualClock(START_NS)), ends[taken - 1])

    first = whole.index(next(e for e in whole if isinstance(e, TickEnd) and e.time_ns == ends[taken - 1])) + 1
    assert rest == whole[first:]
    assert len(ends) == 23


@pytest.mark.slow
async def test_simulation_catches_up_with_the_clock_and_then_keeps_its_pace() -> None:
    clock = ManualClock(START_NS + 15 * 10**9)  # five ticks were taken, ten more fell due while nobody listened
    moments: list[int] = []
    async for event in events_after(simulation(clock), START_NS + 5 * 10**9):
        if isinstance(event, TickEnd):
            moments.append(clock.now_ns() - START_NS)

    assert moments == [15 * 10**9] * 10 + [second * 10**9 for second in range(16, 21)]
