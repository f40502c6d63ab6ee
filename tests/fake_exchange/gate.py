"""Gate as it speaks: sizes have the sign of the order, mark and open interest are told together."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from liqscape.events import Event, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class GateSpeaker(Speaker):
    """See Speaker."""

    no_listings = b"[]"

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, str] = {}

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        if asked["channel"] == "futures.ping":
            return [said(channel="futures.pong", event="", result=None)]
        told = {"channel": asked["channel"], "event": "subscribe", "id": asked["id"]}
        return [said(**told, result={"status": "success"})]

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            size = int(self.size(event)) * (1 if event.taker_side is TakerSide.BUY else -1)
            row = {
                "contract": name,
                "size": size,
                "price": self.price(event),
                "create_time_ms": ms(event),
                "id": number,
            }
            return said(channel="futures.trades", event="update", time_ms=ms(event), result=[row])
        if isinstance(event, OpenInterest):
            self._interest[name] = self.size(event)
            return None
        if isinstance(event, Liquidation):
            size = int(self.size(event)) * (-1 if event.position_side is PositionSide.LONG else 1)
            row = {"contract": name, "size": size, "price": self.price(event), "time": ms(event)}
            return said(channel="futures.public_liquidates", event="update", time_ms=ms(event), result=[row])
        if isinstance(event, MarkPrice) and name in self._interest:
            row = {"contract": name, "mark_price": self.price(event), "total_size": self._interest[name]}
            return said(channel="futures.tickers", event="update", time_ms=ms(event), result=[row])
        return None
