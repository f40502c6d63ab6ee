"""The arithmetic of fit_mix on markets whose mix is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.mix_fitting import (
    HELD_STANDING_SHARE,
    Mix,
    Trial,
    climb,
    follow_likelihood,
    holding_the_middle,
    inflow_of,
    likely_factors,
    log_posterior,
    raised,
    rounded_standing,
    same_level,
    standing_shares,
    tier_matrix,
)
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.mix import MIN_SHARE, SHARE_ONE, prior_inflow_mix

PRIOR = prior_inflow_mix(LEVERAGE_TIERS)
TIERS = len(LEVERAGE_TIERS)


def market(true_factors: list[float], seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Return what tiers had swept in 400 bars, and totals that are those x the true factors but for noise."""
    random = np.random.default_rng(seed)
    swept = random.gamma(0.6, 1.0, (400, len(true_factors)))
    real = swept @ np.array(true_factors) * random.gamma(100, 1 / 100, 400)
    return same_level(swept, real)


def test_factors_move_towards_the_tiers_that_explain_the_totals() -> None:
    swept, real = market([1.0, 0.2, 1.0, 4.0, 1.0])

    factors = likely_factors(swept, real, prior_weight=0.0, rounds=300)

    ratios = factors / factors[0]
    assert ratios.tolist() == pytest.approx([1.0, 0.2, 1.0, 4.0, 1.0], rel=0.3)


@pytest.mark.parametrize("prior_weight", [0.0, 0.05, 1.0])
def test_every_round_raises_the_posterior(prior_weight: float) -> None:
    swept, real = market([1.0, 0.1, 3.0, 0.5])

    heights = [
        log_posterior(swept, real, likely_factors(swept, real, prior_weight=prior_weight, rounds=n), prior_weight)
        for n in range(12)
    ]

    assert all(after >= before - 1e-12 for before, after in pairwise(heights))
    assert heights[-1] > heights[0]


def test_a_stronger_prior_holds_factors_nearer_to_one() -> None:
    swept, real = market([1.0, 0.1, 5.0, 0.5])

    reach = [
        float(np.abs(np.log(likely_factors(swept, real, prior_weight=w, rounds=50))).max()) for w in (0.01, 0.3, 10.0)
    ]

    assert reach[0] > reach[1] > reach[2] > 0


def test_a_tier_that_was_never_swept_keeps_its_share() -> None:
    swept, real = market([1.0, 2.0, 1.0])
    swept = np.column_stack([swept, np.zeros(len(swept))])

    with_prior = likely_factors(swept, real, prior_weight=0.05, rounds=5)
    without = likely_factors(swept, real, prior_weight=0.0, rounds=5)

    assert with_prior[3] == without[3] == 1.0


def test_shares_sum_to_one_million_and_no_tier_is_lost() -> None:
    factors = np.array([0.0, 1e-9, 1.0, 1.0, 1.0, 1.0, 1.0, 50.0, 1e6])

    mix = raised(PRIOR, factors)

    assert sum(mix) == SHARE_ONE
    assert min(mix) == MIN_SHARE
    assert mix[8] > 900_000


def test_standing_shares_and_inflow_undo_each_other() -> None:
    assert np.round(standing_shares(PRIOR), 3).tolist() == [0.2, 0.2, 0.25, 0.15, 0.1, 0.05, 0.02, 0.02, 0.01]
    assert inflow_of(standing_shares(PRIOR)) == pytest.approx(PRIOR, abs=1)
    assert rounded_standing(PRIOR) == (200, 200, 250, 150, 100, 50, 20, 20, 10)


def test_the_middle_tiers_are_held() -> None:
    held = holding_the_middle(np.array([9.0, 1, 1, 3, 1, 1, 1, 1, 1]))

    assert held.sum() == pytest.approx(1)
    assert held[2:4].tolist() == pytest.approx([0.1, 0.3])
    assert held[0] == pytest.approx(0.6 * 9 / 15)


def test_rounded_standing_shares_sum_to_a_thousand() -> None:
    for seed in range(20):
        mix = inflow_of(np.random.default_rng(seed).dirichlet(np.full(TIERS, 0.4)) + 1e-6)

        rounded = rounded_standing(mix)

        assert sum(rounded) == 1000
        assert min(rounded) >= 1


def test_following_stops_when_the_score_falls_and_returns_the_best() -> None:
    course = iter([0.5, 0.6, 0.7, 0.65, 0.9])
    seen: list[Trial] = []

    def step(mix: Mix) -> tuple[Trial, Mix]:
        return Trial(mix, {"one": next(course)}), raised(mix, np.linspace(1, 2, TIERS))

    best = follow_likelihood(PRIOR, step, 8, seen.append)

    assert best.mean == 0.7
    assert [trial.mean for trial in seen] == [0.5, 0.6, 0.7, 0.65]
    assert best.mix == seen[2].mix != PRIOR


def closeness(mix: Mix, target: np.ndarray) -> float:
    return float(-np.abs(np.log(standing_shares(mix) / target)).sum())


def test_climbing_finds_the_direction_of_a_known_mix_and_holds_the_middle() -> None:
    target = holding_the_middle(np.array([40.0, 30, 30, 10, 5, 5, 1, 1, 0.5]))

    def score(mix: Mix) -> Trial:
        return Trial(mix, {"one": closeness(mix, target)})

    start = score(PRIOR)
    best = climb(start, score, 300, lambda trial: None)

    assert best.mean > 0.15 * start.mean  # both negative: most of the way is gone
    assert standing_shares(best.mix)[2:4].sum() == pytest.approx(HELD_STANDING_SHARE, abs=1e-4)


def test_climbing_keeps_nothing_that_lowers_one_recording() -> None:
    def score(mix: Mix) -> Trial:
        fast = float(standing_shares(mix)[8])
        return Trial(mix, {"gains": 10 * fast, "loses": -fast})

    start = score(inflow_of(holding_the_middle(standing_shares(PRIOR))))

    assert climb(start, score, 60, lambda trial: None) is start


def test_climbing_replays_no_more_than_allowed() -> None:
    replays = 0

    def score(mix: Mix) -> Trial:
        nonlocal replays
        replays += 1
        return Trial(mix, {"one": float(replays)})

    climb(Trial(PRIOR, {"one": 0.0}), score, 5, lambda trial: None)

    assert replays == 5


def test_long_observations_come_before_short_ones() -> None:
    matrix = tier_matrix([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])

    assert matrix.tolist() == [[1, 2], [5, 6], [3, 4], [7, 8]]
