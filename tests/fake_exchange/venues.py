"""Fake venues ready to be listened to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from liqscape.feeds.venues.binance import BINANCE_COINM, BINANCE_USDM, BinanceDialect
from liqscape.feeds.venues.dialect import Dialect, Endpoint, Listing, Venue, listings_of
from liqscape.feeds.venues.registry import VENUES
from liqscape.instruments import find_instrument, shipped_instruments
from tests.fake_exchange.binance import BinanceSpeaker
from tests.fake_exchange.bitfinex import BitfinexSpeaker
from tests.fake_exchange.bitget import BitgetSpeaker
from tests.fake_exchange.bybit import BybitSpeaker
from tests.fake_exchange.cryptocom import CryptocomSpeaker
from tests.fake_exchange.deribit import DeribitSpeaker
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
from tests.fake_exchange.speaker import Speaker
from tests.fake_exchange.woox import WooxSpeaker

USDM_HOSTS = frozenset({"fstream.binance.com", "fapi.binance.com"})

COINM_HOSTS = frozenset({"dstream.binance.com", "dapi.binance.com"})


@dataclass(frozen=True, slots=True)
class Spoken:
    """A venue that a speaker stands for.

    Attributes:
        speaker: makes it.
        hosts: of its addresses.
        name: of the contract on Bitcoin that it trades here.
        unit: coins in what it counts.
    """

    speaker: type[Speaker]
    hosts: tuple[str, ...]
    name: str
    unit: Fraction = Fraction(1)


SPOKEN: dict[str, Spoken] = {
    "binance-usdm": Spoken(BinanceSpeaker, tuple(USDM_HOSTS), "BTCUSDT"),
    "aster": Spoken(BinanceSpeaker, ("fstream.asterdex.com", "fapi.asterdex.com"), "BTCUSDT"),
    "bybit-linear": Spoken(BybitSpeaker, ("stream.bybit.com", "api.bybit.com"), "BTCUSDT"),
    "okx": Spoken(OkxSpeaker, ("ws.okx.com:8443", "www.okx.com"), "BTC-USDT-SWAP", Fraction(1, 100)),
    "bitget": Spoken(BitgetSpeaker, ("ws.bitget.com", "api.bitget.com"), "BTCUSDT"),
    "kraken": Spoken(KrakenSpeaker, ("futures.kraken.com",), "PF_XBTUSD"),
    "deribit": Spoken(DeribitSpeaker, ("www.deribit.com",), "BTC_USDC-PERPETUAL"),
    "coinbase-intl": Spoken(DeribitSpeaker, ("streams.drb.coinbase.com", "drb.coinbase.com"), "BTC_USDC-PERPETUAL"),
    "hyperliquid": Spoken(HyperliquidSpeaker, ("api.hyperliquid.xyz",), "BTC"),
    "gate-usdt": Spoken(GateSpeaker, ("fx-ws.gateio.ws", "api.gateio.ws"), "BTC_USDT", Fraction(1, 10_000)),
    "kucoin": Spoken(
        KucoinSpeaker, ("ws-api-futures.kucoin.com", "api-futures.kucoin.com"), "XBTUSDTM", Fraction(1, 1000)
    ),
    "mexc": Spoken(MexcSpeaker, ("contract.mexc.com",), "BTC_USDT", Fraction(1, 10_000)),
    "dydx": Spoken(DydxSpeaker, ("indexer.dydx.trade",), "BTC-USD"),
    "htx-linear": Spoken(HtxSpeaker, ("api.hbdm.com",), "BTC-USDT", Fraction(1, 1000)),
    "phemex": Spoken(PhemexSpeaker, ("ws.phemex.com", "api.phemex.com"), "BTCUSDT"),
    "cryptocom": Spoken(CryptocomSpeaker, ("stream.crypto.com", "api.crypto.com"), "BTCUSD-PERP"),
    "woox": Spoken(WooxSpeaker, ("wss.woox.io", "api.woox.io"), "PERP_BTC_USDT"),
    "bitfinex": Spoken(BitfinexSpeaker, ("api-pub.bitfinex.com",), "tBTCF0:USTF0"),
    "lighter": Spoken(LighterSpeaker, ("mainnet.zklighter.elliot.ai",), "BTC"),
}
"""By name of the registry. Those that are not here speak to nobody yet."""


def spoken_venue(name: str, seed: int) -> tuple[Venue, tuple[Listing, ...], FakeVenue]:
    """Return a venue of the registry, its contract on Bitcoin, and its other side."""
    venue, spoken = VENUES[name], SPOKEN[name]
    instrument = replace(find_instrument("binance:BTCUSDT"), venue=venue.instruments_of, name=spoken.name)
    listings = (Listing(instrument, spoken.unit),)
    speaker = spoken.speaker(listings, frozenset(spoken.hosts))
    return venue, listings, FakeVenue(speaker, Market(listings, random.Random(seed)))


def binance_usdm(seed: int = 1, symbols: tuple[str, ...] = ("BTC",)) -> FakeVenue:
    """Return Binance USD-M with a market of its own."""
    return _fake(BINANCE_USDM, USDM_HOSTS, seed, symbols)


def binance_coinm(seed: int = 2, symbols: tuple[str, ...] = ("BTC",)) -> FakeVenue:
    """Return Binance COIN-M with a market of its own."""
    return _fake(BINANCE_COINM, COINM_HOSTS, seed, symbols)


def like_binance(
    name: str, seed: int, changes: Callable[[Endpoint], Endpoint] = lambda endpoint: endpoint
) -> tuple[Venue, tuple[Listing, ...], FakeVenue]:
    """Return a made-up venue that speaks as Binance USD-M does, its one listing, and its other side.

    Args:
        name: of the venue; its hosts are named after it.
        seed: of its market.
        changes: of its connections.
    """
    instrument = replace(find_instrument("binance:BTCUSDT"), venue=name)
    listings = (Listing(instrument),)
    host = f"{name}.test"

    def dialect(wanted: Sequence[Listing]) -> Dialect:
        made = BinanceDialect(wanted, f"wss://{host}/ws", f"https://{host}/fapi/v1")
        made.endpoints = tuple(map(changes, made.endpoints))
        return made

    venue = replace(BINANCE_USDM, name=name, instruments_of=name, dialect=dialect)
    speaker = BinanceSpeaker(listings, frozenset({host}))
    return venue, listings, FakeVenue(speaker, Market(listings, random.Random(seed)))


def _fake(venue: Venue, hosts: frozenset[str], seed: int, symbols: tuple[str, ...]) -> FakeVenue:
    instruments = [i for i in shipped_instruments().values() if i.symbol in symbols]
    listings = listings_of(instruments, venue)
    return FakeVenue(BinanceSpeaker(listings, hosts), Market(listings, random.Random(seed)))
