"""Lighter as it speaks: markets by number, open interest as its worth at the mark, rates in per cent an hour."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from liqscape.events import Liquidation, MarkPrice, PrintPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import (
    MS,
    Ear,
    Message,
    Prints,
    Said,
    VenueSpeaker,
    coins,
    is_sell,
    price_text,
    quantity_text,
    to_text,
)

MARKETS = {"ETH": 0, "BTC": 1, "SOL": 2}
"""The venue's numbers; those of other coins follow."""


class LighterSpeaker(VenueSpeaker):
    """See VenueSpeaker."""

    prints = Prints(PrintPrice.FILL, complete=True, is_trade=True)
    ping_s = 30.0
    forgiven = 1

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/stream"

    def greet(self, ear: Ear) -> list[Message]:
        return [to_text({"session_id": "ab5b2f0e-6a5d-4c55-a53d-8f1ebf3b7a5c", "type": "connected"})]

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        if said["type"] == "pong":
            ear.unanswered = 0
            return []
        channel = said["channel"]
        topic = channel.replace("/", ":")
        if channel == "market_stats/all":
            ear.topics.add(topic)
            return [self._stats("subscribed", list(self.named.values()), now_ns)]
        listing = next((each for each in self.named.values() if channel == f"trade/{self._number(each)}"), None)
        if said["type"] != "subscribe" or listing is None:
            return [to_text({"error": {"code": 30005, "message": "Invalid Channel"}})]
        ear.topics.add(topic)
        old = [self._row(listing, e, n) for e, n in self.recent[listing.instrument_id] if isinstance(e, Trade)]
        told = {"type": "subscribed/trade", "channel": topic, "nonce": 10380968789, "trades": old}
        return [to_text({**told, "liquidation_trades": []})]

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        return to_text({"type": "ping"})

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        return self._told(listing, [self._row(listing, event, number)], [])

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return [("market_stats:all", self._stats("update", [listing], event.time_ns))]

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        return self._told(listing, [], [self._row(listing, event, number)])

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/api/v1/orderBookDetails":
            return None
        rows = [
            {
                "symbol": name,
                "market_id": self._number(listing),
                "market_type": "perp",
                "status": "active",
                "price_decimals": listing.instrument.price_decimals,
                "size_decimals": 5,
                "min_initial_margin_fraction": 10_000 // self.table(name)[0].max_leverage,
                "maintenance_margin_fraction": int(10_000 * self.table(name)[0].maintenance_margin_rate),
                "closeout_margin_fraction": 80,
            }
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"code": 200, "order_book_details": rows})

    def _number(self, listing: Listing) -> int:
        return MARKETS.get(listing.name, len(MARKETS) + list(self.named).index(listing.name))

    def _told(self, listing: Listing, trades: list[Any], closed: list[Any]) -> list[Said]:
        topic = f"trade:{self._number(listing)}"
        told = {"type": "update/trade", "channel": topic, "nonce": 10380968790, "trades": trades}
        return [(topic, to_text({**told, "liquidation_trades": closed}))]

    def _row(self, listing: Listing, event: Trade | Liquidation, number: int) -> dict[str, Any]:
        size, price = quantity_text(listing, event.quantity), price_text(listing, event.price)
        return {
            "trade_id": 18240999145 + number,
            "type": "liquidation" if isinstance(event, Liquidation) else "trade",
            "market_id": self._number(listing),
            "size": size,
            "price": price,
            "usd_amount": f"{Decimal(size) * Decimal(price):.6f}",
            "is_maker_ask": not is_sell(event),
            "timestamp": event.time_ns // MS,
        }

    def _stats(self, action: str, listings: list[Listing], time_ns: int) -> str:
        rows = {}
        for listing in listings:
            price, number = self.mark_text(listing), self._number(listing)
            worth = coins(self.interest[listing.instrument_id]) * Decimal(price)
            rate = Decimal(self.rate_text(listing)) * 100
            rows[str(number)] = {
                "symbol": listing.name,
                "market_id": number,
                "index_price": price,
                "mark_price": price,
                "open_interest": f"{worth:.6f}",
                "funding_clamp_big": "4.0000",
                "last_trade_price": price,
                "current_funding_rate": f"{rate:.4f}",
                "funding_rate": f"{rate:.4f}",
                "funding_timestamp": 1795222800000,
            }
        told = {"type": f"{action}/market_stats", "channel": "market_stats:all", "timestamp": time_ns // MS}
        return to_text({**told, "market_stats": rows})
