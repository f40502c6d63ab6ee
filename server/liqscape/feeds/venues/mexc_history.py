"""What MEXC tells of the past: candles, candles of the fair price.

It keeps no open interest that it shows; paid funding is asked for by the number of a page, not by time, and is not
taken. Answers are columns. Rows outside the span asked for are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.wanted import MINUTE_NS, SECOND_NS, from_seconds, put_ascending

REST: Final = "https://contract.mexc.com/api/v1/contract"


class MexcHistory:
    """See VenueHistory.

    Args:
        listing: a perpetual.
    """

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 10, 2.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page."""
        self._pages.ask(from_ns, until_ns)
        path = "kline/fair_price" if series.channel is Channel.MARK else "kline"
        span = {"start": str(from_ns // SECOND_NS), "end": str((until_ns - 1) // SECOND_NS)}
        return Request(f"{REST}/{path}/{self._name}", {"interval": "Min1"} | span)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        said, first = orjson.loads(body), len(into.events)
        if said["success"] is not True:
            refuse(into, f"{said.get('code')} {said.get('message')}")
            return
        columns = [said["data"][name] for name in ("time", "open", "high", "low", "close")]
        volumes = [0] * len(columns[0]) if series.channel is Channel.MARK else said["data"]["vol"]
        rows = zip(*columns, volumes, strict=True)
        read_rows(rows, lambda row: self._candle(row, series, into), into)
        put_ascending(into, first)

    def _candle(self, row: tuple[Any, ...], series: PastSeries, into: Reading) -> None:
        self._pages.candle(into, series, from_seconds(row[0]), row[1:5], row[5])


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=2000),
    PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE_NS, page=2000),
)
