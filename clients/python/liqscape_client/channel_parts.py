"""What a channel is beside its symbol and timeframe: a tile of the rows, a choice of positions, coarse rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from liqscape.v1 import stream_pb2

TILE_ROWS: Final = 128
"""Rows of a tile; tile k holds the absolute rows from k x TILE_ROWS on."""

_SIDES: Final = {stream_pb2.PositionFilter.SIDE_LONG: "long", stream_pb2.PositionFilter.SIDE_SHORT: "short"}


@dataclass(frozen=True, slots=True)
class ChannelPart:
    """A tile, a custom channel, or a tile of one. Equal ones are the same channel.

    Attributes:
        tile: number of the tile; None = all rows.
        venues, leverages: only these, ascending; empty = all.
        side: "long", "short", or empty for both.
        leverage_shares: (leverage, millionths), ascending; empty = the model's mix.
        row_fold: rows of the timeframe's default channel in one row of it.
    """

    tile: int | None = None
    venues: tuple[str, ...] = ()
    leverages: tuple[int, ...] = ()
    side: str = ""
    leverage_shares: tuple[tuple[int, int], ...] = ()
    row_fold: int = 1

    @classmethod
    def from_message(cls, channel: stream_pb2.ChannelDescription) -> ChannelPart | None:
        """Return what a server says a channel is; None for a whole default channel."""
        positions = channel.positions
        part = cls(
            channel.rows.first // TILE_ROWS if channel.HasField("rows") else None,
            tuple(positions.venues),
            tuple(positions.leverages),
            _SIDES.get(positions.side, ""),
            tuple((share.leverage, share.share_ppm) for share in positions.leverage_shares),
            channel.row_fold or 1,
        )
        return None if part == cls() else part

    @property
    def positions(self) -> ChannelPart | None:
        """Return the custom channel alone, without the tile; None where that is the default one."""
        whole = replace(self, tile=None)
        return None if whole == ChannelPart() else whole

    def __str__(self) -> str:
        words = [*self.venues, *(f"{leverage}x" for leverage in self.leverages)]
        words += [self.side] if self.side else []
        words += ["own mix"] if self.leverage_shares else []
        words += [f"{self.row_fold} rows in one"] if self.row_fold != 1 else []
        words += [] if self.tile is None else [f"tile {self.tile}"]
        return " ".join(words)


ChannelKey = tuple[str, str] | tuple[str, str, ChannelPart]
"""Symbol and timeframe, and what it is beside that, where it is no default channel."""


def channel_key(symbol: str, timeframe: str, part: ChannelPart | None) -> ChannelKey:
    """Return the key of a channel."""
    return (symbol, timeframe) if part is None else (symbol, timeframe, part)


def channel_name(symbol: str, timeframe: str, part: ChannelPart | None) -> str:
    """Return a channel in words."""
    return f"{symbol} {timeframe}" if part is None else f"{symbol} {timeframe} {part}"
