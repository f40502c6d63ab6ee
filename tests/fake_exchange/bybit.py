"""Bybit v5 as it speaks."""

from __future__ import annotations

import orjson

from liqscape.events import Event, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class BybitSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"retCode": 0, "result": {"list": []}}'

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        if asked["op"] == "ping":
            return [said(success=True, ret_msg="pong", conn_id="1", op="ping")]
        return [said(success=True, ret_msg="", conn_id="1", req_id=asked["req_id"], op="subscribe")]

    def say(self, event: Event, number: int) -> str | bytes | None:
        if isinstance(event, Funding):
            return None
        name = self.of(event).name
        if isinstance(event, Trade):
            side = "Buy" if event.taker_side is TakerSide.BUY else "Sell"
            row = {"T": ms(event), "s": name, "S": side, "v": self.size(event), "p": self.price(event), "L": "PlusTick"}
            return said(topic=f"publicTrade.{name}", type="snapshot", ts=ms(event), data=[{**row, "i": str(number)}])
        if isinstance(event, Liquidation):
            side = "Buy" if event.position_side is PositionSide.LONG else "Sell"
            row = {"T": ms(event), "s": name, "S": side, "v": self.size(event), "p": self.price(event)}
            return said(topic=f"allLiquidation.{name}", type="snapshot", ts=ms(event), data=[row])
        if isinstance(event, MarkPrice):
            data = {"symbol": name, "markPrice": self.price(event)}
        else:
            assert isinstance(event, OpenInterest)
            data = {"symbol": name, "singleOpenInterest": self.size(event)}
        return said(topic=f"tickers.{name}", type="delta", ts=ms(event), data=data)
