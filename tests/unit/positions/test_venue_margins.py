"""Liquidation prices of every venue's rules against worked figures: BTC at 65,000, one coin, first maintenance tier."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument, MaintenanceTier, find_instrument, shipped_instruments
from liqscape.positions.margin import RATIO_BITS, RowMap, bankruptcy_ratio, liquidation_ratio, row_multiplier
from tests.unit.synthetic_market import make_instrument

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ENTRY = 65_000


def inverse(**rules: str) -> Instrument:
    """Return an inverse contract of the made-up venue."""
    return replace(make_instrument(**rules), contract="inverse", contract_value=Fraction(100))  # type: ignore[arg-type]


def price(instrument: Instrument, leverage: int, side: PositionSide) -> float:
    return round(float(ENTRY * liquidation_ratio(instrument, leverage, side)), 2)


@pytest.mark.parametrize(
    ("instrument_id", "at_10x", "at_50x"),
    [
        ("binance:BTCUSDT", (58_734.94, 71_215.14), (63_955.82, 66_035.86)),
        ("binance:BTCUSD_PERP", (59_327.27, 71_933.33), (63_980.39, 66_061.22)),
        ("bybit:BTCUSDT", (58_793.97, 71_144.28), (64_020.10, 65_970.15)),
        ("bybit:BTCUSD", (59_386.36, 71_861.11), (64_044.12, 65_994.90)),
        ("okx:BTC-USDT-SWAP", (58_764.44, 71_179.69), (63_987.95, 66_002.99)),
        ("okx:BTC-USD-SWAP", (59_356.82, 71_897.22), (64_012.25, 66_028.06)),
        ("bitget:BTCUSDT", (58_770.34, 71_172.61), (63_994.37, 65_996.42)),
        # At 50x a position of Kraken or Deribit has 2 % of margin and 1 % of maintenance.
        ("kraken:PF_XBTUSD", (59_090.91, 70_792.08), (64_343.43, 65_643.56)),
        ("kraken:PI_XBTUSD", (59_681.82, 71_500.00), (64_362.75, 65_663.27)),
        ("deribit:BTC-PERPETUAL", (59_684.77, 71_496.39), (64_365.93, 65_659.95)),
    ],
)
def test_worked_price_of_each_venue(
    instrument_id: str, at_10x: tuple[float, float], at_50x: tuple[float, float]
) -> None:
    instrument = find_instrument(instrument_id)

    assert (price(instrument, 10, LONG), price(instrument, 10, SHORT)) == at_10x
    assert (price(instrument, 50, LONG), price(instrument, 50, SHORT)) == at_50x


@pytest.mark.parametrize(
    ("rate", "fee", "at_10x"),
    [
        ("0.003", "0.0005", (58_705.47, 71_250.62)),  # Gate
        ("0.004", "0.0006", (58_770.34, 71_172.61)),  # KuCoin
        ("0.0125", "0", (59_240.51, 70_617.28)),  # Hyperliquid
        ("0.012", "0", (59_210.53, 70_652.17)),  # dYdX
        ("0.0033", "0", (58_693.69, 71_264.83)),  # BingX
        ("0.01005", "0", (59_093.89, 70_788.57)),  # Deribit, linear
    ],
)
def test_worked_price_of_rules_that_are_not_shipped(rate: str, fee: str, at_10x: tuple[float, float]) -> None:
    instrument = make_instrument(maintenance_margin_rate=rate, fee_rate=fee)

    assert (price(instrument, 10, LONG), price(instrument, 10, SHORT)) == at_10x


def test_published_position_with_the_fee_in_its_price() -> None:
    """A KuCoin position: entry 120,016.4 at 6x, bankrupt at 100,013.67, liquidated at 100,475.86."""
    instrument = make_instrument(maintenance_margin_rate="0.004", fee_rate="0.0006")

    assert round(120_016.4 * float(bankruptcy_ratio(6, LONG)), 2) == 100_013.67
    assert round(120_016.4 * float(liquidation_ratio(instrument, 6, LONG)), 2) == 100_475.86


def test_published_inverse_position_liquidated_and_bankrupt() -> None:
    """Kraken's example: 1,000 contracts of 1 USD long at 8,000 with 0.01 BTC: value 0.125 BTC, so 12.5x."""
    kraken = find_instrument("kraken:PI_XBTUSD")

    assert round(float(8000 * liquidation_ratio(kraken, Fraction(25, 2), LONG)), 2) == 7481.48
    assert round(float(8000 * bankruptcy_ratio(Fraction(25, 2), LONG, inverse=True)), 2) == 7407.41


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_inverse_ratio_is_where_equity_in_coin_equals_maintenance(side: PositionSide) -> None:
    instrument = inverse(maintenance_margin_rate="0.004", fee_rate="0.0005")
    toward = 1 if side is LONG else -1

    ratio = liquidation_ratio(instrument, 20, side)

    # One USD of contracts from an entry of 1: value 1 coin, profit 1 - 1 / p for a long, maintenance on 1 / p.
    equity = Fraction(1, 20) + toward * (1 - 1 / ratio)
    assert equity == (Fraction("0.004") + Fraction("0.0005")) / ratio
    assert Fraction(1, 20) + toward * (1 - 1 / bankruptcy_ratio(20, side, inverse=True)) == 0


@pytest.mark.parametrize("is_inverse", [False, True])
@pytest.mark.parametrize("side", [LONG, SHORT])
def test_maintenance_amount_moves_the_price_as_it_lowers_the_requirement(is_inverse: bool, side: PositionSide) -> None:
    tiers = (
        MaintenanceTier(0, 50_000, Fraction("0.004"), Fraction(0), 125),
        MaintenanceTier(50_000, 600_000, Fraction("0.005"), Fraction(50), 100),
    )
    base = inverse() if is_inverse else make_instrument()
    instrument = replace(base, maintenance_tiers=tiers)
    toward = 1 if side is LONG else -1

    ratio = liquidation_ratio(instrument, 20, side, maintenance_tier=1, size=Fraction(200_000))

    # Equity of a position of size 1 at entry, in quote (linear) or coin (inverse).
    value = 1 / ratio if is_inverse else ratio
    profit = toward * (1 - value) if is_inverse else toward * (value - 1)
    assert Fraction(1, 20) + profit == Fraction("0.005") * value - Fraction(50, 200_000)


@pytest.mark.parametrize("instrument_id", sorted(shipped_instruments()))
def test_every_shipped_position_is_liquidated_between_bankruptcy_and_entry(instrument_id: str) -> None:
    instrument = shipped_instruments()[instrument_id]

    for leverage in instrument.leverage_tiers:
        long, short = (liquidation_ratio(instrument, leverage, side) for side in (LONG, SHORT))
        assert bankruptcy_ratio(leverage, LONG, inverse=instrument.is_inverse) < long < 1
        assert 1 < short < bankruptcy_ratio(leverage, SHORT, inverse=instrument.is_inverse)


def test_inverse_tier_without_margin_is_left_out_and_refused() -> None:
    instrument = inverse(maintenance_margin_rate="0.009", fee_rate="0.001")

    assert instrument.leverage_tiers == (3, 5, 10, 20, 25, 50, 75)
    with pytest.raises(InvalidArgument, match=r"leaves no margin: 1/100 must exceed 0\.01"):
        liquidation_ratio(instrument, 100, SHORT)


@pytest.mark.parametrize("instrument_id", sorted(shipped_instruments()))
def test_row_map_holds_the_floor_of_each_ratio_and_never_overflows(instrument_id: str) -> None:
    instrument = shipped_instruments()[instrument_id]
    highest_entry = (1 << 28) - 1

    row_map = RowMap.of(instrument)
    rows = row_map.liquidation_rows(np.array([0, 4459, highest_entry], np.int64))

    for side in PositionSide:
        for slot, leverage in enumerate(instrument.leverage_tiers):
            multiplier = row_multiplier(liquidation_ratio(instrument, leverage, side))
            assert LEVERAGE_TIERS[row_map.tier_indices[slot]] == leverage
            assert row_map.multipliers[side, slot] == multiplier
            assert rows[side, slot].tolist() == [
                ((2 * entry + 1) * multiplier) >> (RATIO_BITS + 1) for entry in (0, 4459, highest_entry)
            ]
