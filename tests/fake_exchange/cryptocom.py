"""Crypto.com as it speaks."""

from __future__ import annotations

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class CryptocomSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"code": 0, "result": {"data": []}}'

    ping = '{"id": 1587523073344, "method": "public/heartbeat", "code": 0}'
    pong = '"id":1587523073344,"method":"public/respond-heartbeat"'

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        return [said(id=asked["id"], method="subscribe", code=0)] if asked["method"] == "subscribe" else []

    def say(self, event: Event, number: int) -> str | bytes | None:
        if isinstance(event, Trade):
            side = event.taker_side.value.upper()
            row = {"t": ms(event), "p": self.price(event), "q": self.size(event), "s": side, "d": str(number)}
            channel = "trade"
        elif isinstance(event, MarkPrice):
            row, channel = {"t": ms(event), "v": self.price(event)}, "mark"
        elif isinstance(event, OpenInterest):
            row, channel = {"t": ms(event), "oi": self.size(event)}, "ticker"
        else:
            return None
        name = self.of(event).name
        result = {"channel": channel, "instrument_name": name, "subscription": f"{channel}.{name}", "data": [row]}
        return said(id=-1, method="subscribe", code=0, result=result)
