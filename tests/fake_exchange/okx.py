"""OKX v5 as it speaks: an argument is confirmed by itself, and liquidations begin with those of before."""

from __future__ import annotations

from typing import Any

import orjson

from liqscape.events import Event, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class OkxSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"code": "0", "data": []}'

    def reply(self, text: str) -> Messages:
        if text == "ping":
            return ["pong"]
        found = []
        for argument in orjson.loads(text)["args"]:
            found.append(said(event="subscribe", arg=argument, connId="1"))
            if argument["channel"] == "liquidation-orders":
                found.append(said(arg=argument, data=[]))
        return found

    def say(self, event: Event, number: int) -> str | bytes | None:
        if isinstance(event, Funding):
            return None
        name = self.of(event).name
        row: dict[str, Any] = {"instId": name, "ts": str(ms(event))}
        if isinstance(event, Trade):
            row |= {"tradeId": str(number), "px": self.price(event), "sz": self.size(event)}
            return said(arg={"channel": "trades", "instId": name}, data=[{**row, "side": event.taker_side.value}])
        if isinstance(event, MarkPrice):
            return said(arg={"channel": "mark-price", "instId": name}, data=[{**row, "markPx": self.price(event)}])
        if isinstance(event, OpenInterest):
            row |= {"oi": self.size(event), "oiCcy": self.coins(event)}
            return said(arg={"channel": "open-interest", "instId": name}, data=[row])
        assert isinstance(event, Liquidation)
        is_long = event.position_side is PositionSide.LONG
        detail = {"side": "sell" if is_long else "buy", "posSide": "long" if is_long else "short"}
        detail |= {"bkPx": self.price(event), "sz": self.size(event), "ts": str(ms(event))}
        argument = {"channel": "liquidation-orders", "instType": "SWAP"}
        return said(arg=argument, data=[{"instId": name, "details": [detail]}])
