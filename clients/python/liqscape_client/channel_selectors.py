"""Symbols, timeframes and parts of channels as the wire names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypedDict, Unpack

from liqscape.v1 import stream_pb2
from liqscape_client.channel_parts import TILE_ROWS
from liqscape_client.errors import ClientError

_SIDES: Final = {"long": stream_pb2.PositionFilter.SIDE_LONG, "short": stream_pb2.PositionFilter.SIDE_SHORT}


class ChannelOptions(TypedDict, total=False):
    """Which part of a channel, and which positions; what is left out means all. With any of them, name timeframes.

    At most one of tile, rows and prices: the tiles that cover what is wanted are streamed, each as a channel of its
    own. Any of the others makes it a custom channel, of which a server has few.

    Attributes:
        tile: one tile, by its number.
        rows: first and last absolute row, both included; see GridAxes.first_row.
        prices: lowest and highest price, quote currency, on the rows of now.
        venues: only these.
        leverages: only these tiers.
        side: only this side.
        leverage_shares: a mix of one's own, leverage to millionths of what opens; they sum to one million.
        row_fold: coarse rows for a small screen: 2, 4, 8 or 16 rows of the default channel are one; rows and tile too.
    """

    tile: int
    rows: tuple[int, int]
    prices: tuple[float, float]
    venues: Sequence[str]
    leverages: Sequence[int]
    side: Literal["long", "short"]
    leverage_shares: Mapping[int, int]
    row_fold: int


def channel_selectors(
    symbols: str | Iterable[str], timeframes: str | Iterable[str] = (), **options: Unpack[ChannelOptions]
) -> list[stream_pb2.ChannelSelector]:
    """Return a selector for each symbol and timeframe named.

    Raises:
        ClientError: timeframes without a symbol, or options without a timeframe; the protocol has no word for "of every
            symbol". Or two ways to name rows, or a side that is unknown.
    """
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    frames = [timeframes] if isinstance(timeframes, str) else list(timeframes)
    if frames and not wanted:
        raise ClientError(f"timeframes {frames!r} need a symbol; name symbols, or leave both out for every channel")
    if options and not frames:
        raise ClientError(f"{', '.join(options)} need a symbol and a timeframe")
    beside = _beside(options)
    return [
        stream_pb2.ChannelSelector(symbol=s, timeframe=t, **beside)  # type: ignore[arg-type]
        for s in wanted
        for t in frames or [""]
    ]


def wanted_selectors(
    symbols: str | Iterable[str],
    timeframes: str | Iterable[str],
    more: Iterable[stream_pb2.ChannelSelector],
    options: ChannelOptions,
) -> list[stream_pb2.ChannelSelector]:
    """Return the selectors of names and options, and more of them; none of either = every default channel.

    Raises:
        ClientError: see channel_selectors.
    """
    wanted = list(more)
    if symbols or timeframes or options or not wanted:
        wanted += channel_selectors(symbols, timeframes, **options)
    return wanted


def _beside(options: ChannelOptions) -> dict[str, object]:
    """Return the fields of a selector beside its names."""
    named = [name for name in ("tile", "rows", "prices") if name in options]
    if len(named) > 1:
        raise ClientError(f"{' and '.join(named)} exclude each other; name one of them")
    found: dict[str, object] = {}
    if "tile" in options:
        first = options["tile"] * TILE_ROWS
        found["rows"] = stream_pb2.RowSpan(first=first, last=first + TILE_ROWS - 1)
    if "rows" in options:
        first, last = options["rows"]
        found["rows"] = stream_pb2.RowSpan(first=first, last=last)
    if "prices" in options:
        low, high = options["prices"]
        found["prices"] = stream_pb2.PriceSpan(low=low, high=high)
    if {"venues", "leverages", "side", "leverage_shares"} & set(options):
        found["positions"] = _positions(options)
    if "row_fold" in options:
        found["row_fold"] = options["row_fold"]
    return found


def _positions(options: ChannelOptions) -> stream_pb2.PositionFilter:
    side = options.get("side")
    if side is not None and side not in _SIDES:
        raise ClientError(f"side {side!r} is unknown; use one of {', '.join(_SIDES)}")
    shares = options.get("leverage_shares", {})
    return stream_pb2.PositionFilter(
        venues=options.get("venues", ()),
        leverages=options.get("leverages", ()),
        side=stream_pb2.PositionFilter.SIDE_UNSPECIFIED if side is None else _SIDES[side],
        leverage_shares=[stream_pb2.PositionFilter.Share(leverage=x, share_ppm=share) for x, share in shares.items()],
    )
