"""Liquidation and bankruptcy prices from the venue's rules, as exact ratios and as integer row maps.

One isolated position, no margin added; E entry, P liquidation price, L leverage, m maintenance rate, f fee that the
venue counts with it (or 0), d maintenance amount, N size of the position, d and N in one unit. Equity = maintenance
at the mark price gives

    linear   long  P = E (1 - 1/L - d/N) / (1 - m - f)     short  P = E (1 + 1/L + d/N) / (1 + m + f)
    inverse  long  P = E (1 + m + f) / (1 + 1/L + d/N)     short  P = E (1 - m - f) / (1 - 1/L - d/N)

Where maintenance is a rate of the value at entry (Instrument.margin_form), m and f do not move with the price:

    at entry long  P = E (1 - 1/L - d/N + m + f)           short  P = E (1 + 1/L + d/N - m - f)

Sources, read 2026-11-21:
- Binance USD-M, P = (W + d - s Q E) / (Q m - s Q), its article on isolated liquidation; real prints agree: order
  (bankruptcy) and fill prices lie a median 0.39 % apart, the lowest maintenance rate of the pair. COIN-M by the same
  rule in coin.
- Bybit, help page on inverse contracts of 2026-05-27: maintenance at mark, the closing fee cancels; linear alike.
- OKX, isolated margin ratio: (margin + profit) / (value at mark x (m + taker fee)). Bitget, article on isolated
  margin, and KuCoin, a published position: the taker fee is added to m in the same way.
- Kraken Futures, worked example of its help page (entry 8,000, margin 0.01 BTC on 1,000 contracts: 7,481).
- Deribit margins whole accounts; the form is that of a position alone, with L its value over equity, and its m grows
  with size: 1 % + 0.005 % a coin of BTC.
- Hyperliquid, its page on liquidations: P = price - side x available / size / (1 - l x side), available = margin -
  maintenance at that price. Taken at entry, available = Q E (1/L - m) + d and l = m: the linear form above.
- dYdX v4, value of a subaccount = sum of |size| x oracle x maintenance fraction: the linear form on the oracle price.
- HTX, margin rate 100 % at equity = adjustment factor / L of the value: m = factor / L, by leverage and size.
- WOO X, page on margin and leverage, E (1 + m - 1/L) with m of 0.6 / maximum leverage + 0.03 %: at entry. MEXC: at
  entry by a public estimator. Gate, with the taker fee beside m, and Lighter: the linear form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.instruments import AT_ENTRY, LEVERAGE_TIERS, Instrument
from liqscape.positions.ladder import Ladder, ladders

RATIO_BITS: Final = 32
MAX_BASE_ROW: Final = 1 << 28
"""Rows above this would let (2 row + 1) x multiplier pass 2^63 at the largest ratio, 3/2 (an inverse short at 3x);
prices are 3,000 base steps.
"""

_ANY_SIZE: Final = Fraction(1)
"""The amount of the first maintenance tier is 0 everywhere, so the size of a position in it does not matter."""


def maintenance_rate(
    instrument: Instrument, leverage: int | Fraction, maintenance_tier: int = 0, size: Fraction | None = None
) -> Fraction:
    """Return the maintenance margin rate of a position, fee left out.

    Args:
        instrument: the contract and its rules.
        leverage: chosen; it decides where the venue says so.
        maintenance_tier: index of the tier the position is in.
        size: of the position in Instrument.tier_unit, where the rate grows with it; None: a small one, as in the table.

    Raises:
        InvalidArgument: the venue's table does not reach to this leverage.
    """
    if instrument.adjustments:
        return _adjustment_factor(instrument, Fraction(leverage), size) / Fraction(leverage)
    of_tier = instrument.maintenance_tiers[maintenance_tier].maintenance_margin_rate
    return of_tier if size is None else of_tier + instrument.rate_per_unit * (size - 1)


def _adjustment_factor(instrument: Instrument, leverage: Fraction, size: Fraction | None) -> Fraction:
    for listed, steps in instrument.adjustments:
        if leverage <= listed:
            held = Fraction(0) if size is None else size
            return next(step.factor for step in reversed(steps) if step.floor <= held)
    highest = instrument.adjustments[-1][0]
    raise InvalidArgument(f"leverage {leverage} on {instrument.instrument_id} is not offered; use at most {highest}")


def liquidation_ratio(
    instrument: Instrument,
    leverage: int | Fraction,
    side: PositionSide,
    maintenance_tier: int = 0,
    size: Fraction = _ANY_SIZE,
    *,
    rate: Fraction | None = None,
) -> Fraction:
    """Return liquidation price / entry price.

    Args:
        instrument: the contract and its rules.
        leverage: position value over margin at entry.
        side: of the position.
        maintenance_tier: index of the tier the position is in.
        size: of the position, in the unit of the venue's table: what the maintenance amount is spread over.
        rate: maintenance rate; None: that of a small position of the tier.

    Raises:
        InvalidArgument: the venue's margin rules do not allow a position at this leverage.
    """
    tier = instrument.maintenance_tiers[maintenance_tier]
    spared = tier.maintenance_amount / size
    margin = 1 / Fraction(leverage) + spared
    of_tier = maintenance_rate(instrument, leverage, maintenance_tier) if rate is None else rate
    maintenance = of_tier + instrument.fee_rate
    if margin <= maintenance:
        raise InvalidArgument(
            f"leverage {leverage} on {instrument.instrument_id} leaves no margin:"
            f" 1/{leverage} must exceed {float(maintenance - spared)}"
        )
    toward = 1 if side is PositionSide.LONG else -1
    if instrument.margin_form == AT_ENTRY:
        return 1 - toward * (margin - maintenance)
    if instrument.is_inverse:
        return (1 + toward * maintenance) / (1 + toward * margin)
    return (1 - toward * margin) / (1 - toward * maintenance)


def bankruptcy_ratio(leverage: int | Fraction, side: PositionSide, *, inverse: bool = False) -> Fraction:
    """Return bankruptcy price / entry price: the price at which the initial margin is lost."""
    toward = 1 if side is PositionSide.LONG else -1
    margin = toward / Fraction(leverage)
    return 1 / (1 + margin) if inverse else 1 - margin


def row_multiplier(ratio: Fraction) -> int:
    """Return floor(2^32 x ratio), the integer the row map works with."""
    return (ratio.numerator << RATIO_BITS) // ratio.denominator


@dataclass(frozen=True, slots=True)
class RowMap:
    """Entry row -> liquidation row of one instrument, for both sides and its slots.

    A slot is one step of the ladder of one leverage tier, in this order: where positions are closed at once, a tier.

    Attributes:
        tier_indices: index into LEVERAGE_TIERS of each slot's tier, int64[slot].
        multipliers: floor(2^32 x liquidation / entry price), int64[side, slot].
    """

    tier_indices: NDArray[np.int64]
    multipliers: NDArray[np.int64]

    @classmethod
    def of(cls, instrument: Instrument, of_tiers: Sequence[Ladder] | None = None) -> RowMap:
        """Build the map of an instrument from its rules.

        Args:
            instrument: the contract and its rules.
            of_tiers: ladder of each leverage tier the venue allows; None: all positions in the first maintenance tier.
        """
        slots = [
            (leverage, step)
            for leverage, ladder in zip(instrument.leverage_tiers, of_tiers or ladders(instrument), strict=True)
            for step in ladder
        ]
        ratios = [
            [
                liquidation_ratio(instrument, leverage, side, step.maintenance_tier, step.size)
                for leverage, step in slots
            ]
            for side in PositionSide
        ]
        return cls._of_ratios([leverage for leverage, _ in slots], ratios)

    @classmethod
    def bankruptcy(cls, instrument: Instrument) -> RowMap:
        """Build the map of the rule 1/L: a position ends when its initial margin is lost. A slot is a tier."""
        tiers, inverse = instrument.leverage_tiers, instrument.is_inverse
        return cls._of_ratios(
            tiers, [[bankruptcy_ratio(leverage, side, inverse=inverse) for leverage in tiers] for side in PositionSide]
        )

    @classmethod
    def _of_ratios(cls, leverages: Sequence[int], ratios: Sequence[Sequence[Fraction]]) -> RowMap:
        return cls(
            tier_indices=np.array([LEVERAGE_TIERS.index(leverage) for leverage in leverages], np.int64),
            multipliers=np.array([[row_multiplier(ratio) for ratio in of_side] for of_side in ratios], np.int64),
        )

    def liquidation_rows(self, entry_rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64[side, slot, row]: ((2 entry row + 1) x multiplier) >> 33, entries taken at the row's middle."""
        doubled = 2 * entry_rows + 1
        return (doubled[None, None, :] * self.multipliers[:, :, None]) >> (RATIO_BITS + 1)
