"""The shipped venue tables and what the model takes from them."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from itertools import pairwise

import pytest

from liqscape.errors import NotFound
from liqscape.instruments import LEVERAGE_TIERS, find_instrument, shipped_instruments
from tests.unit.synthetic_market import make_instrument


def test_bitcoin_perpetual_of_binance_has_the_rules_the_worked_numbers_use() -> None:
    instrument = find_instrument("binance:BTCUSDT")

    assert (instrument.symbol, instrument.contract, instrument.trigger) == ("BTC", "linear", "mark")
    assert instrument.maintenance_margin_rate == Fraction(4, 1000)
    assert instrument.fee_rate == 0
    assert instrument.price_decimals == 1
    assert instrument.leverage_tiers == LEVERAGE_TIERS == (3, 5, 10, 20, 25, 50, 75, 100, 125)


def test_unknown_instrument_is_refused_and_the_text_lists_those_that_exist() -> None:
    with pytest.raises(NotFound, match="'binance:DOGEUSDT' is unknown; known are binance:BTCUSDT, binance:ETHUSDT"):
        find_instrument("binance:DOGEUSDT")


@pytest.mark.parametrize("instrument_id", sorted(shipped_instruments()))
def test_shipped_table_is_dated_complete_and_continuous(instrument_id: str) -> None:
    instrument = shipped_instruments()[instrument_id]

    tiers = instrument.maintenance_tiers
    is_of_whole_position = all(tier.maintenance_amount == 0 for tier in tiers)
    assert instrument.instrument_id == instrument_id
    assert date.fromisoformat(instrument.rules_date).year >= 2019
    assert instrument.rules_source
    assert tiers[0].notional_floor == 0
    for lower, upper in pairwise(tiers):
        assert upper.notional_floor == lower.notional_cap
        assert upper.maintenance_margin_rate > lower.maintenance_margin_rate
        assert upper.max_leverage < lower.max_leverage
        # The amount makes maintenance margin continuous where two tiers meet, unless the venue has none.
        rise = upper.maintenance_margin_rate - lower.maintenance_margin_rate
        amount = upper.maintenance_amount - lower.maintenance_amount
        assert is_of_whole_position or amount == upper.notional_floor * rise


def test_leverages_above_what_the_venue_offers_are_left_out() -> None:
    assert make_instrument(max_leverage=50).leverage_tiers == (3, 5, 10, 20, 25, 50)
    assert make_instrument(max_leverage=49).leverage_tiers == (3, 5, 10, 20, 25)


def test_leverages_whose_margin_does_not_exceed_maintenance_and_fee_are_left_out() -> None:
    # 1/100 = 1 % does not exceed 0.9 % + 0.1 %, so 100x and 125x are not opened; 75x is.
    assert make_instrument(maintenance_margin_rate="0.009", fee_rate="0.001").leverage_tiers == (
        3,
        5,
        10,
        20,
        25,
        50,
        75,
    )
    assert make_instrument(maintenance_margin_rate="0.009", fee_rate="0.0009").leverage_tiers[-1] == 100
    assert make_instrument(maintenance_margin_rate="0.01").leverage_tiers[-1] == 75
