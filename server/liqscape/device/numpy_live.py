"""The table of open cohorts on the host: columns in append order, and two indexes of what is due next.

A sweep takes the cohorts whose row the trigger price has reached, a close those with the lowest clocks; both find them
through a near set, see device.numpy_due.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import NO_TRIGGER, BookProfile, CohortBatch, EndedCohorts, LiveSnapshot, LotRates
from liqscape.device.book_profile import profile_of
from liqscape.device.lot_rates import lots_of
from liqscape.device.numpy_cohorts import CohortColumns
from liqscape.device.numpy_due import NOTHING, VALUE_LIMIT, DueIndex, DueScan
from liqscape.errors import ModelError

_FIRST_CLOCK_STEP = 1 << 12
_MIN_CLOCK_STEP = 1 << 8


class NumpyLiveTable:
    """See device.backend.LiveTable. Clocks are below 2^47, so that a clock and its group fit one integer.

    Args:
        groups: instrument numbers x 2.
        snapshot: what it begins with; nothing by default.
        exhaustive: scan every cohort in every operation; the definition the near sets are tested against.
    """

    def __init__(self, groups: int, snapshot: LiveSnapshot | None = None, *, exhaustive: bool = False) -> None:
        self._columns = CohortColumns()
        self._hazard = np.zeros(groups, np.int64) if snapshot is None else snapshot.hazard.copy()
        self._row_sign = np.where(np.arange(groups) % 2 == 0, -1, 1)  # the rows the price reaches first are the lowest
        # How far beyond the hazard the next close is expected to reach; too short costs another look, no more.
        self._clock_step = np.full(groups, VALUE_LIMIT if exhaustive else _FIRST_CLOCK_STEP)
        self._row_limit = np.full(groups, NOTHING)  # of the last sweep
        self._row_step = np.zeros(groups, np.int64)  # rows from sweep to sweep: the most, slowly forgotten
        self._exhaustive = exhaustive
        self._by_row = self._index(self._rows_of)
        self._by_clock = self._index(self._clocks_of)
        if snapshot is not None:
            held = snapshot.cohorts
            places = self._columns.append(held.open_minute, held.row, held.key, held.lots, snapshot.clocks)
            self._by_row.add(places)
            self._by_clock.add(places)

    def __len__(self) -> int:
        return self._columns.live

    def append(
        self,
        open_minute: int,
        rows: NDArray[np.int32],
        keys: NDArray[np.uint16],
        lots: NDArray[np.int64],
        clocks: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        if len(clocks) and not -VALUE_LIMIT <= int(clocks.min()) <= int(clocks.max()) < VALUE_LIMIT:
            raise ModelError(f"clocks {clocks.min()}..{clocks.max()} are not all within +-2^47")
        fresh, held = self._join(open_minute, rows, keys, lots)
        if not fresh.all():
            rows, keys, lots, clocks = rows[fresh], keys[fresh], lots[fresh], clocks[fresh]
        if self._columns.is_worth_dropping:
            self._drop_ended()
        places = self._columns.append(open_minute, rows, keys, lots, clocks)
        self._by_row.add(places)
        self._by_clock.add(places)
        return held

    def sweep(self, trigger_rows: NDArray[np.int64]) -> EndedCohorts:
        active = trigger_rows != NO_TRIGGER
        limit = np.where(active, np.where(active, trigger_rows, 0) * self._row_sign, NOTHING)
        moved = np.abs(limit - np.where(self._row_limit == NOTHING, limit, self._row_limit))
        self._row_step = np.where(active, np.maximum(moved, self._row_step - (self._row_step >> 3)), self._row_step)
        self._row_limit = np.where(active, limit, self._row_limit)
        places = self._by_row.due(limit, self._row_step)
        places.sort()
        return self._columns.take(places, self._columns.lots[places])

    def close(self, lots: NDArray[np.int64]) -> tuple[EndedCohorts, NDArray[np.int64]]:
        wanted = lots > 0
        if not wanted.any():
            none = np.empty(0, np.int64)
            return self._columns.take(none, none), self._hazard.copy()
        places = self._with_lowest_clocks(lots)
        group, held = self._columns.group[places], self._columns.lots[places]
        before = np.cumsum(held) - held
        first = np.searchsorted(group, np.arange(len(lots), dtype=group.dtype))
        start = np.append(before, 0)[first]  # a group without candidates begins where the next one does
        taken = np.minimum(lots[group] - (before - start[group]), held)
        closed = np.flatnonzero(taken > 0)
        places, group, taken = places[closed], group[closed], taken[closed]
        last = np.searchsorted(group, np.arange(len(lots), dtype=group.dtype), side="right") - 1
        reached = self._columns.clock[places[last]]
        step = np.where(wanted, np.maximum(2 * (reached - self._hazard), _MIN_CLOCK_STEP), self._clock_step)
        self._clock_step = self._clock_step if self._exhaustive else np.minimum(step, VALUE_LIMIT)
        self._hazard = np.where(wanted, reached, self._hazard)
        in_append_order = np.argsort(places)
        return self._columns.take(places[in_append_order], taken[in_append_order]), self._hazard.copy()

    def coarsen_rows(self, multiple: int) -> None:
        self._columns.coarsen_rows(multiple)
        self._by_row = self._index(self._rows_of)
        self._by_clock = self._index(self._clocks_of)
        everyone = slice(0, self._columns.count)
        self._by_row.add(everyone)
        self._by_clock.add(everyone)

    def lots_by_group(self) -> NDArray[np.int64]:
        total = np.zeros(len(self._hazard), np.int64)
        used = slice(0, self._columns.count)
        np.add.at(total, self._columns.group[used], self._columns.lots[used])
        return total

    def cohorts(self) -> tuple[CohortBatch, NDArray[np.int64]]:
        return _alive_in(self._columns)

    def capture(self) -> Callable[[], LiveSnapshot]:
        columns, hazard = self._columns.capture(), self._hazard.copy()
        return lambda: LiveSnapshot(*_alive_in(columns), hazard)

    def profile(self, rates: LotRates) -> Callable[[], BookProfile]:
        c, used = self._columns, slice(0, self._columns.count)
        key, row, lots = c.key[used].copy(), c.row[used].copy(), c.lots[used].copy()  # no lots where a cohort has ended
        return lambda: profile_of(key, row, lots_of(rates, lots, row, key))

    def _index(self, values_of: Callable[[slice | NDArray[np.int64]], NDArray[np.int64]]) -> DueIndex | DueScan:
        if self._exhaustive:
            return DueScan(self._columns, values_of)
        return DueIndex(self._columns, values_of, len(self._hazard))

    def _rows_of(self, places: slice | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows that fall toward the trigger price, for longs and shorts alike."""
        return self._columns.row[places].astype(np.int64) * self._row_sign[self._columns.group[places]]

    def _clocks_of(self, places: slice | NDArray[np.int64]) -> NDArray[np.int64]:
        return self._columns.clock[places]

    def _join(
        self, open_minute: int, rows: NDArray[np.int32], keys: NDArray[np.uint16], lots: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Add lots to open cohorts of the same minute, row and key.

        Returns:
            bool[n], which entries found none, and int64[n], what each cohort holds now.
        """
        fresh = np.ones(len(rows), np.bool_)
        places = self._columns.since(open_minute)
        if not len(places):
            return fresh, lots
        codes = _code(self._columns.row[places], self._columns.key[places])
        order = np.argsort(codes)
        codes, places = codes[order], places[order]
        wanted = _code(rows, keys)
        position = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
        found = codes[position] == wanted
        joined = places[position[found]]
        self._columns.lots[joined] += lots[found]
        held = lots.copy()
        held[found] = self._columns.lots[joined]
        return ~found, held

    def _with_lowest_clocks(self, lots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return places by group, clock and append order: of each group at least as many as it takes to cover lots.

        Raises:
            ModelError: a group holds less.
        """
        wanted = lots > 0
        while True:
            limit = np.where(wanted, np.minimum(self._hazard + self._clock_step, VALUE_LIMIT - 1), NOTHING)
            places = self._by_clock.due(limit, self._clock_step)
            covered = np.zeros(len(lots), np.int64)
            np.add.at(covered, self._columns.group[places], self._columns.lots[places])
            lacking = covered < lots
            if not lacking.any():
                return places
            if (limit[lacking] == VALUE_LIMIT - 1).any():
                raise ModelError(f"asked to close {lots.tolist()} lots by group, of which {covered.tolist()} are open")
            self._clock_step = np.where(lacking, np.minimum(self._clock_step * 4, 2 * VALUE_LIMIT), self._clock_step)

    def _drop_ended(self) -> None:
        new_places = self._columns.places_after_dropping()
        self._by_row.renumber(new_places)
        self._by_clock.renumber(new_places)
        self._columns.drop_ended()


def _code(rows: NDArray[np.int32], keys: NDArray[np.uint16]) -> NDArray[np.int64]:
    return rows.astype(np.int64) << 16 | keys


def _alive_in(columns: CohortColumns) -> tuple[CohortBatch, NDArray[np.int64]]:
    """Return the live cohorts and their clocks, in append order: copies."""
    c, places = columns, columns.alive()
    return CohortBatch(c.open_minute[places], c.row[places], c.key[places], c.lots[places]), c.clock[places]
