"""OKX v5 as it speaks: numbers as text, sizes in contracts, one confirmation for each argument."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

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
    coins_at,
    fraction_text,
    is_long,
    is_sell,
    plain,
    price_text,
    quantity_text,
    tick_text,
    to_text,
)

ALL_ORDERS = {"channel": "liquidation-orders", "instType": "SWAP"}

OLD_NS = 30 * 10**9
"""Age of an order that is told again: young enough to be believed."""


class OkxSpeaker(VenueSpeaker):
    """See VenueSpeaker. The first push of liquidations repeats those of before."""

    prints = Prints(PrintPrice.BANKRUPTCY, complete=False)

    def admits(self, ear: Ear) -> bool:
        return ear.path == "/ws/v5/public"

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        if text == "ping":
            return ["pong"]
        told: list[Message] = []
        for argument in orjson.loads(text)["args"]:
            if argument != ALL_ORDERS and argument.get("instId") not in self.named:
                message = f"Wrong URL or channel:{argument['channel']} doesn't exist"
                told.append(to_text({"event": "error", "code": "60018", "msg": message, "connId": "a4d3ae55"}))
                continue
            ear.topics.add(_topic(argument))
            told.append(to_text({"event": "subscribe", "arg": argument, "connId": "a4d3ae55"}))
            if argument == ALL_ORDERS:
                told.append(
                    to_text({"arg": ALL_ORDERS, "data": [self._old(each, now_ns) for each in self.named.values()]})
                )
        count = {"event": "channel-conn-count", "channel": "trades", "connCount": "1", "connId": "a4d3ae55"}
        return [*told, to_text(count)]

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        row = {
            "tradeId": str(130639474 + number),
            "px": price_text(listing, event.price),
            "sz": quantity_text(listing, event.quantity),
            "side": "sell" if is_sell(event) else "buy",
            "ts": _ms(event),
            "count": "1",
        }
        return _pushed("trades", listing, row)

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        row = {"instType": "SWAP", "markPx": price_text(listing, event.price), "ts": _ms(event)}
        return _pushed("mark-price", listing, row)

    def open_interest(self, listing: Listing, event: OpenInterest) -> list[Said]:
        mark = self.marks.get(listing.instrument_id)
        at = mark.price if mark is not None else 10**listing.instrument.price_decimals
        row = {
            "instType": "SWAP",
            "oi": quantity_text(listing, event.quantity),
            "oiCcy": plain(coins_at(listing, event.quantity, at)),
            "oiUsd": "1820309692.5",
            "ts": _ms(event),
        }
        return _pushed("open-interest", listing, row)

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        row = {
            "instType": "SWAP",
            "fundingRate": self.rate_text(listing),
            "fundingTime": "1795248000000",
            "nextFundingRate": "",
            "nextFundingTime": "1795276800000",
            "method": "current_period",
            "ts": _ms(event),
        }
        return _pushed("funding-rate", listing, row)

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        detail = {
            "bkLoss": "0",
            "bkPx": price_text(listing, event.price),
            "ccy": "",
            "posSide": "long" if is_long(event) else "short",
            "side": "sell" if is_long(event) else "buy",
            "sz": quantity_text(listing, event.quantity),
            "ts": _ms(event),
        }
        row = {"details": [detail], "instFamily": "", "instId": listing.name, "instType": "SWAP", "uly": ""}
        return [(_topic(ALL_ORDERS), to_text({"arg": ALL_ORDERS, "data": [row]}))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path == "/api/v5/public/position-tiers":
            return self._position_tiers(query)
        if path != "/api/v5/public/instruments" or query["instType"] != "SWAP":
            return None
        rows = [
            {
                "instId": name,
                "instType": "SWAP",
                "ctVal": _size(listing),
                "ctMult": "1",
                "ctType": "inverse" if listing.instrument.is_inverse else "linear",
                "tickSz": tick_text(listing),
                "lever": "100",
                "state": "live",
            }
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"code": "0", "msg": "", "data": rows})

    def _position_tiers(self, query: Mapping[str, str]) -> bytes:
        """Return a margin table; a tier begins a contract behind the end of the one before."""
        family = query["instFamily"]
        rows = [
            {
                "baseMaxLoan": "",
                "imr": fraction_text(Fraction(1, tier.max_leverage)),
                "instFamily": family,
                "instId": "",
                "maxLever": str(tier.max_leverage),
                "maxSz": str(tier.notional_cap),
                "minSz": str(tier.notional_floor + (number > 1)),
                "mmr": fraction_text(tier.maintenance_margin_rate),
                "optMgnFactor": "0",
                "quoteMaxLoan": "",
                "tier": str(number),
                "uly": family,
            }
            for number, tier in enumerate(self.table(f"{family}-SWAP"), 1)
        ]
        return orjson.dumps({"code": "0", "msg": "", "data": rows})

    def _old(self, listing: Listing, now_ns: int) -> dict[str, Any]:
        """Return an order of before: there is always one of some contract, and the topic is of all of them."""
        detail = {
            "bkLoss": "0",
            "bkPx": self.mark_text(listing),
            "ccy": "",
            "posSide": "short",
            "side": "buy",
            "sz": "7",
            "ts": str((now_ns - OLD_NS) // MS),
        }
        return {"details": [detail], "instFamily": "", "instId": listing.name, "instType": "SWAP", "uly": ""}


def _ms(event: Any) -> str:
    return str(event.time_ns // MS)


def _topic(argument: Mapping[str, str]) -> str:
    return f"{argument['channel']} {argument.get('instId', argument.get('instType'))}"


def _pushed(channel: str, listing: Listing, row: dict[str, str]) -> list[Said]:
    argument = {"channel": channel, "instId": listing.name}
    return [(_topic(argument), to_text({"arg": argument, "data": [{"instId": listing.name, **row}]}))]


def _size(listing: Listing) -> str:
    worth = listing.instrument.contract_value
    return str(float(listing.unit)) if worth is None else str(worth)
