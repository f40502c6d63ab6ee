"""Does a server keep up at four ticks a second? 1, 3 and 10 symbols of three instruments, ten minutes across midnight.

    python -m benchmarks.bench_ticks                       stored
    python -m benchmarks.bench_ticks --no-store            the same, only printed
    python -m benchmarks.bench_ticks --symbols 1 --minutes 2    smaller, nothing stored
    python -m benchmarks.bench_ticks --past shipped        with the past a simulated server builds; not stored

One shard holds all symbols. The simulator knows BTC and ETH: further symbols are the same two from other seeds, under
other names. Where it speaks for fewer than three instruments of a symbol, the others are copies of it under the name of
another venue, with the same prices and a half, a third of the quantities.

The past is a whole year but in coarse steps, so that a run ends within three minutes. It leaves about half as much to
recompute as the past a simulated server builds (--past shipped), and so flatters the ticks in which a column rolls;
bench_grid measures those on a dense year. The past is merged before the first tick, as a server has done seconds after
its start. The ten minutes cross midnight, where a column of every timeframe rolls.

Ticks follow each other without pause, on one thread. Timed is what the engine's thread does between the last event of a
tick and the next one: close the bars, bring book and grids to now, encode, renew what queries see. Taking in the events
beforehand is reported apart; merging and self-checks, which have a thread of their own, are not running. After the last
tick every grid is compared with its full recompute, and its levels with those the encoder has emitted.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.many_markets import Market
from benchmarks.year_book import MIDNIGHT_MINUTE, MINUTES_PER_DAY
from liqscape.axes import MINUTE_NS, TIMEFRAMES, minute_of
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.ports import ShardDescription
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, TickEnd
from liqscape.feeds.simulate import PAST_SCHEDULE, PastSpan
from liqscape.grid.engine import GridEngine
from liqscape.grid.shard import Shard
from liqscape.market.state import MarketState
from liqscape.positions.book import PositionBook

QUESTION: Final = "does a server keep up at four ticks a second?"
SYMBOLS: Final = (1, 3, 10)
INSTRUMENTS: Final = 3
MINUTES: Final = 10
TICK_MS: Final = 250
COARSE_PAST: Final = (
    PastSpan(365 * MINUTES_PER_DAY, 1440),
    PastSpan(30 * MINUTES_PER_DAY, 240),
    PastSpan(7 * MINUTES_PER_DAY, 60),
    PastSpan(3 * MINUTES_PER_DAY, 15),
    PastSpan(1 * MINUTES_PER_DAY, 3),
)
"""A seventh of the shipped steps."""
PASTS: Final = {"coarse": COARSE_PAST, "shipped": PAST_SCHEDULE}
PARTS: Final = ("market", "book", "log", "grids", "encode", "view")
WATCHED: Final = (
    (MarketState, "close_tick", "market"),
    (PositionBook, "apply", "book"),
    (GridEngine, "record", "log"),
    (GridEngine, "render", "grids"),
)
"""The parts that lie inside Shard.accept."""


class Stopwatch:
    """Seconds spent in parts of a tick; methods are watched while a with-block lasts."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of a with-block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started

    @contextmanager
    def watching(self, owner: type, method: str, name: str) -> Iterator[None]:
        """Count the time of every call of a method of a class."""
        original = getattr(owner, method)

        def watched(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return original(*arguments, **named)

        setattr(owner, method, watched)
        try:
            yield
        finally:
            setattr(owner, method, original)


@dataclass(frozen=True, slots=True)
class Run:
    """Ticks of one number of symbols; milliseconds.

    Attributes:
        instruments: of all symbols together.
        ledger_events, live_cohorts: at the end, of all symbols.
        build_seconds: past, its merging and the first tick, outside every other figure.
        late_share: of all ticks, those of TICK_MS and more.
        rolls, late_rolls: ticks that begin a minute, in which columns roll; those of them that are late.
        part_ms: mean of a tick by part; rest is what none of the parts covers.
        part_roll_ms: mean of a tick that begins a minute.
        events_ms: mean of taking in a tick's events, outside the tick.
        wrong: grids that differ from what they must be, in words.
    """

    symbols: int
    instruments: int
    ticks: int
    ledger_events: int
    live_cohorts: int
    build_seconds: float
    late_share: float
    p50: float
    p99: float
    most: float
    rolls: int
    late_rolls: int
    roll_p50: float
    part_ms: dict[str, float]
    part_roll_ms: dict[str, float]
    events_ms: float
    wrong: list[str]


class Server:
    """What the engine's thread owns, and the market that feeds it."""

    def __init__(self, symbols: int, instruments: int, past: tuple[PastSpan, ...], minutes: int) -> None:
        start_ns = (MIDNIGHT_MINUTE - minutes // 2) * MINUTE_NS
        self.live_ticks = minutes * 60_000 // TICK_MS
        markets = [Market(number, instruments, past, TICK_MS, start_ns) for number in range(symbols)]
        self.shard = Shard([i for m in markets for i in m.instruments], NumpyBackend(), SystemClock().now_ns)
        self.encoder = StreamEncoder(
            ShardDescription("bench", 1, TICK_MS, True, False, "simulated markets", self.shard.channels)
        )
        # One more than is timed: the first tick computes every grid from nothing.
        self._steps = zip(*(market.ticks(self.live_ticks + 1) for market in markets), strict=True)

    def build(self) -> None:
        """Pass on the past, merge it, and take the first tick."""
        for step in self._steps:
            end = self.take_events(step)
            if end.render:
                break
            self.shard.accept(end)
        for symbol, work in self.shard.compactions():
            self.shard.engine(symbol).adopt(work())
        self.finish(end, Stopwatch())

    def steps(self) -> Iterator[tuple[tuple[list[Event], TickEnd], ...]]:
        """Yield what is left: for each tick, events and end from every market."""
        yield from self._steps

    def take_events(self, step: tuple[tuple[list[Event], TickEnd], ...]) -> TickEnd:
        """Give the events of a tick to the shard; return the end all markets share."""
        for said, _ in step:
            for event in said:
                self.shard.accept(event)
        return step[0][1]

    def finish(self, end: TickEnd, watch: Stopwatch) -> None:
        """Do what the engine's thread does at the end of a tick."""
        output = self.shard.accept(end)
        assert output is not None
        with watch.part("encode"):
            self.encoder.encode(output)
        with watch.part("view"):
            self.shard.view()
            self.shard.status()

    def differences(self) -> list[str]:
        """Return which grids differ from their full recompute, and which levels from the ones emitted."""
        found: list[str] = []
        for number, channel in enumerate(self.shard.channels):
            compare = self.shard.self_check(number)
            difference = None if compare is None else compare()
            found += [] if difference is None else [difference]
            levels = self.shard.engine(channel.symbol).levels(channel.channel_id)
            if not np.array_equal(levels, self.encoder.levels(channel.channel_id)):
                found.append(f"levels of {channel.symbol} {channel.timeframe.name} differ from what was emitted")
        return found


def run(symbols: int, instruments: int, past: tuple[PastSpan, ...], minutes: int) -> Run:
    """Build a server and time its ticks."""
    started = time.perf_counter()
    server = Server(symbols, instruments, past, minutes)
    server.build()
    build_seconds = time.perf_counter() - started
    gc.collect()
    parts, rolled = time_ticks(server)
    status = server.shard.status()
    return summarise(
        parts,
        rolled,
        symbols=symbols,
        instruments=symbols * instruments,
        ledger_events=sum(s.ledger_events for s in status),
        live_cohorts=sum(s.live_cohorts for s in status),
        build_seconds=build_seconds,
        wrong=server.differences(),
    )


def time_ticks(server: Server) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Run a server's ticks; return float64[tick, PARTS then whole tick then events], milliseconds, and bool[tick].

    The second tells which ticks begin a minute.
    """
    parts = np.zeros((server.live_ticks, len(PARTS) + 2))
    rolled = np.zeros(server.live_ticks, np.bool_)
    minute = minute_of(server.shard.end_ns - 1)
    watch = Stopwatch()
    with ExitStack() as stack:
        for owner, method, name in WATCHED:
            stack.enter_context(watch.watching(owner, method, name))
        for number, step in enumerate(server.steps()):
            watch.seconds.clear()
            started = time.perf_counter()
            end = server.take_events(step)
            taken = time.perf_counter()
            server.finish(end, watch)
            finished = time.perf_counter()
            seconds = [*(watch.seconds[part] for part in PARTS), finished - taken, taken - started]
            parts[number] = np.array(seconds) * 1e3
            rolled[number] = minute_of(end.time_ns - 1) != minute
            minute = minute_of(end.time_ns - 1)
    return parts, rolled


def summarise(parts: NDArray[np.float64], rolled: NDArray[np.bool_], **about: Any) -> Run:
    """Turn times into figures.

    Args:
        parts, rolled: of time_ticks.
        about: the fields of Run that are no times of ticks.
    """
    whole = parts[:, len(PARTS)]
    late = whole >= TICK_MS
    rest = whole - parts[:, : len(PARTS)].sum(axis=1)
    columns = {**{name: parts[:, n] for n, name in enumerate(PARTS)}, "rest": rest}
    return Run(
        ticks=len(whole),
        late_share=float(late.mean()),
        p50=float(np.quantile(whole, 0.5, method="higher")),
        p99=float(np.quantile(whole, 0.99, method="higher")),
        most=float(whole.max()),
        rolls=int(rolled.sum()),
        late_rolls=int((late & rolled).sum()),
        roll_p50=float(np.quantile(whole[rolled], 0.5, method="higher")) if rolled.any() else 0.0,
        part_ms={name: float(column.mean()) for name, column in columns.items()},
        part_roll_ms={name: float(column[rolled].mean()) if rolled.any() else 0.0 for name, column in columns.items()},
        events_ms=float(parts[:, -1].mean()),
        **about,
    )


def figures_of(found: Run) -> dict[str, str]:
    """Return what a reader should see of a run."""
    who = f"{found.symbols} symbol{'s' * (found.symbols > 1)} of {found.instruments // found.symbols} instruments"
    return {
        f"{who}, ticks over {TICK_MS} ms": f"{found.late_share:.2%} of {found.ticks:,}",
        f"{who}, p50 / p99 / max": f"{found.p50:.1f} / {found.p99:.1f} / {found.most:.0f} ms",
        f"{who}, a minute's first tick p50": f"{found.roll_p50:.0f} ms, {found.late_rolls} of {found.rolls} over",
        f"{who}, mean by part": by_part(found.part_ms) + f"; events before it {found.events_ms:.2f} ms",
        f"{who}, a minute's first tick by part": by_part(found.part_roll_ms),
        f"{who}, size": f"{found.ledger_events / 1e6:.1f}M events, {found.live_cohorts / 1e6:.2f}M cohorts",
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
    runs: list[Run] = []
    figures: dict[str, str] = {}
    for symbols in options.symbols:
        found = run(symbols, options.instruments, PASTS[options.past], options.minutes)
        runs.append(found)
        figures |= figures_of(found)
        print(f"{symbols * len(TIMEFRAMES)} channels, built in {found.build_seconds:.0f} s")
        for measure, value in figures_of(found).items():
            print(f"  {measure:52s} {value}", flush=True)
    wrong = [text for found in runs for text in found.wrong]
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    if options == parser.parse_args([]) and not wrong:
        report.store("ticks", QUESTION, figures, {"past": options.past, "runs": [asdict(found) for found in runs]})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
