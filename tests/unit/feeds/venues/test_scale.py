"""The bounds of what is believed, and the units of quantities."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.errors import LiqscapeError
from liqscape.events import Candle, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Reading, Unreadable
from liqscape.feeds.venues.scale import Scale, funding_ppb, quote_unit, text_of_time, time_of, time_of_text
from tests.unit.feeds.venues.captured import listing


def scale(unit: Fraction = Fraction(1)) -> Scale:
    return Scale(listing("venue", "BTC"), unit)


@pytest.mark.parametrize(
    ("unit", "value", "units"),
    [
        (Fraction(1), "0.12", 12_000_000),
        (Fraction(1, 10), 75_000.0, 7_500 * 10**8),
        (Fraction(1, 100), "3", 3_000_000),
        (Fraction(1000), "0.000000001", 100),
    ],
)
def test_quantity_is_counted_in_the_unit_exactly(unit: Fraction, value: object, units: int) -> None:
    assert scale(unit).quantity(value) == units


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        (Fraction(1), "0"),
        (Fraction(1), "-1"),
        (Fraction(1), "0.000000001"),
        (Fraction(1, 3), "1"),
        (Fraction(1), "9" * 20),
    ],
)
def test_quantity_that_is_none_is_refused(unit: Fraction, value: object) -> None:
    with pytest.raises(LiqscapeError):
        scale(unit).quantity(value)


@pytest.mark.parametrize("value", ["0", "-5", "0.01", "9" * 30, None, True])
def test_price_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(LiqscapeError):
        scale().price(value)


def test_open_interest_of_a_worth_is_divided_by_the_price_exactly_and_floored() -> None:
    into = Reading()

    scale().open_interest_of_value(into, 5, "124496030.810800", "75241.1")

    scale().open_interest_of_value(into, 6, "1", "3")

    assert into.events == [OpenInterest("venue:BTC", 5, 165_462_800_000), OpenInterest("venue:BTC", 6, 33_333_333)]


def test_open_interest_of_none_is_ignored_and_of_less_refused() -> None:
    into = Reading()

    scale().open_interest(into, 5, "0")

    assert into.ignored == {"open interest of 0": 1}
    with pytest.raises(Unreadable):
        scale().open_interest(into, 5, "-1")
    assert not into.events


def test_candle_whose_prices_contradict_each_other_is_refused() -> None:
    into = Reading()

    scale().candle(into, 60, 60, ("10", "12", "9", "11"), "1.5")

    assert into.events == [Candle("venue:BTC", 60, 120, 100, 120, 90, 110, 150_000_000)]
    for prices in (("10", "9", "9", "9"), ("10", "12", "11", "12"), ("0", "12", "0", "11")):
        with pytest.raises(Unreadable):
            scale().candle(into, 60, 60, prices, "1")
    with pytest.raises(Unreadable):
        scale().candle(into, 60, 60, ("10", "12", "9", "11"), "-1")


@pytest.mark.parametrize("value", ["5", 5.0, True, 0, -1, 2**61, None])
def test_time_is_a_whole_number_of_our_age(value: object) -> None:
    with pytest.raises(Unreadable):
        time_of(value)


@pytest.mark.parametrize("value", ["2026-11-21", "2026-11-21T00:00:00", "1969-12-31T00:00:00Z", 5, "x" * 50])
def test_time_of_text_states_its_zone_and_is_of_our_age(value: object) -> None:
    with pytest.raises(LiqscapeError):
        time_of_text(value)


@given(st.integers(10**15, 2 * 10**18))
def test_time_and_its_text_are_the_same_to_the_millisecond(time_ns: int) -> None:
    assert time_of_text(text_of_time(time_ns)) == time_ns // 10**6 * 10**6


def test_funding_is_floored_and_bounded() -> None:
    assert (funding_ppb("-0.00001234"), funding_ppb("1.3e-10")) == (-12_340, 0)
    with pytest.raises(Unreadable):
        funding_ppb("1.1")


def test_unit_of_a_venue_that_counts_quote_is_a_part_of_a_contract() -> None:
    inverse = listing("venue", "BTC", contract="inverse", contract_value=Fraction(10))

    assert quote_unit(inverse) == Fraction(1, 10)
    assert quote_unit(replace(inverse, unit=Fraction(1, 10))) == Fraction(1, 10)  # a table may say so itself
    assert quote_unit(listing("venue", "BTC")) == 1


def test_trade_is_in_the_units_of_the_instrument() -> None:
    into = Reading()

    scale(Fraction(1, 10)).trade(into, 7, "56168.0", 5580.0, TakerSide.BUY)

    assert into.events == [Trade("venue:BTC", 7, 561_680, 558 * 10**8, TakerSide.BUY)]


@pytest.mark.parametrize("value", [True, None, [], {}, b"1", float("nan")])
def test_what_is_no_number_is_refused_though_its_like_is_remembered(value: object) -> None:
    btc = scale()
    assert (btc.price("1"), btc.price(1), btc.price(1.0), btc.quantity("1")) == (10, 10, 10, 10**8)

    for read in (btc.price, btc.floored_price, btc.quantity):
        with pytest.raises(LiqscapeError):
            read(value)


def test_scales_of_other_ticks_and_units_remember_apart() -> None:
    coarse, fine = Scale(listing("venue", "BTC"), Fraction(1, 100)), Scale(listing("venue", "ETH", price_decimals=3))

    assert [
        (each.price("12"), each.floored_price("12.0009"), each.quantity("12")) for each in (coarse, fine, coarse)
    ] == [
        (120, 120, 12_000_000),
        (12_000, 12_000, 1_200_000_000),
        (120, 120, 12_000_000),
    ]
