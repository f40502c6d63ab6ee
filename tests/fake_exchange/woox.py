"""WOO X as it speaks."""

from __future__ import annotations

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class WooxSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"success": true, "data": {"rows": []}}'

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        return [said(id=asked["id"], cmd="subscribe", success=True)] if asked["cmd"] == "subscribe" else []

    def say(self, event: Event, number: int) -> str | bytes | None:
        row = {"s": self.of(event).name, "ts": ms(event)}
        if isinstance(event, Trade):
            row |= {"px": self.price(event), "sx": self.size(event), "sd": event.taker_side.value.upper()}
            topic = "trade"
        elif isinstance(event, MarkPrice):
            row, topic = {**row, "px": self.price(event)}, "markprice"
        elif isinstance(event, OpenInterest):
            row, topic = {**row, "oi": self.size(event)}, "openinterest"
        else:
            return None
        return said(topic=f"{topic}@{self.of(event).name}", ts=ms(event), data=row)
