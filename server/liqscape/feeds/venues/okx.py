"""OKX v5 swaps, linear and inverse, and what older recordings of it hold.

Sources: copies of the vendor's documents of 2026 and real messages of 2019 to 2026. Trades, liquidations and `oi` are
counted in contracts; `oiCcy` says the same in coins, and where the two tell another contract size than the listing's
the message is refused. Liquidations are at most one order for each contract and second, the side of the position is
told (posSide `net` falls back on the side of the order, UNVERIFIED), `bkPx` is the bankruptcy price. The first push
after the subscription replays recent orders and is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import Liquidation, PositionSide, PrintPrice, TakerSide
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
from liqscape.feeds.venues.numbered import Followed
from liqscape.feeds.venues.numbers import as_fraction, floored
from liqscape.feeds.venues.okx_history import OkxHistory
from liqscape.feeds.venues.okx_v3 import OkxV3
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.repeats import Repeats, TradesTold
from liqscape.feeds.venues.scale import Scale
from liqscape.feeds.venues.wanted import HOUR_NS, Wanted, from_ms, hours_of, note_told_twice

REST: Final = "https://www.okx.com/api/v5"

NAMES_PER_CONNECTION: Final = 80
"""Instruments: 320 channels, below what public clients ask for on one connection."""

ARGUMENTS_PER_MESSAGE: Final = 100
"""Of 60 bytes each; the venue takes 64 KB."""

FUNDING_HOURS: Final = 8
"""Between payments, where the message does not tell the next but one."""


class OkxDialect:
    """See Dialect.

    Args:
        listings: swaps.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = Wanted(listings)
        self._awaits_replay = False
        self._repeats = Repeats()
        self._told = TradesTold()
        self._followed = Followed()
        self._old = OkxV3(self._scales)
        self._rows: Mapping[str, Callable[[Any, int, Reading], None]] = {
            "trades": self._trade,
            "mark-price": self._mark,
            "open-interest": self._open_interest,
            "funding-rate": self._funding,
        }
        self.endpoints: Sequence[Endpoint] = self._endpoints()
        self.polls: Sequence[Poll] = (
            Poll(
                name="listings",
                request=Request(f"{REST}/public/instruments", {"instType": "SWAP"}),
                every_s=86_400.0,
                channels=frozenset(),
            ),
        )
        self.budgets: Sequence[Budget] = (Budget("rest", 10, 2.0),)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        found = []
        for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION)):
            asked = [{"channel": channel, "instId": name} for name in group for channel in self._rows]
            if number == 0:
                asked.append({"channel": "liquidation-orders", "instType": "SWAP"})
            parts = [asked[i : i + ARGUMENTS_PER_MESSAGE] for i in range(0, len(asked), ARGUMENTS_PER_MESSAGE)]
            found.append(
                Endpoint(
                    name=f"public-{number}",
                    url="wss://ws.okx.com:8443/ws/v5/public",
                    subscribe=tuple(to_json({"op": "subscribe", "args": part}) for part in parts),
                    acknowledgements=frozenset(_id_of(argument) for argument in asked),
                    channels=frozenset(Channel) if number == 0 else frozenset(Channel) - {Channel.LIQUIDATIONS},
                    control=Channel.MARK,
                    control_s=30.0,
                    ping=Ping("ping", 20.0),
                    sends_per_s=3.0,
                    connects_per_s=1.5,
                    about=self._scales.ids(group) if number else (),  # the first hears liquidations of all
                )
            )
        return tuple(found)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the public socket."""
        if message == b"pong":
            into.heartbeats += 1
            return
        said = orjson.loads(message)
        if "table" in said:
            self._old.read(said, receive_ns, into)
            return
        if "event" in said:
            self._control(said, into)
            return
        argument = said["arg"]
        channel = argument["channel"]
        read = self._rows.get(channel)
        if read is not None:
            read_rows(said["data"], lambda row: read(row, receive_ns, into), into)
        elif channel == "liquidation-orders":
            self._orders(said["data"], into)
        elif channel == "liquidations":  # a wrapper that a recorder put around what it had polled
            read_rows(said["data"], lambda row: self._liquidation(argument["instId"], row, into), into)
        elif channel in _NOT_NEEDED or channel.startswith(_NOT_NEEDED_FAMILIES):
            ignore(into, channel)
        else:
            raise Unreadable("unknown channel", channel)

    def _control(self, said: dict[str, Any], into: Reading) -> None:
        match said["event"]:
            case "subscribe":
                name = _id_of(said["arg"])
                self._awaits_replay |= name.startswith("liquidation-orders")
                into.acknowledged.append(name)
            case "error":
                refuse(into, said)
            case "notice" | "unsubscribe" | "channel-conn-count" as other:
                ignore(into, other)
            case other:
                raise Unreadable("unknown event", other)

    def _trade(self, row: dict[str, Any], _: int, into: Reading) -> None:
        scale = self._scales.find(row["instId"], into)
        if scale is not None:
            scale.trade(into, from_ms(row["ts"]), row["px"], row["sz"], _TAKER[row["side"]])
            if not self._told.is_repeat(into, row.get("tradeId")):
                self._followed.see(into, row.get("tradeId"), row.get("count", 1))

    def _mark(self, row: dict[str, Any], _: int, into: Reading) -> None:
        scale = self._scales.find(row["instId"], into)
        if scale is not None:
            scale.mark(into, from_ms(row["ts"]), row["markPx"])

    def _open_interest(self, row: dict[str, Any], _: int, into: Reading) -> None:
        scale = self._scales.find(row["instId"], into)
        if scale is not None:
            note_told_twice(scale, into, from_ms(row["ts"]), row["oi"], row["oiCcy"])

    def _funding(self, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.find(row["instId"], into)
        if scale is None:
            return
        rate, told = row.get("fundingRate"), row.get("ts")
        due, after = row.get("fundingTime"), row.get("nextFundingTime")
        if not rate:  # before the first payment of a new listing
            into.ignored["no funding rate yet"] += 1
            return
        time_ns = from_ms(told) if told else receive_ns  # none before 2024
        hours = hours_of(from_ms(after) - from_ms(due), HOUR_NS) if due and after else FUNDING_HOURS
        scale.funding(into, time_ns, rate, hours)

    def _orders(self, rows: list[Any], into: Reading) -> None:
        if self._awaits_replay:
            self._awaits_replay = False
            into.ignored["replayed liquidations"] += 1
            return
        for row in rows:
            name, details = row["instId"], row["details"]
            read_rows(details, lambda detail, name=name: self._liquidation(name, detail, into), into)  # type: ignore[misc]

    def _liquidation(self, name: object, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is None:
            return
        event = _closed(row, scale)
        if self._repeats.is_new(event):
            into.events.append(event)
            if row.get("posSide") in _CLOSED:
                is_closing = _CLOSED_BY[row["side"]] is event.position_side
                into.evidence.append((SIDE_TOLD, SIDE_TOLD.alternatives[0 if is_closing else 1]))
        else:
            into.ignored["repeated liquidation"] += 1

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read public/instruments."""
        said = orjson.loads(body)
        if said["code"] != "0":
            refuse(into, f"{said['code']} {said.get('msg')}")
            return
        read_rows(said["data"], lambda row: into.listings.append(_listing_of(row)), into)


_NOT_NEEDED: Final = frozenset(
    {
        "tickers",
        "bbo-tbt",
        "index-tickers",
        "price-limit",
        "opt-summary",
        "instruments",
        "trades-all",
    }
)

_NOT_NEEDED_FAMILIES: Final = ("books", "candle", "mark-price-candle", "index-candle")

_TAKER: Final = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}

SIDE_TOLD: Final = Question("side of a liquidation", ("the closing order's", "the position's"))
"""By the prints that tell posSide too; those of posSide `net` have the side alone."""

_CLOSED_BY: Final = {"sell": PositionSide.LONG, "buy": PositionSide.SHORT}

_CLOSED: Final = {"long": PositionSide.LONG, "short": PositionSide.SHORT}


def _id_of(argument: dict[str, Any]) -> str:
    return f"{argument['channel']} {argument.get('instId', argument.get('instType'))}"


def _closed(row: dict[str, Any], scale: Scale) -> Liquidation:
    side = row.get("posSide")
    return Liquidation(
        scale.instrument_id,
        from_ms(row["ts"]),
        scale.floored_price(row["bkPx"]),
        scale.quantity(row["sz"]),
        _CLOSED_BY[row["side"]] if side in ("net", "", None) else _CLOSED[side],
        PrintPrice.BANKRUPTCY,
        complete=False,
    )


def _listing_of(row: dict[str, Any]) -> VenueListing:
    size = as_fraction(row["ctVal"]) * as_fraction(row["ctMult"])
    return VenueListing(
        name=row["instId"],
        unit=size if row["ctType"] == "linear" else Fraction(1),
        price_tick=as_fraction(row["tickSz"]),
        max_leverage=floored(row["lever"], 0) if row["lever"] else None,
        is_trading=row["state"] == "live",
    )


OKX: Final = Venue(
    name="okx",
    instruments_of="okx",
    dialect=OkxDialect,
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    history=OkxHistory,
)
