"""What moves the model's score, and what does not? One setting at a time, on first halves.

    python -m benchmarks.model_knobs                 first halves of set B, as fit_mix takes them
    python -m benchmarks.model_knobs --confirm       the few that --confirm names, on second halves too; stored

Settings that the server fixes are replaced here for the length of a replay; nothing of this is served. Choose on first
halves, look at second halves once.
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
from benchmarks.fit_mix import FITTED_ON, MODEL, Judge, hidden_minutes, show_set
from benchmarks.mix_fitting import Mix
from benchmarks.model_scores import GUESSES, Score, periods, score, scored_bars
from benchmarks.model_sets import SETS, Recorded, replay
from liqscape.feeds.history import recordings_folder
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions import flow, hazard
from liqscape.positions.margin import RowMap
from liqscape.positions.mix import normalised_mix, prior_inflow_mix


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings that differ from the shipped ones.

    Attributes:
        phi: share of the traded quantity that takes positions.
        turnover_power: turnover of a tier = (leverage / 10) to this power.
        dispersion: liquidation distances of neighbouring entry rows x (1 - d), 1, (1 + d) in turn.
        walk: candles cut into the legs of their path.
        standing: standing shares of the tiers, any unit; the inflow is these x leverage.
    """

    phi: Fraction = flow.POSITION_TAKING_SHARE
    turnover_power: float = 1.0
    dispersion: float = 0.0
    walk: bool = False
    standing: tuple[int, ...] | None = None

    def mix(self) -> Mix:
        """Return the inflow mix."""
        if self.standing is None:
            return prior_inflow_mix(LEVERAGE_TIERS)
        return normalised_mix([Fraction(s * tier) for s, tier in zip(self.standing, LEVERAGE_TIERS, strict=True)])

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let books be built with these settings."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(flow, "POSITION_TAKING_SHARE", self.phi))
            if self.turnover_power != 1.0:
                stack.enter_context(patch.object(hazard, "turnover_reciprocal", self._turnover_reciprocal))
            if self.dispersion:
                stack.enter_context(patch.object(RowMap, "liquidation_rows", _dispersed(self.dispersion)))
            yield

    def _turnover_reciprocal(self, leverage: int) -> int:
        return int(hazard.CLOCK_ONE / (leverage / 10) ** self.turnover_power)


ONE: Final = Fraction(1)
FITTED_STANDING: Final = (200, 200, 250, 150, 100, 50, 20, 20, 10)
"""Standing shares that `fit_mix` found by rank, in per mille."""

VARIANTS: Final = {
    "as shipped": Variant(),
    "phi 0.3": Variant(phi=Fraction(3, 10)),
    "phi 1": Variant(phi=ONE),
    "phi 1.5, more than was traded": Variant(phi=Fraction(3, 2)),
    "turnover ~ leverage^0.5": Variant(turnover_power=0.5),
    "turnover ~ leverage^1.5": Variant(turnover_power=1.5),
    "dispersion 20 %": Variant(dispersion=0.2),
    "dispersion 40 %": Variant(dispersion=0.4),
    "walked": Variant(walk=True),
    "walked, phi 1": Variant(walk=True, phi=ONE),
    "walked, phi 1, leverage^1.5": Variant(walk=True, phi=ONE, turnover_power=1.5),
    "fitted": Variant(standing=FITTED_STANDING),
    "fitted, phi 1": Variant(standing=FITTED_STANDING, phi=ONE),
    "fitted, walked": Variant(standing=FITTED_STANDING, walk=True),
    "fitted, walked, phi 1": Variant(standing=FITTED_STANDING, walk=True, phi=ONE),
}
CONFIRMED: Final = (
    "as shipped",
    "phi 1",
    "walked",
    "walked, phi 1",
    "fitted",
    "fitted, phi 1",
    "fitted, walked, phi 1",
)


def first_halves(recordings: Path) -> dict[str, dict[str, Score]]:
    """Return the first-half scores of every variant, by set."""
    recorded = {name: Recorded.read(name, recordings) for name in FITTED_ON}
    hidden = hidden_minutes(recordings)
    found: dict[str, dict[str, Score]] = {}
    for title, variant in VARIANTS.items():
        found[title] = {}
        with variant.in_force():
            for name in FITTED_ON:
                collector, bars = Judge(recorded, hidden, variant.walk).replay(name, variant.mix())
                found[title][name] = score(collector, recorded[name].totals, bars, GUESSES[MODEL])
        cells = "".join(f"{name:>8s} {got.long:.4f} / {got.short:.4f}" for name, got in found[title].items())
        mean = np.mean([(got.long + got.short) / 2 for got in found[title].values()])
        print(f"  {title:32s}{cells}   mean {mean:.4f}", flush=True)
    return found


def confirm(recordings: Path) -> dict[str, dict[str, dict[str, Score]]]:
    """Return scores by set, period and variant, baselines first; every set is read once."""
    found: dict[str, dict[str, dict[str, Score]]] = {}
    for name in SETS:
        recorded = Recorded.read(name, recordings)
        found[name] = {}
        for title in CONFIRMED:
            variant, first = VARIANTS[title], title == CONFIRMED[0]
            if variant.walk and recorded.bars_walked() == recorded.bars:
                continue  # candles of a minute have no legs
            with variant.in_force():
                collector = replay(recorded, variant.mix(), baselines=first, walk=variant.walk)
            bars, _ = scored_bars(collector, recorded.totals)
            for period, numbers in periods(collector, bars).items():
                cells = found[name].setdefault(period, {})
                for guess in [g for g in GUESSES if g != MODEL] if first else []:
                    cells[guess] = score(collector, recorded.totals, numbers, GUESSES[guess])
                cells[title] = score(collector, recorded.totals, numbers, GUESSES[MODEL])
        show_set(name, found[name])
    return found


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
    chosen_on = first_halves(options.recordings)
    if not options.confirm:
        return 0
    found = confirm(options.recordings)
    figures = {
        f"{name}, {title}, long / short": f"{got.long:.3f} / {got.short:.3f}"
        for name, by_period in found.items()
        for title, got in by_period["second half"].items()
        if title not in GUESSES
    }
    result: dict[str, Any] = {
        "first_half": {t: {n: asdict(got) for n, got in by.items()} for t, by in chosen_on.items()},
        "confirmed": {
            n: {p: {t: asdict(got) for t, got in by.items()} for p, by in periods_of.items()}
            for n, periods_of in found.items()
        },
    }
    report.store("knobs", "What moves the model's score (second half)?", figures, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
