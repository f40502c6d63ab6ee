"""Deribit as it speaks, and Coinbase International's gateway: JSON-RPC, trades numbered, a sign of life demanded."""

from __future__ import annotations

from collections.abc import Mapping
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
    tick_text,
    to_text,
    worth_text,
)


class DeribitSpeaker(VenueSpeaker):
    """See VenueSpeaker. Signs of life are demanded of who has called set_heartbeat."""

    prints = Prints(PrintPrice.FILL, complete=True, is_trade=True)
    ping_s = 30.0
    forgiven = 1

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/ws/api/v2"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        method, about = said["method"], {"jsonrpc": "2.0", "id": said["id"]}
        if method == "public/test":
            ear.unanswered = 0
            return [to_text({**about, "result": {"version": "1.2.26"}})]
        if method == "public/set_heartbeat" and said["params"]["interval"] >= 10:
            ear.topics.add(_ALIVE)
            ear.pinged_ns = now_ns
            return [to_text({**about, "result": "ok"})]
        if method != "public/subscribe":
            return [to_text({**about, "error": {"code": -32601, "message": "Method not found"}})]
        known = {f"{kind}.{name}.100ms" for name in self.named for kind in ("trades", "ticker")}
        granted = [channel for channel in said["params"]["channels"] if channel in known]
        ear.topics.update(granted)
        firsts = [self._ticker(listing, now_ns) for n, listing in self.named.items() if f"ticker.{n}.100ms" in granted]
        return [to_text({**about, "result": granted}), *firsts]

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        if _ALIVE not in ear.topics:
            return None
        return to_text({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}})

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        return self._rows(listing, event, number, {})

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return [(f"ticker.{listing.name}.100ms", self._ticker(listing, event.time_ns))]

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        # Of the taker: the market knows no maker that is liquidated (M, where the direction is the other side's).
        return self._rows(listing, event, number, {"liquidation": "T"})

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/api/v2/public/get_instruments":
            return None
        rows = [
            {
                "instrument_name": name,
                "kind": "future",
                "tick_size": number(tick_text(listing)),
                "max_leverage": 50,
                "is_active": True,
                "state": "open",
                "contract_size": float(listing.instrument.contract_value or 1),
                "settlement_period": "perpetual",
            }
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"jsonrpc": "2.0", "result": rows, "usIn": now_ns // 1000, "testnet": False})

    def _rows(self, listing: Listing, event: Trade | Liquidation, sequence: int, also: dict[str, str]) -> list[Said]:
        row = {
            "trade_seq": sequence,
            "trade_id": str(403691824 + sequence),
            "timestamp": event.time_ns // MS,
            "tick_direction": 0,
            "price": number(price_text(listing, event.price)),
            "amount": number(worth_text(listing, event.quantity)),
            "direction": "sell" if is_sell(event) else "buy",
            "mark_price": number(price_text(listing, event.price)),
            "index_price": number(price_text(listing, event.price)),
            "instrument_name": listing.name,
            **also,
        }
        channel = f"trades.{listing.name}.100ms"
        return [(channel, _pushed(channel, [row]))]

    def _ticker(self, listing: Listing, time_ns: int) -> str:
        price = number(self.mark_text(listing))
        row = {
            "instrument_name": listing.name,
            "timestamp": time_ns // MS,
            "state": "open",
            "mark_price": price,
            "index_price": price,
            "last_price": price,
            "open_interest": number(worth_text(listing, self.interest[listing.instrument_id])),
            "current_funding": number(self.rate_text(listing)),
            "funding_8h": 1.25e-05,
        }
        return _pushed(f"ticker.{listing.name}.100ms", row)


class CoinbaseIntlSpeaker(DeribitSpeaker):
    """See VenueSpeaker. The gateway closes a socket on which the client says nothing for about 30 s."""

    prints = Prints(PrintPrice.FILL, complete=False, is_trade=True)
    silence_s = 30.0


_ALIVE = "heartbeat"


def _pushed(channel: str, data: Any) -> str:
    return to_text({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}})
