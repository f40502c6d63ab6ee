"""Times, payments of funding, contract sizes and prints told again, as venue files share them."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from liqscape.events import Funding, OpenInterest
from liqscape.feeds.venues.bitfinex import BITFINEX
from liqscape.feeds.venues.bitget import BITGET
from liqscape.feeds.venues.bybit import BYBIT_LINEAR
from liqscape.feeds.venues.dialect import Channel, Reading, Unreadable, Venue
from liqscape.feeds.venues.gate import GATE_USDT
from liqscape.feeds.venues.htx import HTX_LINEAR
from liqscape.feeds.venues.kucoin import KUCOIN
from liqscape.feeds.venues.mexc import MEXC
from liqscape.feeds.venues.okx import OKX
from liqscape.feeds.venues.repeats import REMEMBERED, Repeats
from liqscape.feeds.venues.scale import Scale
from liqscape.feeds.venues.wanted import (
    HOUR_NS,
    Wanted,
    from_ms,
    from_ns,
    from_seconds,
    hours_of,
    note_both_sides,
    note_paid,
    note_told_twice,
    quantity_of_worth,
)
from tests.unit.feeds.venues.captured import listing

START_NS = 1_795_219_200 * 10**9

LINEAR = Scale(listing("x", "BTC", unit=Fraction(1, 100)))


def test_times_are_read_as_numbers_and_as_text() -> None:
    told = [from_ms(1795219200123), from_ms("1795219200123"), from_ms(1795219200123.0)]

    assert told == [START_NS + 123_000_000] * 3
    assert (from_seconds("1795219200"), from_ns(START_NS + 7)) == (START_NS, START_NS + 7)


@pytest.mark.parametrize("value", [None, True, "", "x", "-1", "1e12", "٣", 1.5, -1, 0, 10**15, "9" * 30, [], 2**70])
def test_what_is_no_time_of_this_century_is_unreadable(value: object) -> None:
    with pytest.raises(Unreadable):
        from_ms(value)


@pytest.mark.parametrize(("count", "hours"), [(-5, 1), (0, 1), (7_200, 2), (10**9, 24)])
def test_hours_between_payments_are_bounded(count: int, hours: int) -> None:
    assert hours_of(count, 3600) == hours


def test_payments_tell_the_intervals_before_them() -> None:
    into = Reading()
    rows = [(START_NS + 12 * HOUR_NS, 3), (START_NS, 1), "bad", (START_NS + 4 * HOUR_NS + 50, 2)]

    note_paid(rows, lambda row: (row[0] + 0, row[1]), LINEAR, 8, into)

    assert into.events == [
        Funding("x:BTC", START_NS - 4 * HOUR_NS, 1, 4),
        Funding("x:BTC", START_NS + 50, 2, 4),
        Funding("x:BTC", START_NS + 4 * HOUR_NS, 3, 8),
    ]
    assert len(into.rejected) == 1


def test_single_payment_is_for_the_usual_hours() -> None:
    into = Reading()

    note_paid([(START_NS, 1)], lambda row: row, LINEAR, 8, into)

    assert into.events == [Funding("x:BTC", START_NS - 8 * HOUR_NS, 1, 8)]


def test_open_interest_told_twice_shows_a_wrong_contract_size() -> None:
    into = Reading()

    note_told_twice(LINEAR, into, START_NS, "2800476", "28005")
    with pytest.raises(Unreadable, match="another contract size"):
        note_told_twice(LINEAR, into, START_NS, "2800476", "280047.6")

    assert into.events == [OpenInterest("x:BTC", START_NS, 28_005 * 10**8)]


def test_open_interest_of_both_sides_is_halved_after_it_is_counted() -> None:
    into = Reading()

    note_both_sides(LINEAR, into, START_NS, "3")

    assert into.events == [OpenInterest("x:BTC", START_NS, 1_500_000)]


def test_quantity_of_a_worth_is_the_nearest() -> None:
    assert quantity_of_worth("143.330431857868", "0.500280739469") == 28_650_000_000
    for amount, price in (("1", "0"), ("0", "1"), ("-1", "1"), ("1", "-1")):
        with pytest.raises(Unreadable):
            quantity_of_worth(amount, price)


def test_names_not_wanted_are_counted_and_what_is_no_name_is_unreadable() -> None:
    into, wanted = Reading(), Wanted([listing("x", "BTC")])

    assert wanted.names == ("BTC",)
    assert wanted.find("BTC", into) is not None
    assert wanted.find("ETH", into) is None
    with pytest.raises(Unreadable):
        wanted.find(["BTC"], into)
    assert into.ignored == {"other instrument": 1}


def test_prints_are_new_once_and_again_after_many_others() -> None:
    repeats = Repeats()

    first = [repeats.is_new(0), repeats.is_new(0)]
    others = [repeats.is_new(number) for number in range(1, REMEMBERED + 1)]

    assert first == [True, False]
    assert all(others)
    assert repeats.is_new(0)
    assert not repeats.is_new(REMEMBERED)


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        (BYBIT_LINEAR, "X{}USDT"),
        (OKX, "X{}-USDT-SWAP"),
        (BITGET, "X{}USDT"),
        (GATE_USDT, "X{}_USDT"),
        (HTX_LINEAR, "X{}-USDT"),
        (KUCOIN, "X{}USDTM"),
        (MEXC, "X{}_USDT"),
        (BITFINEX, "tX{}F0:USTF0"),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_trades_of_every_instrument_are_heard_on_a_connection_that_says_so(venue: Venue, name: str) -> None:
    names = [name.format(number) for number in range(330)]

    endpoints = venue.dialect([listing(venue.instruments_of, each) for each in names]).endpoints

    for each in names[::23]:
        on = [e for e in endpoints if Channel.TRADES in e.channels and any(_asks(text, each) for text in e.subscribe)]
        assert len(on) == 1
        assert not on[0].about or f"{venue.instruments_of}:{each}" in on[0].about
        assert all(e.about == () for e in endpoints if Channel.LIQUIDATIONS in e.channels and venue is not BYBIT_LINEAR)


def _asks(text: str, name: str) -> bool:
    """Return whether a subscription names an instrument, and not one whose name only begins alike."""
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9-])", text) is not None


@pytest.mark.parametrize(("venue", "limit"), [(BYBIT_LINEAR, 200), (OKX, 100), (GATE_USDT, 1000)])
def test_page_of_funding_holds_payments_of_every_hour_within_the_limit_of_an_answer(venue: Venue, limit: int) -> None:
    assert venue.history is not None
    past = venue.history(listing(venue.instruments_of, "A"))
    (funding,) = [series for series in past.series if series.channel is Channel.FUNDING]

    asked = past.request(funding, START_NS, START_NS + funding.page * funding.step_ns)

    assert funding.page * funding.step_ns // HOUR_NS <= int(asked.query["limit"]) <= limit
