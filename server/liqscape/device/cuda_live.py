"""The tables of open cohorts of all books on a device; each is what NumpyLiveTable is, bit for bit.

An operation takes any of the tables and launches each of its kernels once for all of them. What it has to tell comes
back with the first wait, unless it is far more than the last time. The kernels are those of live_kernels.cu.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import (
    NO_TRIGGER,
    AppendRequest,
    BookProfile,
    CloseRequest,
    CohortBatch,
    EndedCohorts,
    LiveSnapshot,
    LiveTable,
    LotRates,
    SweepRequest,
)
from liqscape.device.cuda_cohorts import CudaCohorts, Place
from liqscape.device.cuda_marks import LaunchSizes, Marks, numbers_of_tiles
from liqscape.device.cuda_profile import LARGEST_PROFILE_CELLS, CudaProfiles
from liqscape.device.cuda_taking import NONE_ENDED, CudaTaking
from liqscape.device.numpy_cohorts import CohortColumns
from liqscape.device.numpy_due import VALUE_LIMIT
from liqscape.device.queue import Queue
from liqscape.device.scratch import Scratch
from liqscape.errors import ModelError


class CudaLiveTable:
    """See device.backend.LiveTable; made by CudaLiveTables.table."""

    def __init__(self, tables: CudaLiveTables, place: Place) -> None:
        self.tables = tables
        self.place = place
        self.hazard = np.zeros(place.groups, np.int64)

    def __len__(self) -> int:
        return self.place.live

    def append(
        self,
        open_minute: int,
        rows: NDArray[np.int32],
        keys: NDArray[np.uint16],
        lots: NDArray[np.int64],
        clocks: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        return self.tables.append([AppendRequest(self, open_minute, rows, keys, lots, clocks)])[0]

    def sweep(self, trigger_rows: NDArray[np.int64]) -> EndedCohorts:
        return self.tables.sweep([SweepRequest(self, trigger_rows)])[0]

    def close(self, lots: NDArray[np.int64]) -> tuple[EndedCohorts, NDArray[np.int64]]:
        return self.tables.close([CloseRequest(self, lots)])[0]

    def coarsen_rows(self, multiple: int) -> None:
        self.tables.coarsen_rows(self.place, multiple)

    def lots_by_group(self) -> NDArray[np.int64]:
        return self.tables.lots_by_group(self.place)

    def cohorts(self) -> tuple[CohortBatch, NDArray[np.int64]]:
        open_minute, row, key, lots, clock = self.tables.read(self.place)
        live = lots > 0
        return CohortBatch(open_minute[live], row[live], key[live], lots[live]), clock[live]

    def capture(self) -> Callable[[], LiveSnapshot]:
        cohorts, clocks = self.cohorts()  # from the device at once: later it would be another table
        snapshot = LiveSnapshot(cohorts, clocks, self.hazard.copy())
        return lambda: snapshot

    def profile(self, rates: LotRates) -> Callable[[], BookProfile]:
        return self.tables.profile(self.place, rates)


class CudaLiveTables:
    """Live tables, of one thread at a time.

    Args:
        queue: of that thread.
        sizes: of blocks and tiles.
        first_capacity: of a table, in cohorts, once it has any.
        min_compact: below so many places, ended cohorts are not worth dropping.
        least_ahead: ended cohorts read with the first wait even where few are expected: 128 KB.
        profile_cells: see CudaProfiles.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        sizes: LaunchSizes | None = None,
        first_capacity: int = 1 << 12,
        min_compact: int = 1 << 14,
        least_ahead: int = 1 << 12,
        profile_cells: int = LARGEST_PROFILE_CELLS,
    ) -> None:
        sizes = LaunchSizes() if sizes is None else sizes
        self._queue = queue
        self._sizes = sizes
        self._marks = Marks(queue, sizes)
        self._cohorts = CudaCohorts(queue, self._marks, first_capacity, min_compact)
        self._profiles = CudaProfiles(queue, self._marks, self._cohorts, profile_cells, least_ahead)
        self._taking = CudaTaking(queue, self._marks, self._cohorts, least_ahead)
        self._group_sums = Scratch(queue, np.uint64)
        self._joined = Scratch(queue, np.uint32)
        self._held = Scratch(queue, np.int64)

    def table(self, groups: int, snapshot: LiveSnapshot | None = None) -> CudaLiveTable:
        """Make a table: empty, or what a snapshot is of. Raises OutOfDeviceMemory."""
        table = CudaLiveTable(self, self._cohorts.add(groups))
        if snapshot is not None:
            self._restore(table, snapshot)
        return table

    def append(self, asked: Sequence[AppendRequest]) -> list[NDArray[np.int64]]:
        """See Backend.append. After an error every table is as it was.

        Raises:
            ModelError: a clock is out of range, or a key of no group of its table.
            OutOfDeviceMemory.
        """
        tables = self._tables_of(asked)
        for table, one in zip(tables, asked, strict=True):
            _check_new(one, table.place.groups)
        held = [one.lots for one in asked]
        busy = [number for number, one in enumerate(asked) if len(one.lots)]
        if busy:
            found = self._append([asked[number] for number in busy], [tables[number].place for number in busy])
            for number, lots in zip(busy, found, strict=True):
                held[number] = lots
        return held

    def sweep(self, asked: Sequence[SweepRequest]) -> list[EndedCohorts]:
        """See Backend.sweep. After an error every table is as it was. Raises OutOfDeviceMemory."""
        tables = self._tables_of(asked)
        busy = [
            number
            for number, one in enumerate(asked)
            if tables[number].place.live and (one.trigger_rows != NO_TRIGGER).any()
        ]
        swept = [NONE_ENDED] * len(asked)
        if busy:
            triggers = [asked[number].trigger_rows for number in busy]
            found = self._taking.sweep([tables[number].place for number in busy], triggers)
            for number, ended in zip(busy, found, strict=True):
                swept[number] = ended
        return swept

    def close(self, asked: Sequence[CloseRequest]) -> list[tuple[EndedCohorts, NDArray[np.int64]]]:
        """See Backend.close. After an error every table is as it was.

        Raises:
            ModelError: a group holds less.
            OutOfDeviceMemory.
        """
        tables = self._tables_of(asked)
        busy = [number for number, one in enumerate(asked) if (one.lots > 0).any()]
        closed = [NONE_ENDED] * len(asked)
        if busy:
            lots = [asked[number].lots for number in busy]
            found, clocks = self._taking.close([tables[number].place for number in busy], lots)
            for number, ended, wanted, reached in zip(busy, found, lots, clocks, strict=True):
                closed[number] = ended
                tables[number].hazard = np.where(wanted > 0, reached, tables[number].hazard)
        return [(ended, table.hazard.copy()) for ended, table in zip(closed, tables, strict=True)]

    def coarsen_rows(self, place: Place, multiple: int) -> None:
        """Do it on the host: it happens about once in a year."""
        host = CohortColumns()
        host.open_minute, host.row, host.key, host.lots, host.clock = self.read(place)
        host.group, host.count = np.zeros(place.count, np.uint16), place.count
        host.coarsen_rows(multiple)
        place.count = place.live = host.count
        merged: list[NDArray[Any]] = [host.open_minute, host.row, host.key, host.lots, host.clock]
        for to, column in zip(self._cohorts.of(place), merged, strict=True):
            self._queue.write(to, column[: host.count])

    def lots_by_group(self, place: Place) -> NDArray[np.int64]:
        """Return int64[group] of a table's open lots."""
        sums, c = self._group_sums.reserve(place.groups), self._cohorts
        chosen, _ = c.choose([place], ())
        self._queue.fill(sums, 0)
        own = (chosen.table_of_tile, chosen.spans, chosen.first_groups)
        self._marks.launch("sum_groups", chosen.tiles, *own, c.key, c.lots, sums)
        return self._queue.read(sums.view(np.int64))

    def read(self, place: Place) -> list[NDArray[Any]]:
        """Return host copies of a table's columns: open minute, row, key, lots and clock, with ended cohorts."""
        return self._queue.read_all(self._cohorts.of(place))

    def profile(self, place: Place, rates: LotRates) -> Callable[[], BookProfile]:
        """Sum a table by key and row, at once; see LiveTable.profile."""
        profile = self._profiles.profile(place, rates)
        return lambda: profile

    def _restore(self, table: CudaLiveTable, snapshot: LiveSnapshot) -> None:
        held, place = snapshot.cohorts, table.place
        table.hazard = snapshot.hazard.copy()
        self._cohorts.make_room([place], [len(held)])
        place.count = place.live = len(held)
        columns: list[NDArray[Any]] = [held.open_minute, held.row, held.key, held.lots, snapshot.clocks]
        for to, column in zip(self._cohorts.of(place), columns, strict=True):
            self._queue.write(to, column)
        _widen([place], [len(held)], held.key, snapshot.clocks)

    def _tables_of(self, asked: Sequence[AppendRequest | SweepRequest | CloseRequest]) -> list[CudaLiveTable]:
        tables = [self._own(one.table) for one in asked]
        assert len(set(map(id, tables))) == len(tables), "a table is asked twice"
        return tables

    def _own(self, table: LiveTable) -> CudaLiveTable:
        assert isinstance(table, CudaLiveTable), table
        assert table.tables is self, "the table is of another device"
        return table

    def _append(self, asked: Sequence[AppendRequest], places: Sequence[Place]) -> list[NDArray[np.int64]]:
        counts = [len(one.lots) for one in asked]
        ends = np.cumsum(counts)
        self._cohorts.make_room(places, counts)
        joined, held = self._joined.reserve(int(ends[-1])), self._held.reserve(int(ends[-1]))
        batch_spans, tiles = self._marks.spans((ends - counts).tolist(), counts)
        table_spans, _ = self._marks.spans([place.first for place in places], [place.count for place in places])
        minutes = np.array([one.open_minute for one in asked], np.int32)
        given = [np.concatenate([getattr(one, name) for one in asked]) for name in ("rows", "keys", "lots", "clocks")]
        table_of_tile, batches, *sent = self._cohorts.send(
            (numbers_of_tiles(tiles), batch_spans, table_spans, minutes, *given)
        )
        own = (table_of_tile, batches, *sent[:2])
        words, c = self._marks.words(len(table_of_tile)), self._cohorts
        joining = (*sent[2:4], c.open_minute, c.row, c.key, c.lots, joined, words)
        blocks = len(table_of_tile) * self._sizes.tile_places // self._sizes.join_threads
        self._queue.launch("find_joined", blocks, self._sizes.join_threads, *own, *joining)
        fresh = self._marks.count(batches, words)
        adding = (fresh.words, fresh.offsets, joined, *sent[2:], *c.columns, held)
        self._marks.launch("append_cohorts", len(table_of_tile), *own, *adding)
        added, now = self._queue.read_all((fresh.totals, held))
        _widen(places, counts, given[1], given[3])
        for place, count in zip(places, added.tolist(), strict=True):
            place.count += count
            place.live += count
        return np.split(now, ends[:-1])


def _widen(places: Sequence[Place], counts: list[int], keys: NDArray[np.uint16], clocks: NDArray[np.int64]) -> None:
    """Let the bounds of the clocks take in new ones."""
    ends = np.cumsum([place.groups for place in places])
    group = np.repeat(np.append(0, ends[:-1]), counts) + (keys >> 5).astype(np.int64) * 2 + (keys & 1)
    lowest = np.concatenate([place.lowest_clock for place in places])
    highest = np.concatenate([place.highest_clock for place in places])
    np.minimum.at(lowest, group, clocks)
    np.maximum.at(highest, group, clocks)
    for place, low, high in zip(places, np.split(lowest, ends[:-1]), np.split(highest, ends[:-1]), strict=True):
        place.lowest_clock, place.highest_clock = low, high


def _check_new(one: AppendRequest, groups: int) -> None:
    clocks, keys = one.clocks, one.keys
    if len(clocks) and not -VALUE_LIMIT <= int(clocks.min()) <= int(clocks.max()) < VALUE_LIMIT:
        raise ModelError(f"clocks {clocks.min()}..{clocks.max()} are not all within +-2^47")
    if len(keys) and int(((keys >> 5) * 2 + (keys & 1)).max()) >= groups:
        raise ModelError(f"a key, up to {keys.max()}, is of none of the {groups} groups of its table")
