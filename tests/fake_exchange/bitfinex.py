"""Bitfinex's perpetuals as it speaks: arrays by number of a channel, each message of a connection numbered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from liqscape.events import Liquidation, MarkPrice, PrintPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import (
    MS,
    Ear,
    Message,
    Prints,
    Said,
    VenueSpeaker,
    is_sell,
    number,
    price_text,
    quantity_text,
    to_text,
)

NUMBERED = 65_536
"""Flag: messages end with the running number of the connection."""

STAMPED = 32_768
"""Flag: and with the time."""


class BitfinexSpeaker(VenueSpeaker):
    """See VenueSpeaker. Each trade is told as executed, and again with its number; a liquidation as it is triggered,
    and again for its execution.
    """

    prints = Prints(PrintPrice.FILL, complete=True)
    ping_s = 15.0
    forgiven = 1 << 30  # they are beats of its heart, and want no answer

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/ws/2"

    def greet(self, ear: Ear) -> list[Message]:
        return [to_text({"event": "info", "version": 2, "serverId": "4a3f", "platform": {"status": 1}})]

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        event = said["event"]
        if event == "ping":
            return [to_text({"event": "pong", "ts": now_ns // MS, "cid": said["cid"]})]
        if event == "conf":
            known = said["flags"] == NUMBERED | STAMPED
            ear.topics.add("conf")
            return [to_text({"event": "conf", "status": "OK" if known else "ERROR", "flags": said["flags"]})]
        channel, key = said["channel"], said.get("key") or said.get("symbol")
        topics = self._topics()
        if event != "subscribe" or (channel, key) not in topics:
            return [to_text({"event": "error", "msg": f"{channel}: invalid", "code": 10300, "channel": channel})]
        told = {"event": "subscribed", "channel": channel, "chanId": topics.index((channel, key)) + 23_916}
        named = {"symbol": key, "pair": key[1:]} if channel == "trades" else {"key": key}
        ear.topics.add(f"{channel} {key}")
        first = self._first(channel, key, now_ns)
        return [to_text({**told, **named}), self._data(channel, key, now_ns, first)(ear)]

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        channel = next((each for each in self._topics() if f"{each[0]} {each[1]}" in ear.topics), None)
        return None if channel is None else self._data(*channel, now_ns, "hb")(ear)

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        row = _row(listing, event, number)
        return [
            (f"trades {listing.name}", self._data("trades", listing.name, event.time_ns, kind, row))
            for kind in ("te", "tu")
        ]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        key = f"deriv:{listing.name}"
        return [(f"status {key}", self._data("status", key, event.time_ns, self._status(listing, event.time_ns)))]

    def liquidation(self, listing: Listing, event: Liquidation, number_: int) -> list[Said]:
        size, price = number(quantity_text(listing, event.quantity)), number(price_text(listing, event.price))
        signed = size if is_sell(event) else -size  # the position's: closing a long sells
        rows = [
            ["pos", 143_000_000 + number_, event.time_ns // MS, None, listing.name, signed, price, None, is_match, 1]
            for is_match in (0, 1)
        ]
        return [
            ("status liq:global", self._data("status", "liq:global", event.time_ns, [[*row, None, price]]))
            for row in rows
        ]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/v2/conf/pub:info:pair:futures":
            return None
        facts = [None, None, None, "0.00006", "100.0", None, None, None, 0.01, 0.005]
        return orjson.dumps([[[name[1:], facts] for name in self.named]])

    def _topics(self) -> list[tuple[str, str]]:
        trades = [("trades", name) for name in self.named]
        return [*trades, *(("status", f"deriv:{name}") for name in self.named), ("status", "liq:global")]

    def _first(self, channel: str, key: str, now_ns: int) -> Any:
        if key == "liq:global":
            return []
        listing = self.named[key.removeprefix("deriv:")]
        if channel == "status":
            return self._status(listing, now_ns)
        return [_row(listing, event, n) for event, n in reversed(self.recent[listing.instrument_id])]

    def _status(self, listing: Listing, time_ns: int) -> list[Any]:
        price, rate = number(self.mark_text(listing)), number(self.rate_text(listing))
        interest = number(self.interest_text(listing))
        head = [time_ns // MS, None, price, price, None, 37671483.0, None, 1795248000000, 0.00002, 317, None, rate]
        return [*head, None, None, price, None, None, interest, None, None, None, 0.0005, 0.0025]

    def _data(self, channel: str, key: str, time_ns: int, *told: Any) -> Callable[[Ear], Message]:
        number = self._topics().index((channel, key)) + 23_916

        def numbered(ear: Ear) -> Message:
            ear.number += 1
            return to_text([number, *told, ear.number, time_ns // MS] if "conf" in ear.topics else [number, *told])

        return numbered


def _row(listing: Listing, event: Trade | Liquidation, n: int) -> list[Any]:
    size = number(quantity_text(listing, event.quantity))
    return [
        452025730 + n,
        event.time_ns // MS,
        -size if is_sell(event) else size,
        number(price_text(listing, event.price)),
    ]
