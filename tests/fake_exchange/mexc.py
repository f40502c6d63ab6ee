"""MEXC as it speaks."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class MexcSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"success": true, "data": []}'

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, int] = {}

    def reply(self, text: str) -> Messages:
        method = orjson.loads(text)["method"]
        return [said(channel="pong", data=0)] if method == "ping" else [said(channel=f"rs.{method}", data="success")]

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            side = 1 if event.taker_side is TakerSide.BUY else 2
            row = {"p": float(self.price(event)), "v": int(self.size(event)), "T": side, "t": ms(event)}
            return said(channel="push.deal", symbol=name, data=[row], ts=ms(event))
        if isinstance(event, OpenInterest):
            self._interest[name] = int(self.size(event))
        elif isinstance(event, MarkPrice) and name in self._interest:
            row = {"fairPrice": float(self.price(event)), "holdVol": self._interest[name], "timestamp": ms(event)}
            return said(channel="push.ticker", symbol=name, data=row, ts=ms(event))
        return None
