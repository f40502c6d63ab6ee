"""Binance USD-M and COIN-M futures, and Aster, which speaks as the former does.

Sources: the vendor's derivatives SDKs of October 2026, its notice of 2026-06-10 on the merged architecture, and real
messages of 2021 to 2026. Since 2026-04-23 the market streams are served under /market; the paths of before stay silent.
Open interest is not streamed. forceOrder tells the latest forced order of a symbol in each second: a lower bound, worst
when it matters most. Its S is the side of the order, so SELL closed a long; `ap` is the average fill and `z` the
quantity filled so far. In the merged streams st says whose a symbol is: 1 USD-M, 2 COIN-M. Only aggregated trades are
asked for; recordings of single trades are read as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from liqscape.events import Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues import binance_history
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
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbered import Numbered
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.scale import Scale, time_of
from liqscape.feeds.venues.wanted import Wanted

STREAMS_PER_CONNECTION: Final = 200
"""The least of what copies of the vendor's page say."""

NAMES_PER_MESSAGE: Final = 50
"""Streams in one subscription: 2 KB, far below the largest message taken."""

OPEN_INTEREST_S: Final = 3.0
"""One symbol's costs a weight of 1 of 2,400 a minute: 20 of these for each instrument."""

FUNDING_HOURS: Final = 8
"""Between payments, where the stream does not say: that of every large pair."""

MAX_AGE_S: Final = 23.5 * 3600
"""The venue cuts after 24 hours."""


class BinanceDialect:
    """See Dialect.

    Args:
        listings: of one of the three.
        socket: address of the market streams.
        rest: address and path above openInterest and exchangeInfo.
    """

    def __init__(self, listings: Sequence[Listing], socket: str, rest: str) -> None:
        self._listings = tuple(listings)
        self._scales = Wanted(listings)
        self._socket = socket
        self._rest = rest
        self._hears_aggregates = False
        self._numbered = Numbered()
        self._newest_forced: dict[str, tuple[Any, ...]] = {}  # by instrument id
        self._kinds: Mapping[str, Callable[[Any, Reading], None]] = {
            "aggTrade": self._agg_trade,
            "trade": self._single_trade,
            "markPriceUpdate": self._mark,
            "forceOrder": self._force_order,
        }
        self.endpoints: Sequence[Endpoint] = self._endpoints()
        self.polls: Sequence[Poll] = self._polls()
        self.budgets: Sequence[Budget] = (Budget("rest", 1200, 60.0),)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        streams = [f"{name.lower()}@{kind}" for name in self._scales.names for kind in _STREAMS]
        found = []
        for number, group in enumerate(batches(streams, STREAMS_PER_CONNECTION)):
            asked = batches(group, NAMES_PER_MESSAGE)
            found.append(
                Endpoint(
                    name=f"market-{number}",
                    url=self._socket,
                    subscribe=tuple(
                        to_json({"method": "SUBSCRIBE", "params": names, "id": index + 1})
                        for index, names in enumerate(asked)
                    ),
                    acknowledgements=frozenset(str(index + 1) for index in range(len(asked))),
                    channels=frozenset({Channel.TRADES, Channel.MARK, Channel.FUNDING, Channel.LIQUIDATIONS}),
                    control=Channel.MARK,
                    control_s=15.0,
                    max_age_s=MAX_AGE_S,
                    sends_per_s=5.0,
                )
            )
        return tuple(found)

    def _polls(self) -> tuple[Poll, ...]:
        samples = [
            Poll(
                name=f"open_interest {listing.name}",
                request=Request(f"{self._rest}/openInterest", {"symbol": listing.name}),
                every_s=OPEN_INTEREST_S,
                channels=frozenset({Channel.OPEN_INTEREST}),
                about=(listing.instrument_id,),
            )
            for listing in self._listings
        ]
        rules = Poll(
            name="listings", request=Request(f"{self._rest}/exchangeInfo"), every_s=86_400.0, channels=frozenset()
        )
        return (rules, *samples)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the market streams, wrapped as /stream does or not."""
        said = orjson.loads(message)
        if type(said) is dict and "stream" in said:
            said = said["data"]
        if type(said) is list:
            read_rows(said, lambda row: self._read_one(row, into), into)
        else:
            self._read_one(said, into)

    def _read_one(self, said: dict[str, Any], into: Reading) -> None:
        kind = said.get("e")
        if kind is not None:
            read = self._kinds.get(kind)
            if read is not None:
                read(said, into)
            else:
                ignore(into, kind)
        elif "error" in said or "code" in said:
            refuse(into, said)
        elif "result" in said:
            into.acknowledged.append(str(said["id"]))
        elif "lastUpdateId" in said:
            into.ignored["order book"] += 1
        else:
            raise Unreadable("unknown message", said)

    def _agg_trade(self, said: dict[str, Any], into: Reading) -> None:
        """Read an aggregated trade. They are numbered without holes by symbol: 142 of 142 recorded ones follow."""
        self._hears_aggregates = True
        scale = self._scales.find(said["s"], into)
        if scale is None:
            return
        time_ns = time_of(said["T"])
        if self._numbered.takes(into, scale.instrument_id, said["a"], time_ns):
            scale.trade(into, time_ns, said["p"], said["q"], _TAKER[said["m"]])

    def _single_trade(self, said: dict[str, Any], into: Reading) -> None:
        if self._hears_aggregates:  # the same trades again
            into.ignored["trade"] += 1
        elif said.get("X", "MARKET") != "MARKET":  # of the insurance fund, or deleveraging; no aggregate has them
            into.ignored["trade of the venue itself"] += 1
        else:
            scale = self._scales.find(said["s"], into)
            if scale is not None:
                scale.trade(into, time_of(said["T"]), said["p"], said["q"], _TAKER[said["m"]])

    def _mark(self, said: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(said["s"], into)
        if scale is None:
            return
        time_ns = time_of(said["E"])
        scale.mark(into, time_ns, said["p"])
        rate = said.get("r")
        if rate:  # contracts with a date have none
            scale.funding(into, time_ns, rate, FUNDING_HOURS)

    def _force_order(self, said: dict[str, Any], into: Reading) -> None:
        order = said["o"]
        scale = self._scales.find(order["s"], into)
        if scale is None:
            return
        if order["X"] not in ("FILLED", "PARTIALLY_FILLED"):
            into.ignored["unfilled forced order"] += 1
            return
        told = (order["T"], order["S"], order["ap"], order["z"])
        if (
            self._newest_forced.get(scale.instrument_id) == told
        ):  # they have no number; one a second is told of a symbol
            into.ignored["forced order again"] += 1
            return
        self._newest_forced[scale.instrument_id] = told
        into.events.append(_liquidation_of(order, scale))

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read openInterest, or exchangeInfo."""
        said = orjson.loads(body)
        if "code" in said and "msg" in said:
            refuse(into, said)
        elif poll.channels:
            scale = self._scales.find(said["symbol"], into)
            if scale is not None:
                scale.open_interest(into, time_of(said["time"]), said["openInterest"])
        else:
            read_rows(said["symbols"], lambda row: into.listings.append(_listing_of(row)), into)


_STREAMS: Final = ("aggTrade", "markPrice@1s", "forceOrder")

_TAKER: Final = {True: TakerSide.SELL, False: TakerSide.BUY}
"""By whether the buyer was the maker."""

_CLOSED_BY: Final = {"SELL": PositionSide.LONG, "BUY": PositionSide.SHORT}


def _liquidation_of(order: dict[str, Any], scale: Scale) -> Liquidation:
    return Liquidation(
        scale.instrument_id,
        time_of(order["T"]),
        scale.floored_price(order["ap"]),  # an average: between two ticks
        scale.quantity(order["z"]),
        _CLOSED_BY[order["S"]],
        PrintPrice.FILL,
        complete=False,
    )


def _listing_of(row: dict[str, Any]) -> VenueListing:
    filters = {each["filterType"]: each for each in row.get("filters", ())}
    tick = filters.get("PRICE_FILTER", {}).get("tickSize")
    return VenueListing(
        name=row["symbol"],
        price_tick=None if tick is None else as_fraction(tick),
        is_trading=row.get("status", row.get("contractStatus")) == "TRADING",
    )


BINANCE_USDM: Final = Venue(
    name="binance-usdm",
    instruments_of="binance",
    takes=lambda instrument: not instrument.is_inverse,
    dialect=lambda listings: BinanceDialect(
        listings, "wss://fstream.binance.com/market/ws", "https://fapi.binance.com/fapi/v1"
    ),
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    history=lambda listing: binance_history.BinanceHistory(listing, binance_history.USDM),
    regions="451 from the United States; elsewhere some networks connect and hear nothing",
)

BINANCE_COINM: Final = Venue(
    name="binance-coinm",
    instruments_of="binance",
    takes=lambda instrument: instrument.is_inverse,
    dialect=lambda listings: BinanceDialect(
        listings, "wss://dstream.binance.com/ws", "https://dapi.binance.com/dapi/v1"
    ),
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    history=lambda listing: binance_history.BinanceHistory(listing, binance_history.COINM),
    regions=BINANCE_USDM.regions,
)

ASTER: Final = Venue(
    name="aster",
    instruments_of="aster",
    dialect=lambda listings: BinanceDialect(
        listings, "wss://fstream.asterdex.com/ws", "https://fapi.asterdex.com/fapi/v3"
    ),
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    history=lambda listing: binance_history.BinanceHistory(listing, binance_history.ASTER),
)
