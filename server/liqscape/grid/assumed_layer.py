"""Positions that a user assumes of a market beside the map, by the rows of a liquidation map. Pure.

They are a layer of their own with their own label: no lot of them is in the book, in a grid, or in a total of the map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from liqscape.axes import RowRange, SymbolScale
from liqscape.events import QUANTITY_DECIMALS, PositionSide
from liqscape.feeds.venues.cme import VENUE, DailyContext
from liqscape.grid.updates import MapQuery
from liqscape.positions.assumed import (
    MAX_DAYS,
    AssumedDay,
    AssumedEntry,
    assumed_entries,
    is_reached,
    split_by_leverage,
)
from liqscape.positions.mix import SHARE_ONE

MEANING: Final = (
    "assumed by whoever runs this server: open interest of a daily report at one leverage, opened at the settlements"
    " of the days on which it grew, closed where the margin is gone; brokers set the margin, so no rule says so; no"
    " part of the book, of its totals or of any grid"
)

Layers = Mapping[tuple[int, PositionSide], tuple[AssumedEntry, ...]]
"""Entries by leverage and side."""


@dataclass(frozen=True, slots=True)
class AssumedSeries:
    """Those of one leverage and side; all lots together are its part of the open interest.

    Attributes:
        label: for people.
        leverage: assumed.
        side: of them.
        rows: absolute numbers of the rows of the map that hold some, ascending.
        lots: in each of these rows.
        inside_lots, below_lots, above_lots: seen from the rows of the map.
        reached_lots: whose price the trigger price has reached since the settlement; in no row.
        without_price_lots: in no row either.
    """

    label: str
    leverage: int
    side: PositionSide
    rows: tuple[int, ...]
    lots: tuple[int, ...]
    inside_lots: int
    below_lots: int
    above_lots: int
    reached_lots: int
    without_price_lots: int


@dataclass(frozen=True, slots=True)
class AssumedPositions:
    """A layer of a map: a series a leverage and side, in this order."""

    venue: str
    series: tuple[AssumedSeries, ...]


def assumed_layers(days: Sequence[DailyContext], shares: Sequence[tuple[int, int]], lot_decimals: int) -> Layers:
    """Return the positions that are assumed after the last of some days.

    Args:
        days: of one coin, ascending; the newest MAX_DAYS are used.
        shares: leverage and millionths of the open interest.
        lot_decimals: a lot is 10^-lot_decimals coin.
    """
    unit = int(10 ** (QUANTITY_DECIMALS - lot_decimals))  # a lot is never finer: see axes.MAX_LOT_DECIMALS
    told = [AssumedDay(day.open_interest // unit, day.settle) for day in days[-MAX_DAYS:]]
    return {
        (leverage, side): assumed_entries(part, leverage, side)
        for leverage, part in split_by_leverage(told, shares).items()
        for side in PositionSide
    }


def assumed_positions(
    layers: Layers,
    shares: Sequence[tuple[int, int]],
    day: DailyContext,
    query: MapQuery,
    rows: RowRange,
    scale: SymbolScale,
    mark_price: int,
) -> AssumedPositions:
    """Return the layer of a map.

    Args:
        layers: of the coin.
        shares: as of the layers.
        day: the last one, whose label is shown.
        query: whose filter by side holds.
        rows: of the map.
        scale: integer units of the symbol.
        mark_price: now, in price units.
    """
    price = Fraction(mark_price, int(10**scale.price_decimals))
    found = []
    for leverage, share in shares:
        part = "" if share == SHARE_ONE else f" for {100 * share / SHARE_ONE:g} %"
        for side in PositionSide:
            if query.side in (None, side):
                label = f"{day.label}; {leverage}x assumed{part}"
                found.append(_series(label, leverage, side, layers[leverage, side], rows, scale, price))
    return AssumedPositions(VENUE, tuple(found))


def _series(
    label: str,
    leverage: int,
    side: PositionSide,
    entries: Sequence[AssumedEntry],
    rows: RowRange,
    scale: SymbolScale,
    price: Fraction,
) -> AssumedSeries:
    by_row: dict[int, int] = {}
    reached = without_price = 0
    for entry in entries:
        if entry.liquidation_price is None:
            without_price += entry.lots
        elif is_reached(price, entry.liquidation_price, side):
            reached += entry.lots
        else:
            row = int(entry.liquidation_price * int(10**scale.price_decimals) // (scale.base_step * rows.multiple))
            by_row[row] = by_row.get(row, 0) + entry.lots
    end = rows.first + rows.count
    inside = sorted((row, lots) for row, lots in by_row.items() if rows.first <= row < end)
    return AssumedSeries(
        label=label,
        leverage=leverage,
        side=side,
        rows=tuple(row for row, _ in inside),
        lots=tuple(lots for _, lots in inside),
        inside_lots=sum(lots for _, lots in inside),
        below_lots=sum(lots for row, lots in by_row.items() if row < rows.first),
        above_lots=sum(lots for row, lots in by_row.items() if row >= end),
        reached_lots=reached,
        without_price_lots=without_price,
    )
