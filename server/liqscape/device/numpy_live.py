"""The table of open cohorts on the host.

Scanning every cohort in every bar would cost milliseconds. Instead the table keeps a *near set*: the cohorts whose
row is within reach of the trigger price or whose clock is within reach of the hazard. When a sweep or a close reaches
further, the near set is rebuilt wider first; so it decides how long an operation takes and never what it returns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import NO_TRIGGER, CohortBatch, EndedCohorts
from liqscape.errors import ModelError

_FIRST_CAPACITY = 1 << 12
_MIN_ROW_MARGIN, _MAX_ROW_MARGIN = 24, 1024
"""Base rows (0.02 % to 0.03 % of the price each) the near set reaches beyond the trigger price: from some hours of calm
market to a crash. The margin in force doubles when sweeps exhaust it often and halves when they do so rarely."""
_OFTEN, _RARE = 16, 128
"""Sweeps between two exhaustions below and above which the margin changes."""
_NEAR_SHARE = 16
"""A rebuilt near set holds the lowest 1 / _NEAR_SHARE of a group's clocks; a rebuild scans all of them."""
_MIN_NEAR = 1024
_MIN_COMPACT = 1 << 14
_FAR = np.iinfo(np.int64).max


class NumpyLiveTable:
    """See device.backend.LiveTable.

    Args:
        groups: instrument numbers x 2.
        exhaustive: scan every cohort in every operation; the definition the near set is tested against.
    """

    def __init__(self, groups: int, *, exhaustive: bool = False) -> None:
        self._exhaustive = exhaustive
        self._count = 0
        self._live = 0
        self._open_minute = np.empty(_FIRST_CAPACITY, np.int32)
        self._row = np.empty(_FIRST_CAPACITY, np.int32)
        self._key = np.empty(_FIRST_CAPACITY, np.uint16)
        self._lots = np.empty(_FIRST_CAPACITY, np.int64)
        self._clock = np.empty(_FIRST_CAPACITY, np.int64)
        self._hazard = np.zeros(groups, np.int64)
        self._sign = np.where(np.arange(groups) % 2 == 0, 1, -1)  # a signed row grows toward the trigger price
        self._row_reach = np.full(groups, -_FAR if exhaustive else _FAR)
        self._clock_reach = np.full(groups, _FAR if exhaustive else -1)
        self._clock_step = np.full(groups, 1 << 12, np.int64)
        self._target = np.full(groups, _FAR)  # signed trigger row of the last sweep
        self._row_margin = _MIN_ROW_MARGIN
        self._sweeps = 0  # since the margin was last exhausted
        self._near = _Near.empty()
        self._near_limit = 4 * _MIN_NEAR

    def __len__(self) -> int:
        return self._live

    def append(
        self,
        open_minute: int,
        rows: NDArray[np.int32],
        keys: NDArray[np.uint16],
        lots: NDArray[np.int64],
        clocks: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        fresh, held = self._join(open_minute, rows, keys, lots)
        rows, keys, lots, clocks = rows[fresh], keys[fresh], lots[fresh], clocks[fresh]
        begin, end = self._count, self._count + len(rows)
        self._reserve(end)
        self._open_minute[begin:end] = open_minute
        self._row[begin:end] = rows
        self._key[begin:end] = keys
        self._lots[begin:end] = lots
        self._clock[begin:end] = clocks
        self._count = end
        self._live += len(rows)
        self._near = self._near.joined(self._select_near(begin, end))
        if len(self._near.index) > self._near_limit and not self._exhaustive:
            self._rebuild(self._hazard)
        return held

    def sweep(self, trigger_rows: NDArray[np.int64]) -> EndedCohorts:
        active = trigger_rows != NO_TRIGGER
        target = np.where(active, trigger_rows * self._sign, _FAR)
        self._target = np.where(active, target, self._target)
        self._sweeps += 1
        if (target < self._row_reach).any():
            self._adapt_margin()
            self._rebuild(self._hazard)
        near = self._near
        hit = near.signed_row >= target[near.group]
        index = near.index[hit]
        index = index[self._lots[index] > 0]
        return self._end(index, self._lots[index])

    def close(self, lots: NDArray[np.int64]) -> tuple[EndedCohorts, NDArray[np.int64]]:
        wanted = lots > 0
        if not wanted.any():
            return self._end(np.empty(0, np.int64), np.empty(0, np.int64)), self._hazard.copy()
        index, group, clock = self._clock_candidates(lots)
        order = np.lexsort((clock, group))  # stable, so equal clocks stay in append order
        index, group, clock = index[order], group[order], clock[order]
        held = self._lots[index]
        before = np.cumsum(held) - held
        first = np.searchsorted(group, np.arange(len(lots)))
        start = np.where(first < len(before), before[np.minimum(first, max(len(before) - 1, 0))], 0)
        taken = np.clip(lots[group] - (before - start[group]), 0, held)
        closed = taken > 0
        index, group, clock, taken = index[closed], group[closed], clock[closed], taken[closed]
        last = np.searchsorted(group, np.arange(len(lots)), side="right") - 1
        reached = clock[np.maximum(last, 0)]
        step = np.where(wanted, np.maximum(2 * (reached - self._hazard), 256), self._clock_step)
        self._clock_step = np.minimum(step, 1 << 40)
        self._hazard = np.where(wanted, reached, self._hazard)
        in_append_order = np.argsort(index, kind="stable")
        return self._end(index[in_append_order], taken[in_append_order]), self._hazard.copy()

    def lots_by_group(self) -> NDArray[np.int64]:
        total = np.zeros(len(self._hazard), np.int64)
        np.add.at(total, self._group(slice(0, self._count)), self._lots[: self._count])
        return total

    def cohorts(self) -> tuple[CohortBatch, NDArray[np.int64]]:
        index = np.flatnonzero(self._lots[: self._count] > 0)
        batch = CohortBatch(self._open_minute[index], self._row[index], self._key[index], self._lots[index])
        return batch, self._clock[index]

    def _join(
        self, open_minute: int, rows: NDArray[np.int32], keys: NDArray[np.uint16], lots: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Add lots to open cohorts of the same minute, row and key.

        Returns:
            bool[n], which entries found none, and int64[n], what each cohort holds now.
        """
        fresh = np.ones(len(rows), np.bool_)
        # Cohorts are appended in time order, so those of this minute are the tail of the table.
        begin = int(np.searchsorted(self._open_minute[: self._count], open_minute))
        if begin == self._count:
            return fresh, lots
        tail = np.flatnonzero(self._lots[begin : self._count] > 0) + begin
        codes = _code(self._row[tail], self._key[tail])
        order = np.argsort(codes)
        codes, tail = codes[order], tail[order]
        wanted = _code(rows, keys)
        position = np.minimum(np.searchsorted(codes, wanted), max(len(codes) - 1, 0))
        found = (codes[position] == wanted) if len(codes) else np.zeros(len(rows), np.bool_)
        joined = tail[position[found]]
        self._lots[joined] += lots[found]
        held = lots.copy()
        held[found] = self._lots[joined]
        return ~found, held

    def _clock_candidates(
        self, lots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return index, group, clock of the cohorts with the lowest clocks: enough to cover lots in every group."""
        wanted = lots > 0
        if self._exhaustive:
            self._clock_step[:] = _FAR // 2
        while True:
            limit = np.where(wanted, self._hazard + self._clock_step, -1)
            if (limit > self._clock_reach).any():
                self._rebuild(np.where(wanted, limit + self._clock_step, 0))
            near = self._near
            chosen = np.flatnonzero(near.clock <= limit[near.group])
            index = near.index[chosen]
            alive = self._lots[index] > 0
            chosen, index = chosen[alive], index[alive]
            group = near.group[chosen]
            covered = np.zeros(len(lots), np.int64)
            np.add.at(covered, group, self._lots[index])
            lacking = covered < lots
            if not lacking.any():
                return index, group, near.clock[chosen]
            if (self._clock_step[lacking] >= _FAR // 4).any():
                raise ModelError(f"asked to close {lots.tolist()} lots by group, of which {covered.tolist()} are open")
            self._clock_step = np.where(lacking, self._clock_step * 4, self._clock_step)

    def _adapt_margin(self) -> None:
        if self._sweeps < _OFTEN:
            self._row_margin = min(2 * self._row_margin, _MAX_ROW_MARGIN)
        elif self._sweeps > _RARE:
            self._row_margin = max(self._row_margin // 2, _MIN_ROW_MARGIN)
        self._sweeps = 0

    def _rebuild(self, clock_at_least: NDArray[np.int64]) -> None:
        """Choose the near set anew: a margin beyond the trigger price, and the lowest clocks of each group.

        Args:
            clock_at_least: int64[group], the reach an operation needs now.
        """
        if self._live < self._count // 2 and self._count > _MIN_COMPACT:
            self._compact()
        index = np.flatnonzero(self._lots[: self._count] > 0)
        group, clock = self._group(index), self._clock[index]
        for number in range(len(self._hazard)):  # a rebuild is rare; everything else is batched over groups
            clocks = clock[group == number]
            rank = min(max(len(clocks) // _NEAR_SHARE, _MIN_NEAR), len(clocks)) - 1
            share = int(np.partition(clocks, rank)[rank]) if rank >= 0 else 0
            self._clock_reach[number] = max(int(clock_at_least[number]), share)
        self._row_reach = np.where(self._target == _FAR, _FAR, self._target - self._row_margin)
        self._near = self._select_near(0, self._count)
        self._near_limit = max(2 * len(self._near.index), 4 * _MIN_NEAR)

    def _select_near(self, begin: int, end: int) -> _Near:
        group = self._group(slice(begin, end))
        signed_row = self._row[begin:end].astype(np.int64) * self._sign[group]
        clock = self._clock[begin:end]
        near = (signed_row >= self._row_reach[group]) | (clock <= self._clock_reach[group])
        near &= self._lots[begin:end] > 0
        index = np.flatnonzero(near)
        return _Near(index + begin, group[index], signed_row[index], clock[index])

    def _end(self, index: NDArray[np.int64], lots: NDArray[np.int64]) -> EndedCohorts:
        left = self._lots[index] - lots
        self._lots[index] = left
        self._live -= int((left == 0).sum())
        return EndedCohorts(self._open_minute[index], self._row[index], self._key[index], lots, left)

    def _group(self, where: slice | NDArray[np.int64]) -> NDArray[np.int64]:
        key = self._key[where].astype(np.int64)
        return (key >> 5) * 2 + (key & 1)

    def _compact(self) -> None:
        """Drop ended cohorts; the order, and so the append number, is kept."""
        index = np.flatnonzero(self._lots[: self._count] > 0)
        for name in ("_open_minute", "_row", "_key", "_lots", "_clock"):
            column = getattr(self, name)
            column[: len(index)] = column[index]
        self._count = len(index)

    def _reserve(self, count: int) -> None:
        if count <= len(self._row):
            return
        for name in ("_open_minute", "_row", "_key", "_lots", "_clock"):
            old = getattr(self, name)
            new = np.empty(max(count, 2 * len(old)), old.dtype)
            new[: self._count] = old[: self._count]
            setattr(self, name, new)


class _Near:
    """Candidates: position in the table (ascending), and copies of what an operation compares, all int64[n]."""

    __slots__ = ("clock", "group", "index", "signed_row")

    def __init__(
        self,
        index: NDArray[np.int64],
        group: NDArray[np.int64],
        signed_row: NDArray[np.int64],
        clock: NDArray[np.int64],
    ) -> None:
        self.index = index
        self.group = group
        self.signed_row = signed_row
        self.clock = clock

    @classmethod
    def empty(cls) -> _Near:
        none = np.empty(0, np.int64)
        return cls(none, none, none, none)

    def joined(self, other: _Near) -> _Near:
        """Return both; other's cohorts were appended later."""
        return _Near(
            np.concatenate((self.index, other.index)),
            np.concatenate((self.group, other.group)),
            np.concatenate((self.signed_row, other.signed_row)),
            np.concatenate((self.clock, other.clock)),
        )


def _code(rows: NDArray[np.int32], keys: NDArray[np.uint16]) -> NDArray[np.int64]:
    return rows.astype(np.int64) << 16 | keys
