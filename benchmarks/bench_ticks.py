"""Does a server keep up at four ticks a second? 1, 3 and 10 symbols of three instruments, ten minutes across midnight.

    python -m benchmarks.bench_ticks                        each number of symbols stored as soon as it is measured
    python -m benchmarks.bench_ticks --symbols 10           this one alone, stored
    python -m benchmarks.bench_ticks --no-store             only printed
    python -m benchmarks.bench_ticks --symbols 1 --minutes 2    smaller, nothing stored
    python -m benchmarks.bench_ticks --past shipped         with the past a simulated server builds; not stored

One shard holds all symbols. The simulator knows BTC and ETH: further symbols are the same two from other seeds, under
other names. The instruments are the largest venues it knows (see many_markets).

The past is a whole year but in coarse steps, so that building ten symbols takes no longer than running them. It leaves
less to recompute than the past a simulated server builds (--past shipped), and so flatters the ticks in which columns
roll; bench_grid measures those on a dense year. The past is merged before the first tick, as a server has done seconds
after its start. The ten minutes cross midnight, where a column of every timeframe rolls.

Ticks follow each other without pause, on one thread. A tick is what the engine's thread does between the last event of
a tick and the next one: close the bars, bring books and grids to now, renew what queries see. Apart from it are named:
taking in the events, which come one by one in the 250 ms before; and what has threads of its own, encoding (each tick),
self-checks (each ten seconds) and merging (each hour). These run here after the tick, on the same thread, so no time
has the wait for another in it; a server on two cores or more runs them beside its ticks, but for Python's lock. "All
together" is the upper bound: everything one after the other. After the last tick every grid is compared with its full
recompute, and its levels with those the encoder has emitted. A default run takes three to five minutes and 5.5 GB.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.tick_work import BESIDE, PARTS, TICK_MS, WATCHED, Server, Stopwatch
from benchmarks.year_book import MINUTES_PER_DAY
from liqscape.axes import TIMEFRAMES
from liqscape.feeds.simulate import PAST_SCHEDULE, PastSpan

QUESTION: Final = "does a server keep up at four ticks a second?"
SYMBOLS: Final = (1, 3, 10)
INSTRUMENTS: Final = 3
MINUTES: Final = 10
COARSE_PAST: Final = (
    PastSpan(365 * MINUTES_PER_DAY, 1440),
    PastSpan(30 * MINUTES_PER_DAY, 240),
    PastSpan(7 * MINUTES_PER_DAY, 60),
    PastSpan(3 * MINUTES_PER_DAY, 15),
    PastSpan(1 * MINUTES_PER_DAY, 3),
)
"""A sixth of the shipped steps."""
PASTS: Final = {"coarse": COARSE_PAST, "shipped": PAST_SCHEDULE}

Times: TypeAlias = dict[str, NDArray[np.float64]]
"""Milliseconds by tick, float64[tick]: "tick", "events", and each of PARTS and BESIDE."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds: of how many, mean, quantiles and the most."""

    count: int
    mean: float
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, milliseconds: NDArray[np.float64]) -> Spread:
        """Return the figures of some times, zeros of none."""
        if not len(milliseconds):
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        p50, p99 = np.quantile(milliseconds, [0.5, 0.99], method="higher").tolist()
        return cls(len(milliseconds), float(milliseconds.mean()), p50, p99, float(milliseconds.max()))

    def __str__(self) -> str:
        return f"{self.p50:.1f} / {self.p99:.1f} / {self.most:.0f} ms"


@dataclass(frozen=True, slots=True)
class Run:
    """Ticks of one number of symbols; milliseconds where nothing else is said.

    Attributes:
        instruments: of all symbols together.
        ledger_events, live_cohorts: at the end, of all symbols, without the open-only books.
        build_seconds: past, its merging and the first tick, outside every other figure.
        peak_mib: memory of the process so far.
        late: ticks of TICK_MS and more.
        rolling: ticks in which a column of some grid rolls; late_rolling of them are late.
        most_rolls: columns that roll in one tick.
        part_ms, part_rolling_ms: mean of all ticks and of the rolling ones by part; rest is what no part covers.
        beside: what has threads of its own; self-checks by check, not by tick.
        events: taking in a tick's events.
        together_share: of TICK_MS, what all of this takes on average, one after the other; merging is left out.
        merge_seconds: of every log, once an hour.
        wrong: grids that differ from what they must be, in words.
    """

    symbols: int
    instruments: int
    ledger_events: int
    live_cohorts: int
    build_seconds: float
    peak_mib: float
    ticks: Spread
    late: int
    rolling: Spread
    late_rolling: int
    most_rolls: int
    part_ms: dict[str, float]
    part_rolling_ms: dict[str, float]
    beside: dict[str, Spread]
    events: Spread
    together_share: float
    merge_seconds: float
    wrong: list[str]


def run(symbols: int, instruments: int, past: tuple[PastSpan, ...], minutes: int) -> Run:
    """Build a server and time its ticks."""
    started = time.perf_counter()
    server = Server(symbols, instruments, past, minutes)
    server.build()
    build_seconds = time.perf_counter() - started
    gc.collect()
    times, rolls = time_ticks(server)
    status = server.shard.status()
    return summarise(
        times,
        rolls,
        symbols=symbols,
        instruments=symbols * instruments,
        ledger_events=sum(s.ledger_events for s in status),
        live_cohorts=sum(s.live_cohorts for s in status),
        build_seconds=build_seconds,
        merge_seconds=server.merge_seconds(),
        wrong=server.differences(),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def time_ticks(server: Server) -> tuple[Times, NDArray[np.int64]]:
    """Run a server's ticks; return their times, and int64[tick] how many columns rolled in each."""
    times = {name: np.zeros(server.live_ticks) for name in ("tick", "events", *PARTS, *BESIDE)}
    rolls = np.zeros(server.live_ticks, np.int64)
    watch = Stopwatch()
    with ExitStack() as stack:
        for owner, method, name in WATCHED:
            stack.enter_context(watch.watching(owner, method, name))
        for number, step in enumerate(server.steps()):
            watch.seconds.clear()
            with watch.part("events"):
                end = server.take_events(step)
            with watch.part("tick"):
                output, rolls[number] = server.tick(end, watch)
            server.work_beside(output, watch)
            for name, seconds in watch.seconds.items():
                times[name][number] = seconds * 1e3
    return times, rolls


def summarise(times: Times, rolls: NDArray[np.int64], **about: Any) -> Run:
    """Turn times into figures.

    Args:
        times, rolls: of time_ticks.
        about: the fields of Run that are no times of ticks.
    """
    whole, rolling = times["tick"], rolls > 0
    late = whole >= TICK_MS
    parts = {name: times[name] for name in PARTS}
    parts["rest"] = whole - sum(parts.values())
    checks = times["self-check"]
    beside = {name: Spread.of(times[name]) for name in BESIDE} | {"self-check": Spread.of(checks[checks > 0])}
    together = sum(float(times[name].mean()) for name in ("tick", "events", *BESIDE))
    return Run(
        ticks=Spread.of(whole),
        late=int(late.sum()),
        rolling=Spread.of(whole[rolling]),
        late_rolling=int((late & rolling).sum()),
        most_rolls=int(rolls.max()),
        part_ms={name: float(part.mean()) for name, part in parts.items()},
        part_rolling_ms={name: float(part[rolling].mean()) if rolling.any() else 0.0 for name, part in parts.items()},
        beside=beside,
        events=Spread.of(times["events"]),
        together_share=together / TICK_MS,
        **about,
    )


def figures_of(found: Run) -> dict[str, str]:
    """Return what a reader should see of a run."""
    encoding, check = found.beside["encoding"], found.beside["self-check"]
    return {
        f"ticks over {TICK_MS} ms": f"{found.late / found.ticks.count:.2%} of {found.ticks.count:,}",
        "a tick, p50 / p99 / max": str(found.ticks),
        "a tick, mean by part": by_part(found.part_ms),
        "ticks in which columns roll, p50 / p99 / max": (
            f"{found.rolling}; {found.late_rolling} of {found.rolling.count} over, {found.most_rolls} columns at most"
        ),
        "such a tick, mean by part": by_part(found.part_rolling_ms),
        "before a tick: its events, p50 / p99 / max": str(found.events),
        "beside: encoding a tick, p50 / p99 / max": str(encoding),
        "beside: a self-check (each 10 s), p50 / max": f"{check.p50:.0f} / {check.most:.0f} ms",
        "beside: merging all logs (each hour)": f"{found.merge_seconds:.1f} s",
        f"all together but merging, of {TICK_MS} ms": f"{found.together_share:.0%}",
        "size": f"{found.ledger_events / 1e6:.1f}M events, {found.live_cohorts / 1e6:.2f}M cohorts",
        "built in / peak memory": f"{found.build_seconds:.0f} s / {found.peak_mib:,.0f} MiB",
    }


def by_part(milliseconds: Mapping[str, float]) -> str:
    """Say in one line where time goes: the parts from the largest on, and their share."""
    total = sum(milliseconds.values()) or 1.0
    parts = sorted(milliseconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.2f} ms ({value / total:.0%})" for name, value in parts if value >= total / 200)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the status is 1 when a grid is not what it must be."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--symbols", type=int, nargs="+", default=list(SYMBOLS), help="how many (default 1 3 10)")
    parser.add_argument("--instruments", type=int, default=INSTRUMENTS, help="of each symbol (default 3)")
    parser.add_argument("--minutes", type=int, default=MINUTES, help="of simulated market (default 10)")
    parser.add_argument(
        "--past", choices=tuple(PASTS), default="coarse", help="steps of the year before (default coarse)"
    )
    parser.add_argument("--no-store", action="store_true", help="only print")
    options = parser.parse_args(arguments)
    if min(*options.symbols, options.instruments, options.minutes) < 1:
        parser.error("symbols, instruments and minutes are 1 or more")
    usual = (options.instruments, options.minutes, options.past) == (INSTRUMENTS, MINUTES, "coarse")
    status = 0
    for symbols in sorted(options.symbols):  # in this order the peak of memory is that of the newest run
        found = run(symbols, options.instruments, PASTS[options.past], options.minutes)
        who = f"{symbols} symbol{'s' * (symbols > 1)} of {options.instruments} instruments"
        print(f"{who}, {symbols * len(TIMEFRAMES)} grids, {options.minutes} minutes")
        for measure, value in figures_of(found).items():
            print(f"  {measure:48s} {value}", flush=True)
        if found.wrong:
            status = 1
            print("\n".join(found.wrong), file=sys.stderr, flush=True)
        elif usual and not options.no_store:
            report.store(f"ticks_{symbols:02d}", f"{QUESTION} {who}", figures_of(found), asdict(found))
    return status


if __name__ == "__main__":
    sys.exit(main())
