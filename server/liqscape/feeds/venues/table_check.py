"""Whether a margin table that a venue has told may be believed, beside the one shipped. Pure.

A table that is read has rates that do not fall, tiers that follow each other, and numbers above 0 already (tiers.py).
Here stands what no venue would offer, and what looks as if a unit were crossed: such a table would move every
liquidation price of an instrument, and nobody would have been asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final

from liqscape.feeds.venues.dialect import Unreadable
from liqscape.feeds.venues.tiers import UNBOUNDED, Adjustments
from liqscape.instruments import LEVERAGE_TIERS, Instrument, MaintenanceTier

HIGHEST_LEVERAGE: Final = 1000
"""The highest offered in public is 500x (MEXC); a venue that doubles it is believed, one that says 10,000x is not."""

CROSSED_RATE: Final = 10
"""A first rate so many times the shipped one, or so small a part of it, is no new rule but another unit: per mille and
per cent are 10 and 100 apart. Shipped rates that turned out wrong were within 5."""

STRIKING_RATE: Final = 2
"""From here on a first rate is believed, and said: every liquidation price moves by as much as the rate does."""

CROSSED_CAP: Final = 1000
"""Likewise of the first cap, where both have one. Caps do differ by tens, and decide only what a size mix says."""


def check_table(shipped: Instrument, told: Sequence[MaintenanceTier], adjustments: Adjustments = ()) -> str:
    """Return what people should know of a table that is believed, in words; empty: nothing.

    Args:
        shipped: the instrument under its shipped rules.
        told: its tiers, as table_of returns them.
        adjustments: likewise, of a venue whose rate follows the leverage.

    Raises:
        Unreadable: it is not believed, with the reason.
    """
    for tier in told:
        if tier.max_leverage > HIGHEST_LEVERAGE:
            raise Unreadable("absurd leverage", f"{tier.max_leverage}x, at most {HIGHEST_LEVERAGE}x is believed")
        if tier.maintenance_amount > tier.maintenance_margin_rate * tier.notional_floor:
            raise Unreadable("an amount above maintenance", _in_words(tier))
    for lower, upper in pairwise(told):
        if upper.max_leverage > lower.max_leverage:
            raise Unreadable("leverage that rises with size", f"{_in_words(lower)}, then {_in_words(upper)}")
    first, known = told[0], shipped.maintenance_tiers[0]
    # A leverage without margin beyond maintenance is no contradiction: the model opens nothing at it.
    lowest, taken = LEVERAGE_TIERS[0], first.maintenance_margin_rate + shipped.fee_rate
    if first.max_leverage < lowest or Fraction(1, lowest) <= taken:
        raise Unreadable("no leverage of the model", _in_words(first))
    rate = _times(first.maintenance_margin_rate, known.maintenance_margin_rate)
    if rate >= CROSSED_RATE:
        raise Unreadable("another unit of rates", f"{_in_words(first)}; shipped {_in_words(known)}")
    caps = (first.notional_cap, known.notional_cap)
    if UNBOUNDED not in caps and _times(*map(Fraction, caps)) >= CROSSED_CAP:
        raise Unreadable("another unit of sizes", f"first cap {caps[0]}; shipped {caps[1]}")
    if bool(adjustments) != bool(shipped.adjustments):
        raise Unreadable("another kind of table", f"{len(adjustments)} leverages; shipped {len(shipped.adjustments)}")
    if rate < STRIKING_RATE:
        return _striking_factors(shipped, adjustments)
    return f"first rate {_rate(first)}, shipped {_rate(known)} of {shipped.rules_date}"


def _striking_factors(shipped: Instrument, adjustments: Adjustments) -> str:
    """Return where small positions need twice or half of the shipped margin. Factors cannot cross units: all are below
    one (tiers.py), and 1 % told as 1 would not be.
    """
    striking = []
    for leverage in LEVERAGE_TIERS:
        told, known = _factor(adjustments, leverage), _factor(shipped.adjustments, leverage)
        if told is not None and known is not None and _times(told, known) >= STRIKING_RATE:
            striking.append(f"factor {float(told):g} at {leverage}x, shipped {float(known):g}")
    return f"{'; '.join(striking)} of {shipped.rules_date}" if striking else ""


def _factor(adjustments: Adjustments, leverage: int) -> Fraction | None:
    """Return the factor of a small position; the row of the next higher leverage holds for one that is not listed."""
    return next((steps[0].factor for listed, steps in adjustments if leverage <= listed), None)


def _times(one: Fraction, other: Fraction) -> Fraction:
    return max(one / other, other / one)


def _rate(tier: MaintenanceTier) -> str:
    return f"{float(tier.maintenance_margin_rate * 100):g} %"


def _in_words(tier: MaintenanceTier) -> str:
    return f"{_rate(tier)} from {tier.notional_floor} at {tier.max_leverage}x"
