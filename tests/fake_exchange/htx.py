"""HTX swaps as they speak: every frame is gzip, each kind of message has a socket, trades count both sides."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from liqscape.events import Funding, Liquidation, MarkPrice, PrintPrice, Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import (
    MS,
    Ear,
    Message,
    Prints,
    Said,
    VenueSpeaker,
    coins_at,
    is_sell,
    number,
    plain,
    price_text,
    quantity_text,
    tick_text,
)

TRADES = ("/linear-swap-ws", "/swap-ws")

NOTICES = ("/linear-swap-notification", "/swap-notification")

MARKS = "/ws_index"

KINDS = ("liquidation_orders", "funding_rate")


class HtxSpeaker(VenueSpeaker):
    """See VenueSpeaker. The first push of trades repeats the latest one."""

    prints = Prints(PrintPrice.BANKRUPTCY, complete=False)
    ping_s = 5.0
    forgiven = 5

    def admits(self, ear: Ear) -> bool:
        return ear.path in (*TRADES, *NOTICES, MARKS)

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        said = orjson.loads(text)
        if "pong" in said or said.get("op") == "pong":
            told = said.get("pong", said.get("ts"))
            ear.unanswered = 0 if str(told) == str(ear.pinged_ns // MS) else ear.unanswered
            return []
        if ear.path in NOTICES:
            topic = said["topic"]
            known = topic in [f"public.*.{kind}" for kind in KINDS]
            ear.topics.add(f"{ear.path} {topic}")
            code = {"err-code": 0} if known else {"err-code": 2011, "err-msg": f"Topic {topic} is invalid"}
            return [_packed({"op": "sub", "cid": said["cid"], "topic": topic, "ts": now_ns // MS, **code})]
        topic = said["sub"]
        listing = next((each for name, each in self.named.items() if topic.split(".")[1] == name), None)
        if listing is None or topic.split(".", 2)[2] != ("mark_price.1min" if ear.path == MARKS else "trade.detail"):
            refused = {"status": "error", "ts": now_ns // MS, "id": said["id"], "err-code": "bad-request"}
            return [_packed({**refused, "err-msg": f"invalid topic {topic}"})]
        ear.topics.add(topic)
        confirmed = _packed({"id": said["id"], "subbed": topic, "ts": now_ns // MS, "status": "ok"})
        if ear.path == MARKS:
            return [confirmed]
        event, n = self.recent[listing.instrument_id][-1]
        return [confirmed, _trades(topic, [_row(listing, event, n)], now_ns)]

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        told = now_ns // MS
        return _packed({"op": "ping", "ts": str(told)} if ear.path in NOTICES else {"ping": told})

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        topic = f"market.{listing.name}.trade.detail"
        return [(topic, _trades(topic, [_row(listing, event, number)], event.time_ns))]

    def mark(self, listing: Listing, event: MarkPrice) -> list[Said]:
        topic, price = f"market.{listing.name}.mark_price.1min", price_text(listing, event.price)
        tick = {"id": event.time_ns // (60 * 10**9) * 60, "open": price, "close": price, "high": price, "low": price}
        message = {"ch": topic, "ts": event.time_ns // MS, "tick": {**tick, "vol": "0", "amount": "0", "count": "0"}}
        return [(topic, _packed(message))]

    def funding(self, listing: Listing, event: Funding) -> list[Said]:
        row = {
            "symbol": listing.instrument.symbol,
            "contract_code": listing.name,
            "fee_asset": listing.instrument.symbol,
            "funding_time": str(event.time_ns // MS),
            "funding_rate": self.rate_text(listing),
            "estimated_rate": "0.000100000000000000",
            "settlement_time": "1795248000000",
        }
        return _notice("funding_rate", listing, row, event.time_ns)

    def liquidation(self, listing: Listing, event: Liquidation, number_: int) -> list[Said]:
        row = {
            "symbol": listing.instrument.symbol,
            "contract_code": listing.name,
            "direction": "sell" if is_sell(event) else "buy",
            "offset": "close",
            "volume": number(quantity_text(listing, event.quantity)),
            "price": number(price_text(listing, event.price)),
            "created_at": event.time_ns // MS,
            "amount": number(plain(coins_at(listing, event.quantity, event.price))),
            "contract_type": "swap",
            "business_type": "swap",
        }
        return _notice("liquidation_orders", listing, row, event.time_ns)

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        time_ms = now_ns // MS
        if path in ("/linear-swap-api/v1/swap_contract_info", "/swap-api/v1/swap_contract_info"):
            is_coin = path.startswith("/swap-api")
            rows = [_contract(each) for each in self.named.values() if each.instrument.is_inverse == is_coin]
            return orjson.dumps({"status": "ok", "data": rows, "ts": time_ms})
        listing = self.named.get(query.get("contract_code", ""))
        if listing is None:
            return None
        if path.endswith("/v1/swap_adjustfactor"):
            return orjson.dumps({"status": "ok", "data": [_adjustfactor(listing)], "ts": time_ms})
        quantity = newest[listing.instrument_id]
        at = coins_at(listing, quantity, self.marks[listing.instrument_id].price)
        volume = quantity_text(listing, quantity)
        if path == "/v5/market/open_interest":
            row = {"amount": plain(at), "volume": volume, "value": "2063137924.96", "contract_code": listing.name}
            return orjson.dumps({"code": 200, "message": "Success", "data": row, "ts": time_ms})
        if path == "/swap-api/v1/swap_open_interest":
            told = {"volume": float(volume), "amount": float(at), "symbol": "BTC", "contract_code": listing.name}
            return orjson.dumps({"status": "ok", "data": [told], "ts": time_ms})
        return None


def _adjustfactor(listing: Listing) -> dict[str, Any]:
    """Return factors by leverage and size; sizes are told with both ends, the last without one."""
    listed = [
        {
            "lever_rate": leverage,
            "ladders": [
                {
                    "ladder": number,
                    "min_size": step.floor,
                    "max_size": None if step.cap is None else step.cap - 1,
                    "adjust_factor": float(step.factor),
                }
                for number, step in enumerate(steps)
            ],
        }
        for leverage, steps in listing.instrument.adjustments
    ]
    about = {"symbol": listing.instrument.symbol, "contract_code": listing.name, "list": listed}
    return about if listing.instrument.is_inverse else {**about, "margin_mode": "isolated", "trade_partition": "USDT"}


def _packed(message: Mapping[str, Any]) -> bytes:
    return gzip.compress(orjson.dumps(message), 1)


def _trades(topic: str, rows: Sequence[Mapping[str, Any]], time_ns: int) -> bytes:
    time_ms = time_ns // MS
    return _packed({"ch": topic, "ts": time_ms, "tick": {"id": 74377471712, "ts": time_ms, "data": rows}})


def _row(listing: Listing, event: Trade | Liquidation, n: int) -> dict[str, Any]:
    return {
        "amount": 2 * int(quantity_text(listing, event.quantity)),
        "quantity": float(coins_at(listing, 2 * event.quantity, event.price)),
        "ts": event.time_ns // MS,
        "id": 743774717120000 + n,
        "price": number(price_text(listing, event.price)),
        "direction": "sell" if is_sell(event) else "buy",
    }


def _notice(kind: str, listing: Listing, row: Mapping[str, Any], time_ns: int) -> list[Said]:
    path, topic = NOTICES[listing.instrument.is_inverse], f"public.*.{kind}"
    message = {"op": "notify", "topic": topic, "ts": time_ns // MS, "data": [row]}
    return [(f"{path} {topic}", _packed(message))]


def _contract(listing: Listing) -> dict[str, Any]:
    worth = listing.instrument.contract_value
    return {
        "symbol": listing.instrument.symbol,
        "contract_code": listing.name,
        "contract_size": float(listing.unit if worth is None else worth),
        "price_tick": float(tick_text(listing)),
        "contract_status": 1,
        "business_type": "swap",
    }
