"""What KuCoin's futures tell of the past: candles, open interest, funding.

Open interest is that of the unified account's host, in lots; its reach and its stamp are UNVERIFIED, the latter is
taken as the instant. That volumes of candles are lots is shown by recorded candles of the socket, where that of an
inverse contract equals its turnover. Rows outside the span asked for are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, Unreadable, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.scale import funding_ppb
from liqscape.feeds.venues.wanted import HOUR_NS, MINUTE_NS, from_ms, note_paid, put_ascending

FUTURES: Final = "https://api-futures.kucoin.com/api/v1"

UNIFIED: Final = "https://api.kucoin.com/api/ua/v1"

FUNDING_HOURS: Final = 8


class KucoinHistory:
    """See VenueHistory.

    Args:
        listing: a perpetual.
    """

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._asked = {"symbol": listing.name}
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 1000, 30.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page."""
        self._pages.ask(from_ns, until_ns)
        first, last = str(from_ns // 1_000_000), str(until_ns // 1_000_000 - 1)
        if series.channel is Channel.OPEN_INTEREST:
            span = {"interval": "5min", "startAt": first, "endAt": last, "pageSize": str(series.page)}
            return Request(f"{UNIFIED}/market/open-interest", self._asked | span)
        if series.channel is Channel.FUNDING:
            return Request(f"{FUTURES}/contract/funding-rates", self._asked | {"from": first, "to": last})
        return Request(f"{FUTURES}/kline/query", self._asked | {"granularity": "1", "from": first, "to": last})

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        said, first = orjson.loads(body), len(into.events)
        if said["code"] != "200000":
            refuse(into, f"{said['code']} {said.get('msg')}")
            return
        rows = said["data"]
        if series.channel is Channel.OPEN_INTEREST:
            read_rows(rows, lambda row: self._open_interest(row, into), into)
        elif series.channel is Channel.FUNDING:
            note_paid(rows, _paid, self._pages.scale, FUNDING_HOURS, into)
        else:
            read_rows(rows, lambda row: self._candle(row, series, into), into)
        put_ascending(into, first)

    def _open_interest(self, row: dict[str, Any], into: Reading) -> None:
        self._pages.open_interest(into, from_ms(row["ts"]), row["openInterest"])

    def _candle(self, row: list[Any], series: PastSeries, into: Reading) -> None:
        if len(row) < _FIELDS:
            raise Unreadable("short candle", row)
        self._pages.candle(into, series, from_ms(row[0]), row[1:5], row[5])


def _paid(row: dict[str, Any]) -> tuple[int, int]:
    return from_ms(row["timepoint"]), funding_ppb(row["fundingRate"])


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=500, weight=3),
    PastSeries(name="open interest 5m", channel=Channel.OPEN_INTEREST, step_ns=5 * MINUTE_NS, page=200, weight=20),
    PastSeries(name="funding", channel=Channel.FUNDING, step_ns=FUNDING_HOURS * HOUR_NS, page=12, weight=5),
)

_FIELDS: Final = 6
