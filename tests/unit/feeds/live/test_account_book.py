"""What a venue has stated of accounts: newest, closed, flipped, without a liquidation price, old; real and made up."""

from __future__ import annotations

from fractions import Fraction

import pytest

from liqscape.events import PositionSide
from liqscape.feeds.exact import StatedPosition
from liqscape.feeds.live.account_book import FORGET_NS, AccountBook
from liqscape.feeds.venues.accounts import ExactPosition, Provenance, Statement
from liqscape.feeds.venues.dialect import Reading
from liqscape.feeds.venues.hyperliquid_accounts import read_state
from tests.unit.feeds.venues.captured import RECEIVE_NS, captured, listing

ONE, TWO = "0x" + "1" * 40, "0x" + "2" * 40
LISTINGS = (listing("hyperliquid", "BTC"), listing("hyperliquid", "ETH", symbol="ETH"))
T0 = 1_795_219_204_000_000_000


def statement(address: str, time_ns: int, *positions: tuple[str, int, str | None]) -> Statement:
    """Return a statement; a position is (coin, signed size, liquidation price)."""
    since = Provenance("clearinghouseState", address, time_ns, False)
    return Statement(
        since,
        tuple(
            ExactPosition(
                coin=coin,
                side=PositionSide.LONG if size > 0 else PositionSide.SHORT,
                size=abs(size),
                entry_price=Fraction(65_000),
                leverage=10,
                is_cross=price is None,
                margin_used=Fraction(1),
                liquidation_price=None if price is None else Fraction(price),
                provenance=since,
            )
            for coin, size, price in positions
        ),
    )


def held(book: AccountBook) -> list[tuple[int, str, PositionSide, int]]:
    return [(p.account, p.instrument_id, p.side, p.quantity) for p in book.positions()]


def test_statement_is_held_as_it_was_made_and_other_coins_are_left_out() -> None:
    book = AccountBook(LISTINGS)

    assert book.take(statement(ONE, T0, ("BTC", 785_000, "59240.51"), ("DOGE", 5, "0.1"), ("ETH", -3, None)))

    assert book.positions() == (
        StatedPosition(1, "hyperliquid:BTC", PositionSide.LONG, 785_000, Fraction("59240.51"), T0),
        StatedPosition(1, "hyperliquid:ETH", PositionSide.SHORT, 3, None, T0),
    )


def test_position_that_is_not_stated_any_more_is_closed() -> None:
    book = AccountBook(LISTINGS)
    book.take(statement(ONE, T0, ("BTC", 5, "60000"), ("ETH", 7, "3000")))
    book.take(statement(TWO, T0, ("BTC", 9, "50000")))

    book.take(statement(ONE, T0 + 1, ("ETH", 6, "3000")))

    assert held(book) == [
        (1, "hyperliquid:ETH", PositionSide.LONG, 6),
        (2, "hyperliquid:BTC", PositionSide.LONG, 9),
    ]
    book.take(statement(ONE, T0 + 2))
    assert book.holds_nothing(ONE)
    assert not book.holds_nothing(TWO)


def test_account_that_flips_leaves_nothing_of_its_other_side() -> None:
    book = AccountBook(LISTINGS)
    book.take(statement(ONE, T0, ("BTC", 5, "60000")))

    book.take(statement(ONE, T0 + 1, ("BTC", -4, "70000")))

    assert held(book) == [(1, "hyperliquid:BTC", PositionSide.SHORT, 4)]


@pytest.mark.parametrize(("later_ns", "size"), [(-1, 5), (0, 4), (1, 4)])
def test_newest_statement_counts_in_whatever_order_they_come(later_ns: int, size: int) -> None:
    book = AccountBook(LISTINGS)
    book.take(statement(ONE, T0, ("BTC", 5, "60000")))

    taken = book.take(statement(ONE, T0 + later_ns, ("BTC", 4, "60000")))

    assert [p.quantity for p in book.positions()] == [size]
    assert (taken, book.older, book.statements) == ((later_ns >= 0), int(later_ns < 0), 1 + (later_ns >= 0))


def test_statement_is_forgotten_at_its_age_and_when_it_was_stays_known() -> None:
    book = AccountBook(LISTINGS)
    book.take(statement(ONE, T0, ("BTC", 5, "60000")))
    book.take(statement(TWO, T0 + 1, ("BTC", 6, "60000")))

    book.age(T0 + FORGET_NS - 1)
    assert len(book.positions()) == 2
    book.age(T0 + FORGET_NS)
    book.age(T0 + FORGET_NS)

    assert [p.quantity for p in book.positions()] == [6]
    assert (book.forgotten, book.stated_ns(ONE)) == (1, T0)


def test_dropped_account_is_gone_and_has_another_number_when_it_comes_back() -> None:
    book = AccountBook(LISTINGS)
    book.take(statement(ONE, T0, ("BTC", 5, "60000")))
    book.take(statement(TWO, T0, ("BTC", 6, "60000")))

    book.drop(ONE)
    book.drop(ONE)

    assert [p.quantity for p in book.positions()] == [6]
    assert book.stated_ns(ONE) == 0
    book.take(statement(ONE, T0, ("BTC", 5, "60000")))
    assert [p.account for p in book.positions()] == [2, 3]


def test_size_in_units_of_the_venue_becomes_coins() -> None:
    book = AccountBook((listing("hyperliquid", "kPEPE", unit=Fraction(1000)),))

    book.take(statement(ONE, T0, ("kPEPE", 7, "0.01")))

    assert [p.quantity for p in book.positions()] == [7000]


def test_instruments_that_are_not_counted_in_coins_are_refused() -> None:
    inverse = listing("hyperliquid", "BTC", contract="inverse", contract_value=Fraction(1))

    with pytest.raises(AssertionError, match="not counted in coins"):
        AccountBook((inverse,))


@pytest.mark.recorded
def test_real_account_is_held_on_the_instruments_of_the_model() -> None:
    (body,) = captured("hyperliquid", "user_state.rest.jsonl").read_bytes().splitlines()
    book = AccountBook(LISTINGS)

    book.take(read_state(ONE, body, RECEIVE_NS, Reading()))

    assert book.positions() == (
        StatedPosition(1, "hyperliquid:BTC", PositionSide.SHORT, 785_000, Fraction("173198.69592357"), RECEIVE_NS),
        StatedPosition(1, "hyperliquid:ETH", PositionSide.LONG, 13_340_000, None, RECEIVE_NS),
    )
