"""The book by key: what filters let pass, cohort by cohort, and nothing lost outside of its rows.

Seen to fail when broken on purpose, one at a time: the lowest base row left out, stated positions under a filter by
leverage, both sides of what lies outside swapped, positions without a price in the rows where they are kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqscape.device.book_profile import profile_of
from liqscape.errors import InvalidArgument, NotFound
from liqscape.events import PositionSide
from liqscape.grid.keyed_book import KeyedBook, instrument_numbers, keyed_book, tier_indices
from liqscape.grid.updates import MapQuery
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.stated_changes import UNPRICED_ROWS
from liqscape.positions.weights import STATED_TIER_INDEX, make_key
from tests.unit.synthetic_market import BTC_SCALE, make_instrument

LONG, SHORT = PositionSide
INSTRUMENTS = tuple(replace(make_instrument(), venue=venue) for venue in ("alpha", "beta"))
TEN, HUNDRED = LEVERAGE_TIERS.index(10), LEVERAGE_TIERS.index(100)
MARK_PRICE = 900_010

PARTS = [
    (make_key(0, TEN, LONG), 4400, 1),
    (make_key(1, TEN, LONG), 4400, 2),
    (make_key(1, HUNDRED, SHORT), 4599, 4),
    (make_key(0, STATED_TIER_INDEX, LONG), 4500, 8),
    (make_key(1, STATED_TIER_INDEX, SHORT), 4399, 16),
    (make_key(0, HUNDRED, LONG), 4600, 32),
    (make_key(0, TEN, SHORT), 17_000, 64),
]


def ask(parts: list[tuple[int, int, int]] = PARTS, **asked: object) -> KeyedBook:
    query = replace(MapQuery("BTC", row_multiple=10, price_low=88_000.0, price_high=91_999.0), **asked)  # type: ignore[arg-type]
    key, row, lots = (np.array(column) for column in zip(*parts, strict=True))
    profile = profile_of(key.astype(np.uint16), row.astype(np.int32), lots.astype(np.int64))
    return keyed_book(query, profile, instruments=INSTRUMENTS, scale=BTC_SCALE, mark_price=MARK_PRICE)


def held(book: KeyedBook) -> int:
    return int(book.profile.lots.sum())


def test_book_holds_what_lies_in_its_rows_and_counts_the_rest_by_side() -> None:
    book = ask()

    assert (book.rows.first, book.rows.count, book.rows.multiple) == (440, 20, 10)
    assert held(book) == 1 + 2 + 4 + 8
    assert book.outside_lots == ((0, 32), (16, 64))
    assert instrument_numbers(book.profile.key).tolist() == [0, 0, 1, 1]
    assert tier_indices(book.profile.key).tolist() == [TEN, STATED_TIER_INDEX, TEN, HUNDRED]


def test_filters_let_pass_what_they_name_and_a_leverage_filter_no_stated_position() -> None:
    assert (held(ask(venues=("beta",))), ask(venues=("beta",)).outside_lots) == (6, ((0, 0), (16, 0)))
    assert (held(ask(side=SHORT)), ask(side=SHORT).outside_lots) == (4, ((0, 0), (16, 64)))
    assert (held(ask(leverages=(10,))), ask(leverages=(10,)).outside_lots) == (3, ((0, 0), (0, 64)))


def test_rows_are_those_of_a_map_where_none_are_asked_for() -> None:
    book = ask(row_multiple=None, price_low=None, price_high=None)

    assert book.rows.multiple == 2
    assert (book.rows.first * 40, (book.rows.first + book.rows.count) * 40) == (44_800, 135_200)
    assert sum(map(sum, book.outside_lots)) == 64


def test_positions_without_a_price_are_outside_of_all_rows_even_of_those_they_are_kept_on() -> None:
    unpriced = [(make_key(0, STATED_TIER_INDEX, side), UNPRICED_ROWS[side], 100 + side) for side in PositionSide]
    # The row alone does not tell: these two have a price.
    others = [(make_key(0, TEN, LONG), UNPRICED_ROWS[SHORT], 1), (make_key(0, STATED_TIER_INDEX, SHORT), 1, 2)]

    book = ask([*unpriced, *others], row_multiple=100, price_low=0.0, price_high=(UNPRICED_ROWS[SHORT] + 1) * 20.0)

    assert (book.rows.first, book.rows.first + book.rows.count) == (0, UNPRICED_ROWS[SHORT] // 100 + 1)
    assert sorted(book.profile.lots.tolist()) == [1, 2]
    assert book.outside_lots == ((100, 0), (0, 101))


def test_what_is_unknown_or_too_much_is_refused() -> None:
    with pytest.raises(NotFound, match="venue 'nowhere' is unknown; known are alpha, beta"):
        ask(venues=("nowhere",))
    with pytest.raises(InvalidArgument, match="leverages has 7; allowed are 3, 5"):
        ask(leverages=(7,))
    with pytest.raises(InvalidArgument, match="rows are too many; at most 16384"):
        ask(row_multiple=1, price_high=1e9)
    with pytest.raises(InvalidArgument, match="base_steps_per_row 0 is invalid"):
        ask(row_multiple=0)
