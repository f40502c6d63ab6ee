"""Bybit v5, linear and inverse, and what older recordings of it hold.

Sources: the vendor's documents of July 2026, and real messages of 2021 to 2026. Open interest counts both sides, as the
documents say since 2026-06-11; the field was there before and did not change, so it is halved always (that the rows of
before were two-sided is UNVERIFIED), and singleOpenInterest is taken where it is given. S of allLiquidation is the side
of the POSITION, `p` the bankruptcy price, and all of them are told. Tickers tell only what has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues.bybit_history import BybitHistory
from liqscape.feeds.venues.bybit_v2 import BybitV2
from liqscape.feeds.venues.dialect import (
    Budget,
    Channel,
    Completeness,
    Endpoint,
    Listing,
    Ping,
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
from liqscape.feeds.venues.numbers import as_fraction, floored
from liqscape.feeds.venues.readings import Question, in_ratio
from liqscape.feeds.venues.repeats import Repeats, TradesTold
from liqscape.feeds.venues.wanted import Wanted, from_ms, hours_of, note_both_sides

REST: Final = "https://api.bybit.com"

NAMES_PER_CONNECTION: Final = 160
"""Contracts, three topics each: the venue takes 21,000 characters, and allLiquidation.10000000AIDOGEUSDT has 33."""

TOPICS_PER_MESSAGE: Final = 120
"""Frames of 200 have been seen to work."""

FUNDING_HOURS: Final = 8
"""Between payments, where the ticker does not say."""


class BybitDialect:
    """See Dialect.

    Args:
        listings: of one category.
        category: linear or inverse.
    """

    def __init__(self, listings: Sequence[Listing], category: str) -> None:
        self._scales = Wanted(listings)
        self._category = category
        self._told = TradesTold()
        self._pushes = Repeats()
        self._says_single: set[str] = set()
        self._hours: dict[str, int] = {}
        self._old = BybitV2(self._scales)
        self.endpoints: Sequence[Endpoint] = self._endpoints()
        self.polls: Sequence[Poll] = (
            Poll(
                name="listings",
                request=Request(f"{REST}/v5/market/instruments-info", {"category": category, "limit": "1000"}),
                every_s=86_400.0,
                channels=frozenset(),
            ),
        )
        self.budgets: Sequence[Budget] = (Budget("rest", 300, 5.0),)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        found = []
        for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION)):
            asked = batches([f"{kind}.{name}" for name in group for kind in _TOPICS], TOPICS_PER_MESSAGE)
            found.append(
                Endpoint(
                    name=f"{self._category}-{number}",
                    url=f"wss://stream.bybit.com/v5/public/{self._category}",
                    subscribe=tuple(
                        to_json({"req_id": str(index + 1), "op": "subscribe", "args": names})
                        for index, names in enumerate(asked)
                    ),
                    acknowledgements=frozenset(str(index + 1) for index in range(len(asked))),
                    channels=frozenset(Channel),
                    control=Channel.MARK,
                    control_s=15.0,
                    ping=Ping(to_json({"op": "ping"}), 20.0),
                    sends_per_s=5.0,
                    connects_per_s=0.8,
                    about=self._scales.ids(group),
                )
            )
        return tuple(found)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of a public socket."""
        said = orjson.loads(message)
        topic = said.get("topic")
        if topic is None:
            self._control(said, into)
            return
        kind, _, name = topic.partition(".")
        if kind == "publicTrade":
            read_rows(said["data"], lambda row: self._trade(row, into), into)
        elif kind == "tickers":
            self._ticker(said["data"], said["ts"], into)
        elif kind == "allLiquidation":
            if self._pushes.is_new_push(message, said.get("ts")):  # of an instrument, each 500 ms
                read_rows(said["data"], lambda row: self._liquidation(row, into), into)
            else:
                into.ignored["liquidations again"] += 1
        elif kind in _NOT_NEEDED:
            ignore(into, kind)
        elif not self._old.read(kind, name, said, into):
            raise Unreadable("unknown topic", topic)

    def _control(self, said: dict[str, Any], into: Reading) -> None:
        answered = said.get("op")
        if said.get("ret_msg") == "pong" or answered == "pong":
            into.heartbeats += 1
        elif said.get("success") is False:
            refuse(into, said)
        elif said.get("success") is True:
            name = said.get("req_id")
            if name:
                into.acknowledged.append(str(name))
            else:  # of a recording whose client named none
                into.ignored["acknowledgement without an id"] += 1
        else:
            raise Unreadable("unknown message", said)

    def _trade(self, row: dict[str, Any], into: Reading) -> None:
        if "L" not in row:  # the venue's spot market has the same topics and names; it alone tells no tick direction
            into.ignored["spot trade"] += 1
            return
        scale = self._scales.find(row["s"], into)
        if scale is not None:
            scale.trade(into, from_ms(row["T"]), row["p"], row["v"], _TAKER[row["S"]])
            self._told.is_repeat(into, row.get("i"))

    def _ticker(self, said: dict[str, Any], time_ms: object, into: Reading) -> None:
        name = said["symbol"]
        scale = self._scales.find(name, into)
        if scale is None:
            return
        time_ns = from_ms(time_ms)
        mark, single, rate = said.get("markPrice"), said.get("singleOpenInterest"), said.get("fundingRate")
        if mark:
            scale.mark(into, time_ns, mark)
        if single:
            scale.open_interest(into, time_ns, single)
            if name not in self._says_single:
                self._says_single.add(name)
                _compare(said.get("openInterest"), single, into)
        elif said.get("openInterest") and name not in self._says_single:
            note_both_sides(scale, into, time_ns, said["openInterest"])
        if said.get("fundingIntervalHour"):
            self._hours[name] = hours_of(floored(said["fundingIntervalHour"], 0), 1)
        if rate:  # contracts with a date pay none
            scale.funding(into, time_ns, rate, self._hours.get(name, FUNDING_HOURS))
        if not (mark or rate or said.get("openInterest") or single):
            into.ignored["other change" if "usdIndexPrice" not in said else "spot ticker"] += 1

    def _liquidation(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["s"], into)
        if scale is not None:
            into.events.append(
                Liquidation(
                    scale.instrument_id,
                    from_ms(row["T"]),
                    scale.floored_price(row["p"]),
                    scale.quantity(row["v"]),
                    CLOSED[row["S"]],
                    PrintPrice.BANKRUPTCY,
                )
            )

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read instruments-info."""
        said = orjson.loads(body)
        if said["retCode"] != 0:
            refuse(into, f"{said['retCode']} {said.get('retMsg')}")
            return
        read_rows(said["result"]["list"], lambda row: into.listings.append(_listing_of(row)), into)


SIDES_COUNTED: Final = Question("openInterest", ("it counts both sides", "it counts one side"), needs=2)
"""By the single one beside it, once an instrument and connection. What the past tells is halved in any case."""


def _compare(both: object, single: object, into: Reading) -> None:
    if both:
        told, half = as_fraction(both), as_fraction(single)
        for ratio, alternative in zip((2, 1), SIDES_COUNTED.alternatives, strict=True):
            if in_ratio(told, half, ratio):
                into.evidence.append((SIDES_COUNTED, alternative))


_TOPICS: Final = ("publicTrade", "tickers", "allLiquidation")

_NOT_NEEDED: Final = frozenset({"orderbook", "kline", "tickers_lt", "kline_lt", "adlAlert", "insurance", "priceLimit"})

_TAKER: Final = {"Buy": TakerSide.BUY, "Sell": TakerSide.SELL}

CLOSED: Final = {"Buy": PositionSide.LONG, "Sell": PositionSide.SHORT}
"""The side told is that of the position; 30 of 30 prints agreed with the book."""


def _listing_of(row: dict[str, Any]) -> VenueListing:
    return VenueListing(
        name=row["symbol"],
        unit=Fraction(1),
        price_tick=as_fraction(row["priceFilter"]["tickSize"]),
        max_leverage=floored(row["leverageFilter"]["maxLeverage"], 0),
        is_trading=row["status"] == "Trading",
    )


BYBIT_LINEAR: Final = Venue(
    name="bybit-linear",
    instruments_of="bybit",
    takes=lambda instrument: not instrument.is_inverse,
    dialect=lambda listings: BybitDialect(listings, "linear"),
    liquidations=Completeness.FULL,
    provenance="recorded",
    history=lambda listing: BybitHistory(listing, "linear"),
    regions="403 from the United States",
)

BYBIT_INVERSE: Final = Venue(
    name="bybit-inverse",
    instruments_of="bybit",
    takes=lambda instrument: instrument.is_inverse,
    dialect=lambda listings: BybitDialect(listings, "inverse"),
    liquidations=Completeness.FULL,
    provenance="recorded",
    history=lambda listing: BybitHistory(listing, "inverse"),
    regions=BYBIT_LINEAR.regions,
)
