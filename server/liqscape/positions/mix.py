"""The inflow mix: how lots that open are split over leverage tiers, and over the rows they were traded at.

Every split is exact: the parts add up to the whole each time, and each tier gets its share in the long run to within
two lots.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import ConfigError, ModelError
from liqscape.instruments import LEVERAGE_TIERS

SHARE_ONE: Final = 1_000_000
MIN_SHARE: Final = -(-SHARE_ONE // 1024)
"""A tier the venue allows keeps at least 1/1024 of the inflow, so that a view can always raise it."""

PRIOR_STANDING_SHARES: Final = (20, 20, 25, 15, 10, 5, 2, 2, 1)
"""Shares of the *open* positions by tier in per cent; what opens is this x turnover (L / 10). Assumed, not fitted: 40 %
stand at 10x to 20x, as traders report, and fast tiers are rare.

Source: benchmarks/fit_mix.py, rank correlation of swept with real liquidations, mean of long and short. In the half it
fits on (Binance, hourly, BTC / ETH, first half of 2025-03 to 2025-11) this prior has 0.867 / 0.877. The best fit that
keeps the 40 %, (24, 24, 34.8, 5.2, 6, 3, 1.2, 1.2, 0.6), has 0.869 / 0.884, and on later halves it gains 0.001 for BTC
(three sets, standard errors 0.001 to 0.003) and 0.006 to 0.007 for ETH (two sets, 0.002 to 0.003). One coin is too
little to ship 5 % at 20x between 35 % at 10x and 6 % at 25x for all; a fit to ETH alone is a mix of its own.
"""


def prior_inflow_mix(tiers: Sequence[int]) -> tuple[int, ...]:
    """Return the shipped prior for a venue's tiers: shares of what opens, in millionths that sum to one.

    Args:
        tiers: leverages the venue allows, a subset of LEVERAGE_TIERS in ascending order.
    """
    standing = dict(zip(LEVERAGE_TIERS, PRIOR_STANDING_SHARES, strict=True))
    return normalised_mix([Fraction(standing[tier] * tier) for tier in tiers])


def normalised_mix(wanted: Sequence[Fraction]) -> tuple[int, ...]:
    """Return shares in millionths that sum to one, each at least MIN_SHARE, in the wanted ratios but for rounding.

    Raises:
        ConfigError: a share is negative, or none is positive.
    """
    total = sum(wanted, Fraction(0))
    if total <= 0 or min(wanted) < 0:
        raise ConfigError(f"mix {[str(x) for x in wanted]} is invalid; shares are at least 0 and one is positive")
    spare = SHARE_ONE - MIN_SHARE * len(wanted)
    raised = [max(Fraction(0), share / total * SHARE_ONE - MIN_SHARE) for share in wanted]
    return tuple(MIN_SHARE + part for part in apportion(raised, spare))


def apportion(wanted: Sequence[Fraction], whole: int) -> list[int]:
    """Return integers that sum to the whole, in the wanted ratios but for rounding; the largest remainders gain.

    Args:
        wanted: each at least 0, the sum positive.
        whole: what to share out.
    """
    scale = Fraction(whole) / sum(wanted, Fraction(0))
    exact = [part * scale for part in wanted]
    floors = [int(part) for part in exact]
    by_rest = sorted(range(len(wanted)), key=lambda i: (floors[i] - exact[i], i))
    for i in by_rest[: whole - sum(floors)]:
        floors[i] += 1
    return floors


class TierSplit:
    """Splits lots over tiers for one (instrument, side); remembers what each tier is still owed."""

    __slots__ = ("_credits", "_shares")

    def __init__(self, shares: Sequence[int]) -> None:
        if sum(shares) != SHARE_ONE:
            raise ConfigError(
                f"mix {tuple(shares)} sums to {sum(shares)}; shares are millionths that sum to {SHARE_ONE}"
            )
        self._shares = tuple(shares)
        self._credits = [0] * len(shares)  # owed - given, in millionths of a lot

    @property
    def credits(self) -> tuple[int, ...]:
        """Return what each tier is owed, in millionths of a lot; they sum to zero between splits."""
        return tuple(self._credits)

    @credits.setter
    def credits(self, owed: tuple[int, ...]) -> None:
        if len(owed) != len(self._shares):
            raise ModelError(f"{len(owed)} credits are not those of {len(self._shares)} shares")
        self._credits = list(owed)

    def split(self, lots: int) -> list[int]:
        """Return lots by tier: floors of lots x share, one more to those with the largest credit (ties: lower tier)."""
        given = [lots * share // SHARE_ONE for share in self._shares]
        for tier, share in enumerate(self._shares):
            self._credits[tier] += lots * share - given[tier] * SHARE_ONE
        left = lots - sum(given)
        for tier in sorted(range(len(given)), key=lambda t: (-self._credits[t], t))[:left]:
            given[tier] += 1
            self._credits[tier] -= SHARE_ONE
        return given


def spread_over_rows(totals: NDArray[np.int64], traded: NDArray[np.int64]) -> NDArray[np.int64]:
    """Split totals over rows in proportion to what was traded there, by cumulative floors.

    Part r of total n is floor(n x C[r] / W) - floor(n x C[r-1] / W), C the running sum of traded and W its end. The
    product of two lot amounts passes 2^63, so floor(n C / W) is done by long division, in digits small enough for
    int64.

    Args:
        totals: lots to split, int64[n], each at least 0.
        traded: weights, int64[row], each at least 0, the sum positive and below 2^54.

    Returns:
        int64[n, row]; each row of it sums to its total.
    """
    running = np.cumsum(traded)
    return np.diff(_floor_of_ratio(totals[:, None], running[None, :], int(running[-1])), axis=1, prepend=0)


def _floor_of_ratio(factor: NDArray[np.int64], part: NDArray[np.int64], whole: int) -> NDArray[np.int64]:
    """Return floor(factor x part / whole) for 0 <= part <= whole, exactly, without a 128-bit product."""
    digit_bits = 62 - whole.bit_length()  # remainder x 2^bits + digit x part stays below 2^63
    top = max(int(factor.max(initial=0)).bit_length(), 1)
    shift = -(-top // digit_bits) * digit_bits
    quotient = np.zeros(np.broadcast_shapes(factor.shape, part.shape), np.int64)
    remainder = np.zeros_like(quotient)
    while shift:
        shift -= digit_bits
        digit = (factor >> shift) & ((1 << digit_bits) - 1)
        remainder = (remainder << digit_bits) + digit * part
        quotient = (quotient << digit_bits) + remainder // whole
        remainder %= whole
    return quotient
