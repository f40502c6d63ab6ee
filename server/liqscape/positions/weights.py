"""Keys and weights: which cohorts a query counts, and how much.

A key packs (instrument, tier, side) into 16 bits: instrument number << 5 | tier index << 1 | side. A query is a
lookup table of 16-bit multipliers by key: WEIGHT_ONE everywhere is the book itself, 0 or WEIGHT_ONE a filter.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS

KEY_INSTRUMENT_SHIFT: Final = 5
KEY_TIER_SHIFT: Final = 1
KEY_TIER_SIDE_MASK: Final = 31
MAX_INSTRUMENTS: Final = 1 << (16 - KEY_INSTRUMENT_SHIFT)

STATED_TIER_INDEX: Final = 15
"""Of positions that a venue itself states, row and lots: beside the leverage tiers of the model, which are nine."""

STATED_LEVERAGE: Final = 0
"""Where keys are told as leverages: that of stated positions, to which no tier was assumed."""


def make_key(instrument_number: int, tier_index: int, side: PositionSide) -> int:
    """Return the key of (instrument, tier, side)."""
    return instrument_number << KEY_INSTRUMENT_SHIFT | tier_index << KEY_TIER_SHIFT | int(side)


def leverages_of(keys: NDArray[np.uint16]) -> NDArray[np.int16]:
    """Return the leverage of the tier of each key, STATED_LEVERAGE of stated positions; int16[n]."""
    of_tier = np.full(KEY_TIER_SIDE_MASK + 1 >> KEY_TIER_SHIFT, STATED_LEVERAGE, np.int16)
    of_tier[: len(LEVERAGE_TIERS)] = LEVERAGE_TIERS
    found: NDArray[np.int16] = of_tier[(keys & KEY_TIER_SIDE_MASK) >> KEY_TIER_SHIFT]
    return found


def group_of(keys: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return instrument number x 2 + side of each key: the unit that sweeps, closes and reconciles; int64[n]."""
    wide = keys.astype(np.int64)
    return (wide >> KEY_INSTRUMENT_SHIFT) * 2 + (wide & 1)


def no_weights(instruments: int) -> NDArray[np.uint16]:
    """Return the table that counts nothing: uint16[instruments * 32]."""
    return np.zeros(instruments << KEY_INSTRUMENT_SHIFT, np.uint16)


def default_weights(instruments: int) -> NDArray[np.uint16]:
    """Return the table that counts every cohort in full: uint16[instruments * 32]."""
    return np.full(instruments << KEY_INSTRUMENT_SHIFT, WEIGHT_ONE, np.uint16)
