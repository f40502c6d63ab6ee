"""Bitfinex's perpetuals, tBTCF0:USTF0 and the like.

Sources: copies of the vendor's documents and real messages of 2019 to 2024. Data are arrays that begin with the number
of a channel, which the answer to its subscription gives; recorders put the channel's name beside it, as a dict in its
place or as two texts at the end. A trade is told as executed (te) and again with its number (tu): the first counts.

Once the flags for it are confirmed, every array of the connection, beats of its heart included, ends with its running
number and the time of sending (so the documents and a client library that insists on it; the two recorded ones of one
connection follow each other): a message that is missing is a gap of everything subscribed to, one told again is left
out.

Liquidations are told for all instruments, complete by design. A row of isMatch 0 is the trigger with the whole
position, of isMatch 1 an execution of part of it: the former counts. Its amount is the position, + long. Its base price
is that of the entry, which is no price of a liquidation: the price acquired at is taken where it is told, else the mark
price heard last, and without either the row is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from liqscape.events import Gap, Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues.bitfinex_history import BitfinexHistory
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
from liqscape.feeds.venues.numbered import Counted, Step
from liqscape.feeds.venues.numbers import as_fraction, decimal_text
from liqscape.feeds.venues.readings import Question
from liqscape.feeds.venues.scale import MS, SECOND
from liqscape.feeds.venues.wanted import Wanted, from_ms

REST: Final = "https://api-pub.bitfinex.com/v2"

NAMES_PER_CONNECTION: Final = 12
"""Instruments, two subscriptions each: a connection takes 25."""

MAX_CHANNELS: Final = 64
"""Confirmed of one connection, which takes 25, more in earlier years: whatever is told, what is kept is bounded."""

FUNDING_HOURS: Final = 8
"""Between payments, of every contract."""

FLAGS: Final = 98_304
"""Running numbers and times at the end of each message."""

LATE_NS: Final = 3 * SECOND
"""By which what a message tells may be older than its time of sending: 2.3 s have been recorded, of a status."""


class BitfinexDialect:
    """See Dialect.

    Args:
        listings: perpetuals.
    """

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = Wanted(listings)
        self._channels: dict[int, tuple[str, str]] = {}
        self._marks: dict[str, object] = {}
        self._hears_executed = False
        self._counted: Counted | None = None  # from the confirmation of the flags on
        self._sent_ns = 0  # of the newest message that was numbered
        self.endpoints: Sequence[Endpoint] = tuple(
            _endpoint(number, group, self._scales.ids(group))
            for number, group in enumerate(batches(self._scales.names, NAMES_PER_CONNECTION))
        )
        self.polls: Sequence[Poll] = (
            Poll(
                name="listings",
                request=Request(f"{REST}/conf/pub:info:pair:futures"),
                every_s=86_400.0,
                channels=frozenset(),
            ),
        )
        self.budgets: Sequence[Budget] = (Budget("rest", 15, 60.0),)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the public socket."""
        said = orjson.loads(message)
        if isinstance(said, dict):
            self._control(said, into)
            return
        if self._counted is not None and not self._is_new(self._counted, said, into):
            into.ignored["message again"] += 1
            return
        told = said[1]
        if told == "hb":
            into.heartbeats += 1
            return
        channel, key = self._channel(said)
        if channel == "trades":
            self._trades(_name_of(key), told, said, into)
        elif key == "liq:global" or channel == "liquidations":
            read_rows(told, lambda row: self._liquidation(row, into), into)
        elif channel == "status":
            self._status(_name_of(key.removeprefix("deriv:")), told, into)
        elif channel in _NOT_NEEDED:
            ignore(into, channel)
        else:
            raise Unreadable("unknown channel", channel)

    def _control(self, said: dict[str, Any], into: Reading) -> None:
        match said["event"]:
            case "subscribed":
                channel, key = said["channel"], said.get("key") or said.get("symbol")
                if type(said["chanId"]) is not int or not (isinstance(channel, str) and isinstance(key, str)):
                    raise Unreadable("subscription without a channel", said)
                if len(self._channels) >= MAX_CHANNELS and said["chanId"] not in self._channels:
                    raise Unreadable("more channels than a connection has", said)
                self._channels[said["chanId"]] = channel, key
                into.acknowledged.append(f"{channel} {key}")
            case "pong" | "info":
                into.heartbeats += 1
            case "conf":
                if said.get("status") != "OK":
                    refuse(into, said)
                else:
                    into.ignored["conf"] += 1
                    if said.get("flags", FLAGS) == FLAGS:
                        self._counted = Counted()
            case "error":
                refuse(into, said)
            case other:
                raise Unreadable("unknown event", other)

    def _is_new(self, counted: Counted, said: list[Any], into: Reading) -> bool:
        """Return whether a message was not told before; note a gap where some before it were not told at all."""
        number, sent_ms = said[-2:]
        if type(number) is not int or type(sent_ms) is not int:
            into.ignored["message without a number"] += 1
            return True
        sent_ns, since_ns = from_ms(sent_ms), self._sent_ns
        step = counted.step(number)
        if step is Step.AGAIN:
            if sent_ns <= since_ns:
                return False
            counted.begin_anew(number)  # sent after it: the venue counts anew
            step = Step.MISSED
        self._sent_ns = sent_ns
        if step is Step.MISSED:
            first, last = sorted((since_ns, sent_ns))
            into.events += [Gap(name, first - LATE_NS, last + MS, "messages are missing") for name in self._heard()]
        return True

    def _heard(self) -> tuple[str, ...]:
        """Return the instrument ids that the connection tells something of."""
        keys = {key for _, key in self._channels.values()}
        if "liq:global" in keys:
            return self._scales.ids(self._scales.names)
        names = {_name_of(key.removeprefix("deriv:")) for key in keys}
        return self._scales.ids(name for name in self._scales.names if name in names)

    def _channel(self, said: list[Any]) -> tuple[str, str]:
        first = said[0]
        if isinstance(first, dict):
            return first["channel"], first.get("symbol") or first.get("key") or ""
        if type(said[-1]) is str and type(said[-2]) is str:
            return said[-2], said[-1]
        found = self._channels.get(first)
        if found is None:
            raise Unreadable("channel without a subscription", first)
        return found

    def _trades(self, name: str, told: Any, said: list[Any], into: Reading) -> None:
        if told == "te":
            self._hears_executed = True
            self._trade(name, said[2], into)
        elif told == "tu":
            if self._hears_executed:
                into.ignored["trade again"] += 1
            else:
                self._trade(name, said[2], into)
        elif isinstance(told, list):  # what was traded before the subscription
            into.ignored["replayed trades"] += 1
        else:
            raise Unreadable("unknown trade message", told)

    def _trade(self, name: str, row: list[Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            _, time_ms, amount, price = row
            size, is_sold = _size_of(amount)
            scale.trade(into, from_ms(time_ms), price, size, TakerSide.SELL if is_sold else TakerSide.BUY)

    def _status(self, name: str, row: list[Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is None:
            return
        time_ns, mark = from_ms(row[_TIME]), row[_MARK]
        scale.mark(into, time_ns, mark)
        self._marks[name] = mark
        interest = row[_INTEREST] if len(row) > _INTEREST else None  # not told in 2019
        if interest is not None:
            scale.open_interest(into, time_ns, interest)
        if row[_FUNDING] is not None:
            scale.funding(into, time_ns, row[_FUNDING], FUNDING_HOURS)

    def _liquidation(self, row: list[Any], into: Reading) -> None:
        _, _, time_ms, _, name, amount, _, _, is_match, _, _, acquired = row
        scale = self._scales.find(name, into)
        if scale is None:
            return
        if is_match:
            into.ignored["execution of a liquidation"] += 1
            return
        price = self._marks.get(name) if acquired is None else acquired
        if price is None:
            raise Unreadable("liquidation without a price", row)
        size, is_short = _size_of(amount)
        into.events.append(
            Liquidation(
                scale.instrument_id,
                from_ms(time_ms),
                scale.floored_price(price),
                scale.quantity(size),
                PositionSide.SHORT if is_short else PositionSide.LONG,
                PrintPrice.UNKNOWN if acquired is None else PrintPrice.FILL,
            )
        )

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read conf/pub:info:pair:futures."""
        said = orjson.loads(body)
        if said[0] == "error":
            refuse(into, said)
            return
        read_rows(said[0], lambda row: self._listing(row, into), into)

    def _listing(self, row: list[Any], into: Reading) -> None:
        listing = _listing_of(row)
        into.listings.append(listing)
        initial, maintenance = row[1][_INITIAL_MARGIN : _INITIAL_MARGIN + 2]
        if listing.name in self._scales.names and initial is not None:
            is_margin = maintenance is not None and 0 < as_fraction(maintenance) <= as_fraction(initial) <= 1
            into.evidence.append((MARGIN_PLACES, MARGIN_PLACES.alternatives[0 if is_margin else 1]))


def _endpoint(number: int, names: Sequence[str], about: tuple[str, ...]) -> Endpoint:
    asked = [("trades", "symbol", name) for name in names]
    asked += [("status", "key", f"deriv:{name}") for name in names]
    if number == 0:
        asked.append(("status", "key", "liq:global"))
    channels = {Channel.TRADES, Channel.MARK, Channel.OPEN_INTEREST, Channel.FUNDING}
    return Endpoint(
        name=f"public-{number}",
        url="wss://api-pub.bitfinex.com/ws/2",
        subscribe=(
            to_json({"event": "conf", "flags": FLAGS}),
            *(to_json({"event": "subscribe", "channel": channel, kind: key}) for channel, kind, key in asked),
        ),
        acknowledgements=frozenset(f"{channel} {key}" for channel, _, key in asked),
        channels=frozenset(channels | {Channel.LIQUIDATIONS} if number == 0 else channels),
        control=Channel.MARK,
        control_s=60.0,
        ping=Ping(to_json({"event": "ping", "cid": 1}), 20.0),
        connects_per_s=0.15,
        about=about if number else (),  # the first hears liquidations of all
    )


def _name_of(key: str) -> str:
    """Return the name of an instrument, which recorders write without the t in front."""
    return key if key.startswith("t") else f"t{key}"


def _size_of(value: object) -> tuple[str, bool]:
    """Return an amount without its sign, and whether that is a minus."""
    text = decimal_text(value)
    return (text[1:], True) if text.startswith("-") else (text, False)


def _listing_of(row: list[Any]) -> VenueListing:
    name, facts = row
    initial_rate = facts[_INITIAL_MARGIN]
    leverage = None if initial_rate is None else int(1 / as_fraction(initial_rate))
    return VenueListing(name=f"t{name}", unit=Fraction(1), max_leverage=leverage)


_TIME: Final = 0
_FUNDING: Final = 11
_MARK: Final = 14
_INTEREST: Final = 17
"""Places in an array of the status of a derivative."""

MARGIN_PLACES: Final = Question("places of the margin in the list of contracts", ("8 and 9", "others"), needs=2)
"""A maintenance rate behind an initial one, which is no smaller: nothing else in the list looks so."""

_INITIAL_MARGIN: Final = 8
"""Place in the facts of a contract, by the documents (UNVERIFIED by a real answer)."""

_NOT_NEEDED: Final = frozenset({"ticker", "book", "raw_book", "candles"})


BITFINEX: Final = Venue(
    name="bitfinex",
    instruments_of="bitfinex",
    dialect=BitfinexDialect,
    liquidations=Completeness.FULL,
    provenance="recorded",
    history=BitfinexHistory,
)
