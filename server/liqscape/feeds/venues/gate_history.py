"""What Gate tells of the past: candles, candles of the mark price, open interest, funding.

How far open interest reaches is UNVERIFIED, and so is whether its stamp is the start of a period; it is taken as the
instant. Funding reaches 180 days. No answer tells the venue's time: a row is final because nothing is asked for that
is not over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.events import OpenInterest
from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.scale import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    add_fundings,
    from_seconds,
    put_ascending,
    rate_ppb,
    scale_of,
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
        self._scale = scale_of(listing)
        self._name = listing.name
        self._base = f"{REST}/{settle}"
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 100, 10.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page, both ends of whose span are asked for."""
        first, last = from_ns // SECOND_NS, (until_ns - 1) // SECOND_NS
        span = {"from": str(first), "to": str(last)}
        if series.channel is Channel.OPEN_INTEREST:
            rows = -(-(until_ns - from_ns) // series.step_ns)
            span = {"from": str(first), "limit": str(min(rows, series.page)), "interval": "5m"}
            return Request(f"{self._base}/contract_stats", {"contract": self._name} | span)
        if series.channel is Channel.FUNDING:
            return Request(f"{self._base}/funding_rate", {"contract": self._name} | span | {"limit": str(series.page)})
        name = f"mark_{self._name}" if series.channel is Channel.MARK else self._name
        return Request(f"{self._base}/candlesticks", {"contract": name, "interval": "1m"} | span)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        rows, first = orjson.loads(body), len(into.events)
        if isinstance(rows, dict):
            into.refused.append(str(rows))
            return
        if series.channel is Channel.FUNDING:
            add_fundings(
                rows, lambda row: (from_seconds(row["t"]), rate_ppb(row["r"])), self._scale, FUNDING_HOURS, into
            )
        elif series.channel is Channel.OPEN_INTEREST:
            read_rows(rows, lambda row: self._open_interest(row, into), into)
        else:
            read_rows(rows, lambda row: self._candle(row, series, into), into)
        put_ascending(into, first)

    def _open_interest(self, row: dict[str, Any], into: Reading) -> None:
        quantity = self._scale.open_interest(row["open_interest"])
        into.events.append(OpenInterest(self._scale.instrument_id, from_seconds(row["time"]), quantity))

    def _candle(self, row: dict[str, Any], series: PastSeries, into: Reading) -> None:
        volume = 0 if series.channel is Channel.MARK else row["v"]
        prices = (row["o"], row["h"], row["l"], row["c"])
        into.events.append(self._scale.candle(from_seconds(row["t"]), series.step_ns, prices, volume))


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=2000),
    PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE_NS, page=2000),
    PastSeries(name="open interest 5m", channel=Channel.OPEN_INTEREST, step_ns=5 * MINUTE_NS, page=100),
    PastSeries(
        name="funding",
        channel=Channel.FUNDING,
        step_ns=FUNDING_HOURS * HOUR_NS,
        page=1000,
        depth_ns=180 * DAY_NS,
    ),
)
