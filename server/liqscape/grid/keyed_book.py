"""The live book of a symbol as insight reads it: lots by key and base row near the price, unsummed. Pure.

A liquidation map answers a reader; this answers a function that wants to group what is open in its own way. It crosses
the QueryPort once, so that whatever is made of it needs the engine no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, SymbolScale
from liqscape.device.backend import BookProfile
from liqscape.events import PositionSide
from liqscape.grid.exact_layer import ExactPositions
from liqscape.grid.liquidation_map import map_rows
from liqscape.grid.queries import selected_keys
from liqscape.grid.updates import Coverage, MapQuery, PositionModel
from liqscape.instruments import LEVERAGE_TIERS, Instrument
from liqscape.positions.stated_changes import UNPRICED_ROWS
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT, KEY_TIER_SHIFT, STATED_TIER_INDEX

TIER_MASK: Final = 15
"""Of a key, once shifted: the tier index has four bits."""


@dataclass(frozen=True, slots=True)
class KeyedBook:
    """Open lots that a query lets pass.

    Attributes:
        rows: what was looked at; the profile has base rows, `rows.multiple` of which make one of these.
        profile: lots whose base row lies in `rows`.
        outside_lots: of each side, lots below and above them. What a venue states without a liquidation price is below
            of longs and above of shorts, whatever the rows are.
    """

    rows: RowRange
    profile: BookProfile
    outside_lots: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class BookAnswer:
    """A keyed book, with everything needed to read it, all of one tick; beside it what venues state.

    Attributes:
        query: what was asked.
        instruments: id of each, by the number in the keys.
        venues: venue of each, by the number in the keys.
        coverage: of all instruments of the symbol, whatever the query lets pass.
        exact: stated positions on the rows of the book.
    """

    query: MapQuery
    epoch: int
    tick: int
    scale: SymbolScale
    mark_price: int
    source_watermark_ns: int
    coverage: tuple[Coverage, ...]
    instruments: tuple[str, ...]
    venues: tuple[str, ...]
    book: KeyedBook
    exact: tuple[ExactPositions, ...] = ()

    @property
    def symbol(self) -> str:
        """Return the base coin."""
        return self.query.symbol

    @property
    def model(self) -> PositionModel:
        """Return which book this is of."""
        return self.query.model


def keyed_book(
    query: MapQuery,
    profile: BookProfile,
    *,
    instruments: Sequence[Instrument],
    scale: SymbolScale,
    mark_price: int,
) -> KeyedBook:
    """Return what of a book a query lets pass.

    Args:
        query: filters, and rows as those of a map. Positions that a venue states have no leverage tier: a filter by
            leverage leaves them out.
        profile: the book.
        instruments: of the symbol, in the order of their numbers.
        scale: integer units of the symbol.
        mark_price: now, in price units.

    Raises:
        InvalidArgument: names the field and what is allowed. NotFound: an unknown venue.
    """
    rows = map_rows(query, scale, mark_price)
    selected_keys(query, instruments)  # refuses venues and leverages that are unknown
    chosen = _passes(query, profile.key, instruments)
    keys, row, lots = profile.key[chosen], profile.row[chosen], profile.lots[chosen]
    low, high = rows.first * rows.multiple, (rows.first + rows.count) * rows.multiple
    side = keys & 1
    nowhere = _without_price(keys, row)
    above = (row >= high) | (nowhere & (side == PositionSide.SHORT))
    below = (row < low) | (nowhere & (side == PositionSide.LONG))
    inside = ~(above | below)

    def total(which: PositionSide, where: NDArray[np.bool_]) -> int:
        return int(lots[where & (side == which)].sum())

    return KeyedBook(
        rows=rows,
        profile=BookProfile(keys[inside], row[inside], lots[inside]),
        outside_lots=(
            (total(PositionSide.LONG, below), total(PositionSide.LONG, above)),
            (total(PositionSide.SHORT, below), total(PositionSide.SHORT, above)),
        ),
    )


def instrument_numbers(keys: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the instrument number of each key, int64[n]."""
    return keys.astype(np.int64) >> KEY_INSTRUMENT_SHIFT


def tier_indices(keys: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the tier index of each key, int64[n]: of LEVERAGE_TIERS, or STATED_TIER_INDEX."""
    return (keys.astype(np.int64) >> KEY_TIER_SHIFT) & TIER_MASK


def _without_price(keys: NDArray[np.uint16], row: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return whether each cohort is of positions for which a venue states no liquidation price: bool[n]."""
    found: NDArray[np.bool_] = (tier_indices(keys) == STATED_TIER_INDEX) & (row == np.array(UNPRICED_ROWS)[keys & 1])
    return found


def _passes(query: MapQuery, keys: NDArray[np.uint16], instruments: Sequence[Instrument]) -> NDArray[np.bool_]:
    venue = np.array([not query.venues or i.venue in query.venues for i in instruments], np.bool_)
    tier = np.zeros(TIER_MASK + 1, np.bool_)
    for index, leverage in enumerate(LEVERAGE_TIERS):
        tier[index] = not query.leverages or leverage in query.leverages
    tier[STATED_TIER_INDEX] = not query.leverages
    passes = venue[instrument_numbers(keys)] & tier[tier_indices(keys)]
    return passes if query.side is None else passes & ((keys & 1) == query.side)
