"""Delta grid to grid, levels and changed cells: the kernels against NumPy, bit for bit, in every order.

Seen to fail when broken on purpose, one at a time, in kernels.cu: the sums of earlier tiles left out; the wrap of the
ring left out; `usd >= 1099511627776.0` set to `>`; `usd < 512.0` to `usd < 400.0`; the factor as a float;
`other < warp` set to `warp < other`; the total of earlier rounds left out of offset_columns; the channels before left
out of write_changes; the ring not updated.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device.cuda_grids import Changes
from liqscape.device.numpy_backend import levels_of
from tests.cuda.cpu_module import ORDERS, CpuModule, Order
from tests.cuda.kernel_grids import KernelGrids

IN_FULL: Final = np.full(1, WEIGHT_ONE, np.uint16)


def grids_of(
    kernels: CpuModule, shapes: list[tuple[int, int]], factors: list[NDArray[np.float64]], threads: int = 64
) -> KernelGrids:
    """Return channels of the given columns and rows."""
    return KernelGrids(
        kernels,
        [
            (Timeframe("test", 1, columns, 100, 1), RowRange(0, rows, 1), IN_FULL, factor)
            for (columns, rows), factor in zip(shapes, factors, strict=True)
        ],
        threads,
    )


def expected_changes(
    ring: NDArray[np.uint8], cells: NDArray[np.int64], factor: NDArray[np.float64], newest_column: int
) -> Changes:
    """Return the changes by their definition, and update the ring."""
    columns = len(cells)
    position = (newest_column + 1 + np.arange(columns)) % columns
    after = ring.copy()
    after[position] = levels_of(cells, factor)
    index = np.flatnonzero(after != ring)
    ring[:] = after
    return index.astype(np.uint32), after.reshape(-1)[index]


def assert_same_changes(found: Changes, expected: Changes) -> None:
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


def some_deltas(random: Generator, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return deltas of every magnitude, half of them zero."""
    magnitude = np.left_shift(np.int64(1), random.integers(0, 58, shape))
    return magnitude * random.integers(-1, 3, shape) * random.integers(0, 2, shape)


@pytest.mark.parametrize("order", ORDERS)
def test_channels_of_many_shapes_over_a_wrapping_ring(kernels: CpuModule, order: Order) -> None:
    random = Generator(PCG64(3))
    shapes = [(1, 1), (31, 31), (32, 32), (33, 33), (70, 64), (97, 65), (40, 130), (5, 1024), (130, 3)]
    factors = [random.uniform(1e-5, 3e-4, rows) for _, rows in shapes]
    kernels.set_order(order, seed=11)
    grids = grids_of(kernels, shapes, factors)
    rings = [np.zeros(shape, np.uint8) for shape in shapes]
    for newest in (1000, 1000, 1001, 1017, 5000):
        deltas = [some_deltas(random, shape) for shape in shapes]
        grids.put_deltas(deltas, [newest] * len(shapes))

        changes = grids.scan()

        for number, (delta, ring, factor) in enumerate(zip(deltas, rings, factors, strict=True)):
            cells = delta.cumsum(axis=0)
            assert np.array_equal(grids.cells(number), cells)
            assert_same_changes(changes[number], expected_changes(ring, cells, factor, newest))
            assert np.array_equal(grids.ring(number), ring)


@pytest.mark.parametrize("threads", [32, 96, 256])
def test_sizes_of_blocks_change_nothing(kernels: CpuModule, threads: int) -> None:
    random = Generator(PCG64(4))
    shapes = [(300, 70), (40, 33)]
    factors = [random.uniform(1e-5, 3e-4, rows) for _, rows in shapes]
    grids = grids_of(kernels, shapes, factors, threads)
    deltas = [some_deltas(random, shape) for shape in shapes]
    grids.put_deltas(deltas, [450, 251])

    changes = grids.scan()

    for number, (delta, factor, newest) in enumerate(zip(deltas, factors, (450, 251), strict=True)):
        expected = expected_changes(np.zeros(shapes[number], np.uint8), delta.cumsum(axis=0), factor, newest)
        assert_same_changes(changes[number], expected)


def test_level_on_both_sides_of_every_bound(kernels: CpuModule) -> None:
    bounds = [level << 6 for level in range(8)] + [(8 + (c & 7)) << ((c >> 3) - 1) << 6 for c in range(8, 256)]
    dollars = np.array([d for bound in bounds for d in (bound - 1, bound, bound + 1)] + [2**40, 2**50, -(2**40), -64])
    grids = grids_of(kernels, [(len(dollars), 1)], [np.ones(1)])
    grids.put_deltas([np.diff(dollars, prepend=0).reshape(-1, 1)], [len(dollars) - 1])

    grids.scan()

    assert np.array_equal(grids.ring(0)[:, 0], levels_of(dollars, np.ones(1)))
    assert set(grids.ring(0)[:, 0].tolist()) == set(range(256))


def test_product_is_rounded_once_to_the_nearest(kernels: CpuModule) -> None:
    """Beside a bound the least error of the product, or of the conversion of a large count, shows in the level."""
    random = Generator(PCG64(5))
    factor = random.uniform(1e-5, 3e-4, 256)
    bounds = np.array([(8 + (c & 7)) << ((c >> 3) - 1) << 6 for c in range(8, 256)], np.float64)
    cells = (bounds[:, None] / factor[None, :]).astype(np.int64) + random.integers(-1, 2, (248, 256))
    grids = grids_of(kernels, [cells.shape], [factor])
    grids.put_deltas([np.diff(cells, axis=0, prepend=0)], [247])

    grids.scan()

    assert np.array_equal(grids.cells(0), cells)
    assert np.array_equal(grids.ring(0), levels_of(cells, factor))


def test_same_grid_again_changes_nothing(kernels: CpuModule) -> None:
    random = Generator(PCG64(6))
    grids = grids_of(kernels, [(50, 40)], [np.full(40, 1e-4)])
    deltas = some_deltas(random, (50, 40))
    grids.put_deltas([deltas], [77])
    first = grids.scan()
    grids.put_deltas([deltas], [77])

    again = grids.scan()

    assert len(first[0][0]) > 0
    assert_same_changes(again[0], (np.zeros(0, np.uint32), np.zeros(0, np.uint8)))


def test_every_cell_changes(kernels: CpuModule) -> None:
    deltas: NDArray[Any] = np.zeros((64, 96), np.int64)
    deltas[0] = 1 << 40
    grids = grids_of(kernels, [(64, 96)], [np.full(96, 1e-4)])
    grids.put_deltas([deltas], [1000])

    changes = grids.scan()

    assert np.array_equal(changes[0][0], np.arange(64 * 96))
