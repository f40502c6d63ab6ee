"""What the simulated past and the simulated present share: profiles, seeds and the arithmetic of the market.

Prices come from two sums, a factor all symbols share and a part of their own, pulled back so that a symbol stays within
a factor of about two over a year, and bounded for good. Only additions, products, quotients and square roots of uniform
numbers are used: those are rounded alike everywhere, so a seed gives the same events on every machine; exp and a
library's normal numbers promise no such thing.

Open interest changes by a share of what is traded, never more than MAX_OPEN_INTEREST_SHARE of it. The model takes 60 %
of traded quantity for the taking and leaving of positions, so its flow identity has a solution at every sample; only
sweeps of its own can ask for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Real = TypeVar("Real", float, FloatArray)

MINUTES_PER_HOUR: Final = 60
MINUTES_PER_DAY: Final = 1440

# Of the shared factor. A minute's 0.05 % is 36 % a year; clusters, trends and events bring it to what Bitcoin shows.
FACTOR_MINUTE_VOLATILITY: Final = 0.0005
LOG_VOLATILITY_PULL_PER_HOUR: Final = 0.02
"""Volatility forgets in about two days: clusters are visible from the 3d window to the 1m window."""
LOG_VOLATILITY_NOISE_PER_HOUR: Final = 0.08
REGIME_HOURS: Final = 48
"""Mean length of a trend or a range."""
TREND_PER_HOUR: Final = 0.0006
RANGE_PULL_PER_HOUR: Final = 0.05
LEVEL_PULL_PER_HOUR: Final = 1 / (40 * 24)
LEVEL_STIFFNESS: Final = 0.15
"""The level returns over some forty days, and this far out over twenty: beyond a trend has no strength left, so that
the year wanders and stays on the chart without resting at its bound, where nothing would move."""
EVENT_DOWN_SHARE: Final = 0.6
"""Crashes are more frequent than squeezes, as in every record of liquidations."""
EVENT_REBOUND: Final = 0.4

BASIS_DEVIATION: Final = 0.0001
"""Typical distance of a venue's price from that of its symbol's leader: arbitrage leaves no more than the fees."""

# Of flows. The three parts of the open-interest share sum to its maximum, so no clipping is needed.
MAX_REGIME_SHARE: Final = 0.15
MAX_NOISE_SHARE: Final = 0.10
FORCED_SHARE: Final = 0.14
BUILDING_SHARE: Final = 0.04
"""What forced orders take from open interest is rebuilt by this share of everything traded."""
MAX_OPEN_INTEREST_SHARE: Final = MAX_REGIME_SHARE + MAX_NOISE_SHARE + FORCED_SHARE
RANGE_HOURS: Final = 12
"""Forced orders come when the price leaves the range of so many hours: what opened inside it is liquidated beyond."""
FORCED_TURNOVER: Final = 26.0
"""Traded then, as a multiple of open interest: 26 % of it for the first percent. The model's book loses about 13 %
there; only what is traded can be lost, and other orders trade too."""
FORCED_DEPTH: Final = 0.05
"""Within an hour forced orders thin out over this much of the price: high leverage is gone, low leverage far away."""
DAY_ACTIVITY: Final = (
    0.95, 0.90, 0.85, 0.80, 0.75, 0.75, 0.80, 0.90, 0.95, 0.95, 0.95, 1.00,
    1.15, 1.40, 1.55, 1.50, 1.35, 1.20, 1.10, 1.05, 1.05, 1.00, 0.95, 0.95,
)  # fmt: skip
"""Activity by UTC hour, mean close to one: highest when New York opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketProfile:
    """Levels of one simulated market.

    Attributes:
        instrument_id: the shipped instrument it speaks for.
        price: quote; the past ends within 2 % of it.
        price_bound: the logarithm of price stays within this much of its middle.
        factor_weight: how much of the shared factor moves it.
        own_minute_volatility: standard deviation of a minute's own return.
        hourly_volume: base coin traded in a typical hour; contracts, and so below, of an inverse instrument.
        open_interest: base coin, the level that open interest reverts to.
        quantity_step: smallest quantity in units of 10^-8 base coin.
        sample_seconds: between two samples of open interest, by default as a poll inside a venue's request budget.
        sample_lag_seconds: how old a sample is when it is said.
        mark_follow: part of its distance to the last trade that the mark price takes in a tick: every venue smooths.
    """

    instrument_id: str
    price: float
    price_bound: float
    factor_weight: float
    own_minute_volatility: float
    hourly_volume: float
    open_interest: float
    quantity_step: int
    sample_seconds: int = 5
    sample_lag_seconds: int = 0
    mark_follow: float = 0.7

    @property
    def minute_volatility(self) -> float:
        """Return the typical size of a minute's return: both parts added, so never too small."""
        return self.factor_weight * FACTOR_MINUTE_VOLATILITY + self.own_minute_volatility


# Levels of Binance's USDT perpetuals at the turn of the year 2025; quantity steps are those of the venue.
PROFILES: Final = {
    "BTC": MarketProfile(
        instrument_id="binance:BTCUSDT",
        price=95_000.0,
        price_bound=0.5,
        factor_weight=1.0,
        own_minute_volatility=0.00015,
        hourly_volume=7_000.0,
        open_interest=90_000.0,
        quantity_step=100_000,
    ),
    "ETH": MarketProfile(
        instrument_id="binance:ETHUSDT",
        price=3_300.0,
        price_bound=0.5,
        factor_weight=1.05,
        own_minute_volatility=0.0003,
        hourly_volume=150_000.0,
        open_interest=2_050_000.0,
        quantity_step=100_000,
    ),
}


def generator_for(seed: int, stage: int, name: str) -> np.random.Generator:
    """Return the stream of random numbers of one stage (0 past, 1 live) of one symbol or of the factor."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stage, *name.encode()])))


def bell(uniform: FloatArray) -> FloatArray:
    """Turn uniform numbers into bell-shaped ones of mean 0 and deviation 1: four along the last axis become one."""
    total = uniform[..., 0] + uniform[..., 1] + uniform[..., 2] + uniform[..., 3]
    return np.asarray((total - 2.0) * 1.7320508075688772, dtype=np.float64)


def growth(x: Real) -> Real:
    """Return a rational stand-in for exp(x): 1 at 0, rising, growth(-x) = 1 / growth(x); for x well inside +-4."""
    ratio = (4.0 + x) / (4.0 - x)
    return ratio * ratio


def bounded(level: Real, bound: float) -> Real:
    """Return a level squeezed into (-bound, bound); small levels pass almost unchanged."""
    scaled = level / bound
    divisor: Real = np.sqrt(1.0 + scaled * scaled)
    return level / divisor


def level_pull(level: float) -> float:
    """Return the drift of a level per hour, towards 0."""
    far = level / LEVEL_STIFFNESS
    return -level * LEVEL_PULL_PER_HOUR * (1.0 + far * far)


def volume_share(relative_volatility: Real, return_in_deviations: Real, noise: Real) -> Real:
    """Return what is traded unforced, as a multiple of the typical hour's.

    Args:
        relative_volatility: 1 is typical.
        return_in_deviations: size of the return, in typical deviations of its duration.
        noise: uniform in 0..1.
    """
    return (0.2 + 0.3 * relative_volatility + 0.35 * return_in_deviations) * (0.5 + noise)


def exhausted(beyond: Real) -> Real:
    """Return the part of the price's way beyond its range that meets forced orders: less and less of it."""
    return beyond / (1.0 + beyond / FORCED_DEPTH)


def regime_share(trend: float, relative_volatility: float, fullness: float, noise: float) -> float:
    """Return the change of open interest that a regime brings, as a share of traded quantity.

    Args:
        trend: -1, 0 or 1; quiet trends attract positions.
        relative_volatility: 1 is typical.
        fullness: open interest over the level it reverts to.
        noise: uniform in 0..1.
    """
    quiet_trend = 0.02 if trend and relative_volatility < 1.2 else 0.0
    share = BUILDING_SHARE + quiet_trend + 0.15 * (1.0 - fullness) + 0.24 * (noise - 0.5)
    return max(-MAX_REGIME_SHARE, min(MAX_REGIME_SHARE, share))


def feasible_scale(open_interest: float, traded: float) -> float:
    """Return a factor <= 1 for changes of open interest that keeps it above half of what it is."""
    return min(1.0, open_interest / traded) if traded > 0 else 1.0
