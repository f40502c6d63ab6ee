"""A live table summed by key and row on the device, against NumpyLiveTable.profile, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from liqscape.device.backend import LotRates
from liqscape.device.runtime import OutOfDeviceMemory
from tests.cuda.cpu_module import ORDERS, Order
from tests.cuda.cpu_runtime import CpuRuntime
from tests.cuda.live_operations import BothTables, Opened, Ways, opened, run

USUAL = Ways(rows=40, clocks=(0, 1 << 22))


def rates(*inverse: tuple[int, int]) -> LotRates:
    """Return rates of linear instruments, and then of inverse ones."""
    numbers = np.array([(1, 1), (1, 1), *inverse], np.int64)
    return LotRates(np.arange(len(numbers)) >= 2, numbers[:, 0].copy(), numbers[:, 1].copy())


@pytest.mark.parametrize("order", ORDERS)
def test_random_tables_equal_numpy(runtime: CpuRuntime, order: Order) -> None:
    """Negative rows among them, joined and half closed cohorts, and several blocks of cells."""
    runtime.set_order(order, seed=3)
    groups = (8, 2)
    both = BothTables(runtime, groups)
    run(both, Generator(PCG64(1)), groups, USUAL, steps=8)

    profile = both.profile(0, rates((3, 7), (1 << 30, 1)))

    assert len(profile.lots) > 100
    assert profile.row.min() < 0 < profile.row.max()
    assert len(both.profile(1, rates()).lots) > 10


def test_lots_times_numerator_may_pass_64_bits(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (6,))
    rows = np.array([-3, -1, 0, 1, 3000, 5], np.int32)
    keys = np.array([64, 65, 66, 67, 68, 0], np.uint16)
    both.append([Opened(1, rows, keys, np.full(6, (1 << 45) - 1), np.arange(6))])

    both.profile(0, rates((1 << 40, 3)))


def test_less_than_one_lot_and_what_has_ended_is_left_out(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (6,))
    rows, keys = np.array([10, 10, 11], np.int32), np.array([0, 64, 64], np.uint16)
    both.append([Opened(1, rows, keys, np.array([4, 20, 23]), np.zeros(3, np.int64))])

    profile = both.profile(0, rates((1, 1)))
    assert (profile.row.tolist(), profile.key.tolist(), profile.lots.tolist()) == ([10, 11], [0, 64], [4, 1])

    both.close([np.array([4, 0, 0, 0, 20, 0])])
    assert both.profile(0, rates((1, 1))).key.tolist() == [64]
    both.close([np.array([0, 0, 0, 0, 23, 0])])
    assert len(both.profile(0, rates((1, 1))).key) == 0


def test_empty_table(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (2,))

    assert len(both.profile(0, rates()).lots) == 0
    assert runtime.launches == []


@pytest.mark.parametrize("cells", [32, 96, 1 << 20])
def test_size_of_blocks_of_cells_does_not_matter(runtime: CpuRuntime, cells: int) -> None:
    """Cells of one key in several blocks, too."""
    both = BothTables(runtime, (4,), profile_cells=cells)
    both.append([opened(Generator(PCG64(2)), 1, 4, USUAL, 300)])

    assert len(both.profile(0, rates()).lots) > 100


def test_many_cohorts_of_one_row(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (4,))
    for minute in range(3):
        both.append([opened(Generator(PCG64(minute)), minute, 4, Ways(rows=0, clocks=(0, 9)), 50)])

    assert len(both.profile(0, rates()).lots) < len(both.found[0])


def test_profile_is_of_the_moment_it_was_asked_for(runtime: CpuRuntime) -> None:
    both = BothTables(runtime, (4,))
    random = Generator(PCG64(3))
    both.append([opened(random, 1, 4, USUAL, 30)])
    expected, profile = both.found[0].profile(rates())(), both.found[0].profile(rates())

    both.append([opened(random, 2, 4, USUAL, 300)])
    both.close([both.open_lots()[0] // 2])

    assert np.array_equal(profile().lots, expected.lots)


def test_table_stays_usable_without_memory(runtime_libraries: list[Path]) -> None:
    runtime = CpuRuntime(runtime_libraries)
    both = BothTables(runtime, (4,))
    both.append([opened(Generator(PCG64(4)), 1, 4, USUAL, 300)])

    runtime.capacity_bytes -= runtime.free_bytes()
    with pytest.raises(OutOfDeviceMemory, match="bytes free"):
        both.found[0].profile(rates())

    both.compare()
    runtime.capacity_bytes += 1 << 20
    both.profile(0, rates())
