"""What venues state of accounts, by the rows of a liquidation map: beside what the book estimates there. Pure.

The same positions are in the book, in place of what it would have estimated (see positions/stated_book.py). Here they
are as their venue has stated them last, account by account, and beside them the lots that the book estimates of the
same venue and side in the row: of others, the stated ones left out. So nothing here is to be added to a map. A
liquidation price is the venue's own statement; no rule of the model touches it. Estimated lots are those of all
leverage tiers at weight one, whatever leverages or shares of one's own the map was asked for: the leverage that an
account has chosen says little about its margin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from liqscape.axes import RowRange, SymbolScale
from liqscape.device.backend import BookProfile
from liqscape.events import QUANTITY_DECIMALS, PositionSide
from liqscape.feeds.exact import ExactView, StatedPosition
from liqscape.grid.queries import SelectedKey, selected_keys
from liqscape.grid.updates import Coverage, MapQuery, Provenance
from liqscape.instruments import Instrument


@dataclass(frozen=True, slots=True)
class ExactRow:
    """Stated positions of one side with their liquidation price in one row.

    Attributes:
        row: absolute number.
        side: of them.
        lots: floored once for the row.
        model_lots: what the book estimates of the venue and side in the row, beside what is stated.
        accounts: that hold them.
        oldest_ns: time of the oldest statement of them.
    """

    row: int
    side: PositionSide
    lots: int
    model_lots: int
    accounts: int
    oldest_ns: int

    def model_share(self) -> float | None:
        """Return lots / model_lots, above 1 where more is stated than is estimated; None where nothing is."""
        return self.lots / self.model_lots if self.model_lots else None


@dataclass(frozen=True, slots=True)
class ExactTotal:
    """All stated positions of one side. Lots are floored once for each amount.

    Attributes:
        side: of them.
        inside_lots, below_lots, above_lots: by their liquidation price, seen from the rows of the map.
        without_price_lots: of positions for which the venue states no liquidation price.
        accounts: that hold any.
        accounts_without_price: that hold some without a liquidation price.
        oldest_ns: time of the oldest statement of them; 0: there is none.
        open_interest_lots: of the venue's instruments of the symbol.
    """

    side: PositionSide
    inside_lots: int
    below_lots: int
    above_lots: int
    without_price_lots: int
    accounts: int
    accounts_without_price: int
    oldest_ns: int
    open_interest_lots: int

    def open_interest_share(self) -> float | None:
        """Return all lots / open_interest_lots; None before open interest is known.

        Statement and open interest are not of one moment: it may exceed 1.
        """
        lots = self.inside_lots + self.below_lots + self.above_lots + self.without_price_lots
        return lots / self.open_interest_lots if self.open_interest_lots else None


@dataclass(frozen=True, slots=True)
class ExactPositions:
    """What one venue states.

    Attributes:
        venue: which.
        rows: those of the map that hold some, ascending, long before short.
        totals: of each side that the query passes, long before short.
    """

    venue: str
    rows: tuple[ExactRow, ...]
    totals: tuple[ExactTotal, ...]


def exact_positions(
    views: Iterable[ExactView],
    query: MapQuery,
    profile: BookProfile,
    rows: RowRange,
    *,
    instruments: Sequence[Instrument],
    scale: SymbolScale,
    coverage: Sequence[Coverage],
) -> tuple[ExactPositions, ...]:
    """Return what is stated of a symbol, venue by venue.

    Args:
        views: what is known of accounts.
        query: whose filters by venue and side hold; those by leverage and its shares do not.
        profile: the book that the map is of.
        rows: of the map.
        instruments: of the symbol, in the order of their numbers.
        scale: integer units of the symbol.
        coverage: of the instruments.
    """
    found = []
    for view in views:
        ids = {instrument.instrument_id for instrument in instruments if instrument.venue == view.venue}
        if not ids or (query.venues and view.venue not in query.venues):
            continue
        positions = [each for each in view.positions if each.instrument_id in ids]
        book = MapQuery(query.symbol, venues=(view.venue,), model=query.model, provenance=Provenance.ESTIMATED)
        lots_of = _model_lots(profile, selected_keys(book, instruments), rows)
        of_venue = [part for part in coverage if part.venue == view.venue]
        sides = [side for side in PositionSide if query.side in (None, side)]
        parts = [_of_side(side, positions, rows, scale, lots_of, of_venue) for side in sides]
        by_row = sorted((row for found_rows, _ in parts for row in found_rows), key=lambda row: (row.row, row.side))
        found.append(ExactPositions(view.venue, tuple(by_row), tuple(total for _, total in parts)))
    return tuple(found)


@dataclass(slots=True)
class _Sum:
    """Positions put together."""

    quantity: int = 0
    accounts: set[int] = field(default_factory=set)
    oldest_ns: int = 0

    def add(self, position: StatedPosition) -> None:
        self.quantity += position.quantity
        self.accounts.add(position.account)
        self.oldest_ns = min(self.oldest_ns or position.stated_ns, position.stated_ns)


def _of_side(
    side: PositionSide,
    positions: Iterable[StatedPosition],
    rows: RowRange,
    scale: SymbolScale,
    model_lots: dict[tuple[int, PositionSide], int],
    coverage: Sequence[Coverage],
) -> tuple[list[ExactRow], ExactTotal]:
    by_row: defaultdict[int, _Sum] = defaultdict(_Sum)
    every, inside, below, above, nowhere = (_Sum() for _ in range(5))
    for position in positions:
        if position.side is not side:
            continue
        every.add(position)
        if position.liquidation_price is None:
            nowhere.add(position)
            continue
        row = _row_of(position, rows, scale)
        if row < rows.first:
            below.add(position)
        elif row >= rows.first + rows.count:
            above.add(position)
        else:
            inside.add(position)
            by_row[row].add(position)
    total = ExactTotal(
        side=side,
        inside_lots=_lots(inside, scale),
        below_lots=_lots(below, scale),
        above_lots=_lots(above, scale),
        without_price_lots=_lots(nowhere, scale),
        accounts=len(every.accounts),
        accounts_without_price=len(nowhere.accounts),
        oldest_ns=every.oldest_ns,
        open_interest_lots=sum(part.live_lots[side] + part.uncovered_lots[side] for part in coverage),
    )
    return [
        ExactRow(row, side, _lots(held, scale), model_lots.get((row, side), 0), len(held.accounts), held.oldest_ns)
        for row, held in by_row.items()
    ], total


def _row_of(position: StatedPosition, rows: RowRange, scale: SymbolScale) -> int:
    assert position.liquidation_price is not None
    height = scale.base_step * rows.multiple
    return int(position.liquidation_price * int(10**scale.price_decimals) // height)


def _lots(held: _Sum, scale: SymbolScale) -> int:
    # A lot is never finer than a quantity: see axes.MAX_LOT_DECIMALS.
    return held.quantity // int(10 ** (QUANTITY_DECIMALS - scale.lot_decimals))


def _model_lots(
    profile: BookProfile, keys: Sequence[SelectedKey], rows: RowRange
) -> dict[tuple[int, PositionSide], int]:
    """Return lots of the book by row of the map and side; rows without any are left out."""
    found: dict[tuple[int, PositionSide], int] = {}
    row = profile.row.astype(np.int64) // rows.multiple - rows.first
    inside = (row >= 0) & (row < rows.count)
    for side in PositionSide:
        of_side = np.zeros(1 << 16, np.bool_)
        of_side[[entry.key for entry in keys if entry.side is side]] = True
        chosen = inside & of_side[profile.key]
        total = np.zeros(rows.count, np.int64)
        np.add.at(total, row[chosen], profile.lots[chosen])
        held = np.flatnonzero(total)
        lots = total[held].tolist()
        found |= {(rows.first + at, side): n for at, n in zip(held.tolist(), lots, strict=True)}
    return found
