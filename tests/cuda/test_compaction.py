"""Compaction on the device is the definition's, column for column, however the past came about and the work is cut.

Seen to fail when broken on purpose, one at a time. ledger_kernels.cu: both limits in mark_opened, the lower one in
count_opened; least and greatest place, greatest row, least open minute; the digits, blocks, parts, tiles, warps and
lanes before, in each prefix sum, and what its loop carries; the first run of a word in sum_runs, or heads within a
word only; sums of zero kept; offsets and units in write_merged; both binary searches; the end in rank_places; causes
in move_opened. Host: the boundary of what is kept, younger tiers, slices after the first, `unmerged`, the first bin
of a part, the place of the bin in a code, a digit less, sums not cleared, the last wait, empty minutes, memory not
given back.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from liqscape.device import numpy_tiers
from liqscape.device.age_tiers import AGE_TIERS
from liqscape.device.backend import LedgerColumns
from liqscape.device.cuda_select import MergeSizes
from liqscape.device.cuda_tiers import DevicePast, compact
from liqscape.device.numpy_tiers import CompactedPast
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import ModelError
from tests.cuda import cpu_module
from tests.cuda.cpu_module import ORDERS, Order
from tests.cuda.cpu_runtime import CpuRuntime
from tests.cuda.small_past import (
    COLUMNS,
    DAY,
    FIRST,
    SIZES,
    BothPasts,
    Ways,
    check_same,
    columns,
    some_events,
    with_small_blocks,
)

WHOLE: Final = MergeSizes(
    threads=32,
    offset_threads=32,
    tile_places=SIZES.tile_places,
    sort_places=SIZES.sort_places,
    digit_bits=SIZES.digit_bits,
)
"""Everything in one span."""


def at(minute: int, opened: int, count: int, **other: object) -> LedgerColumns:
    """Return events of one minute and cohort, of ten lots each, but for some of their columns."""
    given = {"minute": minute, "open_minute": opened, "row": -7, "key": 3, "lots": 10, "cause": 1, **other}
    return columns(*(np.broadcast_to(np.asarray(given[name]), count).astype(np.int64) for name in COLUMNS))


@pytest.fixture(scope="module")
def library(build_folder: Path) -> Path:
    return cpu_module.build(with_small_blocks(), build_folder)


@pytest.fixture
def small(library: Path) -> CpuRuntime:
    """Return a device with the kernels of SIZES that puts work off until somebody waits."""
    made = CpuRuntime([library])
    made.set_order("forward")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("days", [5, 60])
def test_weeks_of_compactions_early_and_late_are_those_of_the_definition(
    small: CpuRuntime, order: Order, days: int
) -> None:
    small.set_order(order, seed=days)
    small.is_slow = order != "reverse"
    random = np.random.default_rng(days)
    both = BothPasts(small, some_events(days, days, 1500))
    last = int(both.raw.minute[-1])
    now = last - (days - 2) * DAY // 2

    while now < last:
        both.compact(now)
        if random.random() < 0.3:
            both.drop()
        now += int(random.choice([1, 61, 400, days * DAY // 8]))
    both.compact(last)

    assert both.found.events > 300
    assert sum(len(tier) > 0 for tier in both.found.tiers) >= 4


@pytest.mark.slow
def test_a_year_at_once_in_many_spans_or_one(small: CpuRuntime) -> None:
    raw = some_events(9, 400, 3000, Ways(rows=(-(2**18), 2**18), keys=1 << 16, most_lots=2**40, few_cohorts=False))
    last = int(raw.minute[-1])
    both = BothPasts(small, raw)

    both.compact(last - 30)

    other = compact(both.queue, both.on_device, 0, DevicePast.nothing(both.queue), last - 30, sizes=WHOLE)
    check_same(both.queue, both.defined, other)
    both.compact(last)


def test_more_blocks_than_a_block_has_threads(small: CpuRuntime) -> None:
    events = 1 + WHOLE.threads * WHOLE.sort_places
    both = BothPasts(small, at(FIRST, FIRST, events, row=np.arange(events) * 7 % 50, lots=1 + np.arange(events)), WHOLE)

    both.compact(FIRST + DAY)

    assert len(both.found.tiers[0]) == 50
    assert both.found.tiers[0].lots.memory.nbytes < 1000  # and not as much as there was to be merged


@pytest.mark.slow
def test_rows_that_were_coarsened_are_merged_by_the_next_compaction(small: CpuRuntime) -> None:
    both = BothPasts(small, some_events(4, 30, 900))
    last = int(both.raw.minute[-1])
    both.compact(last - 60)

    both.coarsen(5)
    both.compact(last)
    both.coarsen(2)

    assert both.found.coarsened == 2


LEDGERS: Final = {
    "nothing": at(FIRST, FIRST, 0),
    "nothing old enough": at(FIRST + 20 * DAY, FIRST, 5),
    "older than every tier": at(FIRST, FIRST - 400 * DAY, 300),
    "one cell, of more events than a tile and a sorted block": at(FIRST, FIRST, 300),
    "sums of nothing only": at(FIRST, FIRST, 300, lots=np.tile([2**40, -(2**40)], 150)),
    "sums of nothing among others": at(FIRST, FIRST, 300, lots=np.tile([5, -5, 4], 100), row=np.repeat([0, 0, 9], 100)),
    "opened and ended in one bin": at(FIRST, FIRST, 300, lots=np.repeat([9, -4], 150), cause=np.repeat([0, 2], 150)),
    "the ends of every type": at(
        FIRST, FIRST, 4, row=[-(2**31), 2**31 - 1, -1, 0], key=[0, 65535, 1, 2], lots=[2**62, -(2**62), -1, 1]
    ),
    "sums that wrap": at(FIRST, FIRST, 300, lots=2**62),
}


@pytest.mark.parametrize("age", [1, 12])
@pytest.mark.parametrize("name", LEDGERS)
def test_ledger_with_little_in_it(small: CpuRuntime, name: str, age: int) -> None:
    both = BothPasts(small, LEDGERS[name])

    both.compact(FIRST + (1 + age) * DAY)
    both.compact(FIRST + (2 + age) * DAY)


def test_compaction_that_has_nothing_new_gives_the_same_past(small: CpuRuntime) -> None:
    both = BothPasts(small, LEDGERS["opened and ended in one bin"])
    both.compact(FIRST + 2 * DAY)

    assert compact(both.queue, both.on_device, 0, both.found, FIRST + 2 * DAY) is both.found


@pytest.mark.slow
def test_kernels_as_they_are_shipped(runtime: CpuRuntime) -> None:
    both = BothPasts(runtime, some_events(2, 4, 9000, Ways(rows=(0, 500), few_cohorts=False)), MergeSizes())

    both.compact(int(both.raw.minute[-1]))

    assert len(both.found.tiers[0]) > 1024


@pytest.mark.slow
def test_without_memory_nothing_is_changed(small: CpuRuntime) -> None:
    """Whichever allocation fails, what there was is as good as before, and nothing stays allocated."""
    both = BothPasts(small, some_events(5, 20, 600))
    last = int(both.raw.minute[-1])
    both.compact(last - 1000)
    held = small.capacity_bytes - small.free_bytes()
    roomy = small.capacity_bytes
    refusals = 0

    for more in range(0, 1 << 20, 3 << 10):
        small.capacity_bytes = held + more
        with suppress(OutOfDeviceMemory):
            compact(both.queue, both.on_device, 0, both.found, last, sizes=SIZES)
            break
        refusals += 1
        assert small.free_bytes() == more

    assert refusals > 5
    small.capacity_bytes = roomy
    both.check()
    both.compact(last)


def test_caller_is_asked_before_each_slice_and_may_end_the_work(small: CpuRuntime) -> None:
    both = BothPasts(small, some_events(6, 8, 700))
    last = int(both.raw.minute[-1])
    both.compact(last - 1000)
    launched: list[int] = []

    def count() -> None:
        launched.append(len(small.launches))

    compact(both.queue, both.on_device, 0, both.found, last, count, SIZES)
    slices = np.diff([*launched, len(small.launches)])

    assert len(slices) > 10
    assert slices.max() < 40

    left = 10

    def give_up() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        compact(both.queue, both.on_device, 0, both.found, last, give_up, SIZES)
    both.check()
    both.compact(last)


def test_events_that_differ_too_much_are_refused_as_by_the_definition(small: CpuRuntime) -> None:
    raw = at(FIRST, FIRST, 2, row=[-(2**31), 2**31 - 1], key=[0, 65535], cause=[0, 2])
    raw = LedgerColumns(
        np.array([FIRST, FIRST + DAY], np.int32),
        np.array([FIRST, FIRST + DAY], np.int32),
        *(getattr(raw, name) for name in COLUMNS[2:]),
    )
    both = BothPasts(small, raw)
    now = FIRST + 2 * DAY

    with pytest.raises(ModelError) as wanted:
        numpy_tiers.compact(raw, 0, CompactedPast.nothing(), now)
    with pytest.raises(ModelError) as found:
        compact(both.queue, both.on_device, 0, both.found, now, sizes=SIZES)

    assert str(found.value) == str(wanted.value)


def test_tier_that_loses_and_gets_nothing_is_not_copied(small: CpuRuntime) -> None:
    both = BothPasts(small, at(FIRST, FIRST, 5))
    both.compact(FIRST + DAY)
    before = both.found

    both.compact(FIRST + DAY + 600)

    assert both.found.limits[0] > before.limits[0]
    assert both.found.tiers[0] is before.tiers[0]


def test_causes_are_on_the_device_where_a_tier_keeps_them(small: CpuRuntime) -> None:
    both = BothPasts(small, some_events(7, 12, 400))
    both.compact(int(both.raw.minute[-1]))

    for tier, run in zip(AGE_TIERS, both.found.tiers, strict=True):
        assert (run.cause is not None) == tier.keeps_cause
    sizes = [18 + tier.keeps_cause for tier in AGE_TIERS]
    assert both.found.nbytes == sum(n * len(run) for n, run in zip(sizes, both.found.tiers, strict=True))
    for first, until in ((FIRST, None), (FIRST + 5 * DAY, None), (FIRST, FIRST + 6 * DAY)):
        assert both.found.tiers_from(first, until) == both.defined.tiers_from(first, until)
