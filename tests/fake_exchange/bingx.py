"""BingX as it speaks: gzip frames, a text Ping that wants Pong; marks, rates and open interest are asked for."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

import orjson

from liqscape.events import Trade
from liqscape.feeds.venues.dialect import Listing
from tests.fake_exchange.speaker import (
    MS,
    Ear,
    Message,
    Said,
    VenueSpeaker,
    coins,
    coins_at,
    is_sell,
    price_text,
    quantity_text,
    to_text,
)

LINEAR, INVERSE = "/openApi/swap/v2/quote/", "/openApi/cswap/v1/market/"


class BingxSpeaker(VenueSpeaker):
    """See VenueSpeaker. Open interest is told as worth in quote of linear contracts, in coins of inverse ones."""

    ping_s = 5.0
    forgiven = 3

    def admits(self, ear: Ear) -> bool:
        return ear.path in ("/swap-market", "/market")

    def hear(self, ear: Ear, text: str, now_ns: int) -> list[Message]:
        if text == "Pong":
            ear.unanswered = 0
            return []
        said = orjson.loads(text)
        topic, about = said["dataType"], {"id": said["id"], "timestamp": now_ns // MS}
        known = [n for n, each in self.named.items() if each.instrument.is_inverse == (ear.path == "/market")]
        if said["reqType"] != "sub" or topic not in [f"{name}@trade" for name in known]:
            return [_packed({**about, "code": 80015, "msg": f"dataType not support {topic}", "dataType": ""})]
        ear.topics.add(topic)
        return [_packed({**about, "code": 0, "msg": "", "dataType": "", "data": None})]

    def ping(self, ear: Ear, now_ns: int) -> Message | None:
        return gzip.compress(b"Ping", 1)

    def trade(self, listing: Listing, event: Trade, number: int) -> list[Said]:
        row = {
            "q": quantity_text(listing, event.quantity),
            "p": price_text(listing, event.price),
            "T": event.time_ns // MS,
            "m": is_sell(event),
            "s": listing.name,
        }
        topic = f"{listing.name}@trade"
        return [(topic, _packed({"code": 0, "dataType": topic, "data": [row]}))]

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        is_inverse = path.startswith(INVERSE)
        kind = path.removeprefix(INVERSE if is_inverse else LINEAR)
        if kind == "contracts":
            rows: object = [
                {
                    "symbol": name,
                    "pricePrecision": listing.instrument.price_decimals,
                    "quantityPrecision": 4,
                    "maxLongLeverage": 150,
                    "status": 1,
                }
                for name, listing in self.named.items()
                if listing.instrument.is_inverse == is_inverse
            ]
            return _answer(rows)
        listing = self.named[query["symbol"]]
        mark = self.marks[listing.instrument_id]
        if kind == "premiumIndex":
            price = price_text(listing, mark.price)
            row = {"symbol": listing.name, "markPrice": price, "indexPrice": price, "fundingIntervalHours": 8}
            return _answer({**row, "lastFundingRate": self.rate_text(listing), "nextFundingTime": 1795248000000})
        if kind != "openInterest":
            return None
        quantity = newest[listing.instrument_id]
        if is_inverse:
            told = {"openInterest": f"{coins_at(listing, quantity, mark.price):.4f}", "symbol": listing.name}
            return _answer([told])
        worth = coins(quantity) * mark.price / 10**listing.instrument.price_decimals
        return _answer({"openInterest": f"{worth:.2f}", "symbol": listing.name, "time": now_ns // MS})


def _packed(message: Mapping[str, object]) -> bytes:
    return gzip.compress(to_text(message).encode(), 1)


def _answer(data: object) -> bytes:
    return orjson.dumps({"code": 0, "msg": "", "data": data})
