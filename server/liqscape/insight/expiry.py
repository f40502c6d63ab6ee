"""When dated futures of crypto venues expire: the last Friday of a quarter, 08:00 UTC. Pure.

Around it positions are closed and rolled for reasons that no perpetual shows, so a map says less.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Final

QUARTER_MONTHS: Final = (3, 6, 9, 12)
EXPIRY_HOUR: Final = 8
"""UTC. UNVERIFIED: common knowledge of Binance, OKX, Bybit and Deribit. CME has an hour of its own."""


def hours_to_quarterly_expiry(unix_ns: int) -> float:
    """Return how long it is to the next expiry, hours; 0 at the instant itself."""
    now = datetime.fromtimestamp(unix_ns // 10**9, UTC)
    coming = [_expiry(year, month) for year in (now.year, now.year + 1) for month in QUARTER_MONTHS]
    return min((at - now) / timedelta(hours=1) for at in coming if at >= now)


def _expiry(year: int, month: int) -> datetime:
    last = date(year, month, calendar.monthrange(year, month)[1])
    friday = last - timedelta(days=(last.weekday() - calendar.FRIDAY) % 7)
    return datetime(friday.year, friday.month, friday.day, EXPIRY_HOUR, tzinfo=UTC)
