"""Events to grid: the kernels against NumpyBackend.project, bit for bit, in every order of threads and blocks.

Seen to fail when broken on purpose, one at a time, in kernels.cu: the carry left out of add_to_halves; `<` before
`channel.first_minute` set to `<=`; `at >= channel.rows` to `>`; the sign left out of coarse_row; the flush one row
short; the zeroing of `high` left out; the last of the events in flight left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import pytest
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device.backend import LedgerColumns
from liqscape.device.numpy_backend import NumpyBackend
from tests.cuda.cpu_module import ORDERS, CpuModule, Order
from tests.cuda.kernel_grids import projected
from tests.cuda.made_up_events import KEYS, ledger_columns, random_events, view_of

FRAME: Final = Timeframe("test", column_minutes=5, columns=40, span_permille=100, min_row_multiple=1)
ROWS: Final = RowRange(first=100, count=50, multiple=5)
NOW: Final = 10_003
"""Inside a column."""
IN_FULL: Final = np.full(KEYS, WEIGHT_ONE, np.uint16)

Case = tuple[LedgerColumns, RowRange, NDArray[np.uint16]]


def random_case(random: Generator) -> Case:
    weights = random.integers(0, 1 << 16, KEYS).astype(np.uint16)
    return random_events(random, 5000, FRAME, NOW, ROWS), ROWS, weights


def all_rows_of_a_full_grid(random: Generator) -> Case:
    rows = RowRange(first=3, count=1024, multiple=2)
    return random_events(random, 5000, FRAME, NOW, rows), rows, IN_FULL


def one_row(random: Generator) -> Case:
    rows = replace(ROWS, count=1)
    events = random_events(random, 3000, FRAME, NOW, rows)
    return replace(events, row=np.full(3000, rows.first * rows.multiple, np.int32)), rows, IN_FULL


def around_zero(random: Generator) -> Case:
    """Return sums that cross zero again and again: the high word changes with every event."""
    events = random_events(random, 3000, FRAME, NOW, replace(ROWS, count=2))
    size = np.where(random.integers(0, 2, 3000) == 0, 1, 1 << 40)
    lots = np.where(np.arange(3000) % 2 == 0, size, -np.roll(size, 1)) + random.integers(-1, 2, 3000)
    return replace(events, lots=lots), ROWS, np.where(np.arange(KEYS) % 2 == 0, WEIGHT_ONE, 1).astype(np.uint16)


def all_filtered_by_weight(random: Generator) -> Case:
    return random_events(random, 1000, FRAME, NOW, ROWS), ROWS, np.zeros(KEYS, np.uint16)


def all_opened_before_the_window(random: Generator) -> Case:
    events = random_events(random, 1000, FRAME, NOW, ROWS)
    first_minute = FRAME.first_column(NOW) * FRAME.column_minutes
    return replace(events, open_minute=np.full(1000, first_minute - 1, np.int32)), ROWS, IN_FULL


def empty(random: Generator) -> Case:
    return random_events(random, 0, FRAME, NOW, ROWS), ROWS, IN_FULL


def window_edges(random: Generator) -> Case:
    """Return an event at each side of each edge: of the window, of a column, of the rows, of now."""
    first_minute = FRAME.first_column(NOW) * FRAME.column_minutes
    minute = np.array([first_minute - 1, first_minute, first_minute + 4, first_minute + 5, NOW - 4, NOW, NOW + 1])
    low, high = ROWS.first * ROWS.multiple, (ROWS.first + ROWS.count) * ROWS.multiple
    row = np.array([low - 1, low, low + 4, low + 5, high - 1, high])
    minutes, opened, rows = (axis.reshape(-1) for axis in np.meshgrid(minute, minute, row, indexing="ij"))
    lots = random.integers(1, 1 << 44, len(rows))
    return ledger_columns(minutes, opened, rows, rows % KEYS, lots), ROWS, IN_FULL


def rows_at_the_ends_of_int32(random: Generator) -> Case:
    rows = RowRange(first=-3, count=7, multiple=5)
    events = random_events(random, 1000, FRAME, NOW, rows)
    far = random.choice([-(2**31), -(2**31) + 1, 2**31 - 1, -16, -15, -11, -10, -1, 0, 1, 19, 20], 1000)
    return replace(events, row=far.astype(np.int32)), rows, IN_FULL


def last_rows_of_int32(random: Generator) -> Case:
    rows = RowRange(first=(2**31 - 1) // 3 - 9, count=10, multiple=3)
    events = random_events(random, 1000, FRAME, NOW, replace(rows, first=0))
    return replace(events, row=(2**31 - 1 - random.integers(0, 40, 1000)).astype(np.int32)), rows, IN_FULL


def products_beyond_64_bits(random: Generator) -> Case:
    events = random_events(random, 1000, FRAME, NOW, replace(ROWS, count=4))
    lots = random.integers(-(2**63), 2**63 - 1, 1000)
    return replace(events, lots=lots), ROWS, np.full(KEYS, 65_535, np.uint16)


CASES: Final = (
    random_case,
    all_rows_of_a_full_grid,
    one_row,
    around_zero,
    all_filtered_by_weight,
    all_opened_before_the_window,
    empty,
    window_edges,
    rows_at_the_ends_of_int32,
    last_rows_of_int32,
    products_beyond_64_bits,
)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("case", CASES)
def test_grids_are_those_of_numpy(kernels: CpuModule, case: Callable[[Generator], Case], order: Order) -> None:
    events, rows, weights = case(Generator(PCG64(7)))
    kernels.set_order(order, seed=5)

    found = projected(kernels, view_of(events), FRAME, NOW, rows, weights, threads=64, largest_job=300)

    assert np.array_equal(found, NumpyBackend().project(view_of(events), FRAME, NOW, rows, weights))


@pytest.mark.parametrize(("threads", "largest_job"), [(32, 1), (32, 1 << 14), (64, 127), (256, 1 << 14)])
def test_sizes_of_blocks_and_jobs_change_nothing(kernels: CpuModule, threads: int, largest_job: int) -> None:
    view = view_of(random_events(Generator(PCG64(8)), 10_000, FRAME, NOW, ROWS))

    found = projected(kernels, view, FRAME, NOW, ROWS, IN_FULL, threads=threads, largest_job=largest_job)

    assert np.array_equal(found, NumpyBackend().project(view, FRAME, NOW, ROWS, IN_FULL))


@pytest.mark.parametrize("newest_column", [NOW // 5, NOW // 5 - 1, NOW // 5 - 3, NOW // 5 + 1])
def test_minutes_after_the_newest_column_count_in_it(kernels: CpuModule, newest_column: int) -> None:
    events, rows, weights = random_case(Generator(PCG64(9)))

    found = projected(kernels, view_of(events), FRAME, NOW, rows, weights, newest_column)

    expected = NumpyBackend().project(view_of(events), FRAME, NOW, rows, weights, newest_column)
    assert np.array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1024, 1025, 2500])
def test_grid_of_more_rows_than_a_block_holds(kernels: CpuModule, count: int) -> None:
    rows = RowRange(first=-1100, count=count, multiple=1)
    view = view_of(random_events(Generator(PCG64(10)), 5000, FRAME, NOW, rows))

    found = projected(kernels, view, FRAME, NOW, rows, IN_FULL)

    assert np.array_equal(found, NumpyBackend().project(view, FRAME, NOW, rows, IN_FULL))


def test_checkpoint_ends_the_work_between_two_slices(kernels: CpuModule) -> None:
    view = view_of(random_events(Generator(PCG64(11)), 5000, FRAME, NOW, ROWS))
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        projected(kernels, view, FRAME, NOW, ROWS, IN_FULL, checkpoint=stop, slice_events=500)

    assert len(calls) == 4
