"""What may be asked of a grid beside its timeframe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from liqscape.v1 import query_pb2


class GridOptions(TypedDict, total=False):
    """Options of a grid; what is left out is the server's default.

    Attributes:
        venues: only these.
        leverages: only these tiers.
        side: only this side.
        leverage_shares: a mix of one's own, leverage to millionths of what opens; they sum to one million.
        as_of_minute: the grid at the end of this minute since 1970 UTC, within the last day.
        column_minutes, columns: a window of one's own, with an empty timeframe.
        base_steps_per_row: height of a row.
        price_low, price_high: prices wanted, quote currency.
    """

    venues: Sequence[str]
    leverages: Sequence[int]
    side: Literal["long", "short"]
    leverage_shares: Mapping[int, int]
    as_of_minute: int
    column_minutes: int
    columns: int
    base_steps_per_row: int
    price_low: float
    price_high: float


_SIDES = {"long": query_pb2.POSITION_SIDE_LONG, "short": query_pb2.POSITION_SIDE_SHORT}


def grid_request(symbol: str, timeframe: str, options: GridOptions) -> query_pb2.GetGridRequest:
    """Return the request of a grid."""
    side = options.get("side")
    shares = options.get("leverage_shares", {})
    return query_pb2.GetGridRequest(
        symbol=symbol,
        timeframe=timeframe,
        venues=options.get("venues", ()),
        leverages=options.get("leverages", ()),
        side=_SIDES[side] if side is not None else query_pb2.POSITION_SIDE_UNSPECIFIED,
        leverage_shares=[query_pb2.LeverageShare(leverage=x, share_ppm=share) for x, share in shares.items()],
        as_of_minute=options.get("as_of_minute"),
        column_minutes=options.get("column_minutes"),
        columns=options.get("columns"),
        base_steps_per_row=options.get("base_steps_per_row"),
        price_low=options.get("price_low"),
        price_high=options.get("price_high"),
    )
