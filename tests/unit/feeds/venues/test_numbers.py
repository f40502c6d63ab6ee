"""Decimal text -> integers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.feeds.venues.numbers import (
    REMEMBERED,
    Remembered,
    UnreadableNumber,
    as_fraction,
    exact,
    exact_quantity,
    floored,
    floored_quantity,
)


@pytest.mark.parametrize(
    ("value", "decimals", "units"),
    [("65000.10", 1, 650_001), (65000.1, 1, 650_001), ("7", 2, 700), ("-1.5", 1, -15), ("1e-7", 8, 10), (1e-07, 8, 10)],
)
def test_exact_number_is_counted_in_its_unit(value: object, decimals: int, units: int) -> None:
    assert exact(value, decimals) == units


@pytest.mark.parametrize("value", ["65000.15", "1e-9", 0.05])
def test_digits_beyond_the_unit_are_refused_when_exact(value: object) -> None:
    with pytest.raises(UnreadableNumber, match="not a multiple"):
        exact(value, 1)


@pytest.mark.parametrize(
    "value", ["", "NaN", "Infinity", "1e400", "0x10", "1_000", "١٢", None, True, [], "1.2.3", "9" * 41, float("nan")]
)
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(UnreadableNumber):
        floored(value, 2)


def test_negative_number_is_floored_down_not_towards_zero() -> None:
    assert floored("-0.00012345", 4) == -2


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_floor_equals_that_of_arithmetic(number: Decimal) -> None:
    text = format(number, "f")

    assert floored(text, 4) == (Fraction(number) * 10**4).__floor__()
    assert as_fraction(text) == Fraction(number)


def test_contracts_become_coins_exactly() -> None:
    assert exact_quantity("12", Fraction(1, 100)) == 12_000_000


def test_half_a_unit_of_open_interest_is_floored_and_of_a_trade_refused() -> None:
    assert floored_quantity("0.00000001", Fraction(1, 2)) == 0
    with pytest.raises(UnreadableNumber, match="not a multiple"):
        exact_quantity("0.00000001", Fraction(1, 2))


def test_remembered_text_is_read_once_and_one_that_cannot_be_read_each_time() -> None:
    read: list[str] = []

    def count(text: str) -> int:
        read.append(text)
        return int(text)

    remembered = Remembered(count)

    assert [remembered["12"], remembered["12"]] == [12, 12]
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            remembered["x"]
    assert read == ["12", "x", "x"]


def test_no_more_is_remembered_than_is_allowed() -> None:
    remembered = Remembered(int)

    for number in range(3 * REMEMBERED):
        assert remembered[str(number)] == number
        assert len(remembered) <= REMEMBERED
