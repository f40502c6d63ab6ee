"""Binance USD-M, COIN-M and Aster as they speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import orjson

from liqscape.events import QUANTITY_DECIMALS, Event, Liquidation, MarkPrice, PositionSide, TakerSide, Trade
from liqscape.feeds.venues.dialect import Listing


class BinanceSpeaker:
    """See Speaker.

    Args:
        listings: what it trades.
        hosts: of streams and requests.
    """

    def __init__(self, listings: Sequence[Listing], hosts: frozenset[str]) -> None:
        self.hosts = hosts
        self._listings = {listing.instrument_id: listing for listing in listings}
        self._ids = {listing.name: listing.instrument_id for listing in listings}

    def reply(self, text: str) -> list[str]:
        said = orjson.loads(text)
        if said.get("method") == "SUBSCRIBE":
            return [orjson.dumps({"result": None, "id": said["id"]}).decode()]
        return []

    def say(self, event: Event, number: int) -> str | bytes | None:
        if isinstance(event, Trade):
            listing = self._listings[event.instrument_id]
            return _text(
                e="aggTrade",
                E=event.time_ns // 10**6,
                s=listing.name,
                a=number,
                p=_price(listing, event.price),
                q=_quantity(listing, event.quantity),
                f=number,
                l=number,
                T=event.time_ns // 10**6,
                m=event.taker_side is TakerSide.SELL,
            )
        if isinstance(event, MarkPrice):
            listing = self._listings[event.instrument_id]
            price, time_ms = _price(listing, event.price), event.time_ns // 10**6
            return _text(e="markPriceUpdate", E=time_ms, s=listing.name, p=price, i=price, r="0.00010000", T=time_ms)
        if isinstance(event, Liquidation):
            listing = self._listings[event.instrument_id]
            size = _quantity(listing, event.quantity)
            order = {
                "s": listing.name,
                "S": "SELL" if event.position_side is PositionSide.LONG else "BUY",
                "o": "LIMIT",
                "f": "IOC",
                "q": size,
                "p": _price(listing, event.price),
                "ap": _price(listing, event.price),
                "X": "FILLED",
                "l": size,
                "z": size,
                "T": event.time_ns // 10**6,
            }
            return _text(e="forceOrder", E=event.time_ns // 10**6, o=order)
        return None

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path.endswith("/openInterest"):
            name = query.get("symbol", "")
            listing = self._listings[self._ids[name]]
            quantity = _quantity(listing, newest[self._ids[name]])
            return orjson.dumps({"symbol": name, "openInterest": quantity, "time": now_ns // 10**6})
        if path.endswith("/exchangeInfo"):
            rows = [
                {
                    "symbol": listing.name,
                    "status": "TRADING",
                    "filters": [{"filterType": "PRICE_FILTER", "tickSize": _price(listing, 1)}],
                }
                for listing in self._listings.values()
            ]
            return orjson.dumps({"symbols": rows})
        return None


def _text(**fields: object) -> str:
    return orjson.dumps(fields).decode()


def _price(listing: Listing, price: int) -> str:
    return str(Decimal(price).scaleb(-listing.instrument.price_decimals))


def _quantity(listing: Listing, quantity: int) -> str:
    units = Decimal(quantity).scaleb(-QUANTITY_DECIMALS) * listing.unit.denominator / listing.unit.numerator
    return format(units.normalize(), "f")
