"""Fake venues ready to be listened to."""

from __future__ import annotations

import random

from liqscape.feeds.venues.binance import BINANCE_COINM, BINANCE_USDM
from liqscape.feeds.venues.dialect import Venue, listings_of
from liqscape.instruments import shipped_instruments
from tests.fake_exchange.binance import BinanceSpeaker
from tests.fake_exchange.market import Market
from tests.fake_exchange.server import FakeVenue

USDM_HOSTS = frozenset({"fstream.binance.com", "fapi.binance.com"})

COINM_HOSTS = frozenset({"dstream.binance.com", "dapi.binance.com"})


def binance_usdm(seed: int = 1, symbols: tuple[str, ...] = ("BTC",)) -> FakeVenue:
    """Return Binance USD-M with a market of its own."""
    return _fake(BINANCE_USDM, USDM_HOSTS, seed, symbols)


def binance_coinm(seed: int = 2, symbols: tuple[str, ...] = ("BTC",)) -> FakeVenue:
    """Return Binance COIN-M with a market of its own."""
    return _fake(BINANCE_COINM, COINM_HOSTS, seed, symbols)


def _fake(venue: Venue, hosts: frozenset[str], seed: int, symbols: tuple[str, ...]) -> FakeVenue:
    instruments = [i for i in shipped_instruments().values() if i.symbol in symbols]
    listings = listings_of(instruments, venue)
    return FakeVenue(BinanceSpeaker(listings, hosts), Market(listings, random.Random(seed)))
