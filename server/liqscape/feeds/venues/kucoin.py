"""KuCoin's perpetual futures, linear and inverse.

Sources: copies of the vendor's documents and its SDK, and real messages of 2020 to 2024. Where a connection is opened
is asked for first, with a POST that gives a token. Sizes are lots; an inverse one is worth 1 quote (its multiplier is
told as -1). Open interest is in the list of contracts alone, without a time: that of our clock is taken. Whether it
counts one side is UNVERIFIED. No liquidations are told: every name for such a topic was refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from liqscape.events import TakerSide
from liqscape.feeds.venues.dialect import (
    Budget,
    Channel,
    Completeness,
    Door,
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
from liqscape.feeds.venues.kucoin_history import KucoinHistory
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbers import as_fraction, floored
from liqscape.feeds.venues.repeats import TradesTold
from liqscape.feeds.venues.wanted import Wanted, from_ms, from_ns, hours_of

REST: Final = "https://api-futures.kucoin.com/api/v1"

NAMES_PER_CONNECTION: Final = 100
"""A topic takes as many symbols; a connection takes 300 topics, each symbol counted."""

OPEN_INTEREST_S: Final = 6.0
"""As often as recorders ask for the whole list, which has half a megabyte."""

HOUR_MS: Final = 3_600_000


class KucoinDialect:
    """See Dialect.

    Args:
        listings: perpetuals.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = Wanted(listings)
        self._told = TradesTold()
        self._subjects: Mapping[str, Callable[[str, dict[str, Any], Reading], None]] = {
            "match": self._trade,
            "mark.index.price": self._mark,
            "funding.rate": self._funding,
        }
        self.endpoints: Sequence[Endpoint] = tuple(
            _endpoint(number, group, self._scales.ids(group))
            for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION))
        )
        contracts = Request(f"{REST}/contracts/active")
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=contracts, every_s=86_400.0, channels=frozenset(), weight=_LIST_WEIGHT),
            Poll(
                name="open_interest",
                request=contracts,
                every_s=OPEN_INTEREST_S,
                channels=frozenset({Channel.OPEN_INTEREST}),
                weight=_LIST_WEIGHT,
            ),
        )
        self.budgets: Sequence[Budget] = (Budget("rest", 1000, 30.0),)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the public socket."""
        said = orjson.loads(message)
        match said["type"]:
            case "message":
                self._message(said, receive_ns, into)
            case "ack":
                into.acknowledged.append(str(said["id"]))
            case "welcome" | "pong":
                into.heartbeats += 1
            case "error":
                refuse(into, said)
            case other:
                raise Unreadable("unknown message", other)

    def _message(self, said: dict[str, Any], receive_ns: int, into: Reading) -> None:
        topic, subject, row = said["topic"], said["subject"], said["data"]
        read = self._subjects.get(subject)
        if topic.startswith(_NOT_NEEDED):
            ignore(into, topic.partition(":")[0])
        elif read is not None:
            read(topic.rpartition(":")[2], row, into)
        elif subject == "contractDetails":  # a wrapper that a recorder put around what it had polled
            self._open_interest(row, receive_ns, into)
        elif subject in ("funding.begin", "funding.end"):
            ignore(into, subject)
        else:
            raise Unreadable("unknown subject", subject)

    def _trade(self, _: str, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is not None:
            scale.trade(into, from_ns(row["ts"]), row["price"], row["size"], _TAKER[row["side"]])
            self._told.is_repeat(into, row.get("tradeId"))

    def _mark(self, name: str, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            scale.mark(into, from_ms(row["timestamp"]), row["markPrice"])

    def _funding(self, name: str, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is None:
            return
        length_ms = floored(row["granularity"], 0)
        if length_ms < HOUR_MS:  # the rate expected next, told each minute
            into.ignored["predicted funding rate"] += 1
            return
        scale.funding(into, from_ms(row["timestamp"]), row["fundingRate"], hours_of(length_ms, HOUR_MS))

    def _open_interest(self, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is not None:
            scale.open_interest(into, receive_ns, row["openInterest"])

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read contracts/active, for open interest or for listings."""
        said = orjson.loads(body)
        if said["code"] != "200000":
            refuse(into, f"{said['code']} {said.get('msg')}")
        elif poll.channels:
            read_rows(said["data"], lambda row: self._open_interest(row, receive_ns, into), into)
        else:
            read_rows(said["data"], lambda row: into.listings.append(_listing_of(row)), into)


def _endpoint(number: int, names: Sequence[str], about: tuple[str, ...]) -> Endpoint:
    topics = [f"{topic}:{','.join(names)}" for topic in ("/contractMarket/execution", "/contract/instrument")]
    return Endpoint(
        name=f"public-{number}",
        url="wss://ws-api-futures.kucoin.com",
        door=Door(Request(f"{REST}/bullet-public", json=b"{}"), url_of),
        subscribe=tuple(
            to_json({"id": str(index + 1), "type": "subscribe", "topic": topic, "response": True})
            for index, topic in enumerate(topics)
        ),
        acknowledgements=frozenset(str(index + 1) for index in range(len(topics))),
        channels=frozenset({Channel.TRADES, Channel.MARK, Channel.FUNDING}),
        control=Channel.MARK,
        control_s=30.0,
        ping=Ping(to_json({"id": "1", "type": "ping"}), 18.0),
        connects_per_s=0.5,
        about=about,
        protocol_ping_s=None,
    )


def url_of(body: bytes) -> str:
    """Return where to open a connection, from the answer to bullet-public.

    Raises:
        Unreadable: it does not say.
    """
    try:
        told = orjson.loads(body)["data"]
        server, token = told["instanceServers"][0]["endpoint"], told["token"]
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise Unreadable("no token", body[:100]) from error
    if not (isinstance(server, str) and isinstance(token, str) and server.startswith("wss://")):
        raise Unreadable("no token", body[:100])
    return f"{server}?{urlencode({'token': token, 'connectId': 'liqscape'})}"


def _listing_of(row: dict[str, Any]) -> VenueListing:
    return VenueListing(
        name=row["symbol"],
        unit=Fraction(1) if row["isInverse"] else as_fraction(row["multiplier"]),
        price_tick=as_fraction(row["tickSize"]),
        max_leverage=floored(row["maxLeverage"], 0),
        is_trading=row["status"] == "Open",
    )


_NOT_NEEDED: Final = (
    "/contractMarket/level",
    "/contractMarket/ticker",
    "/contractMarket/candle",
    "/contractMarket/limitCandle",
    "/contractMarket/snapshot",
)
"""Beginnings of topics. Those of orders have matches of their own, which are the trades again."""

_LIST_WEIGHT: Final = 3

_TAKER: Final = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}


KUCOIN: Final = Venue(
    name="kucoin",
    instruments_of="kucoin",
    dialect=KucoinDialect,
    liquidations=Completeness.NONE,
    provenance="recorded",
    history=KucoinHistory,
)
