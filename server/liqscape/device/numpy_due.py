"""Which cohorts are due up to a limit: of each group those with the lowest values, of its clocks or its rows.

Looking at every cohort in every bar would cost milliseconds, so DueIndex keeps the lowest values of each group at hand:
its *near set*. When a limit reaches beyond it, more is fetched first; so it decides how long a question takes and never
what the answer is. DueScan looks at every cohort each time: the definition it is tested against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from liqscape.device.numpy_cohorts import CohortColumns

VALUE_LIMIT: Final = 1 << 47
"""Values lie in -VALUE_LIMIT .. VALUE_LIMIT - 1: they share an integer with the number of the group."""

NOTHING: Final = -2 * VALUE_LIMIT
"""As a limit: nothing of this group is due."""

_VALUE_BITS = 48
_NEAR_SHARE = 16
"""Fetching brings at least the lowest 1 / _NEAR_SHARE of a group's values; it has to look at all of them."""
_MIN_NEAR = 1024
_AHEAD = 8
"""Fetching brings what so many more questions like the present one will ask for."""
_SOON = 2
"""Groups that so many more such questions will exhaust are fetched together: most of the work is common."""
_MIN_TAIL = 2048
_TAIL_SHARE = 4
"""What was added is sorted in once it is 1 / _TAIL_SHARE of the near set: sorting in copies it, asking scans these."""

Values: TypeAlias = Callable[[slice | NDArray[np.int64]], NDArray[np.int64]]
"""Return the values of places in the columns."""


class DueScan:
    """Looks at every cohort. See DueIndex."""

    def __init__(self, columns: CohortColumns, values: Values) -> None:
        self._columns = columns
        self._values = values

    def add(self, places: slice) -> None:
        """Do nothing: the columns hold what was added."""

    def due(self, limit: NDArray[np.int64], _step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of the live cohorts whose value is at most the limit of their group, by group and value."""
        places = self._columns.alive()
        group, value = self._columns.group[places], self._values(places)
        order = np.lexsort((value, group))
        return places[order][(value <= limit[group])[order]]

    def renumber(self, new_places: NDArray[np.int64]) -> None:
        """Do nothing: no place is remembered."""


class DueIndex:
    """The lowest values of each group, sorted, and behind them what was added since.

    Args:
        columns: the cohorts; the index remembers their places.
        values: of the cohorts; a cohort's value never changes.
        groups: how many groups there are.
    """

    def __init__(self, columns: CohortColumns, values: Values, groups: int) -> None:
        self._columns = columns
        self._values = values
        self._base = np.arange(groups, dtype=np.int64) << _VALUE_BITS
        self._reach = np.full(groups, VALUE_LIMIT - 1)  # every live cohort of the group with a value up to it is here
        self._most = np.full(groups, 4 * _MIN_NEAR)  # what a group may hold before the highest are let go
        self._code = np.empty(0, np.int64)  # ascending; cohorts of equal code in append order
        self._place = np.empty(0, np.int64)
        self._first = np.zeros(groups, np.int64)  # of each group in _code; what is before it in the group has ended
        self._tail_code = np.empty(0, np.int64)  # in append order, after all of _code
        self._tail_place = np.empty(0, np.int64)

    def add(self, places: slice) -> None:
        """Take cohorts that were appended to the columns."""
        group, value = self._columns.group[places], self._values(places)
        near = np.flatnonzero(value <= self._reach[group])
        self._tail_code = np.concatenate((self._tail_code, self._base[group[near]] + (value[near] + VALUE_LIMIT)))
        self._tail_place = np.concatenate((self._tail_place, near + places.start))
        if len(self._tail_code) > max(_MIN_TAIL, len(self._code) // _TAIL_SHARE):
            self._sort_in()
            self._let_go()

    def due(self, limit: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of the live cohorts whose value is at most the limit of their group.

        Args:
            limit: int64[group]; NOTHING where none is asked for.
            step: int64[group], how far beyond this limit the next one is expected; decides only the time taken.

        Returns:
            int64[n], by group, then value, then append order.
        """
        limit = np.minimum(limit, VALUE_LIMIT - 1)
        if (limit > self._reach).any():
            soon = np.minimum(limit + _SOON * step, VALUE_LIMIT - 1)
            self._fetch(soon > self._reach, np.minimum(limit + _AHEAD * step, VALUE_LIMIT - 1))
        highest = self._base + np.maximum(limit + VALUE_LIMIT, -1)
        lots = self._columns.lots
        positions = self._living_up_to(highest)
        added = np.flatnonzero(self._tail_code <= highest[self._tail_code >> _VALUE_BITS])
        added = added[lots[self._tail_place[added]] > 0]
        places = np.concatenate((self._place[positions], self._tail_place[added]))
        if len(added):
            places = places[np.argsort(np.concatenate((self._code[positions], self._tail_code[added])), kind="stable")]
        return places

    def renumber(self, new_places: NDArray[np.int64]) -> None:
        """Follow the columns, which are about to drop their ended cohorts."""
        self._sort_in()
        self._place = new_places[self._place]

    def _living_up_to(self, highest: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions in _code of live cohorts up to the highest code of each group, ascending."""
        end = np.searchsorted(self._code, highest, side="right")
        length = np.maximum(end - self._first, 0)
        before = np.cumsum(length) - length
        positions: NDArray[np.int64] = np.arange(int(length.sum())) + np.repeat(self._first - before, length)
        positions = positions[self._columns.lots[self._place[positions]] > 0]
        if len(positions):  # what ended at the head of a group need not be looked at again
            following = positions[np.minimum(np.searchsorted(positions, self._first), len(positions) - 1)]
            alive = (following >= self._first) & (following < end)
            self._first = np.where(alive, following, np.maximum(self._first, end))
        else:
            self._first = np.maximum(self._first, end)
        return positions

    def _fetch(self, exhausted: NDArray[np.bool_], at_least: NDArray[np.int64]) -> None:
        """Bring more of some groups: the lowest share of their cohorts, and everything up to a value."""
        places = self._columns.alive_of(exhausted)
        group = self._columns.group[places]
        code = self._base[group] + (self._values(places) + VALUE_LIMIT)
        count = np.bincount(group, minlength=len(self._base))
        wanted = np.maximum(count // _NEAR_SHARE, _MIN_NEAR)
        partly = np.flatnonzero(exhausted & (wanted < count))
        self._reach[exhausted] = VALUE_LIMIT - 1
        if len(partly):
            ranks = (np.cumsum(count) - count + wanted - 1)[partly]
            share = np.partition(code, ranks)[ranks] - self._base[partly] - VALUE_LIMIT
            self._reach[partly] = np.maximum(share, at_least[partly])
        near = code <= (self._base + (self._reach + VALUE_LIMIT))[group]
        code, places = code[near], places[near]
        self._sort_in(~exhausted)
        self._merge(code, places)
        fetched = np.bincount(code >> _VALUE_BITS, minlength=len(self._base))
        self._most = np.where(exhausted, np.maximum(2 * fetched, 4 * _MIN_NEAR), self._most)

    def _sort_in(self, kept: NDArray[np.bool_] | None = None) -> None:
        """Bring what was added into order, and drop what has ended; where kept is given, all of the other groups."""
        code = np.concatenate((self._code, self._tail_code))
        place = np.concatenate((self._place, self._tail_place))
        alive = self._columns.lots[place] > 0
        if kept is not None:
            alive &= kept[code >> _VALUE_BITS]
        self._tail_code = self._tail_place = np.empty(0, np.int64)
        self._code = self._place = np.empty(0, np.int64)
        self._merge(code[alive], place[alive])

    def _merge(self, code: NDArray[np.int64], place: NDArray[np.int64]) -> None:
        """Put cohorts among the sorted ones; of equal codes they come later."""
        code = np.concatenate((self._code, code))
        order = np.argsort(code, kind="stable")  # two sorted runs are merged in linear time
        self._code = code[order]
        self._place = np.concatenate((self._place, place))[order]
        self._first = np.searchsorted(self._code, self._base)

    def _let_go(self) -> None:
        """Let the highest values of a group go that has come to hold much more than was fetched."""
        held = np.diff(self._first, append=len(self._code))
        over = np.flatnonzero(held > self._most)
        if not len(over):
            return
        highest = self._code[self._first[over] + self._most[over] // 2 - 1]
        self._reach[over] = highest - self._base[over] - VALUE_LIMIT
        kept = self._code <= (self._base + (self._reach + VALUE_LIMIT))[self._code >> _VALUE_BITS]
        self._code, self._place = self._code[kept], self._place[kept]
        self._first = np.searchsorted(self._code, self._base)
