"""What Gate tells of the past: candles, candles of the mark price, open interest, funding.

How far open interest reaches is UNVERIFIED, and so is whether its stamp is the start of a period; it is taken as the
instant. Funding reaches 180 days. No answer tells the venue's time: rows outside the span asked for are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.scale import funding_ppb
from liqscape.feeds.venues.wanted import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    from_seconds,
    most_rows,
    note_paid,
    put_ascending,
)

REST: Final = "https://api.gateio.ws/api/v4/futures"

FUNDING_HOURS: Final = 8


class GateHistory:
    """See VenueHistory.

    Args:
        listing: of the settlement.
        settle: usdt, usd1 or btc.
    """

    def __init__(self, listing: Listing, settle: str) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        self._base = f"{REST}/{settle}"
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 100, 10.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page, both ends of whose span are asked for."""
        self._pages.ask(from_ns, until_ns)
        first, last = from_ns // SECOND_NS, (until_ns - 1) // SECOND_NS
        span = {"from": str(first), "to": str(last)}
        if series.channel is Channel.OPEN_INTEREST:
            rows = -(-(until_ns - from_ns) // series.step_ns)
            span = {"from": str(first), "limit": str(min(rows, series.page)), "interval": "5m"}
            return Request(f"{self._base}/contract_stats", {"contract": self._name} | span)
        if series.channel is Channel.FUNDING:
            limit = {"limit": str(most_rows(series))}
            return Request(f"{self._base}/funding_rate", {"contract": self._name} | span | limit)
        name = f"mark_{self._name}" if series.channel is Channel.MARK else self._name
        return Request(f"{self._base}/candlesticks", {"contract": name, "interval": "1m"} | span)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        rows, first = orjson.loads(body), len(into.events)
        if isinstance(rows, dict):
            refuse(into, rows)
            return
        if series.channel is Channel.FUNDING:
            note_paid(
                rows,
                lambda row: (from_seconds(row["t"]), funding_ppb(row["r"])),
                self._pages.scale,
                FUNDING_HOURS,
                into,
            )
        elif series.channel is Channel.OPEN_INTEREST:
            read_rows(rows, lambda row: self._open_interest(row, into), into)
        else:
            read_rows(rows, lambda row: self._candle(row, series, into), into)
        put_ascending(into, first)

    def _open_interest(self, row: dict[str, Any], into: Reading) -> None:
        self._pages.open_interest(into, from_seconds(row["time"]), row["open_interest"])

    def _candle(self, row: dict[str, Any], series: PastSeries, into: Reading) -> None:
        volume = 0 if series.channel is Channel.MARK else row["v"]
        prices = (row["o"], row["h"], row["l"], row["c"])
        self._pages.candle(into, series, from_seconds(row["t"]), prices, volume)


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=2000),
    PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE_NS, page=2000),
    PastSeries(name="open interest 5m", channel=Channel.OPEN_INTEREST, step_ns=5 * MINUTE_NS, page=100),
    PastSeries(
        name="funding",
        channel=Channel.FUNDING,
        step_ns=FUNDING_HOURS * HOUR_NS,
        page=125,
        depth_ns=180 * DAY_NS,
    ),
)
