"""The gain of one guess over another, and how far it can be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.score_noise import gain_and_noise, mean_rank_correlation


def market(bars: int = 240) -> np.ndarray:
    return np.random.default_rng(5).gamma(1.0, 1.0, (bars, 2))


def guess(real: np.ndarray, noise: float, seed: int) -> np.ndarray:
    return real * np.exp(noise * np.random.default_rng(seed).standard_normal(real.shape))


def test_the_mean_is_that_of_both_sides() -> None:
    real = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])

    assert mean_rank_correlation(np.column_stack([real[:, 0], -real[:, 1]]), real) == pytest.approx(0.0)
    assert mean_rank_correlation(real, real) == pytest.approx(1.0)


def test_a_guess_gains_nothing_over_itself() -> None:
    real = market()
    same = guess(real, 0.5, 1)

    assert gain_and_noise(same, same, real) == (0.0, 0.0)


def test_a_clearly_better_guess_gains_many_standard_errors_and_a_like_one_few() -> None:
    real = market()
    poor, good, like = guess(real, 2.0, 1), guess(real, 0.5, 2), guess(real, 2.0, 3)

    clear, noise = gain_and_noise(poor, good, real)
    slight, of_like = gain_and_noise(poor, like, real)

    assert clear > 5 * noise > 0
    assert abs(slight) < 3 * of_like


def test_both_guesses_are_judged_on_the_same_draws() -> None:
    real = market()
    one = guess(real, 1.0, 1)
    nearly_one = one.copy()
    nearly_one[0] *= 1.5

    _, noise = gain_and_noise(one, nearly_one, real)

    assert noise < 1e-3  # of independent draws it would be that of a score, about 0.04
