"""How much of everything a run does, on a GPU and in a rehearsal without one, and what all of its steps share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.made_events import SCALE, weights
from benchmarks.gpu.outcome import Outcome
from benchmarks.gpu.watched_runtime import WatchedRuntime
from liqscape.axes import MAX_GRID_ROWS, TIMEFRAMES, RowRange, Timeframe
from liqscape.device.nvrtc import COMMON_FILE

SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Book:
    """A symbol's book.

    Attributes:
        name: for people.
        raw_events: of the year that is merged for it.
        tier_events: what it holds merged; each event is repeated as often as that takes.
        symbols: so many of it tick together.
        wanted_ms: what a tick of the greatest number of symbols may take.
    """

    name: str
    raw_events: int
    tier_events: int
    symbols: tuple[int, ...]
    wanted_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Of a run: events, bytes, counts.

    Attributes:
        frames: the grids.
        most_rows: of a grid.
        new_events: of a symbol in a tick.
        ticks, split_ticks: timed as a whole, and with the device's time by part.
        numpy_merge_up_to: years of more events are not merged by NumPy too; it would take minutes.
        wanted_over_peers: how many times faster than the best library call the grids of all timeframes are to be.
    """

    years: tuple[int, ...] = (1_000_000, 10_000_000, 100_000_000, 300_000_000)
    peers_at: tuple[int, ...] = (10_000_000, 100_000_000)
    days: int = 365
    frames: tuple[Timeframe, ...] = TIMEFRAMES
    peer_frames: tuple[Timeframe, ...] = TIMEFRAMES
    most_rows: int = MAX_GRID_ROWS
    copy_bytes: int = 2 << 30
    transfer_bytes: int = 256 << 20
    additions: int = 1 << 28
    grid_cells: tuple[int, ...] = (1, 1024, 747_520)
    small: Book = Book("small", 6_000_000, 3_000_000, (1, 10, 50), 20.0)
    honest: Book = Book("honest", 300_000_000, 190_000_000, (1, 10), 40.0)
    new_events: int = 400
    ticks: int = 240
    ticks_a_minute: int = 48
    split_ticks: int = 20
    live_tables: tuple[int, ...] = (1, 10, 50)
    cohorts: tuple[int, ...] = (100_000, 3_000_000)
    changed_cells: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    launches: int = 1_000
    repeats: int = 7
    numpy_merge_up_to: int = 10_000_000
    equal_events: int = 1_000_000
    equal_ticks: int = 8
    wanted_over_peers: float = 20.0


_FEW_COLUMNS: Final = tuple(replace(TIMEFRAMES[number], columns=40) for number in (1, 2, 8))

REHEARSAL: Final = Sizes(
    years=(6_000, 20_000),
    peers_at=(6_000,),
    days=3,
    frames=_FEW_COLUMNS,
    peer_frames=_FEW_COLUMNS,
    most_rows=64,
    copy_bytes=1 << 16,
    transfer_bytes=1 << 16,
    additions=1 << 15,
    grid_cells=(1, 64, 4096),
    small=Book("small", 6_000, 6_000, (1, 2), 20.0),
    honest=Book("honest", 20_000, 20_000, (1, 2), 40.0),
    new_events=20,
    ticks=6,
    ticks_a_minute=2,
    split_ticks=1,
    live_tables=(1, 2),
    cohorts=(300, 1_000),
    changed_cells=(10, 1_000),
    launches=5,
    repeats=1,
    numpy_merge_up_to=6_000,
    equal_events=6_000,
    equal_ticks=3,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """Which grid of a symbol."""

    frame: Timeframe
    rows: RowRange
    weights: NDArray[np.uint16]
    factors: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """What the steps share: the device, how much to do, and what was found."""

    runtime: WatchedRuntime
    sizes: Sizes
    outcome: Outcome

    @property
    def bandwidth(self) -> float | None:
        """Return the bytes a millisecond that the device read and wrote at its best, once that is measured."""
        found: float | None = self.outcome.facts.get("bandwidth_bytes_per_ms")
        return found

    def floor_ms(self, nbytes: float) -> float | None:
        """Return how long reading or writing so many bytes of the device's memory takes at least."""
        return None if self.bandwidth is None else nbytes / self.bandwidth


def asks_of(sizes: Sizes, price: int) -> list[Ask]:
    """Return the grids of a symbol at a price, in units of SCALE."""
    found = []
    for frame in sizes.frames:
        rows = SCALE.row_range(frame, price)
        beside = max(0, rows.count - sizes.most_rows) // 2
        rows = RowRange(rows.first + beside, rows.count - 2 * beside, rows.multiple)
        found.append(Ask(frame, rows, weights(), np.array(SCALE.usd_per_weighted_lot(rows), np.float64)))
    return found


def probe_source() -> str:
    """Return the source of the probes, after what all kernel files begin with."""
    common = (files("liqscape.device") / COMMON_FILE).read_text("utf-8")
    return common + (Path(__file__).parent / "probes.cu").read_text("utf-8")
