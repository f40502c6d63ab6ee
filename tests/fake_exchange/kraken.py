"""Kraken Futures as it speaks: JSON numbers, a confirmation for each product, rows numbered by product."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
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
    fraction_text,
    is_sell,
    number,
    price_text,
    quantity_text,
    tick_text,
    to_text,
)

FEEDS = ("trade", "ticker")


class KrakenSpeaker(VenueSpeaker):
    """See VenueSpeaker. The first message of a product repeats old rows, newest first."""

    prints = Prints(PrintPrice.FILL, complete=True, is_trade=True)

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/ws/v1"

    def greet(self, ear: Ear) -> list[Message]:
        return [to_text({"event": "info", "version": 1})]

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        feed = said.get("feed")
        if said.get("event") == "subscribe" and feed == "heartbeat":
            return [to_text({"event": "subscribed", "feed": "heartbeat"})]
        if said.get("event") != "subscribe" or feed not in FEEDS:
            return [to_text({"event": "error", "message": "Invalid feed"})]
        told: list[Message] = []
        for name in said["product_ids"]:
            listing = self.named.get(name)
            if listing is None:
                told.append(to_text({"event": "error", "message": "Invalid product id"}))
                continue
            ear.topics.add(f"{feed} {name}")
            told.append(to_text({"event": "subscribed", "feed": feed, "product_ids": [name]}))
            if feed == "trade":
                old = [_row(listing, event, n) for event, n in reversed(self.recent[listing.instrument_id])]
                told.append(to_text({"feed": "trade_snapshot", "product_id": name, "trades": old}))
            else:
                told.append(self._ticker(listing, now_ns))
        return told

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        return [(f"trade {listing.name}", to_text(_row(listing, event, number)))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return [(f"ticker {listing.name}", self._ticker(listing, event.time_ns))]

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        return [(f"trade {listing.name}", to_text(_row(listing, event, number)))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/derivatives/api/v3/instruments":
            return None
        rows: list[dict[str, Any]] = [
            {
                "symbol": name,
                "type": "futures_inverse" if listing.instrument.is_inverse else "flexible_futures",
                "tickSize": number(tick_text(listing)),
                "contractSize": 1,
                "tradeable": True,
                "marginLevels": [
                    {
                        "contracts" if listing.instrument.is_inverse else "numNonContractUnits": tier.notional_floor,
                        "initialMargin": float(fraction_text(Fraction(1, tier.max_leverage))),
                        "maintenanceMargin": float(tier.maintenance_margin_rate),
                    }
                    for tier in self.table(name)
                ],
            }
            for name, listing in self.named.items()
        ]
        index = {"symbol": "in_xbtusd", "type": "spot index", "tradeable": False}
        return orjson.dumps({"result": "success", "instruments": [*rows, index], "serverTime": "2026-11-21T00:00:00Z"})

    def _ticker(self, listing: Listing, time_ns: int) -> str:
        price = number(self.mark_text(listing))
        return to_text(
            {
                "feed": "ticker",
                "product_id": listing.name,
                "time": time_ns // MS,
                "index": price,
                "markPrice": price,
                "last": price,
                "openInterest": number(self.interest_text(listing)),
                "funding_rate": 1.25,
                "relative_funding_rate": number(self.rate_text(listing)),
                "relative_funding_rate_prediction": 1.9e-06,
                "next_funding_rate_time": 1795222800000,
                "suspended": False,
                "tag": "perpetual",
            }
        )


def _row(listing: Listing, event: Trade | Liquidation, sequence: int) -> dict[str, Any]:
    return {
        "feed": "trade",
        "product_id": listing.name,
        "uid": f"05af78ac-{sequence}",
        "side": "sell" if is_sell(event) else "buy",
        "type": "liquidation" if isinstance(event, Liquidation) else "fill",
        "seq": sequence,
        "time": event.time_ns // MS,
        "qty": number(quantity_text(listing, event.quantity)),
        "price": number(price_text(listing, event.price)),
    }
