"""What OKX tells of the past: candles, candles of the mark price, open interest, funding.

Whether the series of open interest still grows is a CONFLICT: one source saw it frozen in early 2024, another holds a
row of 2026-09-27; an empty page says it. Its depth, that of funding (three months) and whether its stamps are those of
a period's start are UNVERIFIED. Limits of requests are those of the documents: 20 in 2 seconds for candles, 10 for
candles of the mark and funding, 5 for open interest; half of each is taken.
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
    note_paid,
    note_told_twice,
    put_ascending,
)

REST: Final = "https://www.okx.com/api/v5"

FUNDING_HOURS: Final = 8


class OkxHistory:
    """See VenueHistory.

    Args:
        listing: a swap.
    """

    def __init__(self, listing: Listing) -> None:
        self._scale = Scale(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = BUDGETS

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for a page: `before` and `after` are what the rows are newer and older than."""
        first, last = from_ns // 1_000_000, until_ns // 1_000_000
        page = {"instId": self._name, "limit": str(most_rows(series))}
        if series.channel is Channel.OPEN_INTEREST:
            span = {"period": "5m", "begin": str(first), "end": str(last - 1)}
        else:
            span = {"before": str(first - 1), "after": str(last)}
        if series.channel in (Channel.TRADES, Channel.MARK):
            span["bar"] = "1m"
        return Request(f"{REST}/{_PATHS[series.channel]}", page | span)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read a page."""
        said = orjson.loads(body)
        if said["code"] != "0":
            refuse(into, f"{said['code']} {said.get('msg')}")
            return
        rows, first = said["data"], len(into.events)
        if series.channel is Channel.FUNDING:
            note_paid(rows, _paid, self._scale, FUNDING_HOURS, into)
        elif series.channel is Channel.OPEN_INTEREST:
            read_rows(rows, lambda row: self._open_interest(row, into), into)
        else:
            read_rows(rows, lambda row: self._candle(row, series, into), into)
        put_ascending(into, first)

    def _open_interest(self, row: list[Any], into: Reading) -> None:
        note_told_twice(self._scale, into, from_ms(row[0]), row[1], row[2])

    def _candle(self, row: list[Any], series: PastSeries, into: Reading) -> None:
        is_mark = series.channel is Channel.MARK
        if len(row) != (_MARK_FIELDS if is_mark else _CANDLE_FIELDS):
            raise Unreadable("candle of another shape", row)
        if row[-1] != "1":
            into.ignored["unfinished candle"] += 1
            return
        volume = 0 if is_mark else row[5]
        self._scale.candle(into, from_ms(row[0]), series.step_ns, row[1:5], volume)


def _paid(row: dict[str, Any]) -> tuple[int, int]:
    return from_ms(row["fundingTime"]), funding_ppb(row.get("realizedRate") or row["fundingRate"])


SERIES: Final = (
    PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE_NS, page=300, budget="candles"),
    PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE_NS, page=100, budget="mark"),
    PastSeries(
        name="open interest 5m", channel=Channel.OPEN_INTEREST, step_ns=5 * MINUTE_NS, page=100, budget="statistics"
    ),
    PastSeries(name="funding", channel=Channel.FUNDING, step_ns=FUNDING_HOURS * HOUR_NS, page=12, budget="mark"),
)

BUDGETS: Final = (Budget("candles", 10, 2.0), Budget("mark", 5, 2.0), Budget("statistics", 2, 2.0))

_PATHS: Final = {
    Channel.TRADES: "market/history-candles",
    Channel.MARK: "market/history-mark-price-candles",
    Channel.OPEN_INTEREST: "rubik/stat/contracts/open-interest-history",
    Channel.FUNDING: "public/funding-rate-history",
}

_CANDLE_FIELDS: Final = 9

_MARK_FIELDS: Final = 6
