"""A market beside the map: its age, its share, and what the map explains of both."""

from __future__ import annotations

from liqscape.grid.market_context import WARNING, market_context
from liqscape.grid.updates import Coverage
from tests.unit.daily_days import btc_days

DAY = btc_days()[-1]
"""1,200 BTC, one-sided: 2,400 of both sides."""


def coverage(live: int, uncovered: int) -> Coverage:
    """Return that of an instrument with so many BTC on each side."""
    lots = 10**5
    return Coverage("BTC", "binance", "binance:BTCUSDT", 1, (live * lots,) * 2, (uncovered * lots,) * 2, 0, 0, 5)


def test_shares_are_of_the_open_interest_of_the_map_and_of_the_market_together() -> None:
    found = market_context(DAY, [coverage(1500, 300), coverage(600, 0)], DAY.as_of_ns + 5)

    assert (found.venue, found.day, found.age_ns) == ("cme", DAY, 5)
    assert found.open_interest_share == 1200 / 3600
    assert found.covered_share == 2100 / 3600
    assert found.warning == ""


def test_a_map_that_explains_less_than_half_of_both_says_so() -> None:
    half, less = (market_context(DAY, [coverage(live, 1200 - live)], DAY.as_of_ns) for live in (1200, 1199))

    assert (half.covered_share, half.warning) == (0.5, "")
    assert (
        less.warning
        == WARNING
        == ("the map explains less than 50% of the open interest of its venues and CME together")
    )


def test_before_open_interest_is_known_there_is_no_share() -> None:
    found = market_context(DAY, [coverage(0, 0)], DAY.as_of_ns)

    assert (found.open_interest_share, found.covered_share, found.warning) == (None, None, "")


def test_a_report_that_came_before_the_end_of_its_day_is_not_of_the_future() -> None:
    assert market_context(DAY, [], DAY.as_of_ns - 1).age_ns == 0
