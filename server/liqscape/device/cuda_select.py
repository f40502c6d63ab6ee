"""Selecting on the device: which events of some runs were opened between two minutes, how many, and how they differ.

The kernels are those of ledger_kernels.cu, and offset_tiles of live_kernels.cu.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AgeTier
from liqscape.device.compaction_plan import NEVER
from liqscape.device.device_runs import DeviceRun
from liqscape.device.queue import Argument, DeviceArray, Queue

PART: Final = np.dtype(
    [
        *((name, np.uint64) for name in ("row", "open_minute", "key", "lots", "cause")),
        *((name, np.uint32) for name in ("first_bin", "bins")),
    ]
)
SPAN: Final = np.dtype([(name, np.uint32) for name in ("first", "count", "first_tile")])
EXTENTS: Final = 10
_MOST_EVENTS: Final = (1 << 31) - 1
"""Of a part: kernels have the place of an event, and its complement, in 32 bits."""


@dataclass(frozen=True, slots=True)
class MergeSizes:
    """How the work is cut, which decides how long it takes and never what comes of it.

    Attributes:
        span_events: merged at once, about. That takes 32 bytes each, and a millisecond or two on a big GPU, for which a
            tick that comes meanwhile waits; fewer would not fill one.
        copied_events: copied at once: as long.
        threads: of a block; 32, 64, 128 or 256.
        offset_threads: of a block that adds up what all tiles of a part have; a multiple of 32, up to 1024.
        tile_places, sort_places: of a block that marks and of one that sorts; what the kernels were compiled with.
        digit_bits: sorted by in one pass; what the kernels were compiled with.
    """

    span_events: int = 1 << 22
    copied_events: int = 1 << 26
    threads: int = 256
    offset_threads: int = 1024
    tile_places: int = 1024
    sort_places: int = 4096
    digit_bits: int = 8

    def tiles(self, places: int) -> int:
        """Return how many tiles hold so many places of one part."""
        return -(-places // self.tile_places)

    def words(self, tiles: int) -> int:
        """Return how many words have the marks of so many tiles."""
        return tiles * (self.tile_places // 32)


@dataclass(frozen=True, slots=True)
class Part:
    """Events begin to end of a run, at least one."""

    run: DeviceRun
    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class PartBins:
    """The event bins of a part.

    Attributes:
        firsts: int64[n], the number, within the part, of the first event of each.
        bins: int64[n], which bin it is.
    """

    firsts: NDArray[np.int64]
    bins: NDArray[np.int64]

    @classmethod
    def of(cls, part: Part, bin_minutes: int) -> PartBins:
        """Return those of a part."""
        piece = part.run.part(part.begin, part.end)
        bins = piece.minutes.astype(np.int64) // bin_minutes
        new = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
        return cls(piece.starts[new], bins[new])

    def at(self, place: int) -> int:
        """Return the bin of an event."""
        return int(self.bins[np.searchsorted(self.firsts, place, side="right") - 1])


@dataclass(frozen=True, slots=True)
class Selection:
    """What select found: the part that is kept first, then the parts of one span after the other.

    Attributes:
        first_parts: [span + 1], where the parts of each span begin, and where they end.
        counts: int64[part], events selected of each.
        kept_starts: int64[n], how many selected events of the kept part come before each of its minutes, and of all.
        extents: int32[part, EXTENTS], as kernels write them.
        bins: of each part; those of the kept one are not needed, and empty.
        first_tiles: int64[part + 1], where the tiles of each part begin, and where they end.
        tables: what kernels are told of the parts: part of tile, parts, spans.
        words, offsets: the marks.
        bin_tables: firsts and bins of all parts.
    """

    first_parts: list[int]
    counts: NDArray[np.int64]
    kept_starts: NDArray[np.int64]
    extents: NDArray[np.int32]
    bins: list[PartBins]
    first_tiles: NDArray[np.int64]
    tables: tuple[DeviceArray, DeviceArray, DeviceArray]
    words: DeviceArray
    offsets: DeviceArray
    bin_tables: tuple[DeviceArray, DeviceArray]

    def selected(self, span: int) -> int:
        """Return how many events of a span are selected."""
        return int(self.counts[self.first_parts[span] : self.first_parts[span + 1]].sum())

    def extent(self, span: int) -> list[tuple[int, int]]:
        """Return the least and the greatest event bin, row, open minute, key and cause selected of a span."""
        parts = [p for p in range(self.first_parts[span], self.first_parts[span + 1]) if self.counts[p]]
        places = [(self.bins[p].at(int(self.extents[p, 0])), self.bins[p].at(~int(self.extents[p, 1]))) for p in parts]
        found = self.extents[parts].min(axis=0).tolist()
        others = [(least, ~complement) for least, complement in zip(found[2::2], found[3::2], strict=True)]
        return [(min(first for first, _ in places), max(last for _, last in places)), *others]


def select(
    queue: Queue,
    sizes: MergeSizes,
    tier: AgeTier,
    opened: tuple[int, int],
    kept: Part | None,
    spans: Sequence[Sequence[Part]],
) -> Selection:
    """Mark what was opened between two minutes, and count it; waits once.

    Args:
        queue: of the work.
        sizes: how it is cut.
        tier: that is selected for.
        opened: the first open minute that is selected, and the first one after it.
        kept: the part whose events are not merged, if any; it begins at its run's first event.
        spans: the parts of each span.

    Raises:
        OutOfDeviceMemory: there is no room for the marks.
    """
    parts = [*([] if kept is None else [kept]), *(part for span in spans for part in span)]
    first_part = 0 if kept is None else 1
    first_parts = first_part + np.cumsum([0, *(len(span) for span in spans)])
    no_bins = PartBins(np.empty(0, np.int64), np.empty(0, np.int64))
    bins = [*([] if kept is None else [no_bins]), *(PartBins.of(part, tier.bin_minutes) for part in parts[first_part:])]
    counts = np.array([len(part) for part in parts], np.int64)
    assert counts.max() <= _MOST_EVENTS, counts
    tiles = np.array([sizes.tiles(count) for count in counts.tolist()], np.int64)
    first_tiles = np.append(0, np.cumsum(tiles))
    span_table = np.zeros(len(parts), SPAN)
    span_table["first"] = [part.begin for part in parts]
    span_table["count"], span_table["first_tile"] = counts, first_tiles[:-1]
    places = np.empty(0, np.int64) if kept is None else kept.run.part(0, kept.end).starts

    tables = (
        queue.put(np.repeat(np.arange(len(parts), dtype=np.uint32), tiles)),
        put_table(queue, _part_table(parts, bins)),
        put_table(queue, span_table),
    )
    bin_tables = (
        queue.put(np.concatenate([part.firsts for part in bins]).astype(np.uint32)),
        queue.put(np.concatenate([part.bins for part in bins]).astype(np.int32)),
    )
    extents = queue.put(np.full(len(parts) * EXTENTS, NEVER, np.int32))
    asked = queue.put(places.astype(np.uint32))
    words = queue.empty(sizes.words(int(first_tiles[-1])), np.uint32)
    offsets = queue.empty(int(first_tiles[-1]), np.uint32)
    totals, ranks = queue.empty(len(parts), np.uint32), queue.empty(len(places), np.uint32)
    told = (*(np.int32(minute) for minute in opened), np.uint32(tier.keeps_cause))
    queue.launch("mark_opened", int(first_tiles[-1]), sizes.threads, *tables, *told, words, extents)
    queue.launch("offset_tiles", len(parts), sizes.offset_threads, tables[2], words, offsets, totals)
    blocks, count = -(-len(places) // sizes.threads), np.uint32(len(places))
    queue.launch("rank_places", blocks, sizes.threads, count, asked, tables[2], words, offsets, totals, ranks)
    found_totals, found_ranks, found_extents = queue.read_all([totals, ranks, extents])
    return Selection(
        first_parts=first_parts.tolist(),
        counts=found_totals.astype(np.int64),
        kept_starts=found_ranks.astype(np.int64),
        extents=found_extents.reshape(-1, EXTENTS),
        bins=bins,
        first_tiles=first_tiles,
        tables=tables,
        words=words,
        offsets=offsets,
        bin_tables=bin_tables,
    )


def move_kept(
    queue: Queue, sizes: MergeSizes, selection: Selection, kept: Part, into: DeviceRun, tiles: tuple[int, int]
) -> None:
    """Copy what is selected of the kept part's tiles, a range of them, to its place in other columns."""
    begin, end = tiles
    source = (kept.run.row, kept.run.open_minute, kept.run.key, kept.run.lots, or_null(kept.run.cause))
    target = (into.row, into.open_minute, into.key, into.lots, or_null(into.cause))
    marks = (np.uint32(begin), selection.words, selection.offsets)
    queue.launch("move_opened", end - begin, sizes.threads, *marks, *source, *target)


def or_null(column: DeviceArray | None) -> Argument:
    """Return what a kernel is given for a column that may be absent."""
    return np.uint64(0) if column is None else column


def put_table(queue: Queue, table: NDArray[Any]) -> DeviceArray:
    """Return a table of structs on the device, as bytes."""
    return queue.put(table.view(np.uint8))


def _part_table(parts: Sequence[Part], bins: Sequence[PartBins]) -> NDArray[Any]:
    """Return PART[part]."""
    table = np.zeros(len(parts), PART)
    first_bin = 0
    for entry, part, of_part in zip(table, parts, bins, strict=True):
        run = part.run
        for name in ("row", "open_minute", "key", "lots"):
            entry[name] = getattr(run, name).address
        entry["cause"] = 0 if run.cause is None else run.cause.address
        entry["first_bin"], entry["bins"] = first_bin, len(of_part.bins)
        first_bin += len(of_part.bins)
    return table
