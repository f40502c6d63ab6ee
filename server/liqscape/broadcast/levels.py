"""What a level stands for: the constant logarithmic scale of one byte a cell, decoded.

Levels are made from USD on the device (one byte a cell leaves it); here is the way back, and the same formula in plain
integers for whoever has to check it. Eight steps an octave, so a level is off by at most 5.9 % from 512 USD up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.errors import InvalidArgument

LEVELS: Final = 256
STEP_BITS: Final = 6
"""The finest step is 2^6 = 64 USD: below one order of a small trader nothing is told apart."""

MAX_LEVEL: Final = LEVELS - 1


def level_of_usd(usd: int) -> int:
    """Return the level of a whole, non-negative amount of USD."""
    if usd < 0:
        raise InvalidArgument(f"usd is {usd}; a level stands for zero or more")
    steps = usd >> STEP_BITS
    if steps < 8:
        return steps
    top_bit = steps.bit_length() - 1
    return min(MAX_LEVEL, ((top_bit - 2) << 3) + ((steps >> (top_bit - 3)) & 7))


def lower_bound_usd(level: int) -> int:
    """Return the smallest amount of USD that has this level."""
    if level < 8:
        return level << STEP_BITS
    return (8 + (level & 7)) << ((level >> 3) - 1 + STEP_BITS)


def _values() -> NDArray[np.float64]:
    values = np.zeros(LEVELS, dtype=np.float64)
    for level in range(1, MAX_LEVEL):
        low, high = lower_bound_usd(level), lower_bound_usd(level + 1)
        values[level] = 2 * low * high / (low + high)
    values[MAX_LEVEL] = lower_bound_usd(MAX_LEVEL)  # open above: its lower bound is all that is known
    return values


LEVEL_LOWER_BOUNDS_USD: Final[NDArray[np.int64]] = np.array([lower_bound_usd(n) for n in range(LEVELS)], dtype=np.int64)
"""int64[256], USD, inclusive; the exclusive upper bound of a level is the lower bound of the next."""

LEVEL_VALUES_USD: Final[NDArray[np.float64]] = _values()
"""float64[256], USD: the harmonic mean of a level's bounds, which halves the largest relative error."""

LEVEL_LOWER_BOUNDS_USD.flags.writeable = False
LEVEL_VALUES_USD.flags.writeable = False
