"""The venues that can be listened to, by the name they have on the command line. A new one is a line here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from liqscape.errors import NotFound
from liqscape.feeds.venues.binance import ASTER, BINANCE_COINM, BINANCE_USDM
from liqscape.feeds.venues.dialect import Listing, Venue, listings_of
from liqscape.instruments import Instrument, shipped_instruments

_VENUES: Final = (
    BINANCE_USDM,
    BINANCE_COINM,
    ASTER,
)

VENUES: Final[dict[str, Venue]] = {venue.name: venue for venue in _VENUES}


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
