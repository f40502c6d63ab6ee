"""Does what the model sweeps rank the liquidations that really happened?

    python -m benchmarks.bench_model                       all sets, stored
    python -m benchmarks.bench_model --sets "B BTC" ...    only these, nothing stored

For every 4-hour bar the USD of positions that the model sweeps (lots x the middle price of their liquidation row) stand
against the venue's real total, long and short apart: Spearman's rank correlation. Beside it, in the same run: the fall
(for longs) or rise (for shorts) of the price from the open of the bar; that x traded volume; and a book in which
positions open with rising open interest and end by liquidation alone. Nothing is fitted here.

First and second half: bars that open in that half of the time the candles span, ten days or more after the first one.
The first half of set B is where the prior may have been fitted (fit_mix.py) and where settings were compared; C lies
inside it. Judged is the second half. Bars without a real total, or that candles do not cover in full, are left out and
counted.

Level: predicted over printed USD. Printed totals hold at most one liquidation a second and so are a floor. A total of
four hours names no leverage; what tells tiers apart is how far the price went, so bars are grouped by that: a bar in
the group of 50x reached the liquidation distance of a 50x position opened at the open of the bar, but not that of 25x.
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
from benchmarks.model_level import Level, levels
from benchmarks.model_scores import GUESSES, Collector, Score, periods, read_totals, score, scored_bars
from benchmarks.model_sets import SETS, open_source
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import TickEnd
from liqscape.feeds.history import recordings_folder
from liqscape.grid.shard import Shard

JUDGED: Final = list(GUESSES)[-1]
BASELINE: Final = "range x volume"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Scores of one set by period and guess, and what they rest on."""

    name: str
    scores: dict[str, dict[str, Score]]
    left_out: dict[str, int]
    samples: int
    violations: list[str]
    levels: list[Level]
    build_seconds: float

    def problems(self) -> list[str]:
        """Say what is not as it must be."""
        found = [f"{self.name}: {v}" for v in self.violations[:5]]
        got, (long, short) = self.scores["second half"][JUDGED], SETS[self.name].least
        if got.long < long or got.short < short:
            found.append(f"{self.name}: {got.long:.3f} / {got.short:.3f} is below {long} / {short}")
        return found


def run(name: str, recordings: Path) -> Outcome:
    """Build the book of a set and score it."""
    chosen = SETS[name]
    totals = read_totals(recordings / chosen.totals, *chosen.columns)
    source = open_source(chosen, recordings)
    (instrument,) = source.description.instruments
    # The scale is asked for only once the shard has seen a price, so the two may know each other.
    collector = Collector(instrument, lambda symbol: shard.market.scale(symbol))
    shard = Shard((instrument,), NumpyBackend(), SystemClock().now_ns, collector.observe, with_open_only=False)
    started = time.monotonic()
    for event in source.iterate():
        shard.accept(TickEnd(event.time_ns, render=False) if isinstance(event, TickEnd) else event)
    seconds = time.monotonic() - started
    bars, left_out = scored_bars(collector, totals)
    by_period = periods(collector, bars)
    scores = {
        period: {guess: score(collector, totals, numbers, GUESSES[guess]) for guess in GUESSES}
        for period, numbers in by_period.items()
    }
    level = levels(collector.bars, totals, by_period["second half"], instrument)
    return Outcome(name, scores, left_out, collector.samples, collector.violations, level, seconds)


def show(outcome: Outcome) -> None:
    """Print the scores of a set as a table, and its level."""
    chosen = SETS[outcome.name]
    counts = {period: next(iter(by_guess.values())).bars for period, by_guess in outcome.scores.items()}
    print(f"\n{outcome.name} ({chosen.manifest}), long / short; built in {outcome.build_seconds:.1f} s")
    head = [f"{period} ({count} bars)" for period, count in counts.items()]
    print(f"  {'':22s}" + "".join(f"{text:>26s}" for text in [*head, "prototype, second half"]))
    for guess, prototype in zip(GUESSES, chosen.prototype, strict=True):
        cells = [_pair(by[guess]) for by in outcome.scores.values()]
        print(f"  {guess:22s}" + "".join(f"{text:>26s}" for text in [*cells, prototype]))
    margins = [f"{long:+.3f} / {short:+.3f}" for long, short in map(margin, outcome.scores.values())]
    print(f"  {'over range x volume':22s}" + "".join(f"{text:>26s}" for text in margins))
    if chosen.wanted is not None:
        long, short = chosen.wanted
        print(f"  {'wanted':22s}" + f"{f'{long:.3f} / {short:.3f}':>{26 * len(counts)}s}")
    out = ", ".join(f"{count} {reason}" for reason, count in outcome.left_out.items()) or "none"
    print(
        f"  left out: {out}; rules of reconciliation broken {len(outcome.violations)} times, {outcome.samples} samples"
    )
    print(f"  {'second half, reached':22s}{'bars':>16s}{'printed, M USD':>20s}{'predicted / printed':>24s}", end="")
    print(f"{'share of predicted by tier':>30s}")
    for level in outcome.levels:
        print(
            f"  {level.reached:22s}{level.bars[0]:>7d} /{level.bars[1]:>7d}"
            f"{level.printed_usd[0] / 1e6:>10,.0f} /{level.printed_usd[1] / 1e6:>8,.0f}"
            f"{level.ratio(0):>13,.0f} /{level.ratio(1):>9,.0f}"
            f"{level.tier_shares[0]:>20.3f} /{level.tier_shares[1]:>8.3f}"
        )


def margin(by_guess: dict[str, Score]) -> tuple[float, float]:
    """Return how far the model lies above range x volume, long and short."""
    got, baseline = by_guess[JUDGED], by_guess[BASELINE]
    return got.long - baseline.long, got.short - baseline.short


def _pair(got: Score) -> str:
    return f"{got.long:.3f} / {got.short:.3f}"


def store(outcomes: Sequence[Outcome]) -> None:
    """Keep what was measured."""
    figures = {}
    for outcome in outcomes:
        for guess, got in outcome.scores["second half"].items():
            figures[f"{outcome.name}, {guess}, long / short"] = _pair(got)
        long, short = margin(outcome.scores["second half"])
        figures[f"{outcome.name}, margin over {BASELINE}"] = f"{long:+.3f} / {short:+.3f}"
        printed = [sum(level.printed_usd[side] for level in outcome.levels) for side in (0, 1)]
        swept = [sum(level.predicted_usd[side] for level in outcome.levels) for side in (0, 1)]
        figures[f"{outcome.name}, predicted / printed USD"] = (
            f"{swept[0] / printed[0]:.0f} / {swept[1] / printed[1]:.0f}"
        )
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
