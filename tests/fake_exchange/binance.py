"""Binance USD-M, COIN-M and Aster as they speak. Trades are numbered by symbol; open interest is asked for."""

from __future__ import annotations

from collections.abc import Mapping

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
    is_sell,
    price_text,
    quantity_text,
    tick_text,
    to_text,
)


class BinanceSpeaker(VenueSpeaker):
    """See VenueSpeaker."""

    prints = Prints(PrintPrice.FILL, complete=False)

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        if said.get("method") != "SUBSCRIBE":
            return [to_text({"error": {"code": 2, "msg": "Invalid request: unknown method"}, "id": said.get("id")})]
        ear.topics.update(said["params"])
        return [to_text({"result": None, "id": said["id"]})]

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        message = {
            "e": "aggTrade",
            "E": event.time_ns // MS,
            "s": listing.name,
            "a": number,
            "p": price_text(listing, event.price),
            "q": quantity_text(listing, event.quantity),
            "f": number,
            "l": number,
            "T": event.time_ns // MS,
            "m": is_sell(event),
        }
        return [(f"{listing.name.lower()}@aggTrade", to_text(message))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        price, time_ms = price_text(listing, event.price), event.time_ns // MS
        message = {
            "e": "markPriceUpdate",
            "E": time_ms,
            "s": listing.name,
            "p": price,
            "i": price,
            "r": self.rate_text(listing),
            "T": time_ms,
        }
        return [(f"{listing.name.lower()}@markPrice@1s", to_text(message))]

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        size, price = quantity_text(listing, event.quantity), price_text(listing, event.price)
        order = {
            "s": listing.name,
            "S": "SELL" if is_sell(event) else "BUY",
            "o": "LIMIT",
            "f": "IOC",
            "q": size,
            "p": price,
            "ap": price,
            "X": "FILLED",
            "l": size,
            "z": size,
            "T": event.time_ns // MS,
        }
        message = {"e": "forceOrder", "E": event.time_ns // MS, "o": order}
        return [(f"{listing.name.lower()}@forceOrder", to_text(message))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path.endswith("/openInterest"):
            listing = self.named[query["symbol"]]
            quantity = quantity_text(listing, newest[listing.instrument_id])
            return orjson.dumps({"symbol": listing.name, "openInterest": quantity, "time": now_ns // MS})
        if path.endswith("/exchangeInfo"):
            rows = [
                {
                    "symbol": name,
                    "status": "TRADING",
                    "filters": [{"filterType": "PRICE_FILTER", "tickSize": tick_text(listing)}],
                }
                for name, listing in self.named.items()
            ]
            return orjson.dumps({"symbols": rows})
        return None
