"""Binance USD-M, COIN-M and Aster as they speak."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from liqscape.events import Event, Liquidation, MarkPrice, PositionSide, TakerSide, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, price_text, quantity_text, said


class BinanceSpeaker(Speaker):
    """See Speaker."""

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        return [said(result=None, id=asked["id"])] if asked.get("method") == "SUBSCRIBE" else []

    def say(self, event: Event, number: int) -> str | bytes | None:
        if isinstance(event, Trade):
            return said(
                e="aggTrade",
                E=ms(event),
                s=self.of(event).name,
                a=number,
                p=self.price(event),
                q=self.size(event),
                f=number,
                l=number,
                T=ms(event),
                m=event.taker_side is TakerSide.SELL,
            )
        if isinstance(event, MarkPrice):
            price = self.price(event)
            name = self.of(event).name
            return said(e="markPriceUpdate", E=ms(event), s=name, p=price, i=price, r="0.00010000", T=ms(event))
        if isinstance(event, Liquidation):
            order = {"s": self.of(event).name, "o": "LIMIT", "f": "IOC", "X": "FILLED", "T": ms(event)}
            order["S"] = "SELL" if event.position_side is PositionSide.LONG else "BUY"
            order |= dict.fromkeys(("q", "l", "z"), self.size(event)) | dict.fromkeys(("p", "ap"), self.price(event))
            return said(e="forceOrder", E=ms(event), o=order)
        return None

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path.endswith("/openInterest"):
            name = query["symbol"]
            quantity = quantity_text(self.listings[self.ids[name]], newest[self.ids[name]])
            return orjson.dumps({"symbol": name, "openInterest": quantity, "time": now_ns // 10**6})
        if path.endswith("/exchangeInfo"):
            rows = [
                {
                    "symbol": listing.name,
                    "status": "TRADING",
                    "filters": [{"filterType": "PRICE_FILTER", "tickSize": price_text(listing, 1)}],
                }
                for listing in self.listings.values()
            ]
            return orjson.dumps({"symbols": rows})
        return None
