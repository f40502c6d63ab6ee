"""Ledgers to be compacted on the device and by the definition, and a small case that every kernel of it takes part in.

The kernels are those of with_small_blocks: many tiles, blocks and digits with few events, and few threads.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from liqscape.device import numpy_tiers
from liqscape.device.backend import LedgerColumns
from liqscape.device.cuda_select import MergeSizes
from liqscape.device.cuda_tiers import DevicePast, compact
from liqscape.device.device_runs import DeviceRun
from liqscape.device.numpy_tiers import CompactedPast
from liqscape.device.nvrtc import LEDGER_KERNEL_FILE, LIVE_KERNEL_FILE, kernel_source
from liqscape.device.queue import Queue
from tests.cuda.cpu_runtime import FRESH, CpuRuntime

DAY: Final = 1440
FIRST: Final = 29_000_000
SIZES: Final = MergeSizes(
    span_events=500,
    copied_events=300,
    threads=64,
    offset_threads=64,
    tile_places=64,
    sort_places=128,
    digit_bits=6,
)
COLUMNS: Final = ("minute", "open_minute", "row", "key", "lots", "cause")


def with_small_blocks(source: str | None = None) -> str:
    """Return the kernels of SIZES, with the one of the live table that they need."""
    live = kernel_source(LIVE_KERNEL_FILE)
    begin = live.index('extern "C" __global__ void __launch_bounds__(1024) offset_tiles(')
    made = (source or kernel_source(LEDGER_KERNEL_FILE)) + live[begin : live.index("\n}\n", begin) + 3]
    for whole, small in (
        ("WORDS_OF_TILE = WARP;", "WORDS_OF_TILE = 2;"),
        ("SORT_PLACES = 4096;", "SORT_PLACES = 128;"),
        ("DIGIT_BITS = 8;", "DIGIT_BITS = 6;"),
    ):
        assert made.count(f"constexpr u32 {whole}") == 1, whole
        made = made.replace(f"constexpr u32 {whole}", f"constexpr u32 {small}")
    return made


@dataclass(frozen=True, slots=True)
class Ways:
    """What events are like: rows and keys below some number, lots up to one, and whether most belong to few cohorts."""

    rows: tuple[int, int] = (-30, 30)
    keys: int = 4
    most_lots: int = 3
    few_cohorts: bool = True


def some_events(seed: int, days: int, count: int, ways: Ways = Ways()) -> LedgerColumns:
    """Return events in time order over some days, a third of them of the last two."""
    random = Generator(PCG64(seed))
    last = FIRST + days * DAY
    minute = np.sort(
        np.concatenate((random.integers(FIRST, last, count - count // 3), last - random.integers(0, 3000, count // 3)))
    )
    age = random.exponential(days * 300, count) * (random.random(count) < 0.6)
    opened = np.maximum(minute - age.astype(np.int64), FIRST - 360 * DAY)
    if ways.few_cohorts:
        old = np.minimum(opened, last - 10_000) // 20_000 * 20_000
        opened = np.where(random.random(count) < 0.6, old, opened)
    return columns(
        minute,
        opened,
        random.integers(*ways.rows, count),
        random.integers(0, ways.keys, count),
        random.integers(-ways.most_lots, ways.most_lots + 1, count),
        random.integers(0, 3, count),
    )


def columns(*given: NDArray[np.int64]) -> LedgerColumns:
    """Return events of the right types."""
    minute, opened, row, key, lots, cause = given
    return LedgerColumns(
        minute=minute.astype(np.int32),
        open_minute=opened.astype(np.int32),
        row=row.astype(np.int32),
        key=key.astype(np.uint16),
        lots=lots.astype(np.int64),
        cause=cause.astype(np.uint8),
    )


def on_coarser_rows(events: LedgerColumns, multiple: int) -> LedgerColumns:
    row = events.row // np.int32(multiple)
    return LedgerColumns(events.minute, events.open_minute, row, events.key, events.lots, events.cause)


class BothPasts:
    """A raw log and its past, on the host and on the device; each step is done to both, and they are compared."""

    def __init__(self, runtime: CpuRuntime, raw: LedgerColumns, sizes: MergeSizes = SIZES) -> None:
        self.queue = Queue(runtime, urgent=False, staging_bytes=1 << 16)
        self.other_queue = Queue(runtime, urgent=True, staging_bytes=1 << 16)
        self.sizes = sizes
        self.defined = CompactedPast.nothing()
        self.found = DevicePast.nothing(self.queue)
        self._first_event = 0
        self._take(raw)

    def _take(self, raw: LedgerColumns) -> None:
        self.raw = raw
        self.on_device = DeviceRun.put(self.queue, raw, with_cause=True)

    def compact(self, now_minute: int) -> None:
        """Merge what has grown old."""
        before = self.found
        self.defined = numpy_tiers.compact(self.raw, self._first_event, self.defined, now_minute)
        self.found = compact(self.queue, self.on_device, self._first_event, before, now_minute, sizes=self.sizes)
        self.check()

    def coarsen(self, multiple: int) -> None:
        """Put every event on coarser rows."""
        self.defined = self.defined.on_coarser_rows(multiple)
        self.found = self.found.on_coarser_rows(self.queue, multiple, self.sizes)
        self._take(on_coarser_rows(self.raw, multiple))
        self.check()

    def drop(self) -> None:
        """Forget the raw events that are merged, as a ledger does."""
        gone = self.defined.dropped_events - self._first_event
        self._first_event = self.defined.dropped_events
        self._take(LedgerColumns(*(getattr(self.raw, name)[gone:] for name in COLUMNS)))

    def check(self) -> None:
        """Compare everything there is to know of both, while the queue of the work need not be waited for."""
        check_same(self.other_queue, self.defined, self.found)


def check_same(queue: Queue, defined: CompactedPast, found: DevicePast) -> None:
    for name in ("limits", "dropped_events", "until_minute", "coarsened", "unmerged", "events"):
        assert getattr(found, name) == getattr(defined, name), name
    for number, (wanted, tier) in enumerate(zip(defined.tiers, found.tiers, strict=True)):
        assert (np.diff(tier.minutes) > 0).all()
        assert (np.diff(tier.starts) > 0).all()
        assert tier.minutes.dtype == np.int32
        assert tier.starts.dtype == np.int64
        read = tier.read(queue)
        for name in COLUMNS:
            one, other = getattr(wanted, name), getattr(read, name)
            assert one.dtype == other.dtype, (number, name)
            assert np.array_equal(one, other), (number, name)


class ExactMemory:
    """See runtime.Memory: nothing but the bytes that were asked for, so that a sanitizer sees what is beyond them."""

    def __init__(self, nbytes: int) -> None:
        self._held = np.full(nbytes, FRESH, np.uint8)
        self.nbytes = nbytes
        self.address = self._held.ctypes.data


class WatchedRuntime(CpuRuntime):
    """A device for a sanitizer."""

    def allocate(self, nbytes: int) -> ExactMemory:  # type: ignore[override]
        return ExactMemory(nbytes)


def main(library: str) -> None:
    """Compact twice: something new, something that stays, something that leaves a tier, and a sum over several blocks.

    Little differs, so that most codes have one digit: every launch starts many threads of the CPU.
    """
    random = Generator(PCG64(1))
    minute = FIRST + np.concatenate((np.repeat([3, 4], (100, 20)), np.repeat([2000, 2001], (20, 30))))
    opened = np.where(random.random(170) < 0.5, minute, minute - minute % 2)
    row, cause = random.integers(-1, 1, 170), random.integers(0, 2, 170)
    opened[:100], row[:100], cause[:100] = FIRST + 3, 0, 0
    raw = columns(minute, opened, row, np.zeros(170, np.int64), random.integers(-3, 4, 170), cause)
    both = BothPasts(WatchedRuntime([Path(library)], is_slow=False), raw)
    both.compact(FIRST + DAY + 10)
    both.compact(FIRST + DAY + 2010)
    both.coarsen(2)
    assert len(both.found.tiers[0]) > 0
    assert len(both.found.tiers[1]) > 0


if __name__ == "__main__":
    main(*sys.argv[1:])
