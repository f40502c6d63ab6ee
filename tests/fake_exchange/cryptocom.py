"""Crypto.com Exchange as it speaks: data come as answers to subscribe, and a heartbeat wants an answer with its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from liqscape.events import Funding, MarkPrice, OpenInterest, Trade
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
    tick_text,
    to_text,
)

CHANNELS = ("trade", "ticker", "mark", "funding")


class CryptocomSpeaker(VenueSpeaker):
    """See VenueSpeaker."""

    ping_s = 30.0
    forgiven = 0

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/exchange/v1/market"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        if said["method"] == "public/respond-heartbeat":
            ear.unanswered = 0 if said["id"] == ear.pinged_ns // MS else ear.unanswered
            return []
        channels = said["params"]["channels"]
        known = {f"{channel}.{name}" for channel in CHANNELS for name in self.named}
        if said["method"] != "subscribe" or not known.issuperset(channels):
            return [to_text({"id": said["id"], "method": said["method"], "code": 40003, "message": "Unknown symbol"})]
        ear.topics.update(channels)
        return [to_text({"id": said["id"], "code": 0, "method": "subscribe"})]

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        return to_text({"id": now_ns // MS, "method": "public/heartbeat", "code": 0})

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        row = {
            "d": str(4611686018471467093 + number),
            "t": event.time_ns // MS,
            "p": price_text(listing, event.price),
            "q": quantity_text(listing, event.quantity),
            "s": "SELL" if is_sell(event) else "BUY",
            "i": listing.name,
        }
        return _data("trade", listing, row)

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return _data("mark", listing, {"v": price_text(listing, event.price), "t": event.time_ns // MS})

    def open_interest(self, listing: Listing, event: OpenInterest) -> list[Said]:
        row = {"i": listing.name, "a": "65000.1", "c": "-0.0144", "v": "123899", "oi": self.interest_text(listing)}
        return _data("ticker", listing, {**row, "t": event.time_ns // MS})

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        return _data("funding", listing, {"v": self.rate_text(listing), "t": event.time_ns // MS})

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/exchange/v1/public/get-instruments":
            return None
        rows = [
            {
                "symbol": name,
                "inst_type": "PERPETUAL_SWAP",
                "contract_size": str(listing.unit),
                "price_tick_size": tick_text(listing),
                "max_leverage": "50",
                "tradable": True,
            }
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"id": -1, "method": "public/get-instruments", "code": 0, "result": {"data": rows}})


def _data(channel: str, listing: Listing, row: Mapping[str, Any]) -> list[Said]:
    full = f"{channel}.{listing.name}"
    result = {"instrument_name": listing.name, "subscription": full, "channel": channel, "data": [row]}
    return [(full, to_text({"id": -1, "method": "subscribe", "code": 0, "result": result}))]
