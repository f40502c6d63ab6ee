"""What a venue's file of the fake exchange gives: the other side of its dialect, small and by the documents.

To add a venue: write a Speaker in a file of its own beside this one, mostly `say` and `reply`, and a line in venues.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from liqscape.events import QUANTITY_DECIMALS, Candle, Event, Gap, Liquidation, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.feeds.venues.dialect import Listing

MS = 1_000_000

Messages = Sequence[str | bytes]


class Speaker:
    """A venue as it speaks. What is not overridden says nothing.

    Args:
        listings: what it trades.
        hosts: of its addresses.

    Attributes:
        ping, pong: what it says now and then, and what an answer to it holds; it cuts off whoever does not answer.
        no_listings: a list of instruments that is empty, as the venue answers; what is asked for otherwise.
    """

    no_listings: bytes | None = None
    ping: str | bytes | None = None
    pong = ""

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        self.hosts = hosts
        self.listings = {listing.instrument_id: listing for listing in listings}
        self.ids = {listing.name: listing.instrument_id for listing in listings}

    def reply(self, text: str) -> Messages:
        """Return what is said at once to a message of a client: confirmations, pongs, what was before."""
        return ()

    def begins(self, text: str) -> bool:
        """Return whether a message of a client is the one from which on it is told events."""
        return True

    def say(self, event: Event, number: int) -> str | bytes | None:
        """Return the message of an event, or None where it is not streamed.

        Args:
            event: in the normal form.
            number: of the event among those of its instrument and kind, without holes.
        """
        return None

    def is_heard_at(self, path: str, event: Event) -> bool:
        """Return whether a socket opened at a path tells an event; every one does unless a venue splits them."""
        return True

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        """Return the body of an answer to a request, or None where there is no such path.

        Args:
            path: of the address.
            query: of the request.
            newest: open interest by instrument id, in units of events.
            now_ns: time of the venue.
        """
        return self.no_listings

    def of(self, event: Event) -> Listing:
        """Return the listing of an event."""
        assert not isinstance(event, TickEnd)
        return self.listings[event.instrument_id]

    def price(self, event: Event) -> str:
        """Return the price of an event as text."""
        assert isinstance(event, Trade | MarkPrice | Liquidation)
        return price_text(self.of(event), event.price)

    def size(self, event: Event) -> str:
        """Return the quantity of an event as the venue counts."""
        assert isinstance(event, Trade | Liquidation | OpenInterest)
        return quantity_text(self.of(event), event.quantity)

    def coins(self, event: OpenInterest) -> str:
        """Return open interest in coins."""
        return format((Decimal(event.quantity).scaleb(-QUANTITY_DECIMALS)).normalize(), "f")


def said(**fields: Any) -> str:
    """Return a message."""
    return orjson.dumps(fields).decode()


def ms(event: Event) -> int:
    """Return the time of an event in milliseconds."""
    assert not isinstance(event, Candle | Gap | TickEnd)
    return event.time_ns // MS


def price_text(listing: Listing, price: int) -> str:
    """Return a price in quote."""
    return str(Decimal(price).scaleb(-listing.instrument.price_decimals))


def quantity_text(listing: Listing, quantity: int) -> str:
    """Return a quantity as the venue counts."""
    units = Decimal(quantity).scaleb(-QUANTITY_DECIMALS) * listing.unit.denominator / listing.unit.numerator
    return format(units.normalize(), "f")
