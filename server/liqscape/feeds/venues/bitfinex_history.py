"""What Bitfinex tells of the past: candles, and open interest from the history of a derivative's status.

The reach of the latter and the distance of its rows are UNVERIFIED. A candle is [time, open, close, high, low, volume].
Rows outside the span asked for are left out. 30 requests a minute are allowed for candles, and half of that is taken
for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.wanted import MINUTE_NS, from_ms, put_ascending

REST: Final = "https://api-pub.bitfinex.com/v2"


class BitfinexHistory:
    """See VenueHistory.

    Args:
        listing: a perpetual.
    """

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 15, 60.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page."""
        self._pages.ask(from_ns, until_ns)
        is_candles = series.channel is Channel.TRADES
        path = f"candles/trade:1m:{self._name}/hist" if is_candles else f"status/deriv/{self._name}/hist"
        span = {"start": str(from_ns // 1_000_000), "end": str(until_ns // 1_000_000 - 1)}
        return Request(f"{REST}/{path}", span | {"limit": str(series.page), "sort": "1"})

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        rows, first = orjson.loads(body), len(into.events)
        if rows and rows[0] == "error":
            refuse(into, rows)
            return
        if series.channel is Channel.TRADES:
            read_rows(rows, lambda row: self._candle(row, series, into), into)
        else:
            read_rows(rows, lambda row: self._status(row, into), into)
        put_ascending(into, first)

    def _candle(self, row: list[Any], series: PastSeries, into: Reading) -> None:
        time_ms, opened, closed, high, low, volume = row
        self._pages.candle(into, series, from_ms(time_ms), (opened, high, low, closed), volume)

    def _status(self, row: list[Any], into: Reading) -> None:
        self._pages.open_interest(into, from_ms(row[0]), row[_INTEREST])


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=10_000),
    PastSeries(name="open interest", channel=Channel.OPEN_INTEREST, step_ns=MINUTE_NS, page=5_000),
)

_INTEREST: Final = 17
"""Place in a row, as on the socket."""
