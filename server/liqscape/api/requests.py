"""What may be asked: requests parsed from untrusted bytes, bounded before anything is done with them."""

from __future__ import annotations

from typing import Any, Final, TypedDict, TypeVar

from google.protobuf.message import DecodeError, Message

from liqscape.axes import timeframe
from liqscape.broadcast.selections import Wanted
from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.grid.channel_specs import ROW_FOLDS, PositionFilter
from liqscape.grid.updates import Breakdown, GridQuery, MapQuery, PositionModel
from liqscape.v1 import query_pb2, stream_pb2

MAX_SELECTORS: Final = 256
"""28 symbols with each timeframe named; who wants more leaves the list empty or the timeframes out."""

MAX_RESUME_POINTS: Final = 64
"""One an engine shard; a fleet of 64 serves thousands of symbols."""

MAX_DETAILS_CHARACTERS: Final = 256
"""A reason in words; it goes to a log."""

MAX_VENUES: Final = 64
"""More than there are."""

MAX_LEVERAGES: Final = 16
"""More than there are tiers."""

_SIDES: Final[dict[int, PositionSide | None]] = {
    query_pb2.POSITION_SIDE_UNSPECIFIED: None,
    query_pb2.POSITION_SIDE_LONG: PositionSide.LONG,
    query_pb2.POSITION_SIDE_SHORT: PositionSide.SHORT,
}

_MODELS: Final[dict[int, PositionModel]] = {
    query_pb2.POSITION_MODEL_UNSPECIFIED: PositionModel.NET_OF_CLOSES,
    query_pb2.POSITION_MODEL_NET_OF_CLOSES: PositionModel.NET_OF_CLOSES,
    query_pb2.POSITION_MODEL_OPEN_ONLY: PositionModel.OPEN_ONLY,
}

_BREAKDOWNS: Final[dict[int, Breakdown]] = {
    query_pb2.MAP_BREAKDOWN_VENUE: Breakdown.VENUE,
    query_pb2.MAP_BREAKDOWN_INSTRUMENT: Breakdown.INSTRUMENT,
    query_pb2.MAP_BREAKDOWN_LEVERAGE: Breakdown.LEVERAGE,
}

MAX_NAME_CHARACTERS: Final = 64
"""Coins, timeframes and shards have short names; longer ones would only be echoed into errors and logs."""

_M = TypeVar("_M", bound=Message)


def parse(kind: type[_M], request: bytes) -> _M:
    """Return a request message.

    Raises:
        InvalidArgument: the bytes are not such a message.
    """
    try:
        return kind.FromString(request)
    except DecodeError:
        raise InvalidArgument(f"request of {len(request)} bytes is not a {kind.DESCRIPTOR.name}") from None


def channels_of(request: stream_pb2.SubscribeRequest | stream_pb2.Change | stream_pb2.PlaybackOpen) -> list[Wanted]:
    """Return the channels a request wants.

    Raises:
        InvalidArgument: too many, a name or list too long, an enum unknown.
    """
    _check_count("channels", len(request.channels), MAX_SELECTORS)
    return [_wanted(f"channels[{index}]", selector) for index, selector in enumerate(request.channels)]


def _wanted(field: str, selector: stream_pb2.ChannelSelector) -> Wanted:
    _check_name(f"{field}.symbol", selector.symbol)
    _check_name(f"{field}.timeframe", selector.timeframe)
    part = selector.WhichOneof("part")
    if selector.row_fold not in (0, *ROW_FOLDS):
        folds = ", ".join(map(str, ROW_FOLDS))
        raise InvalidArgument(f"{field}.row_fold is {selector.row_fold}; use one of {folds}, or leave it out")
    return Wanted(
        symbol=selector.symbol,
        timeframe=selector.timeframe,
        rows=(selector.rows.first, selector.rows.last) if part == "rows" else None,
        prices=(selector.prices.low, selector.prices.high) if part == "prices" else None,
        positions=_filter_of(f"{field}.positions", selector.positions),
        row_fold=selector.row_fold or 1,
    )


def _filter_of(field: str, positions: stream_pb2.PositionFilter) -> PositionFilter | None:
    _check_filter(f"{field}.", positions)
    shares = [(share.leverage, share.share_ppm) for share in positions.leverage_shares]
    return PositionFilter.of(positions.venues, positions.leverages, _SIDES[positions.side], shares)


def resume_points_of(request: stream_pb2.SubscribeRequest) -> list[stream_pb2.ResumePoint]:
    """Return the resume points of a request.

    Raises:
        InvalidArgument: too many, a name too long, or two for one source.
    """
    _check_count("resume", len(request.resume), MAX_RESUME_POINTS)
    seen: set[str] = set()
    for index, point in enumerate(request.resume):
        _check_name(f"resume[{index}].source_id", point.source_id)
        if point.source_id in seen:
            raise InvalidArgument(f"resume names source {point.source_id!r} twice; one point a source is allowed")
        seen.add(point.source_id)
    return list(request.resume)


def rejected_channels_of(request: stream_pb2.Reject) -> list[int]:
    """Return the channels that a reader has found broken.

    Raises:
        InvalidArgument: none is named, or a text is too long.
    """
    _check_name("reject.source_id", request.source_id)
    if not request.channel_ids:
        raise InvalidArgument("reject.channel_ids is empty; name the channels that are broken")
    if len(request.details) > MAX_DETAILS_CHARACTERS:
        raise InvalidArgument(
            f"reject.details has {len(request.details)} characters; at most {MAX_DETAILS_CHARACTERS} are allowed"
        )
    return list(request.channel_ids)


def grid_of(request: query_pb2.GetGridRequest) -> GridQuery:
    """Return what a request asks for.

    Raises:
        InvalidArgument: a name is empty, too long, or no timeframe; a list too long.
    """
    _check_name("timeframe", request.timeframe)
    positions = _positions_of(request)
    if request.timeframe or not request.HasField("columns"):
        timeframe(request.timeframe)
    return GridQuery(
        symbol=request.symbol,
        timeframe=request.timeframe,
        as_of_minute=_optional(request, "as_of_minute"),
        column_minutes=_optional(request, "column_minutes"),
        columns=_optional(request, "columns"),
        **positions,
    )


def map_of(request: query_pb2.GetLiquidationMapRequest) -> MapQuery:
    """Return what a request asks for.

    Raises:
        InvalidArgument: a name is empty or too long, a list too long, an enum unknown.
    """
    positions = _positions_of(request)
    _check_count("breakdown", len(request.breakdown), len(_BREAKDOWNS))
    for value in request.breakdown:
        if value not in _BREAKDOWNS:
            raise InvalidArgument(f"breakdown has {value}; use venue, instrument, leverage or none of them")
    breakdown = frozenset(_BREAKDOWNS[value] for value in request.breakdown)
    return MapQuery(symbol=request.symbol, breakdown=breakdown, **positions)


class _Positions(TypedDict):
    venues: tuple[str, ...]
    leverages: tuple[int, ...]
    side: PositionSide | None
    leverage_shares: tuple[tuple[int, int], ...]
    row_multiple: int | None
    price_low: float | None
    price_high: float | None
    model: PositionModel


def _positions_of(request: query_pb2.GetGridRequest | query_pb2.GetLiquidationMapRequest) -> _Positions:
    """Return what both kinds of request say in the same words, once the symbol is known to be named."""
    _check_name("symbol", request.symbol)
    if not request.symbol:
        raise InvalidArgument("symbol is empty; name a base coin, for example BTC")
    _check_filter("", request)
    if request.model not in _MODELS:
        raise InvalidArgument(f"model {request.model} is unknown; use net of closes, open only or none")
    return _Positions(
        venues=tuple(request.venues),
        leverages=tuple(request.leverages),
        side=_SIDES[request.side],
        leverage_shares=tuple((share.leverage, share.share_ppm) for share in request.leverage_shares),
        row_multiple=_optional(request, "base_steps_per_row"),
        price_low=_optional(request, "price_low"),
        price_high=_optional(request, "price_high"),
        model=_MODELS[request.model],
    )


def _check_filter(
    prefix: str, asked: query_pb2.GetGridRequest | query_pb2.GetLiquidationMapRequest | stream_pb2.PositionFilter
) -> None:
    _check_count(f"{prefix}venues", len(asked.venues), MAX_VENUES)
    _check_count(f"{prefix}leverages", len(asked.leverages), MAX_LEVERAGES)
    _check_count(f"{prefix}leverage_shares", len(asked.leverage_shares), MAX_LEVERAGES)
    for index, venue in enumerate(asked.venues):
        _check_name(f"{prefix}venues[{index}]", venue)
    if asked.side not in _SIDES:  # the enums of queries and of streams have the same numbers
        raise InvalidArgument(f"{prefix}side {asked.side} is unknown; use long, short or none")


def _optional(request: query_pb2.GetGridRequest | query_pb2.GetLiquidationMapRequest, field: Any) -> Any:
    return getattr(request, field) if request.HasField(field) else None


def _check_count(field: str, count: int, limit: int) -> None:
    if count > limit:
        raise InvalidArgument(f"{field} has {count} entries; at most {limit} are allowed")


def _check_name(field: str, value: str) -> None:
    if len(value) > MAX_NAME_CHARACTERS:
        raise InvalidArgument(f"{field} has {len(value)} characters; at most {MAX_NAME_CHARACTERS} are allowed")
