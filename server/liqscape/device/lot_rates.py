"""Quantities of cohorts, in the unit of their instrument, as lots: the definition, on host arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import LotRates

_KEY_INSTRUMENT_SHIFT: Final = 5
"""A key is instrument number << 5 | tier << 1 | side."""


def lots_of(
    rates: LotRates, quantity: NDArray[np.int64], row: NDArray[np.int32], key: NDArray[np.uint16]
) -> NDArray[np.int64]:
    """Return the lots of each quantity, int64[n], by the row its cohort is liquidated in; see LotRates."""
    if not rates.is_inverse.any():
        return quantity
    number = key >> _KEY_INSTRUMENT_SHIFT
    inverse = np.flatnonzero(rates.is_inverse[number])
    number, contracts = number[inverse], quantity[inverse]
    divisor = (2 * row[inverse].astype(np.int64) + 1) * rates.denominator[number]
    numerator = rates.numerator[number]
    # n x numerator may pass 2^63; with n = whole x divisor + rest neither part does.
    whole, rest = np.divmod(contracts, divisor)
    lots = quantity.copy()
    lots[inverse] = whole * numerator + rest * numerator // divisor
    return lots
