"""Predicted over printed, by how far the price went."""

from __future__ import annotations

import pytest

from benchmarks.model_level import levels
from benchmarks.model_scores import FourHourBar
from liqscape.instruments import LEVERAGE_TIERS, find_instrument

BTC = find_instrument("binance:BTCUSDT")


def bar(low: int, high: int, swept: dict[int, tuple[float, float]]) -> FourHourBar:
    """Return a bar that opens at 100,000, with USD swept by leverage."""
    found = FourHourBar(100_000, high, low)
    for leverage, pair in swept.items():
        for side in (0, 1):
            found.by_tier[side][LEVERAGE_TIERS.index(leverage)] = pair[side]
    return found


def test_bars_are_grouped_by_the_farthest_tier_they_reached() -> None:
    bars = {
        1: bar(99_700, 100_300, {125: (5.0, 7.0)}),  # 125x lies 0.4016 % below and 0.3984 % above
        2: bar(98_300, 100_399, {50: (30.0, 0.0), 125: (10.0, 2.0)}),  # 50x lies 1.606 % below
    }
    totals = {1: (1.0, 1.0), 2: (4.0, 1.0)}

    found = {level.reached: level for level in levels(bars, totals, [1, 2], BTC)}

    assert list(found) == ["less", "125x", "100x", "75x", "50x", "25x", "20x", "10x", "5x", "3x"]
    assert found["less"].bars == (1, 1)
    assert found["50x"].bars == (1, 0)
    assert found["125x"].bars == (0, 1)
    assert found["less"].ratio(0) == 5.0
    assert found["50x"].ratio(0) == 10.0
    assert found["50x"].ratio(1) == 0.0
    assert found["50x"].tier_shares[0] == pytest.approx(30 / 45)
    assert found["125x"].tier_shares[1] == 1.0
