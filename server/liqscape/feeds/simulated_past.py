"""The year before the simulation starts, minute by minute, as arrays; pure functions of a seed.

Slow states (volatility, regime, reversion, open-interest share) advance by the hour in a short loop, everything else is
one array operation over the year's minutes. Sums of floats are cumulative sums, which have one order on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from liqscape.events import QUANTITY_DECIMALS
from liqscape.feeds import simulated_market as shared
from liqscape.feeds.simulated_market import FloatArray, IntArray, MarketProfile

YEAR_HOURS: Final = 365 * 24
YEAR_MINUTES: Final = YEAR_HOURS * shared.MINUTES_PER_HOUR


@dataclass(frozen=True, slots=True)
class EventSpan:
    """One crash or squeeze starts in [from_hours_ago, to_hours_ago) and moves the factor by smallest..largest."""

    from_hours_ago: int
    to_hours_ago: int
    smallest: float
    largest: float


EVENT_SPANS: Final = (
    *(EventSpan(8700 - 790 * i, 7950 - 790 * i, 0.05, 0.12) for i in range(10)),
    EventSpan(700, 350, 0.04, 0.08),
    EventSpan(330, 175, 0.03, 0.06),
    EventSpan(160, 80, 0.025, 0.05),
    EventSpan(66, 30, 0.018, 0.035),
    EventSpan(20, 4, 0.010, 0.022),
)
"""One event a month, then one in each shorter window, smaller where its span is: every timeframe shows a sweep."""
FULL_INTENSITY_RETURN: Final = 0.06
"""An event that moves the factor by this much or more is a crash in full; smaller ones frighten less."""


@dataclass(frozen=True, slots=True)
class FactorYear:
    """The shared factor over the year.

    Attributes:
        level: float64[minute], at the end of each minute; it starts at 0.
        volatility: float64[hour], 1 is typical.
        trend: float64[hour], -1, 0 or 1.
        log_volatility: where volatility stands at the end.
        center: middle of the range at the end.
    """

    level: FloatArray
    volatility: FloatArray
    trend: FloatArray
    log_volatility: float
    center: float


@dataclass(frozen=True, slots=True)
class SimulatedPrices:
    """The course of one market: float64[minute + 1] in quote, and where it stands at the end, see MarketYear."""

    price: FloatArray
    own_level: float
    price_scale: float


@dataclass(frozen=True, slots=True)
class MarketYear:
    """One market over the year, integers in units of its instrument.

    Attributes:
        open, high, low, close: int64[minute], price units.
        quantity, taker_buy: int64[minute], units of 10^-8 base coin, or of 10^-8 contracts where they are inverse.
        open_interest: int64[minute + 1], the first value is that at the start of the year.
        own_level: the market's own part of the level at the end; of a follower, its distance from its leader.
        price_scale: quote; price = price_scale x growth(bounded level).
    """

    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    quantity: IntArray
    taker_buy: IntArray
    open_interest: IntArray
    own_level: float
    price_scale: float


@dataclass(frozen=True, slots=True)
class Steps:
    """A MarketYear merged into steps: lists of one int a step."""

    open: list[int]
    high: list[int]
    low: list[int]
    close: list[int]
    quantity: list[int]
    taker_buy: list[int]
    open_interest: list[int]


def simulate_factor(seed: int) -> FactorYear:
    """Return the year of the factor that all symbols share."""
    generator = shared.generator_for(seed, 0, "factor")
    event_returns, intensity = _events(generator)
    volatility, log_volatility = _volatility(generator, intensity)
    draws = generator.random((YEAR_HOURS, shared.MINUTES_PER_HOUR, 5))
    sixth = draws[..., 4] * draws[..., 4] * draws[..., 4]
    tails = 0.75 + 1.6 * sixth * sixth  # a few minutes move several deviations
    noise = shared.FACTOR_MINUTE_VOLATILITY * volatility[:, None] * shared.bell(draws) * tails
    returns = noise + event_returns.reshape(YEAR_HOURS, shared.MINUTES_PER_HOUR)
    drift, trend, center = _drift(generator, _hour_totals(returns))
    returns += drift[:, None] / shared.MINUTES_PER_HOUR
    return FactorYear(np.cumsum(returns.ravel()), volatility, trend, log_volatility, center)


def simulate_market(
    profile: MarketProfile, decimals: int, seed: int, factor: FactorYear, first_minute: int
) -> MarketYear:
    """Return the year of one market.

    Args:
        profile: its levels.
        decimals: price decimals of its instrument.
        seed: of the simulation.
        factor: the same for every symbol of the simulation.
        first_minute: minute since 1970 at which the year starts; it decides the hours of high activity.
    """
    generator = shared.generator_for(seed, 0, profile.instrument_id)
    price_scale, price, own_level = _prices(profile, generator, factor)
    prices = SimulatedPrices(price, own_level, price_scale)
    return market_at(prices, profile, decimals, generator, factor, first_minute)


def market_at(
    prices: SimulatedPrices,
    profile: MarketProfile,
    decimals: int,
    generator: np.random.Generator,
    factor: FactorYear,
    first_minute: int,
) -> MarketYear:
    """Return what is traded and held at given prices; for the other arguments see simulate_market."""
    price = prices.price
    moves = np.diff(price) / price[:-1]
    volatility = np.repeat(factor.volatility, shared.MINUTES_PER_HOUR)
    unit = float(10**decimals)
    # Both ends of a candle overshoot: the path inside a minute is not simulated, its range is.
    reach = price[1:] * volatility * (0.6 * profile.minute_volatility)
    overshoot = np.abs(shared.bell(generator.random((2, YEAR_MINUTES, 4)))) * reach
    ticks = np.maximum(np.rint(price * unit).astype(np.int64), 2)
    opens, closes = ticks[:-1], ticks[1:]
    high = np.maximum(opens, closes) + (overshoot[0] * unit).astype(np.int64)
    low = np.maximum(np.minimum(opens, closes) - (overshoot[1] * unit).astype(np.int64), 1)
    forced = extensions(high / unit, low / unit) * (shared.FORCED_TURNOVER * profile.open_interest)
    quantity = _quantities(profile, generator, volatility, np.abs(moves), forced, first_minute)
    lean = moves / (np.abs(moves) + profile.minute_volatility)
    buy_share = 0.5 + 0.25 * lean + 0.1 * (generator.random(YEAR_MINUTES) - 0.5)
    step = profile.quantity_step
    taker_buy = (quantity * buy_share / step).astype(np.int64) * step
    open_interest = _open_interest(profile, generator, factor, quantity, forced)
    levels = (prices.own_level, prices.price_scale)
    return MarketYear(opens, high, low, closes, quantity, taker_buy, open_interest, *levels)


def last_hours(year: MarketYear, hours: int) -> MarketYear:
    """Return copies of the last hours of a year: all that the live ticks go on from."""
    minutes = hours * shared.MINUTES_PER_HOUR
    names = ("open", "high", "low", "close", "quantity", "taker_buy", "open_interest")
    return replace(year, **{name: getattr(year, name)[-minutes:].copy() for name in names})


def merge_steps(year: MarketYear, bounds: IntArray) -> Steps:
    """Merge minutes into steps.

    Args:
        year: the minutes.
        bounds: int64[steps + 1], minutes since the start of the year, ascending.
    """
    starts, ends = bounds[:-1], bounds[1:]
    last = int(bounds[-1])
    return Steps(
        open=year.open[starts].tolist(),
        high=np.maximum.reduceat(year.high[:last], starts).tolist(),
        low=np.minimum.reduceat(year.low[:last], starts).tolist(),
        close=year.close[ends - 1].tolist(),
        quantity=np.add.reduceat(year.quantity[:last], starts).tolist(),
        taker_buy=np.add.reduceat(year.taker_buy[:last], starts).tolist(),
        open_interest=year.open_interest[ends].tolist(),
    )


def extensions(high: FloatArray, low: FloatArray) -> FloatArray:
    """Return by which fraction of the price each minute leaves the range of the hours before, float64[minute]."""
    hours = shared.RANGE_HOURS
    highs, lows = high.reshape(-1, shared.MINUTES_PER_HOUR), low.reshape(-1, shared.MINUTES_PER_HOUR)
    top = sliding_window_view(highs.max(axis=1), hours).max(axis=1)[:-1, None]
    bottom = sliding_window_view(lows.min(axis=1), hours).min(axis=1)[:-1, None]
    # The range grows within the hour: a minute adds only what it reaches beyond the ones before it.
    tops = np.maximum.accumulate(np.concatenate((top, highs[hours:]), axis=1), axis=1)
    bottoms = np.minimum.accumulate(np.concatenate((bottom, lows[hours:]), axis=1), axis=1)
    beyond = np.zeros(highs.shape)
    beyond[hours:] = np.diff(shared.exhausted(tops / top - 1.0), axis=1)
    beyond[hours:] += np.diff(shared.exhausted(1.0 - bottoms / bottom), axis=1)
    return beyond.ravel()


def _events(generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return the crashes and squeezes of the year, float64[minute] each: returns, and how fierce they are (0..1)."""
    returns, intensity = np.zeros(YEAR_MINUTES), np.zeros(YEAR_MINUTES)
    for span in EVENT_SPANS:
        where, size, side, length = generator.random(4).tolist()
        hours_ago = span.from_hours_ago - where * (span.from_hours_ago - span.to_hours_ago)
        first = YEAR_MINUTES - int(hours_ago * shared.MINUTES_PER_HOUR)
        minutes = 25 + int(40 * length)
        total = (span.smallest + size * (span.largest - span.smallest)) * (-1 if side < shared.EVENT_DOWN_SHARE else 1)
        course = np.arange(1, minutes + 1) * np.arange(minutes, 0, -1).astype(np.float64)
        weights = course / float(np.cumsum(course)[-1])
        returns[first : first + minutes] += total * weights
        peak = min(1.0, abs(total) / FULL_INTENSITY_RETURN)
        intensity[first : first + minutes] = peak * course / float(course.max())
        rebound = 3 * minutes
        returns[first + minutes : first + minutes + rebound] -= shared.EVENT_REBOUND * total / rebound
    return returns, intensity


def _volatility(generator: np.random.Generator, intensity: FloatArray) -> tuple[FloatArray, float]:
    """Return (relative volatility, float64[hour], and its last logarithm); an event leaves the market nervous."""
    shocks = shared.LOG_VOLATILITY_NOISE_PER_HOUR * shared.bell(generator.random((YEAR_HOURS, 4)))
    shocks += 0.5 * intensity.reshape(YEAR_HOURS, shared.MINUTES_PER_HOUR).max(axis=1)
    logs = np.empty(YEAR_HOURS)
    log = 0.0
    for hour, shock in enumerate(shocks.tolist()):
        log = min(log * (1.0 - shared.LOG_VOLATILITY_PULL_PER_HOUR) + shock, 1.5)
        logs[hour] = log
    return shared.growth(logs), log


def _drift(generator: np.random.Generator, totals: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return (drift, trend, middle of the last range): float64[hour] twice, from trends, ranges and reversion."""
    drift, trends = np.empty(YEAR_HOURS), np.empty(YEAR_HOURS)
    level, center, trend = 0.0, 0.0, 0.0
    draws = generator.random((YEAR_HOURS, 2)).tolist()
    for hour, (total, (change, choice)) in enumerate(zip(totals.tolist(), draws, strict=True)):
        if change * shared.REGIME_HOURS < 1.0:
            trend, center = float(int(3.0 * choice) - 1), level
        pull = trend * shared.TREND_PER_HOUR + shared.level_pull(level)
        if not trend:
            pull -= (level - center) * shared.RANGE_PULL_PER_HOUR
        level += total + pull
        drift[hour], trends[hour] = pull, trend
    return drift, trends, center


def _prices(
    profile: MarketProfile, generator: np.random.Generator, factor: FactorYear
) -> tuple[float, FloatArray, float]:
    """Return (scale, prices, own level at the end); prices are float64[minute + 1] in quote."""
    shape = (YEAR_HOURS, shared.MINUTES_PER_HOUR)
    own = shared.bell(generator.random((*shape, 4))) * profile.own_minute_volatility * factor.volatility[:, None]
    level = 0.0
    pulls = np.empty(YEAR_HOURS)
    for hour, total in enumerate(_hour_totals(own).tolist()):
        pulls[hour] = shared.level_pull(level)
        level += total + float(pulls[hour])
    own += pulls[:, None] / shared.MINUTES_PER_HOUR
    own_path = np.cumsum(own.ravel())
    levels = np.concatenate(([0.0], profile.factor_weight * factor.level + own_path))
    curve = shared.growth(shared.bounded(levels, profile.price_bound))
    scale = profile.price * (0.98 + 0.04 * float(generator.random())) / float(curve[-1])
    return scale, scale * curve, float(own_path[-1])


def _quantities(
    profile: MarketProfile,
    generator: np.random.Generator,
    volatility: FloatArray,
    moves: FloatArray,
    forced: FloatArray,
    first_minute: int,
) -> IntArray:
    """Return traded quantity, int64[minute]; moves are sizes of returns, forced is in its unit."""
    hours = (first_minute + np.arange(YEAR_MINUTES)) // shared.MINUTES_PER_HOUR % 24
    noise = generator.random(YEAR_MINUTES)
    share = shared.volume_share(volatility, moves / profile.minute_volatility, noise)
    free = share * np.asarray(shared.DAY_ACTIVITY)[hours] * (profile.hourly_volume / shared.MINUTES_PER_HOUR)
    steps: IntArray = ((free + forced) * 10**QUANTITY_DECIMALS / profile.quantity_step).astype(np.int64) + 1
    return steps * profile.quantity_step


def _open_interest(
    profile: MarketProfile, generator: np.random.Generator, factor: FactorYear, quantity: IntArray, forced: FloatArray
) -> IntArray:
    """Return open interest, int64[minute + 1]; in an hour it changes by less than half, so it stays positive."""
    shape = (YEAR_HOURS, shared.MINUTES_PER_HOUR)
    traded = quantity.reshape(shape).astype(np.float64)
    noise = shared.MAX_NOISE_SHARE * (2.0 * generator.random(shape) - 1.0)
    shares = noise - shared.FORCED_SHARE * forced.reshape(shape) * 10**QUANTITY_DECIMALS / traded
    target = profile.open_interest * 10**QUANTITY_DECIMALS
    level = start = target * (0.92 + 0.1 * float(generator.random()))
    hours = zip(
        factor.trend.tolist(),
        factor.volatility.tolist(),
        _hour_totals(traded).tolist(),
        _hour_totals(shares * traded).tolist(),
        generator.random(YEAR_HOURS).tolist(),
        strict=True,
    )
    regimes, scales = np.empty(YEAR_HOURS), np.empty(YEAR_HOURS)
    for hour, (trend, volatility, total, other, draw) in enumerate(hours):
        regimes[hour] = share = shared.regime_share(trend, volatility, level / target, draw)
        scales[hour] = scale = shared.feasible_scale(level, total)
        level += (share * total + other) * scale
    changes = (shares + regimes[:, None]) * scales[:, None] * traded
    path = np.concatenate(([start], start + np.cumsum(changes.ravel())))
    return (path / profile.quantity_step).astype(np.int64) * profile.quantity_step


def _hour_totals(values: FloatArray) -> FloatArray:
    return np.asarray(np.cumsum(values, axis=1)[:, -1], dtype=np.float64)
