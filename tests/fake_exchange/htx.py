"""HTX swaps as they speak: gzip frames, a socket for each kind, amounts of both sides."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import orjson

from liqscape.events import Event, Funding, Liquidation, MarkPrice, PositionSide, Trade
from tests.fake_exchange.speaker import Messages, Speaker, ms, quantity_text, said


class HtxSpeaker(Speaker):
    """See Speaker."""

    no_listings = b'{"status": "ok", "data": []}'

    ping = gzip.compress(b'{"ping": 1492420473027}', 1, mtime=0)
    pong = '{"pong":1492420473027}'

    def reply(self, text: str) -> Messages:
        asked = orjson.loads(text)
        if "sub" in asked:
            return [_packed(said(id=asked["id"], status="ok", subbed=asked["sub"]))]
        if asked.get("op") == "sub":
            return [_packed(said(op="sub", cid=asked["cid"], topic=asked["topic"], **{"err-code": 0}))]
        return []

    def is_heard_at(self, path: str, event: Event) -> bool:
        kind = {Trade: "linear-swap-ws", MarkPrice: "ws_index"}.get(type(event), "notification")
        return kind in path

    def say(self, event: Event, number: int) -> str | bytes | None:
        name = self.of(event).name
        row: dict[str, Any]
        if isinstance(event, Trade):
            row = {
                "amount": 2 * int(self.size(event)),
                "ts": ms(event),
                "price": float(self.price(event)),
                "id": number,
            }
            data = [{**row, "direction": event.taker_side.value}]
            tick = {"id": number, "ts": ms(event), "data": data}
            return _packed(said(ch=f"market.{name}.trade.detail", ts=ms(event), tick=tick))
        if isinstance(event, MarkPrice):
            tick = {"id": ms(event) // 60_000 * 60, "close": self.price(event)}
            return _packed(said(ch=f"market.{name}.mark_price.1min", ts=ms(event), tick=tick))
        if isinstance(event, Liquidation):
            row = {"contract_code": name, "price": float(self.price(event)), "volume": int(self.size(event))}
            row["direction"] = "sell" if event.position_side is PositionSide.LONG else "buy"
            row["created_at"] = ms(event)
            return _packed(said(op="notify", topic="public.*.liquidation_orders", ts=ms(event), data=[row]))
        if isinstance(event, Funding):
            row = {"contract_code": name, "funding_rate": "0.000100000000000000", "funding_time": str(ms(event))}
            return _packed(said(op="notify", topic="public.*.funding_rate", ts=ms(event), data=[row]))
        return None

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if not path.endswith("/open_interest"):
            return super().answer(path, query, newest, now_ns)
        name = query["contract_code"]
        quantity = newest[self.ids[name]]
        counted = quantity_text(self.listings[self.ids[name]], quantity)
        row = {"contract_code": name, "volume": counted, "amount": str(quantity // 10**8)}
        return orjson.dumps({"code": 200, "data": [row], "ts": now_ns // 10**6})


def _packed(text: str) -> bytes:
    return gzip.compress(text.encode(), 1, mtime=0)
