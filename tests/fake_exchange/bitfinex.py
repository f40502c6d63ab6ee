"""Bitfinex as it speaks: arrays, on channels that are numbered when subscribed to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from liqscape.events import Event, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said

TRADES, STATUS, LIQUIDATIONS = 17, 18, 19
"""Numbers of the channels of its one contract."""


class BitfinexSpeaker(Speaker):
    """See Speaker."""

    no_listings = b"[[]]"

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, float] = {}

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        if asked["event"] == "conf":
            return [said(event="conf", status="OK")]
        if asked["event"] == "ping":
            return [said(event="pong", ts=0, cid=asked["cid"])]
        key = {name: asked[name] for name in ("symbol", "key") if name in asked}
        number = TRADES if "symbol" in key else LIQUIDATIONS if key["key"] == "liq:global" else STATUS
        return [said(event="subscribed", channel=asked["channel"], chanId=number, **key)]

    def begins(self, text: str) -> bool:
        return bool(orjson.loads(text).get("key") == "liq:global")

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        if isinstance(event, Trade):
            size = float(self.size(event)) * (1 if event.taker_side is TakerSide.BUY else -1)
            return _array(TRADES, "te", [number, ms(event), size, float(self.price(event))], number, ms(event))
        if isinstance(event, OpenInterest):
            self._interest[name] = float(self.size(event))
        elif isinstance(event, MarkPrice) and name in self._interest:
            row: list[Any] = [None] * 23
            row[0], row[14], row[17] = ms(event), float(self.price(event)), self._interest[name]
            return _array(STATUS, row, number, ms(event))
        elif isinstance(event, Liquidation):
            size = float(self.size(event)) * (1 if event.position_side is PositionSide.LONG else -1)
            price = float(self.price(event))
            row = ["pos", number, ms(event), None, name, size, price, None, 0, 0, None, price]
            return _array(LIQUIDATIONS, [row], number, ms(event))
        return None


def _array(*parts: Any) -> str:
    return orjson.dumps(parts).decode()
