"""What moves the model's score, and what does not? One setting at a time, on first halves.

    python -m benchmarks.model_knobs                 first halves of set B, as fit_mix takes them
    python -m benchmarks.model_knobs --confirm       the few that CONFIRMED names, on second halves too; stored

Settings that the server fixes are replaced here for the length of a replay; nothing of this is served. Choose on first
halves, look at second halves once. Beside each score stands the gain over the settings as shipped, mean of long and
short, with its standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.fit_mix import FITTED_ON, MODEL, Judge, hidden_minutes, show_set, swept_usd
from benchmarks.mix_fitting import Mix
from benchmarks.model_scores import GUESSES, Score, periods, score, scored_bars
from benchmarks.model_sets import SETS, Recorded, replay
from benchmarks.score_noise import gain_and_noise
from liqscape.feeds import candle_path
from liqscape.feeds.history import recordings_folder
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions import flow, hazard
from liqscape.positions.margin import RowMap
from liqscape.positions.mix import PRIOR_STANDING_SHARES, normalised_mix


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings that differ from the shipped ones.

    Attributes:
        phi: share of the traded quantity that takes positions.
        turnover_power: turnover of a tier = (leverage / 10) to this power; standing shares stay, inflow follows.
        dispersion: liquidation distances of neighbouring entry rows x (1 - d), 1, (1 + d) in turn.
        path: how hourly candles are walked: "parts", as shipped; "legs", not cut further; "reversed", the other turn
            first; "whole", not at all.
        standing: standing shares of the tiers, any unit; the inflow is these x turnover.
    """

    phi: Fraction = flow.POSITION_TAKING_SHARE
    turnover_power: float = 1.0
    dispersion: float = 0.0
    path: str = "parts"
    standing: tuple[int, ...] = PRIOR_STANDING_SHARES

    def mix(self) -> Mix:
        """Return the inflow mix."""
        turnover = [Fraction((tier / 10) ** self.turnover_power) for tier in LEVERAGE_TIERS]
        return normalised_mix([share * speed for share, speed in zip(self.standing, turnover, strict=True)])

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let recordings be read and books be built with these settings."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(flow, "POSITION_TAKING_SHARE", self.phi))
            if self.turnover_power != 1.0:
                stack.enter_context(patch.object(hazard, "turnover_reciprocal", self._turnover_reciprocal))
            if self.dispersion:
                stack.enter_context(patch.object(RowMap, "liquidation_rows", _dispersed(self.dispersion)))
            if self.path == "whole":
                stack.enter_context(patch.object(candle_path, "cut", candle_path.whole))
            elif self.path == "legs":
                stack.enter_context(patch.object(candle_path, "PART", 1))
            elif self.path == "reversed":
                stack.enter_context(patch.object(candle_path, "_turns", _other_turn_first))
            yield

    def _turnover_reciprocal(self, leverage: int) -> int:
        return int(hazard.CLOCK_ONE / (leverage / 10) ** self.turnover_power)


ONE: Final = Fraction(1)
SHIPPED: Final = "as shipped"
VARIANTS: Final = {
    SHIPPED: Variant(),
    "candles whole": Variant(path="whole"),
    "candles whole, phi 1": Variant(path="whole", phi=ONE),
    "three legs, no parts": Variant(path="legs"),
    "path reversed": Variant(path="reversed"),
    "phi 0.3": Variant(phi=Fraction(3, 10)),
    "phi 1": Variant(phi=ONE),
    "turnover ~ leverage^0.5": Variant(turnover_power=0.5),
    "turnover ~ leverage^1.5": Variant(turnover_power=1.5),
    "phi 1, leverage^1.5": Variant(phi=ONE, turnover_power=1.5),
    "dispersion 20 %": Variant(dispersion=0.2),
    "dispersion 40 %": Variant(dispersion=0.4),
}
CONFIRMED: Final = (SHIPPED, "candles whole", "phi 1", "phi 1, leverage^1.5")


def first_halves(recordings: Path) -> tuple[dict[str, dict[str, Score]], dict[str, dict[str, tuple[float, float]]]]:
    """Return the first-half scores of every variant, by set, and gains over the first variant with their noise."""
    hidden = hidden_minutes(recordings)
    scores: dict[str, dict[str, Score]] = {}
    gains: dict[str, dict[str, tuple[float, float]]] = {}
    shipped: dict[str, NDArray[np.float64]] = {}
    for title, variant in VARIANTS.items():
        scores[title], gains[title] = {}, {}
        with variant.in_force():
            recorded = {name: Recorded.read(name, recordings) for name in FITTED_ON}
            for name in FITTED_ON:
                collector, bars = Judge(recorded, hidden).replay(name, variant.mix())
                scores[title][name] = score(collector, recorded[name].totals, bars, GUESSES[MODEL])
                swept, real = swept_usd(collector, bars), np.array([recorded[name].totals[n] for n in bars])
                gains[title][name] = gain_and_noise(shipped.setdefault(name, swept), swept, real)
        _show(title, scores[title], gains[title])
    return scores, gains


def _show(title: str, scores: dict[str, Score], gains: dict[str, tuple[float, float]]) -> None:
    cells = [
        f"{name} {got.long:.4f} / {got.short:.4f} ({gains[name][0]:+.4f} +- {gains[name][1]:.4f})"
        for name, got in scores.items()
    ]
    mean = np.mean([(got.long + got.short) / 2 for got in scores.values()])
    print(f"  {title:26s}{'   '.join(cells)}   mean {mean:.4f}", flush=True)


def confirm(recordings: Path) -> dict[str, dict[str, dict[str, Score]]]:
    """Return scores by set, period and variant, baselines first, of the sets that something was wanted of."""
    found: dict[str, dict[str, dict[str, Score]]] = {name: {} for name in SETS if SETS[name].wanted}
    for name in found:
        for title in CONFIRMED:
            variant, first = VARIANTS[title], title == CONFIRMED[0]
            if variant.path != "parts" and name not in FITTED_ON:
                continue  # only the candles of B are cut
            with variant.in_force():
                recorded = Recorded.read(name, recordings)
                collector = replay(recorded, variant.mix(), baselines=first)
            bars, _ = scored_bars(collector, recorded.totals)
            for period, numbers in periods(collector, bars).items():
                cells = found[name].setdefault(period, {})
                for guess in [g for g in GUESSES if g != MODEL] if first else []:
                    cells[guess] = score(collector, recorded.totals, numbers, GUESSES[guess])
                cells[title] = score(collector, recorded.totals, numbers, GUESSES[MODEL])
        show_set(name, found[name])
    return found


def _other_turn_first(opened: int, high: int, low: int, close: int) -> tuple[int, int, int, int]:
    return (opened, high, low, close) if close >= opened else (opened, low, high, close)


def _dispersed(dispersion: float) -> Callable[[RowMap, NDArray[np.int64]], NDArray[np.int64]]:
    exact = RowMap.liquidation_rows
    by_turn = np.array([-dispersion, 0.0, dispersion])

    def rows(self: RowMap, entry_rows: NDArray[np.int64]) -> NDArray[np.int64]:
        found = exact(self, entry_rows)
        change: NDArray[np.int64] = np.round((found - entry_rows) * by_turn[entry_rows % 3]).astype(np.int64)
        return found + change

    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="what moves the model's score")
    parser.add_argument("--confirm", action="store_true", help="second halves too; stored")
    parser.add_argument("--recordings", type=Path, default=recordings_folder(), help="the folder above market/")
    options = parser.parse_args(arguments)
    print("first half of B without the second half of C, long / short")
    chosen_on, gains = first_halves(options.recordings)
    if options.confirm:
        _store(chosen_on, gains, confirm(options.recordings))
    return 0


def _store(
    chosen_on: dict[str, dict[str, Score]],
    gains: dict[str, dict[str, tuple[float, float]]],
    found: dict[str, dict[str, dict[str, Score]]],
) -> None:
    figures = {
        f"first half of {name}, {title}, long / short": f"{got.long:.3f} / {got.short:.3f},"
        f" mean {gains[title][name][0]:+.4f} with standard error {gains[title][name][1]:.4f}"
        for title, by in chosen_on.items()
        for name, got in by.items()
    } | {
        f"second half of {name}, {title}, long / short": f"{got.long:.3f} / {got.short:.3f}"
        for name, by_period in found.items()
        for title, got in by_period["second half"].items()
        if title not in GUESSES
    }
    result: dict[str, Any] = {
        "first_half": {t: {n: asdict(got) for n, got in by.items()} for t, by in chosen_on.items()},
        "first_half_gain_and_standard_error": gains,
        "confirmed": {
            n: {p: {t: asdict(got) for t, got in by.items()} for p, by in periods_of.items()}
            for n, periods_of in found.items()
        },
    }
    report.store("knobs", "What moves the model's score?", figures, result)


if __name__ == "__main__":
    sys.exit(main())
