"""Bitget's linear perpetuals: the v3 socket, v2, and what older recordings hold.

Sources: copies of the vendor's documents of 2025 and 2026 and real messages of 2021 to 2026. The v3 socket alone tells
liquidations: each second the largest long and the largest short order of a pair. `side` is the side of the POSITION.
`amount` is in quote: in both real rows amount / price is a round number of coins (83.1, 286.5) and amount is not. What
`price` is (bankruptcy or fill) and whether open interest counts one side are UNVERIFIED; it is taken as it is, as
aggregators do. Coin-margined contracts count coins, not contracts of a fixed worth, and are not taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import Liquidation, PositionSide, PrintPrice
from liqscape.feeds.venues.bitget_history import BitgetHistory
from liqscape.feeds.venues.bitget_v1 import FUNDING_HOURS, TAKER, BitgetV1, add_ticker
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
from liqscape.feeds.venues.numbers import MAX_DIGITS, as_fraction, floored
from liqscape.feeds.venues.repeats import Repeats, TradesTold
from liqscape.feeds.venues.wanted import Wanted, from_ms, hours_of, quantity_of_worth

REST: Final = "https://api.bitget.com/api/v2/mix/market"

NAMES_PER_CONNECTION: Final = 24
"""Instruments, two topics each: sources differ on the cap, and all agree below 50 topics."""

ARGUMENTS_PER_MESSAGE: Final = 5
"""As public clients send."""


class BitgetDialect:
    """See Dialect.

    Args:
        listings: linear perpetuals.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = Wanted(listings)
        self._repeats = Repeats()
        self._told = TradesTold()
        self._hours: dict[str, int] = {}  # between payments of funding, as listed
        self._old = BitgetV1(self._scales)
        self._products = sorted({product_of(name) for name in self._scales.names})
        self.endpoints: Sequence[Endpoint] = self._endpoints()
        self.polls: Sequence[Poll] = tuple(
            Poll(
                name=f"listings {product}",
                request=Request(f"{REST}/contracts", {"productType": product}),
                every_s=86_400.0,
                channels=frozenset(),
            )
            for product in self._products
        )
        self.budgets: Sequence[Budget] = (Budget("rest", 10, 1.0),)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        found = []
        for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION)):
            asked = [
                {"instType": product_of(name), "topic": topic, "symbol": name} for name in group for topic in _TOPICS
            ]
            if number == 0:
                asked += [{"instType": product, "topic": "liquidation"} for product in self._products]
            parts = [asked[i : i + ARGUMENTS_PER_MESSAGE] for i in range(0, len(asked), ARGUMENTS_PER_MESSAGE)]
            found.append(
                Endpoint(
                    name=f"public-{number}",
                    url="wss://ws.bitget.com/v3/ws/public",
                    subscribe=tuple(to_json({"op": "subscribe", "args": part}) for part in parts),
                    acknowledgements=frozenset(_id_of(argument) for argument in asked),
                    channels=frozenset(Channel) if number == 0 else frozenset(Channel) - {Channel.LIQUIDATIONS},
                    control=Channel.MARK,
                    control_s=20.0,
                    ping=Ping("ping", 25.0),
                    sends_per_s=4.0,
                    about=self._scales.ids(group) if number else (),  # the first hears liquidations of all
                )
            )
        return tuple(found)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of a public socket, v3 to v1."""
        if message == b"pong":
            into.heartbeats += 1
            return
        said = orjson.loads(message)
        if "event" in said:
            _control(said, into)
        elif "table" in said:
            self._old.read_table(said, into)
        else:
            self._pushed(said, into)

    def _pushed(self, said: dict[str, Any], into: Reading) -> None:
        argument = said["arg"]
        product, topic = argument["instType"].lower(), argument.get("topic") or argument.get("channel")
        name = argument.get("symbol") or argument.get("instId")
        if product in _OLD_PRODUCTS:
            self._old.read(topic, name, said, into)
        elif product not in _PRODUCTS:
            into.ignored["other market"] += 1
        elif topic in ("publicTrade", "trade"):
            if said["action"] == "update":
                read_rows(said["data"], lambda row: self._trade(name, row, into), into)
            else:  # what was traded before the subscription
                into.ignored["replayed trades"] += 1
        elif topic == "ticker":
            read_rows(said["data"], lambda row: self._ticker(name, row, said["ts"], into), into)
        elif topic == "liquidation":
            if said["action"] == "update":
                read_rows(said["data"], lambda row: self._liquidation(row, into), into)
            else:
                into.ignored["replayed liquidations"] += 1
        elif topic.startswith(_NOT_NEEDED):
            ignore(into, topic)
        else:
            raise Unreadable("unknown topic", topic)

    def _trade(self, name: str, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is None:
            return
        if "p" in row:
            time_ms, price, size, side, number = row["T"], row["p"], row["v"], row["S"], row.get("i")
        else:  # v2
            time_ms, price, size, side, number = row["ts"], row["price"], row["size"], row["side"], row.get("tradeId")
        scale.trade(into, from_ms(time_ms), price, size, TAKER[side])
        self._told.is_repeat(into, number)

    def _ticker(self, name: str, row: dict[str, Any], time_ms: object, into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            interest = row["openInterest"] if "openInterest" in row else row["holdingAmount"]
            rate = None if row.get("nextFundingTime") == "0" else row.get("fundingRate")  # of a contract with a date
            hours = self._hours.get(name, FUNDING_HOURS)
            add_ticker(scale, from_ms(time_ms), row["markPrice"], interest, rate, into, hours)

    def _liquidation(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is None:
            return
        event = Liquidation(
            scale.instrument_id,
            from_ms(row["ts"]),
            scale.floored_price(row["price"]),
            quantity_of_worth(row["amount"], row["price"]),
            _CLOSED[row["side"]],
            PrintPrice.UNKNOWN,
            complete=False,
        )
        if self._repeats.is_new(event):
            into.events.append(event)
        else:
            into.ignored["repeated liquidation"] += 1

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read contracts."""
        said = orjson.loads(body)
        if said["code"] != "00000":
            refuse(into, f"{said['code']} {said.get('msg')}")
            return
        read_rows(said["data"], lambda row: self._listing(row, into), into)

    def _listing(self, row: dict[str, Any], into: Reading) -> None:
        into.listings.append(_listing_of(row))
        hours, name = row.get("fundInterval"), row["symbol"]
        if hours and name in self._scales.names:
            self._hours[name] = hours_of(floored(hours, 0), 1)


def product_of(name: str) -> str:
    """Return the product type of a linear perpetual, which is part of how it is asked for."""
    return "usdc-futures" if name.endswith("PERP") else "usdt-futures"


def _id_of(argument: dict[str, Any]) -> str:
    topic, name = argument.get("topic", argument.get("channel")), argument.get("symbol", argument.get("instId"))
    return f"{argument['instType']} {topic} {name}" if name else f"{argument['instType']} {topic}"


def _control(said: dict[str, Any], into: Reading) -> None:
    match said["event"]:
        case "subscribe":
            into.acknowledged.append(_id_of(said["arg"]))
        case "error":
            refuse(into, said)
        case "unsubscribe":
            into.ignored["unsubscribe"] += 1
        case other:
            raise Unreadable("unknown event", other)


_TOPICS: Final = ("publicTrade", "ticker")

_PRODUCTS: Final = frozenset({"usdt-futures", "usdc-futures", "coin-futures"})

_OLD_PRODUCTS: Final = frozenset({"mc"})

_NOT_NEEDED: Final = ("books", "candle", "kline", "rpi")

_CLOSED: Final = {"buy": PositionSide.LONG, "sell": PositionSide.SHORT}


def _listing_of(row: dict[str, Any]) -> VenueListing:
    leverage, decimals = row.get("maxLever"), floored(row["pricePlace"], 0)
    if not 0 <= decimals <= MAX_DIGITS:
        raise Unreadable("decimals of a price", row["pricePlace"])
    return VenueListing(
        name=row["symbol"],
        unit=Fraction(1),
        price_tick=as_fraction(row["priceEndStep"]) / 10**decimals,
        max_leverage=floored(leverage, 0) if leverage else None,
        is_trading=row.get("symbolStatus", "normal") == "normal",
    )


BITGET: Final = Venue(
    name="bitget",
    instruments_of="bitget",
    takes=lambda instrument: not instrument.is_inverse,
    dialect=BitgetDialect,
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    history=lambda listing: BitgetHistory(listing, product_of(listing.name)),
)
