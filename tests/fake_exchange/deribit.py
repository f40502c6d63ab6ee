"""Deribit as it speaks, and the gateway of Coinbase International."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class DeribitSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"result": []}'

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, float] = {}

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        result: Any = asked["params"]["channels"] if asked["method"] == "public/subscribe" else "ok"
        return [said(jsonrpc="2.0", id=asked["id"], result=result)]

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            row: dict[str, Any] = {"trade_seq": number, "timestamp": ms(event), "direction": event.taker_side.value}
            row |= {"instrument_name": name, "price": float(self.price(event)), "amount": float(self.size(event))}
            return _pushed(f"trades.{name}.100ms", [row])
        if isinstance(event, OpenInterest):
            self._interest[name] = float(self.size(event))
        elif isinstance(event, MarkPrice) and name in self._interest:
            row = {"instrument_name": name, "timestamp": ms(event), "mark_price": float(self.price(event))}
            return _pushed(f"ticker.{name}.100ms", {**row, "open_interest": self._interest[name]})
        return None


def _pushed(channel: str, data: object) -> str:
    return said(jsonrpc="2.0", method="subscription", params={"channel": channel, "data": data})
