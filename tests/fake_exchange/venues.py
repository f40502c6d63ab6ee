"""Fake venues ready to be listened to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from liqscape.feeds.venues.binance import BINANCE_COINM, BINANCE_USDM, BinanceDialect
from liqscape.feeds.venues.dialect import Dialect, Endpoint, Listing, Venue, listings_of
from liqscape.instruments import find_instrument, shipped_instruments
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
    return venue, listings, FakeVenue(speaker, Market(listings, random.Random(seed), speaker.prints))


def _fake(venue: Venue, hosts: frozenset[str], seed: int, symbols: tuple[str, ...]) -> FakeVenue:
    instruments = [i for i in shipped_instruments().values() if i.symbol in symbols]
    listings = listings_of(instruments, venue)
    speaker = BinanceSpeaker(listings, hosts)
    return FakeVenue(speaker, Market(listings, random.Random(seed), speaker.prints))
