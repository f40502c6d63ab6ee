"""Live tables: the kernels against NumpyLiveTable(exhaustive=True), bit for bit, in every order of threads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from liqscape.device.backend import NO_TRIGGER
from liqscape.errors import ModelError
from tests.cuda.cpu_module import ORDERS, CpuModule, Order
from tests.cuda.live_operations import MOST_LOTS, BothTables, Ways, opened, run
from tests.cuda.live_tables import Opened

FAR = 1 << 46
WAYS = {
    "usual": Ways(rows=40, clocks=(0, 1 << 22)),
    "negative and far clocks": Ways(rows=40, clocks=(-FAR, FAR)),
    "few clocks": Ways(rows=40, clocks=(-2, 2), most_lots=3),
    "one clock, few rows": Ways(rows=2, clocks=(5, 6)),
    "one group of many": Ways(rows=200, clocks=(-300, 300), busy=1, most_opened=400),
}


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", WAYS)
def test_random_operations_equal_numpy(live_kernels: CpuModule, order: Order, name: str) -> None:
    live_kernels.set_order(order, seed=5)
    groups = (4, 2, 10)
    random = Generator(PCG64(len(name)))

    ended = run(BothTables(live_kernels, groups), random, groups, WAYS[name], steps=30)

    assert min(ended.values()) > 50


@pytest.mark.parametrize("threads", [32, 128, 256])
def test_size_of_blocks_does_not_matter(live_kernels: CpuModule, threads: int) -> None:
    groups = (4, 2, 10)

    run(BothTables(live_kernels, groups, threads), Generator(PCG64(1)), groups, WAYS["usual"], steps=6)


@pytest.mark.slow
def test_four_hundred_groups_and_one_that_is_alone(live_kernels: CpuModule) -> None:
    groups = (400, 2, 400)
    ways = Ways(rows=300, clocks=(0, 1 << 22), most_opened=3000)

    ended = run(BothTables(live_kernels, groups), Generator(PCG64(2)), groups, ways, steps=8)

    assert min(ended.values()) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("order", ["forward", "shuffled"])
def test_one_group_of_thousands_beside_empty_ones_and_an_empty_table(live_kernels: CpuModule, order: Order) -> None:
    live_kernels.set_order(order, seed=1)
    random = Generator(PCG64(3))
    both = BothTables(live_kernels, (2, 400, 6))
    ways = Ways(rows=3000, clocks=(-1000, 1000), busy=371)
    for minute in (7, 7, 9):
        both.append(
            [nothing(minute), opened(random, minute, 400, ways, 2500), opened(random, minute, 6, WAYS["usual"], 3)]
        )
    for share in (3, 2, 1):
        assert both.close([lots // share for lots in both.open_lots()]) > 0
    assert both.found.counts() == [0, 0, 0]

    assert both.close([lots * 0 for lots in both.open_lots()]) == 0
    assert both.sweep([np.full(groups, 0) for groups in (2, 400, 6)]) == 0
    both.append([nothing(9), opened(random, 9, 400, ways, 10), nothing(9)])


@pytest.mark.slow
def test_equal_clocks_close_in_append_order(live_kernels: CpuModule) -> None:
    """In more places than two digits count, and more tiles than a block sees at once."""
    count = 140_000
    both = BothTables(live_kernels, (2, 4), threads=32)
    batch = Opened(
        1,
        np.arange(count, dtype=np.int32),
        np.full(count, 33, np.uint16),
        np.full(count, MOST_LOTS),
        np.full(count, -7),
    )
    both.append([nothing(1), batch])

    for cohorts in (3, 65_536, 66_000):
        both.close([np.zeros(2, np.int64), np.array([0, 0, 0, cohorts * MOST_LOTS + 5])])


def test_lowest_and_highest_clocks(live_kernels: CpuModule) -> None:
    both = BothTables(live_kernels, (2,))
    end = 1 << 47
    clocks = np.array([end - 1, -end, 0, -1, end - 1, -end, 1])
    key = np.array([0, 0, 0, 0, 0, 1, 0], np.uint16)  # a group that closes nothing has the lowest clock too
    both.append([Opened(1, np.arange(7, dtype=np.int32), key, np.full(7, 10), clocks)])

    for _ in range(6):
        assert both.close([np.array([9, 0])]) > 0


def test_only_live_cohorts_of_the_same_minute_are_joined(live_kernels: CpuModule) -> None:
    both = BothTables(live_kernels, (4,))
    key = np.array([1, 0, 32], np.uint16)
    rows = np.array([-5, 5, 5], np.int32)

    def batch(minute: int, clock: int) -> Opened:
        return Opened(minute, rows, key, np.array([1, 2, 3]), np.full(3, clock))

    both.append([batch(1, 10)])
    both.append([batch(2, 20)])
    both.sweep([np.array([NO_TRIGGER, NO_TRIGGER, 5, NO_TRIGGER])])
    both.append([batch(2, 30)])
    assert both.found.counts() == [5]
    both.close([np.array([5, 1, 0, 0])])
    both.append([batch(2, 40)])
    both.append([batch(3, 50)])


def test_ended_cohorts_are_dropped_and_columns_grow(live_kernels: CpuModule) -> None:
    random = Generator(PCG64(4))
    both = BothTables(live_kernels, (2, 2), min_compact=50)
    for minute in range(20):
        both.append([opened(random, minute, 2, WAYS["usual"], 40), opened(random, minute, 2, WAYS["usual"], 2)])
        both.close([both.open_lots()[0], np.zeros(2, np.int64)])

    both.append([nothing(20), opened(random, 20, 2, WAYS["usual"], 300)])

    assert len(both.found.capture(0)) == 0
    assert len(both.found.capture(1)) == both.found.counts()[1] > 300


def test_coarser_rows_equal_numpy(live_kernels: CpuModule) -> None:
    random = Generator(PCG64(5))
    groups = (4, 2, 10)
    both = BothTables(live_kernels, groups)
    run(both, random, groups, WAYS["usual"], steps=4)

    both.coarsen_rows([5, 1, 3])

    run(both, random, groups, WAYS["usual"], steps=3)


def test_closing_more_than_is_open_changes_nothing(live_kernels: CpuModule) -> None:
    both = BothTables(live_kernels, (2, 2))
    both.append([opened(Generator(PCG64(6)), 1, 2, WAYS["usual"], 20), nothing(1)])
    open_lots = both.open_lots()[0]

    for first, second in ((open_lots + np.arange(2), [0, 0]), (open_lots, [0, 1])):
        with pytest.raises(ModelError, match=r"asked to close .* lots by group, of which .* are open"):
            both.found.close([np.asarray(first), np.array(second)])

    both.close([open_lots, np.zeros(2, np.int64)])


@pytest.mark.parametrize(
    ("key", "clock", "said"),
    [
        (0, 1 << 47, r"clocks .* are not all within \+-2\^47"),
        (0, -(1 << 47) - 1, r"clocks .* are not all within \+-2\^47"),
        (32, 0, "a key, up to 32, is of none of the 2 groups of table 1"),
    ],
)
def test_what_no_table_can_hold_is_refused(live_kernels: CpuModule, key: int, clock: int, said: str) -> None:
    both = BothTables(live_kernels, (4, 2))
    good = opened(Generator(PCG64(7)), 1, 4, WAYS["usual"], 5)
    one = np.ones(1, np.int64)
    bad = Opened(1, one.astype(np.int32), np.array([key], np.uint16), one, np.array([clock]))

    with pytest.raises(ModelError, match=said):
        both.found.append([good, bad])

    assert both.found.counts() == [0, 0]


def nothing(minute: int) -> Opened:
    return Opened(minute, *(np.empty(0, dtype) for dtype in (np.int32, np.uint16, np.int64, np.int64)))  # type: ignore[arg-type]
