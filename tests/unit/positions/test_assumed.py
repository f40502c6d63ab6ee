"""Positions assumed of daily open interest: where they opened, what ends them, and that none is lost."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.events import PositionSide
from liqscape.positions.assumed import (
    AssumedDay,
    AssumedEntry,
    assumed_entries,
    is_reached,
    liquidation_price,
    split_by_leverage,
)

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def day(lots: int, settle: int | None) -> AssumedDay:
    return AssumedDay(lots, None if settle is None else Fraction(settle))


def entry(lots: int, opened: int, liquidated: Fraction | int) -> AssumedEntry:
    return AssumedEntry(lots, Fraction(opened), Fraction(liquidated))


def test_price_is_where_the_margin_is_gone() -> None:
    entry_price = Fraction(60_000)

    found = [liquidation_price(entry_price, leverage, side) for leverage in (1, 3, 20) for side in PositionSide]

    assert found == [None, 120_000, 40_000, 80_000, 57_000, 63_000]


def test_growth_opens_at_the_settlement_of_its_day_and_a_fall_takes_an_equal_part_of_each() -> None:
    days = [day(1000, 60_000), day(1500, 62_000), day(1200, 61_000), day(1201, 63_000)]

    found = assumed_entries(days, 5, LONG)

    assert found == (entry(800, 60_000, 48_000), entry(400, 62_000, 49_600), entry(1, 63_000, 50_400))


def test_a_settlement_that_reaches_a_price_ends_its_positions_and_what_is_open_then_opened_there() -> None:
    days = [day(1000, 60_000), day(1500, 70_000), day(1400, 56_000), day(1400, 58_000)]

    longs, shorts = (assumed_entries(days, 5, side) for side in PositionSide)

    assert longs == (entry(1000, 60_000, 48_000), entry(400, 56_000, 44_800))
    assert shorts == (entry(933, 60_000, 72_000), entry(467, 70_000, 84_000))


def test_reached_includes_the_price_itself() -> None:
    days = [day(10, 100), day(10, 80)]

    assert assumed_entries(days, 5, LONG) == (entry(10, 80, 64),)
    assert [is_reached(Fraction(80), Fraction(80), side) for side in PositionSide] == [True, True]
    assert [is_reached(Fraction(81), Fraction(80), side) for side in PositionSide] == [False, True]


def test_what_opens_on_a_day_without_a_settlement_has_no_price_and_ends_by_none() -> None:
    days = [day(10, None), day(14, 100), day(14, 1)]

    assert assumed_entries(days, 2, LONG) == (AssumedEntry(10, None, None), entry(4, 1, Fraction(1, 2)))


def test_longs_without_leverage_have_no_price() -> None:
    assert assumed_entries([day(10, 100)], 1, LONG) == (AssumedEntry(10, Fraction(100), None),)
    assert assumed_entries([day(10, 100)], 1, SHORT) == (entry(10, 100, 200),)


def test_nothing_open_is_nothing_assumed() -> None:
    assert assumed_entries([day(10, 100), day(0, 100)], 3, LONG) == ()
    assert assumed_entries([], 3, SHORT) == ()


def test_leverages_share_a_day_to_the_lot() -> None:
    found = split_by_leverage([day(10, 100), day(7, None)], [(2, 333_333), (3, 333_333), (10, 333_334)])

    assert {leverage: [each.lots for each in days] for leverage, days in found.items()} == {
        2: [3, 2],
        3: [3, 2],
        10: [4, 3],
    }


@pytest.mark.parametrize("side", PositionSide)
@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.none() | st.integers(1, 10**5)), min_size=1, max_size=30),
    st.integers(1, 20),
)
def test_each_side_holds_the_open_interest_of_the_last_day(
    side: PositionSide, told: list[tuple[int, int | None]], leverage: int
) -> None:
    days = [day(lots, settle) for lots, settle in told]

    found = assumed_entries(days, leverage, side)

    assert sum(each.lots for each in found) == days[-1].lots
    assert all(each.lots > 0 for each in found)
    last = days[-1].settle
    if last is not None:
        reached = [e for e in found if e.liquidation_price is not None and is_reached(last, e.liquidation_price, side)]
        assert reached == []
