"""Coinbase International: Deribit's JSON-RPC on a gateway of its own since 2026-09-09, and the INTX messages of before.

Sources: a client library of autumn 2026 and three answers of the gateway; real INTX messages of 2024 and 2025. The INTX
socket wanted a key, so it is read from recordings alone; its funding is told hourly, a prediction until is_final.
UNVERIFIED: that the gateway's public channels want no key; that its trades carry the mark of liquidations (they are
told as a sample); whether it is the book of deribit.com itself. Counting both would then count the open interest twice:
this venue is for who asks for it by name, and same_book says what the open interest of the two shows.
The gateway closes a socket on which nothing was sent for about 30 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from liqscape.events import TakerSide
from liqscape.feeds.venues.deribit import DeribitDialect, DeribitHistory
from liqscape.feeds.venues.dialect import Completeness, Listing, Ping, Reading, Unreadable, Venue, to_json
from liqscape.feeds.venues.notes import ignore
from liqscape.feeds.venues.scale import Scale, scales, time_of_text

SOCKET: Final = "wss://streams.drb.coinbase.com/ws/api/v2"

REST: Final = "https://drb.coinbase.com/api/v2"

PING: Final = Ping(to_json({"jsonrpc": "2.0", "id": 0, "method": "public/test", "params": {}}), 15.0)

_NEW: Final = "_USDC-PERPETUAL"

_OLD: Final = "-PERP"

_SIDES: Final = {"BUY": TakerSide.BUY, "SELL": TakerSide.SELL}


class CoinbaseIntlDialect(DeribitDialect):
    """See Dialect. A listing may have the name of before (BTC-PERP) or of now (BTC_USDC-PERPETUAL): both are read."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        # Where a table has both names of a market, each takes the messages that call it so.
        new = sorted(listings, key=lambda each: each.name.endswith(_NEW))
        super().__init__(new, SOCKET, REST, complete=False, ping=PING, name_of=gateway_name)
        old = sorted(listings, key=lambda each: each.name.endswith(_OLD))
        self._old: dict[str, Scale] = {
            gateway_name(name).removesuffix(_NEW) + _OLD: scale for name, scale in scales(old).items()
        }

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the gateway, or one of INTX."""
        if b'"jsonrpc"' in message:
            super().read(message, receive_ns, into)
            return
        said = orjson.loads(message)
        channel = said.get("channel")
        if channel not in ("MATCH", "RISK", "FUNDING"):
            if channel is None:
                raise Unreadable("unknown message", said)
            ignore(into, channel)
            return
        scale = self._old.get(said["product_id"])
        if scale is None:
            into.ignored["other instrument"] += 1
        elif channel == "MATCH":
            _match(scale, said, into)
        elif channel == "RISK":
            _risk(scale, said, into)
        else:
            scale.funding(into, time_of_text(said["time"]), said["funding_rate"], 1)


def _match(scale: Scale, said: dict[str, Any], into: Reading) -> None:
    if said["type"] == "SNAPSHOT":
        into.ignored["trade before the subscription"] += 1
    else:
        time_ns = time_of_text(said["time"])
        scale.trade(into, time_ns, said["trade_price"], said["trade_qty"], _SIDES[said["aggressor_side"]])


def _risk(scale: Scale, said: dict[str, Any], into: Reading) -> None:
    time_ns = time_of_text(said["time"])
    scale.mark(into, time_ns, said["mark_price"])
    if "open_interest" in said:
        scale.open_interest(into, time_ns, said["open_interest"])


def gateway_name(name: str) -> str:
    """Return the name on the gateway of now."""
    return name.removesuffix(_OLD) + _NEW if name.endswith(_OLD) else name


COINBASE_INTL: Final = Venue(
    name="coinbase-intl",
    instruments_of="coinbase_intl",
    dialect=CoinbaseIntlDialect,
    liquidations=Completeness.SAMPLED,
    provenance="documented",
    history=lambda listing: DeribitHistory(listing, REST, gateway_name(listing.name)),
)
