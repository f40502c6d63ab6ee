"""Books of a few cohorts on round prices: BTC at 100,000, rows of 100, a lot is 1e-5 BTC, so 1 USD at the price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from liqscape.axes import SymbolScale
from liqscape.device.book_profile import profile_of
from liqscape.events import PositionSide
from liqscape.grid.exact_layer import ExactPositions
from liqscape.grid.keyed_book import BookAnswer, keyed_book
from liqscape.grid.updates import Coverage, MapQuery
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.positions.weights import STATED_TIER_INDEX, make_key
from tests.unit.synthetic_market import make_instrument

SCALE: Final = SymbolScale("BTC", price_decimals=0, base_step=10, lot_decimals=5)
PRICE: Final = 100_000
NOW_NS: Final = 10**18
ROW: Final = 100
"""Quote: ten base rows, 0.1 % of the price."""

INSTRUMENTS: Final = tuple(replace(make_instrument(), venue=venue) for venue in ("alpha", "beta", "gamma", "delta"))
STATED: Final = 0
"""In place of a leverage: the venue itself states the position."""


@dataclass(frozen=True, slots=True)
class Lots:
    """Lots at a price; the side follows from the price.

    Attributes:
        at: price, quote.
        lots: 1e-5 BTC each.
        leverage: a tier, or STATED.
        venue: index into INSTRUMENTS.
        side: None: long below the price, short above it.
    """

    at: int
    lots: int
    leverage: int = 10
    venue: int = 0
    side: PositionSide | None = None

    @property
    def key(self) -> int:
        """Return its key."""
        tier = STATED_TIER_INDEX if self.leverage == STATED else LEVERAGE_TIERS.index(self.leverage)
        side = PositionSide.LONG if self.at < PRICE else PositionSide.SHORT
        return make_key(self.venue, tier, side if self.side is None else self.side)


def lots_of_usd(at: int, usd: float) -> int:
    """Return lots that are worth so much in the middle of the row of 100 in which a price lies."""
    return round(usd * 10**5 / (at // ROW * ROW + ROW / 2))


def millions(at: int, usd_millions: float, leverage: int = 10, venue: int = 0) -> Lots:
    """Return lots worth so many million USD at a price."""
    return Lots(at, lots_of_usd(at, usd_millions * 1e6), leverage, venue)


def covers(venue: int = 0, live: int = 2 * 10**9, uncovered: int = 0, watermark_ns: int = NOW_NS) -> Coverage:
    """Return coverage of one venue, the same for both sides."""
    instrument = INSTRUMENTS[venue]
    return Coverage(
        symbol="BTC",
        venue=instrument.venue,
        instrument_id=instrument.instrument_id,
        watermark_ns=watermark_ns,
        live_lots=(live, live),
        uncovered_lots=(uncovered, uncovered),
        model_error_lots=0,
        rejected_events=0,
        lot_decimals=SCALE.lot_decimals,
    )


ALL_COVERED: Final = tuple(covers(venue) for venue in range(len(INSTRUMENTS)))


def book(
    lots: Sequence[Lots],
    query: MapQuery | None = None,
    *,
    coverage: Sequence[Coverage] = ALL_COVERED,
    exact: tuple[ExactPositions, ...] = (),
    symbol: str = "BTC",
    instruments: Sequence[Instrument] = INSTRUMENTS,
) -> BookAnswer:
    """Return a book of these lots, on rows of 100 unless the query says otherwise."""
    asked = query or MapQuery(symbol, row_multiple=ROW // SCALE.base_step)
    profile = profile_of(
        np.array([part.key for part in lots], np.uint16),
        np.array([part.at // SCALE.base_step for part in lots], np.int32),
        np.array([part.lots for part in lots], np.int64),
    )
    return BookAnswer(
        query=asked,
        epoch=1,
        tick=2,
        scale=SCALE,
        mark_price=PRICE,
        source_watermark_ns=NOW_NS,
        coverage=tuple(coverage),
        instruments=tuple(instrument.instrument_id for instrument in instruments),
        venues=tuple(instrument.venue for instrument in instruments),
        book=keyed_book(asked, profile, instruments=instruments, scale=SCALE, mark_price=PRICE),
        exact=exact,
    )
