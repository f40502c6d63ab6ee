"""What Bitget tells of the past: candles and candles of the mark price, a month of minutes.

It keeps no open interest that it shows. Its paid funding is asked for by the number of a page, not by time, and is not
taken. The answer's requestTime settles which candles are final.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, Unreadable, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.scale import Scale
from liqscape.feeds.venues.wanted import DAY_NS, MINUTE_NS, from_ms, put_ascending

REST: Final = "https://api.bitget.com/api/v2/mix/market"


class BitgetHistory:
    """See VenueHistory.

    Args:
        listing: a linear perpetual.
        product: its product type.
    """

    def __init__(self, listing: Listing, product: str) -> None:
        self._scale = Scale(listing)
        self._asked = {"symbol": listing.name, "productType": product, "granularity": "1m"}
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 10, 1.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page."""
        path = "history-mark-candles" if series.channel is Channel.MARK else "history-candles"
        span = {"startTime": str(from_ns // 1_000_000), "endTime": str(until_ns // 1_000_000 - 1)}
        return Request(f"{REST}/{path}", self._asked | span | {"limit": str(series.page)})

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        said = orjson.loads(body)
        if said["code"] != "00000":
            refuse(into, f"{said['code']} {said.get('msg')}")
            return
        now_ns, first = from_ms(said["requestTime"]), len(into.events)
        read_rows(said["data"], lambda row: self._candle(row, series, now_ns, into), into)
        put_ascending(into, first)

    def _candle(self, row: list[Any], series: PastSeries, now_ns: int, into: Reading) -> None:
        if len(row) < _FIELDS:
            raise Unreadable("short candle", row)
        open_ns = from_ms(row[0])
        if open_ns + series.step_ns > now_ns:
            into.ignored["unfinished candle"] += 1
            return
        volume = 0 if series.channel is Channel.MARK else row[5]
        self._scale.candle(into, open_ns, series.step_ns, row[1:5], volume)


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=200, depth_ns=30 * DAY_NS),
    PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE_NS, page=200, depth_ns=30 * DAY_NS),
)

_FIELDS: Final = 6
