"""The shipped venue tables and what the model takes from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import pairwise

import pytest

from liqscape.errors import InvalidArgument, NotFound
from liqscape.instruments import LEVERAGE_TIERS, find_instrument, instrument_tables, shipped_instruments
from tests.unit.synthetic_market import make_instrument


def test_bitcoin_perpetual_of_binance_has_the_rules_the_worked_numbers_use() -> None:
    instrument = find_instrument("binance:BTCUSDT")

    assert (instrument.symbol, instrument.contract, instrument.trigger) == ("BTC", "linear", "mark")
    assert instrument.maintenance_margin_rate == Fraction(4, 1000)
    assert instrument.fee_rate == 0
    assert instrument.price_decimals == 1
    assert instrument.leverage_tiers == LEVERAGE_TIERS == (3, 5, 10, 20, 25, 50, 75, 100, 125)


def test_unknown_instrument_is_refused_and_the_text_lists_those_that_exist() -> None:
    with pytest.raises(NotFound, match="'binance:DOGEUSDT' is unknown; known are binance:BTCUSDC, binance:BTCUSDT, "):
        find_instrument("binance:DOGEUSDT")


def test_unknown_venue_is_refused_and_the_text_lists_the_venues() -> None:
    with pytest.raises(NotFound, match=r"'mtgox:BTCUSD' is unknown; known are aster:\.\.\., binance:\.\.\., .*, woox:"):
        find_instrument("mtgox:BTCUSD")


@pytest.mark.parametrize(
    ("day", "of", "highest"),
    [
        (None, "2026-09-30", 150),
        (date(2026, 9, 30), "2026-09-30", 150),
        (date(2026, 9, 29), "2025-06-22", 125),
        (date(2020, 1, 1), "2025-06-22", 125),
    ],
)
def test_rules_are_those_in_force_on_a_day_and_before_all_tables_the_oldest(
    day: date | None, of: str, highest: int
) -> None:
    instrument = find_instrument("binance:BTCUSDT", day)

    assert (instrument.rules_date, instrument.max_leverage) == (of, highest)


def test_tables_of_an_instrument_are_in_the_order_of_their_dates() -> None:
    tables = instrument_tables()["binance:ETHUSDT"]

    assert [table.rules_date for table in tables] == ["2025-06-22", "2026-09-30"]
    assert shipped_instruments()["binance:ETHUSDT"] == tables[-1]


@pytest.mark.parametrize(("contract", "form"), [("linear", "at_dawn"), ("inverse", "at_entry")])
def test_margin_form_that_the_model_cannot_count_is_refused(contract: str, form: str) -> None:
    worth = Fraction(100) if contract == "inverse" else None

    with pytest.raises(InvalidArgument, match=f"margin form '{form}' of venue:BTCUSDT is unknown for {contract}"):
        replace(make_instrument(), contract=contract, contract_value=worth, margin_form=form)


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
