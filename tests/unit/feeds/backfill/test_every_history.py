"""What every venue's history keeps to, so that a backfill can ask it: budgets, pages, and answers that are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from liqscape.feeds.backfill.rows import PageUnreadable, read_page
from liqscape.feeds.backfill.spans import DAY_NS, MINUTE_NS, Span, pages, wanted_spans
from liqscape.feeds.venues.history import PastSeries, VenueHistory
from liqscape.feeds.venues.registry import VENUES, listings

NOW = 29_900_000 * MINUTE_NS
NO_PAGES = (
    b"",
    b"<html>busy</html>",
    b"null",
    b"[]",
    b"{}",
    b"[[]]",
    b"[{}]",
    b"[null, 3, []]",
    b'{"data": []}',
    b'{"data": null, "code": "0"}',
    b'{"result": {"list": [[], {}, null]}, "retCode": 0}',
    b'{"result": {"status": "no_data"}}',
    b'{"error": {"code": 10028, "message": "too_many_requests"}}',
    b'{"code": "50011", "msg": "Too Many Requests", "data": []}',
    b'"\xff"',
    b"[" * 900,
)


WITHOUT_BOUNDS = ("kraken funding", "htx-coin open interest 1h", "htx-linear open interest 1h")
"""Series that a venue tells whole, whatever is asked."""


def histories() -> Iterator[tuple[str, VenueHistory]]:
    found = listings(VENUES.values(), None)
    for name, venue in VENUES.items():
        for listing in found.get(name, ()) if venue.history is not None else ():
            assert venue.history is not None
            yield f"{name} {listing.name}", venue.history(listing)


def series_of_each_kind() -> dict[str, tuple[VenueHistory, PastSeries]]:
    """Return the series of the first listing of each venue, by name."""
    found: dict[str, tuple[VenueHistory, PastSeries]] = {}
    for name, history in histories():
        for series in history.series:
            found.setdefault(f"{name.partition(' ')[0]} {series.name}", (history, series))
    return found


KINDS = series_of_each_kind()


def test_every_series_draws_on_a_budget_that_holds_a_request_of_it() -> None:
    for name, history in histories():
        budgets = {budget.name: budget for budget in history.budgets}
        assert len({series.name for series in history.series}) == len(history.series), name
        for series in history.series:
            assert budgets[series.budget].weight >= series.weight > 0, (name, series.name)
            assert series.step_ns % MINUTE_NS == 0, (name, series.name)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_pages_of_a_year_are_asked_for_one_request_each(kind: str) -> None:
    history, series = KINDS[kind]
    wanted = wanted_spans((series,), NOW - 365 * DAY_NS, NOW)[series]

    cut = pages([wanted], series)
    first, last = (history.request(series, page.from_ns, page.until_ns) for page in (cut[0], cut[-1]))

    assert all(page.until_ns - page.from_ns <= series.page * series.step_ns for page in cut)
    assert first.url.startswith("https://")
    differ = (first.query, first.json) != (last.query, last.json)
    assert differ == (len(cut) > 1 and kind not in WITHOUT_BOUNDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_answer_that_is_no_page_is_empty_or_unreadable_and_nothing_else(kind: str) -> None:
    history, series = KINDS[kind]

    for body in NO_PAGES:
        try:
            rows = read_page(history, series, body, Span(NOW - DAY_NS, NOW))
        except PageUnreadable:
            continue
        assert rows.events == (), body
