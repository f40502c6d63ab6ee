"""The columns of the table of open cohorts on the host, in append order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import EndedCohorts

_COLUMNS = ("open_minute", "row", "key", "group", "lots", "clock")
_FIRST_CAPACITY = 1 << 12
_MIN_COMPACT = 1 << 14
"""Below so many places, ended cohorts are not worth dropping."""


class CohortColumns:
    """Cohorts at places 0..count - 1, ended ones (no lots) among them until they are dropped.

    Attributes:
        open_minute: int32, ascending.
        row: int32.
        key: uint16.
        group: uint16, instrument number x 2 + side of the key.
        lots: int64, 0 where ended.
        clock: int64.
        count: places in use; the arrays are longer.
        live: cohorts with lots.
    """

    __slots__ = (*_COLUMNS, "_is_captured", "count", "live")

    def __init__(self) -> None:
        self.open_minute = np.empty(_FIRST_CAPACITY, np.int32)
        self.row = np.empty(_FIRST_CAPACITY, np.int32)
        self.key = np.empty(_FIRST_CAPACITY, np.uint16)
        self.group = np.empty(_FIRST_CAPACITY, np.uint16)
        self.lots = np.empty(_FIRST_CAPACITY, np.int64)
        self.clock = np.empty(_FIRST_CAPACITY, np.int64)
        self.count = 0
        self.live = 0
        self._is_captured = False

    def capture(self) -> CohortColumns:
        """Return these columns as they are now, to be read only, by any thread.

        Of a cohort nothing but its lots changes while it stays in its place, so only they are copied: of millions, that
        is what a tick has time for. The other arrays are shared, and replaced where places would be used again.
        """
        self._is_captured = True
        captured = CohortColumns.__new__(CohortColumns)
        for name in _COLUMNS:
            setattr(captured, name, getattr(self, name)[: self.count])
        captured.lots = captured.lots.copy()
        captured.count, captured.live, captured._is_captured = self.count, self.live, True
        return captured

    def append(
        self,
        open_minute: int | NDArray[np.int32],
        rows: NDArray[np.int32],
        keys: NDArray[np.uint16],
        lots: NDArray[np.int64],
        clocks: NDArray[np.int64],
    ) -> slice:
        """Add cohorts with lots at the end, of one minute or of many; return their places."""
        places = slice(self.count, self.count + len(rows))
        self._reserve(places.stop)
        self.open_minute[places] = open_minute
        self.row[places] = rows
        self.key[places] = keys
        self.group[places] = (keys >> 5) * 2 + (keys & 1)
        self.lots[places] = lots
        self.clock[places] = clocks
        self.count = places.stop
        self.live += len(rows)
        return places

    def since(self, open_minute: int) -> NDArray[np.int64]:
        """Return the places of the live cohorts opened in this minute or later."""
        # A number of the column's own type: searchsorted would convert the whole column to that of a Python integer.
        begin = int(np.searchsorted(self.open_minute[: self.count], np.int32(open_minute)))
        return np.flatnonzero(self.lots[begin : self.count] > 0) + begin

    def alive(self) -> NDArray[np.int64]:
        """Return the places of the live cohorts."""
        return np.flatnonzero(self.lots[: self.count] > 0)

    def alive_of(self, groups: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the places of the live cohorts of the groups marked in bool[group]."""
        return np.flatnonzero(groups[self.group[: self.count]] & (self.lots[: self.count] > 0))

    def take(self, places: NDArray[np.int64], lots: NDArray[np.int64]) -> EndedCohorts:
        """Take lots from cohorts; one that has none left is ended."""
        left = self.lots[places] - lots
        self.lots[places] = left
        self.live -= int((left == 0).sum())
        return EndedCohorts(self.open_minute[places], self.row[places], self.key[places], lots, left)

    @property
    def is_worth_dropping(self) -> bool:
        """Return whether most places are of ended cohorts."""
        return self.live < self.count // 2 and self.count > _MIN_COMPACT

    def places_after_dropping(self) -> NDArray[np.int64]:
        """Return the place that each live cohort will have once the ended ones are dropped, int64[count]."""
        return np.cumsum(self.lots[: self.count] > 0) - 1

    def coarsen_rows(self, multiple: int) -> None:
        """Put every cohort on the row that is multiple times as high; drop the ended ones.

        Cohorts that then share minute, row and key become one, in the place of the first and with its clock.
        """
        self.drop_ended()
        used = slice(0, self.count)
        self.row[used] //= np.int32(multiple)
        order = np.lexsort((self.key[used], self.row[used], self.open_minute[used]))  # stable
        minute, row, key = self.open_minute[order], self.row[order], self.key[order]
        same = (minute[1:] == minute[:-1]) & (row[1:] == row[:-1]) & (key[1:] == key[:-1])
        starts = np.flatnonzero(np.concatenate((np.ones(min(1, self.count), np.bool_), ~same)))
        merged = np.add.reduceat(self.lots[order], starts) if self.count else self.lots[used]
        self.lots[used] = 0
        self.lots[order[starts]] = merged
        self.drop_ended()
        self.live = self.count

    def drop_ended(self) -> None:
        """Drop ended cohorts; the order, and so the append number, is kept."""
        kept = self.alive()
        for name in _COLUMNS:
            column = getattr(self, name)
            target = np.empty_like(column) if self._is_captured else column
            target[: len(kept)] = column[kept]
            setattr(self, name, target)
        self.count, self._is_captured = len(kept), False

    def _reserve(self, count: int) -> None:
        if count <= len(self.row):
            return
        for name in _COLUMNS:
            old = getattr(self, name)
            new = np.empty(max(count, 2 * len(old)), old.dtype)
            new[: self.count] = old[: self.count]
            setattr(self, name, new)
