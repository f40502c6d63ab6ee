"""dYdX v4 as it speaks."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from liqscape.events import Event, MarkPrice, OpenInterest, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class DydxSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"markets": {}}'

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        about = {"channel": asked["channel"], **({"id": asked["id"]} if "id" in asked else {})}
        return [said(type="subscribed", **about, contents={"trades": []} if "id" in asked else {"markets": {}})]

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        when = datetime.fromtimestamp(ms(event) / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if isinstance(event, Trade):
            row = {"id": str(number), "side": event.taker_side.value.upper(), "size": self.size(event)}
            row |= {"price": self.price(event), "createdAt": when, "type": "LIMIT"}
            return said(type="channel_data", channel="v4_trades", id=name, contents={"trades": [row]})
        if isinstance(event, MarkPrice):
            contents = {"oraclePrices": {name: {"oraclePrice": self.price(event), "effectiveAt": when}}}
        elif isinstance(event, OpenInterest):
            contents = {"trading": {name: {"openInterest": self.size(event)}}}
        else:
            return None
        return said(type="channel_data", channel="v4_markets", contents=contents)
