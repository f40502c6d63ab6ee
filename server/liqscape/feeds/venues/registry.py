"""The venues that can be listened to, by the name they have on the command line. A new one is a line here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from liqscape.errors import NotFound
from liqscape.feeds.venues.binance import ASTER, BINANCE_COINM, BINANCE_USDM
from liqscape.feeds.venues.bingx import BINGX_INVERSE, BINGX_LINEAR
from liqscape.feeds.venues.bitfinex import BITFINEX
from liqscape.feeds.venues.bitget import BITGET
from liqscape.feeds.venues.bitmex import BITMEX
from liqscape.feeds.venues.bybit import BYBIT_INVERSE, BYBIT_LINEAR
from liqscape.feeds.venues.coinbase_derivatives import COINBASE_DERIVATIVES
from liqscape.feeds.venues.coinbase_intl import COINBASE_INTL
from liqscape.feeds.venues.cryptocom import CRYPTOCOM
from liqscape.feeds.venues.deribit import DERIBIT
from liqscape.feeds.venues.dialect import Listing, Venue, listings_of
from liqscape.feeds.venues.dydx import DYDX
from liqscape.feeds.venues.gate import GATE_BTC, GATE_USD1, GATE_USDT
from liqscape.feeds.venues.htx import HTX_COIN, HTX_LINEAR
from liqscape.feeds.venues.hyperliquid import HYPERLIQUID
from liqscape.feeds.venues.kraken import KRAKEN
from liqscape.feeds.venues.kucoin import KUCOIN
from liqscape.feeds.venues.lighter import LIGHTER
from liqscape.feeds.venues.mexc import MEXC
from liqscape.feeds.venues.okx import OKX
from liqscape.feeds.venues.phemex import PHEMEX
from liqscape.feeds.venues.woox import WOOX
from liqscape.instruments import Instrument, shipped_instruments

_VENUES: Final = (
    BINANCE_USDM,
    BINANCE_COINM,
    BYBIT_LINEAR,
    BYBIT_INVERSE,
    OKX,
    BITGET,
    KRAKEN,
    DERIBIT,
    HYPERLIQUID,
    GATE_USDT,
    GATE_BTC,
    GATE_USD1,
    HTX_LINEAR,
    HTX_COIN,
    KUCOIN,
    MEXC,
    DYDX,
    BITFINEX,
    PHEMEX,
    CRYPTOCOM,
    WOOX,
    ASTER,
    LIGHTER,
    COINBASE_INTL,
    COINBASE_DERIVATIVES,
    BINGX_LINEAR,
    BINGX_INVERSE,
    BITMEX,
)

VENUES: Final[dict[str, Venue]] = {venue.name: venue for venue in _VENUES}

RECORDED_ONLY: Final = frozenset({BITMEX.name})
"""Closed in September 2026: its recordings are read, and nothing can be listened to."""

ON_REQUEST: Final = RECORDED_ONLY | {BINGX_LINEAR.name, BINGX_INVERSE.name}
"""Not among all of them unless named: other collectors leave BingX out because its open interest cannot be trusted."""


def default_venues() -> tuple[Venue, ...]:
    """Return the venues that are listened to where none is named."""
    return tuple(venue for venue in _VENUES if venue.name not in ON_REQUEST)


def find_venue(name: str) -> Venue:
    """Return a venue.

    Raises:
        NotFound: there is none of that name; the text lists those that exist.
    """
    if name not in VENUES:
        raise NotFound(f"venue {name!r} is unknown; known are {', '.join(VENUES)}")
    return VENUES[name]


def listings(
    venues: Iterable[Venue], symbols: Sequence[str] | None, instruments: Iterable[Instrument] | None = None
) -> dict[str, tuple[Listing, ...]]:
    """Return the listings of symbols by name of the venue; venues without one are left out.

    Args:
        venues: which.
        symbols: base coins; None = all.
        instruments: to choose from; None = those of the shipped tables.
    """
    chosen = shipped_instruments().values() if instruments is None else instruments
    wanted = [i for i in chosen if symbols is None or i.symbol in symbols]
    found = {venue.name: listings_of(wanted, venue) for venue in venues}
    return {name: of_venue for name, of_venue in found.items() if of_venue}
