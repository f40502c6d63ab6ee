"""Splits over tiers and rows: exact each time, and what is left over is owed."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from liqscape.errors import ConfigError
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.mix import MIN_SHARE, SHARE_ONE, TierSplit, normalised_mix, prior_inflow_mix, spread_over_rows


def test_prior_is_standing_share_times_turnover() -> None:
    mix = prior_inflow_mix(LEVERAGE_TIERS)

    wanted = [share * tier for share, tier in zip((20, 20, 25, 15, 10, 5, 2, 2, 1), LEVERAGE_TIERS, strict=True)]
    assert sum(mix) == SHARE_ONE
    for given, share in zip(mix, wanted, strict=True):
        assert abs(Fraction(given, SHARE_ONE) - Fraction(share, sum(wanted))) < Fraction(1, SHARE_ONE)


def test_prior_of_a_venue_with_fewer_tiers_keeps_the_proportions() -> None:
    mix = prior_inflow_mix((3, 5, 10, 20))

    assert sum(mix) == SHARE_ONE
    assert [round(share * 710 / SHARE_ONE) for share in mix] == [60, 100, 250, 300]


def test_allowed_tier_keeps_at_least_a_1024th() -> None:
    mix = normalised_mix([Fraction(0), Fraction(1), Fraction(1, 10**6), Fraction(0)])

    assert sum(mix) == SHARE_ONE
    assert min(mix) == MIN_SHARE
    assert Fraction(MIN_SHARE, SHARE_ONE) >= Fraction(1, 1024)


@pytest.mark.parametrize("wanted", [[Fraction(0)] * 3, [Fraction(2), Fraction(-1)]])
def test_mix_without_a_positive_share_or_with_a_negative_one_is_refused(wanted: list[Fraction]) -> None:
    with pytest.raises(ConfigError, match="shares are at least 0 and one is positive"):
        normalised_mix(wanted)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ConfigError, match="sums to 999999"):
        TierSplit((500_000, 499_999))


def test_left_over_lot_goes_to_the_largest_credit_and_ties_to_the_lower_tier() -> None:
    thirds = TierSplit((333_333, 333_333, 333_334))
    halves = TierSplit((500_000, 500_000))

    first, second, third = thirds.split(1), thirds.split(1), thirds.split(1)
    tied = [halves.split(1), halves.split(1), halves.split(3)]

    assert (first, second, third) == ([0, 0, 1], [1, 0, 0], [0, 1, 0])
    assert tied == [[1, 0], [0, 1], [2, 1]]


def test_credits_sum_to_zero_and_name_what_is_owed() -> None:
    split = TierSplit((130_000, 870_000))

    given = split.split(5)

    assert given == [1, 4]
    assert split.credits == (-350_000, 350_000)


def test_credit_is_remembered_over_splits_of_zero_lots() -> None:
    split = TierSplit((130_000, 870_000))
    split.split(5)

    assert split.split(0) == [0, 0]
    assert split.credits == (-350_000, 350_000)


def test_shares_are_met_over_many_splits() -> None:
    mix = prior_inflow_mix(LEVERAGE_TIERS)
    split, generator = TierSplit(mix), random.Random(5)
    given, total = [0] * len(mix), 0

    for _ in range(2000):
        lots = generator.choice((0, 1, 2, 3, generator.randrange(10**9)))
        parts = split.split(lots)
        total += lots
        given = [have + part for have, part in zip(given, parts, strict=True)]

        assert sum(parts) == lots
        assert min(parts) >= 0
    assert sum(given) == total
    for share, have, credit in zip(mix, given, split.credits, strict=True):
        assert total * share - have * SHARE_ONE == credit
        assert abs(credit) < 2 * SHARE_ONE


def test_rows_of_the_worked_example_get_4304255_lots_each_and_15_are_left_over() -> None:
    parts = spread_over_rows(np.array([81_780_860], np.int64), np.ones(19, np.int64))[0]

    assert parts.sum() == 81_780_860
    assert sorted(parts.tolist()) == [4_304_255] * 4 + [4_304_256] * 15


def test_lots_follow_what_was_traded_in_each_row() -> None:
    parts = spread_over_rows(np.array([100, 7, 0], np.int64), np.array([0, 3, 0, 1, 0], np.int64))

    assert parts.tolist() == [[0, 75, 0, 25, 0], [0, 5, 0, 2, 0], [0, 0, 0, 0, 0]]


def test_spread_is_exact_where_a_product_of_lots_passes_64_bits() -> None:
    totals = [2**62 - 1, 10**17 + 3, 2**33]
    traded = [2**53, 1, 2**52, 0, 2**52 - 5, 7]
    running = [sum(traded[: i + 1]) for i in range(len(traded))]

    parts = spread_over_rows(np.array(totals, np.int64), np.array(traded, np.int64))

    for total, row in zip(totals, parts.tolist(), strict=True):
        floors = [total * part // running[-1] for part in running]
        assert row == [high - low for low, high in zip([0, *floors], floors, strict=False)]
