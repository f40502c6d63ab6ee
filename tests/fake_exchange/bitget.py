"""Bitget v3 as it speaks: mark and open interest are told together, liquidations in quote."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import orjson

from liqscape.events import Event, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import Messages, Speaker, ms, said


class BitgetSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"code": "00000", "data": []}'

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        super().__init__(listings, hosts)
        self._interest: dict[str, str] = {}

    def reply(self, text: str) -> Messages:
        if text == "ping":
            return ["pong"]
        return [said(event="subscribe", arg=argument) for argument in orjson.loads(text)["args"]]

    def say(self, event: Event, number: int) -> str | bytes | None:
        if isinstance(event, Funding):
            return None
        name = self.of(event).name
        argument = {"instType": "usdt-futures", "symbol": name}
        if isinstance(event, Trade):
            row = {"i": str(number), "p": self.price(event), "v": self.size(event), "T": str(ms(event))}
            data = [{**row, "S": event.taker_side.value}]
            return said(action="update", arg={**argument, "topic": "publicTrade"}, data=data, ts=ms(event))
        if isinstance(event, OpenInterest):
            self._interest[name] = self.size(event)
            return None
        if isinstance(event, MarkPrice):
            if name not in self._interest:
                return None
            data = [{"markPrice": self.price(event), "openInterest": self._interest[name], "fundingRate": "0.0001"}]
            return said(action="snapshot", arg={**argument, "topic": "ticker"}, data=data, ts=ms(event))
        assert isinstance(event, Liquidation)
        side = "buy" if event.position_side is PositionSide.LONG else "sell"
        amount = format(Decimal(self.price(event)) * Decimal(self.size(event)), "f")
        data = [{"symbol": name, "side": side, "price": self.price(event), "amount": amount, "ts": str(ms(event))}]
        return said(action="update", arg={"instType": "usdt-futures", "topic": "liquidation"}, data=data, ts=ms(event))
