"""Bitget's v3 socket as it speaks: what was traded before comes as a snapshot, liquidations as their worth in quote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

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
    fraction_text,
    is_long,
    is_sell,
    plain,
    price_text,
    quantity_text,
    to_text,
)

PRODUCTS = ("usdt-futures", "usdc-futures", "coin-futures")


class BitgetSpeaker(VenueSpeaker):
    """See VenueSpeaker."""

    prints = Prints(PrintPrice.UNKNOWN, complete=False)
    silence_s = 120.0

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/v3/ws/public"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        if text == "ping":
            return ["pong"]
        told: list[Message] = []
        for argument in orjson.loads(text)["args"]:
            topic, listing = argument["topic"], self.named.get(argument.get("symbol", ""))
            if argument["instType"] not in PRODUCTS or (listing is None and topic != "liquidation"):
                told.append(to_text({"event": "error", "arg": argument, "code": "30016", "msg": "Param error"}))
                continue
            ear.topics.add(_topic(argument))
            told.append(to_text({"event": "subscribe", "arg": argument}))
            if listing is not None and topic == "publicTrade":
                old = [_row(listing, event, n) for event, n in self.recent[listing.instrument_id]]
                told.append(_pushed(argument, "snapshot", old, now_ns))
            elif listing is not None and topic == "ticker":
                told.append(_pushed(argument, "snapshot", [self._state(listing)], now_ns))
        return told

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        argument = _argument("publicTrade", listing)
        return [(_topic(argument), _pushed(argument, "update", [_row(listing, event, number)], event.time_ns))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        argument = _argument("ticker", listing)
        return [(_topic(argument), _pushed(argument, "snapshot", [self._state(listing)], event.time_ns))]

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        argument = {"instType": "usdt-futures", "topic": "liquidation"}
        price = price_text(listing, event.price)
        row = {
            "symbol": listing.name,
            "side": "buy" if is_long(event) else "sell",
            "price": price,
            "amount": plain(Decimal(quantity_text(listing, event.quantity)) * Decimal(price)),
            "ts": str(event.time_ns // MS),
        }
        return [(_topic(argument), _pushed(argument, "update", [row], event.time_ns))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path == "/api/v2/mix/market/query-position-lever":
            return self._position_lever(query["symbol"], now_ns)
        if path != "/api/v2/mix/market/contracts":
            return None
        rows = [
            {
                "symbol": name,
                "pricePlace": str(listing.instrument.price_decimals),
                "priceEndStep": "1",
                "sizeMultiplier": "0.0001",
                "maxLever": "150",
                "symbolStatus": "normal",
                "fundInterval": "8",
            }
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"code": "00000", "msg": "success", "requestTime": now_ns // MS, "data": rows})

    def _position_lever(self, symbol: str, now_ns: int) -> bytes:
        rows = [
            {
                "symbol": symbol,
                "level": str(number),
                "startUnit": str(tier.notional_floor),
                "endUnit": str(tier.notional_cap),
                "leverage": str(tier.max_leverage),
                "keepMarginRate": fraction_text(tier.maintenance_margin_rate),
            }
            for number, tier in enumerate(self.table(symbol), 1)
        ]
        return orjson.dumps({"code": "00000", "msg": "success", "requestTime": now_ns // MS, "data": rows})

    def _state(self, listing: Listing) -> dict[str, str]:
        price = self.mark_text(listing)
        return {
            "lastPrice": price,
            "markPrice": price,
            "indexPrice": price,
            "openInterest": self.interest_text(listing),
            "fundingRate": self.rate_text(listing),
            "nextFundingTime": "1795248000000",
        }


def _row(listing: Listing, event: Trade | Liquidation, number: int) -> dict[str, str]:
    return {
        "i": str(1_200_000_000_000 + number),
        "p": price_text(listing, event.price),
        "v": quantity_text(listing, event.quantity),
        "S": "sell" if is_sell(event) else "buy",
        "T": str(event.time_ns // MS),
        "isRPI": "no",
    }


def _argument(topic: str, listing: Listing) -> dict[str, str]:
    return {"instType": "usdt-futures", "topic": topic, "symbol": listing.name}


def _topic(argument: Mapping[str, str]) -> str:
    return f"{argument['instType']} {argument['topic']} {argument.get('symbol', '')}"


def _pushed(argument: Mapping[str, str], action: str, rows: Sequence[Mapping[str, str]], time_ns: int) -> str:
    return to_text({"action": action, "arg": argument, "data": rows, "ts": time_ns // MS})
