"""Lighter as it speaks: markets by number, open interest by its worth."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said

MARKET = 1
"""The number of Bitcoin."""


class LighterSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"code": 200, "order_book_details": []}'

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, str] = {}

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        if asked["type"] != "subscribe":
            return []
        kind, _, rest = asked["channel"].partition("/")
        content: dict[str, object] = {"trades": []} if kind == "trade" else {"market_stats": {}}
        return [said(type=f"subscribed/{kind}", channel=f"{kind}:{rest}", **content)]

    def say(self, event: Event, number: int) -> str | bytes | None:
        if isinstance(event, Trade):
            row = {"trade_id": number, "market_id": MARKET, "type": "trade", "timestamp": ms(event)}
            row |= {"price": self.price(event), "size": self.size(event)}
            row["is_maker_ask"] = event.taker_side is TakerSide.BUY
            return said(type="update/trade", channel=f"trade:{MARKET}", trades=[row])
        name = self.of(event).name
        if isinstance(event, OpenInterest):
            self._interest[name] = self.size(event)
        elif isinstance(event, MarkPrice) and name in self._interest:
            worth = format(Decimal(self._interest[name]) * Decimal(self.price(event)), "f")
            row = {"symbol": name, "market_id": MARKET, "mark_price": self.price(event), "open_interest": worth}
            stats = {str(MARKET): {**row, "current_funding_rate": "0.0012"}}
            channel = "market_stats:all"
            return said(type="update/market_stats", channel=channel, timestamp=ms(event), market_stats=stats)
        return None
