"""Phemex as it speaks: linear contracts in text, inverse ones in scaled integers, times in ns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from liqscape.events import Liquidation, MarkPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import (
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

FIELDS = (
    "symbol",
    "openRp",
    "highRp",
    "lowRp",
    "lastRp",
    "volumeRq",
    "turnoverRv",
    "openInterestRv",
    "indexRp",
    "markRp",
    "fundingRateRr",
    "predFundingRateRr",
)


class PhemexSpeaker(VenueSpeaker):
    """See VenueSpeaker. It wants a ping every 5 s and cuts after 30 without."""

    silence_s = 30.0

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        method, names = said["method"], said["params"]
        if method == "server.ping":
            return [to_text({"error": None, "id": said["id"], "result": "pong"})]
        topic = method.removesuffix(".subscribe")
        traded = {"trade_p": False, "trade": True}.get(topic)
        known = [n for n, each in self.named.items() if each.instrument.is_inverse is traded]
        if topic not in ("perp_market24h_pack_p", "market24h") and (not names or not set(names) <= set(known)):
            refused = {"code": 6001, "message": "invalid argument"}
            return [to_text({"error": refused, "id": said["id"], "result": None})]
        ear.topics.update(f"{topic} {name}" for name in names or [""])
        told: list[Message] = [to_text({"error": None, "id": said["id"], "result": {"status": "success"}})]
        told += [self._trades(self.named[name], "snapshot") for name in names]
        if topic == "perp_market24h_pack_p":
            rows = [self._row(each) for each in self.named.values() if not each.instrument.is_inverse]
            told.append(_pack(rows, now_ns, "snapshot"))
        return told

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        topic = "trade" if listing.instrument.is_inverse else "trade_p"
        return [(f"{topic} {listing.name}", self._trades(listing, "incremental"))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        if not listing.instrument.is_inverse:
            return [("perp_market24h_pack_p ", _pack([self._row(listing)], event.time_ns, "incremental"))]
        price = _scaled(self.mark_text(listing), 4)
        row = {
            "symbol": listing.name,
            "close": price,
            "indexPrice": price,
            "markPrice": price,
            "openInterest": int(self.interest_text(listing)),
            "fundingRate": _scaled(self.rate_text(listing), 8),
            "predFundingRate": -260708,
        }
        return [("market24h ", to_text({"market24h": row, "timestamp": event.time_ns}))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/public/products":
            return None
        linear: list[dict[str, Any]] = []
        inverse: list[dict[str, Any]] = []
        for name, listing in self.named.items():
            row = {"symbol": name, "maxLeverage": 100, "status": "Listed"}
            if listing.instrument.is_inverse:
                inverse.append({**row, "type": "Perpetual", "tickSize": number(tick_text(listing))})
            else:
                linear.append({**row, "type": "PerpetualV2", "tickSize": tick_text(listing)})
        data = {"products": [*inverse, {"symbol": "sBTCUSDT", "type": "Spot"}], "perpProductsV2": linear}
        return orjson.dumps({"code": 0, "msg": "", "data": data})

    def _trades(self, listing: Listing, kind: str) -> str:
        rows = [_row(listing, event) for event, _ in reversed(self.recent[listing.instrument_id])]
        told = rows if kind == "snapshot" else rows[:1]
        key = "trades" if listing.instrument.is_inverse else "trades_p"
        return to_text({"sequence": 79157171, "symbol": listing.name, key: told, "type": kind})

    def _row(self, listing: Listing) -> list[str]:
        price, rate = self.mark_text(listing), self.rate_text(listing)
        told = {"symbol": listing.name, "openInterestRv": self.interest_text(listing), "volumeRq": "1374.476"}
        told |= {"turnoverRv": "22296790.4579", "fundingRateRr": rate, "predFundingRateRr": "0.0001"}
        return [told.get(field, price) for field in FIELDS]


def _row(listing: Listing, event: Trade | Liquidation) -> list[Any]:
    side = "Sell" if is_sell(event) else "Buy"
    price, size = price_text(listing, event.price), quantity_text(listing, event.quantity)
    if listing.instrument.is_inverse:
        return [event.time_ns, side, _scaled(price, 4), int(size)]
    return [event.time_ns, side, price, size]


def _scaled(text: str, places: int) -> int:
    return int(Decimal(text).scaleb(places))


def _pack(rows: list[list[str]], time_ns: int, kind: str) -> str:
    message = {"data": rows, "method": "perp_market24h_pack_p.update", "timestamp": time_ns, "type": kind}
    return to_text({"fields": FIELDS, **message} if kind == "snapshot" else message)
