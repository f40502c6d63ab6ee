"""Gate's perpetuals settled in USDT, USD1 and BTC.

Sources: copies of the vendor's documents of August 2026 and real messages of 2018 to 2026. Sizes are contracts, signed:
of a trade + is a taker buy. Whether total_size counts one side is UNVERIFIED; it is taken as it is, as aggregators do.

The sign of a liquidation on public_liquidates is a CONFLICT: the text of the stream calls it the order's (- sold, so a
long was closed), that of the REST list the position's. The documented one is believed until the prints say otherwise:
a long is closed below the mark price and a short above it, and each print that is clearly on one side is a vote. On
the older futures.liquidates the sign is that of the position, as entry and liquidation price of a row show. What the
price of public_liquidates is, is not documented. Since 2026-08-20 nothing is dropped, and times are milliseconds,
which tells such rows from older ones. What is sent carries the time of sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues.dialect import (
    NOW_SECONDS,
    Budget,
    Channel,
    Completeness,
    Dialect,
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
from liqscape.feeds.venues.gate_history import GateHistory
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbered import Followed
from liqscape.feeds.venues.numbers import as_fraction, decimal_text, floored
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.repeats import Repeats, TradesTold
from liqscape.feeds.venues.scale import Scale
from liqscape.feeds.venues.wanted import Wanted, from_ms, from_seconds, hours_of
from liqscape.instruments import Instrument

REST: Final = "https://api.gateio.ws/api/v4/futures"

NAMES_PER_CONNECTION: Final = 100
"""Contracts, two channels each; 300 connections are allowed."""

NAMES_PER_MESSAGE: Final = 50
"""Contracts in a subscription: 1 KB."""

FUNDING_HOURS: Final = 8
"""Between payments until the list of contracts has said otherwise."""

CLEAR_OF_MARK: Final = 1000
"""A print votes on the meaning of the sign when it is this part of the mark price away from it: 0.1 %."""

MILLISECONDS_FROM: Final = 10**11
"""A time above is told in milliseconds: in seconds it would be of the year 5138."""


SIGN: Final = Question("sign of a liquidation's size", ("the order's", "the position's"))
"""By the prints clear of the mark; the parser counts the same votes of its connection, and follows them."""


class GateDialect:
    """See Dialect.

    Args:
        listings: of one settlement.
        settle: usdt, usd1 or btc.
    """

    def __init__(self, listings: Sequence[Listing], settle: str) -> None:
        self._scales = Wanted(listings)
        self._settle = settle
        self._hours: dict[str, int] = {}
        self._told = TradesTold()
        self._followed = Followed()
        self._pushes = Repeats()
        self._marks: dict[str, int] = {}
        self._order_votes = 0
        self.endpoints: Sequence[Endpoint] = self._endpoints()
        self.polls: Sequence[Poll] = (
            Poll(
                name="listings",
                request=Request(f"{REST}/{settle}/contracts"),
                every_s=86_400.0,
                channels=frozenset(),
            ),
        )
        self.budgets: Sequence[Budget] = (Budget("rest", 100, 10.0),)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        found = []
        for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION)):
            asked = [(channel, part) for channel in _CHANNELS for part in batches(group, NAMES_PER_MESSAGE)]
            if number == 0:
                asked.append(("futures.public_liquidates", ("!all",)))
            found.append(
                Endpoint(
                    name=f"{self._settle}-{number}",
                    url=f"wss://fx-ws.gateio.ws/v4/ws/{self._settle}",
                    subscribe=tuple(
                        to_json(
                            {"time": _NOW, "id": index + 1, "channel": channel, "event": "subscribe", "payload": names}
                        )
                        for index, (channel, names) in enumerate(asked)
                    ),
                    acknowledgements=frozenset(str(index + 1) for index in range(len(asked))),
                    channels=frozenset(Channel) if number == 0 else frozenset(Channel) - {Channel.LIQUIDATIONS},
                    control=Channel.MARK,
                    control_s=30.0,
                    ping=Ping(to_json({"time": _NOW, "channel": "futures.ping"}), 10.0),
                    about=self._scales.ids(group) if number else (),  # the first hears liquidations of all
                )
            )
        return tuple(found)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of a futures socket."""
        said = orjson.loads(message)
        channel, event = said["channel"], said.get("event")
        if channel == "futures.pong":
            into.heartbeats += 1
        elif said.get("error"):
            refuse(into, said)
        elif event == "subscribe" or event == "unsubscribe":
            _confirmed(said, into)
        elif channel in _NOT_NEEDED or channel.startswith("spot."):
            ignore(into, channel)
        elif channel == "futures.trades":
            read_rows(_rows(said), lambda row: self._trade(row, into), into)
        elif channel == "futures.tickers":
            time_ns = from_ms(said["time_ms"]) if "time_ms" in said else from_seconds(said["time"])
            read_rows(_rows(said), lambda row: self._ticker(row, time_ns, into), into)
        elif channel == "futures.public_liquidates":
            if self._pushes.is_new_push(message, said.get("time_ms")):  # each second, or sooner when there are many
                read_rows(_rows(said), lambda row: self._liquidation(row, into), into)
            else:
                into.ignored["liquidations again"] += 1
        elif channel == "futures.liquidates":
            read_rows(_rows(said), lambda row: self._own_liquidation(row, into), into)
        else:
            raise Unreadable("unknown channel", channel)

    def _trade(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["contract"], into)
        if scale is None:
            return
        if row.get("is_internal"):  # of the insurance fund, or deleveraging: away from the market, on no candle
            into.ignored["trade of the venue itself"] += 1
            self._followed.pass_over(scale.instrument_id, row.get("id"))
            return
        size, is_sold = _size_of(row["size"])
        time_ns = from_ms(row["create_time_ms"]) if "create_time_ms" in row else from_seconds(row["create_time"])
        scale.trade(into, time_ns, row["price"], size, TakerSide.SELL if is_sold else TakerSide.BUY)
        if not self._told.is_repeat(into, row.get("id")):
            self._followed.see(into, row.get("id"))

    def _ticker(self, row: dict[str, Any], time_ns: int, into: Reading) -> None:
        name = row["contract"]
        scale = self._scales.find(name, into)
        if scale is None:
            return
        price = scale.floored_price(row["mark_price"])
        self._marks[name] = price
        scale.mark(into, time_ns, row["mark_price"])
        scale.open_interest(into, time_ns, row["total_size"])
        rate = row.get("funding_rate")
        if rate:  # contracts with a date have none
            hours = self._hours.get(name, FUNDING_HOURS)
            scale.funding(into, time_ns, rate, hours)

    def _liquidation(self, row: dict[str, Any], into: Reading) -> None:
        name, time = row["contract"], row["time"]
        scale = self._scales.find(name, into)
        if scale is None:
            return
        size, is_minus = _size_of(row["size"])
        in_ms = type(time) is int and time >= MILLISECONDS_FROM
        time_ns = from_ms(time) if in_ms else _time_of(row)
        price, quantity = scale.floored_price(row["price"]), scale.quantity(size)
        closed_long = is_minus == self._is_of_the_order(name, price, is_minus, into)
        into.events.append(
            Liquidation(
                scale.instrument_id,
                time_ns,
                price,
                quantity,
                PositionSide.LONG if closed_long else PositionSide.SHORT,
                PrintPrice.UNKNOWN,
                complete=in_ms,
            )
        )

    def _is_of_the_order(self, name: str, price: int, is_minus: bool, into: Reading) -> bool:
        """Return whether the sign is believed to be that of the order, after this print has voted."""
        mark = self._marks.get(name)
        if mark is not None and abs(price - mark) * CLEAR_OF_MARK >= mark:
            is_order = is_minus == (price < mark)
            self._order_votes += 1 if is_order else -1
            into.evidence.append((SIGN, SIGN.alternatives[0 if is_order else 1]))
        return self._order_votes >= 0

    def _own_liquidation(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["contract"], into)
        if scale is not None:
            into.events.append(_own(row, scale))

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read contracts."""
        said = orjson.loads(body)
        if isinstance(said, dict):
            refuse(into, said)
            return
        read_rows(said, lambda row: self._listing(row, into), into)

    def _listing(self, row: dict[str, Any], into: Reading) -> None:
        seconds = row.get("funding_interval")
        if seconds:
            self._hours[row["name"]] = hours_of(floored(seconds, 0), 3600)
        is_inverse = row["type"] == "inverse"
        into.listings.append(
            VenueListing(
                name=row["name"],
                unit=Fraction(1) if is_inverse else as_fraction(row["quanto_multiplier"]),
                price_tick=as_fraction(row["order_price_round"]),
                max_leverage=floored(row["leverage_max"], 0),
                is_trading=not row["in_delisting"],
            )
        )


def _confirmed(said: dict[str, Any], into: Reading) -> None:
    if said["result"]["status"] != "success":
        refuse(into, said)
    elif said.get("id") is not None:
        into.acknowledged.append(str(said["id"]))
    else:  # of a recording whose client gave none
        into.ignored["acknowledgement without an id"] += 1


def _rows(said: dict[str, Any]) -> list[Any]:
    rows = said["result"]
    return rows if isinstance(rows, list) else [rows]  # one alone, until 2022


def _size_of(value: object) -> tuple[str, bool]:
    """Return the size without its sign, and whether that is a minus."""
    text = decimal_text(value)
    return (text[1:], True) if text.startswith("-") else (text, False)


def _time_of(row: dict[str, Any]) -> int:
    return from_ms(row["time_ms"]) if "time_ms" in row else from_seconds(row["time"])


def _own(row: dict[str, Any], scale: Scale) -> Liquidation:
    size, is_short = _size_of(row["size"])
    return Liquidation(
        scale.instrument_id,
        _time_of(row),
        scale.floored_price(row["fill_price"]),
        scale.quantity(size),
        PositionSide.SHORT if is_short else PositionSide.LONG,
        PrintPrice.FILL,
        complete=False,
    )


_NOW: Final = NOW_SECONDS.strip('"')

_CHANNELS: Final = ("futures.trades", "futures.tickers")

_NOT_NEEDED: Final = frozenset(
    {
        "futures.book_ticker",
        "futures.candlesticks",
        "futures.contract_info",
        "futures.contract_stats",
        "futures.obu",
        "futures.order_book",
        "futures.order_book_update",
    }
)


def settled_in(instrument: Instrument) -> str:
    """Return the settlement of a contract, which is part of every address."""
    if instrument.is_inverse:
        return "btc"
    return "usd1" if instrument.name.endswith("_USD1") else "usdt"


def _venue(settle: str) -> Venue:
    def takes(instrument: Instrument) -> bool:
        return settled_in(instrument) == settle

    def dialect(listings: Sequence[Listing]) -> Dialect:
        return GateDialect(listings, settle)

    return Venue(
        name=f"gate-{settle}",
        instruments_of="gate",
        takes=takes,
        dialect=dialect,
        liquidations=Completeness.FULL,
        provenance="recorded",
        history=lambda listing: GateHistory(listing, settle),
    )


GATE_USDT: Final = _venue("usdt")

GATE_USD1: Final = _venue("usd1")

GATE_BTC: Final = _venue("btc")
