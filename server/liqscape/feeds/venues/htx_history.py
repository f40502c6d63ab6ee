"""What HTX tells of the past: candles, and the latest 200 hours of open interest.

Volumes of candles count both sides, as trades do (see htx.py), and are halved. Candles of the mark price and paid
funding are asked for by number, not by time, and are not taken. Of open interest there is one page, of which what lies
outside the span asked for is left out; its stamp is taken as the instant (UNVERIFIED). The answer's ts settles which
candles are final.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.scale import Scale
from liqscape.feeds.venues.wanted import HOUR_NS, MINUTE_NS, SECOND_NS, from_ms, from_seconds, put_ascending

REST: Final = "https://api.hbdm.com"

SIDES: Final = 2

OPEN_INTEREST_ROWS: Final = 200
"""What the venue keeps of each period."""


class HtxHistory:
    """See VenueHistory.

    Args:
        listing: of the kind.
        kind: linear-swap or swap.
    """

    def __init__(self, listing: Listing, kind: str) -> None:
        self._pages = Pages(listing)
        self._traded = Scale(listing, listing.unit / SIDES)
        self._asked = {"contract_code": listing.name}
        self._kind = kind
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 60, 3.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page."""
        self._pages.ask(from_ns, until_ns)
        if series.channel is Channel.OPEN_INTEREST:
            asked = {"period": "60min", "amount_type": "1", "size": str(OPEN_INTEREST_ROWS)}
            return Request(f"{REST}/{self._kind}-api/v1/swap_his_open_interest", self._asked | asked)
        span = {"from": str(from_ns // SECOND_NS), "to": str((until_ns - 1) // SECOND_NS)}
        return Request(f"{REST}/{self._kind}-ex/market/history/kline", self._asked | {"period": "1min"} | span)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        said, first = orjson.loads(body), len(into.events)
        if said["status"] != "ok":
            refuse(into, said)
            return
        if series.channel is Channel.OPEN_INTEREST:
            read_rows(said["data"]["tick"], lambda row: self._open_interest(row, into), into)
        else:
            now_ns = from_ms(said["ts"])
            read_rows(said["data"], lambda row: self._candle(row, series, now_ns, into), into)
        put_ascending(into, first)

    def _open_interest(self, row: dict[str, Any], into: Reading) -> None:
        self._pages.open_interest(into, from_ms(row["ts"]), row["volume"])

    def _candle(self, row: dict[str, Any], series: PastSeries, now_ns: int, into: Reading) -> None:
        open_ns = from_seconds(row["id"])
        if open_ns + series.step_ns > now_ns:
            into.ignored["unfinished candle"] += 1
            return
        prices = (row["open"], row["high"], row["low"], row["close"])
        self._traded.candle(into, open_ns, series.step_ns, prices, row["vol"])


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=2000),
    PastSeries(
        name="open interest 1h",
        channel=Channel.OPEN_INTEREST,
        step_ns=HOUR_NS,
        page=OPEN_INTEREST_ROWS,
        depth_ns=OPEN_INTEREST_ROWS * HOUR_NS,
    ),
)
