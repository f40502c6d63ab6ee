"""I1: splits and spreads are exact to the limits of their integers, and the parts always add up.

Seen to fail when broken on purpose, one at a time:
- mix.py, _floor_of_ratio: `62 - whole.bit_length()` set to 64; spread_over_rows: the long division set to
  `totals * running // whole`; TierSplit.split: `self._credits[tier] -= SHARE_ONE` left out;
- margin.py, RowMap.liquidation_rows: the shift set to a rounded float64 product;
- bars.py, TradedRows.evenly: the difference of cumulative floors set to `lots // rows`.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.market.bars import TradedRows
from liqscape.positions.margin import MAX_BASE_ROW, RowMap, liquidation_ratio
from liqscape.positions.mix import MIN_SHARE, SHARE_ONE, TierSplit, normalised_mix, spread_over_rows
from tests.unit.synthetic_market import BTC

TOTAL_LIMIT = 2**62
TRADED_LIMIT = 2**54

# Integers spread over all magnitudes up to a limit, and the limit itself.
totals = st.one_of(st.integers(0, 100), st.integers(0, TOTAL_LIMIT - 1), st.just(TOTAL_LIMIT - 1))
traded_rows = st.lists(
    st.one_of(st.just(0), st.integers(0, 100), st.integers(0, TRADED_LIMIT - 1), st.just(TRADED_LIMIT - 1)),
    min_size=1,
    max_size=30,
)
wanted_shares = st.lists(st.fractions(0, 1000, max_denominator=10**6), min_size=1, max_size=9)


def within_the_limit(traded: list[int]) -> list[int]:
    """Cut amounts so that their sum is positive and below the limit."""
    kept, left = [], TRADED_LIMIT - 2
    for amount in traded:
        kept.append(min(amount, left))
        left -= kept[-1]
    return [*kept, 1]


@given(st.lists(totals, min_size=1, max_size=9), traded_rows)
def test_spread_over_rows_is_exact_to_the_limits_of_its_integers(lots: list[int], amounts: list[int]) -> None:
    traded = within_the_limit(amounts)
    running = [sum(traded[: i + 1]) for i in range(len(traded))]

    parts = spread_over_rows(np.array(lots, np.int64), np.array(traded, np.int64)).tolist()

    for total, row in zip(lots, parts, strict=True):
        floors = [total * part // running[-1] for part in running]
        assert row == [high - low for low, high in zip([0, *floors[:-1]], floors, strict=True)]
        assert sum(row) == total
        assert min(row) >= 0


@given(st.lists(totals, min_size=2, max_size=9), traded_rows)
def test_each_total_is_spread_as_if_it_were_alone(lots: list[int], amounts: list[int]) -> None:
    traded = np.array(within_the_limit(amounts), np.int64)

    together = spread_over_rows(np.array(lots, np.int64), traded).tolist()

    assert together == [spread_over_rows(np.array([total], np.int64), traded)[0].tolist() for total in lots]


@given(wanted_shares, st.lists(st.one_of(st.integers(0, 20), st.integers(0, 2**60)), max_size=40))
def test_split_over_tiers_adds_up_and_owes_less_than_it_has_tiers(wanted: list[Fraction], amounts: list[int]) -> None:
    mix = normalised_mix([*wanted, Fraction(1)])
    split, given_lots = TierSplit(mix), [0] * len(mix)

    for lots in amounts:
        parts = split.split(lots)
        floors = [lots * share // SHARE_ONE for share in mix]

        assert sum(parts) == lots
        assert all(part - floor in (0, 1) for part, floor in zip(parts, floors, strict=True))
        given_lots = [have + part for have, part in zip(given_lots, parts, strict=True)]
    total = sum(amounts)
    owed = [total * share - have * SHARE_ONE for share, have in zip(mix, given_lots, strict=True)]
    assert split.credits == tuple(owed)
    assert sum(owed) == 0
    assert max(map(abs, owed)) < len(mix) * SHARE_ONE


@given(wanted_shares)
def test_mix_sums_to_one_and_leaves_no_tier_out(wanted: list[Fraction]) -> None:
    mix = normalised_mix([*wanted, Fraction(1)])

    assert sum(mix) == SHARE_ONE
    assert min(mix) >= MIN_SHARE


@given(st.integers(0, 2**53), st.integers(0, 10**6), st.integers(1, 200))
def test_even_spread_adds_up(lots: int, first: int, rows: int) -> None:
    spread = TradedRows.evenly(lots, first, first + rows - 1)

    assert spread.total == lots
    assert set(spread.lots.tolist()) <= {lots // rows, -(-lots // rows)}


@given(
    st.lists(
        st.tuples(st.integers(0, 500), st.lists(st.integers(0, 2**50), min_size=1, max_size=20)), min_size=2, max_size=6
    ),
    st.randoms(use_true_random=False),
)
def test_sum_of_traded_rows_does_not_depend_on_order(parts: list[tuple[int, list[int]]], random: Random) -> None:
    rows = [TradedRows(first, np.array(lots, np.int64)) for first, lots in parts]
    shuffled = list(rows)
    random.shuffle(shuffled)

    sums = []
    for order in (rows, shuffled):
        total = order[0]
        for part in order[1:]:
            total = total.plus(part)
        sums.append((total.first_row, total.lots.tolist()))

    assert sums[0] == sums[1]
    assert sum(sums[0][1]) == sum(sum(lots) for _, lots in parts)


@given(st.lists(st.integers(0, MAX_BASE_ROW - 1), min_size=1, max_size=30))
def test_liquidation_rows_are_those_of_python_integers(entry_rows: list[int]) -> None:
    rows = RowMap.of(BTC).liquidation_rows(np.array(entry_rows, np.int64))

    for side in PositionSide:
        for tier, leverage in enumerate(LEVERAGE_TIERS):
            ratio = liquidation_ratio(BTC, leverage, side)
            multiplier = (ratio.numerator << 32) // ratio.denominator
            assert rows[side, tier].tolist() == [((2 * row + 1) * multiplier) >> 33 for row in entry_rows]


@given(st.integers(0, MAX_BASE_ROW - 1))
def test_a_long_is_liquidated_below_its_entry_and_a_short_above(entry_row: int) -> None:
    rows = RowMap.of(BTC).liquidation_rows(np.array([entry_row], np.int64))

    assert (rows[PositionSide.LONG] <= entry_row).all()
    assert (rows[PositionSide.SHORT] >= entry_row).all()
    assert (np.diff(rows[PositionSide.LONG, :, 0]) >= 0).all()
    assert (np.diff(rows[PositionSide.SHORT, :, 0]) <= 0).all()
