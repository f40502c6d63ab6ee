"""The profile of a book is its open cohorts in lots, as they were when it was asked for."""

from __future__ import annotations

from collections import Counter

import pytest

from liqscape.device.backend import BookProfile
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.instruments import find_instrument
from liqscape.positions.book import PositionBook
from liqscape.positions.open_only import OpenOnlyBook
from tests.unit.synthetic_market import BTC, BTC_SCALE, EXAMPLE_MINUTE, as_tuples, make_bar

COIN_M = find_instrument("binance:BTCUSD_PERP")
SMALL = find_instrument("kraken:PI_XBTUSD")
"""Contracts of 1 USD: one is less than a lot above 100,000 USD."""

Book = PositionBook | OpenOnlyBook


def make_book(kind: type[PositionBook] | type[OpenOnlyBook]) -> Book:
    return kind("BTC", [BTC, COIN_M, SMALL], BTC_SCALE, NumpyBackend())


def step(book: Book, number: int, rows: tuple[int, int], sample: int) -> None:
    book.apply(
        [
            make_bar(EXAMPLE_MINUTE + number, rows, lots=share * 90, sample=share * sample, instrument=instrument)
            for share, instrument in ((100, BTC), (10, COIN_M), (4, SMALL))
        ]
    )


def in_lots(book: Book) -> dict[tuple[int, int], int]:
    """Return lots by (key, row), cohort by cohort."""
    total: Counter[tuple[int, int]] = Counter()
    for _, row, key, lots in as_tuples(book.cohorts_in_lots()):
        total[key, row] += lots
    return {name: lots for name, lots in total.items() if lots}


def as_dictionary(profile: BookProfile) -> dict[tuple[int, int], int]:
    names = zip(profile.key.tolist(), profile.row.tolist(), strict=True)
    return dict(zip(names, profile.lots.tolist(), strict=True))


@pytest.mark.parametrize("kind", [PositionBook, OpenOnlyBook])
def test_profile_is_what_was_open_then_in_lots(kind: type[PositionBook] | type[OpenOnlyBook]) -> None:
    book = make_book(kind)
    step(book, 0, (4490, 4510), 500)
    step(book, 1, (4495, 4505), 540)
    step(book, 2, (4400, 4500), 550)  # sweeps some
    before = in_lots(book)
    without_lots = (book.cohorts_in_lots().lots == 0).sum()

    work = book.profile()
    step(book, 3, (4200, 4800), 570)

    assert as_dictionary(work()) == before != in_lots(book)
    assert {key >> 5 for key, _ in before} == {0, 1, 2}
    assert len(before) > 50
    assert without_lots > 0


def test_profile_of_a_book_with_nothing_open_is_empty() -> None:
    assert as_dictionary(make_book(PositionBook).profile()()) == {}
