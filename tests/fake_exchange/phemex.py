"""Phemex as it speaks: trades in nanoseconds, all markets in one message."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, said

FIELDS = ("symbol", "markRp", "openInterestRv", "fundingRateRr")


class PhemexSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"code": 0, "data": {"products": []}}'

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, str] = {}

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        result = "pong" if asked["method"] == "server.ping" else {"status": "success"}
        return [said(error=None, id=asked["id"], result=result)]

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            side = "Buy" if event.taker_side is TakerSide.BUY else "Sell"
            row = [event.time_ns, side, self.price(event), self.size(event)]
            return said(symbol=name, type="incremental", sequence=number, trades_p=[row])
        if isinstance(event, OpenInterest):
            self._interest[name] = self.size(event)
        elif isinstance(event, MarkPrice) and name in self._interest:
            row = [name, self.price(event), self._interest[name], "0.0001"]
            method = "perp_market24h_pack_p.update"
            return said(method=method, fields=FIELDS, data=[row], timestamp=event.time_ns, type="incremental")
        return None
