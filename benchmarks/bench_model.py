"""Does what the model sweeps rank the liquidations that really happened?

    python -m benchmarks.bench_model                       all sets, stored
    python -m benchmarks.bench_model --sets "B BTC" ...    only these, nothing stored

For every 4-hour bar the USD of positions that the model sweeps (lots x the middle price of their liquidation row) stand
against the venue's real total, long and short apart: Spearman's rank correlation. Beside it, in the same run: the fall
(for longs) or rise (for shorts) of the price from the open of the bar; that x traded volume; and a book in which
positions open with rising open interest and end by liquidation alone. Nothing is fitted.

Whole period: bars that open ten days or more after the first candle. Second half: bars that open in the second half of
the time the candles span. Bars without a real total, or that candles do not cover in full, are left out and counted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.model_scores import GUESSES, Collector, Score, periods, read_totals, score, scored_bars
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import TickEnd
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.grid.shard import Shard

MANIFESTS: Final = report.ROOT / "benchmarks" / "manifests"
JUDGED: Final = list(GUESSES)[-1]

_COINGLASS: Final = ("time", "aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd")


@dataclass(frozen=True, slots=True)
class DataSet:
    """A recording with real totals.

    Attributes:
        manifest: of the recording.
        symbol: base coin.
        totals: file of the real totals, under the recordings folder.
        columns: time, USD of longs, USD of shorts in that file.
        wanted: the least that the model must score in the second half, long and short.
        prototype: what a floating-point prototype of the same model scored there; and its baselines.
    """

    manifest: str
    symbol: str
    totals: str
    columns: tuple[str, str, str]
    wanted: tuple[float, float]
    prototype: dict[str, str]


def _prototype(*scores: str) -> dict[str, str]:
    return dict(zip(GUESSES, scores, strict=True))


SETS: Final = {
    "A BTC": DataSet(
        "binance_usdm_5m_2025-12",
        "BTC",
        "market/liquidations/coinglass_binance_BTC_4h_from_2025-10-06.parquet",
        ("timestamp", "long_usd", "short_usd"),
        (0.87, 0.83),
        _prototype("0.78 / 0.72", "0.806 / 0.800", "0.86 / 0.80", "0.874 / 0.839"),
    ),
    "B BTC": DataSet(
        "binance_usdm_1h_2025-03",
        "BTC",
        "market/liquidations/coinglass_binance_BTC_4h_from_2024-11.parquet",
        _COINGLASS,
        (0.89, 0.80),
        _prototype("0.80 / 0.69", "0.842 / 0.769", "0.71 / 0.60", "0.898 / 0.810"),
    ),
    "B ETH": DataSet(
        "binance_usdm_1h_2025-03",
        "ETH",
        "market/liquidations/coinglass_binance_ETH_4h_from_2024-11.parquet",
        _COINGLASS,
        (0.87, 0.81),
        _prototype("0.77 / 0.67", "0.827 / 0.799", "0.52 / 0.46", "0.875 / 0.814"),
    ),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Scores of one set by period and guess, and what they rest on."""

    name: str
    scores: dict[str, dict[str, Score]]
    left_out: dict[str, int]
    samples: int
    violations: list[str]
    build_seconds: float

    def problems(self) -> list[str]:
        """Say what is not as it must be."""
        found = [f"{self.name}: {v}" for v in self.violations[:5]]
        got, (long, short) = self.scores["second half"][JUDGED], SETS[self.name].wanted
        if got.long < long or got.short < short:
            found.append(f"{self.name}: {got.long:.3f} / {got.short:.3f} is below {long} / {short}")
        return found


def run(name: str, recordings: Path) -> Outcome:
    """Build the book of a set and score it."""
    chosen = SETS[name]
    totals = read_totals(recordings / chosen.totals, *chosen.columns)
    source = HistorySource(
        MANIFESTS / f"{chosen.manifest}.toml",
        recordings=recordings,
        clock=SystemClock(),
        speed=None,
        symbols=(chosen.symbol,),
    )
    (instrument,) = source.description.instruments
    # The scale is asked for only once the shard has seen a price, so the two may know each other.
    collector = Collector(instrument, lambda symbol: shard.market.scale(symbol))
    shard = Shard((instrument,), NumpyBackend(), SystemClock().now_ns, collector.observe)
    started = time.monotonic()
    for event in source.iterate():
        shard.accept(TickEnd(event.time_ns, render=False) if isinstance(event, TickEnd) else event)
    seconds = time.monotonic() - started
    bars, left_out = scored_bars(collector, totals)
    scores = {
        period: {guess: score(collector, totals, numbers, GUESSES[guess]) for guess in GUESSES}
        for period, numbers in periods(collector, bars).items()
    }
    return Outcome(name, scores, left_out, collector.samples, collector.violations, seconds)


def show(outcome: Outcome) -> None:
    """Print the scores of a set as a table."""
    chosen = SETS[outcome.name]
    counts = {period: next(iter(by_guess.values())).bars for period, by_guess in outcome.scores.items()}
    print(f"\n{outcome.name} ({chosen.manifest}), long / short; built in {outcome.build_seconds:.1f} s")
    head = [f"{period} ({count} bars)" for period, count in counts.items()]
    print(f"  {'':18s}" + "".join(f"{text:>26s}" for text in [*head, "prototype, second half"]))
    for guess in GUESSES:
        cells = [f"{by[guess].long:.3f} / {by[guess].short:.3f}" for by in outcome.scores.values()]
        print(f"  {guess:18s}" + "".join(f"{text:>26s}" for text in [*cells, chosen.prototype[guess]]))
    out = ", ".join(f"{count} {reason}" for reason, count in outcome.left_out.items()) or "none"
    print(
        f"  left out: {out}; rules of reconciliation broken {len(outcome.violations)} times, {outcome.samples} samples"
    )


def store(outcomes: Sequence[Outcome]) -> None:
    """Keep what was measured."""
    figures = {}
    for outcome in outcomes:
        for guess, got in outcome.scores["second half"].items():
            figures[f"{outcome.name}, {guess}, long / short"] = f"{got.long:.3f} / {got.short:.3f}"
    result: dict[str, Any] = {outcome.name: asdict(outcome) for outcome in outcomes}
    report.store("model", "Does swept notional rank real 4-hour liquidation totals (second half)?", figures, result)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the status is 1 when a score or a check falls short."""
    parser = argparse.ArgumentParser(description="rank correlation of swept positions with real liquidations")
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), help="only these; nothing is stored then")
    parser.add_argument("--recordings", type=Path, default=recordings_folder(), help="the folder above market/")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    outcomes = []
    for name in options.sets or SETS:
        outcomes.append(run(name, options.recordings))
        show(outcomes[-1])
    print(f"\n{time.monotonic() - started:.1f} s in all")
    if not options.sets:
        store(outcomes)
    problems = [problem for outcome in outcomes for problem in outcome.problems()]
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
