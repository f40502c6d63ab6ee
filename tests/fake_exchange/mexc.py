"""MEXC's contracts as they speak: JSON numbers, confirmations that name the kind alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from liqscape.events import MarkPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import (
    MS,
    Ear,
    Message,
    Said,
    VenueSpeaker,
    is_sell,
    number,
    price_text,
    quantity_text,
    tick_text,
    to_text,
)


class MexcSpeaker(VenueSpeaker):
    """See VenueSpeaker."""

    silence_s = 60.0

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/edge"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        method, time_ms = said["method"], now_ns // MS
        if method == "ping":
            return [to_text({"channel": "pong", "data": time_ms})]
        name = said["param"]["symbol"]
        if method not in ("sub.deal", "sub.ticker") or name not in self.named:
            return [to_text({"channel": "rs.error", "data": f"Contract [{name}] not exists", "ts": time_ms})]
        ear.topics.add(f"{method[4:]} {name}")
        told: list[Message] = [to_text({"channel": f"rs.{method}", "data": "success", "ts": time_ms})]
        if method == "sub.ticker":
            told.append(self._ticker(self.named[name], now_ns))
        return told

    def trade(self, listing: Listing, event: Trade, number_: int) -> list[Said]:
        row = {
            "p": number(price_text(listing, event.price)),
            "v": int(quantity_text(listing, event.quantity)),
            "T": 2 if is_sell(event) else 1,
            "O": 3,
            "M": 2,
            "t": event.time_ns // MS,
            "i": str(13064218826 + number_),
        }
        return [(f"deal {listing.name}", _push("deal", listing, [row], event.time_ns))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return [(f"ticker {listing.name}", self._ticker(listing, event.time_ns))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/api/v1/contract/detail":
            return None
        rows = [
            {
                "symbol": name,
                "baseCoin": listing.instrument.symbol,
                "quoteCoin": "USDT",
                "settleCoin": listing.instrument.symbol if listing.instrument.is_inverse else "USDT",
                "contractSize": float(listing.unit),
                "priceUnit": number(tick_text(listing)),
                "maxLeverage": 500,
                "riskLimitMode": "CUSTOM",
                "riskLimitType": "BY_VOLUME",
                "riskLimitCustom": [
                    {
                        "level": level,
                        "maxVol": tier.notional_cap,
                        "mmr": float(tier.maintenance_margin_rate),
                        "imr": float(1 / tier.max_leverage),
                        "maxLeverage": tier.max_leverage,
                    }
                    for level, tier in enumerate(self.table(name), 1)
                ],
                "state": 0,
            }
            for name, listing in self.named.items()
            if query.get("symbol", name) == name
        ]
        return orjson.dumps({"success": True, "code": 0, "data": rows})

    def _ticker(self, listing: Listing, time_ns: int) -> str:
        price = number(self.mark_text(listing))
        row = {
            "symbol": listing.name,
            "lastPrice": price,
            "fairPrice": price,
            "indexPrice": price,
            "holdVol": int(self.interest_text(listing)),
            "fundingRate": number(self.rate_text(listing)),
            "timestamp": time_ns // MS,
            "zone": "UTC+8",
        }
        return _push("ticker", listing, row, time_ns)


def _push(kind: str, listing: Listing, data: Any, time_ns: int) -> str:
    return to_text({"symbol": listing.name, "data": data, "channel": f"push.{kind}", "ts": time_ns // MS})
