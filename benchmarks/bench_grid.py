"""How fast are the nine grids of a year, recomputed and kept up to date, for one instrument and for twenty?

    python -m benchmarks.bench_grid                        a year, one instrument and twenty; stored
    python -m benchmarks.bench_grid --no-store             the same, only printed
    python -m benchmarks.bench_grid --days 40 --instruments 1 3    smaller, nothing stored

The year is simulated (5-minute bars, the last two days by the minute) through market and book; the books of several
instruments are derived from it (see year_book.py). Merging is the ledger's own. Measured, for each book:

- the full recompute of all nine grids from age tiers, and for one instrument from the raw log as well, beside
  histograms of others that get the same raw events (see grid_contenders.py); every result is compared, cell by cell;
- the tick: nine channels brought to now after each of some hundred simulated seconds across a midnight, where columns
  of all nine roll at once. Ticks in which any column rolls are reported apart. Afterwards every grid is compared with a
  full recompute;
- merging what is older than a day: the whole past, and one more hour of it as a running server does;
- memory: the events themselves, without spare capacity.

A default run takes about a quarter of an hour and 12 GB; most of it is deriving and merging twenty instruments' year.
Everything runs on one thread.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.grid_contenders import Contender, Window, recompute_contenders
from benchmarks.year_book import (
    LiveTick,
    Year,
    append_derived,
    build_year,
    bytes_of,
    derived_ledger,
    merge,
    schedule,
)
from liqscape.axes import TIMEFRAMES, SymbolScale
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.positions.weights import default_weights

QUESTION: Final = "how fast are the nine grids of a year, recomputed and kept up to date?"
DAYS: Final = 365
STEP_MINUTES: Final = 5
INSTRUMENTS: Final = (1, 20)
TICKS: Final = 480
TICK_MS: Final = 1000
"""The simulated server's tick. Of 480 in a row eight roll a column, so the 99th percentile of all of them is a roll; at
four ticks a second it would not be."""

REPEATS: Final = 3
MERGE_AT_EVENTS: Final = 1 << 26
"""Raw events of a derived book that gather before they are merged: fewer merges of a year, at 5 GB of temporaries."""

HOUR: Final = 60
TICK_MEDIAN_LIMIT_MS: Final = {1: 5.0, 20: 50.0}
TICK_P99_LIMIT_MS: Final = {1: 20.0}


@dataclass(frozen=True, slots=True)
class Ticks:
    """Milliseconds of bringing nine channels to now; rolls_by_timeframe are those of one channel, median and count."""

    count: int
    p50: float
    p99: float
    most: float
    plain_count: int
    plain_p50: float
    plain_p99: float
    roll_p50: float
    roll_most: float
    rolls_by_timeframe: dict[str, tuple[float, int]]
    wrong_grids: list[str]


@dataclass(slots=True)
class Book:
    """Everything measured of one book; bytes and counts are of its ledger as a server would hold it."""

    instruments: int
    year_events: int
    raw_events: int
    raw_bytes: int
    tier_events: tuple[int, ...]
    tier_bytes: int
    live_cohorts: int
    live_bytes: int
    grid_bytes: int
    merge_seconds: list[float]
    merge_hour_seconds: float
    contenders: list[Contender] = field(default_factory=list)
    ticks: Ticks | None = None


def windows_of(scale: SymbolScale, mark_price: int, minute: int) -> list[Window]:
    """Return the nine default grids at a price."""
    return [Window(frame, minute, scale.row_range(frame, mark_price)) for frame in TIMEFRAMES]


def time_ticks(
    ledger: NumpyLedger, ticks: Sequence[LiveTick], windows: Sequence[Window], scale: SymbolScale, instruments: int
) -> Ticks:
    """Log the ticks one by one and time how long nine channels take to follow; compare them afterwards."""
    backend, weights = NumpyBackend(), default_weights(instruments)
    buffers = [
        backend.channel_buffer(w.frame, w.rows, weights, np.array(scale.usd_per_weighted_lot(w.rows), np.float64))
        for w in windows
    ]
    minute = windows[0].now_minute
    for buffer in buffers:
        buffer.advance(ledger.capture(), minute)
    spent = np.zeros((len(ticks), len(windows)))  # milliseconds
    rolled = np.zeros(spent.shape, np.bool_)
    gc.collect()
    for number, tick in enumerate(ticks):
        append_derived(ledger, tick, instruments)
        view = ledger.capture()
        for position, (window, buffer) in enumerate(zip(windows, buffers, strict=True)):
            rolled[number, position] = window.frame.column_of(tick.minute) != window.frame.column_of(minute)
            started = time.perf_counter()
            buffer.advance(view, tick.minute)
            spent[number, position] = (time.perf_counter() - started) * 1e3
        minute = tick.minute
    wrong = []
    for window, buffer in zip(windows, buffers, strict=True):
        if not np.array_equal(buffer.cells(), backend.project(view, window.frame, minute, window.rows, weights)):
            wrong.append(window.frame.name)
    return summarise_ticks(spent, rolled, [w.frame.name for w in windows], wrong)


def summarise_ticks(
    spent: NDArray[np.float64], rolled: NDArray[np.bool_], names: Sequence[str], wrong_grids: list[str]
) -> Ticks:
    """Put plain ticks and ticks with a roll apart.

    Args:
        spent: float64[tick, channel], milliseconds.
        rolled: bool[tick, channel], whether a column rolled.
        names: timeframe of each channel.
        wrong_grids: passed on.
    """
    total, rolling = spent.sum(axis=1), rolled.any(axis=1)
    plain, rolls = total[~rolling], total[rolling]
    by_timeframe = {
        name: (float(np.median(spent[rolled[:, n], n])), int(rolled[:, n].sum()))
        for n, name in enumerate(names)
        if rolled[:, n].any()
    }
    return Ticks(
        count=len(total),
        p50=_quantile(total, 0.5),
        p99=_quantile(total, 0.99),
        most=_quantile(total, 1.0),
        plain_count=len(plain),
        plain_p50=_quantile(plain, 0.5),
        plain_p99=_quantile(plain, 0.99),
        roll_p50=_quantile(rolls, 0.5),
        roll_most=_quantile(rolls, 1.0),
        rolls_by_timeframe=by_timeframe,
        wrong_grids=wrong_grids,
    )


def measure(year: Year, instruments: int, repeats: int) -> tuple[Book, list[str]]:
    """Measure a book; return it and why a peer is missing.

    The year's own ledger is used up by the book of one instrument; ask for it last.
    """
    raw = year.ledger.capture()
    if instruments == 1:
        ledger, merges = year.ledger, list[float]()
    else:
        ledger, merges = derived_ledger(raw.columns(), instruments, MERGE_AT_EVENTS)
    merges.append(merge(ledger, year.minute - HOUR))
    hour_seconds = merge(ledger, year.minute)
    windows = windows_of(year.scale, year.mark_price, year.minute)
    merged = ledger.capture()
    book = Book(
        instruments=instruments,
        year_events=len(raw) * instruments,
        raw_events=len(merged.columns().lots),
        raw_bytes=bytes_of(merged.columns()),
        tier_events=tuple(len(tier.lots) for tier in merged.tiers()),
        tier_bytes=sum(map(bytes_of, merged.tiers())),
        live_cohorts=year.live_cohorts * instruments,
        live_bytes=year.live_bytes * instruments,
        grid_bytes=sum(w.frame.columns * w.rows.count * 9 for w in windows),  # int64 cells and uint8 levels
        merge_seconds=merges,
        merge_hour_seconds=hour_seconds,
    )
    at_hand = raw if instruments == 1 else None
    book.contenders, missing = recompute_contenders(at_hand, merged, windows, instruments, repeats)
    del raw, at_hand, merged
    book.ticks = time_ticks(ledger, year.ticks, windows, year.scale, instruments)
    return book, missing


def figures_of(book: Book) -> dict[str, str]:
    """Return what a reader should see of a book."""
    who = "1 instrument" if book.instruments == 1 else f"{book.instruments} instruments"
    figures: dict[str, str] = {}
    best = book.contenders[0].milliseconds
    for contender in book.contenders:
        ratio = "" if contender is book.contenders[0] else f", {contender.milliseconds / best:.1f} x"
        figures[f"{who}, nine grids {contender.name}"] = f"{contender.milliseconds:,.0f} ms{ratio}"
    ticks = book.ticks
    if ticks is not None:
        figures[f"{who}, all {ticks.count} ticks p50 / p99 / max"] = _milli(ticks.p50, ticks.p99, ticks.most)
        figures[f"{who}, plain ticks p50 / p99"] = _milli(ticks.plain_p50, ticks.plain_p99)
        figures[f"{who}, ticks with a roll p50 / max"] = (
            f"{_milli(ticks.roll_p50, ticks.roll_most)} ({ticks.count - ticks.plain_count})"
        )
    whole = f"{sum(book.merge_seconds):.1f} s in {len(book.merge_seconds)}"
    figures[f"{who}, merge {book.year_events / 1e6:,.0f}M events of the year"] = whole
    figures[f"{who}, merge one more hour"] = f"{book.merge_hour_seconds:.2f} s"
    sizes = (
        ("tiers", sum(book.tier_events), "events", book.tier_bytes),
        ("last day raw", book.raw_events, "events", book.raw_bytes),
        ("live", book.live_cohorts, "cohorts", book.live_bytes),
    )
    memory = [f"{what} {count / 1e6:.2f}M {unit}, {held / 1e6:,.0f} MB" for what, count, unit, held in sizes]
    figures[f"{who}, memory"] = "; ".join([*memory, f"grids {book.grid_bytes / 1e6:,.0f} MB"])
    return figures


def missed(book: Book) -> list[str]:
    """Return which of the wanted speeds a book does not reach."""
    found = []
    first, *others = book.contenders
    for other in others:
        if other.milliseconds <= first.milliseconds:
            found.append(f"{other.name}: {other.milliseconds:,.0f} ms, tiers take {first.milliseconds:,.0f} ms")
    if book.ticks is not None:
        limits = ((TICK_MEDIAN_LIMIT_MS, book.ticks.p50, "p50"), (TICK_P99_LIMIT_MS, book.ticks.p99, "p99"))
        for limit, value, what in limits:
            if book.instruments in limit and value >= limit[book.instruments]:
                found.append(
                    f"{book.instruments} instruments, tick {what} {value:.1f} ms, wanted below"
                    f" {limit[book.instruments]:.0f} ms"
                )
    return found


def wrong_grids(book: Book) -> list[str]:
    """Return every result that was not equal to the full recompute."""
    found = [f"{c.name}: {', '.join(c.wrong_grids)} differ" for c in book.contenders if c.wrong_grids]
    if book.ticks is not None and book.ticks.wrong_grids:
        found.append(f"after the ticks {', '.join(book.ticks.wrong_grids)} differ")
    return [f"{book.instruments} instruments, {text}" for text in found]


def show(figures: Mapping[str, str]) -> None:
    """Print figures below each other."""
    for measure_, value in figures.items():
        print(f"  {measure_:58s} {value}", flush=True)


def measure_all(options: argparse.Namespace) -> tuple[list[Book], dict[str, str], dict[str, Any]]:
    """Measure every book, the largest first; return them, what a reader should see, and the rest of the record."""
    year = build_year(schedule(options.step_minutes, options.days), options.ticks, TICK_MS)
    print(f"{options.days} days, {len(year.ledger):,} events, built in {year.build_seconds:.0f} s", flush=True)
    books: list[Book] = []
    notes: list[str] = []
    for count in sorted(set(options.instruments), reverse=True):
        book, missing = measure(year, count, options.repeats)
        books.insert(0, book)
        notes += missing
        show(figures_of(book))
    figures = {what: value for book in books for what, value in figures_of(book).items()}
    figures["wanted and not reached"] = "; ".join(text for book in books for text in missed(book)) or "nothing"
    print("\n".join([*notes, f"wanted and not reached: {figures['wanted and not reached']}"]))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"books": [asdict(book) for book in books], "notes": notes, "peak_mib": peak_mib}
    return books, figures, {**result, "build_seconds": year.build_seconds}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the status is 1 when any two grids that must be equal differ."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--days", type=int, default=DAYS, help="length of the past (default 365)")
    parser.add_argument("--step-minutes", type=int, default=STEP_MINUTES, help="length of a bar of it (default 5)")
    parser.add_argument("--instruments", type=int, nargs="+", default=list(INSTRUMENTS), help="books (default 1 20)")
    parser.add_argument("--ticks", type=int, default=TICKS, help="live seconds (default 480)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="of each full recompute (default 3)")
    parser.add_argument("--no-store", action="store_true", help="only print")
    options = parser.parse_args(arguments)
    if min(options.instruments) < 1 or options.ticks < 2 * HOUR:
        parser.error("instruments are 1 or more, ticks 120 or more: both sides of midnight")
    books, figures, result = measure_all(options)
    wrong = [text for book in books for text in wrong_grids(book)]
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    if options == parser.parse_args([]) and not wrong:
        report.store("grid", QUESTION, figures, result)
    return 1 if wrong else 0


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """Return a value that was measured, the next higher one; 0 where there is none."""
    return float(np.quantile(values, share, method="higher")) if len(values) else 0.0


def _milli(*values: float) -> str:
    return " / ".join(f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in values) + " ms"


if __name__ == "__main__":
    sys.exit(main())
