"""What every figure of a run should be, worked out from sizes and from what is known of such devices, before any of it
is measured. A figure that misses its prediction by more than two needs an explanation.

Known: memory of an H200 copies at 4.3 TB/s, bytes read and written, of an H100 at 3.0; histograms of others add 474
billion samples a second in shared memory on a newer GPU and 60 billion on an H100, and 2.8 billion in global memory.
Everything else here is reasoning, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.gpu.device_books import EVENT_BYTES
from benchmarks.gpu.hardware import SHARED_KINDS
from benchmarks.gpu.living import CLOSED_BYTES, SWEPT_BYTES
from benchmarks.gpu.made_events import DAY
from benchmarks.gpu.plan import Book, Sizes
from benchmarks.gpu.projecting import GRID_BYTES_OF_CELL
from liqscape.device.runtime import DeviceFacts

BANDWIDTHS: Final = {"H200": 4.3e9, "H100": 3.0e9}
"""Bytes a millisecond, read and written."""
OTHER_BANDWIDTH: Final = 1.5e9
PCIE: Final = 50e6
"""Bytes a millisecond from or to pinned memory: of 64 GB/s of the fifth generation, what is usual."""

GLOBAL_ADDS: Final = 10e6
"""A millisecond, spread over many cells of the second-level cache: between the 3 and 20 billion a second reported."""
ONE_CELL_ADDS: Final = 1.7e6
"""One a clock of that cache, where all go to one address."""
SHARED_ADDS: Final = {
    ("halves", "spread"): 280e6,
    ("wide", "spread"): 60e6,
    ("narrow", "spread"): 350e6,
    ("halves", "same"): 60e6,
    ("wide", "same"): 4e6,
    ("narrow", "same"): 100e6,
}
"""A millisecond. narrow, spread: a little under the 474 billion of a newer GPU. halves: the second addition is rare,
but the answer of the first is waited for. same: 32 additions to one address take turns, about two clocks each; a loop
of compare-and-swap tries again for all that lost."""

LAUNCH_MS: Final = 0.004
"""Of one kernel that waits for the one before: the gap and the ramp."""
ASK_MS: Final = 0.007
"""Of the host, to ask for a launch through two layers of Python."""
WAIT_MS: Final = 0.02
"""Of the host, to wait for the device and to be told."""
OVERHEAD: Final = 1.3
"""What a kernel takes over its floor: blocks that start and end, and loads that wait for each other."""
MERGED_SHARE: Final = ((1e6, 0.65), (1e7, 0.56), (4e7, 0.44), (1e8, 0.36), (3e8, 0.28))
"""Of so many raw events of a year, what is left merged: NumPy's merge of the first three sizes, carried on by eye."""
TIER_VISITS: Final = 2.1
"""How often the nine grids look at a merged event, counted for years of 3 and 24 million: the oldest tiers hold most
and are read by few."""
TIER_BYTES: Final = 15
"""Of a merged event: most are known to have opened within the window, so their open minute is not read."""
TIER_EVENTS_OF_ADDITION: Final = 4
"""A thread adds up as many neighbours as share a row, which merged ones do."""
FLUSHED: Final = (3.4e6, 1.0e6, 0.42)
"""Of so many merged events so many sums go to global memory for nine grids, growing with this power: counted for years
of 3 and 24 million."""
SORT_PASSES: Final = 8
"""Passes of a merge over what it sorts, each reading and writing a code of 8 bytes and a place of 4."""
SYMBOL_MS: Final = 0.06
"""Of the host for each symbol of a tick without a roll: its events, its runs, its nine channels, in Python and NumPy;
taken of a runtime that launches nothing."""
ROLL_MS: Final = 0.3
"""The same where a column rolls and all jobs are written anew."""
CELL_COUNT: Final = 450_000
"""Of a grid, about: 720 columns of 420 to 1,024 rows."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of the figure of that key."""

    key: str
    value: float
    unit: str
    reason: str


def predict(sizes: Sizes, facts: DeviceFacts) -> list[dict[str, Any]]:
    """Return predictions as plain values."""
    bandwidth = next((rate for name, rate in BANDWIDTHS.items() if name in facts.name), OTHER_BANDWIDTH)
    found = [
        *_hardware(sizes, bandwidth),
        *(p for count in sizes.years for p in _year(sizes, count, bandwidth)),
        *(p for book in (sizes.small, sizes.honest) for p in _ticks(sizes, book, bandwidth)),
        *_tables(sizes, bandwidth),
        *_peers(sizes, bandwidth),
    ]
    return [asdict(prediction) for prediction in found]


def _hardware(sizes: Sizes, bandwidth: float) -> Iterator[Prediction]:
    rate = bandwidth * 1e-6
    yield Prediction("copy.memcpy", rate, "GB/s", "seen on such a device")
    yield Prediction("copy.kernel", rate, "GB/s", "as the copy of the driver")
    yield Prediction("copy.read", 0.95 * rate, "GB/s", "reading alone needs no turning of the bus, but is counted once")
    yield Prediction("copy.up", PCIE * 1e-6, "GB/s", "fifth generation of PCIe")
    yield Prediction("copy.down", PCIE * 1e-6, "GB/s", "fifth generation of PCIe")
    yield Prediction("copy.staged", 8.0, "GB/s", "one core copies into pinned memory first, and waits every 8 MB")
    for cells in sizes.grid_cells:
        one = cells == 1
        reason = "one address, one addition a clock" if one else "spread over the second-level cache"
        yield Prediction(f"adds.global.{cells}", (ONE_CELL_ADDS if one else GLOBAL_ADDS) * 1e-6, "G/s", reason)
    for kind in SHARED_KINDS:
        for where in ("spread", "same"):
            value = SHARED_ADDS[kind, where] * 1e-6
            yield Prediction(f"adds.shared.{kind}.{where}", value, "G/s", "see SHARED_ADDS")
    yield Prediction("launch.host", ASK_MS * 1e3, "us", "Python, CuPy and the driver")
    yield Prediction("launch.device", ASK_MS * 1e3, "us", "the host asks more slowly than the device does nothing")
    yield Prediction("launch.alone", (ASK_MS + LAUNCH_MS) * 1e3, "us", "the host asks while the device waits")
    yield Prediction("read.word", WAIT_MS * 1e3, "us", "a copy and a wait")
    for cells in sizes.changed_cells:
        value = WAIT_MS + 5 * cells / PCIE + 5 * cells / 8e6
        yield Prediction(f"read.cells.{cells}", value, "ms", "5 bytes a cell over PCIe, then copied by one core")


def _year(sizes: Sizes, count: int, bandwidth: float) -> Iterator[Prediction]:
    spans = [min(1.0, f.columns * f.column_minutes / (sizes.days * DAY)) for f in sizes.frames]
    visits = count * sum(spans)
    merged = count * _merged_share(count)
    cells_ms = len(sizes.frames) * CELL_COUNT * GRID_BYTES_OF_CELL / bandwidth * OVERHEAD + 3 * LAUNCH_MS
    for what, parts in (
        ("raw", _raw_parts(visits, count, bandwidth)),
        ("tiers", _tier_parts(merged, bandwidth)),
    ):
        adding = _adding(parts)
        key = f"project.{count}.{what}"
        yield Prediction(f"{key}.events", adding, "ms", _words(parts))
        yield Prediction(f"{key}.cells", cells_ms, "ms", f"{GRID_BYTES_OF_CELL} bytes a cell, three launches")
        device = adding + cells_ms + 3 * LAUNCH_MS
        yield Prediction(f"{key}.all", device, "ms", "both, and what counts and writes changes")
        yield Prediction(f"{key}.host", device + 10 * ASK_MS + WAIT_MS + 0.1, "ms", "the device, launches, one wait")
    moved = 19 * (count + merged) + SORT_PASSES * 24 * count
    merging = OVERHEAD * moved / bandwidth + 200 * LAUNCH_MS
    yield Prediction(f"merge.{count}.device", merging, "ms", f"{SORT_PASSES} passes over codes, and the events once")
    yield Prediction(f"merge.{count}.host", merging + 5 + 400 * ASK_MS, "ms", "the device, and some hundred launches")


def _ticks(sizes: Sizes, book: Book, bandwidth: float) -> Iterator[Prediction]:
    for symbols in book.symbols:
        parts = {name: symbols * value for name, value in _tier_parts(book.tier_events, bandwidth).items()}
        cells = symbols * len(sizes.frames) * CELL_COUNT * GRID_BYTES_OF_CELL / bandwidth
        device = _adding(parts) + OVERHEAD * cells + 6 * LAUNCH_MS
        host = symbols * SYMBOL_MS + 10 * ASK_MS + 2 * WAIT_MS
        key = f"tick.{book.name}.{symbols}"
        yield Prediction(f"{key}.device", device, "ms", f"{_words(parts)}, {cells:.3g} ms of cells")
        yield Prediction(f"{key}.host", device + host, "ms", f"the device, then {host:.3g} ms of Python around it")
        rolling = device + host + symbols * ROLL_MS
        yield Prediction(f"{key}.host_p99", rolling, "ms", "where a column rolls, all jobs are written anew")


def _tables(sizes: Sizes, bandwidth: float) -> Iterator[Prediction]:
    for cohorts in sizes.cohorts:
        for count in sizes.live_tables:
            all_cohorts = cohorts * count
            key = f"live.{cohorts}.{count}"
            sweep = OVERHEAD * SWEPT_BYTES * all_cohorts / bandwidth + 4 * LAUNCH_MS
            close = OVERHEAD * 11 * CLOSED_BYTES * all_cohorts / bandwidth + 24 * LAUNCH_MS
            append = 5 * LAUNCH_MS
            for name, device, launches, why in (
                ("sweep", sweep, 4, "one pass over rows, keys and lots"),
                ("close", close, 24, "ten passes that look for the last cohort, and one that marks"),
                ("append", append, 5, "only the newest minute is looked at"),
            ):
                host = device + launches * ASK_MS + 2 * WAIT_MS + 0.05 * count
                yield Prediction(f"{key}.{name}.device", device, "ms", why)
                yield Prediction(f"{key}.{name}.host", host, "ms", "the device, launches, a wait, a table's arrays")


def _peers(sizes: Sizes, bandwidth: float) -> Iterator[Prediction]:
    for count in sizes.peers_at:
        for frame in sizes.peer_frames:
            events = count * min(1.0, frame.columns * frame.column_minutes / (sizes.days * DAY))
            ours = OVERHEAD * max(events * EVENT_BYTES / bandwidth, events / SHARED_ADDS["halves", "spread"])
            ours += CELL_COUNT * 32 / bandwidth + 9 * (ASK_MS + LAUNCH_MS) + 2 * WAIT_MS
            # The best of them computes cells in some ten passes over its columns, and adds in global memory.
            theirs = events * (10 * 12 / bandwidth + 1 / GLOBAL_ADDS) + 15 * 2 * LAUNCH_MS
            reason = f"{theirs:.3g} ms of ten passes and additions to global memory over {ours:.3g} ms"
            yield Prediction(f"peer.{count}.{frame.name}", theirs / ours, "x", reason)


def _tier_parts(events: float, bandwidth: float) -> dict[str, float]:
    """Return the milliseconds that nine grids of so many merged events take, by what they would take alone."""
    visits = events * TIER_VISITS
    return {
        "bytes": visits * TIER_BYTES / bandwidth,
        "additions": visits / TIER_EVENTS_OF_ADDITION / SHARED_ADDS["halves", "same"],
        "sums": _flushed(events) / GLOBAL_ADDS,
    }


def _raw_parts(visits: float, events: float, bandwidth: float) -> dict[str, float]:
    """Return the same of raw events, whose rows are spread; taken to leave as many sums as merged ones."""
    return {
        "bytes": visits * EVENT_BYTES / bandwidth,
        "additions": visits / SHARED_ADDS["halves", "spread"],
        "sums": _flushed(events) / GLOBAL_ADDS,
    }


def _flushed(events: float) -> float:
    known, flushed, power = FLUSHED
    return float(flushed * (events / known) ** power)


def _adding(parts: dict[str, float]) -> float:
    """Return the greater of reading and adding, and after it the sums that go to global memory."""
    return OVERHEAD * max(parts["bytes"], parts["additions"]) + parts["sums"] + LAUNCH_MS


def _words(parts: dict[str, float]) -> str:
    return ", ".join(f"{value:.3g} ms of {name}" for name, value in parts.items())


def _merged_share(count: float) -> float:
    """Return what is left of so many events, from the nearest size known."""
    return min(MERGED_SHARE, key=lambda known: abs(known[0] / count - 1))[1]
