"""The simulated present: one step of the market per tick, as trades, marks, open interest and printed liquidations.

Every tick draws the same random numbers whatever they decide, so a market's course does not depend on which other
symbols run. Nothing here knows the wall clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from liqscape.events import (
    QUANTITY_DECIMALS,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    TakerSide,
    Trade,
)
from liqscape.feeds import simulated_market as shared
from liqscape.feeds.simulated_market import MarketProfile
from liqscape.feeds.simulated_past import FactorYear, MarketYear

LiveEvent = Trade | MarkPrice | OpenInterest | Funding | Liquidation

SECOND_NS: Final = 1_000_000_000
APPETITE_NS: Final = 300 * SECOND_NS
"""How long the market keeps its taste for opening or closing: open interest then moves in stretches, not as noise."""
FUNDING_NS: Final = 8 * 3600 * SECOND_NS
FUNDING_HOURS: Final = 8
FLUSH_MEAN_SECONDS: Final = 480.0
"""Quiet before a small crash or squeeze, on average: who watches a demonstration for a while sees one."""
FIRST_FLUSH_SECONDS: Final = 90.0
"""The first comes then at the latest: nobody waits for long when a demonstration has just begun."""
FLUSH_REBOUND: Final = 0.8
"""Most of it is undone: so many of them would otherwise make a day wilder than any of the past."""
STRETCH_DEVIATIONS: Final = 3.5
"""Liquidations are printed while the price is this many typical minutes away from its average of the last minute."""
PRINTED_SHARE: Final = 0.5
"""Of the ticks in which they happen: venues throttle these prints."""
CRASH_REBOUND: Final = 0.4
"""Of a scenario's crash, over four times its length: as of the crashes of the past."""
BASIS_SECONDS: Final = 600.0
"""How long a venue keeps its distance from the price of its leader."""


@dataclass(frozen=True, slots=True)
class FactorMove:
    """The shared factor after a tick: its level, relative volatility and trend."""

    level: float
    volatility: float
    trend: float


@dataclass(slots=True)
class _Push:
    """A stretch of an event: what is left of it, in seconds, and what it does in each."""

    seconds_left: float
    return_per_second: float


class LiveFactor:
    """The factor of FactorYear, carried on tick by tick."""

    def __init__(self, seed: int, year: FactorYear) -> None:
        self._generator = shared.generator_for(seed, 1, "factor")
        self._level = float(year.level[-1])
        self._log_volatility = year.log_volatility
        self._trend = float(year.trend[-1])
        self._center = year.center
        self._pushes: deque[_Push] = deque()
        self._first_flush_in = FIRST_FLUSH_SECONDS

    def step(self, seconds: float) -> FactorMove:
        """Move on by a tick."""
        uniform = self._generator.random(14)
        shock, noise = shared.bell(uniform[:8].reshape(2, 4)).tolist()
        change, choice, begins, size, side, length = uniform[8:].tolist()
        hours = seconds / 3600.0
        pull = shared.LOG_VOLATILITY_PULL_PER_HOUR * hours
        shock *= shared.LOG_VOLATILITY_NOISE_PER_HOUR * math.sqrt(hours)
        self._log_volatility = min(self._log_volatility * (1.0 - pull) + shock, 1.5)
        volatility = shared.growth(self._log_volatility)
        if change * shared.REGIME_HOURS < hours:
            self._trend, self._center = float(int(3.0 * choice) - 1), self._level
        self._first_flush_in -= seconds
        if not self._pushes and (begins * FLUSH_MEAN_SECONDS < seconds or self._first_flush_in <= 0.0):
            self._first_flush_in = math.inf
            self._begin_flush(0.003 + 0.006 * size, side, 40.0 + 80.0 * length)
        drift = self._trend * shared.TREND_PER_HOUR + shared.level_pull(self._level)
        if not self._trend:
            drift -= (self._level - self._center) * shared.RANGE_PULL_PER_HOUR
        deviation = shared.FACTOR_MINUTE_VOLATILITY * volatility * math.sqrt(seconds / 60.0)
        self._level += noise * deviation + drift * hours + self._push(seconds)
        return FactorMove(self._level, volatility, self._trend)

    def crash(self, change: float, seconds: float) -> None:
        """Let the level change by so much over the next seconds, before any other event goes on."""
        rate = change / seconds
        self._pushes.appendleft(_Push(4.0 * seconds, -rate * CRASH_REBOUND / 4.0))
        self._pushes.appendleft(_Push(seconds, rate))

    def _begin_flush(self, size: float, side: float, seconds: float) -> None:
        rate = size * (-1.0 if side < shared.EVENT_DOWN_SHARE else 1.0) / seconds
        self._pushes.append(_Push(seconds, rate))
        self._pushes.append(_Push(3.0 * seconds, -rate * FLUSH_REBOUND / 3.0))

    def _push(self, seconds: float) -> float:
        """Return the return of the events in the next seconds, and use them up."""
        total = 0.0
        while self._pushes and seconds > 0.0:
            push = self._pushes[0]
            used = min(seconds, push.seconds_left)
            total += push.return_per_second * used
            seconds -= used
            push.seconds_left -= used
            if push.seconds_left <= 0.0:
                self._pushes.popleft()
        return total


class _TrailingRange:
    """Highest and lowest price of the last hours, by the hour: RANGE_HOURS whole ones and the one under way."""

    def __init__(self, highs: list[int], lows: list[int]) -> None:
        hour = shared.MINUTES_PER_HOUR
        self._highs = deque(float(max(highs[i : i + hour])) for i in range(0, len(highs), hour))
        self._lows = deque(float(min(lows[i : i + hour])) for i in range(0, len(lows), hour))
        self._highs.append(self._highs[-1])
        self._lows.append(self._lows[-1])
        self._seconds = 0.0
        self._top, self._bottom = max(self._highs), min(self._lows)
        self._beyond = 0.0

    def extend(self, price: float, seconds: float) -> float:
        """Take a price and return by which fraction of it the range of the hours before is left, exhausted."""
        self._highs[-1], self._lows[-1] = max(self._highs[-1], price), min(self._lows[-1], price)
        up, down = max(0.0, self._highs[-1] / self._top - 1.0), max(0.0, 1.0 - self._lows[-1] / self._bottom)
        before, self._beyond = self._beyond, shared.exhausted(up) + shared.exhausted(down)
        extended = self._beyond - before
        self._seconds += seconds
        if self._seconds >= 3600.0:
            self._seconds -= 3600.0
            for bounds in (self._highs, self._lows):
                bounds.popleft()
                bounds.append(price)
            self._top, self._bottom, self._beyond = max(self._highs), min(self._lows), 0.0
        return extended


class LiveMarket:
    """One market of MarketYear, carried on tick by tick.

    Args:
        profile: its levels.
        decimals: price decimals of its instrument.
        seed: of the simulation.
        year: its past.
        leader: the market of the same symbol whose price it follows, stepped before it; None: it makes a price itself.
    """

    def __init__(
        self, profile: MarketProfile, decimals: int, seed: int, year: MarketYear, leader: LiveMarket | None = None
    ) -> None:
        self._profile = profile
        self._leader = leader
        self._generator = shared.generator_for(seed, 1, profile.instrument_id)
        self._unit = float(10**decimals)
        self._own_level = year.own_level
        self._price_scale = year.price_scale
        self._last = int(year.close[-1])
        self._mark = float(self._last)
        self._average = float(self._last)
        self._open_interest = float(year.open_interest[-1])
        self._told_later = deque([(0, self._open_interest)])  # time and open interest, the newest old enough to be said
        self._appetite = 0.5
        recent = shared.RANGE_HOURS * shared.MINUTES_PER_HOUR
        self._range = _TrailingRange(year.high[-recent:].tolist(), year.low[-recent:].tolist())

    @property
    def price(self) -> float:
        """Return the last price, quote."""
        return self._last / self._unit

    def step(self, move: FactorMove, begin_ns: int, end_ns: int) -> list[LiveEvent]:
        """Return what the venue says in [begin_ns, end_ns), for merge_events to put in time order."""
        uniform = self._generator.random(10)
        own = float(shared.bell(uniform[:4]))
        busy, volume, flow, appetite, printed, premium = uniform[4:].tolist()
        seconds = (end_ns - begin_ns) / SECOND_NS
        before = self._last
        price = self._next_price(own, move, seconds)
        self._average += (price - self._average) * min(1.0, seconds / 60.0)
        self._mark += (price - self._mark) * self._profile.mark_follow
        forced = self._range.extend(self._mark, seconds) * shared.FORCED_TURNOVER * self._profile.open_interest
        count = 2 + int(4.0 * busy) + (2 if forced else 0)
        draws: list[list[float]] = self._generator.random((8, 4)).tolist()[:count]
        traded = self._unforced(volume, price / before - 1.0, move, begin_ns, seconds) + forced
        trades = self._trades(draws, before, traded, begin_ns, end_ns)
        if end_ns // APPETITE_NS > begin_ns // APPETITE_NS:
            self._appetite = appetite
        self._change_open_interest(flow, move, sum(trade.quantity for trade in trades), forced / traded)
        said: list[LiveEvent] = self._with_liquidation(trades, printed)
        said += self._samples(begin_ns, end_ns)
        return said + self._funding(premium, move, begin_ns, end_ns)

    def _next_price(self, own: float, move: FactorMove, seconds: float) -> int:
        if self._leader is not None:
            share = min(1.0, seconds / BASIS_SECONDS)
            self._own_level += own * shared.BASIS_DEVIATION * math.sqrt(2.0 * share) - self._own_level * share
            self._last = max(2, round(self._leader.price * (1.0 + self._own_level) * self._unit))
            return self._last
        profile = self._profile
        self._own_level += own * profile.own_minute_volatility * move.volatility * math.sqrt(seconds / 60.0)
        self._own_level += shared.level_pull(self._own_level) * seconds / 3600.0
        level = profile.factor_weight * move.level + self._own_level
        curve = float(shared.growth(shared.bounded(level, profile.price_bound)))
        self._last = max(2, round(self._price_scale * curve * self._unit))
        return self._last

    def _unforced(self, volume: float, change: float, move: FactorMove, begin_ns: int, seconds: float) -> float:
        """Return the base coin (contracts) traded in a tick by those who want to."""
        profile = self._profile
        size = abs(change) / (profile.minute_volatility * math.sqrt(seconds / 60.0))
        share = shared.volume_share(move.volatility, size, volume)
        share *= shared.DAY_ACTIVITY[begin_ns // (3600 * SECOND_NS) % 24]
        return share * profile.hourly_volume * seconds / 3600.0

    def _trades(self, draws: list[list[float]], start: int, traded: float, begin_ns: int, end_ns: int) -> list[Trade]:
        """Walk from the last tick's price to this one's, at which the last trade is."""
        price = self._last
        # Trades leave the last twentieth of the tick to the marks and samples that follow them.
        room = (end_ns - begin_ns) * 19 // 20
        times = sorted(begin_ns + int(draw[0] * room) for draw in draws)
        weights = [0.05 + draw[1] * draw[1] for draw in draws]
        buy_share = 0.5 + 0.35 * (price - start) / (abs(price - start) + self._profile.minute_volatility * start / 8.0)
        step = self._profile.quantity_step
        traded *= 10**QUANTITY_DECIMALS / step
        trades = []
        for index, (time_ns, weight, draw) in enumerate(zip(times, weights, draws, strict=True)):
            way = (index + 1) / len(draws)
            side = TakerSide.BUY if draw[2] < buy_share else TakerSide.SELL
            jitter = (draw[3] - 0.5) * 4e-5 * start * (1.0 - way)
            level = max(1, round(start + (price - start) * way + jitter))
            quantity = max(1, int(traded * weight / math.fsum(weights))) * step
            trades.append(Trade(self._profile.instrument_id, time_ns, level, quantity, side))
        return trades

    def _with_liquidation(self, trades: list[Trade], printed: float) -> list[LiveEvent]:
        """Return the trades; when the price has moved hard the last one is a forced order and is printed as such."""
        last = trades[-1]
        stretch = (last.price - self._average) / self._average
        hard = abs(stretch) > STRETCH_DEVIATIONS * self._profile.minute_volatility
        if not hard or printed > PRINTED_SHARE:
            return list(trades)
        side = PositionSide.LONG if stretch < 0 else PositionSide.SHORT
        taker = TakerSide.SELL if side is PositionSide.LONG else TakerSide.BUY
        name = self._profile.instrument_id
        forced = Trade(name, last.time_ns, last.price, last.quantity, taker)
        return [*trades[:-1], forced, Liquidation(name, last.time_ns, last.price, last.quantity, side)]

    def _change_open_interest(self, flow: float, move: FactorMove, traded: int, forced_part: float) -> None:
        target = self._profile.open_interest * 10**QUANTITY_DECIMALS
        share = shared.regime_share(move.trend, move.volatility, self._open_interest / target, self._appetite)
        share += shared.MAX_NOISE_SHARE * (2.0 * flow - 1.0)
        share -= shared.FORCED_SHARE * forced_part
        self._open_interest += share * traded * shared.feasible_scale(self._open_interest, float(traded))

    def _samples(self, begin_ns: int, end_ns: int) -> list[LiveEvent]:
        name, tick_ns = self._profile.instrument_id, end_ns - begin_ns
        said: list[LiveEvent] = [MarkPrice(name, end_ns - tick_ns // 50, max(1, round(self._mark)))]
        known = self._told_later
        known.append((end_ns, self._open_interest))
        while len(known) > 1 and known[1][0] <= end_ns - self._profile.sample_lag_seconds * SECOND_NS:
            known.popleft()
        sample_ns, step = self._profile.sample_seconds * SECOND_NS, self._profile.quantity_step
        if end_ns // sample_ns > begin_ns // sample_ns:
            said.append(OpenInterest(name, end_ns - tick_ns // 100, int(known[0][1] / step) * step))
        return said

    def _funding(self, premium: float, move: FactorMove, begin_ns: int, end_ns: int) -> list[LiveEvent]:
        due_ns = -(-begin_ns // FUNDING_NS) * FUNDING_NS
        if due_ns >= end_ns:
            return []
        rate_ppb = 100_000 + int(80_000 * move.trend) + int(40_000 * (premium - 0.5))
        return [Funding(self._profile.instrument_id, due_ns, rate_ppb, FUNDING_HOURS)]


def merge_events(said: list[list[LiveEvent]]) -> list[LiveEvent]:
    """Return the events of several markets in time order; at the same time, in the order of the markets."""
    return sorted((event for one in said for event in one), key=lambda event: event.time_ns)
