"""How fast are the nine grids of a year, recomputed and kept up to date, for one instrument and for twenty?

    python -m benchmarks.bench_grid                        a year, one instrument and twenty; stored
    python -m benchmarks.bench_grid --no-store             the same, only printed
    python -m benchmarks.bench_grid --days 40 --instruments 1 3    smaller, nothing stored

The year is simulated (5-minute bars, the last two days by the minute) through market and book; the books of several
instruments are derived from it (see year_book.py) and merged while they grow, as a server's are. Merging is the
ledger's own. Measured, for each book, the smallest first:

- the full recompute of all nine grids from age tiers, and for one instrument from the raw log as well, beside
  histograms of others that get the same raw events (see grid_contenders.py); every result is compared, cell by cell;
- the tick: nine channels brought to now after each of some hundred simulated seconds across a midnight, where columns
  of all nine roll, a few a tick (see grid_ticks.py). Ticks in which any column rolls are reported apart. Afterwards
  every grid is compared with a full recompute;
- merging what is older than a day: the whole past, and one more hour of it as a running server does;
- memory: the events themselves, without spare capacity.

Figures are printed, and those of a default run stored, as soon as they are there. Everything runs on one thread. A
default run needs 8 GB, nearly all of it for deriving and merging twenty instruments' year. Its last day holds twice
the events of the days before: bars by the minute open more cohorts than bars of five.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from benchmarks import report
from benchmarks.grid_contenders import Contender, Window, recompute_contenders
from benchmarks.grid_ticks import Ticks, time_ticks
from benchmarks.year_book import Year, build_year, bytes_of, derived_ledger, merge, schedule
from liqscape.axes import TIMEFRAMES, SymbolScale

QUESTION: Final = "how fast are the nine grids of a year, recomputed and kept up to date?"
DAYS: Final = 365
STEP_MINUTES: Final = 5
INSTRUMENTS: Final = (1, 20)
TICKS: Final = 480
TICK_MS: Final = 1000
"""The simulated server's tick. Of 480 in a row eight roll a column, so the 99th percentile of all of them is a roll; at
four ticks a second it would not be."""

REPEATS: Final = 3
MERGE_AT_EVENTS: Final = 1 << 25
"""Raw events of a derived book that gather before they are merged, 0.8 GB: twice what a server waits for, because every
merge rewrites the tiers."""

HOUR: Final = 60
NEVER: Final = 1 << 62
TICK_MEDIAN_LIMIT_MS: Final = {1: 5.0, 20: 50.0}
TICK_P99_LIMIT_MS: Final = {1: 20.0}


@dataclass(slots=True)
class Book:
    """Everything measured of one book; bytes and counts are of its ledger as a server would hold it.

    missing: why a peer is not among the contenders.
    """

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
    missing: list[str] = field(default_factory=list)
    ticks: Ticks | None = None


def windows_of(scale: SymbolScale, mark_price: int, minute: int) -> list[Window]:
    """Return the nine default grids at a price."""
    return [Window(frame, minute, scale.row_range(frame, mark_price)) for frame in TIMEFRAMES]


def measure(year: Year, instruments: int, repeats: int) -> Iterator[Book]:
    """Measure a book; yield it each time it holds more, and a last time when nothing is missing."""
    ledger, merges = derived_ledger(year.raw.columns(), instruments, MERGE_AT_EVENTS if instruments > 1 else NEVER)
    raw = ledger.capture() if instruments == 1 else None
    merges.append(merge(ledger, year.minute - HOUR))
    hour_seconds = merge(ledger, year.minute)
    windows = windows_of(year.scale, year.mark_price, year.minute)
    merged = ledger.capture()
    book = Book(
        instruments=instruments,
        year_events=len(year.raw) * instruments,
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
    yield book
    for found in recompute_contenders(raw, merged, windows, instruments, repeats):
        if isinstance(found, str):
            book.missing.append(found)
        else:
            book.contenders.append(found)
        yield book
    del raw, merged
    book.ticks = time_ticks(ledger, year.ticks, windows, year.scale, instruments)
    yield book


def figures_of(book: Book) -> dict[str, str]:
    """Return what a reader should see of a book."""
    who = "1 instrument" if book.instruments == 1 else f"{book.instruments} instruments"
    figures: dict[str, str] = {}
    best = book.contenders[0].milliseconds if book.contenders else 0.0
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
    for other in book.contenders[1:]:
        first = book.contenders[0]
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


def measure_all(options: argparse.Namespace) -> Iterator[list[Book]]:
    """Yield every book so far each time more is known, and print it then."""
    year = build_year(schedule(options.step_minutes, options.days), options.ticks, TICK_MS)
    print(f"{options.days} days, {len(year.raw):,} events, built in {year.build_seconds:.0f} s", flush=True)
    done: list[Book] = []
    for count in sorted(set(options.instruments)):
        shown: set[str] = set()
        for book in measure(year, count, options.repeats):
            for what, value in figures_of(book).items():
                if what not in shown:
                    print(f"  {what:58s} {value}", flush=True)
                    shown.add(what)
            yield [*done, book]
        print("\n".join((*book.missing, *missed(book))) or "  every speed that was wanted", flush=True)
        done.append(book)


def store(books: Sequence[Book], *, whole: bool) -> None:
    """Keep what has been measured so far; the last figure says what is still missing or was not reached."""
    figures = {what: value for book in books for what, value in figures_of(book).items()}
    if whole:
        figures["wanted and not reached"] = "; ".join(text for book in books for text in missed(book)) or "nothing"
    else:
        figures["measured so far"] = "the run was stopped here, or is still going on"
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.store("grid", QUESTION, figures, {"books": [asdict(book) for book in books], "peak_mib": peak_mib})


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
    stores = options == parser.parse_args([])
    books: list[Book] = []
    for books in measure_all(options):
        wrong = [text for book in books for text in wrong_grids(book)]
        if wrong:
            print("\n".join(wrong), file=sys.stderr)
            return 1
        if stores:
            store(books, whole=False)
    if stores:
        store(books, whole=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    return 0


def _milli(*values: float) -> str:
    return " / ".join(f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in values) + " ms"


if __name__ == "__main__":
    sys.exit(main())
