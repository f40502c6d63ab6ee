"""WOO X's v3 stream as it speaks: short names, numbers as text, and a PING that wants a PONG."""

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

TOPICS = ("trade", "markprice", "openinterest", "estfundingrate")


class WooxSpeaker(VenueSpeaker):
    """See VenueSpeaker."""

    ping_s = 10.0
    forgiven = 1

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/v3/public"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        if said["cmd"] == "PONG":
            ear.unanswered = 0
            return []
        about = {"id": said["id"], "cmd": said["cmd"].upper(), "ts": now_ns // MS}
        known = {f"{topic}@{name}" for topic in TOPICS for name in self.named}
        granted = [topic for topic in said["params"] if topic in known]
        ear.topics.update(granted)
        return [to_text({**about, "success": len(granted) == len(said["params"]), "data": granted})]

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        return to_text({"cmd": "PING", "ts": now_ns // MS})

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        row = {
            "px": price_text(listing, event.price),
            "sx": quantity_text(listing, event.quantity),
            "sd": "SELL" if is_sell(event) else "BUY",
            "src": 0,
        }
        return _told("trade", listing, event.time_ns, row)

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return _told("markprice", listing, event.time_ns, {"px": price_text(listing, event.price)})

    def open_interest(self, listing: Listing, event: OpenInterest) -> list[Said]:
        return _told("openinterest", listing, event.time_ns, {"oi": self.interest_text(listing)})

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        row = {"ft": 1795248000000, "r": self.rate_text(listing)}
        return _told("estfundingrate", listing, event.time_ns, row)

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/v3/public/instruments":
            return None
        rows = [
            {"symbol": name, "status": "TRADING", "quoteTick": tick_text(listing), "baseTick": "0.00001"}
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"success": True, "data": {"rows": rows}, "timestamp": now_ns // MS})


def _told(topic: str, listing: Listing, time_ns: int, row: Mapping[str, Any]) -> list[Said]:
    full, time_ms = f"{topic}@{listing.name}", time_ns // MS
    message = {"topic": full, "ts": time_ms + 3, "data": {"ts": time_ms, "s": listing.name, **row}}
    return [(full, to_text(message))]
