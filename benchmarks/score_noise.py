"""How far a difference of two scores can be trusted: the bars are drawn again, in blocks, both models on the same draw.

Hashes and rounding move a score by 1e-4. Which bars a half happens to hold moves it by far more, and neighbouring bars
are alike, so they are drawn in blocks of three days.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.model_scores import spearman

BLOCK_BARS: Final = 18
DRAWS: Final = 200


def mean_rank_correlation(guessed: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """Return the mean of Spearman's rank correlation long and short; both float64[bar, side]."""
    return (spearman(guessed[:, 0], real[:, 0]) + spearman(guessed[:, 1], real[:, 1])) / 2


def gain_and_noise(
    before: NDArray[np.float64], after: NDArray[np.float64], real: NDArray[np.float64], seed: int = 1
) -> tuple[float, float]:
    """Return by how much the mean rank correlation rises from one guess to another, and its standard error.

    Args:
        before, after: guessed USD, float64[bar, side], bars in order of time.
        real: real totals, float64[bar, side].
        seed: of the draws.
    """
    bars = len(real)
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        starts = random.integers(0, bars, -(-bars // BLOCK_BARS))
        chosen = ((starts[:, None] + np.arange(BLOCK_BARS)) % bars).reshape(-1)[:bars]
        drawn.append(_gain(before[chosen], after[chosen], real[chosen]))
    return _gain(before, after, real), float(np.std(drawn))


def _gain(before: NDArray[np.float64], after: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    return mean_rank_correlation(after, real) - mean_rank_correlation(before, real)
