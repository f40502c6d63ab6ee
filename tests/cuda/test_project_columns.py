"""Events to delta grid: the kernel against NumpyBackend.project, bit for bit, in every order of threads and blocks.

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
from tests.cuda.kernel_grids import KernelGrids
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
def test_deltas_are_those_of_numpy(kernels: CpuModule, case: Callable[[Generator], Case], order: Order) -> None:
    events, rows, weights = case(Generator(PCG64(7)))
    view = view_of(events)
    kernels.set_order(order, seed=5)
    grids = KernelGrids(kernels, [(FRAME, rows, weights, np.ones(rows.count))], threads=64, largest_job=300)

    grids.project([(view, NOW, None)])

    expected = NumpyBackend().project(view, FRAME, NOW, rows, weights)
    assert np.array_equal(grids.cells(0).cumsum(axis=0), expected)


@pytest.mark.parametrize(("threads", "largest_job"), [(32, 1), (32, 1 << 14), (64, 127), (256, 1 << 14)])
def test_sizes_of_blocks_and_jobs_change_nothing(kernels: CpuModule, threads: int, largest_job: int) -> None:
    random = Generator(PCG64(8))
    view = view_of(random_events(random, 10_000, FRAME, NOW, ROWS))
    grids = KernelGrids(kernels, [(FRAME, ROWS, IN_FULL, np.ones(ROWS.count))], threads, largest_job)

    grids.project([(view, NOW, None)])

    expected = NumpyBackend().project(view, FRAME, NOW, ROWS, IN_FULL)
    assert np.array_equal(grids.cells(0).cumsum(axis=0), expected)


@pytest.mark.parametrize("newest_column", [NOW // 5, NOW // 5 - 1, NOW // 5 - 3, NOW // 5 + 1])
def test_minutes_after_the_newest_column_count_in_it(kernels: CpuModule, newest_column: int) -> None:
    events, rows, weights = random_case(Generator(PCG64(9)))
    view = view_of(events)
    grids = KernelGrids(kernels, [(FRAME, rows, weights, np.ones(rows.count))])

    grids.project([(view, NOW, newest_column)])

    expected = NumpyBackend().project(view, FRAME, NOW, rows, weights, newest_column)
    assert np.array_equal(grids.cells(0).cumsum(axis=0), expected)
