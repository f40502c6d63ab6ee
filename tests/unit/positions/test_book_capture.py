"""A captured book is the open cohorts of that moment, whatever happens to the book afterwards."""

from __future__ import annotations

import pytest

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.positions.book import PositionBook
from liqscape.positions.open_only import OpenOnlyBook
from tests.unit.synthetic_market import BTC, BTC_SCALE, EXAMPLE_MINUTE, as_tuples, make_bar


@pytest.mark.parametrize("kind", [PositionBook, OpenOnlyBook])
def test_capture_is_what_was_open_then(kind: type[PositionBook] | type[OpenOnlyBook]) -> None:
    book = kind("BTC", [BTC], BTC_SCALE, NumpyBackend())
    book.apply([make_bar(EXAMPLE_MINUTE, (4490, 4510), lots=1000, sample=50_000)])
    book.apply([make_bar(EXAMPLE_MINUTE + 1, (4495, 4505), lots=9000, sample=54_000)])
    book.apply([make_bar(EXAMPLE_MINUTE + 2, (4400, 4500), lots=9000, sample=55_000)])  # sweeps some
    before = as_tuples(book.cohorts_in_lots())

    captured = book.capture()
    book.apply([make_bar(EXAMPLE_MINUTE + 3, (4200, 4800), lots=9000, sample=57_000)])

    held = [cohort for cohort in as_tuples(captured()) if cohort[3]]
    assert held == before
    assert before != as_tuples(book.cohorts_in_lots())
    assert len(before) > 50
