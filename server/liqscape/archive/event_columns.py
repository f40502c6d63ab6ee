"""Archived events as columns of a ledger: keys from names, rows on the base step wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import LedgerColumns
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.journal.store import StoreDamaged
from liqscape.positions.weights import (
    KEY_INSTRUMENT_SHIFT,
    KEY_TIER_SHIFT,
    STATED_LEVERAGE,
    STATED_TIER_INDEX,
    leverages_of,
)

SIDES: Final = ("long", "short")
"""By PositionSide."""

EVENT_COLUMNS: Final = ("minute", "open_minute", "row", "base_step", "instrument", "tier", "side", "lots")

_UNKNOWN: Final = -1


class KeyReader:
    """Names -> keys.

    Args:
        instruments: ids of those of the symbol, in the order in which keys number them.
    """

    def __init__(self, instruments: Sequence[str]) -> None:
        self._number = {name: number for number, name in enumerate(instruments)}
        self._tier = np.full(max(LEVERAGE_TIERS) + 1, _UNKNOWN, np.int64)
        self._tier[list(LEVERAGE_TIERS)] = np.arange(len(LEVERAGE_TIERS))
        self._tier[STATED_LEVERAGE] = STATED_TIER_INDEX

    def events(self, piece: Mapping[str, Any], base_step: int) -> LedgerColumns:
        """Return archived events on rows of a base step, a multiple of their own.

        Raises:
            StoreDamaged: they name what is not known here.
        """
        instrument = _places(piece["instrument"], self._number)
        side = _places(piece["side"], {name: number for number, name in enumerate(SIDES)})
        tiers = piece["tier"].to_numpy(zero_copy_only=False)
        if len(tiers) and not 0 <= tiers.min() <= tiers.max() < len(self._tier):
            raise StoreDamaged("a leverage tier is unknown")
        tier = self._tier[tiers]
        if min(instrument.min(initial=0), side.min(initial=0), tier.min(initial=0)) == _UNKNOWN:
            raise StoreDamaged("an instrument, a leverage tier or a side is unknown")
        steps = piece["base_step"].to_numpy(zero_copy_only=False)
        row = piece["row"].to_numpy(zero_copy_only=False)
        if len(steps) and (steps != base_step).any():
            if (base_step % steps).any():
                raise StoreDamaged(f"base step {steps.max()} does not divide {base_step}")
            row = (row // (base_step // steps)).astype(np.int32)
        return LedgerColumns(
            minute=piece["minute"].to_numpy(zero_copy_only=False),
            open_minute=piece["open_minute"].to_numpy(zero_copy_only=False),
            row=row,
            key=(instrument << KEY_INSTRUMENT_SHIFT | tier << KEY_TIER_SHIFT | side).astype(np.uint16),
            lots=piece["lots"].to_numpy(zero_copy_only=False),
            cause=np.zeros(len(row), np.uint8),
        )


def key_parts(
    keys: NDArray[np.uint16],
) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """Return instrument number, leverage and side of keys; leverage 0 of stated positions."""
    return (
        (keys >> KEY_INSTRUMENT_SHIFT).astype(np.int16),
        leverages_of(keys),
        (keys & 1).astype(np.int16),
    )


def _places(column: Any, places: Mapping[str, int]) -> NDArray[np.int64]:
    """Return for each text of a column the number it stands for."""
    table = np.array([places.get(text, _UNKNOWN) for text in column.dictionary.to_pylist()] or [_UNKNOWN], np.int64)
    found: NDArray[np.int64] = table[column.indices.to_numpy(zero_copy_only=False)]
    return found
