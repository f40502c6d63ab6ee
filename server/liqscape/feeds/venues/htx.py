"""HTX swaps, linear and coin-margined.

Sources: copies of the vendor's documents of 2026 and real messages of 2019 to 2026. Every frame is gzip. Each kind has
a socket of its own: the market's (trades), the index's (mark price, as candles of a minute: its shape is UNVERIFIED),
that of notifications (liquidations, funding); open interest is asked for. Quantities are contracts.

Trades count both sides: all 48 recorded amounts are even. The first odd one would refute that, and sizes would be read
as they are from it on. Open interest counts one side: amounts of it are odd. A liquidation's direction is that of the
closing order; its price is the bankruptcy price (the name of the same field in the REST list; UNVERIFIED here), and
whether all are told is UNVERIFIED: 0.23 a minute have been seen. The first push of trades repeats the latest one, of
before the subscription, just before its confirmation or just after (10 of 10 recorded ones, half a second old or more).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import Gap, Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues.dialect import (
    MAX_MESSAGE_BYTES,
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
from liqscape.feeds.venues.htx_history import HtxHistory
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.repeats import TradesTold
from liqscape.feeds.venues.wanted import LAST_NS, MINUTE_NS, Wanted, from_ms, note_told_twice

HOST: Final = "api.hbdm.com"

NAMES_PER_CONNECTION: Final = 60
"""Topics, each asked for by a message of its own."""

OPEN_INTEREST_S: Final = 4.0
"""As often as recorders ask: 15 a minute for each instrument."""

FUNDING_HOURS: Final = 8
"""Between payments: the messages do not say; that of every large pair."""

GZIP: Final = b"\x1f\x8b"

WINDOW_BITS: Final = 31
"""Of zlib, for gzip alone."""


SIDES_COUNTED: Final = Question("amounts of trades", ("they count both sides", "they count one side"), needs=1)
"""An odd one is no sum of two sides."""

RATES: Final = Question("notifications of funding", ("each minute", "more seldom"), needs=5)
"""They are the sign of life of their connection."""

MARKS: Final = Question("topic of mark prices", ("told",), needs=1)


class HtxDialect:
    """See Dialect.

    Args:
        listings: of one kind of margin.
        kind: linear-swap or swap.
    """

    def __init__(self, listings: Sequence[Listing], kind: str) -> None:
        self._scales = Wanted(listings)
        self._kind = kind
        self._heard: set[str] = set()
        self._rates_told: dict[str, int] = {}
        self._told = TradesTold()
        self._confirmed: dict[str, int] = {}  # when, by topic
        self._counts_both_sides = True
        self._public: Mapping[str, Callable[[dict[str, Any], int, Reading], None]] = {
            "liquidation_orders": self._liquidation,
            "funding_rate": self._funding,
        }
        self.endpoints: Sequence[Endpoint] = (
            *self._markets("trades", f"wss://{HOST}/{kind}-ws", "trade.detail", Channel.TRADES),
            *self._markets("marks", f"wss://{HOST}/ws_index", "mark_price.1min", Channel.MARK),
            self._notifications(),
        )
        self.polls: Sequence[Poll] = self._polls()
        self.budgets: Sequence[Budget] = (Budget("rest", 60, 3.0),)

    def _markets(self, name: str, url: str, suffix: str, channel: Channel) -> tuple[Endpoint, ...]:
        return tuple(
            Endpoint(
                name=f"{name}-{number}",
                url=url,
                subscribe=tuple(
                    to_json({"sub": f"market.{each}.{suffix}", "id": str(index + 1)})
                    for index, each in enumerate(group)
                ),
                acknowledgements=frozenset(str(index + 1) for index in range(len(group))),
                channels=frozenset({channel}),
                control=channel,
                control_s=60.0,
                sends_per_s=10.0,
                protocol_ping_s=None,
                about=self._scales.ids(group),
            )
            for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION))
        )

    def _notifications(self) -> Endpoint:
        topics = ("public.*.liquidation_orders", "public.*.funding_rate")
        return Endpoint(
            name="notifications",
            url=f"wss://{HOST}/{self._kind}-notification",
            subscribe=tuple(
                to_json({"op": "sub", "cid": str(index + 1), "topic": topic}) for index, topic in enumerate(topics)
            ),
            acknowledgements=frozenset(str(index + 1) for index in range(len(topics))),
            channels=frozenset({Channel.LIQUIDATIONS, Channel.FUNDING}),
            control=Channel.FUNDING,  # told for every contract each minute
            control_s=180.0,
            protocol_ping_s=None,
        )

    def _polls(self) -> tuple[Poll, ...]:
        linear = self._kind == "linear-swap"
        path = "v5/market/open_interest" if linear else "swap-api/v1/swap_open_interest"
        rules = "linear-swap-api" if linear else "swap-api"
        samples = (
            Poll(
                name=f"open_interest {name}",
                request=Request(f"https://{HOST}/{path}", {"contract_code": name}),
                every_s=OPEN_INTEREST_S,
                channels=frozenset({Channel.OPEN_INTEREST}),
            )
            for name in self._scales.names
        )
        listings = Poll(
            name="listings",
            request=Request(f"https://{HOST}/{rules}/v1/swap_contract_info"),
            every_s=86_400.0,
            channels=frozenset(),
        )
        return (listings, *samples)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a frame of any of the sockets, packed or not."""
        said = orjson.loads(inflated(message) if message.startswith(GZIP) else message)
        if "ping" in said:
            into.replies.append(to_json({"pong": _echo(said["ping"])}))
            into.heartbeats += 1
        elif "ch" in said:
            self._market(said, receive_ns, into)
        elif "op" in said:
            self._notified(said, into)
        elif said.get("status") == "ok" and "subbed" in said:
            into.acknowledged.append(str(said["id"]))
            self._confirm(said["subbed"], said.get("ts"))
        elif said.get("status") == "error":
            refuse(into, said)
        else:
            raise Unreadable("unknown message", said)

    def _market(self, said: dict[str, Any], receive_ns: int, into: Reading) -> None:
        topic = said["ch"]
        _, name, kind = topic.split(".", 2)
        if kind == "trade.detail":
            first = topic not in self._heard and name in self._scales.names
            if first:
                self._heard.add(topic)
            from_ns = self._confirmed.get(topic, LAST_NS) if first else 0
            read_rows(said["tick"]["data"], lambda row: self._trade(name, row, from_ns, into), into)
        elif kind.startswith("mark_price."):
            scale = self._scales.find(name, into)
            if scale is not None:
                scale.mark(into, from_ms(said["ts"]), said["tick"]["close"])
                if f"{name} mark" not in self._heard:  # whatever the topic is called beyond: what is kept is bounded
                    self._heard.add(f"{name} mark")
                    into.evidence.append((MARKS, MARKS.alternatives[0]))
        elif kind == "open_interest":  # a wrapper that a recorder put around what it had polled
            read_rows(said["data"], lambda row: self._open_interest(row, said["ts"], into), into)
        elif kind.startswith(_NOT_NEEDED):
            ignore(into, kind.partition(".")[0])
        else:
            raise Unreadable("unknown channel", topic)

    def _confirm(self, topic: object, time_ms: object) -> None:
        parts = topic.split(".") if isinstance(topic, str) else ()
        if len(parts) > 1 and parts[1] in self._scales.names and time_ms is not None:  # bounded by what is wanted
            self._confirmed[f"market.{parts[1]}.trade.detail"] = from_ms(time_ms)

    def _trade(self, name: str, row: dict[str, Any], from_ns: int, into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is None:
            return
        time_ns = from_ms(row["ts"])
        if time_ns < from_ns:
            into.ignored["replayed trade"] += 1
            return
        side = row["direction"]
        if not side:  # some rows of 2022
            raise Unreadable("no taker side", row)
        scale.trade(into, time_ns, row["price"], self._one_sided(row["amount"], time_ns, into), _TAKER[side])
        self._told.is_repeat(into, row.get("id"))

    def _one_sided(self, amount: object, time_ns: int, into: Reading) -> object:
        """Return the amount of one side; the first odd one shows that it always was, which is a gap of all."""
        if self._counts_both_sides:
            half, odd = divmod(as_fraction(amount) if type(amount) is not int else amount, 2)
            if not odd:
                return int(half)
            self._counts_both_sides = False
            into.evidence.append((SIDES_COUNTED, SIDES_COUNTED.alternatives[1]))
            into.events += [
                Gap(name, time_ns, time_ns + 1, "counted otherwise") for name in self._scales.ids(self._scales.names)
            ]
        return amount

    def _notified(self, said: dict[str, Any], into: Reading) -> None:
        kind = said["op"]
        if kind == "ping":
            into.replies.append(to_json({"op": "pong", "ts": _echo(said["ts"])}))
            into.heartbeats += 1
        elif kind == "notify":
            topic = said["topic"].rpartition(".")[2]
            read = self._public.get(topic)
            if read is not None:
                read_rows(said["data"], lambda row: read(row, from_ms(said["ts"]), into), into)
            elif topic == "contract_info":
                ignore(into, topic)
            else:
                raise Unreadable("unknown topic", said["topic"])
        elif kind == "sub" and said["err-code"] in (0, _COVERED):
            into.acknowledged.append(str(said["cid"]))
        elif kind in ("sub", "error", "close"):
            refuse(into, said)
        else:
            raise Unreadable("unknown message", said)

    def _liquidation(self, row: dict[str, Any], _: int, into: Reading) -> None:
        scale = self._scales.find(row["contract_code"], into)
        if scale is not None:
            into.events.append(
                Liquidation(
                    scale.instrument_id,
                    from_ms(row["created_at"]),
                    scale.floored_price(row["price"]),
                    scale.quantity(row["volume"]),
                    _CLOSED_BY[row["direction"]],
                    PrintPrice.BANKRUPTCY,
                    complete=False,
                )
            )

    def _funding(self, row: dict[str, Any], time_ns: int, into: Reading) -> None:
        scale = self._scales.find(row["contract_code"], into)
        if scale is not None:
            scale.funding(into, time_ns, row["funding_rate"], FUNDING_HOURS)
            before_ns = self._rates_told.get(row["contract_code"], time_ns)
            self._rates_told[row["contract_code"]] = time_ns
            if before_ns < time_ns:
                into.evidence.append((RATES, RATES.alternatives[time_ns - before_ns > 2 * MINUTE_NS]))

    def _open_interest(self, row: dict[str, Any], time_ms: object, into: Reading) -> None:
        scale = self._scales.find(row["contract_code"], into)
        if scale is not None:
            note_told_twice(scale, into, from_ms(time_ms), row["volume"], row["amount"])

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read open_interest of v5 and of before, or swap_contract_info."""
        said = orjson.loads(body)
        if said.get("code", 200) != 200 or said.get("status", "ok") != "ok":
            refuse(into, said)
            return
        rows = said["data"] if isinstance(said["data"], list) else [said["data"]]
        if poll.channels:
            read_rows(rows, lambda row: self._open_interest(row, said["ts"], into), into)
        else:
            is_linear = self._kind == "linear-swap"
            read_rows(rows, lambda row: into.listings.append(_listing_of(row, is_linear)), into)


def inflated(message: bytes) -> bytes:
    """Return what a gzip frame holds.

    Raises:
        Unreadable: it is none, or holds more than MAX_MESSAGE_BYTES; no more is unpacked.
    """
    inflate = zlib.decompressobj(WINDOW_BITS)
    try:
        text = inflate.decompress(message, MAX_MESSAGE_BYTES)
    except zlib.error as error:
        raise Unreadable("no gzip", error) from error
    if not inflate.eof:
        raise Unreadable("too large" if inflate.unconsumed_tail else "cut gzip", f"{len(message)} bytes packed")
    return text


def _echo(value: object) -> object:
    """Return what a ping told, to be told back as it was: a number, or text on the notification sockets."""
    if type(value) is int or (type(value) is str and len(value) <= _LONGEST_ECHO):
        return value
    raise Unreadable("ping of another shape", value)


_NOT_NEEDED: Final = ("depth", "kline", "detail", "basis", "bbo", "premium_index", "estimated_rate", "index")

_COVERED: Final = 2014
"""Error that says only that a wider subscription has this one in it."""

_LONGEST_ECHO: Final = 40

_TAKER: Final = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}

_CLOSED_BY: Final = {"sell": PositionSide.LONG, "buy": PositionSide.SHORT}


def _listing_of(row: dict[str, Any], is_linear: bool) -> VenueListing:
    return VenueListing(
        name=row["contract_code"],
        unit=as_fraction(row["contract_size"]) if is_linear else Fraction(1),
        price_tick=as_fraction(row["price_tick"]),
        is_trading=row["contract_status"] == 1,
    )


_LINEAR: Final = "linear-swap"

_COIN: Final = "swap"

HTX_LINEAR: Final = Venue(
    name="htx-linear",
    instruments_of="htx",
    takes=lambda instrument: not instrument.is_inverse,
    dialect=lambda listings: HtxDialect(listings, _LINEAR),
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    history=lambda listing: HtxHistory(listing, _LINEAR),
)

HTX_COIN: Final = Venue(
    name="htx-coin",
    instruments_of="htx",
    takes=lambda instrument: instrument.is_inverse,
    dialect=lambda listings: HtxDialect(listings, _COIN),
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    history=lambda listing: HtxHistory(listing, _COIN),
)
