"""Every number that decides what a cluster is, with its default, its bounds, and whose figure the default is.

Percentages are of the price now, shares are 0..1. They arrive as floating point and decide as whole millionths, so that
equal books give equal clusters on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from liqscape.errors import InvalidArgument

MILLION: Final = 1_000_000

SIGNIFICANT_BTC_USD: Final = 150e6
"""Traders' figure of a significant cluster of BTC; of other symbols in proportion to their open interest."""

REFERENCE_OPEN_INTEREST_USD: Final = 24e9
"""Of BTC on all venues when that figure was given (Binance 8-12 billion, 40-50 % of all), for a server without BTC."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a threshold may be, inclusive.

    Attributes:
        low, high: inclusive.
        about: in words, for people.
    """

    low: float
    high: float
    about: str


BOUNDS: Final[Mapping[str, Bounds]] = {
    "smoothing_percent": Bounds(0, 2, "half-width of the triangle that lots are smoothed with, % of the price"),
    "valley_share": Bounds(0, 1, "two humps are apart where lots between them fall below this share of the lower one"),
    "edge_share": Bounds(0.01, 1, "a cluster reaches to its last row with this share of its highest row"),
    "max_width_percent": Bounds(0.05, 20, "no cluster is wider, % of the price"),
    "min_mass_usd": Bounds(0, 1e12, "smaller clusters are not listed"),
    "within_percent": Bounds(0.1, 50, "clusters further from the price are not listed, %"),
    "isolation_percent": Bounds(0.1, 20, "a cluster is isolated with no neighbour this near, % of the price"),
    "neighbour_share": Bounds(0.001, 1, "a neighbour has at least this share of the cluster's mass"),
    "band_percent": Bounds(0, 5, "trigger band around the peak, each way, % of the peak"),
    "noise_floor_usd": Bounds(0, 1e12, "a smaller cluster is graded as noise"),
    "min_open_interest_usd": Bounds(0, 1e12, "a symbol with less open interest is graded down"),
    "min_covered_share": Bounds(0, 1, "a book that explains less of open interest is graded down"),
    "max_feed_lag_seconds": Bounds(1, 86_400, "a venue this far behind the newest event is lagging"),
    "min_venues": Bounds(1, 64, "a map of fewer venues is graded down"),
    "max_venue_share": Bounds(0, 1, "a cluster with more on one of several venues is graded down"),
    "expiry_hours": Bounds(0, 168, "clusters are graded down so many hours before a quarterly expiry; 0: never"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterThresholds:
    """Thresholds in force.

    Attributes:
        smoothing_percent: half-width of the triangle. Rows of one entry price and neighbouring tiers fall together;
            0: rows as they are.
        valley_share, edge_share: half, both: a cluster is its full width at half maximum.
        max_width_percent: twice 0.4-0.6 %, which traders give a level each way.
        min_mass_usd: None: SIGNIFICANT_BTC_USD, in proportion; see significant_usd.
        within_percent: a swing.
        isolation_percent: traders' figure: nothing within 3 % either side.
        neighbour_share: what is smaller does not stop a move that the cluster has begun.
        band_percent: traders' figure is 0.4-0.6 % around a level of BTC for 80 % of real triggers, and 61,000-61,500
            for 61,200.
        noise_floor_usd: traders' figure of noise on a small coin.
        min_open_interest_usd: at it, SIGNIFICANT_BTC_USD in proportion is the noise floor.
        min_covered_share: half.
        max_feed_lag_seconds: in a cascade the price moves 1-2 % a minute.
        min_venues: traders' figure of a credible map is Binance, Bybit, OKX and CME; the last one is no perpetual.
        max_venue_share: traders' example of a concentrated cluster.
        expiry_hours: traders' figure.
    """

    smoothing_percent: float = 0.1
    valley_share: float = 0.5
    edge_share: float = 0.5
    max_width_percent: float = 1.0
    min_mass_usd: float | None = None
    within_percent: float = 20.0
    isolation_percent: float = 3.0
    neighbour_share: float = 0.1
    band_percent: float = 0.5
    noise_floor_usd: float = 1.2e6
    min_open_interest_usd: float = 200e6
    min_covered_share: float = 0.5
    max_feed_lag_seconds: float = 60.0
    min_venues: int = 3
    max_venue_share: float = 0.6
    expiry_hours: float = 48.0

    def __post_init__(self) -> None:
        """Raise InvalidArgument: names the field and what is allowed."""
        for field in fields(self):
            value, bounds = getattr(self, field.name), BOUNDS[field.name]
            if value is not None and not (math.isfinite(value) and bounds.low <= value <= bounds.high):
                raise InvalidArgument(f"thresholds.{field.name} is {value}; use {bounds.low:g} to {bounds.high:g}")


def millionths(share: float) -> int:
    """Return a share as whole millionths."""
    return round(share * MILLION)


def percent_millionths(percent: float) -> int:
    """Return a percentage as whole millionths of the whole."""
    return round(percent * MILLION / 100)


def significant_usd(symbol: str, open_interest_usd: float, btc_open_interest_usd: float | None) -> float:
    """Return the mass from which a cluster counts where nobody has said it.

    Args:
        symbol: base coin.
        open_interest_usd: of the symbol on this server, one side.
        btc_open_interest_usd: of BTC on this server; None: it has none.
    """
    if symbol == "BTC":
        return SIGNIFICANT_BTC_USD
    reference = btc_open_interest_usd or REFERENCE_OPEN_INTEREST_USD
    return SIGNIFICANT_BTC_USD * open_interest_usd / reference
