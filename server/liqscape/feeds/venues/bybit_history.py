"""What Bybit v5 tells of the past: candles, candles of the mark price, open interest, funding.

Open interest reaches to the listing. It counts both sides (see bybit.py); its stamp is taken as the instant (that of a
period's end or start is UNVERIFIED). Answers come newest first and tell the venue's time, which settles what is final.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, Unreadable, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.scale import Scale, funding_ppb
from liqscape.feeds.venues.wanted import (
    HOUR_NS,
    MINUTE_NS,
    from_ms,
    most_rows,
    note_both_sides,
    note_paid,
    put_ascending,
)

REST: Final = "https://api.bybit.com/v5/market"

FUNDING_HOURS: Final = 8


class BybitHistory:
    """See VenueHistory.

    Args:
        listing: of the category.
        category: linear or inverse.
    """

    def __init__(self, listing: Listing, category: str) -> None:
        self._scale = Scale(listing)
        self._asked = {"category": category, "symbol": listing.name}
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 300, 5.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page."""
        first, last = str(from_ns // 1_000_000), str(until_ns // 1_000_000 - 1)
        path, period = _PATHS[series.channel]
        return Request(
            f"{REST}/{path}",
            {**self._asked, **period, _FIRST.get(path, "start"): first, _LAST.get(path, "end"): last}
            | {"limit": str(most_rows(series))},
        )

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        said = orjson.loads(body)
        if said["retCode"] != 0:
            refuse(into, f"{said['retCode']} {said.get('retMsg')}")
            return
        rows = said["result"]["list"]
        first = len(into.events)
        if series.channel is Channel.OPEN_INTEREST:
            read_rows(rows, lambda row: self._open_interest(row, into), into)
        elif series.channel is Channel.FUNDING:
            note_paid(
                rows,
                lambda row: (from_ms(row["fundingRateTimestamp"]), funding_ppb(row["fundingRate"])),
                self._scale,
                FUNDING_HOURS,
                into,
            )
        else:
            now_ns = from_ms(said["time"])
            read_rows(rows, lambda row: self._candle(row, series, now_ns, into), into)
        put_ascending(into, first)

    def _open_interest(self, row: dict[str, Any], into: Reading) -> None:
        time_ns, single = from_ms(row["timestamp"]), row.get("singleOpenInterest")
        if single:
            self._scale.open_interest(into, time_ns, single)
        else:
            note_both_sides(self._scale, into, time_ns, row["openInterest"])

    def _candle(self, row: list[Any], series: PastSeries, now_ns: int, into: Reading) -> None:
        if len(row) < _CANDLE_FIELDS:
            raise Unreadable("short candle", row)
        open_ns = from_ms(row[0])
        if open_ns + series.step_ns > now_ns:
            into.ignored["unfinished candle"] += 1
            return
        volume = row[5] if series.channel is Channel.TRADES else 0
        self._scale.candle(into, open_ns, series.step_ns, row[1:5], volume)


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=1000),
    PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE_NS, page=1000),
    PastSeries(name="open interest 5m", channel=Channel.OPEN_INTEREST, step_ns=5 * MINUTE_NS, page=200),
    PastSeries(name="funding", channel=Channel.FUNDING, step_ns=FUNDING_HOURS * HOUR_NS, page=25),
)

_PATHS: Final = {
    Channel.TRADES: ("kline", {"interval": "1"}),
    Channel.MARK: ("mark-price-kline", {"interval": "1"}),
    Channel.OPEN_INTEREST: ("open-interest", {"intervalTime": "5min"}),
    Channel.FUNDING: ("funding/history", {}),
}

_FIRST: Final = {"open-interest": "startTime", "funding/history": "startTime"}

_LAST: Final = {"open-interest": "endTime", "funding/history": "endTime"}

_CANDLE_FIELDS: Final = 5
