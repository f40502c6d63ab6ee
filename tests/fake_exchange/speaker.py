"""What a venue's file of the fake exchange gives: the other side of its dialect, small and by the documents.

To add a venue: write a VenueSpeaker in a file of its own beside this one and list it in every_venue.py. What it says
follows the venue's documents and real messages, never what our dialect happens to read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any, ClassVar

import orjson

from liqscape.events import (
    QUANTITY_DECIMALS,
    Event,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    PrintPrice,
    TakerSide,
    Trade,
)
from liqscape.feeds.venues.dialect import Listing
from liqscape.instruments import MaintenanceTier

MS = 1_000_000

SECOND_NS = 1_000_000_000

RECENT = 3
"""Old trades that a venue repeats when it is subscribed to."""

Message = str | bytes


@dataclass(slots=True, eq=False)
class Ear:
    """What a venue knows of one connection.

    Attributes:
        path, query: of its address.
        topics: what it has asked for and is told.
        heard_ns: when it last said something, or was opened.
        pinged_ns: when it was last asked for a sign of life.
        unanswered: how often it was asked since it gave one.
        number: of the newest message, where a venue numbers those of a connection.
    """

    path: str
    query: Mapping[str, str]
    heard_ns: int
    pinged_ns: int
    topics: set[str] = field(default_factory=set)
    unanswered: int = 0
    number: int = 0


Said = tuple[str, Message | Callable[[Ear], Message]]
"""A topic, and the message for all who have asked for it; or what makes it for each."""


@dataclass(frozen=True, slots=True)
class Prints:
    """How a venue prints liquidations.

    Attributes:
        price: what their price is.
        complete: whether all of them are printed.
        is_trade: whether a print is a row of the trades, which the model counts as one too.
    """

    price: PrintPrice
    complete: bool
    is_trade: bool = False


class VenueSpeaker:
    """A venue as it speaks. The base: what is alike, and silence for the rest.

    Args:
        listings: what it trades.
        hosts: of its addresses.

    Attributes:
        prints: of liquidations; None: there are none.
        ping_s: seconds between its demands for a sign of life; None: it makes none.
        forgiven: demands that may go unanswered; with one more it cuts the connection.
        silence_s: seconds after which it cuts who says nothing; None: it never does.
        tables: margin tables by instrument id, as shipped until a test says otherwise.
        hides: paths of addresses that are answered with 404.
    """

    prints: ClassVar[Prints | None] = None
    ping_s: ClassVar[float | None] = None
    forgiven: ClassVar[int] = 2
    silence_s: ClassVar[float | None] = None

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        self.hosts = hosts
        self.listings = {listing.instrument_id: listing for listing in listings}
        self.named = {listing.name: listing for listing in listings}
        self.marks: dict[str, MarkPrice] = {}
        self.interest: dict[str, int] = {}
        self.hides: frozenset[str] = frozenset()
        self.tables = {name: each.instrument.maintenance_tiers for name, each in self.listings.items()}
        self.rates: dict[str, int] = dict.fromkeys(self.listings, 100_000)
        self.recent: dict[str, deque[tuple[Trade | Liquidation, int]]] = {
            name: deque(maxlen=RECENT) for name in self.listings
        }

    def admits(self, ear: Ear) -> bool:
        """Return whether a connection may be opened there."""
        return True

    def greet(self, ear: Ear) -> list[Message]:
        """Return what is said to a new connection."""
        return []

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        """Return what is said at once to a message: confirmations, first pushes, pongs. Notes topics in the ear."""
        return []

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        """Return a demand for a sign of life, or None where one is not made of this connection."""
        return None

    def say(self, event: Event, number: int) -> list[Said]:
        """Return the messages of an event.

        Args:
            event: in the normal form.
            number: of the event among those of its instrument and kind, without holes.
        """
        assert not hasattr(event, "open_time_ns")
        listing = self.listings[event.instrument_id]  # type: ignore[union-attr]
        if isinstance(event, Trade):
            self.recent[event.instrument_id].append((event, number))
            return self.trade(listing, event, number)
        if isinstance(event, MarkPrice):
            self.marks[event.instrument_id] = event
            return self.mark(listing, event)
        if isinstance(event, OpenInterest):
            self.interest[event.instrument_id] = event.quantity
            return self.open_interest(listing, event)
        if isinstance(event, Funding):
            self.rates[event.instrument_id] = event.rate_ppb
            return self.funding(listing, event)
        assert isinstance(event, Liquidation)
        if self.prints is not None and self.prints.is_trade:
            self.recent[event.instrument_id].append((event, number))
        return self.liquidation(listing, event, number)

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        """See say."""
        return []

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        """See say. The mark is the last of what happens in an instant: a venue whose ticker tells all says it here."""
        return []

    def open_interest(self, listing: Listing, event: OpenInterest) -> list[Said]:
        """See say."""
        return []

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        """See say."""
        return []

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        """See say."""
        return []

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        """Return the body of an answer to a request, or None where there is no such path.

        Args:
            path: of the address.
            query: of the request, and what it has posted as a JSON object.
            newest: open interest by instrument id, in units of events.
            now_ns: time of the venue.
        """
        return None

    def table(self, name: str) -> tuple[MaintenanceTier, ...]:
        """Return the margin table of an instrument by the venue's own name; empty where it has no such."""
        listing = self.named.get(name)
        return () if listing is None else self.tables[listing.instrument_id]

    def mark_text(self, listing: Listing) -> str:
        """Return the newest mark price."""
        return price_text(listing, self.marks[listing.instrument_id].price)

    def rate_text(self, listing: Listing) -> str:
        """Return the newest rate of funding, a fraction."""
        return rate_text(self.rates[listing.instrument_id])

    def interest_text(self, listing: Listing) -> str:
        """Return the newest open interest, as the venue counts trades."""
        return quantity_text(listing, self.interest[listing.instrument_id])


def to_text(value: object) -> str:
    """Return JSON."""
    return orjson.dumps(value).decode()


def price_text(listing: Listing, price: int) -> str:
    """Return a price of an event as a decimal number."""
    return str(Decimal(price).scaleb(-listing.instrument.price_decimals))


def quantity_text(listing: Listing, quantity: int) -> str:
    """Return a quantity of an event as the venue counts trades, exactly."""
    units = coins(quantity) * listing.unit.denominator / listing.unit.numerator
    return plain(units)


def worth_text(listing: Listing, quantity: int) -> str:
    """Return a quantity as a venue tells it that counts inverse contracts by their worth and linear ones in coins."""
    worth = listing.instrument.contract_value
    return plain(coins(quantity) * (1 if worth is None else worth.numerator))


def coins(quantity: int) -> Decimal:
    """Return a quantity of an event in coins, or contracts of an inverse instrument."""
    return Decimal(quantity).scaleb(-QUANTITY_DECIMALS)


def coins_at(listing: Listing, quantity: int, price: int) -> Decimal:
    """Return a quantity in coins, of an inverse instrument at a price."""
    worth = listing.instrument.contract_value
    if worth is None:
        return coins(quantity)
    return coins(quantity) * worth.numerator / Decimal(price).scaleb(-listing.instrument.price_decimals)


def fraction_text(value: Fraction) -> str:
    """Return a rate or an amount of a margin table as a decimal number, rounded down where it has no end."""
    return plain((Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal("1e-12"), ROUND_FLOOR))


def plain(value: Decimal) -> str:
    """Return a number without an exponent and without zeros at its end."""
    return format(value.normalize(), "f")


def number(text: str) -> Any:
    """Return the JSON number of a text: whole ones without a point."""
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else float(value)


def rate_text(ppb: int) -> str:
    """Return a rate of funding as a fraction."""
    return format(Decimal(ppb).scaleb(-9), "f")


def tick_text(listing: Listing) -> str:
    """Return the smallest step of a price."""
    return price_text(listing, 1)


def is_sell(event: Trade | Liquidation) -> bool:
    """Return whether the taker sold; of a liquidation, whether the closing order did."""
    if isinstance(event, Trade):
        return event.taker_side is TakerSide.SELL
    return event.position_side is PositionSide.LONG


def is_long(event: Liquidation) -> bool:
    """Return whether a long was closed."""
    return event.position_side is PositionSide.LONG
