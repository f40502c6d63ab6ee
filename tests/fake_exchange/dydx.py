"""dYdX v4's indexer as it speaks: the answer to a subscription holds old trades, and the state of the markets."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import orjson

from liqscape.events import Funding, Liquidation, MarkPrice, OpenInterest, PrintPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from liqscape.feeds.venues.scale import text_of_time
from tests.fake_exchange.speaker import (
    Ear,
    Message,
    Prints,
    Said,
    VenueSpeaker,
    fraction_text,
    is_sell,
    price_text,
    quantity_text,
    tick_text,
    to_text,
)

ABOUT = {"connection_id": "3a2e4c0c-7579-4bf6-a570-e0979418bbe9", "message_id": 1}
"""Messages of a connection do not come in the order of their numbers, as real ones show: they are no use."""


class DydxSpeaker(VenueSpeaker):
    """See VenueSpeaker. The oracle's price is the mark."""

    prints = Prints(PrintPrice.FILL, complete=True, is_trade=True)

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/v4/ws"

    def greet(self, ear: Ear) -> list[Message]:
        return [to_text({"type": "connected", **ABOUT})]

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        channel, name = said.get("channel"), said.get("id")
        if said["type"] == "subscribe" and channel == "v4_markets":
            ear.topics.add(channel)
            markets = {name: self._market(listing) for name, listing in self.named.items()}
            return [to_text({"type": "subscribed", **ABOUT, "channel": channel, "contents": {"markets": markets}})]
        if said["type"] != "subscribe" or channel != "v4_trades" or name not in self.named:
            return [to_text({"type": "error", **ABOUT, "message": f"Invalid subscription id for channel: ({channel})"})]
        ear.topics.add(f"{channel} {name}")
        listing = self.named[name]
        old = [_row(listing, event, n) for event, n in reversed(self.recent[listing.instrument_id])]
        answer = {"type": "subscribed", **ABOUT, "channel": channel, "id": name, "contents": {"trades": old}}
        return [to_text(answer)]

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        contents = {"trades": [_row(listing, event, number)]}
        message = {"type": "channel_data", **ABOUT, "id": listing.name, "channel": "v4_trades", "version": "2.1.0"}
        return [(f"v4_trades {listing.name}", to_text({**message, "contents": contents}))]

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        contents = {"trades": [_row(listing, event, number)]}
        message = {"type": "channel_data", **ABOUT, "id": listing.name, "channel": "v4_trades", "version": "2.1.0"}
        return [(f"v4_trades {listing.name}", to_text({**message, "contents": contents}))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        row = {"oraclePrice": price_text(listing, event.price), "effectiveAt": text_of_time(event.time_ns)}
        told = {**row, "effectiveAtHeight": "23455252", "marketId": 86}
        return _markets({"oraclePrices": {listing.name: told}})

    def open_interest(self, listing: Listing, event: OpenInterest) -> list[Said]:
        told = {"trades24H": 73556, "openInterest": self.interest_text(listing)}
        return _markets({"trading": {listing.name: told}})

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        return _markets({"trading": {listing.name: {"nextFundingRate": self.rate_text(listing)}}})

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/v4/perpetualMarkets":
            return None
        return orjson.dumps({"markets": {name: self._market(listing) for name, listing in self.named.items()}})

    def _market(self, listing: Listing) -> dict[str, Any]:
        return {
            "clobPairId": "0",
            "ticker": listing.name,
            "status": "ACTIVE",
            "oraclePrice": self.mark_text(listing),
            "nextFundingRate": self.rate_text(listing),
            "initialMarginFraction": fraction_text(Fraction(1, self.table(listing.name)[0].max_leverage)),
            "maintenanceMarginFraction": fraction_text(self.table(listing.name)[0].maintenance_margin_rate),
            "openInterest": self.interest_text(listing),
            "tickSize": tick_text(listing),
            "stepSize": "0.0001",
            "marketType": "CROSS",
            "baseOpenInterest": quantity_text(listing, 2 * self.interest[listing.instrument_id]),
        }


def _row(listing: Listing, event: Trade | Liquidation, number: int) -> dict[str, str]:
    return {
        "id": f"{number:032x}",
        "side": "SELL" if is_sell(event) else "BUY",
        "size": quantity_text(listing, event.quantity),
        "price": price_text(listing, event.price),
        "type": "LIQUIDATED" if isinstance(event, Liquidation) else "LIMIT",
        "createdAt": text_of_time(event.time_ns),
        "createdAtHeight": "45487245",
    }


def _markets(contents: Mapping[str, Any]) -> list[Said]:
    message = {"type": "channel_data", **ABOUT, "channel": "v4_markets", "version": "1.0.0", "contents": contents}
    return [("v4_markets", to_text(message))]
