"""Ladders: in which steps a big position is liquidated, at which prices, and that no lot is lost on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from liqscape.errors import ConfigError
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument, MaintenanceTier, find_instrument, shipped_instruments
from liqscape.positions.account import InstrumentAccount
from liqscape.positions.flow import Flow
from liqscape.positions.ladder import LadderSplit, LadderStep, ladders, position_steps
from liqscape.positions.margin import RowMap, liquidation_ratio
from liqscape.positions.mix import SHARE_ONE, TierSplit, prior_inflow_mix
from tests.unit.synthetic_market import make_bar, make_instrument

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
BYBIT = find_instrument("bybit:BTCUSDT")
BITGET = find_instrument("bitget:BTCUSDT")


def four_tiers(ladder_step: int) -> Instrument:
    """Return an instrument with caps 10, 30, 100 and 200, offered at 100x, 50x, 20x and 5x, in whole-position rates."""
    table = ((0, 10, "0.004", 100), (10, 30, "0.01", 50), (30, 100, "0.02", 20), (100, 200, "0.05", 5))
    tiers = tuple(MaintenanceTier(low, cap, Fraction(rate), Fraction(0), lev) for low, cap, rate, lev in table)
    return replace(make_instrument(), maintenance_tiers=tiers, ladder_step=ladder_step)


def size_mix(instrument: Instrument, **shares: int) -> tuple[int, ...]:
    """Return a size mix in millionths: tier0=700_000, ..."""
    return tuple(shares.get(f"tier{n}", 0) for n in range(len(instrument.maintenance_tiers)))


def in_fractions(*steps: tuple[int, int, Fraction | int]) -> list[tuple[int, Fraction, Fraction]]:
    return [(tier, Fraction(size), Fraction(share)) for tier, size, share in steps]


def test_position_steps_down_one_tier_at_a_time() -> None:
    # The middle of the highest tier is 150: 50 close first, down to 100, then 70, then 20, and the last 10.
    assert position_steps(four_tiers(1), 3) == in_fractions(
        (3, 150, Fraction(50, 150)), (2, 100, Fraction(70, 150)), (1, 30, Fraction(20, 150)), (0, 10, Fraction(10, 150))
    )


def test_position_that_steps_down_two_tiers_skips_one_and_closes_whole_below_the_third() -> None:
    instrument = four_tiers(2)

    assert position_steps(instrument, 3) == in_fractions((3, 150, Fraction(120, 150)), (1, 30, Fraction(30, 150)))
    assert position_steps(instrument, 2) == in_fractions((2, 65, Fraction(55, 65)), (0, 10, Fraction(10, 65)))
    assert position_steps(instrument, 1) == in_fractions((1, 20, 1))


def test_venue_that_closes_at_once_has_one_step() -> None:
    assert position_steps(four_tiers(0), 3) == in_fractions((3, 150, 1))


@pytest.mark.parametrize("instrument_id", sorted(shipped_instruments()))
def test_without_a_size_mix_every_position_is_closed_at_one_price(instrument_id: str) -> None:
    instrument = shipped_instruments()[instrument_id]

    found = ladders(instrument)

    assert len(found) == len(instrument.leverage_tiers)
    assert all(len(ladder) == 1 for ladder in found)
    assert {(step.maintenance_tier, step.share) for (step,) in found} == {(0, SHARE_ONE)}


def test_size_mix_gathers_the_steps_of_all_sizes() -> None:
    instrument = four_tiers(1)

    at_5x = ladders(instrument, (500_000, 500_000, 0, 0))[instrument.leverage_tiers.index(5)]

    # Half are in the first tier at 5; half at 20 in the second, half of which closes first, down to 10.
    assert at_5x == (
        LadderStep(1, Fraction(20), 250_000),
        LadderStep(0, Fraction(10), 250_000),
        LadderStep(0, Fraction(5), 500_000),
    )


def test_leverage_not_offered_to_big_positions_leaves_them_in_the_highest_tier_it_is() -> None:
    instrument = four_tiers(0)
    mix = (0, 0, 0, SHARE_ONE)

    tiers = {
        leverage: [step.maintenance_tier for step in ladder]
        for leverage, ladder in zip(instrument.leverage_tiers, ladders(instrument, mix), strict=True)
    }

    assert tiers == {3: [3], 5: [3], 10: [2], 20: [2], 25: [1], 50: [1], 75: [0], 100: [0]}


def test_shares_of_every_shipped_ladder_are_millionths_that_sum_to_one() -> None:
    for instrument in shipped_instruments().values():
        count = len(instrument.maintenance_tiers)
        even = [SHARE_ONE // count] * count
        even[0] += SHARE_ONE - sum(even)
        for ladder in ladders(instrument, even):
            assert sum(step.share for step in ladder) == SHARE_ONE
            assert all(step.share >= 0 for step in ladder)


@pytest.mark.parametrize("side", [LONG, SHORT])
@pytest.mark.parametrize("instrument", [BYBIT, BITGET], ids=lambda i: i.instrument_id)
def test_each_step_of_a_position_lies_further_from_entry_than_the_one_before(
    instrument: Instrument, side: PositionSide
) -> None:
    for leverage in (5, 10, 20):
        tier = max(t for t, m in enumerate(instrument.maintenance_tiers) if m.max_leverage >= leverage)
        steps = position_steps(instrument, tier)

        prices = [liquidation_ratio(instrument, leverage, side, t, size) for t, size, _ in steps]

        assert len(prices) > 1
        assert all(abs(1 - later) > abs(1 - earlier) for earlier, later in pairwise(prices))


def test_last_step_of_a_ladder_is_the_price_of_a_position_of_the_first_tier() -> None:
    tier, size, _ = position_steps(BYBIT, 6)[-1]

    assert liquidation_ratio(BYBIT, 10, LONG, tier, size) == liquidation_ratio(BYBIT, 10, LONG)


def test_single_steps_split_like_tiers_alone() -> None:
    mix = prior_inflow_mix(BYBIT.leverage_tiers)
    plain, laddered = TierSplit(mix), LadderSplit(mix, ladders(BYBIT))

    assert [laddered.split(n) for n in (1, 7, 1000, 3)] == [plain.split(n) for n in (1, 7, 1000, 3)]


def test_parts_of_a_ladder_sum_to_the_tier_and_over_time_each_gets_its_share() -> None:
    mix = prior_inflow_mix(BYBIT.leverage_tiers)
    of_tiers = ladders(BYBIT, size_mix(BYBIT, tier0=700_000, tier1=200_000, tier5=100_000))
    plain, laddered = TierSplit(mix), LadderSplit(mix, of_tiers)
    given, total = Counter[int](), Counter[int]()

    for lots in [1, 2, 3, 5, 8, 13, 0, 1, 977] * 20:
        parts, tiers = laddered.split(lots), plain.split(lots)
        assert sum(parts) == lots
        begin = 0
        for tier, ladder in enumerate(of_tiers):
            assert sum(parts[begin : begin + len(ladder)]) == tiers[tier]
            total[tier] += tiers[tier]
            for step in range(len(ladder)):
                given[begin + step] += parts[begin + step]
            begin += len(ladder)

    begin = 0
    for tier, ladder in enumerate(of_tiers):
        for step, rung in enumerate(ladder):
            assert abs(given[begin + step] - total[tier] * rung.share / SHARE_ONE) <= 1
        begin += len(ladder)


def test_account_with_a_size_mix_opens_a_cohort_at_each_step_row() -> None:
    mix = size_mix(BYBIT, tier0=500_000, tier7=500_000)
    account = InstrumentAccount(0, BYBIT, size_mix=mix)
    account.finish_sample(0)
    account.add_traded(make_bar(29_430_154, (4459, 4459), lots=10_000_000, instrument=BYBIT))

    flow = Flow(opens_long=1_000_003, closes_long=0, opens_short=999_999, closes_short=0, volume=0, excess=0)
    opening = account.open(29_430_154, flow, None, np.zeros(2, np.int64))

    sides = opening.keys & 1
    assert [int(opening.lots[sides == side].sum()) for side in PositionSide] == [1_000_003, 999_999]
    row_map = RowMap.of(BYBIT, ladders(BYBIT, mix))
    rows = row_map.liquidation_rows(np.array([4459], np.int64))[:, :, 0]
    for side in PositionSide:
        for tier in set(row_map.tier_indices.tolist()):
            wanted = set(rows[side, row_map.tier_indices == tier].tolist())
            key = tier << 1 | side
            assert set(opening.rows[opening.keys == key].tolist()) == wanted
            if LEVERAGE_TIERS[tier] <= 10:
                assert len(wanted) >= 3


def test_size_mix_that_does_not_fit_the_table_is_refused() -> None:
    for wrong in ((SHARE_ONE,), (*[0] * 13, SHARE_ONE - 1), (SHARE_ONE + 1, -1, *[0] * 12)):
        with pytest.raises(ConfigError, match=r"size mix .* of bybit:BTCUSDT is invalid; it needs 14 shares"):
            InstrumentAccount(0, BYBIT, size_mix=wrong)
