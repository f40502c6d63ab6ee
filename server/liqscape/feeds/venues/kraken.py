"""Kraken Futures: PF_ (linear, counted in coins) and PI_ (inverse, counted in contracts of 1 USD).

Sources: the vendor's public schemas as client libraries of autumn 2026 read them, and real messages of 2019 to 2023.
Liquidations are rows of the trade feed with type liquidation: fills of the closing order, so sell closed a long. They
are all printed; assignments to liquidity providers, the step after, may not be (UNVERIFIED), and rows of type
assignment, termination and block are counted and left out, because their price is not the market's. The first message
of a product repeats old trades (trade_snapshot): counted and left out. Rows of a product are numbered without holes
(seq, in 993 of 993 recorded steps), so that a row that is missing is announced. relative_funding_rate is a fraction an
hour; funding_rate, an amount per contract, is not read. Old messages write whole numbers as 50.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import TakerSide
from liqscape.feeds.venues.dialect import (
    Budget,
    Channel,
    Completeness,
    Endpoint,
    Listing,
    Poll,
    Reading,
    Request,
    Unreadable,
    Venue,
    VenueListing,
    batches,
    read_rows,
    to_json,
)
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbered import Numbered
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.pages import Pages
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.scale import CLOSED_BY, SECOND, scales, time_of, time_of_text

SOCKET: Final = "wss://futures.kraken.com/ws/v1"

REST: Final = "https://futures.kraken.com/derivatives/api/v3"

CHARTS: Final = "https://futures.kraken.com/api/charts/v1"

FUNDING_HISTORY: Final = "https://futures.kraken.com/derivatives/api/v4/historicalfundingrates"

PRODUCTS_PER_MESSAGE: Final = 50
"""In one subscription: 1 KB. The venue names no limit."""

BUDGET: Final = Budget("rest", 2, 1.0)
"""Clients in use keep to 5 a second; the venue names no limit (UNVERIFIED)."""

CANDLES_PER_PAGE: Final = 1000
"""The venue answers with 2,000 at most."""

_SIDES: Final = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}

_FEEDS: Final = ("trade", "ticker")


ASSIGNMENTS: Final = Question("assignments", ("not printed", "printed as trades of that type"), needs=1)
"""One that is seen shows it. They are left out: a position goes over to another account, at no price of the market."""


class KrakenDialect:
    """See Dialect."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self._numbered = Numbered()
        self._feeds: Mapping[str, Callable[[Any, Reading], None]] = {
            "trade": self._trade,
            "ticker": self._ticker,
            "trade_snapshot": self._snapshot,
        }
        groups = batches(tuple(self._scales), PRODUCTS_PER_MESSAGE)
        self.endpoints: Sequence[Endpoint] = (
            Endpoint(
                name="public",
                url=SOCKET,
                subscribe=(
                    *(
                        to_json({"event": "subscribe", "feed": feed, "product_ids": group})
                        for feed in _FEEDS
                        for group in groups
                    ),
                    to_json({"event": "subscribe", "feed": "heartbeat"}),
                ),
                acknowledgements=frozenset(f"{feed}:{name}" for feed in _FEEDS for name in self._scales),
                channels=frozenset(Channel),
                control=Channel.MARK,
                control_s=20.0,
            ),
        )
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=Request(f"{REST}/instruments"), every_s=86_400.0, channels=frozenset()),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the public feeds."""
        said = orjson.loads(message)
        feed = said.get("feed")
        if "event" in said:
            self._control(said, into)
        elif feed == "heartbeat":
            into.heartbeats += 1
        else:
            read = self._feeds.get(feed)
            if read is not None:
                read(said, into)
            elif feed is None:
                raise Unreadable("unknown message", said)
            else:
                ignore(into, feed)

    def _control(self, said: dict[str, Any], into: Reading) -> None:
        event = said["event"]
        if event == "subscribed":
            into.acknowledged.extend(f"{said['feed']}:{name}" for name in said.get("product_ids", ()))
        elif event in ("error", "alert"):
            refuse(into, said)
        else:
            ignore(into, f"event {event}")

    def _trade(self, said: dict[str, Any], into: Reading) -> None:
        scale = self._scales.get(said["product_id"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        time_ns = time_of(said["time"])
        if "seq" in said and not self._numbered.takes(into, scale.instrument_id, said["seq"], time_ns):
            return
        kind = said["type"]
        if kind not in ("fill", "liquidation"):
            ignore(into, f"trade of type {kind}")
            if kind == "assignment":
                into.evidence.append((ASSIGNMENTS, ASSIGNMENTS.alternatives[1]))
            return
        side = _SIDES[said["side"]]
        scale.trade(into, time_ns, said["price"], said["qty"], side)
        if kind == "liquidation":
            scale.liquidation(into, time_ns, said["price"], said["qty"], CLOSED_BY[side])

    def _snapshot(self, said: dict[str, Any], into: Reading) -> None:
        rows = said["trades"]
        into.ignored["trade before the subscription"] += len(rows)
        scale = self._scales.get(said["product_id"])
        if scale is not None and rows:  # newest first
            self._numbered.begins(scale.instrument_id, rows[0].get("seq"), time_of(rows[0]["time"]))

    def _ticker(self, said: dict[str, Any], into: Reading) -> None:
        scale = self._scales.get(said["product_id"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        time_ns = time_of(said["time"])
        scale.mark(into, time_ns, said["markPrice"])
        scale.open_interest(into, time_ns, said["openInterest"])
        rate = said.get("relative_funding_rate")
        if rate is not None:  # contracts with a date have none
            scale.funding(into, time_ns, rate, 1)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of instruments."""
        said = orjson.loads(body)
        if said.get("result") != "success":
            refuse(into, said)
            return
        read_rows(said["instruments"], lambda row: _listing(row, into), into)


def _listing(row: dict[str, Any], into: Reading) -> None:
    name = row["symbol"].upper()
    if "tickSize" not in row:
        into.ignored["index"] += 1
        return
    levels = row.get("marginLevels")
    margin = as_fraction(levels[0]["initialMargin"]) if levels else Fraction(0)
    into.listings.append(
        VenueListing(
            name=name,
            unit=as_fraction(row["contractSize"]),
            price_tick=as_fraction(row["tickSize"]),
            max_leverage=int(1 / margin) if margin > 0 else None,
            is_trading=row["tradeable"] is True,
        )
    )


class KrakenHistory:
    """See VenueHistory. Open interest of the past is not public.

    Candles: volume counted as trades are (UNVERIFIED of PI_). Funding: one answer holds all of it, since
    the listing; a row is stamped with the start of its hour (UNVERIFIED).
    """

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = (
            PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=60 * SECOND, page=CANDLES_PER_PAGE),
            PastSeries(name="mark candles 1m", channel=Channel.MARK, step_ns=60 * SECOND, page=CANDLES_PER_PAGE),
            PastSeries(name="funding 1h", channel=Channel.FUNDING, step_ns=3600 * SECOND, page=1_000_000),
        )
        self.budgets: Sequence[Budget] = (Budget("history", 1, 1.0),)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        self._pages.ask(from_ns, until_ns)
        if series.channel is Channel.FUNDING:
            return Request(FUNDING_HISTORY, {"symbol": self._name})
        kind = "trade" if series.channel is Channel.TRADES else "mark"
        return Request(
            f"{CHARTS}/{kind}/{self._name}/1m",
            {"from": str(from_ns // SECOND), "to": str((until_ns - 1) // SECOND)},
        )

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        if series.channel is Channel.FUNDING:
            read_rows(said["rates"], lambda row: self._funding(row, into), into)
        else:
            read_rows(said["candles"], lambda row: self._candle(series, row, into), into)

    def _candle(self, series: PastSeries, row: dict[str, Any], into: Reading) -> None:
        quantity = row["volume"] if series.channel is Channel.TRADES else 0
        prices = (row["open"], row["high"], row["low"], row["close"])
        self._pages.candle(into, series, time_of(row["time"]), prices, quantity)

    def _funding(self, row: dict[str, Any], into: Reading) -> None:
        self._pages.funding(into, time_of_text(row["timestamp"]), row["relativeFundingRate"], 1)


KRAKEN: Final = Venue(
    name="kraken",
    instruments_of="kraken",
    dialect=KrakenDialect,
    liquidations=Completeness.FULL,
    provenance="recorded",
    history=KrakenHistory,
)
