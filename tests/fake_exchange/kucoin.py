"""KuCoin Futures as it speaks: a door with a token, open interest in the list of contracts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from liqscape.events import Event, MarkPrice, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, price_text, quantity_text, said

ENDPOINT = "wss://ws-api-futures.kucoin.com/endpoint"


class KucoinSpeaker(Speaker):
    """See Speaker."""

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        return [said(id=asked["id"], type="pong" if asked["type"] == "ping" else "ack")]

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            row: dict[str, Any] = {
                "symbol": name,
                "side": event.taker_side.value,
                "size": int(self.size(event)),
                "sequence": number,
            }
            row |= {"price": self.price(event), "ts": event.time_ns}
            return said(type="message", topic=f"/contractMarket/execution:{name}", subject="match", data=row)
        if isinstance(event, MarkPrice):
            row = {"markPrice": float(self.price(event)), "granularity": 1000, "timestamp": ms(event)}
            return said(type="message", topic=f"/contract/instrument:{name}", subject="mark.index.price", data=row)
        return None

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path.endswith("/bullet-public"):
            data = {"token": "a token", "instanceServers": [{"endpoint": ENDPOINT}]}
            return orjson.dumps({"code": "200000", "data": data})
        if path.endswith("/contracts/active"):
            rows = [
                {
                    "symbol": listing.name,
                    "isInverse": False,
                    "multiplier": float(listing.unit),
                    "tickSize": float(price_text(listing, 1)),
                    "maxLeverage": 100,
                    "status": "Open",
                    "openInterest": quantity_text(listing, newest[name]),
                }
                for name, listing in self.listings.items()
            ]
            return orjson.dumps({"code": "200000", "data": rows})
        return None
