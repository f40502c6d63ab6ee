"""What does a day take in the archive, and how long does a grid of the past take from it?

    python -m benchmarks.bench_archive               six recorded weeks of BTC, stored
    python -m benchmarks.bench_archive --days 10     only so many days, nothing stored

The recording runs through a shard whose ticks are archived; nothing waits, so days are written as fast as they come.
Then the nine grids as of noon of the last day are read back, and compared with those of the log in memory at that
moment: every cell must be equal. Beside each the time from raw events alone shows what the merged tables are for.
Files are in the page cache by then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from liqscape.archive import archivist as archiving
from liqscape.archive.archivist import Archivist
from liqscape.archive.day_files import Manifests
from liqscape.archive.day_writer import write_day
from liqscape.archive.manifest import DAY_MINUTES, DayManifest, day_of
from liqscape.archive.reader import ArchiveReader
from liqscape.axes import MINUTE_NS, TIMEFRAMES, last_minute_before
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import TickEnd
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.grid.shard import Shard

MANIFEST: Final = report.ROOT / "benchmarks" / "manifests" / "binance_usdm_5m_2025-12.toml"
SYMBOL: Final = "BTC"
REPEATS: Final = 3
LIMIT_MS: Final = 2000
"""What a grid of the past may take: a person waits for it."""


@dataclass(frozen=True, slots=True)
class Past:
    """A grid of the past: milliseconds, by merged tables and by raw events alone, and whether it is the right one."""

    timeframe: str
    milliseconds: float
    raw_milliseconds: float
    is_equal: bool


class RawReader(ArchiveReader):
    """Reads raw events alone."""

    def _table_for(self, *_: Any) -> str:
        return "events"


def archive(folder: Path, recordings: Path, until_ns: int | None) -> tuple[Shard, dict[str, NDArray[np.int64]], int]:
    """Run the recording; return the shard, the nine grids as of noon of the last sealed day, and that minute."""
    source = HistorySource(
        MANIFEST, recordings=recordings, clock=SystemClock(), speed=None, symbols=(SYMBOL,), until_ns=until_ns
    )
    instruments = source.description.instruments
    shard = Shard(
        instruments, NumpyBackend(), lambda: 0, with_open_only=False, on_closed=lambda *tick: kept.before_tick(*tick)
    )
    kept = Archivist(folder, instruments)
    kept.begin(shard)
    noons: dict[int, dict[str, NDArray[np.int64]]] = {}
    for event in source.iterate():
        shard.accept(TickEnd(event.time_ns, render=False) if isinstance(event, TickEnd) else event)
        if isinstance(event, TickEnd) and event.time_ns % (DAY_MINUTES * MINUTE_NS) == DAY_MINUTES * MINUTE_NS // 2:
            noon = last_minute_before(event.time_ns)
            noons[day_of(noon)] = _grids(shard, noon)
            noons.pop(day_of(noon) - 2, None)
    kept.stop()
    day = max(noons.keys() & Manifests(folder).read().keys())
    return shard, noons[day], day * DAY_MINUTES + DAY_MINUTES // 2 - 1


def _grids(shard: Shard, minute: int) -> dict[str, NDArray[np.int64]]:
    engine, price = shard.engine(SYMBOL), shard.served()[0].mark_price
    view = engine.capture()
    return {f.name: engine.project(view, f, minute, engine.scale.row_range(f, price)) for f in TIMEFRAMES}


def time_pasts(folder: Path, shard: Shard, grids: dict[str, NDArray[np.int64]], minute: int) -> list[Past]:
    """Read the nine grids back."""
    reader, raw = ArchiveReader(folder, shard.instruments), RawReader(folder, shard.instruments)
    found = []
    for frame in TIMEFRAMES:
        milliseconds, cells = _timed(lambda: reader.grid(SYMBOL, frame, minute).cells)  # noqa: B023
        raw_milliseconds, raw_cells = _timed(lambda: raw.grid(SYMBOL, frame, minute).cells)  # noqa: B023
        is_equal = np.array_equal(cells, grids[frame.name]) and np.array_equal(raw_cells, cells)
        found.append(Past(frame.name, milliseconds, raw_milliseconds, is_equal))
    return found


def _timed(work: Callable[[], NDArray[np.int64]]) -> tuple[float, NDArray[np.int64]]:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        cells = work()
        times.append((time.perf_counter() - started) * 1e3)
    return median(times), cells


def whole_days(folder: Path) -> list[DayManifest]:
    """Return the days but the first, which begins somewhere."""
    return list(Manifests(folder).read().values())[1:]


def show(days: list[DayManifest], sealing: list[float], pasts: list[Past]) -> dict[str, str]:
    """Print the figures and return them."""
    sizes: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for day in days:
        for path, file in day.files.items():
            name = path.rpartition("/")[2].removesuffix(".parquet")
            sizes[name] += file.size
            rows[name] += file.rows
    figures = {
        "days": f"{len(days)}",
        "a day, all tables": f"{sum(sizes.values()) / len(days) / 1e6:.2f} MB",
        "sealing a day": f"{median(sealing) * 1e3:.0f} ms",
    }
    for name, size in sizes.most_common():
        figures[f"a day, {name}"] = f"{size / len(days) / 1e3:.0f} kB, {rows[name] / len(days):,.0f} rows"
    for past in pasts:
        figures[f"{past.timeframe} as of noon of the last day"] = (
            f"{past.milliseconds:.0f} ms, raw alone {past.raw_milliseconds:.0f} ms"
        )
    for measure, value in figures.items():
        print(f"  {measure:44s} {value}")
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the status is 1 when a grid differs or takes too long."""
    parser = argparse.ArgumentParser(description="bytes of an archived day, and time of a grid of the past")
    parser.add_argument("--days", type=int, help="of the recording; nothing is stored then")
    parser.add_argument("--recordings", type=Path, default=recordings_folder(), help="the folder above market/")
    options = parser.parse_args(arguments)
    sealing: list[float] = []

    def timed(*given: Any) -> DayManifest:
        started = time.perf_counter()
        manifest = write_day(*given)
        sealing.append(time.perf_counter() - started)
        return manifest

    setattr(archiving, "write_day", timed)  # noqa: B010
    begin_ns = day_of(29_407_685) * DAY_MINUTES * MINUTE_NS  # 2025-12-01, where the recording begins
    until_ns = None if options.days is None else begin_ns + options.days * DAY_MINUTES * MINUTE_NS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shard, grids, minute = archive(folder, options.recordings, until_ns)
        pasts = time_pasts(folder, shard, grids, minute)
        days = whole_days(folder)
        figures = show(days, sealing, pasts)
    if options.days is None:
        report.store(
            "archive",
            "what a day of one instrument takes in the archive, and how long its grids take from it",
            figures,
            {"sealing_seconds": sealing, "pasts": [asdict(past) for past in pasts], "days": len(days)},
        )
    wrong = [past.timeframe for past in pasts if not past.is_equal]
    late = [past.timeframe for past in pasts if past.milliseconds > LIMIT_MS]
    for text, names in (("are not those of then", wrong), (f"take more than {LIMIT_MS} ms", late)):
        if names:
            print(f"grids {text}: {', '.join(names)}")
    return 1 if wrong or late else 0


if __name__ == "__main__":
    sys.exit(main())
