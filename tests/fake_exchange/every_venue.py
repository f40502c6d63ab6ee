"""Every venue that can be listened to, as one that speaks and as those that are heard: two of a kind share hosts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from liqscape.feeds.venues.dialect import Listing, Venue, listings_of
from liqscape.feeds.venues.registry import VENUES
from liqscape.instruments import find_instrument, shipped_instruments
from tests.fake_exchange.binance import BinanceSpeaker
from tests.fake_exchange.bingx import BingxSpeaker
from tests.fake_exchange.bitfinex import BitfinexSpeaker
from tests.fake_exchange.bitget import BitgetSpeaker
from tests.fake_exchange.bybit import BybitSpeaker
from tests.fake_exchange.coinbase_derivatives import CoinbaseDerivativesSpeaker
from tests.fake_exchange.cryptocom import CryptocomSpeaker
from tests.fake_exchange.deribit import CoinbaseIntlSpeaker, DeribitSpeaker
from tests.fake_exchange.dydx import DydxSpeaker
from tests.fake_exchange.gate import GateSpeaker
from tests.fake_exchange.htx import HtxSpeaker
from tests.fake_exchange.hyperliquid import HyperliquidSpeaker
from tests.fake_exchange.kraken import KrakenSpeaker
from tests.fake_exchange.kucoin import KucoinSpeaker
from tests.fake_exchange.lighter import LighterSpeaker
from tests.fake_exchange.market import Market
from tests.fake_exchange.mexc import MexcSpeaker
from tests.fake_exchange.okx import OkxSpeaker
from tests.fake_exchange.phemex import PhemexSpeaker
from tests.fake_exchange.server import FakeVenue
from tests.fake_exchange.speaker import VenueSpeaker
from tests.fake_exchange.woox import WooxSpeaker

SYMBOL = "BTC"

Made = Callable[[Sequence[Listing], frozenset[str]], VenueSpeaker]


@dataclass(frozen=True, slots=True)
class House:
    """One venue as it speaks.

    Attributes:
        speaker: makes it.
        venues: names in the registry of those that are heard of it.
        hosts: of its addresses.
    """

    speaker: Made
    venues: tuple[str, ...]
    hosts: tuple[str, ...]


HOUSES = {
    "binance-usdm": House(BinanceSpeaker, ("binance-usdm",), ("fstream.binance.com", "fapi.binance.com")),
    "binance-coinm": House(BinanceSpeaker, ("binance-coinm",), ("dstream.binance.com", "dapi.binance.com")),
    "aster": House(BinanceSpeaker, ("aster",), ("fstream.asterdex.com", "fapi.asterdex.com")),
    "kraken": House(KrakenSpeaker, ("kraken",), ("futures.kraken.com",)),
    "bybit": House(BybitSpeaker, ("bybit-linear", "bybit-inverse"), ("stream.bybit.com", "api.bybit.com")),
    "okx": House(OkxSpeaker, ("okx",), ("ws.okx.com:8443", "www.okx.com")),
    "bitget": House(BitgetSpeaker, ("bitget",), ("ws.bitget.com", "api.bitget.com")),
    "deribit": House(DeribitSpeaker, ("deribit",), ("www.deribit.com",)),
    "coinbase-intl": House(CoinbaseIntlSpeaker, ("coinbase-intl",), ("streams.drb.coinbase.com", "drb.coinbase.com")),
    "hyperliquid": House(HyperliquidSpeaker, ("hyperliquid",), ("api.hyperliquid.xyz",)),
    "gate": House(GateSpeaker, ("gate-usdt", "gate-btc", "gate-usd1"), ("fx-ws.gateio.ws", "api.gateio.ws")),
    "htx": House(HtxSpeaker, ("htx-linear", "htx-coin"), ("api.hbdm.com",)),
    "kucoin": House(KucoinSpeaker, ("kucoin",), ("ws-api-futures.kucoin.com", "api-futures.kucoin.com")),
    "mexc": House(MexcSpeaker, ("mexc",), ("contract.mexc.com",)),
    "dydx": House(DydxSpeaker, ("dydx",), ("indexer.dydx.trade",)),
    "bitfinex": House(BitfinexSpeaker, ("bitfinex",), ("api-pub.bitfinex.com",)),
    "phemex": House(PhemexSpeaker, ("phemex",), ("ws.phemex.com", "api.phemex.com")),
    "cryptocom": House(CryptocomSpeaker, ("cryptocom",), ("stream.crypto.com", "api.crypto.com")),
    "woox": House(WooxSpeaker, ("woox",), ("wss.woox.io", "api.woox.io")),
    "lighter": House(LighterSpeaker, ("lighter",), ("mainnet.zklighter.elliot.ai",)),
    "bingx": House(
        BingxSpeaker,
        ("bingx-linear", "bingx-inverse"),
        ("open-api-swap.bingx.com", "open-api-cswap-ws.bingx.com", "open-api.bingx.com"),
    ),
    "coinbase-derivatives": House(CoinbaseDerivativesSpeaker, ("coinbase-derivatives",), ("api.coinbase.com",)),
}


def house_of(name: str) -> str:
    """Return the key in HOUSES of a venue of the registry."""
    return next(key for key, house in HOUSES.items() if name in house.venues)


def traded_at(venue: Venue) -> tuple[Listing, ...]:
    """Return the listings of one symbol; of a venue without one in the tables, one like that of its neighbours."""
    if venue.name == "gate-usd1":
        usdt = find_instrument("gate:BTC_USDT")
        return (Listing(replace(usdt, name="BTC_USD1"), usdt.contract_size),)
    if venue.name == "bingx-inverse":
        inverse = replace(find_instrument("okx:BTC-USD-SWAP"), venue="bingx", name="BTC-USD")
        return (Listing(inverse, Fraction(1)),)
    return listings_of([i for i in shipped_instruments().values() if i.symbol == SYMBOL], venue)


def heard_venues(key: str) -> tuple[tuple[Venue, tuple[Listing, ...]], ...]:
    """Return the venues of a house with their listings."""
    venues = [VENUES[name] for name in HOUSES[key].venues]
    return tuple((venue, traded_at(venue)) for venue in venues)


def fake_house(key: str, seed: int) -> FakeVenue:
    """Return a house with a market of its own."""
    house = HOUSES[key]
    listings = [listing for _, of_venue in heard_venues(key) for listing in of_venue]
    speaker = house.speaker(listings, frozenset(house.hosts))
    return FakeVenue(speaker, Market(listings, random.Random(seed), speaker.prints))
