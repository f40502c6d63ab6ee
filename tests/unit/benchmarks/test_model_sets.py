"""Replaying a recording under a mix."""

from __future__ import annotations

from benchmarks.model_sets import Recorded, replay
from liqscape.axes import SymbolScale
from liqscape.instruments import LEVERAGE_TIERS, find_instrument
from liqscape.market.bars import Bar, PriceRange, TradedRows
from liqscape.positions.mix import MIN_SHARE, SHARE_ONE

BTC = find_instrument("binance:BTCUSDT")
SCALE = SymbolScale("BTC", price_decimals=1, base_step=200, lot_decimals=5)


def hour(number: int, low: int, high: int) -> Bar:
    rows = TradedRows.evenly(1_000_000, SCALE.base_row(low), SCALE.base_row(high))
    price = PriceRange(high, high, low, low)
    return Bar(BTC.instrument_id, "BTC", 60 * number, 60 * number + 59, price, rows, 10_000_000 + 100_000 * number, 0)


def recorded() -> Recorded:
    """Return a day at 90,000 with a fall of 1.1 % in its first half and one of 2.2 % in its last hour."""
    bars = [hour(n, 900_000, 900_199) for n in range(24)]
    bars[8], bars[23] = hour(8, 890_000, 900_199), hour(23, 880_000, 900_199)
    return Recorded("made up", BTC, SCALE, bars, {}, 12 * 60)


def all_on(leverage: int) -> tuple[int, ...]:
    mix = [MIN_SHARE] * len(LEVERAGE_TIERS)
    mix[LEVERAGE_TIERS.index(leverage)] = SHARE_ONE - MIN_SHARE * (len(mix) - 1)
    return tuple(mix)


def test_the_mix_decides_which_fall_sweeps() -> None:
    high, low = replay(recorded(), all_on(100)), replay(recorded(), all_on(50))

    assert high.bars[2].swept[0] > 100 * low.bars[2].swept[0] > 0
    assert low.bars[5].swept[0] > 100 * low.bars[2].swept[0]
    assert high.violations == low.violations == []


def test_swept_usd_is_kept_by_tier() -> None:
    swept = replay(recorded(), all_on(100)).bars[2].by_tier[0]

    assert max(swept) == swept[LEVERAGE_TIERS.index(100)]
    assert swept[LEVERAGE_TIERS.index(50)] == 0


def test_a_replay_of_the_first_half_reads_nothing_beyond_the_middle() -> None:
    half = replay(recorded(), all_on(50), first_half_only=True)

    assert half.end_minute == 12 * 60
    assert sorted(half.bars) == [0, 1, 2]
