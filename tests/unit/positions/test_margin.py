"""Liquidation and bankruptcy prices against worked numbers, and the integer row map against exact ratios."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, find_instrument
from liqscape.positions.margin import MAX_BASE_ROW, RowMap, bankruptcy_ratio, liquidation_ratio, row_multiplier
from tests.unit.synthetic_market import make_instrument

BINANCE_BTC = find_instrument("binance:BTCUSDT")
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def rows_of(entry_row: int, leverage: int, side: PositionSide) -> int:
    rows = RowMap.of(BINANCE_BTC).liquidation_rows(np.array([entry_row], np.int64))
    return int(rows[side, LEVERAGE_TIERS.index(leverage), 0])


@pytest.mark.parametrize(
    ("leverage", "side", "price"),
    [(10, LONG, "58500"), (50, LONG, "63700"), (10, SHORT, "71500"), (50, SHORT, "66300")],
)
def test_bankruptcy_price_at_65000(leverage: int, side: PositionSide, price: str) -> None:
    assert 65_000 * bankruptcy_ratio(leverage, side) == Fraction(price)


@pytest.mark.parametrize(("leverage", "price"), [(10, 58_734.94), (50, 63_955.82)])
def test_liquidation_price_of_a_long_at_65000(leverage: int, price: float) -> None:
    assert round(float(65_000 * liquidation_ratio(BINANCE_BTC, leverage, LONG)), 2) == price


@pytest.mark.parametrize(
    ("leverage", "side", "price"), [(10, LONG, 80_593.37), (10, SHORT, 97_718.13), (50, LONG, 87_757.23)]
)
def test_liquidation_price_of_the_worked_example(leverage: int, side: PositionSide, price: float) -> None:
    assert round(float(89_190 * liquidation_ratio(BINANCE_BTC, leverage, side)), 2) == price


@pytest.mark.parametrize(("leverage", "side", "row"), [(10, LONG, 4029), (10, SHORT, 4885), (50, LONG, 4387)])
def test_liquidation_row_of_the_worked_example(leverage: int, side: PositionSide, row: int) -> None:
    assert rows_of(4459, leverage, side) == row


@pytest.mark.parametrize("leverage", LEVERAGE_TIERS)
def test_liquidation_lies_between_bankruptcy_and_entry(leverage: int) -> None:
    long, short = (liquidation_ratio(BINANCE_BTC, leverage, side) for side in (LONG, SHORT))

    assert bankruptcy_ratio(leverage, LONG) < long < 1
    assert 1 < short < bankruptcy_ratio(leverage, SHORT)


def test_fee_counts_as_maintenance() -> None:
    with_fee = make_instrument(maintenance_margin_rate="0.004", fee_rate="0.0005")

    assert liquidation_ratio(with_fee, 10, LONG) == Fraction(9, 10) / Fraction("0.9955")
    assert liquidation_ratio(with_fee, 10, SHORT) == Fraction(11, 10) / Fraction("1.0045")


@pytest.mark.parametrize(("rate", "fee"), [("0.01", "0"), ("0.009", "0.001"), ("0.0095", "0.001")])
def test_tier_without_margin_is_left_out_of_the_row_map_and_refused(rate: str, fee: str) -> None:
    instrument = make_instrument(maintenance_margin_rate=rate, fee_rate=fee)

    row_map = RowMap.of(instrument)

    assert [LEVERAGE_TIERS[i] for i in row_map.tier_indices] == [3, 5, 10, 20, 25, 50, 75]
    assert row_map.multipliers.shape == (2, 7)
    with pytest.raises(InvalidArgument, match="leaves no margin: 1/100 must exceed"):
        liquidation_ratio(instrument, 100, LONG)


def test_contract_that_is_not_linear_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="contract 'inverse'"):
        liquidation_ratio(make_instrument(contract="inverse"), 10, LONG)


def test_multiplier_is_the_floor_of_the_ratio_in_32_bits() -> None:
    ratio = liquidation_ratio(BINANCE_BTC, 10, LONG)

    multiplier = row_multiplier(ratio)

    assert Fraction(multiplier, 2**32) <= ratio < Fraction(multiplier + 1, 2**32)
    assert row_multiplier(Fraction(1)) == 2**32


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_row_map_is_the_row_of_the_price_at_the_middle_of_the_entry_row(side: PositionSide) -> None:
    entry_rows = np.array([0, 1, 3000, 4459, 9999, 65_535, 1_000_003], np.int64)

    rows = RowMap.of(BINANCE_BTC).liquidation_rows(entry_rows)

    assert rows.shape == (2, 9, 7)
    for tier, leverage in enumerate(LEVERAGE_TIERS):
        ratio = liquidation_ratio(BINANCE_BTC, leverage, side)
        for position, entry_row in enumerate(entry_rows.tolist()):
            mapped = int(rows[side, tier, position])
            assert mapped == ((2 * entry_row + 1) * row_multiplier(ratio)) >> 33
            # The multiplier is a floor, so the row is the exact one, or the one below at a boundary.
            exact = Fraction(2 * entry_row + 1, 2) * ratio
            assert exact - 1 - Fraction(1, 1000) < mapped <= exact


def test_row_map_does_not_overflow_at_the_highest_entry_row() -> None:
    rows = RowMap.of(BINANCE_BTC).liquidation_rows(np.array([MAX_BASE_ROW - 1], np.int64))

    for side in PositionSide:
        for tier, leverage in enumerate(LEVERAGE_TIERS):
            multiplier = row_multiplier(liquidation_ratio(BINANCE_BTC, leverage, side))
            assert int(rows[side, tier, 0]) == ((2 * MAX_BASE_ROW - 1) * multiplier) >> 33
    assert rows.max() < 2**31
