"""Settings are replaced for the length of a replay and come back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from benchmarks.mix_fitting import standing_shares
from benchmarks.model_knobs import VARIANTS, Variant
from liqscape.axes import MINUTE_NS
from liqscape.feeds import candle_path
from liqscape.feeds.recordings import RecordedCandles
from liqscape.instruments import LEVERAGE_TIERS, find_instrument
from liqscape.positions import flow, hazard
from liqscape.positions.margin import RowMap
from liqscape.positions.mix import prior_inflow_mix


def path_of_one_candle() -> list[int]:
    """Return where the legs of 10,000 10,060 9,990 10,010 end."""
    columns = (np.array([value], np.int64) for value in (0, 10_000, 10_060, 9_990, 10_010, 100))
    open_ns, opened, high, low, close, quantity = columns
    candles = RecordedCandles(open_ns, opened, high, low, close, quantity, 0)
    return [int(end) for end in candle_path.cut(candles, 60 * MINUTE_NS).close]


@pytest.mark.parametrize(
    ("path", "ends"),
    [
        ("parts", [9_990, 10_025, 10_060, 10_035, 10_010]),
        ("legs", [9_990, 10_060, 10_010]),
        ("reversed", [10_030, 10_060, 10_025, 9_990, 10_010]),
        ("whole", [10_010]),
    ],
)
def test_paths(path: str, ends: list[int]) -> None:
    with Variant(path=path).in_force():
        assert path_of_one_candle() == ends
    assert path_of_one_candle() == [9_990, 10_025, 10_060, 10_035, 10_010]


def test_settings_are_in_force_and_come_back() -> None:
    shipped = (flow.POSITION_TAKING_SHARE, hazard.turnover_reciprocal(40), RowMap.liquidation_rows)

    with Variant(phi=Fraction(1, 4), turnover_power=0.5).in_force():
        solved = flow.solve_flow(traded=400, last=1000, now=1000, swept_long=0, swept_short=0)
        assert (solved.volume, hazard.turnover_reciprocal(40)) == (100, 65_536 // 2)

    assert (flow.POSITION_TAKING_SHARE, hazard.turnover_reciprocal(40), RowMap.liquidation_rows) == shipped


def test_dispersion_moves_every_third_row_towards_its_entry_and_every_third_away() -> None:
    row_map = RowMap.of(find_instrument("binance:BTCUSDT"))
    entries = np.arange(4_500, 4_503)
    tier = LEVERAGE_TIERS.index(10)
    distance = entries - row_map.liquidation_rows(entries)[0, tier]

    with Variant(dispersion=0.5).in_force():
        dispersed = entries - row_map.liquidation_rows(entries)[0, tier]

    assert dispersed.tolist() == pytest.approx((distance * [0.5, 1.0, 1.5]).tolist(), abs=1)


def test_the_shipped_mix_is_the_prior_and_another_turnover_keeps_the_standing_shares() -> None:
    assert VARIANTS["as shipped"].mix() == pytest.approx(prior_inflow_mix(LEVERAGE_TIERS), abs=1)

    steep = np.array(Variant(turnover_power=1.5).mix()) / np.array(LEVERAGE_TIERS) ** 1.5

    assert steep / steep.sum() == pytest.approx(standing_shares(Variant().mix()), abs=1e-3)
