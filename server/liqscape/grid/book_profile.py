"""A book of cohorts summed by what every question about its live state asks for: key and liquidation row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import CohortBatch

_PROFILE_CELLS: Final = 1 << 23
"""64 MB: 400 keys over 20,000 base rows are done in one go."""

_PROFILE_SLICE: Final = 1 << 18
"""Cohorts added in one call, a few milliseconds: other threads want the interpreter in between."""


@dataclass(frozen=True, slots=True)
class BookProfile:
    """Open lots by key and base row, ascending by both and unique by them: uint16[n], int32[n], int64[n] > 0.

    A book of millions of cohorts has some hundred thousand of these, and every map can be made of them.
    """

    key: NDArray[np.uint16]
    row: NDArray[np.int32]
    lots: NDArray[np.int64]


def profile_of(cohorts: CohortBatch) -> BookProfile:
    """Sum cohorts by key and row. Those without a lot (less than one of an inverse instrument) are left out."""
    if not len(cohorts):
        return BookProfile(np.empty(0, np.uint16), np.empty(0, np.int32), np.empty(0, np.int64))
    low = int(cohorts.row.min())
    span = int(cohorts.row.max()) - low + 1
    keys = np.flatnonzero(np.bincount(cohorts.key))
    parts = []
    for first in range(0, len(keys), max(1, _PROFILE_CELLS // span)):
        block = keys[first : first + max(1, _PROFILE_CELLS // span)]
        total = _dense_profile(cohorts, block, low, span)
        filled = np.flatnonzero(total)
        rank, row = np.divmod(filled, span)
        parts.append((block[rank].astype(np.uint16), (row + low).astype(np.int32), total[filled]))
    key, row, lots = (np.concatenate(column) for column in zip(*parts, strict=True))
    return BookProfile(key, row, lots)


def _dense_profile(cohorts: CohortBatch, keys: NDArray[np.int64], low: int, span: int) -> NDArray[np.int64]:
    """Return lots of some keys, ascending, on every row from low on: int64[key * span]."""
    total = np.zeros(len(keys) * span, np.int64)
    start, counts = np.zeros(1 << 16, np.int64), np.zeros(1 << 16, np.bool_)
    start[keys] = np.arange(len(keys), dtype=np.int64) * span - low
    counts[keys] = True
    for begin in range(0, len(cohorts), _PROFILE_SLICE):
        part = slice(begin, begin + _PROFILE_SLICE)
        key, row, lots = cohorts.key[part], cohorts.row[part], cohorts.lots[part]
        chosen = counts[key]
        if not chosen.all():
            key, row, lots = key[chosen], row[chosen], lots[chosen]
        np.add.at(total, start[key] + row, lots)
    return total
