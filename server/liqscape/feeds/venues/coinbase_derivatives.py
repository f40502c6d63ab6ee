"""Coinbase Derivatives (futures of the United States): open interest and funding, by polling one list.

Source: an answer of April 2026, recorded. The list tells contracts open, the size of a contract in coins and the hourly
rate; it names no mark, and no time, so that samples are stamped when received. The venue's stream has trades alone and
is not read. Margins are set by each broker, so there is no rule by which a position is closed: its positions are on the
map only where the user assumes a leverage. A size of contract other than the one that the instrument has is refused:
open interest would be wrong by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.feeds.venues.dialect import (
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
    read_rows,
)
from liqscape.feeds.venues.notes import refuse
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.scale import scales

PRODUCTS: Final = "https://api.coinbase.com/api/v3/brokerage/market/products"

POLL_S: Final = 15.0

BUDGET: Final = Budget("rest", 5, 1.0)
"""Half of the 10 requests a second that an address may send without a key (UNVERIFIED)."""


class CoinbaseDerivativesDialect:
    """See Dialect. There is no connection: nothing of what is wanted is streamed."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = scales(listings)
        self.endpoints: Sequence[Endpoint] = ()
        request = Request(PRODUCTS, {"product_type": "FUTURE"})
        self.polls: Sequence[Poll] = (
            Poll(name="listings", request=request, every_s=86_400.0, channels=frozenset()),
            Poll(
                name="open_interest",
                request=request,
                every_s=POLL_S,
                channels=frozenset({Channel.OPEN_INTEREST, Channel.FUNDING}),
                about=tuple(scale.instrument_id for scale in self._scales.values()),
            ),
        )
        self.budgets: Sequence[Budget] = (BUDGET,)

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Refuse a message: no connection was opened.

        Raises:
            Unreadable: always.
        """
        raise Unreadable("unknown message", message)

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the list of products."""
        said = orjson.loads(body)
        if "products" not in said:
            refuse(into, said)
        elif poll.channels:
            read_rows(said["products"], lambda row: self._product(row, receive_ns, into), into)
        else:
            read_rows(said["products"], lambda row: into.listings.append(_listing(row)), into)

    def _product(self, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.get(row["product_id"])
        if scale is None:
            into.ignored["other instrument"] += 1
            return
        details = row["future_product_details"]
        if as_fraction(details["contract_size"]) != scale.unit:
            raise Unreadable("contract size", f"{details['contract_size']}, not {scale.unit}")
        scale.open_interest(into, receive_ns, details["open_interest"])
        rate = details.get("funding_rate")
        if rate:  # contracts with a date have none
            scale.funding(into, receive_ns, rate, _hours(details["funding_interval"]))


def _hours(text: str) -> int:
    seconds = int(text.removesuffix("s"))
    if not 0 < seconds <= 86_400 or seconds % 3600:
        raise Unreadable("interval", text)
    return seconds // 3600


def _listing(row: dict[str, Any]) -> VenueListing:
    details = row["future_product_details"]
    rate = as_fraction(details["intraday_margin_rate"]["long_margin_rate"])
    return VenueListing(
        name=row["product_id"],
        unit=as_fraction(details["contract_size"]),
        price_tick=as_fraction(row["price_increment"]),
        max_leverage=int(1 / rate) if rate > 0 else None,
        is_trading=row["trading_disabled"] is False,
    )


COINBASE_DERIVATIVES: Final = Venue(
    name="coinbase-derivatives",
    instruments_of="coinbase_derivatives",
    dialect=CoinbaseDerivativesDialect,
    liquidations=Completeness.NONE,
    provenance="recorded",
)
