"""Fit the inflow mix on the first half of set B, then score it once on halves it has not seen.

    python -m benchmarks.fit_mix                 fit, score, store
    python -m benchmarks.fit_mix --fit-only      fit and show; no second half is read

The book is replayed under every candidate, since a mix acts when lots are opened. Candidates are compared by Spearman's
rank correlation of swept USD with the real 4-hour totals, long and short, in the first half of B after ten days of
warm-up. Left out there: the second half of C, a finer recording of the same weeks, so that C can judge too. A replay of
both coins takes about 20 s, so the searches are short: five rounds of the likelihood, 45 replays of the climb.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.mix_fitting import (
    Mix,
    Trial,
    climb,
    follow_likelihood,
    likely_factors,
    raised,
    rounded_standing,
    same_level,
    standing_shares,
    tier_matrix,
)
from benchmarks.model_scores import (
    BAR_MINUTES,
    GUESSES,
    WARM_UP_MINUTES,
    Collector,
    Score,
    periods,
    score,
    scored_bars,
)
from benchmarks.model_sets import SETS, Recorded, replay
from benchmarks.score_noise import gain_and_noise
from liqscape.feeds.history import recordings_folder
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.mix import prior_inflow_mix

FITTED_ON: Final = ("B BTC", "B ETH")
KEPT_CLEAN: Final = "C BTC"
"""A set inside the first half of B, whose own second half no fit may see; C ETH spans the same minutes."""
PRIOR_WEIGHT: Final = 0.05
ROUNDS_A_REPLAY: Final = 3
MAX_REPLAYS: Final = 5
MAX_CLIMB: Final = 45
MODEL: Final = list(GUESSES)[-1]

Scores: TypeAlias = dict[str, dict[str, dict[str, Score]]]
"""By set, period, and mix or baseline."""
Gains: TypeAlias = dict[str, dict[str, tuple[float, float]]]
"""By set and mix: gain of the mean rank correlation over the first mix in the second half, and its standard error."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Replays first halves and scores them.

    Attributes:
        recorded: by name of the set.
        hidden: minutes from..until that take no part.
    """

    recorded: Mapping[str, Recorded]
    hidden: tuple[int, int]

    def replay(self, name: str, mix: Mix) -> tuple[Collector, list[int]]:
        """Return the first half of a set under a mix, and the bars that count."""
        recorded = self.recorded[name]
        collector = replay(recorded, mix, first_half_only=True)
        usable, _ = scored_bars(collector, recorded.totals)
        assert collector.first_minute is not None
        warm = collector.first_minute + WARM_UP_MINUTES
        begin, end = self.hidden
        opens = {n: n * BAR_MINUTES for n in usable}
        return collector, [n for n, minute in opens.items() if minute >= warm and not begin <= minute < end]

    def trial(self, names: Sequence[str], mix: Mix) -> Trial:
        """Score a mix."""
        return Trial(mix, {name: self._mean(name, *self.replay(name, mix)) for name in names})

    def step(self, names: Sequence[str], mix: Mix) -> tuple[Trial, Mix]:
        """Score a mix and return the one that the likelihood leads to."""
        scores, parts = {}, []
        for name in names:
            collector, bars = self.replay(name, mix)
            scores[name] = self._mean(name, collector, bars)
            real = np.array([self.recorded[name].totals[n] for n in bars])
            parts.append(same_level(tier_matrix([collector.bars[n].by_tier for n in bars]), real.T.reshape(-1)))
        swept, totals = (np.concatenate(column) for column in zip(*parts, strict=True))
        factors = likely_factors(swept, totals, prior_weight=PRIOR_WEIGHT, rounds=ROUNDS_A_REPLAY)
        return Trial(mix, scores), raised(mix, factors)

    def _mean(self, name: str, collector: Collector, bars: list[int]) -> float:
        got = score(collector, self.recorded[name].totals, bars, GUESSES[MODEL])
        return (got.long + got.short) / 2


def hidden_minutes(recordings: Path) -> tuple[int, int]:
    """Return the minutes from..until that no fit may see: the second half of the set kept clean."""
    clean = Recorded.read(KEPT_CLEAN, recordings)
    return clean.middle_minute, clean.bars[-1].minute + 1


def fit(judge: Judge) -> Iterator[tuple[str, Trial]]:
    """Yield the prior and each fitted mix, with a name and its first-half score."""
    prior = prior_inflow_mix(LEVERAGE_TIERS)
    shared = judge.trial(FITTED_ON, prior)
    yield "prior", shared
    print("\nlikelihood")
    yield "likelihood", follow_likelihood(prior, partial(judge.step, FITTED_ON), MAX_REPLAYS, _show_trial)
    print("\nrank")
    yield "rank", climb(shared, partial(judge.trial, FITTED_ON), MAX_CLIMB, _show_trial)


def confirm(mixes: Mapping[str, Mix], recordings: Path) -> tuple[Scores, Gains]:
    """Replay every set under every mix; the first mix is what gains are counted from."""
    scores: Scores = {}
    gains: Gains = {}
    for name in SETS:
        recorded = Recorded.read(name, recordings)
        scores[name], gains[name] = {}, {}
        before: NDArray[np.float64] | None = None
        for title, mix in mixes.items():
            collector = replay(recorded, mix, baselines=before is None)
            bars, _ = scored_bars(collector, recorded.totals)
            by_period = periods(collector, bars)
            for period, numbers in by_period.items():
                cells = scores[name].setdefault(period, {})
                for guess in [g for g in GUESSES if g != MODEL] if before is None else []:
                    cells[guess] = score(collector, recorded.totals, numbers, GUESSES[guess])
                cells[title] = score(collector, recorded.totals, numbers, GUESSES[MODEL])
            unseen = by_period["second half"]
            swept = swept_usd(collector, unseen)
            if before is None:
                before = swept
            else:
                real = np.array([recorded.totals[n] for n in unseen])
                gains[name][title] = gain_and_noise(before, swept, real)
        show_set(name, scores[name])
        for title, (gain, noise) in gains[name].items():
            print(f"  {title}: {gain:+.4f} in the second half, standard error {noise:.4f}", flush=True)
    return scores, gains


def swept_usd(collector: Collector, bars: Sequence[int]) -> NDArray[np.float64]:
    """Return what the model swept in these bars, float64[bar, side]."""
    return np.array([GUESSES[MODEL](collector.bars[n]) for n in bars])


def show_set(name: str, by_period: Mapping[str, Mapping[str, Score]]) -> None:
    """Print one set."""
    counts = [f"{period} ({next(iter(cells.values())).bars} bars)" for period, cells in by_period.items()]
    print(f"\n{name}, long / short\n  {'':26s}" + "".join(f"{text:>26s}" for text in counts))
    for title in next(iter(by_period.values())):
        cells = [f"{by[title].long:.3f} / {by[title].short:.3f}" for by in by_period.values()]
        print(f"  {title:26s}" + "".join(f"{text:>26s}" for text in cells), flush=True)


def _show_trial(trial: Trial) -> None:
    scores = ", ".join(f"{name} {value:.4f}" for name, value in trial.scores.items())
    shares = " ".join(f"{share / 1e4:.1f}" for share in trial.mix)
    print(f"  {trial.mean:.4f} ({scores}) inflow % {shares}", flush=True)


def _summary(trial: Trial) -> dict[str, Any]:
    return {
        "inflow_millionths": trial.mix,
        "standing_permille": rounded_standing(trial.mix),
        "standing_at_10x_to_20x": float(standing_shares(trial.mix)[2:4].sum()),
        "first_half": dict(trial.scores),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="fit the inflow mix to real liquidations")
    parser.add_argument("--fit-only", action="store_true", help="read no second half")
    parser.add_argument("--recordings", type=Path, default=recordings_folder(), help="the folder above market/")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    hidden = hidden_minutes(options.recordings)
    recorded = {name: Recorded.read(name, options.recordings) for name in FITTED_ON}
    trials = dict(fit(Judge(recorded, hidden)))
    for title, trial in trials.items():
        print(f"\n{title}: standing shares in per mille {rounded_standing(trial.mix)}")
        _show_trial(trial)
    if options.fit_only:
        return 0
    scores, gains = confirm({title: trial.mix for title, trial in trials.items()}, options.recordings)
    print(f"\n{time.monotonic() - started:.0f} s in all")
    _store(trials, scores, gains)
    return 0


def _store(trials: Mapping[str, Trial], scores: Scores, gains: Gains) -> None:
    figures = {}
    for name, by_period in scores.items():
        for title, got in by_period["second half"].items():
            gained = ""
            if title in gains[name]:
                gain, noise = gains[name][title]
                gained = f", mean {gain:+.4f} with standard error {noise:.4f} against the prior"
            figures[f"{name}, {title}, long / short"] = f"{got.long:.3f} / {got.short:.3f}{gained}"
    result = {
        "fits": {title: _summary(trial) for title, trial in trials.items()},
        "scores": {
            name: {period: {title: asdict(got) for title, got in cells.items()} for period, cells in by.items()}
            for name, by in scores.items()
        },
        "second_half_gain_and_standard_error": gains,
    }
    report.store("mix", "Does a fitted inflow mix rank liquidations it has not seen better?", figures, result)


if __name__ == "__main__":
    sys.exit(main())
