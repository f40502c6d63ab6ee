"""The arithmetic of fit_mix: what tells a better inflow mix, without a book or a file.

A mix acts when lots are opened, so every candidate needs a book of its own. Two ways lead from one candidate to the
next. `likely_factors` takes the USD that each tier had swept as given and asks by what factor each must be raised for
the sum to explain the real totals. `climb` asks nothing of the totals but their rank: it raises or lowers one tier,
has the book replayed and keeps what scores better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.mix import normalised_mix

Mix = tuple[int, ...]
"""Inflow shares in millionths by tier of LEVERAGE_TIERS; they sum to one million."""

HELD_TIERS: Final = (10, 20)
HELD_STANDING_SHARE: Final = 0.40
"""What traders report, and what the prior must say whatever is fitted: about 40 % of positions stand at 10x to 20x."""
FIRST_STEP: Final = 2.0
LAST_STEP: Final = 1.15
LEAST_GAIN: Final = 2e-4
"""A score rises by this or it has not risen: four other hashes for the clocks moved the mean score by 1.5e-4 (standard
deviation). It keeps a climb from following the hashes and says nothing about other bars: for that see score_noise."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A mix and its score by recording, each the mean of the rank correlations long and short."""

    mix: Mix
    scores: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Return the mean over the recordings."""
        return float(np.mean(list(self.scores.values())))


def likely_factors(
    swept: NDArray[np.float64], real: NDArray[np.float64], *, prior_weight: float, rounds: int
) -> NDArray[np.float64]:
    """Return the factor of each tier, float64[tier], after some rounds of expectation maximisation from one.

    Real totals are taken as Poisson around swept @ factors, the factors as Gamma distributed with mode one, whose
    weight is that of prior_weight x the total having been seen already. Each round raises `log_posterior`. A tier that
    is hardly ever swept keeps its share: without the prior it would be driven to nothing, and with it the slow part
    of open interest.

    Args:
        swept: float64[observation, tier], scaled so that its sum is that of `real`.
        real: float64[observation], at least 0.
        prior_weight: of the prior, as a share of the sum of `real`.
        rounds: how many.
    """
    weight = prior_weight * float(real.sum())
    factors = np.ones(swept.shape[1])
    exposure = swept.sum(axis=0)
    for _ in range(rounds):
        expected = swept @ factors
        ratio = np.divide(real, expected, out=np.zeros_like(expected), where=expected > 0)
        seen = exposure + weight > 0
        factors = np.where(seen, (factors * (swept.T @ ratio) + weight) / np.where(seen, exposure + weight, 1), 1.0)
    return factors


def log_posterior(
    swept: NDArray[np.float64], real: NDArray[np.float64], factors: NDArray[np.float64], prior_weight: float
) -> float:
    """Return what `likely_factors` maximises; observations that nothing was swept in say nothing about factors."""
    expected = swept @ factors
    reached = expected > 0
    weight = prior_weight * float(real.sum())
    of_totals = real[reached] @ np.log(expected[reached]) - expected.sum()
    return float(of_totals + (weight * (np.log(factors) - factors).sum() if weight else 0.0))


def same_level(
    swept: NDArray[np.float64], real: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale both to a sum of one: dollars of throttled feeds do not count, nor does one coin more than another."""
    return swept / swept.sum(), real / real.sum()


def raised(mix: Mix, factors: NDArray[np.float64]) -> Mix:
    """Return the mix whose shares are the old ones x factors."""
    return normalised_mix([Fraction(share) * Fraction(float(f)) for share, f in zip(mix, factors, strict=True)])


def standing_shares(mix: Mix) -> NDArray[np.float64]:
    """Return the shares of open positions that an inflow mix leads to: inflow over turnover, float64[tier]."""
    standing = np.array(mix) / np.array(LEVERAGE_TIERS)
    return np.asarray(standing / standing.sum())


def inflow_of(standing: NDArray[np.float64]) -> Mix:
    """Return the inflow mix of standing shares: share x turnover."""
    return normalised_mix([Fraction(float(s)) * tier for s, tier in zip(standing, LEVERAGE_TIERS, strict=True)])


def holding_the_middle(standing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return standing shares scaled so that the tiers of HELD_TIERS have HELD_STANDING_SHARE and all sum to one."""
    held = np.isin(LEVERAGE_TIERS, HELD_TIERS)
    scaled = standing.copy()
    scaled[held] *= HELD_STANDING_SHARE / standing[held].sum()
    scaled[~held] *= (1 - HELD_STANDING_SHARE) / standing[~held].sum()
    return scaled


def follow_likelihood(
    start: Mix, step: Callable[[Mix], tuple[Trial, Mix]], max_rounds: int, report: Callable[[Trial], None]
) -> Trial:
    """Replay and raise the mix by its factors until the score no longer rises; return the best mix by score.

    Args:
        start: the first mix.
        step: replays a mix and returns how it scored and the mix that its factors lead to.
        max_rounds: replays at most.
        report: told of each trial.
    """
    best: Trial | None = None
    mix = start
    for _ in range(max_rounds):
        trial, mix = step(mix)
        report(trial)
        if best is not None and trial.mean <= best.mean:
            break
        best = trial
    assert best is not None
    return best


def climb(start: Trial, score: Callable[[Mix], Trial], max_replays: int, report: Callable[[Trial], None]) -> Trial:
    """Change standing shares one tier at a time and keep what raises the mean score and lowers no recording's.

    Args:
        start: where to begin; the middle tiers are held at their share from the first change on.
        score: replays a mix.
        max_replays: trials at most.
        report: told of each trial that is kept.
    """
    best, step, left = start, FIRST_STEP, max_replays
    slow_and_fast_first = sorted(range(len(LEVERAGE_TIERS)), key=lambda t: -abs(t - (len(LEVERAGE_TIERS) - 1) / 2))
    while step > LAST_STEP:
        kept = False
        for tier in slow_and_fast_first:
            for factor in (step, 1 / step):
                if left == 0:
                    return best
                left -= 1
                trial = score(_changed(best.mix, tier, factor))
                if _better(trial, best):
                    best, kept = trial, True
                    report(best)
                    break
        if not kept:
            step = step**0.5
    return best


def rounded_standing(mix: Mix) -> tuple[int, ...]:
    """Return the standing shares of a mix in tenths of a per cent that sum to 1000, each at least 1."""
    exact = standing_shares(mix) * 1000
    rounded = np.maximum(1, np.floor(exact)).astype(int)
    for tier in np.argsort(rounded - exact, kind="stable")[: max(0, 1000 - int(rounded.sum()))]:
        rounded[tier] += 1
    rounded[np.argmax(rounded)] += 1000 - int(rounded.sum())
    return tuple(int(x) for x in rounded)


def _changed(mix: Mix, tier: int, factor: float) -> Mix:
    standing = standing_shares(mix)
    standing[tier] *= factor
    return inflow_of(holding_the_middle(standing))


def _better(trial: Trial, best: Trial) -> bool:
    none_lower = all(trial.scores[name] >= best.scores[name] for name in best.scores)
    return none_lower and trial.mean > best.mean + LEAST_GAIN


def tier_matrix(rows: Sequence[Sequence[Sequence[float]]]) -> NDArray[np.float64]:
    """Return float64[2 n, tier] of n bars' USD by [side][tier]: all long, then all short observations."""
    table = np.asarray(rows, np.float64)
    return np.concatenate([table[:, 0], table[:, 1]])
