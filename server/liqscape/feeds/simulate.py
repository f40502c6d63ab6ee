"""A simulated venue: a year of past in a few thousand steps, then live ticks, from a seed.

Everything it says is decided by seed, symbols, start, tick length and the schedule of the past; the wall clock only
chooses the default start and paces the live ticks. No market is behind it, and its description says so.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from liqscape.axes import MINUTE_NS
from liqscape.clock import Clock
from liqscape.errors import ConfigError
from liqscape.events import Candle, Event, OpenInterest, TickEnd
from liqscape.feeds.simulated_live import LiveEvent, LiveFactor, LiveMarket, merge_events
from liqscape.feeds.simulated_market import MINUTES_PER_DAY, PROFILES, IntArray
from liqscape.feeds.simulated_past import (
    YEAR_MINUTES,
    FactorYear,
    MarketYear,
    Steps,
    merge_steps,
    simulate_factor,
    simulate_market,
)
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.instruments import Instrument, find_instrument

MIN_TICK_MS: Final = 10
MAX_TICK_MS: Final = 60_000
"""A tick is at most a minute, the finest column of any grid."""


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


class SimulateSource:
    """An EventSource without a market."""

    def __init__(
        self,
        *,
        clock: Clock,
        seed: int = 1,
        symbols: tuple[str, ...] = ("BTC", "ETH"),
        tick_ms: int = 1000,
        past: tuple[PastSpan, ...] = PAST_SCHEDULE,
        start_ns: int | None = None,
        speed: float = 1.0,
        ticks: int | None = None,
    ) -> None:
        """Check the settings; nothing is computed yet.

        Args:
            clock: paces the live ticks.
            seed: not negative.
            symbols: base coins, each once.
            tick_ms: length of a live tick.
            past: spans from the oldest to the newest, or () for none.
            start_ns: where the past ends and the live ticks begin, a whole minute; the clock's minute unless given.
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
        self._follows_clock = start_ns is None
        self._start_ns = clock.now_ns() // MINUTE_NS * MINUTE_NS if start_ns is None else start_ns
        if self._start_ns % MINUTE_NS or self._start_ns < YEAR_MINUTES * MINUTE_NS:
            raise ConfigError(f"start_ns {self._start_ns} is not a whole minute at least a year after 1970")
        self._bounds = _step_bounds(past)
        self._profiles = {symbol: PROFILES[symbol] for symbol in symbols}
        self._instruments = {symbol: find_instrument(PROFILES[symbol].instrument_id) for symbol in symbols}
        self._tick_ms = tick_ms
        self._steps_done = 0
        self._built: tuple[FactorYear, dict[str, MarketYear]] | None = None

    @property
    def description(self) -> SourceDescription:
        """Return what this source is."""
        return SourceDescription(
            name=f"simulate seed {self._seed}",
            instruments=tuple(self._instruments.values()),
            tick_ms=self._tick_ms,
            simulated=True,
        )

    @property
    def start_ns(self) -> int:
        """Return where the past ends and the first live tick begins."""
        return self._start_ns

    def progress(self) -> Progress:
        """Return how many steps of the past were passed on."""
        return Progress(self._steps_done, len(self._bounds) - 1, "bars")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the past at once, then the live ticks, each at its time or as soon after it as the machine allows.

        With the default start, simulated time is the clock's: ticks that fell due while the past was built follow at
        once, none is dropped. With a start of the caller's, the first tick is due one tick after the past is passed on.
        """
        await asyncio.to_thread(self._years)
        for step in self._past():
            for event in step:
                yield event
            await asyncio.sleep(0)  # the past is thousands of steps; others share the loop
        origin_ns = self._start_ns if self._follows_clock else self._clock.now_ns()
        for number, tick in enumerate(self._live(self._ticks), 1):
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

    def _years(self) -> tuple[FactorYear, dict[str, MarketYear]]:
        if self._built is None:
            factor = simulate_factor(self._seed)
            first = self._start_ns // MINUTE_NS - YEAR_MINUTES
            years = {
                symbol: simulate_market(profile, self._instruments[symbol].price_decimals, self._seed, factor, first)
                for symbol, profile in self._profiles.items()
            }
            self._built = factor, years
        return self._built

    def _past(self) -> Iterator[list[Event]]:
        """Yield the opening samples as a tick of their own, then one list of events a step."""
        years = self._years()[1]
        self._steps_done = 0
        times = (self._start_ns + (self._bounds - YEAR_MINUTES) * MINUTE_NS).tolist()
        opening = [
            OpenInterest(self._instruments[symbol].instrument_id, times[0], int(year.open_interest[self._bounds[0]]))
            for symbol, year in years.items()
        ]
        yield [*opening, TickEnd(times[0], render=False)]
        merged = [(self._instruments[symbol], merge_steps(year, self._bounds)) for symbol, year in years.items()]
        for index, (begin_ns, end_ns) in enumerate(pairwise(times)):
            said: list[Event] = []
            for instrument, steps in merged:
                said += _step_events(instrument, steps, index, begin_ns, end_ns)
            said.append(TickEnd(end_ns, render=False))
            yield said
            self._steps_done = index + 1

    def _live(self, ticks: int | None) -> Iterator[list[LiveEvent | TickEnd]]:
        """Yield one list of events a tick."""
        factor_year, years = self._years()
        factor = LiveFactor(self._seed, factor_year)
        markets = [
            LiveMarket(self._profiles[symbol], self._instruments[symbol].price_decimals, self._seed, year)
            for symbol, year in years.items()
        ]
        seconds = self._tick_ns / 1e9
        begin_ns, number = self._start_ns, 0
        while ticks is None or number < ticks:
            end_ns = begin_ns + self._tick_ns
            move = factor.step(seconds)
            said = merge_events([market.step(move, begin_ns, end_ns) for market in markets])
            yield [*said, TickEnd(end_ns)]
            begin_ns, number = end_ns, number + 1


def _step_events(instrument: Instrument, steps: Steps, index: int, begin_ns: int, end_ns: int) -> list[Event]:
    name = instrument.instrument_id
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
