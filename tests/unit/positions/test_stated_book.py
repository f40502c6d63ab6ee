"""What a venue states of accounts, in the book: figure by figure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from liqscape.axes import MINUTE_NS
from liqscape.device.backend import BookProfile
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import STATED_PRICE_DECIMALS, STATEMENT_HOLDS_NS, PositionSide, PositionStatement
from liqscape.positions.book import BookStep, Cause, PositionBook
from liqscape.positions.stated_changes import UNPRICED_ROWS, AccountNews
from liqscape.positions.stated_events import profile_with
from liqscape.positions.weights import STATED_TIER_INDEX, make_key
from tests.unit.positions.test_book import key_of, only
from tests.unit.synthetic_market import BTC, BTC_SCALE, as_tuples, at, make_bar, make_batch

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
MINUTE: Final = 29_430_000
LOT: Final = 1000
"""Units of events in a lot of 10^-5 coins."""

STATED: Final = {side: make_key(0, STATED_TIER_INDEX, side) for side in PositionSide}
ENTRY: Final = 4500
"""Row at which everything trades. A long of 10x opened there is liquidated on row 4066, one of 3x on row 3012."""


def says(
    account: int, lots: int, row: int | None, side: PositionSide = LONG, *, second: int = 1, followed: bool = True
) -> PositionStatement:
    """Return what the venue states in a second after MINUTE."""
    price = None if row is None else row * 20 * 10**STATED_PRICE_DECIMALS
    return PositionStatement(BTC.instrument_id, at(MINUTE, second), account, side, lots * LOT, price, followed)


def news(*statements: PositionStatement, minute: int = MINUTE + 2) -> AccountNews:
    return AccountNews(minute, (minute + 1) * MINUTE_NS, statements)


def book_of(*, live: int = 300, uncovered: int = 700) -> PositionBook:
    """Return a book with so many lots of 10x on each side."""
    total = live + uncovered
    book = PositionBook("BTC", [BTC], BTC_SCALE, NumpyBackend(), {BTC.instrument_id: only(10)})
    book.apply([make_bar(MINUTE, (ENTRY, ENTRY), sample=total)])
    if live:
        book.apply([make_bar(MINUTE + 1, (ENTRY, ENTRY), lots=live * 10 // 3, sample=total)])
    return book


def state(book: PositionBook, side: PositionSide = LONG) -> tuple[int, int, int, int]:
    """Return live, stated and uncovered lots of a side, and those stated beyond."""
    account = book.account(BTC.instrument_id)
    beyond = book.stated_beyond_lots(BTC.instrument_id)
    return account.live[side], account.stated[side], account.uncovered[side], beyond[side]


def events(step: BookStep) -> list[tuple[Cause, int, int, int]]:
    """Return cause, row, key and lots of what a step did."""
    return [(b.cause, row, key, lots) for b in step.events for _, row, key, lots in as_tuples(b.cohorts)]


def held(book: PositionBook, side: PositionSide = LONG) -> dict[tuple[int, int], int]:
    """Return stated lots of the book by open minute and row."""
    return {(m, row): lots for m, row, key, lots in as_tuples(book.cohorts_in_lots()) if key == STATED[side]}


def test_position_takes_the_place_of_live_and_uncovered_lots_in_proportion() -> None:
    book = book_of(live=300, uncovered=700)

    step = book.apply([], news(says(7, 101, 4300)))

    # floor(101 x 300 / 1000) = 30 live lots close by the clock, uncovered loses the other 71.
    assert state(book) == (300 - 30 + 101, 101, 700 - 71, 0)
    assert state(book, SHORT) == (300, 0, 700, 0)
    assert events(step) == [
        (Cause.RESTATED_DOWN, 4066, key_of(10, LONG), 30),
        (Cause.RESTATED_UP, 4300, STATED[LONG], 101),
    ]
    assert held(book) == {(MINUTE + 2, 4300): 101}
    assert book.lots_by_group().tolist() == [371, 300]


def test_statement_before_any_sample_waits_for_the_first_one() -> None:
    book = PositionBook("BTC", [BTC], BTC_SCALE, NumpyBackend())
    book.apply([make_bar(MINUTE, (ENTRY, ENTRY), lots=50)], news(says(7, 100, 4300), minute=MINUTE))
    assert state(book) == (0, 0, 0, 100)

    book.apply([make_bar(MINUTE + 1, (ENTRY, ENTRY), sample=1000)])

    assert state(book) == (100, 100, 900, 0)
    assert held(book) == {(MINUTE + 1, 4300): 100}


def test_what_is_stated_beyond_open_interest_waits_until_there_is_room() -> None:
    book = book_of(live=300, uncovered=0)
    step = book.apply([], news(says(7, 350, 4300)))
    assert state(book) == (300, 300, 0, 50)
    assert (Cause.RESTATED_UP, 4300, STATED[LONG], 300) in events(step)

    book.apply([make_bar(MINUTE + 2, (ENTRY, ENTRY), lots=0, sample=330)])
    book.apply([make_bar(MINUTE + 3, (ENTRY, ENTRY), lots=0, sample=330)])

    assert state(book) == (330, 330, 0, 20)
    assert held(book) == {(MINUTE + 2, 4300): 330}


def test_smaller_position_is_a_close_that_counts_like_a_sweep() -> None:
    book = book_of()
    book.apply([], news(says(7, 101, 4300)))

    step = book.apply([], news(says(7, 61, 4300, second=2)))

    assert events(step) == [(Cause.CLOSED, 4300, STATED[LONG], 40)]
    assert state(book) == (331, 61, 629, 0)
    assert book.account(BTC.instrument_id).swept == (40, 0)
    # The sample knows of the close: nothing beside it closes where open interest has fallen by just that, untraded.
    after = book.apply([make_bar(MINUTE + 3, (ENTRY, ENTRY), sample=960)])
    assert [(c, k, lots) for c, _, k, lots in events(after) if k & 1 == LONG] == []
    assert state(book) == (331, 61, 629, 0)


def test_position_that_is_gone_is_closed_whole() -> None:
    book = book_of()
    book.apply([], news(says(7, 101, 4300)))

    step = book.apply([], news(says(7, 0, None, second=2)))

    assert events(step) == [(Cause.CLOSED, 4300, STATED[LONG], 101)]
    assert (state(book)[1], held(book)) == (0, {})


def test_other_price_moves_the_position_and_closes_nothing() -> None:
    book = book_of()
    book.apply([], news(says(7, 101, 4300)))

    step = book.apply([], news(says(7, 101, 4250, second=2), minute=MINUTE + 3))

    assert events(step) == [
        (Cause.RESTATED_DOWN, 4300, STATED[LONG], 101),
        (Cause.RESTATED_UP, 4250, STATED[LONG], 101),
    ]
    assert held(book) == {(MINUTE + 2, 4250): 101}
    assert book.account(BTC.instrument_id).swept == (0, 0)


def test_position_turned_round_closes_one_side_and_takes_the_place_of_the_other() -> None:
    book = book_of()
    book.apply([], news(says(7, 100, 4300)))

    step = book.apply([], news(says(7, 50, 4700, SHORT, second=2)))

    assert (Cause.CLOSED, 4300, STATED[LONG], 100) in events(step)
    assert (Cause.RESTATED_UP, 4700, STATED[SHORT], 50) in events(step)
    assert (state(book)[1], state(book, SHORT)[1]) == (0, 50)


def test_price_sweeps_what_it_reaches_and_nothing_else() -> None:
    book = book_of()
    book.apply([], news(says(1, 10, 4300), says(2, 20, 4290), says(3, 40, None), says(4, 80, 4700, SHORT)))

    step = book.apply([make_bar(MINUTE + 3, (4300, ENTRY))])

    assert [e for e in events(step) if e[2] in STATED.values()] == [(Cause.SWEPT, 4300, STATED[LONG], 10)]
    assert held(book) == {(MINUTE + 2, 4290): 20, (MINUTE + 2, UNPRICED_ROWS[LONG]): 40}
    last = book.apply([make_bar(MINUTE + 4, (4290, 4700))])
    assert [e for e in events(last) if e[2] in STATED.values()] == [
        (Cause.SWEPT, 4290, STATED[LONG], 20),
        (Cause.SWEPT, 4700, STATED[SHORT], 80),
    ]


def test_position_is_not_tested_against_the_bar_that_it_came_with() -> None:
    book = book_of()

    step = book.apply([make_bar(MINUTE + 2, (4300, ENTRY))], news(says(7, 10, 4400)))
    after = book.apply([make_bar(MINUTE + 3, (4400, 4400))])

    assert (Cause.RESTATED_UP, 4400, STATED[LONG], 10) in events(step)
    assert (Cause.SWEPT, 4400, STATED[LONG], 10) in events(after)


def test_position_that_was_swept_and_is_stated_again_takes_its_place_anew() -> None:
    book = book_of()
    book.apply([], news(says(7, 100, 4400)))
    book.apply([make_bar(MINUTE + 3, (4390, ENTRY))])
    assert state(book)[1] == 0

    book.apply([], news(says(7, 100, 4380, second=200), minute=MINUTE + 4))

    assert held(book) == {(MINUTE + 4, 4380): 100}


def test_sample_that_closes_more_than_is_estimated_cuts_what_was_stated_longest_ago() -> None:
    book = book_of(live=300, uncovered=0)
    book.apply([], news(says(9, 100, 4300, second=1), says(7, 100, 4310, second=2), says(8, 90, 4320, second=2)))
    assert state(book) == (300, 290, 0, 0)

    step = book.apply([make_bar(MINUTE + 3, (ENTRY, ENTRY), sample=170)])

    # 130 closes: all 10 estimated lots, then 100 of the first statement and 20 of the next, by account.
    closed = [(row, lots) for cause, row, key, lots in events(step) if cause is Cause.CLOSED and key == STATED[LONG]]
    assert closed == [(4300, 100), (4310, 20)]
    assert state(book) == (170, 170, 0, 120)
    # What was cut does not come back by itself, but with the next statement.
    book.apply([make_bar(MINUTE + 4, (ENTRY, ENTRY), sample=400)])
    book.apply([make_bar(MINUTE + 4, (ENTRY, ENTRY), sample=400)])
    assert state(book) == (400, 170, 0, 120)
    book.apply([], news(says(9, 100, 4300, second=300), minute=MINUTE + 5))
    assert state(book)[1:] == (270, 0, 20)


def test_position_that_waited_and_was_cut_waits_no_more() -> None:
    book = book_of(live=300, uncovered=0)
    book.apply([], news(says(9, 200, 4300, second=1), says(7, 150, 4310, second=2)))
    assert state(book) == (300, 300, 0, 50)

    for sample in (50, 400, 400):
        book.apply([make_bar(MINUTE + 3, (ENTRY, ENTRY), sample=sample)])

    assert state(book) == (400, 50, 0, 300)


@pytest.mark.parametrize(
    ("row", "tier", "kept"), [(4067, 10, 4067), (4200, 20, 4200), (3100, 3, 3100), (None, 3, 3012)]
)
def test_account_that_nobody_follows_goes_on_as_estimated_in_the_nearest_tier(
    row: int | None, tier: int, kept: int
) -> None:
    book = book_of()
    book.apply([], news(says(7, 100, row)))
    live, _, uncovered, _ = state(book)

    step = book.apply([], news(says(7, 0, None, second=2, followed=False), minute=MINUTE + 3))

    assert state(book) == (live, 0, uncovered, 0)
    assert (Cause.RESTATED_UP, kept, key_of(tier, LONG), 100) in events(step)
    assert held(book) == {}
    assert book.lots_by_group().tolist() == [live, 300]


def test_statement_holds_for_an_hour() -> None:
    book = book_of()
    book.apply([], news(says(7, 100, 4300), says(8, 50, 4310, second=5)))
    end_ns = at(MINUTE, 1) + STATEMENT_HOLDS_NS
    assert not book.stated_is_due(end_ns - 1)
    assert book.stated_is_due(end_ns)

    book.apply([], AccountNews(MINUTE + 60, end_ns))

    assert held(book) == {(MINUTE + 2, 4310): 50}
    assert not book.stated_is_due(end_ns + 1)


def test_lots_released_into_what_opens_in_the_same_row_are_told_apart() -> None:
    book = book_of()
    book.apply([], news(says(7, 100, 4066)))

    step = book.apply(
        [make_bar(MINUTE + 3, (ENTRY, ENTRY), lots=1000, sample=1000)],
        news(says(7, 0, None, second=2, followed=False), minute=MINUTE + 3),
    )

    found = events(step)
    assert (Cause.RESTATED_UP, 4066, key_of(10, LONG), 100) in found
    assert (Cause.OPENED, 4066, key_of(10, LONG), 300) in found
    assert sum(state(book)[i] for i in (0, 2)) == 1000


def test_unpriced_position_is_in_the_book_and_in_no_event() -> None:
    book = book_of()

    step = book.apply([], news(says(7, 100, None), says(8, 100, None, SHORT)))

    assert {key for _, _, key, _ in events(step)} == {key_of(10, LONG), key_of(10, SHORT)}
    profile = book.profile()()
    columns = (profile.row.tolist(), profile.key.tolist(), profile.lots.tolist())
    stated = [cell for cell in zip(*columns, strict=True) if cell[1] in STATED.values()]
    assert stated == [(UNPRICED_ROWS[LONG], STATED[LONG], 100), (UNPRICED_ROWS[SHORT], STATED[SHORT], 100)]
    assert profile.key.tolist() == sorted(profile.key.tolist())
    assert book.live_cohorts == 4


def test_profile_with_stated_positions_stays_in_order() -> None:
    estimated = BookProfile(np.array([4, 40], np.uint16), np.array([9, 5], np.int32), np.array([1, 2], np.int64))
    stated = make_batch((1, 7, 30, 3), (2, 7, 30, 4), (1, 6, 30, 5), (1, 8, 62, 6))

    found = profile_with(estimated, stated)

    assert found.key.tolist() == [4, 30, 30, 40, 62]
    assert found.row.tolist() == [9, 6, 7, 5, 8]
    assert found.lots.tolist() == [1, 5, 7, 2, 6]


def test_coarser_rows_keep_positions_and_those_without_a_price_apart() -> None:
    book = book_of()
    book.apply([], news(says(1, 10, 4303), says(2, 20, None), says(3, 30, None, SHORT), says(4, 40, 3)))

    restated = book.coarsen_rows(replace(BTC_SCALE, base_step=1000), 5)

    assert held(book) == {(MINUTE + 2, 860): 10, (MINUTE + 2, 0): 20, (MINUTE + 2, 1): 40}
    assert held(book, SHORT) == {(MINUTE + 2, UNPRICED_ROWS[SHORT]): 30}
    # Row 3 is row 0 of the ledger now, where no stated price may be.
    assert as_tuples(restated.down) == [(MINUTE + 2, 0, STATED[LONG], 40)]
    assert as_tuples(restated.up) == [(MINUTE + 2, 1, STATED[LONG], 40)]


def test_price_far_from_all_others_is_kept_short_of_the_rows_without_a_price() -> None:
    book = book_of()

    book.apply([], news(says(1, 10, 0), says(2, 20, 10**9, SHORT)))

    assert held(book) == {(MINUTE + 2, UNPRICED_ROWS[LONG] + 1): 10}
    assert held(book, SHORT) == {(MINUTE + 2, UNPRICED_ROWS[SHORT] - 1): 20}


def test_lots_of_less_than_one_are_no_position() -> None:
    book = book_of()
    small = replace(says(7, 1, 4300), quantity=LOT - 1)

    step = book.apply([], news(small))

    assert step.events == ()
    assert state(book)[1:] == (0, 700, 0)
