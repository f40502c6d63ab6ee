"""Live tables kept by the kernels: the launches of each operation, in order, over memory that stays where it is.

The layouts are those of the structs in live_kernels.cu.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import CohortBatch, EndedCohorts
from liqscape.device.numpy_cohorts import CohortColumns
from liqscape.device.numpy_due import VALUE_LIMIT
from liqscape.errors import ModelError
from tests.cuda.kernel_grids import KernelModule, poisoned

WORDS_OF_TILE: Final = 32
DIGITS: Final = 256
CLOCK_PASSES: Final = 6
ALL_PASSES: Final = 10
NO_PLACE: Final = np.iinfo(np.uint32).max

SPAN: Final = np.dtype([(name, np.uint32) for name in ("first", "count", "first_tile")])
SEARCH: Final = np.dtype(
    [
        ("lots", np.uint64),
        ("clock", np.uint64),
        ("open_lots", np.uint64),
        ("place", np.uint32),
        ("padding", np.uint32),
    ]
)
COLUMNS: Final[dict[str, type]] = {
    "open_minute": np.int32,
    "row": np.int32,
    "key": np.uint16,
    "lots": np.int64,
    "clock": np.int64,
}
ENDED: Final[dict[str, type]] = {
    "open_minute": np.int32,
    "row": np.int32,
    "key": np.uint16,
    "lots": np.int64,
    "left": np.int64,
}

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Opened:
    """What LiveTable.append is given."""

    open_minute: int
    rows: NDArray[np.int32]
    keys: NDArray[np.uint16]
    lots: NDArray[np.int64]
    clocks: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Marked:
    """Bits for the places of some spans, and where what is marked goes.

    Attributes:
        words: uint32[tile x words_of_tile].
        offsets: uint32[tile], marked places of the table before the tile.
        totals: uint32[table].
    """

    words: NDArray[np.uint32]
    offsets: NDArray[np.uint32]
    totals: NDArray[np.uint32]


class LiveTables:
    """Tables of any symbols, each as NumpyLiveTable is one, all in the same launches."""

    def __init__(
        self,
        module: KernelModule,
        groups: Sequence[int],
        threads: int = 256,
        first_capacity: int = 1 << 12,
        min_compact: int = 1 << 14,
        words_of_tile: int = WORDS_OF_TILE,
        join_threads: int = 128,
        offset_threads: int = 1024,
    ) -> None:
        """Make empty tables.

        Args:
            module: the kernels.
            groups: of each table.
            threads: of a block; 32, 64, 128 or 256.
            first_capacity: of each table, in cohorts.
            min_compact: below so many places, ended cohorts are not worth dropping.
            words_of_tile: what the kernels were compiled with.
            join_threads: of a block where each looks through the cohorts of a minute: more blocks than of the others.
            offset_threads: of a block where it is one for a table; a multiple of 32, up to 1024.
        """
        self._module = module
        self._threads = threads
        self._min_compact = min_compact
        self._words_of_tile = words_of_tile
        self._join_threads = join_threads
        self._offset_threads = offset_threads
        self._groups = np.array(groups, np.int64)
        self._first_groups = (np.cumsum(self._groups) - self._groups).astype(np.uint32)
        self._hazards = np.zeros(self._groups.sum(), np.int64)
        self._digit_sums = np.zeros(self._groups.sum() * DIGITS, np.uint64)
        self._live = np.zeros(len(groups), np.int64)
        self._capacities = np.full(len(groups), first_capacity, np.int64)
        self._columns = _columns(int(self._capacities.sum()))
        self._spans = self._spans_of(np.zeros(len(groups), np.int64), self._capacities)

    def counts(self) -> list[int]:
        """Return the number of open cohorts of each table."""
        return self._live.tolist()

    def append(self, batches: Sequence[Opened]) -> list[NDArray[np.int64]]:
        """Open cohorts in every table; see LiveTable.append.

        Raises:
            ModelError: a clock is out of range, or a key of no group of its table; nothing is appended.
        """
        for number, batch in enumerate(batches):
            self._check(number, batch)
        counts = np.array([len(batch.lots) for batch in batches], np.int64)
        self._make_room(counts)
        entries = self._spans_of(counts, counts)
        tables = self._tables_of_tiles(entries)
        if not len(tables):
            return [batch.lots for batch in batches]
        minutes = np.array([batch.open_minute for batch in batches], np.int32)
        given = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in Opened.__slots__[1:]}
        joined, held = poisoned(int(counts.sum()), np.uint32), poisoned(int(counts.sum()), np.int64)
        words = poisoned(len(tables) * self._words_of_tile, np.uint32)
        c = self._columns
        blocks = len(tables) * self._words_of_tile * 32 // self._join_threads
        own = (tables, entries, self._spans, minutes, given["rows"], given["keys"])
        arguments = (*own, c["open_minute"], c["row"], c["key"], c["lots"], joined, words)
        self._module.get_function("find_joined")((blocks,), (self._join_threads,), arguments)
        fresh = self._offset(entries, words)
        self._launch(
            "append_cohorts",
            len(tables),
            *(tables, entries, self._spans, minutes, fresh.words, fresh.offsets, joined, *list(given.values())),
            *(c[name] for name in COLUMNS),
            held,
        )
        self._set_counts(self._spans["count"] + fresh.totals)
        self._live += fresh.totals
        return np.split(held, np.cumsum(counts)[:-1])

    def sweep(self, trigger_rows: Sequence[NDArray[np.int64]]) -> list[EndedCohorts]:
        """End every cohort of every table that the trigger price has reached; see LiveTable.sweep."""
        c = self._columns
        marked = self._mark(
            "mark_swept", self._first_groups, np.concatenate(trigger_rows), c["row"], c["key"], c["lots"]
        )
        return self._take(marked, self._searches(np.zeros(len(self._hazards), np.int64)))

    def close(self, lots: Sequence[NDArray[np.int64]]) -> list[tuple[EndedCohorts, NDArray[np.int64]]]:
        """Close lots of each group of every table; see LiveTable.close.

        Raises:
            ModelError: a group holds less; nothing is closed in any table.
        """
        wanted = np.concatenate(lots)
        searches = self._searches(wanted)
        most_places = int(self._spans["count"].max())
        # The high digits of the place are zero where no table is that long.
        place_passes = -(-max(most_places - 1, 0).bit_length() // 8)
        for number in (*range(CLOCK_PASSES), *range(ALL_PASSES - place_passes, ALL_PASSES)):
            self._narrow(searches, number)
        if (searches["open_lots"].astype(np.int64) < np.maximum(wanted, 0)).any():
            held = searches["open_lots"].tolist()
            raise ModelError(f"asked to close {wanted.tolist()} lots by group, of which {held} are open")
        c = self._columns
        marked = self._mark("mark_due", self._first_groups, searches, c["key"], c["lots"], c["clock"])
        ended = self._take(marked, searches)
        reached = searches["clock"].astype(np.int64) - VALUE_LIMIT
        self._hazards = np.where(wanted > 0, reached, self._hazards)
        return list(zip(ended, self._by_table(self._hazards), strict=True))

    def coarsen_rows(self, multiples: Sequence[int]) -> None:
        """Put every cohort on the row that is its table's multiple times as high, on the host; see LiveTable."""
        self._relocate(self._capacities)
        for number, multiple in enumerate(multiples):
            host, used = CohortColumns(), self._used(number)
            places = int(self._spans["count"][number])
            for name in COLUMNS:
                setattr(host, name, self._columns[name][used].copy())
            host.group, host.count = np.zeros(places, np.uint16), places
            host.coarsen_rows(multiple)
            for name in COLUMNS:
                self._columns[name][used][: host.count] = getattr(host, name)[: host.count]
            self._spans["count"][number] = self._live[number] = host.count
        self._set_counts(self._spans["count"])

    def lots_by_group(self) -> list[NDArray[np.int64]]:
        """Return int64[group] of the open lots of every table."""
        sums = np.zeros(len(self._hazards), np.uint64)
        tables = self._tables_of_tiles(self._spans)
        c = self._columns
        self._launch("sum_groups", len(tables), tables, self._spans, self._first_groups, c["key"], c["lots"], sums)
        return self._by_table(sums.view(np.int64))

    def cohorts(self, number: int) -> tuple[CohortBatch, NDArray[np.int64]]:
        """Return host copies of a table's open cohorts in append order, and their clocks."""
        used, c = self._used(number), self._columns
        live = np.flatnonzero(c["lots"][used] > 0) + used.start
        return CohortBatch(c["open_minute"][live], c["row"][live], c["key"][live], c["lots"][live]), c["clock"][live]

    def capture(self, number: int) -> CohortBatch:
        """Return host copies of a table's cohorts in append order, ended ones among them."""
        used = self._used(number)
        return CohortBatch(*(self._columns[name][used].copy() for name in ("open_minute", "row", "key", "lots")))

    def _check(self, number: int, batch: Opened) -> None:
        clocks, groups = batch.clocks, int(self._groups[number])
        if len(clocks) and not -VALUE_LIMIT <= int(clocks.min()) <= int(clocks.max()) < VALUE_LIMIT:
            raise ModelError(f"clocks {clocks.min()}..{clocks.max()} are not all within +-2^47")
        if len(clocks) and int(((batch.keys >> 5) * 2 + (batch.keys & 1)).max()) >= groups:
            raise ModelError(f"a key, up to {batch.keys.max()}, is of none of the {groups} groups of table {number}")

    def _make_room(self, more: NDArray[np.int64]) -> None:
        """Drop ended cohorts where most are, and move everything where a table would outgrow its columns."""
        places = self._spans["count"].astype(np.int64)
        worth_dropping = ((self._live < places // 2) & (places > self._min_compact)).any()
        too_small = places + more > self._capacities
        if worth_dropping or too_small.any():
            needed = np.maximum(self._live + more, 2 * self._capacities)
            self._relocate(np.where(too_small, needed, self._capacities))

    def _relocate(self, capacities: NDArray[np.int64]) -> None:
        """Copy the live cohorts of all tables, without gaps, to columns of these capacities."""
        marked = self._mark("mark_live", self._columns["lots"])
        spans = self._spans_of(marked.totals.astype(np.int64), capacities)
        columns = _columns(int(capacities.sum()))
        tables = self._tables_of_tiles(self._spans)
        self._launch(
            "move_marked",
            len(tables),
            *(tables, self._spans, marked.words, marked.offsets, spans["first"].copy()),
            *(self._columns[name] for name in COLUMNS),
            *(columns[name] for name in COLUMNS),
        )
        self._columns, self._capacities, self._spans = columns, capacities, spans

    def _searches(self, lots: NDArray[np.int64]) -> NDArray[np.void]:
        """Return SEARCH[group] of all tables; those for no lots have no last place."""
        searches = np.zeros(len(lots), SEARCH)
        searches["lots"] = np.maximum(lots, 0)
        searches["place"] = np.where(lots > 0, 0, NO_PLACE)
        return searches

    def _narrow(self, searches: NDArray[np.void], number: int) -> None:
        tables, groups, c = self._tables_of_tiles(self._spans), len(searches), self._columns
        part = (self._first_groups, searches, np.uint32(number), c["key"], c["lots"], c["clock"], self._digit_sums)
        self._launch("sum_digits", len(tables), tables, self._spans, *part)
        blocks = -(-groups // (self._threads // 32))
        self._launch("narrow_searches", blocks, np.uint32(groups), np.uint32(number), searches, self._digit_sums)

    def _mark(self, kernel: str, *arguments: Any) -> _Marked:
        tables = self._tables_of_tiles(self._spans)
        words = poisoned(len(tables) * self._words_of_tile, np.uint32)
        self._launch(kernel, len(tables), tables, self._spans, *arguments, words)
        return self._offset(self._spans, words)

    def _offset(self, spans: NDArray[np.void], words: NDArray[np.uint32]) -> _Marked:
        offsets, totals = poisoned(len(words) // self._words_of_tile, np.uint32), poisoned(len(spans), np.uint32)
        kernel = self._module.get_function("offset_tiles")
        kernel((len(spans),), (self._offset_threads,), (spans, words, offsets, totals))
        return _Marked(words, offsets, totals)

    def _take(self, marked: _Marked, searches: NDArray[np.void]) -> list[EndedCohorts]:
        """Take what is marked; return it by table."""
        ends = np.cumsum(marked.totals, dtype=np.int64)
        out = {name: poisoned(int(ends[-1]), dtype) for name, dtype in ENDED.items()}
        tables, c = self._tables_of_tiles(self._spans), self._columns
        self._launch(
            "take_marked",
            len(tables) if ends[-1] else 0,
            *(tables, self._spans, self._first_groups, searches, marked.words, marked.offsets),
            *((ends - marked.totals).astype(np.uint32), *(c[name] for name in ("open_minute", "row", "key", "lots"))),
            *out.values(),
        )
        parts = [np.split(column, ends[:-1]) for column in out.values()]
        ended = [EndedCohorts(*columns) for columns in zip(*parts, strict=True)]
        self._live -= [int((batch.left == 0).sum()) for batch in ended]
        return ended

    def _used(self, number: int) -> slice:
        span = self._spans[number]
        return slice(int(span["first"]), int(span["first"]) + int(span["count"]))

    def _by_table(self, by_group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [part.copy() for part in np.split(by_group, self._first_groups[1:].astype(np.int64))]

    def _set_counts(self, counts: NDArray[Any]) -> None:
        self._spans = self._spans_of(counts.astype(np.int64), self._capacities)

    def _spans_of(self, counts: NDArray[np.int64], capacities: NDArray[np.int64]) -> NDArray[np.void]:
        """Return SPAN[table], one after the other."""
        spans = np.zeros(len(counts), SPAN)
        spans["first"] = np.cumsum(capacities) - capacities
        spans["count"] = counts
        tiles = self._tiles(spans)
        spans["first_tile"] = np.cumsum(tiles) - tiles
        return spans

    def _tiles(self, spans: NDArray[np.void]) -> NDArray[np.int64]:
        return -(-spans["count"].astype(np.int64) // (self._words_of_tile * 32))

    def _tables_of_tiles(self, spans: NDArray[np.void]) -> NDArray[np.uint32]:
        """Return uint32[tile], the number of the table of each."""
        return np.repeat(np.arange(len(spans), dtype=np.uint32), self._tiles(spans))

    def _launch(self, name: str, blocks: int, *arguments: Any) -> None:
        if blocks:  # CUDA refuses an empty launch
            self._module.get_function(name)((blocks,), (self._threads,), arguments)


def _columns(capacity: int) -> Columns:
    return {name: poisoned(capacity, dtype) for name, dtype in COLUMNS.items()}
