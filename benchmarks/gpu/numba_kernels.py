"""The kernels that people write with Numba for such grids. Only import this where Numba is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

# The name NumPy gave up with 2.5, which Numba as of 0.68 still looks up when it compiles.
if not hasattr(np, "row_stack"):
    vars(np)["row_stack"] = np.vstack

# A global of this name is what Numba's simulator looks for.
cuda: Any = import_module("numba.cuda")


@cuda.jit
def add_events(grid, cells, values):  # type: ignore[no-untyped-def]
    at = cuda.grid(1)
    if at < cells.size and values[at] != 0:
        cuda.atomic.add(grid, cells[at], values[at])


@cuda.jit
def add_window(grid, minute, opened, row, lots, first_minute, column_minutes, first_row, multiple, rows):  # type: ignore[no-untyped-def]
    at = cuda.grid(1)
    if at >= lots.size or opened[at] < first_minute:
        return
    r = row[at] // multiple - first_row
    if 0 <= r < rows:
        column = minute[at] // column_minutes - first_minute // column_minutes
        cuda.atomic.add(grid, column * rows + r, np.uint64(lots[at]))
