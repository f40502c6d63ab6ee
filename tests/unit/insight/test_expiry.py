"""Quarterly expiries: dates of the calendar, and how long it is to them.

Seen to fail when broken on purpose, one at a time: the last day taken where it is no Friday, the year not left, the
instant itself counted as past.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from liqscape.insight.expiry import hours_to_quarterly_expiry


@pytest.mark.parametrize(
    ("now", "expiry"),
    [
        ("2026-01-11 00:00", "2026-03-27 08:00"),
        ("2026-03-27 07:59", "2026-03-27 08:00"),
        ("2026-03-27 08:00", "2026-03-27 08:00"),
        ("2026-03-27 08:01", "2026-06-26 08:00"),
        ("2026-12-25 08:01", "2027-03-26 08:00"),
        ("2024-05-31 12:00", "2024-06-28 08:00"),
        ("2021-12-31 00:00", "2021-12-31 08:00"),
    ],
)
def test_next_expiry_is_the_last_friday_of_the_quarter(now: str, expiry: str) -> None:
    at, then = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, expiry))

    hours = hours_to_quarterly_expiry(int(at.timestamp()) * 10**9)

    assert hours == (then - at).total_seconds() / 3600
