"""Rows of the past, and what was asked for."""

from __future__ import annotations

from liqscape.events import Candle, Funding, OpenInterest
from liqscape.feeds.venues.dialect import Channel, Reading
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.pages import HOUR_NS, Pages
from tests.unit.feeds.venues.captured import listing

HOURLY = PastSeries(name="candles 1h", channel=Channel.TRADES, step_ns=HOUR_NS, page=10)

PRICES = ("10", "12", "9", "11")


def pages(*spans: tuple[int, int]) -> Pages:
    made = Pages(listing("venue", "BTC"))
    for from_hour, until_hour in spans:
        made.ask(from_hour * HOUR_NS, until_hour * HOUR_NS)
    return made


def test_rows_outside_everything_asked_for_are_counted_and_left_out() -> None:
    into, made = Reading(), pages((5, 7))

    for hour in (4, 5, 6, 7):
        made.candle(into, HOURLY, hour * HOUR_NS, PRICES, "1")
        made.open_interest(into, hour * HOUR_NS, "3")

    assert [e.open_time_ns // HOUR_NS for e in into.events if isinstance(e, Candle)] == [5, 6]
    assert [e.time_ns // HOUR_NS for e in into.events if isinstance(e, OpenInterest)] == [5, 6]
    assert into.ignored == {"outside the span asked for": 4}


def test_payment_belongs_to_the_span_of_its_instant() -> None:
    into, made = Reading(), pages((5, 7))

    for began in (3, 4, 5, 6):
        made.funding(into, began * HOUR_NS, "0.0001", 1)

    assert into.events == [Funding("venue:BTC", hour * HOUR_NS, 100_000, 1) for hour in (4, 5)]


def test_page_may_come_after_another_was_asked_for() -> None:
    into, made = Reading(), pages((5, 7), (20, 22))

    made.candle(into, HOURLY, 5 * HOUR_NS, PRICES, "1")
    made.candle(into, HOURLY, 21 * HOUR_NS, PRICES, "1")

    assert len(into.events) == 2


def test_nothing_is_in_a_span_before_one_is_asked_for() -> None:
    into = Reading()

    pages().candle(into, HOURLY, 5 * HOUR_NS, PRICES, "1")

    assert into.ignored == {"outside the span asked for": 1}
