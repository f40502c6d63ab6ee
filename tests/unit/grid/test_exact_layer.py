"""Stated positions by the rows of a map, against a plain sum; and what the book has there."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Final

import numpy as np
import pytest

from liqscape.axes import RowRange
from liqscape.device.backend import BookProfile
from liqscape.events import PositionSide
from liqscape.feeds.exact import ExactView, StatedPosition
from liqscape.grid.exact_layer import ExactPositions, exact_positions
from liqscape.grid.updates import Coverage, MapQuery
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.stated_events import profile_with
from liqscape.positions.weights import STATED_TIER_INDEX, make_key
from tests.unit.grid.test_liquidation_map import INSTRUMENTS, KEYS, OWN_MIX, QUERY, made_up_book, profiled
from tests.unit.synthetic_market import BTC_SCALE, make_batch

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ROWS: Final = RowRange(2240, 40, 2)
"""Rows of 40 USD from 89,600 to 91,200."""

LOT: Final = 1000
"""Quantities of 10^-8 coins in a lot of 10^-5."""


def position(
    account: int, side: PositionSide, quantity: int, price: str | None, stated_ns: int = 7, name: str = "alpha:BTCUSDT"
) -> StatedPosition:
    return StatedPosition(account, name, side, quantity, None if price is None else Fraction(price), stated_ns)


def coverage(name: str, live: tuple[int, int], uncovered: tuple[int, int]) -> Coverage:
    venue = name.partition(":")[0]
    return Coverage("BTC", venue, name, 0, live, uncovered, 0, 0, 5)


COVERAGE: Final = (
    coverage("alpha:BTCUSDT", (100, 300), (400, 600)),
    coverage("alpha:BTCUSDC", (30, 10), (70, 90)),
    coverage("beta:BTC-PERP", (10**6, 10**6), (0, 0)),
)


def layer(
    *positions: StatedPosition, query: MapQuery = QUERY, rows: RowRange = ROWS, profile: BookProfile | None = None
) -> tuple[ExactPositions, ...]:
    return exact_positions(
        [ExactView("alpha", positions)],
        query,
        profiled(made_up_book()) if profile is None else profile,
        rows,
        instruments=INSTRUMENTS,
        scale=BTC_SCALE,
        coverage=COVERAGE,
    )


def test_position_lies_in_the_row_of_its_stated_price_lower_edge_included() -> None:
    (found,) = layer(
        position(1, LONG, 3 * LOT, "89600"),
        position(2, LONG, 5 * LOT, "89639.999"),
        position(3, LONG, 7 * LOT, "89640"),
        position(4, SHORT, 11 * LOT, "91199.99"),
    )

    assert [(row.row, row.side, row.lots, row.accounts) for row in found.rows] == [
        (2240, LONG, 8, 2),
        (2241, LONG, 7, 1),
        (2279, SHORT, 11, 1),
    ]


def test_totals_tell_what_lies_inside_below_above_and_nowhere() -> None:
    (found,) = layer(
        position(1, LONG, 3 * LOT, "89599.99"),
        position(2, LONG, 5 * LOT, "89600"),
        position(3, LONG, 7 * LOT, "91200"),
        position(3, LONG, 11 * LOT, None, name="alpha:BTCUSDC"),
        position(4, LONG, 13 * LOT, None),
        position(5, SHORT, 17 * LOT, None),
    )

    long, short = found.totals
    assert (long.side, long.inside_lots, long.below_lots, long.above_lots, long.without_price_lots) == (
        LONG,
        5,
        3,
        7,
        24,
    )
    assert (long.accounts, long.accounts_without_price) == (4, 2)
    assert (short.inside_lots, short.without_price_lots, short.accounts, short.accounts_without_price) == (0, 17, 1, 1)
    assert [(row.row, row.lots) for row in found.rows] == [(2240, 5)]


def test_lots_are_floored_once_for_a_row_and_once_for_a_total() -> None:
    (found,) = layer(
        position(1, LONG, LOT - 1, "89600"),
        position(2, LONG, LOT + LOT // 2, "89601"),
        position(3, LONG, LOT // 2 + 1, "90000"),
    )

    assert [row.lots for row in found.rows] == [2, 0]
    assert found.totals[0].inside_lots == 3


def test_accounts_are_counted_once_and_the_oldest_statement_is_told() -> None:
    (found,) = layer(
        position(1, LONG, LOT, "90000", stated_ns=50),
        position(1, LONG, LOT, "90001", stated_ns=40, name="alpha:BTCUSDC"),
        position(2, LONG, LOT, "90002", stated_ns=60),
        position(3, LONG, LOT, None, stated_ns=30),
    )

    assert [(row.lots, row.accounts, row.oldest_ns) for row in found.rows] == [(3, 2, 40)]
    assert (found.totals[0].accounts, found.totals[0].oldest_ns) == (3, 30)
    assert (found.totals[1].accounts, found.totals[1].oldest_ns) == (0, 0)


def test_model_lots_are_those_of_the_venue_side_and_row_of_every_tier() -> None:
    book = made_up_book()
    expected: Counter[tuple[int, PositionSide]] = Counter()
    meaning = {key: (number, side) for key, number, _, side in KEYS}
    for row, key, lots in zip(book.row.tolist(), book.key.tolist(), book.lots.tolist(), strict=True):
        number, side = meaning[key]
        if INSTRUMENTS[number].venue == "alpha":
            expected[row // 2, side] += lots
    stated = [position(n, side, n * LOT, f"{89600 + 40 * n}") for n in range(1, 40) for side in PositionSide]

    (found,) = layer(*stated)

    assert len(found.rows) == 78
    assert [row.model_lots for row in found.rows] == [expected[row.row, row.side] for row in found.rows]
    assert len({row.model_lots for row in found.rows}) > 70
    first = found.rows[0]
    assert first.model_share() == first.lots / first.model_lots


def test_model_lots_leave_out_what_is_stated_so_nothing_counts_twice() -> None:
    book = made_up_book()
    stated = make_batch((1, 4500, make_key(0, STATED_TIER_INDEX, LONG), 10**6))
    (plain,) = layer(position(1, LONG, LOT, "90000"))

    (found,) = layer(position(1, LONG, LOT, "90000"), profile=profile_with(profiled(book), stated))

    assert found == plain


def test_share_may_exceed_one_and_is_absent_where_the_book_has_nothing() -> None:
    key = next(key for key, number, leverage, side in KEYS if (number, leverage, side) == (0, 10, LONG))
    few = BookProfile(np.array([key], np.uint16), np.array([4500], np.int32), np.array([4], np.int64))

    (found,) = layer(
        position(1, LONG, 10 * LOT, "90000"), position(2, SHORT, 10 * LOT, "90000"), position(3, LONG, LOT, "90100"),
        profile=few,
    )  # fmt: skip

    assert [(row.side, row.model_lots, row.model_share()) for row in found.rows] == [
        (LONG, 4, 2.5),
        (SHORT, 0, None),
        (LONG, 0, None),
    ]


def test_open_interest_is_that_of_all_instruments_of_the_venue_by_side() -> None:
    (found,) = layer(position(1, LONG, 60 * LOT, "90000"), position(2, LONG, 60 * LOT, None))

    long, short = found.totals
    assert (long.open_interest_lots, short.open_interest_lots) == (600, 1000)
    assert long.open_interest_share() == 0.2
    assert short.open_interest_share() == 0.0


def test_share_of_open_interest_is_absent_before_it_is_known() -> None:
    nothing = exact_positions(
        [ExactView("alpha", (position(1, LONG, LOT, "90000"),))],
        QUERY,
        profiled(made_up_book()),
        ROWS,
        instruments=INSTRUMENTS,
        scale=BTC_SCALE,
        coverage=(),
    )

    assert nothing[0].totals[0].open_interest_share() is None


def test_filters_by_venue_and_side_hold_and_those_by_leverage_do_not() -> None:
    stated = (position(1, LONG, LOT, "90000"), position(2, SHORT, LOT, "90000"))
    (plain,) = layer(*stated)

    assert layer(*stated, query=replace(QUERY, venues=("beta",))) == ()
    assert layer(*stated, query=replace(QUERY, venues=("alpha", "beta"))) == (plain,)
    (shorts,) = layer(*stated, query=replace(QUERY, side=SHORT))
    assert [row.side for row in shorts.rows] == [SHORT]
    assert [total.side for total in shorts.totals] == [SHORT]
    assert shorts.rows[0] == plain.rows[1]
    assert layer(*stated, query=replace(QUERY, leverages=(LEVERAGE_TIERS[0],))) == (plain,)
    assert layer(*stated, query=replace(QUERY, leverage_shares=OWN_MIX)) == (plain,)


def test_positions_on_other_symbols_and_venues_without_instruments_are_left_out() -> None:
    views = [
        ExactView("alpha", (position(1, LONG, LOT, "90000", name="alpha:ETHUSDT"),)),
        ExactView("gamma", (position(1, LONG, LOT, "90000", name="gamma:BTC"),)),
    ]

    found = exact_positions(
        views,
        QUERY,
        profiled(made_up_book()),
        ROWS,
        instruments=INSTRUMENTS,
        scale=BTC_SCALE,
        coverage=COVERAGE,
    )

    assert [(each.venue, each.rows, each.totals[0].accounts) for each in found] == [("alpha", (), 0)]


@pytest.mark.parametrize("multiple", [1, 2, 5, 10])
def test_rows_of_any_height_hold_the_same_as_a_plain_sum(multiple: int) -> None:
    draw = random.Random(multiple)
    stated = [
        position(
            n, draw.choice(tuple(PositionSide)), draw.randrange(1, 10**6) * LOT, f"{draw.uniform(89000, 92000):.8f}"
        )
        for n in range(300)
    ]
    rows = RowRange(4480 // multiple, 80 // multiple, multiple)
    expected: Counter[tuple[int, PositionSide]] = Counter()
    for each in stated:
        assert each.liquidation_price is not None
        row = each.liquidation_price // (20 * multiple)
        if rows.first <= row < rows.first + rows.count:
            expected[int(row), each.side] += each.quantity // LOT

    (found,) = layer(*stated, rows=rows)

    assert {(row.row, row.side): row.lots for row in found.rows} == dict(expected)
    assert sum(t.inside_lots + t.below_lots + t.above_lots for t in found.totals) == sum(
        each.quantity // LOT for each in stated
    )


def test_price_beyond_all_numbers_of_a_market_is_above() -> None:
    (found,) = layer(position(1, SHORT, LOT, "1" + "0" * 40))

    assert found.totals[1].above_lots == 1
