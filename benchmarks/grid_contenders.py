"""Ways to the nine grids: the grid engine's full recompute, and other people's histograms on the same raw events.

Each peer gets what makes it fast: only the window's part of the time-ordered log, bins as axes of its own, lots of
opened cohorts in the window already chosen by one comparison, compilation outside the timing. Each answers with the
running sum along time, in lots. Float64 results are exact here: every partial sum is an integer far below 2^53.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device.backend import LedgerColumns, LedgerView
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.positions.weights import default_weights

EXACT_BELOW: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Window:
    """Which grid: the newest columns of a timeframe, and rows."""

    frame: Timeframe
    now_minute: int
    rows: RowRange

    @property
    def first_column(self) -> int:
        """Return the oldest column."""
        return self.frame.first_column(self.now_minute)

    @property
    def first_minute(self) -> int:
        """Return the oldest minute; what was opened before it does not count."""
        return self.first_column * self.frame.column_minutes

    def part(self, events: LedgerColumns) -> slice:
        """Return where the events of the window are."""
        begin, end = np.searchsorted(events.minute, [self.first_minute, self.now_minute + 1])
        return slice(int(begin), int(end))

    @property
    def ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the bounds of minutes and of base rows, half a unit low, so that no integer lies on an edge."""
        first_row = self.rows.first * self.rows.multiple
        return (
            (self.first_minute - 0.5, self.first_minute + self.frame.columns * self.frame.column_minutes - 0.5),
            (first_row - 0.5, first_row + self.rows.count * self.rows.multiple - 0.5),
        )


Grid = NDArray[np.int64] | NDArray[np.float64]
Project = Callable[[LedgerColumns, Window], Grid]


@dataclass(frozen=True, slots=True)
class Peer:
    """One rival: its name with version, the type it sums in, and how it computes a grid of lots [column, row]."""

    name: str
    sums_in: str
    project: Project


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to all nine grids; milliseconds are sums over the grids of the median of each."""

    name: str
    milliseconds: float
    by_timeframe: dict[str, float]
    wrong_grids: list[str]


def find_peers() -> tuple[list[Peer], list[str]]:
    """Return the peers that can be imported, and a line about each that cannot."""
    peers = [Peer(f"numpy.histogram2d {np.__version__}", "float64", with_histogram2d)]
    missing = []
    for name, make in (("boost_histogram", _boost_peer), ("numba", _numba_peer)):
        try:
            peers.append(make(import_module(name)))
        except ImportError as error:
            missing.append(f"{name} is not compared: {error}")
    return peers, missing


def is_exact_in_float64(events: LedgerColumns) -> bool:
    """Return whether no order of additions of any of the lots can leave what a float64 holds exactly."""
    return int(np.abs(events.lots).sum()) < EXACT_BELOW


def time_contender(
    name: str,
    windows: Sequence[Window],
    compute: Callable[[Window], NDArray[Any]],
    truth: Mapping[str, NDArray[np.int64]],
    repeats: int,
    unit: int = 1,
) -> Contender:
    """Time a way to all grids and compare what it gives.

    Args:
        name: shown to people.
        windows: the grids.
        compute: gives int64 or float64[column, row].
        truth: weighted lots by timeframe.
        repeats: how often each is timed.
        unit: weighted lots of one unit of compute's result.
    """
    times: dict[str, float] = {}
    wrong: list[str] = []
    for window in windows:
        grid = compute(window)  # compiled and in the cache before its time counts
        if not np.array_equal(grid.astype(np.int64) * unit, truth[window.frame.name]):
            wrong.append(window.frame.name)
        del grid
        times[window.frame.name] = _milliseconds(partial(compute, window), repeats)
    return Contender(name, sum(times.values()), times, wrong)


def recompute_contenders(
    raw: LedgerView | None, merged: LedgerView, windows: Sequence[Window], instruments: int, repeats: int
) -> Iterator[Contender | str]:
    """Time the full recompute from tiers, and where the raw log is at hand from it and by the peers.

    Yields:
        Each contender as soon as it is timed, the tiers first, or a line about a peer that is not compared.
    """
    backend, weights = NumpyBackend(), default_weights(instruments)

    def ours(view: LedgerView, window: Window) -> NDArray[np.int64]:
        return backend.project(view, window.frame, window.now_minute, window.rows, weights)

    truth = {w.frame.name: ours(merged if raw is None else raw, w) for w in windows}
    yield time_contender("from age tiers", windows, partial(ours, merged), truth, repeats)
    if raw is None:
        return
    yield time_contender("from the raw log", windows, partial(ours, raw), truth, repeats)
    events = raw.columns()
    peers, missing = find_peers()
    yield from missing
    for peer in peers:
        if peer.sums_in == "float64" and not is_exact_in_float64(events):
            yield f"{peer.name} is not compared: it sums in float64, and these lots pass 2^53"
        else:
            name = f"{peer.name}, {peer.sums_in}, raw"
            yield time_contender(name, windows, partial(peer.project, events), truth, repeats, WEIGHT_ONE)


def with_histogram2d(events: LedgerColumns, window: Window) -> Grid:
    """Compute a grid with numpy.histogram2d and cumsum."""
    minute, row, lots = _counted(events, window)
    bins = (window.frame.columns, window.rows.count)
    added, _, _ = np.histogram2d(minute, row, bins=bins, range=window.ranges, weights=lots)
    np.cumsum(added, axis=0, out=added)
    return added


def add_in_a_loop(
    grid: NDArray[np.int64],
    minute: NDArray[np.int32],
    open_minute: NDArray[np.int32],
    row: NDArray[np.int32],
    lots: NDArray[np.int64],
    first_minute: int,
    column_minutes: int,
    first_row: int,
    row_multiple: int,
) -> None:
    """Compute a grid the way one would write it in C; to be compiled.

    Args:
        grid: int64[column, row] of zeros, filled.
        minute, open_minute, row, lots: of the window's events.
        first_minute: a multiple of column_minutes.
        first_row: in rows of the grid.
    """
    columns, rows = grid.shape
    first_column = first_minute // column_minutes
    for i in range(len(minute)):
        if open_minute[i] >= first_minute:
            r = row[i] // row_multiple - first_row
            if 0 <= r < rows:
                grid[minute[i] // column_minutes - first_column, r] += lots[i]
    for c in range(1, columns):
        for r in range(rows):
            grid[c, r] += grid[c - 1, r]


def looped(loop: Callable[..., None], events: LedgerColumns, window: Window) -> NDArray[np.int64]:
    """Compute a grid with add_in_a_loop, compiled or not."""
    part = window.part(events)
    grid = np.zeros((window.frame.columns, window.rows.count), np.int64)
    arrays = (events.minute[part], events.open_minute[part], events.row[part], events.lots[part])
    loop(grid, *arrays, window.first_minute, window.frame.column_minutes, window.rows.first, window.rows.multiple)
    return grid


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return median(times)


def _boost_peer(module: Any) -> Peer:
    def project(events: LedgerColumns, window: Window) -> Grid:
        minute, row, lots = _counted(events, window)
        times, prices = window.ranges
        histogram = module.Histogram(
            module.axis.Regular(window.frame.columns, *times, underflow=False, overflow=False),
            module.axis.Regular(window.rows.count, *prices, underflow=False, overflow=False),
            storage=module.storage.Double(),
        )
        histogram.fill(minute, row, weight=lots)
        grid: NDArray[np.float64] = histogram.view()
        np.cumsum(grid, axis=0, out=grid)
        return grid

    return Peer(f"boost-histogram {module.__version__}", "float64", project)


def _numba_peer(module: Any) -> Peer:
    # numpy's rules for division by zero: without them every division is checked, which costs a fifth.
    compiled = module.njit(error_model="numpy")(add_in_a_loop)

    def project(events: LedgerColumns, window: Window) -> Grid:
        return looped(compiled, events, window)

    return Peer(f"numba {module.__version__}", "int64", project)


def _counted(events: LedgerColumns, window: Window) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    part = window.part(events)
    kept = events.open_minute[part] >= window.first_minute
    return events.minute[part][kept], events.row[part][kept], events.lots[part][kept]
