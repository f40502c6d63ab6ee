"""What the rows of a book hold, hump by hump: lots by instrument and tier, and what they are worth. Pure, integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import RowRange, SymbolScale
from liqscape.device.backend import BookProfile
from liqscape.events import PositionSide
from liqscape.grid.keyed_book import TIER_MASK, instrument_numbers, tier_indices
from liqscape.insight.humps import Hump
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.weights import STATED_TIER_INDEX

_N = TypeVar("_N", str, int)


@dataclass(frozen=True, slots=True)
class SideLots:
    """Lots of one side on its own side of the price, longs below it and shorts above.

    Attributes:
        side: of them.
        row: int64[n], index into the rows of the book.
        instrument, tier: int64[n], of the keys.
        lots: int64[n].
        at_price_lots: what lies in the base row of the price or beyond it: opened a moment ago, or reached by another
            venue's price.
    """

    side: PositionSide
    row: NDArray[np.int64]
    instrument: NDArray[np.int64]
    tier: NDArray[np.int64]
    lots: NDArray[np.int64]
    at_price_lots: int

    def by_row(self, rows: int) -> NDArray[np.int64]:
        """Return int64[row]."""
        total = np.zeros(rows, np.int64)
        np.add.at(total, self.row, self.lots)
        return total

    def within(self, first: int, last: int, first_row: int) -> tuple[int, int]:
        """Return lots in some rows and their value; see HumpLots.

        Args:
            first, last: absolute rows, inclusive.
            first_row: absolute number of row 0.
        """
        row = self.row + first_row
        chosen = (row >= first) & (row <= last)
        lots = self.lots[chosen]
        return int(lots.sum()), int((lots * (2 * row[chosen] + 1)).sum())


@dataclass(frozen=True, slots=True)
class HumpLots:
    """What one hump holds.

    Attributes:
        lots: all of them.
        value: lots x (2 x absolute row + 1), summed: half rows of price, exact.
        by_venue, by_leverage: lots above 0, most first. Stated positions have a venue and no leverage.
        stated_lots: that a venue itself states.
    """

    lots: int
    value: int
    by_venue: tuple[tuple[str, int], ...]
    by_leverage: tuple[tuple[int, int], ...]
    stated_lots: int

    def mean_leverage(self) -> float | None:
        """Return the mean over lots; None where all of them are stated."""
        modelled = sum(lots for _, lots in self.by_leverage)
        return sum(leverage * lots for leverage, lots in self.by_leverage) / modelled if modelled else None

    def mean_margin_share(self) -> float | None:
        """Return the mean of 1 / leverage over lots; None where all of them are stated."""
        modelled = sum(lots for _, lots in self.by_leverage)
        return sum(lots / leverage for leverage, lots in self.by_leverage) / modelled if modelled else None


def side_lots(side: PositionSide, profile: BookProfile, rows: RowRange, price_base_row: int) -> SideLots:
    """Return the lots of one side.

    Args:
        side: which.
        profile: whose base rows lie in `rows`.
        rows: of the book.
        price_base_row: base row of the price now.
    """
    of_side = (profile.key & 1) == side
    base_row = profile.row.astype(np.int64)
    beyond = base_row >= price_base_row if side is PositionSide.LONG else base_row <= price_base_row
    chosen = of_side & ~beyond
    keys = profile.key[chosen]
    return SideLots(
        side=side,
        row=base_row[chosen] // rows.multiple - rows.first,
        instrument=instrument_numbers(keys),
        tier=tier_indices(keys),
        lots=profile.lots[chosen],
        at_price_lots=int(profile.lots[of_side & beyond].sum()),
    )


def hump_lots(side: SideLots, humps: Sequence[Hump], first_row: int, venues: Sequence[str]) -> list[HumpLots]:
    """Return what each hump holds.

    Args:
        side: the lots.
        humps: ascending, no two share a row.
        first_row: absolute number of row 0.
        venues: by the number in the keys.
    """
    firsts = np.array([hump.first for hump in humps], np.int64)
    lasts = np.array([hump.last for hump in humps], np.int64)
    at = np.searchsorted(firsts, side.row, side="right") - 1
    inside = (at >= 0) & (side.row <= lasts[np.maximum(at, 0)]) if len(humps) else np.zeros(len(at), np.bool_)
    names = sorted(set(venues))
    venue = np.array([names.index(name) for name in venues], np.int64)
    by_key = np.zeros((len(humps), len(names), TIER_MASK + 1), np.int64)
    np.add.at(by_key, (at[inside], venue[side.instrument[inside]], side.tier[inside]), side.lots[inside])
    value = np.zeros(len(humps), np.int64)
    np.add.at(value, at[inside], side.lots[inside] * (2 * (side.row[inside] + first_row) + 1))
    return [_of_hump(table, int(worth), names) for table, worth in zip(by_key, value, strict=True)]


def usd_of(value: int, rows: RowRange, scale: SymbolScale) -> float:
    """Return what a value is worth at the middle price of each row, rounded once."""
    decimals = scale.price_decimals + scale.lot_decimals
    numerator = value * scale.base_step * rows.multiple * int(10 ** max(0, -decimals))
    return numerator / (2 * int(10 ** max(0, decimals)))


def _of_hump(table: NDArray[np.int64], value: int, venues: Sequence[str]) -> HumpLots:
    by_tier = table.sum(axis=0).tolist()
    return HumpLots(
        lots=int(table.sum()),
        value=value,
        by_venue=_most_first(zip(venues, table.sum(axis=1).tolist(), strict=True)),
        by_leverage=_most_first((leverage, by_tier[index]) for index, leverage in enumerate(LEVERAGE_TIERS)),
        stated_lots=by_tier[STATED_TIER_INDEX],
    )


def _most_first(lots: Iterable[tuple[_N, int]]) -> tuple[tuple[_N, int], ...]:
    return tuple(sorted((part for part in lots if part[1]), key=lambda part: (-part[1], part[0])))
