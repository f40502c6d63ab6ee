"""A small case that every kernel of the live table takes part in; see small_market.py.

The kernels are those of small_source: where every thread is one of the CPU, tiles of 1024 places take long.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.random import PCG64, Generator

from liqscape.device.backend import LotRates
from liqscape.device.nvrtc import PROFILE_KERNEL_FILE
from tests.cuda.cpu_module import CpuModule
from tests.cuda.cpu_runtime import CpuRuntime
from tests.cuda.live_operations import BothTables, Ways, opened

THREADS: Final = 64
"""Two warps where there is something to wait for, and one elsewhere."""

WORDS_OF_TILE: Final = 2

FEW: Final = Ways(rows=30, clocks=(0, 50))


def small_source(source: str) -> str:
    """Return the kernels of the live table, with tiles of as many places as a block has threads, and of profiles."""
    whole = "constexpr u32 WORDS_OF_TILE = WARP;"
    assert source.count(whole) == 1
    small = source.replace(whole, f"constexpr u32 WORDS_OF_TILE = {WORDS_OF_TILE};")
    return small + (files("liqscape.device") / PROFILE_KERNEL_FILE).read_text("utf-8")


def check_operations(library: Path) -> None:
    """Do each operation on two tables; several blocks join, and look through more cohorts than one has threads."""
    random = Generator(PCG64(1))
    both = BothTables(CpuRuntime([library]), (4, 2), THREADS // 2, 10, WORDS_OF_TILE, profile_cells=2000)
    both.append([opened(random, 1, 4, FEW, 85), opened(random, 1, 2, FEW, 5)])
    both.append([opened(random, 1, 4, FEW, 90), opened(random, 1, 2, FEW, 5)])
    assert both.sweep([np.array([20, -20, 20, -20]), np.array([20, -20])]) > 0
    assert both.close([lots * 3 // 4 for lots in both.open_lots()]) > 0
    both.append([opened(random, 2, 4, FEW, 5), None])
    number = np.array([1, 3])
    assert len(both.profile(0, LotRates(number > 1, number, number)).lots) > 0


def check_offsets(module: CpuModule) -> None:
    """Offset more tiles than a block has threads."""
    tiles = THREADS + 5
    words = Generator(PCG64(2)).integers(0, 1 << 32, tiles * WORDS_OF_TILE, np.uint32)
    spans = np.array([0, tiles * WORDS_OF_TILE * 32, 0], np.uint32)
    offsets, totals = np.empty(tiles, np.uint32), np.empty(1, np.uint32)

    module.get_function("offset_tiles")((1,), (THREADS,), (spans, words, offsets, totals))

    counts = np.bitwise_count(words).reshape(tiles, WORDS_OF_TILE).sum(axis=1)
    assert np.array_equal(offsets, np.cumsum(counts) - counts)
    assert totals[0] == counts.sum()


def main(library: str) -> None:
    module = CpuModule(Path(library))
    check_offsets(module)
    check_operations(Path(library))


if __name__ == "__main__":
    main(*sys.argv[1:])
