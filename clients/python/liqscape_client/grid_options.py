"""What may be asked of a grid beside its timeframe, and of a liquidation map beside its symbol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypedDict, TypeVar

from liqscape.v1 import query_pb2
from liqscape_client.errors import ClientError

_V = TypeVar("_V")

Model = Literal["net of closes", "open only"]
Breakdown = Literal["venue", "instrument", "leverage"]


class PositionOptions(TypedDict, total=False):
    """Which positions count, and on which rows; what is left out is the server's default.

    Attributes:
        venues: only these.
        leverages: only these tiers.
        side: only this side.
        leverage_shares: a mix of one's own, leverage to millionths of what opens; they sum to one million.
        base_steps_per_row: height of a row.
        price_low, price_high: prices wanted, quote currency.
        model: the book: "net of closes", the model's own, or "open only", to compare with: rising open interest opens
            positions at 1/leverage from their entry, only the price reaching them ends them.
    """

    venues: Sequence[str]
    leverages: Sequence[int]
    side: Literal["long", "short"]
    leverage_shares: Mapping[int, int]
    base_steps_per_row: int
    price_low: float
    price_high: float
    model: Model


class GridOptions(PositionOptions, total=False):
    """Options of a grid.

    Attributes:
        as_of_minute: the grid at the end of this minute since 1970 UTC, of the last day or archived.
        column_minutes, columns: a window of one's own, with an empty timeframe.
    """

    as_of_minute: int
    column_minutes: int
    columns: int


class MapOptions(PositionOptions, total=False):
    """Options of a liquidation map.

    Attributes:
        breakdown: what its cells are split by, beside the side.
    """

    breakdown: Sequence[Breakdown]


_SIDES: Final[dict[str, query_pb2.PositionSide]] = {
    "long": query_pb2.POSITION_SIDE_LONG,
    "short": query_pb2.POSITION_SIDE_SHORT,
}
_MODELS: Final[dict[str, query_pb2.PositionModel]] = {
    "net of closes": query_pb2.POSITION_MODEL_NET_OF_CLOSES,
    "open only": query_pb2.POSITION_MODEL_OPEN_ONLY,
}
_BREAKDOWNS: Final[dict[str, query_pb2.MapBreakdown]] = {
    "venue": query_pb2.MAP_BREAKDOWN_VENUE,
    "instrument": query_pb2.MAP_BREAKDOWN_INSTRUMENT,
    "leverage": query_pb2.MAP_BREAKDOWN_LEVERAGE,
}


def grid_request(symbol: str, timeframe: str, options: GridOptions) -> query_pb2.GetGridRequest:
    """Return the request of a grid.

    Raises:
        ClientError: a side or model is unknown.
    """
    return query_pb2.GetGridRequest(
        symbol=symbol,
        timeframe=timeframe,
        venues=options.get("venues", ()),
        leverages=options.get("leverages", ()),
        side=_side(options),
        leverage_shares=_shares(options),
        as_of_minute=options.get("as_of_minute"),
        column_minutes=options.get("column_minutes"),
        columns=options.get("columns"),
        base_steps_per_row=options.get("base_steps_per_row"),
        price_low=options.get("price_low"),
        price_high=options.get("price_high"),
        model=_model(options),
    )


def map_request(symbol: str, options: MapOptions) -> query_pb2.GetLiquidationMapRequest:
    """Return the request of a liquidation map.

    Raises:
        ClientError: a side, model or breakdown is unknown.
    """
    return query_pb2.GetLiquidationMapRequest(
        symbol=symbol,
        venues=options.get("venues", ()),
        leverages=options.get("leverages", ()),
        side=_side(options),
        leverage_shares=_shares(options),
        base_steps_per_row=options.get("base_steps_per_row"),
        price_low=options.get("price_low"),
        price_high=options.get("price_high"),
        breakdown=[_choice("breakdown", name, _BREAKDOWNS) for name in options.get("breakdown", ())],
        model=_model(options),
    )


def _side(options: PositionOptions) -> query_pb2.PositionSide:
    side = options.get("side")
    return query_pb2.POSITION_SIDE_UNSPECIFIED if side is None else _choice("side", side, _SIDES)


def _model(options: PositionOptions) -> query_pb2.PositionModel:
    return _choice("model", options.get("model", "net of closes"), _MODELS)


def _shares(options: PositionOptions) -> list[query_pb2.LeverageShare]:
    shares = options.get("leverage_shares", {})
    return [query_pb2.LeverageShare(leverage=leverage, share_ppm=share) for leverage, share in shares.items()]


def _choice(field: str, value: str, known: Mapping[str, _V]) -> _V:
    if value not in known:
        raise ClientError(f"{field} {value!r} is unknown; use one of {', '.join(known)}")
    return known[value]


def model_name(model: int) -> str:
    """Return a PositionModel of an answer in words; a server older than the choice means its only one."""
    if model == query_pb2.POSITION_MODEL_UNSPECIFIED:
        return "net of closes"
    return next((name for name, value in _MODELS.items() if value == model), f"UNKNOWN_{model}")
