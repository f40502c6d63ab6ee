"""Hyperliquid as it speaks: counted in coins; the first trades of a coin repeat old ones; contexts carry no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from liqscape.events import Liquidation, MarkPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import (
    MS,
    Ear,
    Message,
    Said,
    VenueSpeaker,
    is_sell,
    price_text,
    quantity_text,
    to_text,
)


class HyperliquidSpeaker(VenueSpeaker):
    """See VenueSpeaker.

    Attributes:
        held: positions of accounts by address: coin, signed size and liquidation price (None: it has none) of each.
    """

    silence_s = 60.0

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self.held: dict[str, tuple[tuple[str, str, str | None], ...]] = {}

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/ws"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        if said["method"] == "ping":
            return [to_text({"channel": "pong"})]
        asked = said["subscription"]
        listing = self.named.get(asked.get("coin"))
        if said["method"] != "subscribe" or listing is None:
            return [to_text({"channel": "error", "data": f"Invalid subscription {text}"})]
        ear.topics.add(f"{asked['type']} {asked['coin']}")
        confirmed = {"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": asked}}
        if asked["type"] == "trades":
            first = _trades([_row(listing, event, n) for event, n in self.recent[listing.instrument_id]])
        else:
            first = self._context(listing)
        return [to_text(confirmed), first]

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        return [(f"trades {listing.name}", _trades([_row(listing, event, number)]))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return [(f"activeAssetCtx {listing.name}", self._context(listing))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/info":
            return None
        if query.get("type") == "clearinghouseState":
            return self._account(query["user"], now_ns)
        rows, tables = [], []
        for number, name in enumerate(self.named, 56):
            tiers = self.table(name)
            rows.append({"name": name, "szDecimals": 5, "maxLeverage": tiers[0].max_leverage, "marginTableId": number})
            steps = [{"lowerBound": f"{t.notional_floor}.0", "maxLeverage": t.max_leverage} for t in tiers]
            tables.append([number, {"description": f"tiered {tiers[0].max_leverage}x", "marginTiers": steps}])
        return orjson.dumps({"universe": rows, "marginTables": tables})

    def _account(self, address: str, now_ns: int) -> bytes:
        rows = [
            {
                "type": "oneWay",
                "position": {
                    "coin": coin,
                    "szi": size,
                    "entryPx": self.mark_text(self.named[coin]),
                    "leverage": {"type": "cross", "value": 20},
                    "liquidationPx": price,
                    "marginUsed": "10",
                },
            }
            for coin, size, price in self.held.get(address, ())
        ]
        return orjson.dumps({"assetPositions": rows, "time": now_ns // MS})

    def _context(self, listing: Listing) -> str:
        price = self.mark_text(listing)
        row = {
            "funding": self.rate_text(listing),
            "openInterest": self.interest_text(listing),
            "prevDayPx": price,
            "dayNtlVlm": "1516669192.1953897476",
            "premium": "-0.0005927453",
            "oraclePx": price,
            "markPx": price,
            "midPx": price,
        }
        return to_text({"channel": "activeAssetCtx", "data": {"coin": listing.name, "ctx": row}})


def _trades(rows: Sequence[Mapping[str, Any]]) -> str:
    return to_text({"channel": "trades", "data": rows})


def _row(listing: Listing, event: Trade | Liquidation, number: int) -> dict[str, Any]:
    return {
        "coin": listing.name,
        "side": "A" if is_sell(event) else "B",
        "px": price_text(listing, event.price),
        "sz": quantity_text(listing, event.quantity),
        "time": event.time_ns // MS,
        "hash": "0x" + "0" * 64,
        "tid": 300_000 + number // 2,  # not unique
        "users": ["0x" + "a" * 40, "0x" + "b" * 40],
    }
