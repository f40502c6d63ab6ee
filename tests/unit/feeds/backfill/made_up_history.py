"""A made-up venue's past: pages are JSON lists of [stamp in seconds, value, ...], which say what a test wants said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from liqscape.events import Candle, Funding, OpenInterest
from liqscape.feeds.backfill.page_store import PageStore, SeriesKey
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.venues.dialect import Budget, Channel, Completeness, Listing, Reading, Request, Unreadable, Venue
from liqscape.feeds.venues.history import PastSeries
from tests.unit.synthetic_market import make_instrument

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 29_500_020 * MINUTE
"""A whole hour."""

CANDLES = PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=MINUTE, page=100)
HOURS = PastSeries(name="candles 1h", channel=Channel.TRADES, step_ns=HOUR, page=100)
MARKS = PastSeries(name="mark 1m", channel=Channel.MARK, step_ns=MINUTE, page=100)
SAMPLES = PastSeries(name="open interest 5m", channel=Channel.OPEN_INTEREST, step_ns=5 * MINUTE, page=100)
FUNDING = PastSeries(name="funding", channel=Channel.FUNDING, step_ns=8 * HOUR, page=100)
SERIES = (CANDLES, HOURS, MARKS, SAMPLES, FUNDING)

INSTRUMENT = make_instrument()
LISTING = Listing(INSTRUMENT)
NAME = INSTRUMENT.instrument_id


class MadeUpHistory:
    """See VenueHistory. A candle is [stamp, open, high, low, close, quantity]."""

    def __init__(self, listing: Listing) -> None:
        self._name = listing.instrument_id
        self.series: Sequence[PastSeries] = SERIES
        self.budgets: Sequence[Budget] = (Budget("history", 100, 1.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        return Request(f"https://made.up/{series.name}", {"from": str(from_ns), "until": str(until_ns)})

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        for row in orjson.loads(body):
            stamp = row[0] * SECOND
            if row[1] is None:
                into.reject("no value", row)
            elif series.channel is Channel.OPEN_INTEREST:
                into.events.append(OpenInterest(self._name, stamp, row[1]))
            elif series.channel is Channel.FUNDING:
                into.events.append(Funding(self._name, stamp - 8 * HOUR, row[1], 8))
            elif len(row) < 6:
                raise Unreadable("short candle", row)
            else:
                into.events.append(Candle(self._name, stamp, stamp + series.step_ns, *row[1:6]))


def _no_dialect(listings: Sequence[Listing]) -> Any:
    raise NotImplementedError


VENUE = Venue(
    name="made-up",
    instruments_of="venue",
    dialect=_no_dialect,
    liquidations=Completeness.NONE,
    provenance="documented",
    history=MadeUpHistory,
)


def keep(data: Path, series: PastSeries, rows: list[list[Any]], *, span: Span | None = None) -> None:
    """Keep a page; its span is that of its rows unless told otherwise."""
    store = PageStore(data)
    stamps = [row[0] * SECOND for row in rows]
    held = span or Span(min(stamps), max(stamps) + series.step_ns)
    key = SeriesKey(VENUE.name, INSTRUMENT.name, series.name)
    store.write(key, held, Request("https://made.up"), orjson.dumps(rows), len(rows), 0)
    store.close()


def candle(minute: int, price: int = 650_000, reach: int = 100, quantity: int = 10**8) -> list[Any]:
    """Return a candle row of a minute after the start."""
    return [START // SECOND + 60 * minute, price, price + reach, price - reach, price + 1, quantity]
