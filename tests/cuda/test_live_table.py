"""CudaLiveTables against NumpyLiveTable(exhaustive=True), bit for bit, in every order of threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from liqscape.device.backend import NO_TRIGGER, AppendRequest, CloseRequest, SweepRequest
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import ModelError
from tests.cuda.cpu_module import ORDERS, Order
from tests.cuda.cpu_runtime import CpuRuntime, CpuStream
from tests.cuda.live_operations import MOST_LOTS, BothTables, Opened, Ways, opened, random_triggers, run

FAR = 1 << 46
BYTES_OF_COHORT = 26
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
def test_random_operations_equal_numpy(runtime: CpuRuntime, order: Order, name: str) -> None:
    runtime.set_order(order, seed=5)
    groups = (4, 2, 10)
    random = Generator(PCG64(len(name)))

    ended = run(BothTables(runtime, groups), random, groups, WAYS[name], steps=30)

    assert min(ended.values()) > 50


def test_a_device_that_does_all_at_once(runtime_libraries: list[Path]) -> None:
    groups = (4, 2, 10)
    both = BothTables(CpuRuntime(runtime_libraries, is_slow=False), groups)

    ended = run(both, Generator(PCG64(8)), groups, WAYS["usual"], steps=6)

    assert min(ended.values()) > 0


@pytest.mark.parametrize("threads", [32, 128, 256])
def test_size_of_blocks_does_not_matter(runtime: CpuRuntime, threads: int) -> None:
    groups = (4, 2, 10)

    run(BothTables(runtime, groups, threads), Generator(PCG64(1)), groups, WAYS["usual"], steps=6)


@pytest.mark.slow
def test_four_hundred_groups_and_one_that_is_alone(runtime: CpuRuntime) -> None:
    groups = (400, 2, 400)
    ways = Ways(rows=300, clocks=(0, 1 << 22), most_opened=3000)

    ended = run(BothTables(runtime, groups), Generator(PCG64(2)), groups, ways, steps=8)

    assert min(ended.values()) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("order", ["forward", "shuffled"])
def test_one_group_of_thousands_beside_empty_ones_and_an_empty_table(runtime: CpuRuntime, order: Order) -> None:
    runtime.set_order(order, seed=1)
    random = Generator(PCG64(3))
    both = BothTables(runtime, (2, 400, 6))
    ways = Ways(rows=3000, clocks=(-1000, 1000), busy=371)
    for minute in (7, 7, 9):
        both.append(
            [nothing(minute), opened(random, minute, 400, ways, 2500), opened(random, minute, 6, WAYS["usual"], 3)]
        )
    for share in (3, 2, 1):
        assert both.close([lots // share for lots in both.open_lots()]) > 0
    assert counts(both) == [0, 0, 0]

    assert both.close([lots * 0 for lots in both.open_lots()]) == 0
    assert both.sweep([np.full(groups, 0) for groups in (2, 400, 6)]) == 0
    both.append([nothing(9), opened(random, 9, 400, ways, 10), nothing(9)])


@pytest.mark.slow
def test_equal_clocks_close_in_append_order(runtime: CpuRuntime) -> None:
    """In more places than two digits count, and more tiles than a block sees at once."""
    count = 140_000
    both = BothTables(runtime, (2, 4), threads=32)
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


def test_lowest_and_highest_clocks(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (2,))
    end = 1 << 47
    clocks = np.array([end - 1, -end, 0, -1, end - 1, -end, 1])
    key = np.array([0, 0, 0, 0, 0, 1, 0], np.uint16)  # a group that closes nothing has the lowest clock too
    both.append([Opened(1, np.arange(7, dtype=np.int32), key, np.full(7, 10), clocks)])

    for _ in range(6):
        assert both.close([np.array([9, 0])]) > 0


def test_only_live_cohorts_of_the_same_minute_are_joined(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (4,))
    key = np.array([1, 0, 32], np.uint16)
    rows = np.array([-5, 5, 5], np.int32)

    def batch(minute: int, clock: int) -> Opened:
        return Opened(minute, rows, key, np.array([1, 2, 3]), np.full(3, clock))

    both.append([batch(1, 10)])
    both.append([batch(2, 20)])
    both.sweep([np.array([NO_TRIGGER, NO_TRIGGER, 5, NO_TRIGGER])])
    both.append([batch(2, 30)])
    assert counts(both) == [5]
    both.close([np.array([5, 1, 0, 0])])
    both.append([batch(2, 40)])
    both.append([batch(3, 50)])


def test_ended_cohorts_are_dropped_and_columns_grow(runtime: CpuRuntime) -> None:
    random = Generator(PCG64(4))
    both = BothTables(runtime, (2, 2), min_compact=50)
    for minute in range(20):
        both.append([opened(random, minute, 2, WAYS["usual"], 40), opened(random, minute, 2, WAYS["usual"], 2)])
        both.close([both.open_lots()[0], np.zeros(2, np.int64)])

    both.append([nothing(20), opened(random, 20, 2, WAYS["usual"], 300)])

    first, second = (table.place for table in both.found)
    assert first.count == first.live == 0
    assert first.capacity < 200  # of 800 that ever were
    assert second.count == second.live == len(both.found[1]) > 300


def test_tables_come_and_go_while_others_are_full(runtime: CpuRuntime) -> None:
    random = Generator(PCG64(9))
    both = BothTables(runtime, (4, 2))
    run(both, random, (4, 2), WAYS["usual"], steps=3)

    both.add(6)
    both.compare()
    assert both.sweep([None, None, np.full(6, 5)]) == 0
    run(both, random, (4, 2, 6), WAYS["usual"], steps=3)
    both.drop(0)
    run(both, random, (2, 6), WAYS["usual"], steps=3)
    both.add(2)
    run(both, random, (2, 6, 2), WAYS["usual"], steps=3)


def test_dropped_tables_free_their_place(runtime: CpuRuntime) -> None:
    random = Generator(PCG64(10))
    both = BothTables(runtime, (2, 2))
    both.append([opened(random, 1, 2, WAYS["usual"], 3), opened(random, 1, 2, Ways(9000, (0, 9)), 4000)])
    free = runtime.free_bytes()

    both.drop(1)
    both.append([opened(random, 2, 2, WAYS["usual"], 20)])

    assert runtime.free_bytes() > free + 3900 * BYTES_OF_COHORT
    assert both.found[0].place.first == 0


def test_coarser_rows_equal_numpy(runtime: CpuRuntime) -> None:
    random = Generator(PCG64(5))
    groups = (4, 2, 10)
    both = BothTables(runtime, groups)
    run(both, random, groups, WAYS["usual"], steps=4)

    both.coarsen_rows([5, 1, 3])

    run(both, random, groups, WAYS["usual"], steps=3)


def test_closing_more_than_is_open_changes_nothing(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (2, 2))
    both.append([opened(Generator(PCG64(6)), 1, 2, WAYS["usual"], 20), nothing(1)])
    open_lots = both.open_lots()[0]

    for first, second in ((open_lots + np.arange(2), [0, 0]), (open_lots, [0, 1])):
        with pytest.raises(ModelError, match=r"asked to close .* lots by group, of which .* are open"):
            both.device.close([CloseRequest(both.found[0], first), CloseRequest(both.found[1], np.array(second))])
        both.compare()

    assert both.close([open_lots - 3, np.zeros(2, np.int64)]) > 0


def test_error_says_what_that_of_numpy_says(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (4,))
    both.append([opened(Generator(PCG64(11)), 1, 4, WAYS["usual"], 20)])
    wanted = both.open_lots()[0] * np.array([1, 2, 0, 1])

    with pytest.raises(ModelError) as found:
        both.found[0].close(wanted)
    with pytest.raises(ModelError) as expected:
        both.expected[0].close(wanted)

    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    ("key", "clock", "said"),
    [
        (0, 1 << 47, r"clocks .* are not all within \+-2\^47"),
        (0, -(1 << 47) - 1, r"clocks .* are not all within \+-2\^47"),
        (32, 0, "a key, up to 32, is of none of the 2 groups of its table"),
    ],
)
def test_what_no_table_can_hold_is_refused(runtime: CpuRuntime, key: int, clock: int, said: str) -> None:
    both = BothTables(runtime, (4, 2))
    good = opened(Generator(PCG64(7)), 1, 4, WAYS["usual"], 5)
    one = np.ones(1, np.int64)
    bad = Opened(1, one.astype(np.int32), np.array([key], np.uint16), one, np.array([clock]))

    with pytest.raises(ModelError, match=said):
        both.device.append([request(both, 0, good), request(both, 1, bad)])

    both.compare()


def test_tables_stay_usable_without_memory(runtime: CpuRuntime) -> None:
    random = Generator(PCG64(12))
    both = BothTables(runtime, (2, 2))
    usual, many = WAYS["usual"], Ways(rows=9000, clocks=(0, 99))
    for minute in (1, 2, 3):
        both.append([opened(random, minute, 2, usual, 20), opened(random, minute, 2, many, 700)])
        both.sweep([np.array([39, -39]), np.array([8900, -8900])])
        both.close([lots // 90 for lots in both.open_lots()])
    runtime.capacity_bytes -= runtime.free_bytes()

    for _ in range(2):
        with pytest.raises(OutOfDeviceMemory, match="bytes free"):
            both.device.append([request(both, 0, opened(random, 4, 2, many, 6000))])
        both.compare()
        with pytest.raises(OutOfDeviceMemory, match="bytes free"):  # no room for so many results
            both.found[1].sweep(np.array([-9000, 9000]))
        both.compare()
        with pytest.raises(OutOfDeviceMemory, match="bytes free"):
            both.found[1].close(both.open_lots()[1])
        both.compare()

    assert both.sweep([np.array([38, -38]), np.array([8880, -8880])]) > 0
    assert both.close([lots // 90 for lots in both.open_lots()]) > 0
    both.append([opened(random, 4, 2, usual, 2), None])


def test_dropping_what_has_ended_can_wait_for_memory(runtime_libraries: list[Path]) -> None:
    random = Generator(PCG64(13))
    runtime = CpuRuntime(runtime_libraries)
    both = BothTables(runtime, (2,), min_compact=50)
    both.append([opened(random, 1, 2, Ways(rows=9000, clocks=(0, 99)), 2000)])
    both.append([opened(random, 1, 2, Ways(rows=9000, clocks=(0, 99)), 2000)])
    both.close([both.open_lots()[0] * 3 // 4])
    place = both.found[0].place

    free, runtime.capacity_bytes = runtime.free_bytes(), runtime.capacity_bytes - runtime.free_bytes()
    both.append([opened(random, 2, 2, WAYS["usual"], 3)])
    assert place.count > 2 * place.live
    runtime.capacity_bytes += free
    both.append([opened(random, 2, 2, WAYS["usual"], 3)])
    assert place.count <= place.live + 3


class CountingStream(CpuStream):
    waits = 0

    def synchronize(self) -> None:
        CountingStream.waits += 1
        super().synchronize()


class CountingRuntime(CpuRuntime):
    def stream(self, *, urgent: bool) -> CpuStream:
        return CountingStream(self)

    def counted(self, work: Callable[[], object]) -> tuple[int, list[str]]:
        """Return how often some work waits, and what it launches."""
        waits, launches = CountingStream.waits, len(self.launches)
        work()
        return CountingStream.waits - waits, self.launches[launches:]


def test_an_operation_on_many_tables_waits_once_and_launches_once_a_stage(runtime_libraries: list[Path]) -> None:
    random = Generator(PCG64(14))
    runtime = CountingRuntime(runtime_libraries)
    both = BothTables(runtime, (4,) * 12)
    tables = both.found[2:]
    batches = [[opened(random, minute, 4, WAYS["usual"], 30) for _ in tables] for minute in (1, 2)]
    both.append([None, None, *batches[0]])

    def appending() -> object:
        return both.device.append([request(both, number, batch) for number, batch in enumerate(batches[1], 2)])

    def sweeping(row: int) -> object:
        return both.device.sweep([SweepRequest(table, np.full(4, row)) for table in tables])

    def closing(share: int) -> object:
        return both.device.close([CloseRequest(table, table_lots // share) for table, table_lots in lots])

    assert runtime.counted(appending) == (
        1,
        ["mark_live", "offset_tiles", "move_marked", "find_joined", "offset_tiles", "append_cohorts"],
    )
    taking = ["offset_tiles", "take_marked"]
    waits, launches = runtime.counted(lambda: sweeping(39))
    assert (waits, launches) == (2, ["mark_swept", *taking, "take_marked"])  # half of all: more than there was room for
    assert runtime.counted(lambda: sweeping(37)) == (1, ["mark_swept", *taking])
    lots = [(table, table.lots_by_group()) for table in tables]
    passes = ["sum_digits", "narrow_searches"] * 4  # clocks differ in 22 bits, places in 8 or fewer
    assert runtime.counted(lambda: closing(40)) == (2, [*passes, "mark_due", *taking, "take_marked"])
    lots = [(table, table.lots_by_group()) for table in tables]
    assert runtime.counted(lambda: closing(40)) == (1, [*passes, "mark_due", *taking])


def test_nobody_asked_costs_nothing(runtime_libraries: list[Path]) -> None:
    runtime = CountingRuntime(runtime_libraries)
    both = BothTables(runtime, (4, 2))
    both.append([opened(Generator(PCG64(15)), 1, 4, WAYS["usual"], 30), None])
    full, empty = both.found

    def ask() -> None:
        both.device.sweep([])
        both.device.sweep([SweepRequest(full, np.full(4, NO_TRIGGER)), SweepRequest(empty, np.zeros(2, np.int64))])
        both.device.close([CloseRequest(full, np.zeros(4, np.int64))])
        both.device.append([request(both, 1, nothing(2))])

    assert runtime.counted(ask) == (0, [])


def test_a_usual_tick_allocates_nothing(runtime: CpuRuntime) -> None:
    random = Generator(PCG64(16))
    both = BothTables(runtime, (4, 2), min_compact=1 << 20)
    for minute in range(6):
        both.append([opened(random, minute, groups, WAYS["usual"], 90) for groups in (4, 2)])
        both.sweep([random_triggers(random, groups, WAYS["usual"]) for groups in (4, 2)])
        both.close([lots // 10 for lots in both.open_lots()])
    room = [table.place.capacity - table.place.count for table in both.found]
    assert min(room) > 10, room
    runtime.capacity_bytes -= runtime.free_bytes()

    both.append([opened(random, 7, groups, WAYS["usual"], 10) for groups in (4, 2)])
    both.sweep([np.full(groups, NO_TRIGGER) for groups in (4, 2)])
    both.sweep([random_triggers(random, groups, WAYS["usual"]) for groups in (4, 2)])
    both.close([lots // 10 for lots in both.open_lots()])


def nothing(minute: int) -> Opened:
    return Opened(minute, *(np.empty(0, dtype) for dtype in (np.int32, np.uint16, np.int64, np.int64)))  # type: ignore[arg-type]


def request(both: BothTables, number: int, batch: Opened) -> AppendRequest:
    return AppendRequest(both.found[number], batch.open_minute, batch.rows, batch.keys, batch.lots, batch.clocks)


def counts(both: BothTables) -> list[int]:
    return [len(table) for table in both.found]
