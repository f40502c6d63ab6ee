"""Cohorts summed on the host by what every question about a live book asks for: key and liquidation row."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import BookProfile

_PROFILE_CELLS: Final = 1 << 23
"""64 MB: 400 keys over 20,000 base rows are done in one go."""

_PROFILE_SLICE: Final = 1 << 18
"""Cohorts added in one call, a few milliseconds: other threads want the interpreter in between."""


def profile_of(key: NDArray[np.uint16], row: NDArray[np.int32], lots: NDArray[np.int64]) -> BookProfile:
    """Sum the lots of cohorts, uint16[n], int32[n], int64[n], by key and row; those without any are left out."""
    if not len(lots):
        return BookProfile(np.empty(0, np.uint16), np.empty(0, np.int32), np.empty(0, np.int64))
    low = int(row.min())
    span = int(row.max()) - low + 1
    keys = np.flatnonzero(np.bincount(key))
    parts = []
    for first in range(0, len(keys), max(1, _PROFILE_CELLS // span)):
        block = keys[first : first + max(1, _PROFILE_CELLS // span)]
        total = _dense_profile(block, low, span, key, row, lots)
        filled = np.flatnonzero(total)
        rank, above = np.divmod(filled, span)
        parts.append((block[rank].astype(np.uint16), (above + low).astype(np.int32), total[filled]))
    keys_found, rows_found, lots_found = (np.concatenate(column) for column in zip(*parts, strict=True))
    return BookProfile(keys_found, rows_found, lots_found)


def _dense_profile(
    keys: NDArray[np.int64],
    low: int,
    span: int,
    key: NDArray[np.uint16],
    row: NDArray[np.int32],
    lots: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return lots of some keys, ascending, on every row from low on: int64[key * span]."""
    total = np.zeros(len(keys) * span, np.int64)
    start, counts = np.zeros(1 << 16, np.int64), np.zeros(1 << 16, np.bool_)
    start[keys] = np.arange(len(keys), dtype=np.int64) * span - low
    counts[keys] = True
    for begin in range(0, len(lots), _PROFILE_SLICE):
        part = slice(begin, begin + _PROFILE_SLICE)
        of_part, rows, added = key[part], row[part], lots[part]
        chosen = counts[of_part]
        if not chosen.all():
            of_part, rows, added = of_part[chosen], rows[chosen], added[chosen]
        np.add.at(total, start[of_part] + rows, added)
    return total
