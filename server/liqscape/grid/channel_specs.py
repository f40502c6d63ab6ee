"""What identifies a channel beside symbol and timeframe: which positions it counts, on which rows, and which part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from liqscape.axes import RowRange
from liqscape.events import PositionSide

ROW_FOLDS: Final = (1, 2, 4, 8, 16)
"""Rows of a default channel that may be one row. Few, so that readers who want about the same share a channel. With 16,
the largest grid has 64 rows: ten pixels each on a phone."""

TILE_ROWS: Final = 128
"""Rows of a tile. A screen of 1,080 lines that is zoomed to four pixels a row shows two or three of the eight."""


@dataclass(frozen=True, slots=True)
class PositionFilter:
    """Which positions count, in the one form in which equal filters are equal; see PositionQuery.

    Attributes:
        venues, leverages: ascending, each once; empty = all.
        side: None = both.
        leverage_shares: (leverage, millionths), ascending; empty = the model's mix.
    """

    venues: tuple[str, ...] = ()
    leverages: tuple[int, ...] = ()
    side: PositionSide | None = None
    leverage_shares: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(
        cls,
        venues: Iterable[str] = (),
        leverages: Iterable[int] = (),
        side: PositionSide | None = None,
        leverage_shares: Iterable[tuple[int, int]] = (),
    ) -> PositionFilter | None:
        """Return the filter, None where it lets everything pass in full."""
        found = cls(
            tuple(sorted(set(venues))),
            tuple(sorted(set(leverages))),
            side,
            # Not made unique: a leverage that is named twice is an error for whoever makes weights of it.
            tuple(sorted(leverage_shares)),
        )
        return None if found == cls() else found


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A channel by what it is. Equal ones are one channel, whoever asks.

    Attributes:
        symbol: base coin.
        timeframe: name.
        positions: which it counts; None = all of them in full, the default channel.
        tile: number of a tile of it; None = the whole.
        row_fold: rows of the default channel in one row of it, one of ROW_FOLDS.
    """

    symbol: str
    timeframe: str
    positions: PositionFilter | None = None
    tile: int | None = None
    row_fold: int = 1

    @property
    def is_default(self) -> bool:
        """Return whether this is a channel that is always there."""
        return self == ChannelSpec(self.symbol, self.timeframe)

    @property
    def whole(self) -> ChannelSpec:
        """Return the channel of which this is a tile, or itself."""
        return replace(self, tile=None)


def tile_of(row: int) -> int:
    """Return the tile an absolute row lies in."""
    return row // TILE_ROWS


def tile_rows(tile: int, multiple: int) -> RowRange:
    """Return the rows of a tile, each of `multiple` base rows: always TILE_ROWS, wherever the grid lies."""
    return RowRange(tile * TILE_ROWS, TILE_ROWS, multiple)
