"""dYdX v4: perpetuals counted in coins, from the chain's public indexer. Margin uses the oracle price: it is the mark.

Sources: client libraries of 2026 and real messages of 2024 and 2025; messages of v3, another exchange that closed in
2024, are counted and left out. Liquidations are trades of type LIQUIDATED, all of them, side that of the closing order:
SELL closed a long. DELEVERAGED trades, at a price that is not the market's, are counted and left out (UNVERIFIED whose
side they tell). The answer to a subscription repeats old trades, which are left out, and the state of the markets,
which is read. openInterest is what other readers take for one-sided; baseOpenInterest beside it, in 2025 twice as much,
is not read (what it counts is UNVERIFIED). Changes of open interest carry no time and are stamped when received.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.pages import HOUR_NS, Pages
from liqscape.feeds.venues.readings import Question, in_ratio
from liqscape.feeds.venues.repeats import TradesTold
from liqscape.feeds.venues.scale import CLOSED_BY, MS, SECOND, Scale, scales, text_of_time, time_of_text

SOCKET: Final = "wss://indexer.dydx.trade/v4/ws"

REST: Final = "https://indexer.dydx.trade/v4"

MARKETS_PER_CONNECTION: Final = 30
"""The indexer takes 32 subscriptions of a channel on a connection (UNVERIFIED)."""

BUDGET: Final = Budget("rest", 5, 10.0)
"""With that of history half of the 100 requests in 10 s (UNVERIFIED)."""

HISTORY_BUDGET: Final = Budget("history", 40, 10.0)
"""See BUDGET."""

CANDLES_PER_PAGE: Final = 1000

FUNDING_PER_PAGE: Final = 100
"""Rows of an answer at most (UNVERIFIED)."""

_SIDES: Final = {"BUY": TakerSide.BUY, "SELL": TakerSide.SELL}


class DydxDialect:
    """See Dialect."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self._told = TradesTold()
        self._channels: Mapping[str, Callable[[dict[str, Any], Any, int, Reading], None]] = {
            "v4_trades": self._trades,
            "v4_markets": self._markets,
        }
        self.endpoints: Sequence[Endpoint] = tuple(
            _endpoint(number, group)
            for number, group in enumerate(batches(tuple(self._scales), MARKETS_PER_CONNECTION))
        )
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=Request(f"{REST}/perpetualMarkets"), every_s=86_400.0, channels=frozenset()),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the indexer."""
        said = orjson.loads(message)
        kind = said["type"]
        if kind == "error":
            refuse(into, said.get("message"))
        elif kind in ("connected", "unsubscribed"):
            ignore(into, kind)
        elif kind in ("subscribed", "channel_data", "channel_batch_data"):
            channel = said["channel"]
            if kind == "subscribed":
                into.acknowledged.append(f"{channel}:{said.get('id', '')}")
            read = self._channels.get(channel)
            if read is None:
                ignore(into, channel)
            elif kind == "channel_batch_data":
                read_rows(said["contents"], lambda each: read(said, each, receive_ns, into), into)
            else:
                read(said, said["contents"], receive_ns, into)
        else:
            raise Unreadable("unknown message", said)

    def _trades(self, said: dict[str, Any], contents: Any, receive_ns: int, into: Reading) -> None:
        scale = self._scales.get(said["id"])
        rows = contents["trades"]
        if scale is None:
            into.ignored["other instrument"] += 1
        elif said["type"] == "subscribed":
            into.ignored["trade before the subscription"] += len(rows)
        else:
            read_rows(rows, lambda row: _trade(scale, row, self._told, into), into)

    def _markets(self, said: dict[str, Any], contents: Any, receive_ns: int, into: Reading) -> None:
        for name, row in (contents.get("markets") or {}).items():  # the state, when subscribed
            self._market(name, row, receive_ns, receive_ns, into)
        for name, row in (contents.get("trading") or {}).items():
            self._market(name, row, receive_ns, receive_ns, into)
        for name, row in (contents.get("oraclePrices") or {}).items():
            self._market(name, row, receive_ns, None, into)

    def _market(self, name: str, row: dict[str, Any], receive_ns: int, at_ns: int | None, into: Reading) -> None:
        scale = self._scales.get(name)
        if scale is None:
            into.ignored["other instrument"] += 1
        else:
            read_rows((row,), lambda each: _state(scale, each, receive_ns, at_ns, into), into)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of markets."""
        said = orjson.loads(body)
        if "errors" in said:
            refuse(into, said["errors"])
        else:
            read_rows(said["markets"].values(), lambda row: into.listings.append(_listing(row)), into)


def _endpoint(number: int, names: Sequence[str]) -> Endpoint:
    return Endpoint(
        name=f"indexer-{number}",
        url=SOCKET,
        subscribe=(
            to_json({"type": "subscribe", "channel": "v4_markets"}),
            *(to_json({"type": "subscribe", "channel": "v4_trades", "id": name}) for name in names),
        )
        if number == 0
        else tuple(to_json({"type": "subscribe", "channel": "v4_trades", "id": name}) for name in names),
        acknowledgements=frozenset(
            {f"v4_trades:{name}" for name in names} | ({"v4_markets:"} if number == 0 else set())
        ),
        channels=frozenset(Channel) if number == 0 else frozenset({Channel.TRADES, Channel.LIQUIDATIONS}),
        control=Channel.MARK if number == 0 else Channel.TRADES,
        control_s=30.0 if number == 0 else 300.0,
        sends_per_s=2.0,
    )


def _trade(scale: Scale, row: dict[str, Any], told: TradesTold, into: Reading) -> None:
    kind = row["type"]
    if kind == "DELEVERAGED":
        into.ignored["trade of type DELEVERAGED"] += 1
        return
    side = _SIDES[row["side"]]
    time_ns = time_of_text(row["createdAt"])
    scale.trade(into, time_ns, row["price"], row["size"], side)
    if told.is_repeat(into, row.get("id")):
        return
    if kind == "LIQUIDATED":
        scale.liquidation(into, time_ns, row["price"], row["size"], CLOSED_BY[side])


def _state(scale: Scale, row: dict[str, Any], receive_ns: int, at_ns: int | None, into: Reading) -> None:
    price = row.get("oraclePrice")
    if price is not None:
        scale.mark(into, time_of_text(row["effectiveAt"]) if at_ns is None else at_ns, price)
    interest = row.get("openInterest")
    if interest is not None:
        scale.open_interest(into, receive_ns, interest)
        base = row.get("baseOpenInterest")
        if base is not None:  # in the state of the markets, once a connection
            one, other = as_fraction(base), as_fraction(interest)
            for ratio, alternative in zip((2, 1), INTERESTS.alternatives, strict=True):
                if in_ratio(one, other, ratio):
                    into.evidence.append((INTERESTS, alternative))
    rate = row.get("nextFundingRate")
    if rate is not None:
        scale.funding(into, receive_ns, rate, 1)


INTERESTS: Final = Question("openInterest", ("half of baseOpenInterest", "equal to baseOpenInterest"), needs=2)
"""Where it is half of what is told beside it, it counts one side; where the two are equal, nothing is shown."""


def _listing(row: dict[str, Any]) -> VenueListing:
    margin = as_fraction(row["initialMarginFraction"])
    if margin <= 0:
        raise Unreadable("margin", row["initialMarginFraction"])
    return VenueListing(
        name=row["ticker"],
        price_tick=as_fraction(row["tickSize"]),
        max_leverage=int(1 / margin),
        is_trading=row["status"] == "ACTIVE",
    )


class DydxHistory:
    """See VenueHistory. A candle tells the open interest at its start, so that the past of it is as fine as candles.

    The indexer may leave out minutes without a trade, and their open interest with them.
    """

    def __init__(self, listing: Listing) -> None:
        self._pages = Pages(listing)
        self._name = listing.name
        self.series: Sequence[PastSeries] = (
            PastSeries(name="candles 1m", channel=Channel.TRADES, step_ns=60 * SECOND, page=CANDLES_PER_PAGE),
            PastSeries(
                name="open interest 1m", channel=Channel.OPEN_INTEREST, step_ns=60 * SECOND, page=CANDLES_PER_PAGE
            ),
            PastSeries(name="funding 1h", channel=Channel.FUNDING, step_ns=HOUR_NS, page=FUNDING_PER_PAGE),
        )
        self.budgets: Sequence[Budget] = (HISTORY_BUDGET,)

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """See VenueHistory."""
        self._pages.ask(from_ns, until_ns)
        if series.channel is Channel.FUNDING:
            query = {"limit": str(series.page), "effectiveBeforeOrAt": text_of_time(until_ns - MS)}
            return Request(f"{REST}/historicalFunding/{self._name}", query)
        return Request(
            f"{REST}/candles/perpetualMarkets/{self._name}",
            {
                "resolution": "1MIN",
                "limit": str(series.page),
                "fromISO": text_of_time(from_ns),
                "toISO": text_of_time(until_ns - MS),
            },
        )

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """See VenueHistory."""
        said = orjson.loads(body)
        if "errors" in said:
            refuse(into, said["errors"])
        elif series.channel is Channel.FUNDING:
            read_rows(reversed(said["historicalFunding"]), lambda row: self._funding(row, into), into)
        else:
            read_rows(reversed(said["candles"]), lambda row: self._candle(series, row, into), into)

    def _candle(self, series: PastSeries, row: dict[str, Any], into: Reading) -> None:
        open_ns = time_of_text(row["startedAt"])
        if series.channel is Channel.OPEN_INTEREST:
            self._pages.open_interest(into, open_ns, row["startingOpenInterest"])
        else:
            prices = (row["open"], row["high"], row["low"], row["close"])
            self._pages.candle(into, series, open_ns, prices, row["baseTokenVolume"])

    def _funding(self, row: dict[str, Any], into: Reading) -> None:
        ended_ns = time_of_text(row["effectiveAt"]) // HOUR_NS * HOUR_NS  # told some milliseconds late
        self._pages.funding(into, ended_ns - HOUR_NS, row["rate"], 1)


DYDX: Final = Venue(
    name="dydx",
    instruments_of="dydx",
    dialect=DydxDialect,
    liquidations=Completeness.FULL,
    provenance="recorded",
    history=DydxHistory,
)
