"""Which told margin tables are believed beside the shipped one, which are, and said, and which are not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from liqscape.feeds.venues.dialect import Unreadable
from liqscape.feeds.venues.table_check import check_table
from liqscape.feeds.venues.tier_sources import SOURCES
from liqscape.feeds.venues.tiers import UNBOUNDED
from liqscape.instruments import AdjustmentStep, MaintenanceTier, find_instrument, shipped_instruments

BYBIT = find_instrument("bybit:BTCUSDT")

FIRST, SECOND, *_ = BYBIT.maintenance_tiers


def refusal(*tiers: MaintenanceTier) -> str:
    with pytest.raises(Unreadable) as refused:
        check_table(BYBIT, tiers)
    return str(refused.value)


@pytest.mark.parametrize("name", [name for name, i in shipped_instruments().items() if i.venue in SOURCES])
def test_every_shipped_table_of_a_venue_that_tells_its_own_is_believed(name: str) -> None:
    instrument = shipped_instruments()[name]

    assert check_table(instrument, instrument.maintenance_tiers, instrument.adjustments) == ""


def test_table_with_more_tiers_and_other_leverages_is_believed() -> None:
    wider = replace(FIRST, max_leverage=125, notional_cap=1_000_000)
    next_one = MaintenanceTier(1_000_000, UNBOUNDED, Fraction(1, 100), Fraction(5_000), 50)

    assert check_table(BYBIT, (wider, next_one)) == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"max_leverage": 1001, "maintenance_margin_rate": Fraction(1, 2000)}, "absurd leverage: 1001x"),
        ({"maintenance_amount": Fraction(1)}, "an amount above maintenance"),
        ({"max_leverage": 2}, "no leverage of the model: 0.5 % from 0 at 2x"),
        ({"maintenance_margin_rate": Fraction(5, 100), "max_leverage": 20}, "another unit of rates: 5 % from 0 at 20x"),
        ({"maintenance_margin_rate": Fraction(5, 10_000)}, "another unit of rates: 0.05 %"),
        ({"notional_cap": 2_000_000_000}, "another unit of sizes: first cap 2000000000; shipped 2000000"),
        ({"notional_cap": 2_000}, "another unit of sizes: first cap 2000"),
    ],
)
def test_what_no_venue_offers_is_not_believed(changed: dict[str, object], reason: str) -> None:
    tier = replace(FIRST, **changed)  # type: ignore[arg-type]

    assert refusal(tier).startswith(reason)


def test_table_whose_highest_leverage_has_no_margin_beyond_maintenance_is_believed_and_nothing_opens_at_it() -> None:
    mexc = find_instrument("mexc:BTC_USDT")
    first = replace(mexc.maintenance_tiers[0], maintenance_margin_rate=Fraction("0.0085"))

    assert first.max_leverage == 500
    assert check_table(mexc, (first,)).startswith("first rate 0.85 %, shipped 0.4 %")
    assert replace(mexc, maintenance_tiers=(first,)).leverage_tiers == (3, 5, 10, 20, 25, 50, 75, 100)


@pytest.mark.parametrize(("rate", "fee"), [(Fraction(1, 3), Fraction(0)), (Fraction(1, 4), Fraction(1, 12))])
def test_table_under_which_no_leverage_has_margin_is_not_believed(rate: Fraction, fee: Fraction) -> None:
    shipped = replace(find_instrument("coinbase_derivatives:BIP-20DEC30-CDE"), fee_rate=fee)
    first = replace(shipped.maintenance_tiers[0], maintenance_margin_rate=rate)
    a_little_less = replace(first, maintenance_margin_rate=rate - Fraction(1, 1000))

    with pytest.raises(Unreadable, match="no leverage of the model"):
        check_table(shipped, (first,))
    assert check_table(shipped, (a_little_less,)).startswith("first rate")


def test_leverage_that_rises_with_size_is_not_believed() -> None:
    assert refusal(FIRST, replace(SECOND, max_leverage=101)).startswith("leverage that rises with size: 0.5 % from 0")


def test_amount_that_makes_maintenance_continuous_is_believed_and_one_above_the_margin_is_not() -> None:
    above = SECOND.maintenance_margin_rate * SECOND.notional_floor + 1

    assert check_table(BYBIT, (FIRST, SECOND)) == ""
    assert refusal(FIRST, replace(SECOND, maintenance_amount=above)).startswith("an amount above maintenance")


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        ("0.0099", ""),
        ("0.01", "first rate 1 %, shipped 0.5 % of 2026-11-21"),
        ("0.0025", "first rate 0.25 %, shipped 0.5 % of 2026-11-21"),
        ("0.0026", ""),
    ],
)
def test_first_rate_far_from_the_shipped_one_is_believed_and_said(rate: str, said: str) -> None:
    assert check_table(BYBIT, (replace(FIRST, maintenance_margin_rate=Fraction(rate)),)) == said


def test_factors_by_leverage_are_believed_and_those_far_from_the_shipped_ones_are_said() -> None:
    htx = find_instrument("htx:ETH-USDT")
    factors = {leverage: steps[0].factor for leverage, steps in htx.adjustments}
    factors |= {10: Fraction("0.15"), 20: Fraction("0.16"), 100: Fraction("0.27")}
    told = tuple((leverage, (AdjustmentStep(0, None, factor),)) for leverage, factor in factors.items())

    assert check_table(htx, htx.maintenance_tiers, told) == (
        "factor 0.15 at 10x, shipped 0.075; factor 0.27 at 75x, shipped 0.55; factor 0.27 at 100x, shipped 0.55"
        " of 2020-09-25"
    )


def test_tiers_in_place_of_factors_and_the_other_way_round_are_another_kind_of_table() -> None:
    htx = find_instrument("htx:ETH-USDT")

    with pytest.raises(Unreadable, match="another kind of table: 0 leverages; shipped 6"):
        check_table(htx, htx.maintenance_tiers)
    with pytest.raises(Unreadable, match="another kind of table: 6 leverages; shipped 0"):
        check_table(BYBIT, BYBIT.maintenance_tiers, htx.adjustments)


def test_cap_of_a_table_without_bounds_is_no_other_unit() -> None:
    assert check_table(BYBIT, (replace(FIRST, notional_cap=UNBOUNDED),)) == ""
