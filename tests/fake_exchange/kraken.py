"""Kraken Futures as it speaks: numbers of JSON, trades numbered."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class KrakenSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"result": "success", "instruments": []}'

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, float] = {}

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        return [said(event="subscribed", feed=asked["feed"], product_ids=asked.get("product_ids", []))]

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            return said(
                feed="trade",
                product_id=name,
                side=event.taker_side.value,
                type="fill",
                seq=number,
                time=ms(event),
                qty=float(self.size(event)),
                price=float(self.price(event)),
            )
        if isinstance(event, OpenInterest):
            self._interest[name] = float(self.size(event))
        elif isinstance(event, MarkPrice) and name in self._interest:
            mark, interest = float(self.price(event)), self._interest[name]
            return said(feed="ticker", product_id=name, time=ms(event), markPrice=mark, openInterest=interest)
        return None
