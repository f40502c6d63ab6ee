"""Hyperliquid as it speaks: trades begin with some of before, contexts have no time."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class HyperliquidSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"universe": []}'

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, str] = {}

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        if asked["method"] == "ping":
            return [said(channel="pong")]
        wanted = asked["subscription"]
        found = [said(channel="subscriptionResponse", data={"method": "subscribe", "subscription": wanted})]
        if wanted["type"] == "trades":
            old = {"coin": wanted["coin"], "side": "A", "px": "1.0", "sz": "1.0", "time": 1_700_000_000_000, "tid": 1}
            found.append(said(channel="trades", data=[old]))
        return found

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            side = "B" if event.taker_side is TakerSide.BUY else "A"
            row = {"coin": name, "side": side, "px": self.price(event), "sz": self.size(event), "time": ms(event)}
            return said(channel="trades", data=[{**row, "tid": number}])
        if isinstance(event, OpenInterest):
            self._interest[name] = self.size(event)
        elif isinstance(event, MarkPrice) and name in self._interest:
            context = {"markPx": self.price(event), "openInterest": self._interest[name], "funding": "0.0000125"}
            return said(channel="activeAssetCtx", data={"coin": name, "ctx": context})
        return None
