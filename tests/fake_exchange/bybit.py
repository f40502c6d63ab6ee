"""Bybit v5, linear and inverse, as it speaks: a ticker is told whole once and then only what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import orjson

from liqscape.events import Funding, Liquidation, MarkPrice, OpenInterest, PrintPrice, Trade
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
    tick_text,
    to_text,
)
from tests.fake_exchange.speaker import coins as counted


class BybitSpeaker(VenueSpeaker):
    """See VenueSpeaker. Open interest is told of both sides, and beside it of one."""

    prints = Prints(PrintPrice.BANKRUPTCY, complete=True)
    silence_s = 600.0

    def admits(self, ear: Ear) -> bool:
        return ear.path in ("/v5/public/linear", "/v5/public/inverse")

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        about = {"conn_id": "d9avt8shteepr00gfc1g-4zd1x", "req_id": said.get("req_id", ""), "op": said["op"]}
        if said["op"] == "ping":
            return [to_text({"success": True, "ret_msg": "pong", **about})]
        traded = {name: "inverse" if each.instrument.is_inverse else "linear" for name, each in self.named.items()}
        wrong = [topic for topic in said["args"] if traded.get(topic.partition(".")[2]) != ear.path.rpartition("/")[2]]
        if wrong:
            return [to_text({"success": False, "ret_msg": f"error:handler not found,topic:{wrong[0]}", **about})]
        ear.topics.update(said["args"])
        firsts = [
            self._ticker(listing, "snapshot", now_ns, self._whole(listing))
            for name, listing in self.named.items()
            if f"tickers.{name}" in said["args"]
        ]
        return [to_text({"success": True, "ret_msg": "", **about}), *firsts]

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        time_ms, topic = event.time_ns // MS, f"publicTrade.{listing.name}"
        row = {
            "T": time_ms,
            "s": listing.name,
            "S": "Sell" if is_sell(event) else "Buy",
            "v": quantity_text(listing, event.quantity),
            "p": price_text(listing, event.price),
            "L": "PlusTick",
            "i": f"a9188a0a-{number}",
            "BT": False,
            "RPI": False,
            "seq": 753843954913 + 2 * number,
        }
        return [(topic, to_text({"topic": topic, "type": "snapshot", "ts": time_ms + 1, "data": [row]}))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        return self._changed(listing, event.time_ns, {"markPrice": price_text(listing, event.price)})

    def open_interest(self, listing: Listing, event: OpenInterest) -> list[Said]:
        return self._changed(listing, event.time_ns, self._interest(event.quantity))

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        return self._changed(listing, event.time_ns, {"fundingRate": self.rate_text(listing)})

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        topic, time_ms = f"allLiquidation.{listing.name}", event.time_ns // MS
        row = {
            "T": time_ms,
            "s": listing.name,
            "S": "Buy" if is_long(event) else "Sell",
            "v": quantity_text(listing, event.quantity),
            "p": price_text(listing, event.price),
        }
        return [(topic, to_text({"topic": topic, "type": "snapshot", "ts": time_ms + 300, "data": [row]}))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path == "/v5/market/risk-limit":
            return self._risk_limit(query, now_ns)
        if path != "/v5/market/instruments-info":
            return None
        rows = [
            {
                "symbol": name,
                "contractType": "InversePerpetual" if listing.instrument.is_inverse else "LinearPerpetual",
                "status": "Trading",
                "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
                "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": tick_text(listing)},
                "fundingInterval": 480,
            }
            for name, listing in self.named.items()
            if listing.instrument.is_inverse == (query["category"] == "inverse")
        ]
        result = {"category": query["category"], "list": rows, "nextPageCursor": ""}
        return orjson.dumps({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ns // MS})

    def _risk_limit(self, query: Mapping[str, str], now_ns: int) -> bytes:
        """Return a margin table; the lowest tier has no deduction, told as nothing."""
        rows = [
            {
                "id": number,
                "symbol": query["symbol"],
                "riskLimitValue": str(tier.notional_cap),
                "maintenanceMargin": fraction_text(tier.maintenance_margin_rate),
                "initialMargin": fraction_text(Fraction(1, tier.max_leverage)),
                "isLowestRisk": int(number == 1),
                "maxLeverage": f"{tier.max_leverage}.00",
                "mmDeduction": fraction_text(tier.maintenance_amount) if tier.maintenance_amount else "",
            }
            for number, tier in enumerate(self.table(query["symbol"]), 1)
        ]
        result = {"category": query["category"], "list": rows, "nextPageCursor": ""}
        return orjson.dumps({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ns // MS})

    def _whole(self, listing: Listing) -> dict[str, str]:
        price = self.mark_text(listing)
        return {
            "symbol": listing.name,
            "tickDirection": "ZeroPlusTick",
            "lastPrice": price,
            "markPrice": price,
            "indexPrice": price,
            **self._interest(self.interest[listing.instrument_id]),
            "fundingIntervalHour": "8",
            "fundingCap": "0.005",
            "fundingRate": self.rate_text(listing),
            "nextFundingTime": "1795248000000",
        }

    def _interest(self, quantity: int) -> dict[str, str]:
        single = counted(quantity)
        return {"openInterest": plain(2 * single), "singleOpenInterest": plain(single)}

    def _changed(self, listing: Listing, time_ns: int, change: dict[str, str]) -> list[Said]:
        text = self._ticker(listing, "delta", time_ns, {"symbol": listing.name, **change})
        return [(f"tickers.{listing.name}", text)]

    def _ticker(self, listing: Listing, kind: str, time_ns: int, row: dict[str, str]) -> str:
        return to_text(
            {"topic": f"tickers.{listing.name}", "type": kind, "data": row, "cs": 112488546160, "ts": time_ns // MS}
        )
