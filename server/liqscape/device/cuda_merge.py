"""Merging on the device: what was selected of a span of minutes becomes sorted sums.

Events become codes whose order is that of a tier; the codes are sorted with their lots, and equal ones are added up.
The kernels are those of ledger_kernels.cu, and offset_tiles of live_kernels.cu.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AgeTier
from liqscape.device.compaction_plan import field_bits
from liqscape.device.cuda_select import SPAN, MergeSizes, Selection, or_null, put_table
from liqscape.device.device_runs import DeviceRun
from liqscape.device.job_tables import division
from liqscape.device.queue import Argument, DeviceArray, Queue

CODE: Final = np.dtype(
    [
        *((name, np.uint32) for name in ("row_magic", "row_shift", "open_magic", "open_shift")),
        *((name, np.int32) for name in ("first_bin", "first_row", "first_open", "first_key", "first_cause")),
        *((name, np.uint32) for name in ("row_bits", "open_bits", "key_bits", "cause_bits")),
        *((name, np.uint32) for name in ("row_unit", "bin_minutes", "keeps_cause")),
    ]
)


class Merger:
    """Merges the spans of one selection, one after the other, in memory for the largest of them.

    Raises:
        OutOfDeviceMemory: from any method.
    """

    def __init__(self, queue: Queue, sizes: MergeSizes, tier: AgeTier, selection: Selection) -> None:
        self._queue = queue
        self._sizes = sizes
        self._tier = tier
        self._selection = selection
        most = max(selection.selected(span) for span in range(len(selection.first_parts) - 1))
        tiles, blocks, digits = sizes.tiles(most), -(-most // sizes.sort_places), 1 << sizes.digit_bits
        self._codes = [queue.empty(most, np.uint64) for _ in range(2)]
        self._lots = [queue.empty(most, np.int64) for _ in range(2)]
        self._digits = queue.empty(digits * blocks, np.uint32)
        self._digit_totals = queue.empty(digits, np.uint32)
        self._words = queue.empty(sizes.words(tiles), np.uint32)
        self._offsets = queue.empty(tiles, np.uint32)
        first_out = np.zeros(len(selection.counts), np.uint32)
        for begin, end in pairwise(selection.first_parts):
            first_out[begin:end] = np.cumsum(selection.counts[begin:end]) - selection.counts[begin:end]
        self._first_out = queue.put(first_out)

    def merge(self, span: int, into: DeviceRun) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Write the sums of a span, in the order of a tier; waits once.

        Args:
            span: its number; some events of it are selected.
            into: whose columns' first items are written, as many as events are selected at most.

        Returns:
            int32[n] event minutes, and int64[n + 1] how many sums come before each and how many there are.

        Raises:
            ModelError: codes would be too long to sort.
        """
        tier = self._tier
        units = (1, tier.row_unit, tier.bin_minutes, 1, 1)
        found = zip(self._selection.extent(span), units, strict=True)
        extents = [(least // unit, most // unit) for (least, most), unit in found]
        widths = field_bits(extents)
        code = put_table(self._queue, self._code(extents, widths))
        count = self._selection.selected(span)
        self._pack(span, code)
        now = self._sort(count, sum(widths))
        first_bin, last_bin = extents[0]
        before = self._sum(count, now, code, last_bin - first_bin + 1, sum(widths[1:]), into)
        minutes = np.arange(first_bin, last_bin + 1) * tier.bin_minutes
        return minutes.astype(np.int32), before.astype(np.int64)

    def _code(self, extents: list[tuple[int, int]], widths: list[int]) -> NDArray[Any]:
        """Return CODE[1]."""
        tier = self._tier
        code = np.zeros(1, CODE)
        code["row_magic"], code["row_shift"] = division(tier.row_unit)
        code["open_magic"], code["open_shift"] = division(tier.bin_minutes)
        names = ("bin", "row", "open", "key", "cause")
        for name, (least, _), bits in zip(names, extents, widths, strict=True):
            code[f"first_{name}"] = least
            if name != "bin":  # it has what is left
                code[f"{name}_bits"] = bits
        code["row_unit"], code["bin_minutes"], code["keeps_cause"] = tier.row_unit, tier.bin_minutes, tier.keeps_cause
        return code

    def _launch(self, kernel: str, blocks: int, *arguments: Argument) -> None:
        self._queue.launch(kernel, blocks, self._sizes.threads, *arguments)

    def _pack(self, span: int, code: DeviceArray) -> None:
        found = self._selection
        first, end = (int(found.first_tiles[part]) for part in found.first_parts[span : span + 2])
        marks = (found.words, found.offsets, self._first_out, *found.bin_tables)
        self._launch(
            "pack_events", end - first, np.uint32(first), *found.tables, *marks, code, self._codes[0], self._lots[0]
        )

    def _sort(self, count: int, bits: int) -> int:
        """Sort what was packed, by as many digits as the codes have; return which half of the memory has it then."""
        blocks, now = -(-count // self._sizes.sort_places), 0
        for shift in range(0, bits, self._sizes.digit_bits):
            codes, lots = self._codes[now], self._lots[now]
            of_pass = (np.uint32(count), np.uint32(shift))
            self._launch("count_digits", blocks, *of_pass, codes, self._digits)
            self._launch("offset_digits", len(self._digit_totals), np.uint32(blocks), self._digits, self._digit_totals)
            now = 1 - now
            found = (self._digits, self._digit_totals, codes, lots, self._codes[now], self._lots[now])
            self._launch("scatter_digits", blocks, *of_pass, *found)
        return now

    def _sum(
        self, count: int, now: int, code: DeviceArray, bins: int, bin_shift: int, into: DeviceRun
    ) -> NDArray[np.uint32]:
        """Add up what is equal; return how many sums come before each bin, and how many there are."""
        queue, words, offsets = self._queue, self._words, self._offsets
        tiles, places = self._sizes.tiles(count), np.uint32(count)
        whole = put_table(queue, np.array([(0, count, 0)], SPAN))
        codes, lots = self._codes[now], self._lots[now]
        run_codes, run_lots = self._codes[1 - now], self._lots[1 - now]  # what was sorted from is not needed any more
        runs, total, starts = (queue.empty(n, np.uint32) for n in (1, 1, bins))
        self._launch("mark_heads", tiles, places, codes, words)
        queue.launch("offset_tiles", 1, self._sizes.offset_threads, whole, words, offsets, runs)
        queue.fill(run_lots.part(0, count), 0)
        self._launch("sum_runs", tiles, places, codes, lots, words, offsets, run_codes, run_lots)
        self._launch("mark_nonzero", tiles, runs, run_lots, words)
        queue.launch("offset_tiles", 1, self._sizes.offset_threads, whole, words, offsets, total)
        columns = (into.row, into.open_minute, into.key, into.lots, or_null(into.cause))
        self._launch("write_merged", tiles, code, words, offsets, run_codes, run_lots, *columns)
        blocks, fields = -(-bins // self._sizes.threads), (np.uint32(bins), np.uint32(bin_shift), places)
        self._launch("start_bins", blocks, *fields, runs, run_codes, words, offsets, total, starts)
        return np.concatenate(queue.read_all([starts, total]))
