"""How long does it take to build book and ledger of six weeks of 5-minute bars, with all nine grids at the end?

    python -m benchmarks.bench_build                   BTC and ETH, stored
    python -m benchmarks.bench_build --symbols BTC     only these, nothing stored

Reading the files is timed apart. Afterwards one full recompute of the nine grids of each symbol is timed beside two
floors of the same machine: adding the same events to the same cells with nothing else (np.add.at on ready indices and
values), and copying the columns that a recompute has to read. Reconciliation is checked at every sample, outside the
timing: live + uncovered is open interest, live is the running sum of events, uncovered never grows.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from liqscape.axes import TIMEFRAMES, RowRange, Timeframe, last_minute_before
from liqscape.clock import SystemClock
from liqscape.device.backend import LedgerColumns
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.grid.shard import Shard
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep, Reconciliation
from liqscape.positions.weights import group_of

MANIFEST: Final = report.ROOT / "benchmarks" / "manifests" / "binance_usdm_5m_2025-12.toml"
SYMBOLS: Final = ("BTC", "ETH")
LIMIT_SECONDS: Final = 120
"""What building both symbols may take on two cores."""

REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class Recompute:
    """One full recompute of a symbol's nine grids, and its floors; medians, milliseconds.

    additions: events inside the windows, over the nine grids. bytes_read: of their columns.
    """

    symbol: str
    events: int
    live_cohorts: int
    additions: int
    bytes_read: int
    recompute_ms: float
    additions_alone_ms: float
    copy_ms: float


@dataclass(frozen=True, slots=True)
class Build:
    """What building gave: counts, seconds, and broken rules of reconciliation."""

    bars: int
    events: int
    samples: int
    read_seconds: float
    build_seconds: float
    violations: list[str]


def build(symbols: Sequence[str], recordings: Path) -> tuple[Shard, Build]:
    """Build book, ledger and the grids of the last tick."""
    samples: dict[str, list[Reconciliation]] = {symbol: [] for symbol in symbols}
    bar_count = 0

    def observe(symbol: str, bars: list[Bar], step: BookStep) -> None:
        nonlocal bar_count
        bar_count += len(bars)
        samples[symbol].extend(step.samples)

    started = time.monotonic()
    source = HistorySource(MANIFEST, recordings=recordings, clock=SystemClock(), speed=None, symbols=tuple(symbols))
    shard = Shard(source.description.instruments, NumpyBackend(), SystemClock().now_ns, observe)
    read = time.monotonic()
    rendered = 0
    for event in source.iterate():
        output = shard.accept(event)
        rendered += 0 if output is None else len(output.channels)
    built = time.monotonic()
    violations = [v for symbol in symbols for v in check_accounts(shard, symbol, samples[symbol])]
    if rendered != len(TIMEFRAMES) * len(symbols):
        violations.append(f"{rendered} grids were computed at the end")
    events = sum(shard.engine(symbol).ledger_events for symbol in symbols)
    count = sum(map(len, samples.values()))
    return shard, Build(bar_count, events, count, read - started, built - read, violations)


def check_accounts(shard: Shard, symbol: str, samples: Sequence[Reconciliation]) -> list[str]:
    """Return what breaks the rules of reconciliation, from the ledger and the samples alone."""
    ledger = shard.engine(symbol).capture().columns()
    groups = group_of(ledger.key)
    numbers = {i.instrument_id: n for n, i in enumerate(shard.book(symbol).instruments)}
    found = []
    for group in np.unique(groups).tolist():
        chosen = groups == group
        minutes, running = ledger.minute[chosen], np.cumsum(ledger.lots[chosen])
        mine = [s for s in samples if numbers[s.instrument_id] * 2 + s.side == group]
        live = np.concatenate(([0], running))[np.searchsorted(minutes, [s.minute for s in mine], side="right")]
        uncovered = mine[0].uncovered_lots
        for sample, summed in zip(mine, live.tolist(), strict=True):
            if sample.live_lots + sample.uncovered_lots != sample.open_interest_lots or sample.live_lots != summed:
                found.append(f"{symbol}, minute {sample.minute}: live {sample.live_lots}, events sum to {summed}")
            if not 0 <= sample.uncovered_lots <= uncovered:
                found.append(f"{symbol}, minute {sample.minute}: uncovered {sample.uncovered_lots} after {uncovered}")
            uncovered = sample.uncovered_lots
    return found


def time_recompute(shard: Shard, symbol: str) -> Recompute:
    """Time a full recompute of a symbol's nine grids and its floors, back to back."""
    engine, minute = shard.engine(symbol), last_minute_before(shard.end_ns)
    status = next(s for s in shard.status() if s.symbol == symbol)
    view = engine.capture()
    columns = view.columns()
    rows = {frame: engine.scale.row_range(frame, status.mark_price) for frame in TIMEFRAMES}
    total, alone, copied, additions, bytes_read = 0.0, 0.0, 0.0, 0, 0
    for frame in TIMEFRAMES:
        cells, values, read = ready_additions(columns, frame, minute, rows[frame])
        grid = np.zeros(frame.columns * rows[frame].count, np.int64)
        source = np.ones(read, np.uint8)
        target = np.empty_like(source)
        total += _milliseconds(partial(engine.project, view, frame, minute, rows[frame]))
        alone += _milliseconds(partial(np.add.at, grid, cells, values))
        copied += _milliseconds(partial(np.copyto, target, source))
        additions += len(cells)
        bytes_read += read
    counts = (len(view), status.live_cohorts, additions, bytes_read)
    return Recompute(symbol, *counts, recompute_ms=total, additions_alone_ms=alone, copy_ms=copied)


def ready_additions(
    columns: LedgerColumns, frame: Timeframe, now_minute: int, rows: RowRange
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return cell and weighted lots of every event inside window and rows, and the bytes a recompute has to read."""
    first = frame.first_column(now_minute) * frame.column_minutes
    begin = int(np.searchsorted(columns.minute, first))
    read = sum(c[begin:].nbytes for c in (columns.minute, columns.open_minute, columns.row, columns.lots))
    row = columns.row[begin:] // rows.multiple - rows.first
    kept = (columns.open_minute[begin:] >= first) & (row >= 0) & (row < rows.count)
    column = columns.minute[begin:][kept] // frame.column_minutes - frame.first_column(now_minute)
    cells = column.astype(np.int64) * rows.count + row[kept]
    return cells, columns.lots[begin:][kept] * 4096, read


def _milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return median(times)


def show(built: Build, recomputes: Sequence[Recompute], peak_mib: float) -> dict[str, str]:
    """Print the figures and return them."""
    figures = {
        "read the files": f"{built.read_seconds:.2f} s",
        "build, nine grids at the end": f"{built.build_seconds:.1f} s",
        "bars": f"{built.bars:,}, {built.bars / built.build_seconds:,.0f} a second",
        "events": f"{built.events:,}, {built.events / built.build_seconds:,.0f} a second",
        "peak memory of the process": f"{peak_mib:,.0f} MiB",
        "reconciliation": f"{len(built.violations)} rules broken in {built.samples:,} samples",
    }
    for r in recomputes:
        figures[f"{r.symbol}, full recompute of nine grids"] = f"{r.recompute_ms:.0f} ms, {r.additions:,} additions"
        figures[f"{r.symbol}, floor: the additions alone"] = f"{r.additions_alone_ms:.0f} ms"
        figures[f"{r.symbol}, floor: copy {r.bytes_read / 1e6:.0f} MB"] = f"{r.copy_ms:.1f} ms"
    for measure, value in figures.items():
        print(f"  {measure:44s} {value}")
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the status is 1 when a check fails or the build takes too long."""
    parser = argparse.ArgumentParser(description="time to build book, ledger and grids from a recording")
    parser.add_argument("--symbols", nargs="+", choices=SYMBOLS, help="only these; nothing is stored then")
    parser.add_argument("--recordings", type=Path, default=recordings_folder(), help="the folder above market/")
    options = parser.parse_args(arguments)
    symbols = options.symbols or SYMBOLS
    print(f"{MANIFEST.stem}, {' and '.join(symbols)}")
    shard, built = build(symbols, options.recordings)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # before the floors need memory of their own
    recomputes = [time_recompute(shard, symbol) for symbol in symbols]
    figures = show(built, recomputes, peak_mib)
    if not options.symbols:
        result: dict[str, Any] = {"build": asdict(built), "peak_mib": peak_mib}
        result["recompute"] = [asdict(r) for r in recomputes]
        report.store("build", "How long does building six weeks of 5-minute bars take?", figures, result)
    problems = built.violations[:5]
    if built.build_seconds > LIMIT_SECONDS:
        problems.append(f"building took {built.build_seconds:.1f} s, more than {LIMIT_SECONDS} s")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
