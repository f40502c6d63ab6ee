"""The cohorts of many live tables on a device: common columns, of which each table has one span of places.

So kernels take a few base pointers, and one launch serves any of the tables. One that outgrows its span makes all of
them move, without what has ended, to new columns.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from liqscape.device.cuda_marks import Marked, Marks, numbers_of_tiles
from liqscape.device.numpy_due import VALUE_LIMIT
from liqscape.device.queue import Argument, DeviceArray, Queue
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.device.scratch import Upload

_MOST_PLACES: Final = 1 << 32
"""Kernels number the places of all tables with 32 bits."""

_COLUMNS: Final[dict[str, DTypeLike]] = {
    "open_minute": np.int32,
    "row": np.int32,
    "key": np.uint16,
    "lots": np.int64,
    "clock": np.int64,
}


@dataclass(slots=True, eq=False, weakref_slot=True)
class Place:
    """Where a table is in the columns; ended cohorts (no lots) are among its own until all tables move.

    Attributes:
        groups: of the table.
        first: the first of its places.
        count: places in use.
        capacity: places it may use.
        live: cohorts with lots.
        lowest_clock, highest_clock: int64[group], between which the clocks of all of them are.
    """

    groups: int
    first: int = 0
    count: int = 0
    capacity: int = 0
    live: int = 0
    lowest_clock: NDArray[np.int64] = field(init=False)
    highest_clock: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.lowest_clock = np.full(self.groups, VALUE_LIMIT - 1)
        self.highest_clock = np.full(self.groups, -VALUE_LIMIT)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some tables, as kernels see them.

    Attributes:
        tiles: how many.
        table_of_tile: uint32[tile].
        spans: uint32[3 x table].
        first_groups: uint32[table]; their groups are numbered through.
    """

    tiles: int
    table_of_tile: DeviceArray
    spans: DeviceArray
    first_groups: DeviceArray


class CudaCohorts:
    """The columns, and who is where.

    Args:
        queue: all work on them is in its order.
        marks: shared with others of that queue.
        first_capacity: of a table, in cohorts, once it has any.
        min_compact: below so many places, ended cohorts are not worth dropping.
    """

    def __init__(self, queue: Queue, marks: Marks, first_capacity: int, min_compact: int) -> None:
        self._queue = queue
        self._marks = marks
        self._first_capacity = first_capacity
        self._min_compact = min_compact
        self._upload = Upload(queue)
        self._places: list[weakref.ref[Place]] = []
        self._tiles_of = np.empty(0, np.int64)  # what table_of_tile on the device was made of
        self._table_of_tile = queue.empty(0, np.uint32)
        self._take_columns(self._new_columns(0))

    def add(self, groups: int) -> Place:
        """Return the place of a new, empty table; it is free again when nobody refers to it."""
        place = Place(groups)
        self._places.append(weakref.ref(place))
        return place

    @property
    def columns(self) -> tuple[DeviceArray, ...]:
        """Return open minute, row, key, lots and clock."""
        return self.open_minute, self.row, self.key, self.lots, self.clock

    def of(self, place: Place) -> list[DeviceArray]:
        """Return a table's part of each of the columns."""
        return [column.part(place.first, place.first + place.count) for column in self.columns]

    def choose(self, places: Sequence[Place], others: Sequence[NDArray[Any]]) -> tuple[Chosen, list[DeviceArray]]:
        """Send to the device which tables a launch is for, and other small arrays with it; good until the next call."""
        spans, tiles = self._marks.spans([place.first for place in places], [place.count for place in places])
        groups = np.array([place.groups for place in places], np.int64)
        first_groups = (np.cumsum(groups) - groups).astype(np.uint32)
        if not np.array_equal(tiles, self._tiles_of):  # a table seldom gets another tile
            table_of_tile = numbers_of_tiles(tiles)
            if len(table_of_tile) > len(self._table_of_tile):
                self._table_of_tile = self._queue.empty(2 * len(table_of_tile), np.uint32)
            self._queue.write(self._table_of_tile.part(0, len(table_of_tile)), table_of_tile)
            self._tiles_of = tiles
        spans_sent, groups_sent, *sent = self._upload.send((spans, first_groups, *others))
        return Chosen(int(tiles.sum()), self._table_of_tile, spans_sent, groups_sent), sent

    def send(self, arrays: Sequence[NDArray[Any]]) -> list[DeviceArray]:
        """Send arrays to the device; what choose sent is lost."""
        return self._upload.send(arrays)

    def mark(self, kernel: str, chosen: Chosen, *arguments: Argument) -> Marked:
        """Let a kernel mark some places of the chosen tables, and count them."""
        words = self._marks.words(chosen.tiles)
        self._marks.launch(kernel, chosen.tiles, chosen.table_of_tile, chosen.spans, *arguments, words)
        return self._marks.count(chosen.spans, words)

    def make_room(self, places: Sequence[Place], more: Sequence[int]) -> None:
        """Let tables take more cohorts; drop what has ended where that is most of a table.

        Raises:
            OutOfDeviceMemory: everything is as it was.
        """
        full = {}
        for place, count in zip(places, more, strict=True):
            if place.count + count > place.capacity:
                needed = place.live + count
                half_is_free = 2 * needed <= place.capacity
                full[place] = place.capacity if half_is_free else max(needed, 2 * place.capacity, self._first_capacity)
        if full:
            self._move(full)
        elif any(place.live < place.count // 2 and place.count > self._min_compact for place in places):
            try:
                self._move({})
            except OutOfDeviceMemory:
                return  # it saves time, no more

    def _move(self, capacities: Mapping[Place, int]) -> None:
        """Copy the live cohorts of all tables to columns with these capacities; dropped tables lose their place."""
        kept = [place for known in self._places if (place := known()) is not None]
        sizes = [capacities.get(place, place.capacity) for place in kept]
        firsts = np.cumsum(sizes, dtype=np.int64) - sizes
        columns = self._new_columns(sum(sizes))
        moved = [number for number, place in enumerate(kept) if place.live]
        chosen, (first_to,) = self.choose([kept[number] for number in moved], (firsts[moved].astype(np.uint32),))
        marked = self.mark("mark_live", chosen, self.lots)
        own = (chosen.table_of_tile, chosen.spans, marked.words, marked.offsets, first_to)
        self._marks.launch("move_marked", chosen.tiles, *own, *self.columns, *columns)
        self._take_columns(columns)
        self._places = [weakref.ref(place) for place in kept]
        for place, first, size in zip(kept, firsts.tolist(), sizes, strict=True):
            place.first, place.count, place.capacity = first, place.live, size

    def _new_columns(self, capacity: int) -> list[DeviceArray]:
        if capacity >= _MOST_PLACES:
            raise OutOfDeviceMemory(f"{capacity:,} places for cohorts are too many; at most {_MOST_PLACES - 1:,}")
        return [self._queue.empty(capacity, dtype) for dtype in _COLUMNS.values()]

    def _take_columns(self, columns: Sequence[DeviceArray]) -> None:
        self.open_minute, self.row, self.key, self.lots, self.clock = columns
