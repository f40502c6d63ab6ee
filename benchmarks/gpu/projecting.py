"""The full recompute of all grids of a symbol, from raw events and from what they are merged to, and merging them.

At every size the grids are compared with NumPy's, which sums the same raw events: that shows the recompute from raw
events right, and merging lossless.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.device_books import device_view, host_view, last_day, queue_of, raw_ledger, visited
from benchmarks.gpu.hardware import host_ms
from benchmarks.gpu.made_events import NOW, MadeYear, make_year
from benchmarks.gpu.outcome import Figure, Spread
from benchmarks.gpu.plan import SEED, Ask, Run, asks_of
from benchmarks.gpu.watched_runtime import parts_ms
from liqscape.device.backend import AdvanceRequest, Backend, ChannelBuffer, LedgerColumns
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.cuda_ledger import CudaLedgerView
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.numpy_backend import NumpyBackend

Grid = NDArray[np.int64]

GRID_BYTES_OF_CELL: Final = 8 + 8 + 16 + 1
"""Cleared, summed by tile, read and written by the scan, and its level read."""

POISON: Final = 0x77

_SCANNING: Final = frozenset({"clear_tiles", "sum_tiles", "scan_levels"})
_SUMMING: Final = _SCANNING | {"project_columns"}
"""Kernels that make grids and levels; what is left of a tick finds what has changed."""


ALL_FRAMES: Final = "all timeframes"
"""The key of what was measured of all of them in one call, from raw events; with MERGED, from merged ones."""
MERGED: Final = ", merged"


@dataclass(frozen=True, slots=True)
class Ours:
    """What the device takes for one full recompute, as a tick asks for it: levels and what has changed included.

    Attributes:
        kernels_ms: of what clears, adds up and scans.
        whole_ms: from the first thing asked for to the end of the last: as peers are timed.
    """

    kernels_ms: float
    whole_ms: float


@dataclass(frozen=True, slots=True)
class Held:
    """What later steps use of a year: the events, on the host and merged on the device.

    Attributes:
        ours: by timeframe.
    """

    year: MadeYear
    past: DevicePast
    ours: dict[str, Ours]


def measure_year(run: Run, count: int) -> Held:
    """Do everything with a year of so many events.

    Raises:
        OutOfDeviceMemory: the device is too small for it.
    """
    started = time.perf_counter()
    year = make_year(count, SEED, run.sizes.days)
    run.outcome.say(f"  {len(year):,} events made in {time.perf_counter() - started:.1f} s")
    asks, name = asks_of(run.sizes, year.price), f"{count:,} raw events"
    with ThreadPoolExecutor(1) as beside:
        truth_is_due = beside.submit(numpy_grids, year.events, asks)
        backend = CudaBackend(run.runtime)
        raw = device_view(backend, year.events)
        truth = truth_is_due.result()  # before anything is timed: it uses every core
    whole = _grids(run, f"project.{count}.raw", name, backend, raw, asks, truth)
    ours = _each_frame(run, backend, raw, asks) | {ALL_FRAMES: whole}
    past = merge(run, count, backend, raw)
    if count <= run.sizes.numpy_merge_up_to:
        expected = host_view(year.events).compacted(NOW).tiers
        found = tuple(tier.read(queue_of(backend)) for tier in past.tiers)
        run.outcome.compare(f"{name} merged", _differing_tiers(found, expected))
    del raw
    merged = raw_ledger(backend, last_day(year.events), past).capture()
    whole = _grids(run, f"project.{count}.tiers", f"{name} merged to {len(merged):,}", backend, merged, asks, truth)
    ours[ALL_FRAMES + MERGED] = whole
    gc.collect()
    return Held(year, past, ours)


def merged_year(run: Run, count: int) -> Held:
    """Return a year of so many events, merged and not measured."""
    year, backend = make_year(count, SEED, run.sizes.days), CudaBackend(run.runtime)
    return Held(year, device_view(backend, year.events).compacted(NOW), {})


def merge(run: Run, count: int, backend: CudaBackend, raw: CudaLedgerView) -> DevicePast:
    """Merge all but the last day, and measure it."""
    on_host, on_device, past, shares = [], [], raw.past, dict[str, float]()
    for _ in range(min(2, run.sizes.repeats) if count <= run.sizes.numpy_merge_up_to else 1):
        with run.runtime.watching() as parts:
            started = time.perf_counter()
            past = raw.compacted(NOW)
            on_host.append((time.perf_counter() - started) * 1e3)
        on_device.append(sum(parts.values()))
        shares = {part: round(taken, 4) for part, taken in parts.items()}
    run.outcome.facts[f"merge.{count}.parts_ms"] = shares
    what = f"merging {count:,} raw events to {past.events:,}"
    floor = run.floor_ms(19 * (past.dropped_events + past.events))
    note = "floor: reading what is merged and writing what comes of it, once"
    for where, words, taken in (("host", "", on_host), ("device", ", the device alone", on_device)):
        run.outcome.add(Figure(f"merge.{count}.{where}", what + words, "ms", Spread.of(taken), floor, note=note))
    return past


def numpy_grids(events: LedgerColumns, asks: Sequence[Ask]) -> dict[str, Grid]:
    """Return NumPy's grids of raw events, each by a thread of its own."""
    view, backend = host_view(events), NumpyBackend()
    with ThreadPoolExecutor(len(asks)) as pool:
        grids = pool.map(lambda ask: backend.project(view, ask.frame, NOW, ask.rows, ask.weights), asks)
        return {ask.frame.name: grid for ask, grid in zip(asks, grids, strict=True)}


def buffers_of(backend: Backend, asks: Sequence[Ask]) -> list[ChannelBuffer]:
    """Return new channels of a backend."""
    return [backend.channel_buffer(ask.frame, ask.rows, ask.weights, ask.factors) for ask in asks]


def _grids(
    run: Run,
    key: str,
    name: str,
    backend: CudaBackend,
    view: CudaLedgerView,
    asks: Sequence[Ask],
    truth: dict[str, Grid],
) -> Ours:
    """Time and compare the recompute of all timeframes in one call."""
    buffers = [backend.channel_buffer(ask.frame, ask.rows, ask.weights, ask.factors) for ask in asks]
    requests = [AdvanceRequest(buffer, view, NOW) for buffer in buffers]
    queue = queue_of(backend)

    def again() -> None:
        backend.advance(requests)

    for attempt in ("", ", again"):
        for buffer in buffers:  # nothing of what was there may show
            queue.fill(buffer.memory.cells_on_device, POISON)
            queue.fill(buffer.memory.ring, POISON)
        again()
        found = {ask.frame.name: buffer.cells() for ask, buffer in zip(asks, buffers, strict=True)}
        rings = {ask.frame.name: buffer.levels() for ask, buffer in zip(asks, buffers, strict=True)}
        differences = chain(differing_grids(found, truth), _differing_rings(rings, truth, asks))
        run.outcome.compare(f"{len(asks)} grids of {name}, and their levels{attempt}", differences)
    parts = parts_ms(run.runtime, again, run.sizes.repeats)
    looked_at = [visited(view, ask.frame, NOW) for ask in asks]
    events, nbytes = (sum(column) for column in zip(*looked_at, strict=True))
    cells = sum(ask.frame.columns * ask.rows.count for ask in asks)
    events_floor, cells_floor = run.floor_ms(nbytes), run.floor_ms(cells * GRID_BYTES_OF_CELL)
    whole_floor = None if events_floor is None or cells_floor is None else events_floor + cells_floor
    note = f"{events:,} events looked at, {nbytes:,} bytes"
    wall = host_ms(again, run.sizes.repeats)
    add = run.outcome.add
    add(Figure(f"{key}.events", f"{name}: adding up", "ms", parts["project_columns"], events_floor, note=note))
    scans = _sum_of(parts, _SCANNING.__contains__)
    add(Figure(f"{key}.cells", f"{name}: grids and levels", "ms", scans, cells_floor, note=f"{cells:,} cells"))
    add(Figure(f"{key}.all", f"{name}: the device for all grids", "ms", parts["all"], whole_floor))
    add(Figure(f"{key}.host", f"{name}: the host for all grids", "ms", wall, whole_floor))
    run.outcome.facts[f"{key}.parts_ms"] = {part: round(spread.median, 4) for part, spread in parts.items()}
    return Ours(_sum_of(parts, _SUMMING.__contains__).median, parts["whole"].median)


def _each_frame(run: Run, backend: CudaBackend, view: CudaLedgerView, asks: Sequence[Ask]) -> dict[str, Ours]:
    """Measure the full recompute of each timeframe that peers make as well."""
    found = {}
    for ask in asks:
        if ask.frame not in run.sizes.peer_frames:
            continue

        requests = [AdvanceRequest(buffer, view, NOW) for buffer in buffers_of(backend, [ask])]
        parts = parts_ms(run.runtime, partial(backend.advance, requests), run.sizes.repeats)
        found[ask.frame.name] = Ours(_sum_of(parts, _SUMMING.__contains__).median, parts["whole"].median)
    return found


def _sum_of(parts: dict[str, Spread], wanted: Callable[[str], bool]) -> Spread:
    """Return the sum of some parts: of their medians, of their least and of their most."""
    chosen = [spread for part, spread in parts.items() if wanted(part)]
    return Spread(
        sum(s.median for s in chosen),
        sum(s.least for s in chosen),
        sum(s.most for s in chosen),
        chosen[0].count,
    )


def differing_grids(found: dict[str, Grid], expected: dict[str, Grid]) -> Iterator[str]:
    """Say which grids differ."""
    for name, grid in expected.items():
        wrong = int(np.count_nonzero(found[name] != grid)) if found[name].shape == grid.shape else grid.size
        if wrong:
            yield f"{name}: {wrong:,} of {grid.size:,} cells"


def _differing_rings(found: dict[str, NDArray[np.uint8]], truth: dict[str, Grid], asks: Sequence[Ask]) -> Iterator[str]:
    for ask in asks:
        levels = NumpyBackend().levels(truth[ask.frame.name], ask.factors)
        ring = np.roll(
            levels, ask.frame.first_column(NOW) % ask.frame.columns, axis=0
        )  # column c is at c modulo columns
        wrong = int(np.count_nonzero(found[ask.frame.name] != ring))
        if wrong:
            yield f"{ask.frame.name}: {wrong:,} of {ring.size:,} levels"


def _differing_tiers(found: Sequence[LedgerColumns], expected: Sequence[LedgerColumns]) -> Iterator[str]:
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        for column in fields(LedgerColumns):
            if not np.array_equal(getattr(one, column.name), getattr(other, column.name)):
                yield f"{column.name} of tier {number}"
