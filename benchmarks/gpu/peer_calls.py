"""The library calls of peers.py, each behind the same few functions."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
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
    """Return the peers that are there, and of the others name and reason; without a device NumPy stands in for CuPy."""
    peers: list[Peer] = []
    missing: list[tuple[str, str]] = []
    makers = (("cupy", _cupy_peers), ("torch", _torch_peers), ("numba.cuda", _numba_peers))
    for name, make in makers:
        if not has_device:
            missing.append((name, "there is no GPU"))
            continue
        try:
            peers += list(make())
        except Exception as error:  # an installation can be broken in any way
            missing.append((name, f"{type(error).__name__}: {error}"))
    return (peers if has_device else list(_numpy_peers())), missing


def free_memory() -> None:
    """Give back what these libraries keep for later."""
    if "cupy" in sys.modules:
        sys.modules["cupy"].get_default_memory_pool().free_all_blocks()
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.empty_cache()


def _cupy_peers() -> Iterator[Peer]:
    cupy, cupyx = import_module("cupy"), import_module("cupyx")

    def timer(work: Callable[[], object]) -> float:
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record(cupy.cuda.Stream.null)
        work()
        end.record(cupy.cuda.Stream.null)
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(begin, end))

    def scatter(cells: Any, values: Any, size: int) -> Any:
        grid = cupy.zeros(size, cupy.uint64)  # it knows no int64; modulo 2^64 they are the same
        cupyx.scatter_add(grid, cells, values.view(cupy.uint64))
        return grid.view(cupy.int64)

    version = f"cupy {cupy.__version__}"
    yield from array_peers(cupy, version, cupy.asarray, cupy.asnumpy, timer)
    yield Peer(
        name=f"{version} scatter_add",
        put=cupy.asarray,
        add=scatter,
        whole=lambda window: _whole(cupy, scatter, window),
        read=cupy.asnumpy,
        timer=timer,
        sums_in="int64",
    )


def array_peers(
    xp: Any,
    version: str,
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

    yield Peer(f"{version} bincount", put, bincount, lambda w: _whole(xp, bincount, w), read, timer, "float64")
    yield Peer(f"{version} histogram2d", put, bincount, histogram2d, read, timer, "float64", has_call_alone=False)


def _torch_peers() -> Iterator[Peer]:
    torch = import_module("torch")
    if not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU")
    yield from torch_peers(torch, "cuda")


def torch_peers(torch: Any, device: str) -> Iterator[Peer]:
    """Yield scatter_add_ and bincount of PyTorch."""

    def put(host: NDArray[Any]) -> Any:
        return torch.from_numpy(np.ascontiguousarray(host)).to(device)

    def timer(work: Callable[[], object]) -> float:
        if device == "cpu":
            return _seconds(work)
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

    version = f"torch {torch.__version__}"
    yield Peer(f"{version} scatter_add_", put, scatter, lambda w: whole(scatter, w), read, timer, "int64")
    yield Peer(f"{version} bincount", put, bincount, lambda w: whole(bincount, w), read, timer, "float64")


def _numba_peers() -> Iterator[Peer]:
    cupy, numba, cuda = (import_module(name) for name in ("cupy", "numba", "numba.cuda"))

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

    def blocks(count: int) -> int:
        return max(1, -(-count // 256))

    def add(cells: Any, values: Any, size: int) -> Any:
        grid = cupy.zeros(size, cupy.uint64)
        add_events[blocks(len(cells)), 256](grid, cells, values.view(cupy.uint64))
        return grid.view(cupy.int64)

    def whole(window: Window) -> Any:
        grid = cupy.zeros(window.columns * window.rows, cupy.uint64)
        columns = (window.minute, window.open_minute, window.row, window.lots)
        axes = (window.first_minute, window.column_minutes, window.first_row, window.multiple, window.rows)
        add_window[blocks(len(window.row)), 256](grid, *columns, *axes)
        return cupy.cumsum(grid.view(cupy.int64).reshape(window.columns, window.rows), axis=0)

    for base in _cupy_peers():
        if base.sums_in == "int64":
            name = f"numba {numba.__version__} kernel"
            yield Peer(name, base.put, add, whole, base.read, base.timer, "int64", is_library=False)


def _numpy_peers() -> Iterator[Peer]:
    yield from array_peers(np, f"numpy {np.__version__}", np.asarray, np.asarray, _seconds)


def _seconds(work: Callable[[], object]) -> float:
    """Return the host's milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def _whole(xp: Any, add: Callable[[Any, Any, int], Any], window: Window) -> Any:
    cells, counts = window.cells()
    grid = add(cells, window.lots * counts, window.columns * window.rows)
    return xp.cumsum(grid.reshape(window.columns, window.rows), axis=0)
