"""Simulated venues: a year of past in a few thousand steps, then live ticks, from a seed.

Everything they say is decided by seed, instruments, scenario, start, tick length and the schedule of the past; the wall
clock only chooses the default start and paces the live ticks. No market is behind it, and its description says so.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from liqscape.axes import MINUTE_NS
from liqscape.clock import Clock
from liqscape.errors import ConfigError
from liqscape.events import Candle, Event, Gap, OpenInterest, TickEnd
from liqscape.feeds.simulated_live import SECOND_NS, LiveEvent, LiveFactor, LiveMarket, merge_events
from liqscape.feeds.simulated_market import MINUTES_PER_DAY, PROFILES, RANGE_HOURS, IntArray
from liqscape.feeds.simulated_past import (
    YEAR_MINUTES,
    FactorYear,
    MarketYear,
    Steps,
    last_hours,
    merge_steps,
    simulate_factor,
    simulate_market,
)
from liqscape.feeds.simulated_venues import (
    USUAL,
    Scenario,
    Silence,
    SimulatedVenue,
    follow_market,
    leaders_of,
    venues_of,
)
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.instruments import Instrument

MIN_TICK_MS: Final = 10
MAX_TICK_MS: Final = 60_000
"""A tick is at most a minute, the finest column of any grid."""


SKIPPED_AT_ONCE: Final = 100
"""Live ticks that were said before; a few milliseconds of them, then others have a turn."""


@dataclass(frozen=True, slots=True)
class PastSpan:
    """From so many minutes before the start until the next span, the past comes in steps of step_minutes."""

    from_minutes_ago: int
    step_minutes: int


PAST_SCHEDULE: Final = (
    PastSpan(365 * MINUTES_PER_DAY, 120),
    PastSpan(30 * MINUTES_PER_DAY, 30),
    PastSpan(7 * MINUTES_PER_DAY, 15),
    PastSpan(3 * MINUTES_PER_DAY, 5),
    PastSpan(1 * MINUTES_PER_DAY, 1),
)
"""A step is never longer than a column of any timeframe whose window reaches it, so no column of any window is empty;
and there are no more of them than that takes (7,524), because every step is a tick of the model."""


@dataclass(frozen=True, slots=True)
class _Past:
    """What is kept of a market's year: open interest before the first step, the steps, and what the present needs."""

    opening: int
    steps: Steps
    end: MarketYear


class SimulateSource:
    """An EventSource without a market."""

    def __init__(
        self,
        *,
        clock: Clock,
        seed: int = 1,
        symbols: tuple[str, ...] = ("BTC", "ETH"),
        instruments: Iterable[Instrument] | None = None,
        scenario: Scenario = USUAL,
        tick_ms: int = 1000,
        past: tuple[PastSpan, ...] = PAST_SCHEDULE,
        start_ns: int | None = None,
        follows_clock: bool | None = None,
        speed: float = 1.0,
        ticks: int | None = None,
    ) -> None:
        """Check the settings; nothing is computed yet.

        Args:
            clock: paces the live ticks.
            seed: not negative.
            symbols: base coins, each once.
            instruments: of these symbols, one of each at least; None: the leader of each, Binance's USDT perpetual.
            scenario: what the live ticks are made to show.
            tick_ms: length of a live tick.
            past: spans from the oldest to the newest, or () for none.
            start_ns: where the past ends and the live ticks begin, a whole minute; the clock's minute unless given.
            follows_clock: simulated time is the clock's; it is with the clock's start, and not with one given.
            speed: simulated seconds in a second of the clock; infinite does not wait at all.
            ticks: live ticks after which the input ends; None never ends.

        Raises:
            ConfigError: a setting is outside what is allowed.
        """
        _check_settings(seed, symbols, tick_ms, speed, ticks)
        self._clock = clock
        self._seed = seed
        self._tick_ns = tick_ms * 1_000_000
        self._speed = speed
        self._ticks = ticks
        self._follows_clock = start_ns is None if follows_clock is None else follows_clock
        self._start_ns = clock.now_ns() // MINUTE_NS * MINUTE_NS if start_ns is None else start_ns
        if self._start_ns % MINUTE_NS or self._start_ns < YEAR_MINUTES * MINUTE_NS:
            raise ConfigError(f"start_ns {self._start_ns} is not a whole minute at least a year after 1970")
        self._bounds = _step_bounds(past)
        self._venues = venues_of(symbols, instruments)
        self._scenario = scenario
        self._tick_ms = tick_ms
        self._steps_done = 0
        self._after_ns = 0
        self._built: tuple[FactorYear, dict[str, _Past]] | None = None

    @property
    def description(self) -> SourceDescription:
        """Return what this source is."""
        name = f"simulate seed {self._seed}"
        if self._venues != leaders_of(self._venues):
            name += f", {len(self._venues)} instruments"
        if self._scenario is not USUAL:
            name += f", {self._scenario.name}"
        return SourceDescription(
            name=name,
            instruments=tuple(venue.instrument for venue in self._venues),
            tick_ms=self._tick_ms,
            simulated=True,
            start_ns=self._start_ns,
        )

    @property
    def start_ns(self) -> int:
        """Return where the past ends and the first live tick begins."""
        return self._start_ns

    def resume(self, after_ns: int) -> None:
        """Let events() begin after the tick that ended then: it computes what came before, and does not say it."""
        self._after_ns = after_ns

    def progress(self) -> Progress:
        """Return how many steps of the past were passed on."""
        return Progress(self._steps_done, len(self._bounds) - 1, "bars")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the past at once, then the live ticks, each at its time or as soon after it as the machine allows.

        With the default start, simulated time is the clock's: ticks that fell due while the past was built, or while no
        process ran, follow at once, none is dropped. With a start of the caller's, the first tick is due one tick after
        the past is passed on.
        """
        await asyncio.to_thread(self._years)
        for step in self._past():
            if _is_new(step[-1], self._after_ns):
                for event in step:
                    yield event
            await asyncio.sleep(0)  # the past is thousands of steps; others share the loop
        origin_ns = self._start_ns
        if not self._follows_clock:
            said_before_ns = max(0, self._after_ns - self._start_ns)
            origin_ns = self._clock.now_ns() - int(said_before_ns / self._speed)
        for number, tick in enumerate(self._live(self._ticks), 1):
            if not _is_new(tick[-1], self._after_ns):
                if number % SKIPPED_AT_ONCE == 0:
                    await asyncio.sleep(0)
                continue
            await self._clock.sleep_until_ns(origin_ns + int(number * self._tick_ns / self._speed))
            for event in tick:
                yield event

    def iterate_past(self) -> Iterator[Event]:
        """Yield the events of the past, without pace."""
        for step in self._past():
            yield from step

    def iterate(self, ticks: int) -> Iterator[Event]:
        """Yield the past and so many live ticks, without pace: what events() yields when it ends after them."""
        yield from self.iterate_past()
        for tick in self._live(ticks):
            yield from tick

    def _years(self) -> tuple[FactorYear, dict[str, _Past]]:
        """Return the factor, and the past of every venue and every leader by instrument id."""
        if self._built is None:
            factor = simulate_factor(self._seed)
            pasts: dict[str, _Past] = {}
            for leader in leaders_of(self._venues):
                for name, year in self._simulate(leader, factor):
                    opening = int(year.open_interest[self._bounds[0]])
                    pasts[name] = _Past(opening, merge_steps(year, self._bounds), last_hours(year, RANGE_HOURS))
            self._built = factor, pasts
        return self._built

    def _simulate(self, leader: SimulatedVenue, factor: FactorYear) -> Iterator[tuple[str, MarketYear]]:
        """Yield id and year of a leader and of those that follow it, one at a time: a year is 30 MB."""
        first = self._start_ns // MINUTE_NS - YEAR_MINUTES
        instrument = leader.instrument
        led = simulate_market(leader.profile, instrument.price_decimals, self._seed, factor, first)
        yield instrument.instrument_id, led
        for venue in self._venues:
            if venue.leader == instrument.instrument_id:
                name = venue.instrument.instrument_id
                yield name, follow_market(venue, instrument, led, self._seed, factor, first)

    def _past(self) -> Iterator[list[Event]]:
        """Yield the opening samples as a tick of their own, then one list of events a step."""
        pasts = self._years()[1]
        self._steps_done = 0
        times = (self._start_ns + (self._bounds - YEAR_MINUTES) * MINUTE_NS).tolist()
        names = [venue.instrument.instrument_id for venue in self._venues]
        yield [*(OpenInterest(name, times[0], pasts[name].opening) for name in names), TickEnd(times[0], render=False)]
        for index, (begin_ns, end_ns) in enumerate(pairwise(times)):
            said: list[Event] = []
            for name in names:
                said += _step_events(name, pasts[name].steps, index, begin_ns, end_ns)
            said.append(TickEnd(end_ns, render=False))
            yield said
            self._steps_done = index + 1

    def _live(self, ticks: int | None) -> Iterator[list[LiveEvent | Gap | TickEnd]]:
        """Yield one list of events a tick."""
        factor = LiveFactor(self._seed, self._years()[0])
        markets = self._markets()
        instruments = [venue.instrument for venue in self._venues]
        silence = Silence(self._scenario.outages, self._start_ns)
        seconds = self._tick_ns / 1e9
        begin_ns, number = self._start_ns, 0
        while ticks is None or number < ticks:
            end_ns = begin_ns + self._tick_ns
            for crash in self._scenario.crashes:
                if begin_ns <= self._start_ns + crash.after_seconds * SECOND_NS < end_ns:
                    factor.crash(crash.change, crash.seconds)
            move = factor.step(seconds)
            said = {name: market.step(move, begin_ns, end_ns) for name, market in markets.items()}
            gaps = silence.ended(instruments, begin_ns)
            heard = [said[i.instrument_id] for i in instruments if not silence.covers(i, begin_ns)]
            yield [*gaps, *merge_events(heard), TickEnd(end_ns)]
            begin_ns, number = end_ns, number + 1

    def _markets(self) -> dict[str, LiveMarket]:
        """Return the markets by id in the order in which they step: leaders, heard or not, then those that follow."""
        pasts = self._years()[1]
        found: dict[str, LiveMarket] = {}
        for venue in (*leaders_of(self._venues), *(v for v in self._venues if v.leader is not None)):
            name = venue.instrument.instrument_id
            leader = None if venue.leader is None else found[venue.leader]
            decimals = venue.instrument.price_decimals
            found[name] = LiveMarket(venue.profile, decimals, self._seed, pasts[name].end, leader)
        return found


def _is_new(end: Event, after_ns: int) -> bool:
    return isinstance(end, TickEnd) and end.time_ns > after_ns


def _step_events(name: str, steps: Steps, index: int, begin_ns: int, end_ns: int) -> list[Event]:
    candle = Candle(
        name,
        begin_ns,
        end_ns,
        steps.open[index],
        steps.high[index],
        steps.low[index],
        steps.close[index],
        steps.quantity[index],
        steps.taker_buy[index],
    )
    return [candle, OpenInterest(name, end_ns, steps.open_interest[index])]


def _step_bounds(past: tuple[PastSpan, ...]) -> IntArray:
    """Return int64[steps + 1], minutes since the start of the year; the last is the end of the year."""
    bounds = [YEAR_MINUTES]
    if not past:
        return np.asarray(bounds, dtype=np.int64)
    ends = [span.from_minutes_ago for span in past[1:]] + [0]
    if past[0].from_minutes_ago > YEAR_MINUTES:
        raise ConfigError(f"past begins {past[0].from_minutes_ago} minutes ago; at most {YEAR_MINUTES} are allowed")
    for span, end in reversed(list(zip(past, ends, strict=True))):
        length = span.from_minutes_ago - end
        if span.step_minutes <= 0 or length <= 0 or length % span.step_minutes:
            raise ConfigError(f"{span!r} until {end} minutes ago is not a whole number of steps, one or more")
        bounds += range(YEAR_MINUTES - end - span.step_minutes, YEAR_MINUTES - end - length - 1, -span.step_minutes)
    return np.asarray(bounds[::-1], dtype=np.int64)


def _check_settings(seed: int, symbols: tuple[str, ...], tick_ms: int, speed: float, ticks: int | None) -> None:
    if seed < 0:
        raise ConfigError(f"seed {seed!r} is negative; use 0 or more")
    if not symbols or len(set(symbols)) != len(symbols):
        raise ConfigError(f"symbols {symbols!r} are empty or repeated; name each once")
    for symbol in symbols:
        if symbol not in PROFILES:
            raise ConfigError(f"symbol {symbol!r} cannot be simulated; use one of {', '.join(PROFILES)}")
    if not MIN_TICK_MS <= tick_ms <= MAX_TICK_MS:
        raise ConfigError(f"tick_ms {tick_ms!r} is outside {MIN_TICK_MS}..{MAX_TICK_MS}")
    if math.isnan(speed) or speed <= 0:
        raise ConfigError(f"speed {speed!r} is not above 0")
    if ticks is not None and ticks < 0:
        raise ConfigError(f"ticks {ticks!r} is negative; use 0 or more, or none for no end")
