"""Gate's perpetuals as it speaks: sizes are signed contracts, liquidations come in batches of all contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import orjson

from liqscape.events import Liquidation, MarkPrice, PrintPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from liqscape.feeds.venues.gate import settled_in
from tests.fake_exchange.speaker import (
    MS,
    SECOND_NS,
    Ear,
    Message,
    Prints,
    Said,
    VenueSpeaker,
    fraction_text,
    is_sell,
    price_text,
    quantity_text,
    tick_text,
    to_text,
)

CHANNELS = ("futures.trades", "futures.tickers")

CLOCKS_S = 120
"""What the time in a request may be off."""


class GateSpeaker(VenueSpeaker):
    """See VenueSpeaker. A message of ours must tell the time of sending."""

    prints = Prints(PrintPrice.UNKNOWN, complete=True)

    def admits(self, ear: Ear) -> bool:
        return ear.path in ("/v4/ws/usdt", "/v4/ws/btc", "/v4/ws/usd1")

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        channel, settle, seconds = said["channel"], ear.path.rpartition("/")[2], now_ns // SECOND_NS
        about = {"time": seconds, "time_ms": now_ns // MS, "channel": channel}
        if channel == "futures.ping":
            return [to_text({**about, "channel": "futures.pong", "event": "", "error": None, "result": None})]
        names = said["payload"]
        answer = {**about, "id": said.get("id"), "event": said["event"], "payload": names}
        known = {name for name, each in self.named.items() if settled_in(each.instrument) == settle}
        if type(said.get("time")) is not int or abs(said["time"] - seconds) > CLOCKS_S:
            return [to_text({**answer, "error": {"code": 1, "message": "invalid time"}, "result": None})]
        if channel == "futures.public_liquidates" and names == ["!all"]:
            ear.topics.add(f"{channel} {settle}")
        elif channel in CHANNELS and known.issuperset(names):
            ear.topics.update(f"{channel} {name}" for name in names)
        else:
            return [to_text({**answer, "error": {"code": 2, "message": "unknown contract"}, "result": None})]
        return [to_text({**answer, "error": None, "result": {"status": "success"}})]

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        row = {
            "size": _signed(listing, event),
            "id": 376991 + number,
            "create_time": event.time_ns // SECOND_NS,
            "create_time_ms": event.time_ns // MS,
            "price": price_text(listing, event.price),
            "contract": listing.name,
        }
        return _pushed("futures.trades", listing.name, [row], event.time_ns)

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        price = price_text(listing, event.price)
        row = {
            "contract": listing.name,
            "last": price,
            "mark_price": price,
            "index_price": price,
            "funding_rate": self.rate_text(listing),
            "funding_rate_indicative": self.rate_text(listing),
            "total_size": self.interest_text(listing),
            "quanto_base_rate": "",
        }
        return _pushed("futures.tickers", listing.name, [row], event.time_ns)

    def liquidation(self, listing: Listing, event: Liquidation, number: int) -> list[Said]:
        row = {
            "price": price_text(listing, event.price),
            "size": str(_signed(listing, event)),
            "time": event.time_ns // MS,
            "contract": listing.name,
        }
        return _pushed("futures.public_liquidates", settled_in(listing.instrument), [row], event.time_ns)

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path.endswith("/risk_limit_tiers"):
            return self._risk_limit_tiers(query["contract"])
        settle = path.removeprefix("/api/v4/futures/").removesuffix("/contracts")
        rows = [
            {
                "name": name,
                "type": "inverse" if listing.instrument.is_inverse else "direct",
                "quanto_multiplier": "0" if listing.instrument.is_inverse else str(float(listing.unit)),
                "order_price_round": tick_text(listing),
                "leverage_max": "200",
                "funding_interval": 28800,
                "in_delisting": False,
            }
            for name, listing in self.named.items()
            if settled_in(listing.instrument) == settle
        ]
        return orjson.dumps(rows) if rows else None

    def _risk_limit_tiers(self, contract: str) -> bytes:
        rows = [
            {
                "tier": number,
                "risk_limit": str(tier.notional_cap),
                "initial_rate": fraction_text(Fraction(1, tier.max_leverage)),
                "maintenance_rate": fraction_text(tier.maintenance_margin_rate),
                "leverage_max": str(tier.max_leverage),
                "contract": contract,
                "deduction": fraction_text(tier.maintenance_amount),
            }
            for number, tier in enumerate(self.table(contract), 1)
        ]
        return orjson.dumps(rows)


def _signed(listing: Listing, event: Trade | Liquidation) -> int:
    size = int(quantity_text(listing, event.quantity))
    return -size if is_sell(event) else size


def _pushed(channel: str, about: str, rows: Sequence[Mapping[str, Any]], time_ns: int) -> list[Said]:
    message = {
        "time": time_ns // SECOND_NS,
        "time_ms": time_ns // MS,
        "channel": channel,
        "event": "update",
        "result": rows,
    }
    return [(f"{channel} {about}", to_text(message))]
