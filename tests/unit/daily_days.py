"""Days of a daily report for tests."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Final

from liqscape.feeds.venues.cme import DailyContext, DailyRow, contexts_of

FRIDAY: Final = date(2026, 11, 20)
MONDAY: Final = date(2026, 11, 23)
TUESDAY: Final = date(2026, 11, 24)


def btc_days() -> tuple[DailyContext, ...]:
    """Return three days of 1,000, 1,500 and 1,200 BTC, settled at 60,000, 62,000 and 61,000; the last preliminary."""
    told = [(FRIDAY, 60_000, 200, True), (MONDAY, 62_000, 300, True), (TUESDAY, 61_000, 240, False)]
    return contexts_of(
        DailyRow(traded, "BTC", "2026-12", Fraction(settle), 7, contracts, is_final)
        for traded, settle, contracts, is_final in told
    )["BTC"]
