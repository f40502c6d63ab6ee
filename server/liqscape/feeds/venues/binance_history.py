"""What Binance USD-M and COIN-M tell of the past, and Aster, which answers as the former does.

Sources: the vendor's derivatives SDKs of October 2026 and its notice of 2026-06-10: one pool of weight for both hosts,
of which each takes a quarter here. Candles are arrays: open ms, open, high, low, close, volume, close ms, quote volume,
trades, taker buy volume, ...; volume is in coins, on COIN-M in contracts. Open interest is kept for a month, stamped
with the end of its period, and COIN-M's is asked for by pair. An answer does not tell the venue's time: whoever asks
must ask for what is over. That Aster keeps no open interest is UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from liqscape.events import Candle, Funding, OpenInterest
from liqscape.feeds.venues.dialect import Budget, Channel, Listing, Reading, Request, Unreadable, read_rows
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.numbers import exact_quantity, floored, floored_quantity

MS: Final = 1_000_000
MINUTE_NS: Final = 60_000 * MS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS

FUNDING_HOURS: Final = 8
"""Between payments of every large pair."""

OPEN_INTEREST_DEPTH_NS: Final = 29 * DAY_NS
"""The venue keeps 30 days and refuses a request that begins before: a day is left for its clock and ours."""

_CANDLE_FIELDS: Final = 10

CANDLES: Final = PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=1000, weight=5)
MARKS: Final = PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE_NS, page=1000, weight=5)
OPEN_INTEREST: Final = PastSeries(
    name="open interest 5m",
    channel=Channel.OPEN_INTEREST,
    step_ns=5 * MINUTE_NS,
    page=500,
    depth_ns=OPEN_INTEREST_DEPTH_NS,
    budget="data",
)
FUNDING: Final = PastSeries(
    name="funding", channel=Channel.FUNDING, step_ns=FUNDING_HOURS * HOUR_NS, page=1000, budget="funding"
)


@dataclass(frozen=True, slots=True)
class Host:
    """Where one of the three is asked.

    Attributes:
        rest: address and path above klines and fundingRate.
        data: the same above openInterestHist; None: it keeps none.
        by_pair: whether open interest is asked for by pair, not by symbol.
    """

    rest: str
    data: str | None
    by_pair: bool = False


USDM: Final = Host("https://fapi.binance.com/fapi/v1", "https://fapi.binance.com/futures/data")
COINM: Final = Host("https://dapi.binance.com/dapi/v1", "https://dapi.binance.com/futures/data", by_pair=True)
ASTER: Final = Host("https://fapi.asterdex.com/fapi/v3", None)


class BinanceHistory:
    """See VenueHistory.

    Args:
        listing: of the host.
        host: one of the three.
    """

    def __init__(self, listing: Listing, host: Host) -> None:
        self._listing = listing
        self._host = host
        kept = (CANDLES, MARKS, OPEN_INTEREST, FUNDING)
        self.series: Sequence[PastSeries] = tuple(s for s in kept if s is not OPEN_INTEREST or host.data is not None)
        self.budgets: Sequence[Budget] = (
            Budget("history", 600, 60.0),  # of 2,400, beside the live polls and the other host
            Budget("data", 250, 300.0),  # of 1,000
            Budget("funding", 125, 300.0),  # of 500
        )

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page; its bounds are inclusive at the venue."""
        span = {"startTime": str(from_ns // MS), "endTime": str(until_ns // MS - 1), "limit": str(series.page)}
        name = self._listing.name
        if series.channel is Channel.OPEN_INTEREST:
            whose = (
                {"pair": name.partition("_")[0], "contractType": "PERPETUAL"}
                if self._host.by_pair
                else {"symbol": name}
            )
            return Request(f"{self._host.data}/openInterestHist", {**whose, "period": "5m", **span})
        if series.channel is Channel.FUNDING:
            return Request(f"{self._host.rest}/fundingRate", {"symbol": name, **span})
        path = "klines" if series.channel is Channel.TRADES else "markPriceKlines"
        return Request(f"{self._host.rest}/{path}", {"symbol": name, "interval": "1m", **span})

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        said = orjson.loads(body)
        if isinstance(said, dict):
            into.refused.append(f"{said['code']} {said.get('msg')}")
            return
        if not isinstance(said, list):
            raise Unreadable("unknown answer", said)
        if series.channel is Channel.OPEN_INTEREST:
            read_rows(said, lambda row: self._open_interest(row, into), into)
        elif series.channel is Channel.FUNDING:
            read_rows(said, lambda row: self._funding(row, into), into)
        else:
            read_rows(said, lambda row: self._candle(row, series, into), into)

    def _candle(self, row: Sequence[Any], series: PastSeries, into: Reading) -> None:
        if len(row) < _CANDLE_FIELDS:
            raise Unreadable("short candle", row)
        decimals = self._listing.instrument.price_decimals
        first, high, low, last = (floored(price, decimals) for price in row[1:5])
        if not 0 < low <= min(first, last) <= max(first, last) <= high:
            raise Unreadable("crossed candle", row)
        traded, bought = 0, None
        if series.channel is Channel.TRADES:
            traded, bought = (exact_quantity(row[field], self._listing.unit) for field in (5, 9))
            if not 0 <= bought <= traded:
                raise Unreadable("absurd quantity", row)
        open_ns = row[0] * MS
        name = self._listing.instrument_id
        into.events.append(Candle(name, open_ns, open_ns + series.step_ns, first, high, low, last, traded, bought))

    def _open_interest(self, row: Mapping[str, Any], into: Reading) -> None:
        quantity = floored_quantity(row["sumOpenInterest"], self._listing.unit)
        if quantity < 0:
            raise Unreadable("absurd open interest", row)
        into.events.append(OpenInterest(self._listing.instrument_id, row["timestamp"] * MS, quantity))

    def _funding(self, row: Mapping[str, Any], into: Reading) -> None:
        """Note what was paid at the end of an interval, to the hour: payments are stamped some milliseconds late."""
        paid_ns = row["fundingTime"] * MS // HOUR_NS * HOUR_NS
        rate = floored(row["fundingRate"], 9)
        begin_ns = paid_ns - FUNDING_HOURS * HOUR_NS
        into.events.append(Funding(self._listing.instrument_id, begin_ns, rate, FUNDING_HOURS))
