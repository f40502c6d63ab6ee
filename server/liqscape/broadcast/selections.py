"""What a reader asks for, resolved: default channels, and specs of those that have to be opened first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from liqscape import axes
from liqscape.errors import InvalidArgument, NotFound
from liqscape.grid.channel_specs import TILE_ROWS, ChannelSpec, PositionFilter, tile_of
from liqscape.grid.updates import Channel
from liqscape.v1 import stream_pb2

MAX_SELECTOR_TILES: Final = 9
"""They cover every grid, which has 1,024 rows at most. Who wants more of a channel wants the whole of it."""

MAX_ROW: Final = (1 << 31) - 1
"""Rows are 32-bit."""

MAX_PRICE: Final = float(1 << 40)
"""As of a query."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One selector of a request.

    Attributes:
        symbol, timeframe: names; an empty timeframe is each of them.
        rows: first and last absolute row.
        prices: lowest and highest, quote currency.
        positions: which count; None = all of them in full.
        row_fold: rows of the default channel in one row; rows are those.
    """

    symbol: str
    timeframe: str = ""
    rows: tuple[int, int] | None = None
    prices: tuple[float, float] | None = None
    positions: PositionFilter | None = None
    row_fold: int = 1

    @property
    def is_plain(self) -> bool:
        """Return whether it is of default channels."""
        return self.rows is None and self.prices is None and self.positions is None and self.row_fold == 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What selectors come to: default channels, and what has to be opened, both each once and in one order."""

    channels: tuple[Channel, ...]
    specs: tuple[ChannelSpec, ...] = ()

    @property
    def size(self) -> int:
        """Return how many channels these are."""
        return len(self.channels) + len(self.specs)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a reader wants, resolved; equal selections share their bytes."""

    channel_ids: tuple[int, ...]
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, channels: Sequence[Channel]) -> Selection:
        """Return the selection of channels, in their order."""
        symbols = dict.fromkeys(channel.symbol for channel in channels)
        return cls(tuple(channel.channel_id for channel in channels), tuple(symbols))


def plan(wanted: Sequence[Wanted], served: Sequence[Channel], axes_of: Callable[[Channel], stream_pb2.Axes]) -> Plan:
    """Return what selectors come to; none = every default channel.

    Args:
        wanted: the selectors.
        served: the default channels that can be joined.
        axes_of: returns the axes a default channel has now.

    Raises:
        InvalidArgument: names the field and what is allowed.
        NotFound: a symbol or its timeframe is not served.
    """
    if not wanted:
        return Plan(tuple(served))
    chosen: set[int] = set()
    specs: set[ChannelSpec] = set()
    for index, one in enumerate(wanted):
        matching = _matching(served, one.symbol, one.timeframe)
        if one.is_plain:
            chosen.update(channel.channel_id for channel in matching)
            continue
        if not one.timeframe:
            raise InvalidArgument(
                f"channels[{index}].timeframe is empty; rows, prices, positions and row_fold need one"
                f" of {', '.join(axes.TIMEFRAME_NAMES)}"
            )
        tiles = _tiles(f"channels[{index}]", one, partial(axes_of, matching[0]))
        specs.update(ChannelSpec(one.symbol, one.timeframe, one.positions, tile, one.row_fold) for tile in tiles)
    return Plan(tuple(c for c in served if c.channel_id in chosen), tuple(sorted(specs, key=_order)))


def _matching(served: Sequence[Channel], symbol: str, timeframe: str) -> list[Channel]:
    if timeframe:
        axes.timeframe(timeframe)
    symbols = ", ".join(dict.fromkeys(channel.symbol for channel in served)) or "none"
    if not symbol:
        raise InvalidArgument(f"symbol is empty; name one of {symbols}")
    of_symbol = [channel for channel in served if channel.symbol == symbol]
    if not of_symbol:
        raise NotFound(f"symbol {symbol!r} is not served; served are {symbols}")
    matching = [channel for channel in of_symbol if timeframe in ("", channel.timeframe.name)]
    if not matching:
        names = ", ".join(channel.timeframe.name for channel in of_symbol)
        raise NotFound(f"timeframe {timeframe!r} of {symbol} is not served; served are {names}")
    return matching


def _tiles(field: str, wanted: Wanted, its_axes: Callable[[], stream_pb2.Axes]) -> Sequence[int | None]:
    """Return the tiles that cover what is wanted; None alone for the whole channel."""
    if wanted.rows is not None:
        name, (first, last) = "rows", wanted.rows
        if not 0 <= first <= last <= MAX_ROW:
            raise InvalidArgument(f"{field}.rows {first} to {last} are no rows; use first <= last of 0 to {MAX_ROW}")
    elif wanted.prices is not None:
        name, (low, high) = "prices", wanted.prices
        if not 0 <= low <= high <= MAX_PRICE:  # also refuses NaN
            raise InvalidArgument(
                f"{field}.prices {low} to {high} are no prices; use low <= high of 0 to {MAX_PRICE:.0f}"
            )
        now = its_axes()
        height = now.base_step * now.base_steps_per_row * wanted.row_fold
        first, last = (int(price * 10**now.price_decimals) // height for price in (low, high))
    else:
        return [None]
    tiles = range(tile_of(first), tile_of(last) + 1)
    if len(tiles) > MAX_SELECTOR_TILES:
        raise InvalidArgument(
            f"{field}.{name} lie in {len(tiles)} tiles of {TILE_ROWS} rows; at most {MAX_SELECTOR_TILES} are allowed:"
            " leave it out for the whole channel"
        )
    return tiles


def _order(spec: ChannelSpec) -> str:
    """Return what specs are sorted by: any order will do that is the same for the same ones."""
    return repr(spec)
