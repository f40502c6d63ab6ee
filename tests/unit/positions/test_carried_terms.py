"""Mixes carried over to other rules of a venue: what keeps its ratios, what is made anew, what is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from liqscape.errors import ConfigError
from liqscape.instruments import Instrument, MaintenanceTier, find_instrument
from liqscape.market.terms import LeverageGone, Terms
from liqscape.positions.carried_terms import terms_under
from liqscape.positions.inflow import all_terms
from liqscape.positions.mix import MIN_SHARE, SHARE_ONE, prior_inflow_mix

BYBIT = find_instrument("bybit:BTCUSDT")
"""Up to 100x, in 14 maintenance tiers."""

(SHIPPED,) = all_terms([BYBIT])


def ruled(*tiers: tuple[int, str, int], instrument: Instrument = BYBIT) -> Instrument:
    """Return the instrument under tiers of (cap, rate, leverage)."""
    floors = [0, *(cap for cap, _, _ in tiers)]
    table = tuple(
        MaintenanceTier(floor, cap, Fraction(rate), Fraction(0), leverage)
        for floor, (cap, rate, leverage) in zip(floors, tiers, strict=False)
    )
    return replace(instrument, maintenance_tiers=table, rules_date="2026-11-26", rules_source="told")


def test_same_leverages_keep_the_inflow_mix_and_all_stay_in_the_first_tier() -> None:
    own = replace(SHIPPED, inflow_mix=(SHARE_ONE - 7000, *[1000] * 7))

    carried = terms_under(own, ruled((10**6, "0.004", 100), (10**7, "0.01", 50)))

    assert carried.inflow_mix == own.inflow_mix
    assert carried.size_mix == (SHARE_ONE, 0)
    assert carried.changed_from(own) == "maintenance_tiers, rules_date, rules_source, size_mix"


def test_prior_is_made_anew_where_a_leverage_comes() -> None:
    carried = terms_under(SHIPPED, ruled((10**6, "0.004", 125)))

    assert carried.inflow_mix == prior_inflow_mix((3, 5, 10, 20, 25, 50, 75, 100, 125))
    assert "inflow_mix" in carried.changed_from(SHIPPED)


def test_own_mix_keeps_its_ratios_and_gives_a_new_leverage_the_least_share() -> None:
    own = replace(SHIPPED, inflow_mix=(400_000, 200_000, 200_000, 100_000, 50_000, 30_000, 10_000, 10_000))

    carried = terms_under(own, ruled((10**6, "0.004", 125)))

    assert sum(carried.inflow_mix) == SHARE_ONE
    assert carried.inflow_mix[-1] == MIN_SHARE
    for share, before in zip(carried.inflow_mix, own.inflow_mix, strict=False):
        assert share == pytest.approx(before, rel=0.0011)


def test_leverage_that_ends_is_carried_and_then_refused_as_terms() -> None:
    carried = terms_under(SHIPPED, ruled((10**6, "0.004", 50)))

    assert len(carried.inflow_mix) == 6
    with pytest.raises(LeverageGone, match="75x, 100x of bybit:BTCUSDT, which may be open"):
        carried.changed_from(SHIPPED)


def test_higher_rate_ends_the_leverages_whose_margin_it_takes() -> None:
    carried = terms_under(SHIPPED, ruled((10**6, "0.01", 100)))

    assert carried.instrument.leverage_tiers == (3, 5, 10, 20, 25, 50, 75)
    assert len(carried.inflow_mix) == 7


def test_size_mix_of_ones_own_fits_as_many_tiers_and_no_others() -> None:
    sized = replace(SHIPPED, size_mix=(700_000, 300_000, *[0] * 12))
    as_many = ruled(*((10**6 * (n + 1), "0.004", 100) for n in range(14)))

    assert terms_under(sized, as_many).size_mix == sized.size_mix
    with pytest.raises(ConfigError, match="size mix of bybit:BTCUSDT is of 14 maintenance tiers, and there are 2"):
        terms_under(sized, ruled((10**6, "0.004", 100), (10**7, "0.01", 50)))


def test_rules_without_a_leverage_of_the_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="no leverage of the model has margin beyond maintenance at bybit:BTCUSDT"):
        terms_under(SHIPPED, ruled((10**6, "0.4", 3)))


def test_terms_carried_there_and_back_are_the_same() -> None:
    there = terms_under(SHIPPED, ruled((10**6, "0.004", 125)))

    back: Terms = terms_under(there, BYBIT)

    assert back == SHIPPED
