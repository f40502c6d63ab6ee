"""Archived events as columns of a ledger: what a key was before it was names."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from liqscape.archive.event_columns import SIDES, KeyReader, key_parts
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.journal.store import StoreDamaged
from liqscape.positions.weights import STATED_TIER_INDEX, make_key

NAMES = ("a:X", "b:Y")


def piece_of(keys: NDArray[np.uint16], tiers: NDArray[np.int16] | None = None) -> dict[str, object]:
    """Return a piece of a table of events with these keys."""
    numbers, leverages, sides = key_parts(keys)
    whole = {name: pa.array([7] * len(keys), pa.int32()) for name in ("minute", "open_minute", "row")}
    return {
        **whole,
        "base_step": pa.array([10] * len(keys), pa.int64()),
        "lots": pa.array([5] * len(keys), pa.int64()),
        "instrument": pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(NAMES)),
        "side": pa.DictionaryArray.from_arrays(pa.array(sides), pa.array(SIDES)),
        "tier": pa.array(leverages if tiers is None else tiers, pa.int16()),
    }


def test_every_key_is_itself_again_stated_ones_included() -> None:
    tiers = (*range(len(LEVERAGE_TIERS)), STATED_TIER_INDEX)
    keys = np.array([make_key(n, t, s) for n in (0, 1) for t in tiers for s in PositionSide], np.uint16)

    assert KeyReader(NAMES).events(piece_of(keys), 10).key.tolist() == keys.tolist()
    assert key_parts(keys)[1].tolist()[-2:] == [0, 0]


@pytest.mark.parametrize("tier", [1, -1, 126])
def test_tier_that_is_none_is_damage(tier: int) -> None:
    keys = np.array([make_key(0, 0, PositionSide.LONG)], np.uint16)

    with pytest.raises(StoreDamaged, match="leverage tier"):
        KeyReader(NAMES).events(piece_of(keys, np.array([tier], np.int16)), 10)
