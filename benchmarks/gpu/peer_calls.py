"""The library calls of peers.py, each behind the same few functions."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from operator import floordiv
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Window:
    """The window's part of a log, on the device of a library.

    Attributes:
        minute, open_minute, row, lots: of its events.
        columns, rows: of the grid.
    """

    minute: Any
    open_minute: Any
    row: Any
    lots: Any
    first_minute: int
    column_minutes: int
    first_row: int
    multiple: int
    columns: int
    rows: int

    def cells(self, floor_divide: Callable[[Any, int], Any] = floordiv) -> tuple[Any, Any]:
        """Return for each event its cell, 0 where it does not count, and whether it does."""
        row = floor_divide(self.row, self.multiple) - self.first_row
        counts = (row >= 0) & (row < self.rows) & (self.open_minute >= self.first_minute)
        column = floor_divide(self.minute, self.column_minutes) - self.first_minute // self.column_minutes
        return (column * self.rows + row) * counts, counts


@dataclass(frozen=True, slots=True)
class Peer:
    """A library call.

    Attributes:
        name: with the version of the library.
        put: brings a host array to its device.
        add: adds values to cells: from cells, values and the number of cells to a grid.
        whole: the grid of lots, from a window, by the call and whatever else it takes.
        read: brings a grid to the host.
        timer: gives the milliseconds of some work on its device.
        sums_in: the type it sums in.
        is_library: whether it is a call of a library, not a kernel that was written with one.
        has_call_alone: whether `add` is the call.
    """

    name: str
    put: Callable[[NDArray[Any]], Any]
    add: Callable[[Any, Any, int], Any]
    whole: Callable[[Window], Any]
    read: Callable[[Any], NDArray[Any]]
    timer: Callable[[Callable[[], object]], float]
    sums_in: str
    is_library: bool = True
    has_call_alone: bool = True


def find_peers(has_device: bool) -> tuple[list[Peer], list[tuple[str, str]]]:
    """Return the peers that are there, and of the others name and reason.

    Without a device NumPy stands in for CuPy, PyTorch has the CPU, and Numba its simulator.
    """
    peers: list[Peer] = []
    missing: list[tuple[str, str]] = []
    makers = (("cupy", _cupy_peers), ("torch", _torch_peers), ("numba.cuda", _numba_peers))
    for name, make in makers:
        try:
            peers += list(make(has_device))
        except Exception as error:  # an installation can be broken in any way
            missing.append((name, f"{type(error).__name__}: {error}"))
    return peers, missing


def free_memory() -> None:
    """Give back what these libraries keep for later."""
    if "cupy" in sys.modules:
        sys.modules["cupy"].get_default_memory_pool().free_all_blocks()
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.empty_cache()


def _cupy_peers(has_device: bool) -> Iterator[Peer]:
    xp, timer = _arrays_and_timer(has_device)
    name = f"{xp.__name__} {xp.__version__}"
    read = xp.asnumpy if has_device else np.asarray
    yield from array_peers(xp, name, xp.asarray, read, timer)
    scatter_add = import_module("cupyx").scatter_add if has_device else np.add.at

    def scatter(cells: Any, values: Any, size: int) -> Any:
        grid = xp.zeros(size, xp.uint64)  # it knows no int64; modulo 2^64 they are the same
        scatter_add(grid, cells, values.view(xp.uint64))
        return grid.view(xp.int64)

    yield Peer(
        f"{name} scatter_add", xp.asarray, scatter, lambda w: _whole(xp, scatter, w), read, timer, sums_in="int64"
    )


def _arrays_and_timer(has_device: bool) -> tuple[Any, Callable[[Callable[[], object]], float]]:
    """Return CuPy, or NumPy in its place, and what gives the milliseconds of some work with it."""
    if not has_device:
        return np, _host_ms
    cupy: Any = import_module("cupy")

    def timer(work: Callable[[], object]) -> float:
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record(cupy.cuda.Stream.null)
        work()
        end.record(cupy.cuda.Stream.null)
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(begin, end))

    return cupy, timer


def array_peers(
    xp: Any,
    name: str,
    put: Callable[[NDArray[Any]], Any],
    read: Callable[[Any], NDArray[Any]],
    timer: Callable[[Callable[[], object]], float],
) -> Iterator[Peer]:
    """Yield bincount and histogram2d of NumPy or of what has its functions."""

    def bincount(cells: Any, values: Any, size: int) -> Any:
        return xp.bincount(cells, weights=values, minlength=size)

    def histogram2d(window: Window) -> Any:
        counts = window.open_minute >= window.first_minute
        last_minute = window.first_minute + window.columns * window.column_minutes
        first_row = window.first_row * window.multiple
        ranges = [
            (window.first_minute - 0.5, last_minute - 0.5),
            (first_row - 0.5, first_row + window.rows * window.multiple - 0.5),
        ]
        made, _, _ = xp.histogram2d(
            window.minute, window.row, (window.columns, window.rows), ranges, weights=window.lots * counts
        )
        return xp.cumsum(made, axis=0)

    yield Peer(f"{name} bincount", put, bincount, lambda w: _whole(xp, bincount, w), read, timer, "float64")
    yield Peer(f"{name} histogram2d", put, bincount, histogram2d, read, timer, "float64", has_call_alone=False)


def _torch_peers(has_device: bool) -> Iterator[Peer]:
    """Yield scatter_add_ and bincount of PyTorch."""
    torch: Any = import_module("torch")
    device = "cuda" if has_device else "cpu"
    if has_device and not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU")

    def put(host: NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(host)).to(device)

    def timer(work: Callable[[], object]) -> float:
        if not has_device:
            return _host_ms(work)
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))

    def scatter(cells: Any, values: Any, size: int) -> Any:
        return torch.zeros(size, dtype=torch.int64, device=device).scatter_add_(0, cells.long(), values)

    def bincount(cells: Any, values: Any, size: int) -> Any:
        return torch.bincount(cells, weights=values.double(), minlength=size)

    def whole(add: Callable[[Any, Any, int], Any], window: Window) -> Any:
        cells, counts = window.cells(lambda a, b: torch.div(a, b, rounding_mode="floor"))
        grid = add(cells, window.lots * counts, window.columns * window.rows)
        return torch.cumsum(grid.reshape(window.columns, window.rows), 0)

    def read(grid: Any) -> NDArray[Any]:
        found: NDArray[Any] = grid.cpu().numpy()
        return found

    name = f"torch {torch.__version__}"
    yield Peer(f"{name} scatter_add_", put, scatter, lambda w: whole(scatter, w), read, timer, "int64")
    yield Peer(f"{name} bincount", put, bincount, lambda w: whole(bincount, w), read, timer, "float64")


def _numba_peers(has_device: bool) -> Iterator[Peer]:
    """Yield kernels compiled by Numba, for arrays of CuPy."""
    if not has_device:
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # read when it is imported
    kernels: Any = import_module("benchmarks.gpu.numba_kernels")
    xp, timer = _arrays_and_timer(has_device)

    def blocks(count: int) -> int:
        return max(1, -(-count // 256))

    def add(cells: Any, values: Any, size: int) -> Any:
        grid = xp.zeros(size, xp.uint64)
        kernels.add_events[blocks(len(cells)), 256](grid, cells, values.view(xp.uint64))
        return grid.view(xp.int64)

    def whole(window: Window) -> Any:
        grid = xp.zeros(window.columns * window.rows, xp.uint64)
        columns = (window.minute, window.open_minute, window.row, window.lots)
        axes = (window.first_minute, window.column_minutes, window.first_row, window.multiple, window.rows)
        kernels.add_window[blocks(len(window.row)), 256](grid, *columns, *axes)
        return xp.cumsum(grid.view(xp.int64).reshape(window.columns, window.rows), axis=0)

    name, read = f"numba {version('numba')} kernel", xp.asnumpy if has_device else np.asarray
    yield Peer(name, xp.asarray, add, whole, read, timer, "int64", is_library=False)


def _host_ms(work: Callable[[], object]) -> float:
    """Return the host's milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def _whole(xp: Any, add: Callable[[Any, Any, int], Any], window: Window) -> Any:
    cells, counts = window.cells()
    grid = add(cells, window.lots * counts, window.columns * window.rows)
    return xp.cumsum(grid.reshape(window.columns, window.rows), axis=0)
