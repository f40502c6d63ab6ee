"""Keys and their groups."""

from __future__ import annotations

import numpy as np

from liqscape.axes import WEIGHT_ONE
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.weights import (
    MAX_INSTRUMENTS,
    STATED_TIER_INDEX,
    default_weights,
    group_of,
    leverages_of,
    make_key,
)


def test_keys_are_distinct_and_fit_16_bits() -> None:
    keys = [
        make_key(number, tier, side)
        for number in (0, 1, MAX_INSTRUMENTS - 1)
        for tier in range(len(LEVERAGE_TIERS))
        for side in PositionSide
    ]

    assert len(set(keys)) == len(keys)
    assert min(keys) >= 0
    assert max(keys) < 1 << 16


def test_group_of_a_key_is_its_instrument_and_side() -> None:
    keys = np.array(
        [make_key(n, t, s) for n in (0, 3, MAX_INSTRUMENTS - 1) for t in (0, 8) for s in PositionSide], np.uint16
    )

    groups = group_of(keys)

    last = 2 * (MAX_INSTRUMENTS - 1)
    assert groups.tolist() == [0, 1, 0, 1, 6, 7, 6, 7, last, last + 1, last, last + 1]


def test_stated_positions_have_a_tier_of_their_own_and_no_leverage() -> None:
    keys = np.array([make_key(3, 0, PositionSide.LONG), make_key(3, 8, PositionSide.SHORT)], np.uint16)
    stated = np.array([make_key(3, STATED_TIER_INDEX, side) for side in PositionSide], np.uint16)

    assert leverages_of(keys).tolist() == [3, 125]
    assert leverages_of(stated).tolist() == [0, 0]
    assert group_of(stated).tolist() == [6, 7]
    assert len(LEVERAGE_TIERS) <= STATED_TIER_INDEX


def test_default_view_counts_every_key_in_full() -> None:
    weights = default_weights(2)

    assert weights.dtype == np.uint16
    assert (weights == WEIGHT_ONE).all()
    assert len(weights) > make_key(1, len(LEVERAGE_TIERS) - 1, PositionSide.SHORT)
