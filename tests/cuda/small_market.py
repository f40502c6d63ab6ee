"""A small case that every kernel takes part in, to be run where threads are slow or the kernels were broken on purpose.

As a program: run the library named by the first argument, in the order that the second may name; ends with 0 if the
results are those of NumPy, else with 1, if it does not crash.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.random import PCG64, Generator

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device.numpy_backend import NumpyBackend
from tests.cuda.cpu_module import CpuModule, Order
from tests.cuda.kernel_grids import KernelGrids
from tests.cuda.made_up_events import KEYS, random_events, until, view_of

THREADS: Final = 32

# Enough columns that the block of a channel, of 4 x THREADS, counts them in two rounds; and all rows a grid can have.
LONG: Final = Timeframe("long", column_minutes=1, columns=4 * THREADS + 5, span_permille=100, min_row_multiple=1)
WIDE: Final = Timeframe("wide", column_minutes=200, columns=1, span_permille=100, min_row_multiple=1)
LATELY: Final = Timeframe("lately", column_minutes=1, columns=4, span_permille=100, min_row_multiple=1)

NOW: Final = 75 * LONG.columns + 4 * THREADS + 1
"""What changes lies at the end of the ring, in both rounds."""


def equals_numpy(module: CpuModule) -> bool:
    """Bring two channels to now and say whether the kernels found what NumPy finds."""
    random = Generator(PCG64(1))
    weights = np.full(KEYS, WEIGHT_ONE, np.uint16)
    channels = [
        (LONG, RowRange(100, 33, 2), weights, np.full(33, 1e-9)),
        (WIDE, RowRange(0, 1024, 2), weights, np.full(1024, 1e-9)),
    ]
    # Threads and blocks meet in a few rows of a few columns.
    view = view_of(until(NOW, random_events(random, 1200, LATELY, NOW, RowRange(100, 4, 2))))
    grids = KernelGrids(module, channels, THREADS, largest_job=200)
    found = grids.advance([(view, NOW, None)] * len(channels))
    same = True
    for number, channel in enumerate(channels):
        buffer = NumpyBackend().channel_buffer(*channel)
        index, level = buffer.advance(view, NOW)
        same &= np.array_equal(found[number][0], index) and np.array_equal(found[number][1], level)
        same &= np.array_equal(grids.cells(number), buffer.cells())
        assert len(index) > 0, "a case in which nothing changes shows nothing"
    return same


def main(library: str, order: Order = "forward") -> int:
    module = CpuModule(Path(library))
    module.set_order(order, seed=2)
    return 0 if equals_numpy(module) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))  # type: ignore[arg-type]
