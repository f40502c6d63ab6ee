"""The live book by price alone: which open positions would be force-closed where. Pure, on host arrays.

A cell is the sum of lots x weight of every open cohort whose liquidation row lies in the row, however long it has been
open: what is older than a year is in no grid, but in every map. Lots outside of the rows asked for are in the totals.
Positions that their venue states without a liquidation price are in no row and in no total: they are told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, SymbolScale, timeframe
from liqscape.device.backend import BookProfile
from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.feeds.context import MarketContext
from liqscape.grid.assumed_layer import AssumedPositions
from liqscape.grid.exact_layer import ExactPositions
from liqscape.grid.queries import MAX_QUERY_CELLS, SelectedKey, check_cells, rows_of, selected_keys, weights_of
from liqscape.grid.updates import Breakdown, Coverage, MapQuery, PositionModel, Provenance
from liqscape.instruments import Instrument
from liqscape.positions.stated_changes import UNPRICED_ROWS

MAX_MAP_ROWS: Final = 1 << 14
"""Rows of one base step, at least 0.012 % of the price, from nothing to nearly twice the price. The header of a map is
then 0.7 MB, and so below the 1 MiB of a message."""

MAX_MAP_SERIES: Final = 1 << 11
"""A hundred instruments with every tier and side apart."""

DEFAULT_ROWS_OF: Final = timeframe("24h")
"""A map is read for what is near: rows as high as on the heatmap of a day."""

DEFAULT_SPAN_OF: Final = timeframe("1y")

MOST_ROWS_AT_ONCE: Final = 1 << 16
"""Rows between the lowest and the highest of a book, for which a factor each is made: 10 ms. What is estimated alone
has a third as many."""

BELOW, INSIDE, ABOVE = range(3)
"""Where lots lie, seen from the rows asked for; the second index of the totals."""

_N = TypeVar("_N", np.int64, np.float64)


@dataclass(frozen=True, slots=True)
class MapGroup:
    """Positions that are told apart; empty and 0 mean all together. stated: those that their venue states, alone."""

    venue: str
    instrument_id: str
    leverage: int
    side: PositionSide
    stated: bool = False


@dataclass(frozen=True, slots=True)
class MapTotals:
    """All that each group holds.

    Attributes:
        groups: one a row of the arrays.
        weighted_lots: int64[group, BELOW | INSIDE | ABOVE], exact.
        usd: float64 of the same shape, at the middle price of each row.
    """

    groups: tuple[MapGroup, ...]
    weighted_lots: NDArray[np.int64]
    usd: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LiquidationMap:
    """A map.

    Attributes:
        rows: its rows.
        price_row: absolute number of the row the mark price lies in, inside or outside of these.
        cells: int64[series, row] weighted lots, lowest row first.
        usd_per_weighted_lot: float64[row].
        series: what the first index of the cells stands for, with totals.
        by_side, by_venue, by_leverage: totals of each side, of each venue and side, of each tier and side.
        curves: int64[side, row] weighted lots. Longs: all whose row is this one or higher, those above the rows of the
            map included, which is what has been force-closed once the price has fallen through the row. Shorts: all
            whose row is this one or lower. So the row of the price counts in full in both.
        curves_usd: float64[side, row], the same in USD.
        reconciled: whether these are lots of the reconciled book.
        without_price: weighted lots of longs and of shorts that their venue states without a liquidation price.
    """

    rows: RowRange
    price_row: int
    cells: NDArray[np.int64]
    usd_per_weighted_lot: NDArray[np.float64]
    series: MapTotals
    by_side: MapTotals
    by_venue: MapTotals
    by_leverage: MapTotals
    curves: NDArray[np.int64]
    curves_usd: NDArray[np.float64]
    reconciled: bool
    without_price: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class MapAnswer:
    """A map of the live book, with everything needed to read it, all of one tick.

    Beside it: what venues state of accounts; markets without a rule for a map; and what is assumed of these.
    """

    symbol: str
    epoch: int
    tick: int
    scale: SymbolScale
    mark_price: int
    source_watermark_ns: int
    coverage: tuple[Coverage, ...]
    model: PositionModel
    map: LiquidationMap
    exact: tuple[ExactPositions, ...] = ()
    context: tuple[MarketContext, ...] = ()
    assumed: tuple[AssumedPositions, ...] = ()


def liquidation_map(
    query: MapQuery,
    profile: BookProfile,
    *,
    instruments: Sequence[Instrument],
    mixes: Sequence[Sequence[int]],
    scale: SymbolScale,
    mark_price: int,
) -> LiquidationMap:
    """Make the map a query asks for.

    Args:
        query: what is asked; its symbol and model are those of the other arguments.
        profile: the book.
        instruments: of the symbol, in the order of their numbers.
        mixes: the inflow mix in force of each, millionths by leverage tier.
        scale: integer units of the symbol.
        mark_price: now, in price units.

    Raises:
        InvalidArgument: names the field and what is allowed. NotFound: an unknown venue.
    """
    rows = rows_of(query, scale, _default_rows(scale, mark_price))
    weights, reconciled = weights_of(query, instruments, mixes)
    keys = selected_keys(query, instruments)
    if query.provenance is not Provenance.STATED:  # a series of stated positions is there where there are any
        held = set(np.unique(profile.key).tolist())
        keys = [key for key in keys if not key.stated or key.key in held]
    profile, without_price = _priced(profile, keys)
    series = _Grouping(
        keys,
        venue=not query.breakdown.isdisjoint((Breakdown.VENUE, Breakdown.INSTRUMENT)),
        instrument=Breakdown.INSTRUMENT in query.breakdown,
        leverage=Breakdown.LEVERAGE in query.breakdown,
    )
    _check_size(rows, len(series.groups))
    check_cells(query, len(series.groups) * rows.count)
    lots = _weighted_lots(profile, keys, weights, rows, scale)
    factors = np.array(scale.usd_per_weighted_lot(rows), np.float64)
    sides = _Grouping(keys)
    by_side = lots.totals(sides)
    by_row = lots.cells(sides, rows.count)
    return LiquidationMap(
        rows=rows,
        price_row=scale.base_row(mark_price) // rows.multiple,
        cells=lots.cells(series, rows.count),
        usd_per_weighted_lot=factors,
        series=lots.totals(series),
        by_side=by_side,
        by_venue=lots.totals(_Grouping(keys, venue=True)),
        by_leverage=lots.totals(_Grouping(keys, leverage=True)),
        curves=_curves(by_row, sides.groups, by_side.weighted_lots),
        curves_usd=_curves(by_row * factors, sides.groups, by_side.usd),
        reconciled=reconciled,
        without_price=without_price,
    )


def _priced(profile: BookProfile, keys: Sequence[SelectedKey]) -> tuple[BookProfile, tuple[int, int]]:
    """Return a profile without what has no liquidation price, and the weighted lots of that by side."""
    nowhere = np.zeros(len(profile.key), np.bool_)
    lots = [0, 0]
    for entry in keys:
        if entry.stated:
            of_key = (profile.key == entry.key) & (profile.row == UNPRICED_ROWS[entry.side])
            lots[entry.side] += int(profile.lots[of_key].sum()) * WEIGHT_ONE
            nowhere |= of_key
    if not nowhere.any():
        return profile, (lots[0], lots[1])
    kept = ~nowhere
    return BookProfile(profile.key[kept], profile.row[kept], profile.lots[kept]), (lots[0], lots[1])


def _default_rows(scale: SymbolScale, mark_price: int) -> RowRange:
    span, height = scale.row_range(DEFAULT_SPAN_OF, mark_price), scale.row_range(DEFAULT_ROWS_OF, mark_price).multiple
    first = span.first * span.multiple // height
    end = -(-(span.first + span.count) * span.multiple // height)
    return RowRange(first, end - first, height)


def _check_size(rows: RowRange, series: int) -> None:
    if rows.count > MAX_MAP_ROWS:
        raise InvalidArgument(
            f"{rows.count} rows are too many; at most {MAX_MAP_ROWS} are allowed:"
            " raise base_steps_per_row, or ask for less between price_low and price_high"
        )
    if series > MAX_MAP_SERIES or series * rows.count > MAX_QUERY_CELLS:
        raise InvalidArgument(
            f"{series} series x {rows.count} rows are too many; at most {MAX_MAP_SERIES} series and {MAX_QUERY_CELLS}"
            " cells are allowed: leave a breakdown out, filter by venues or leverages, or raise base_steps_per_row"
        )


class _Grouping:
    """Keys put together by what of them is told apart; the side always is."""

    def __init__(
        self, keys: Sequence[SelectedKey], *, venue: bool = False, instrument: bool = False, leverage: bool = False
    ) -> None:
        of_key = {
            entry.key: MapGroup(
                entry.instrument.venue if venue else "",
                entry.instrument.instrument_id if instrument else "",
                entry.leverage if leverage else 0,
                entry.side,
                entry.stated and leverage,
            )
            for entry in keys
        }
        self.groups = tuple(
            sorted(set(of_key.values()), key=lambda g: (g.venue, g.instrument_id, g.stated, g.leverage, int(g.side)))
        )
        numbers = {group: number for number, group in enumerate(self.groups)}
        self.number_of_key = np.zeros(1 << 16, np.int64)
        for key, group in of_key.items():
            self.number_of_key[key] = numbers[group]


@dataclass(frozen=True, slots=True)
class _WeightedLots:
    """What a query counts of a profile, in its order: arrays of one length.

    Attributes:
        key: uint16.
        row: int64, from the lowest row of the map on; negative below it.
        zone: int64, BELOW, INSIDE or ABOVE.
        weighted_lots: int64.
        usd: float64. Its sums are made one after the other in the order of the profile, so they are the same each time.
    """

    key: NDArray[np.uint16]
    row: NDArray[np.int64]
    zone: NDArray[np.int64]
    weighted_lots: NDArray[np.int64]
    usd: NDArray[np.float64]

    def cells(self, grouping: _Grouping, rows: int) -> NDArray[np.int64]:
        """Return int64[group, row]."""
        cells = np.zeros((len(grouping.groups), rows), np.int64)
        inside = self.zone == INSIDE
        index = (grouping.number_of_key[self.key[inside]], self.row[inside])
        np.add.at(cells, index, self.weighted_lots[inside])
        return cells

    def totals(self, grouping: _Grouping) -> MapTotals:
        """Return what each group holds below, inside and above the rows of the map."""
        index = grouping.number_of_key[self.key] * 3 + self.zone
        size = 3 * len(grouping.groups)
        weighted_lots = np.zeros(size, np.int64)
        np.add.at(weighted_lots, index, self.weighted_lots)
        usd = np.bincount(index, self.usd, size).astype(np.float64)
        return MapTotals(grouping.groups, weighted_lots.reshape(-1, 3), usd.reshape(-1, 3))


def _weighted_lots(
    profile: BookProfile, keys: Sequence[SelectedKey], weights: NDArray[np.uint16], rows: RowRange, scale: SymbolScale
) -> _WeightedLots:
    selected = np.zeros(1 << 16, np.bool_)
    selected[[entry.key for entry in keys]] = True
    chosen = selected[profile.key]
    key, row = profile.key[chosen], profile.row[chosen].astype(np.int64) // rows.multiple
    weighted_lots = profile.lots[chosen] * weights[key].astype(np.int64)
    return _WeightedLots(
        key=key,
        row=row - rows.first,
        zone=np.where(row < rows.first, BELOW, np.where(row < rows.first + rows.count, INSIDE, ABOVE)),
        weighted_lots=weighted_lots,
        usd=weighted_lots * _usd_per_weighted_lot(row, scale, rows.multiple),
    )


def _usd_per_weighted_lot(row: NDArray[np.int64], scale: SymbolScale, multiple: int) -> NDArray[np.float64]:
    """Return float64[n] for the rows of a map; they may lie far apart, for a stated price may be anywhere."""
    if not len(row):
        return np.zeros(0, np.float64)
    low, high = int(row.min()), int(row.max())
    if high - low < MOST_ROWS_AT_ONCE:
        return np.array(scale.usd_per_weighted_lot(RowRange(low, high - low + 1, multiple)), np.float64)[row - low]
    held, place = np.unique(row, return_inverse=True)
    one_by_one = [scale.usd_per_weighted_lot(RowRange(at, 1, multiple))[0] for at in held.tolist()]
    return np.array(one_by_one, np.float64)[place]


def _curves(by_row: NDArray[_N], groups: Sequence[MapGroup], totals: NDArray[_N]) -> NDArray[_N]:
    """Return [side, row]: longs summed from above, shorts from below, with what lies outside of the rows there.

    Args:
        by_row: [group, row], each group a side.
        groups: which.
        totals: [group, BELOW | INSIDE | ABOVE].
    """
    curves = np.zeros((len(PositionSide), by_row.shape[1]), by_row.dtype)
    for number, group in enumerate(groups):
        if group.side is PositionSide.LONG:
            curves[group.side] = np.cumsum(by_row[number, ::-1])[::-1] + totals[number, ABOVE]
        else:
            curves[group.side] = np.cumsum(by_row[number]) + totals[number, BELOW]
    return curves


def map_rows(query: MapQuery, scale: SymbolScale, mark_price: int) -> RowRange:
    """Return the rows that a map of a query has, at most MAX_MAP_ROWS.

    Raises:
        InvalidArgument: names the field and what is allowed.
    """
    rows = rows_of(query, scale, _default_rows(scale, mark_price))
    _check_size(rows, 1)
    return rows
