"""MEXC's perpetual contracts, linear and inverse.

Sources: copies of the vendor's documents and real messages of 2020 to 2026. Quantities are contracts, prices and times
JSON numbers. T is the taker's side, 1 buy and 2 sell; O says whether a trade opened or closed positions, which events
have no place for. The fair price is the mark price. Whether holdVol counts one side is UNVERIFIED. Confirmations of
subscriptions name the kind alone, so they are counted. No liquidations are told. REST was refused (403) from some
regions.
"""

from __future__ import annotations

from collections import Counter
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
from liqscape.feeds.venues.mexc_history import MexcHistory
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbered import Followed
from liqscape.feeds.venues.numbers import as_fraction, floored
from liqscape.feeds.venues.repeats import TradesTold
from liqscape.feeds.venues.wanted import Wanted, from_ms

REST: Final = "https://contract.mexc.com/api/v1/contract"

NAMES_PER_CONNECTION: Final = 30
"""Contracts, two subscriptions each; no limit is documented."""

FUNDING_HOURS: Final = 8
"""Between payments: no message says; that of every large pair."""


class MexcDialect:
    """See Dialect.

    Args:
        listings: perpetuals.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = Wanted(listings)
        self._told = TradesTold()
        self._followed = Followed()
        self._channels: Mapping[str, Callable[[str, Any, int, Reading], None]] = {
            "push.deal": self._deals,
            "push.ticker": self._ticker,
            "push.fair.price": self._fair,
            "push.funding.rate": self._rate,
        }
        self._confirmed: Counter[str] = Counter()
        self.endpoints: Sequence[Endpoint] = tuple(
            _endpoint(number, group, self._scales.ids(group))
            for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION))
        )
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=Request(f"{REST}/detail"), every_s=86_400.0, channels=frozenset()),
        )
        self.budgets: Sequence[Budget] = (Budget("rest", 10, 2.0),)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the public socket."""
        said = orjson.loads(message)
        channel = said["channel"]
        read = self._channels.get(channel)
        if read is not None:
            read(said["symbol"], said["data"], said["ts"], into)
        elif channel == "push.tickers":
            read_rows(said["data"], lambda row: self._fair_of_all(row, into), into)
        elif channel == "pong":
            into.heartbeats += 1
        elif channel == "rs.error":
            refuse(into, said)
        elif channel.startswith("rs.sub."):
            if said.get("data") == "success":
                kind = channel[3:]
                if kind in _SUBSCRIPTIONS:
                    self._confirmed[kind] += 1
                into.acknowledged.append(f"{kind} {self._confirmed[kind]}")
            else:
                refuse(into, said)
        elif channel.startswith(_NOT_NEEDED):
            ignore(into, channel)
        else:
            raise Unreadable("unknown channel", channel)

    def _deals(self, name: str, rows: Any, _: int, into: Reading) -> None:
        read_rows(rows if isinstance(rows, list) else [rows], lambda row: self._deal(name, row, into), into)

    def _deal(self, name: str, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            scale.trade(into, from_ms(row["t"]), row["p"], row["v"], _TAKER[row["T"]])
            if not self._told.is_repeat(into, row.get("i")):
                self._followed.see(into, row.get("i"))

    def _ticker(self, name: str, row: dict[str, Any], time_ms: int, into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is None:
            return
        time_ns = from_ms(row.get("timestamp", time_ms))
        scale.mark(into, time_ns, row["fairPrice"])
        scale.open_interest(into, time_ns, row["holdVol"])
        rate = row.get("fundingRate")
        if rate is not None:
            scale.funding(into, time_ns, rate, FUNDING_HOURS)

    def _fair_of_all(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is not None:
            scale.mark(into, from_ms(row["timestamp"]), row["fairPrice"])

    def _fair(self, name: str, row: dict[str, Any], time_ms: int, into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            scale.mark(into, from_ms(time_ms), row["price"])

    def _rate(self, name: str, row: dict[str, Any], time_ms: int, into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            scale.funding(into, from_ms(time_ms), row["rate"], FUNDING_HOURS)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read detail."""
        said = orjson.loads(body)
        if said["success"] is not True:
            refuse(into, f"{said.get('code')} {said.get('message')}")
            return
        read_rows(said["data"], lambda row: into.listings.append(_listing_of(row)), into)


def _endpoint(number: int, names: Sequence[str], about: tuple[str, ...]) -> Endpoint:
    return Endpoint(
        name=f"public-{number}",
        url="wss://contract.mexc.com/edge",
        subscribe=tuple(
            to_json({"method": method, "param": {"symbol": name}, "gzip": False})
            for name in names
            for method in _SUBSCRIPTIONS
        ),
        acknowledgements=frozenset(f"{method} {n + 1}" for n in range(len(names)) for method in _SUBSCRIPTIONS),
        channels=frozenset({Channel.TRADES, Channel.MARK, Channel.OPEN_INTEREST, Channel.FUNDING}),
        control=Channel.MARK,
        control_s=30.0,
        ping=Ping(to_json({"method": "ping"}), 15.0),
        about=about,
        sends_per_s=5.0,
    )


def _listing_of(row: dict[str, Any]) -> VenueListing:
    is_inverse = row["settleCoin"] == row["baseCoin"]
    return VenueListing(
        name=row["symbol"],
        unit=Fraction(1) if is_inverse else as_fraction(row["contractSize"]),
        price_tick=as_fraction(row["priceUnit"]),
        max_leverage=floored(row["maxLeverage"], 0),
        is_trading=row["state"] == 0,
    )


_SUBSCRIPTIONS: Final = ("sub.deal", "sub.ticker")

_NOT_NEEDED: Final = ("push.depth", "push.kline", "push.index.price", "push.full.depth")

_TAKER: Final = {1: TakerSide.BUY, 2: TakerSide.SELL}


MEXC: Final = Venue(
    name="mexc",
    instruments_of="mexc",
    dialect=MexcDialect,
    liquidations=Completeness.NONE,
    provenance="recorded",
    history=MexcHistory,
    regions="403 of REST from some",
)
