"""KuCoin's futures as it speaks: a token is asked for before a connection, sizes are lots, times of trades ns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from liqscape.events import Funding, MarkPrice, Trade
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

TOKEN = "2neAiuYvAU61ZDXANAGAsiL4-iAExhsBXZxftpOeh_55i3Ysy2q2LEsEWU64mdzUOPusi34M_wGoSf7iNyEWJ0=="

TOPICS = ("/contractMarket/execution", "/contract/instrument")

PING_INTERVAL_MS = 18_000


class KucoinSpeaker(VenueSpeaker):
    """See VenueSpeaker. A connection without the token is refused."""

    silence_s = 28.0  # the interval, and ten seconds for the answer

    def admits(self, ear: Ear) -> bool:
        return ear.query.get("token") == TOKEN and bool(ear.query.get("connectId"))

    def greet(self, ear: Ear) -> list[Message]:
        return [to_text({"id": ear.query["connectId"], "type": "welcome"})]

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        if said["type"] == "ping":
            return [to_text({"id": said["id"], "type": "pong", "timestamp": now_ns // 1000})]
        topic, _, names = said["topic"].partition(":")
        if said["type"] != "subscribe" or topic not in TOPICS or not self.named.keys() >= set(names.split(",")):
            missing = f"topic {said['topic']} is not found"
            return [to_text({"id": said["id"], "type": "error", "code": 404, "data": missing})]
        ear.topics.update(f"{topic}:{name}" for name in names.split(","))
        return [to_text({"id": said["id"], "type": "ack"})] if said.get("response") else []

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        row = {
            "symbol": listing.name,
            "sequence": 1694749771273 + 3 * number,
            "side": "sell" if is_sell(event) else "buy",
            "size": int(quantity_text(listing, event.quantity)),
            "price": price_text(listing, event.price),
            "takerOrderId": "6057bc95660a7d0006dc1171",
            "makerOrderId": "6057bc92652ce800067e841a",
            "tradeId": str(1694749771273 + number),
            "ts": event.time_ns,
        }
        return _message("/contractMarket/execution", "match", listing, row)

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        price = number(price_text(listing, event.price))
        row = {"markPrice": price, "indexPrice": price, "granularity": 1000, "timestamp": event.time_ns // MS}
        return _message("/contract/instrument", "mark.index.price", listing, row)

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        row = {"fundingRate": number(self.rate_text(listing)), "timestamp": event.time_ns // MS}
        expected = {**row, "granularity": 60_000, "fundingRate": 0.000123}
        return [
            *_message("/contract/instrument", "funding.rate", listing, {**row, "granularity": 28_800_000}),
            *_message("/contract/instrument", "funding.rate", listing, expected),
        ]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path == "/api/v1/bullet-public":
            server = {
                "endpoint": "wss://ws-api-futures.kucoin.com/",
                "encrypt": True,
                "protocol": "websocket",
                "pingInterval": PING_INTERVAL_MS,
                "pingTimeout": 10_000,
            }
            return orjson.dumps({"code": "200000", "data": {"token": TOKEN, "instanceServers": [server]}})
        if path.startswith("/api/v1/contracts/risk-limit/"):
            return self._risk_limit(path.rpartition("/")[2])
        if path != "/api/v1/contracts/active":
            return None
        rows = [
            {
                "symbol": name,
                "isInverse": listing.instrument.is_inverse,
                "multiplier": -1.0 if listing.instrument.is_inverse else float(listing.unit),
                "tickSize": number(tick_text(listing)),
                "lotSize": 1,
                "maxLeverage": 125,
                "status": "Open",
                "openInterest": quantity_text(listing, newest[listing.instrument_id]),
                "fundingRateGranularity": 28_800_000,
            }
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"code": "200000", "data": rows})

    def _risk_limit(self, symbol: str) -> bytes:
        rows = [
            {
                "symbol": symbol,
                "level": level,
                "maxRiskLimit": tier.notional_cap,
                "minRiskLimit": tier.notional_floor,
                "maxLeverage": tier.max_leverage,
                "initialMargin": float(1 / tier.max_leverage),
                "maintainMargin": float(tier.maintenance_margin_rate),
            }
            for level, tier in enumerate(self.table(symbol), 1)
        ]
        return orjson.dumps({"code": "200000", "data": rows})


def _message(topic: str, subject: str, listing: Listing, row: Mapping[str, Any]) -> list[Said]:
    full = f"{topic}:{listing.name}"
    return [(full, to_text({"topic": full, "type": "message", "subject": subject, "data": row}))]
