"""Liquidation and bankruptcy prices from the venue's rules, as exact ratios and as integer row maps.

Source for Binance USD-M: isolated position, maintenance tier 1, no added margin; a long is liquidated where E(1 -
1/L) = P(1 - m), a short where E(1 + 1/L) = P(1 + m), on the mark price. Real prints agree: order (bankruptcy) and
fill prices of Binance liquidations lie a median 0.39 % apart, the lowest maintenance rate of the pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument

RATIO_BITS: Final = 32
MAX_BASE_ROW: Final = 1 << 28
"""Rows above this would let (2 row + 1) x multiplier pass 2^63 at the largest ratio of 4/3; prices are 3,000 base
steps.
"""


def liquidation_ratio(instrument: Instrument, leverage: int, side: PositionSide) -> Fraction:
    """Return liquidation price / entry price.

    Raises:
        InvalidArgument: the venue's margin rules do not allow a position at this leverage, or the contract is not
            linear.
    """
    if instrument.contract != "linear":
        raise InvalidArgument(
            f"contract {instrument.contract!r} of {instrument.instrument_id} is not modelled; use linear"
        )
    initial = Fraction(1, leverage)
    maintenance = instrument.maintenance_margin_rate + instrument.fee_rate
    if initial <= maintenance:
        raise InvalidArgument(
            f"leverage {leverage} on {instrument.instrument_id} leaves no margin:"
            f" 1/{leverage} must exceed {float(maintenance)}"
        )
    if side is PositionSide.LONG:
        return (1 - initial) / (1 - maintenance)
    return (1 + initial) / (1 + maintenance)


def bankruptcy_ratio(leverage: int, side: PositionSide) -> Fraction:
    """Return bankruptcy price / entry price of a linear contract: the price at which the initial margin is lost."""
    return 1 - Fraction(1, leverage) if side is PositionSide.LONG else 1 + Fraction(1, leverage)


def row_multiplier(ratio: Fraction) -> int:
    """Return floor(2^32 x ratio), the integer the row map works with."""
    return (ratio.numerator << RATIO_BITS) // ratio.denominator


@dataclass(frozen=True, slots=True)
class RowMap:
    """Entry row -> liquidation row of one instrument, for its tiers and both sides.

    Attributes:
        tier_indices: indices into LEVERAGE_TIERS of the tiers that are opened, int64[tier].
        multipliers: floor(2^32 x liquidation / entry price), int64[side, tier].
    """

    tier_indices: NDArray[np.int64]
    multipliers: NDArray[np.int64]

    @classmethod
    def of(cls, instrument: Instrument) -> RowMap:
        """Build the map of an instrument from its rules."""
        tiers = instrument.leverage_tiers
        return cls(
            tier_indices=np.array([LEVERAGE_TIERS.index(leverage) for leverage in tiers], np.int64),
            multipliers=np.array(
                [[row_multiplier(liquidation_ratio(instrument, x, side)) for x in tiers] for side in PositionSide],
                np.int64,
            ),
        )

    def liquidation_rows(self, entry_rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64[side, tier, row]: ((2 entry row + 1) x multiplier) >> 33, entries taken at the row's middle."""
        doubled = 2 * entry_rows + 1
        return (doubled[None, None, :] * self.multipliers[:, :, None]) >> (RATIO_BITS + 1)
