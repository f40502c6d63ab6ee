"""What becomes of batches of cohorts where stated positions take part in a step. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import BookProfile, CohortBatch
from liqscape.positions.cohort_book import nothing
from liqscape.positions.inflow import Opening
from liqscape.positions.weights import group_of


def divided(batch: CohortBatch, first: NDArray[np.int64]) -> tuple[CohortBatch, CohortBatch]:
    """Divide a batch in its order: the first so many lots of each group, and the rest.

    Args:
        batch: lots.
        first: int64[group], at most what the batch has of each.
    """
    taken = np.zeros(len(batch), np.int64)
    groups = group_of(batch.key)
    for group in np.flatnonzero(first).tolist():
        of_group = np.flatnonzero(groups == group)
        lots = batch.lots[of_group]
        before = np.cumsum(lots) - lots
        taken[of_group] = np.clip(first[group] - before, 0, lots)
    return _with_lots(batch, taken), _with_lots(batch, batch.lots - taken)


def without(batch: CohortBatch, parts: Sequence[Opening]) -> CohortBatch:
    """Return what is left of cohorts opened when those of some parts are taken out: all of them are in it."""
    if not parts:
        return batch
    names = batch.row.astype(np.int64) << 16 | batch.key
    left, order = batch.lots.copy(), np.argsort(names)
    for part in parts:
        found = order[np.searchsorted(names, part.rows.astype(np.int64) << 16 | part.keys, sorter=order)]
        left[found] -= part.lots
    return _with_lots(batch, left)


def together(parts: Sequence[Opening]) -> Opening:
    """Return openings as one, ascending by (row, key). Those that agree in both have the same clock."""
    rows, keys = (np.concatenate(column) for column in zip(*((p.rows, p.keys) for p in parts), strict=True))
    lots, clocks = (np.concatenate(column) for column in zip(*((p.lots, p.clocks) for p in parts), strict=True))
    names, first, inverse = np.unique(rows.astype(np.int64) << 16 | keys, return_index=True, return_inverse=True)
    total = np.zeros(len(names), np.int64)
    np.add.at(total, inverse, lots)
    return Opening(rows[first], keys[first], total, clocks[first])


def cohorts_of(minute: int, parts: Sequence[Opening]) -> CohortBatch:
    """Return openings of a minute as cohorts."""
    if not parts:
        return nothing()
    part = together(parts)
    return CohortBatch(np.full(len(part.rows), minute, np.int32), part.rows, part.keys, part.lots)


def profile_with(profile: BookProfile, stated: CohortBatch) -> BookProfile:
    """Return a profile that also holds stated cohorts. Their keys are their own."""
    names, inverse = np.unique(stated.row.astype(np.int64) << 16 | stated.key, return_inverse=True)
    total = np.zeros(len(names), np.int64)
    np.add.at(total, inverse, stated.lots)
    key = np.concatenate((profile.key, (names & 0xFFFF).astype(np.uint16)))
    row = np.concatenate((profile.row, (names >> 16).astype(np.int32)))
    order = np.lexsort((row, key))
    return BookProfile(key[order], row[order], np.concatenate((profile.lots, total))[order])


def _with_lots(batch: CohortBatch, lots: NDArray[np.int64]) -> CohortBatch:
    some = lots > 0
    return CohortBatch(batch.open_minute[some], batch.row[some], batch.key[some], lots[some])
