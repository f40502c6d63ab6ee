"""Questions in the address of a page: each parameter by name, bounded, and nothing that is not known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from liqscape.errors import InvalidArgument
from liqscape.insight.cluster_thresholds import BOUNDS
from liqscape.insight.clusters import DEFAULT_LIMIT, MAX_LIMIT
from liqscape.v1 import query_pb2

MAX_VALUE_CHARACTERS: Final = 2048
"""Of one parameter: 64 venues of 30 characters."""

_SIDES: Final = {"long": query_pb2.POSITION_SIDE_LONG, "short": query_pb2.POSITION_SIDE_SHORT}
_MODELS: Final = {
    "net_of_closes": query_pb2.POSITION_MODEL_NET_OF_CLOSES,
    "open_only": query_pb2.POSITION_MODEL_OPEN_ONLY,
}
_PROVENANCES: Final = {
    "stated": query_pb2.PROVENANCE_STATED,
    "estimated": query_pb2.PROVENANCE_ESTIMATED,
}
_BREAKDOWNS: Final = {
    "venue": query_pb2.MAP_BREAKDOWN_VENUE,
    "instrument": query_pb2.MAP_BREAKDOWN_INSTRUMENT,
    "leverage": query_pb2.MAP_BREAKDOWN_LEVERAGE,
}

_ORDERS: Final = {
    "score": query_pb2.CLUSTER_ORDER_SCORE,
    "mass": query_pb2.CLUSTER_ORDER_MASS,
    "distance": query_pb2.CLUSTER_ORDER_DISTANCE,
}

Read = Callable[[str, str], Any]
"""From name and text of a parameter to the value of the field of that name."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an address.

    Attributes:
        read: see Read.
        about: in words, for people.
        schema: of its text, as JSON Schema has it.
        required: without it there is no answer.
    """

    read: Read
    about: str
    schema: Mapping[str, Any]
    required: bool = False


def _text(_name: str, value: str) -> str:
    return value


def _texts(_name: str, value: str) -> list[str]:
    return [part.strip() for part in value.split(",")]


def _whole(name: str, value: str, *, bits: int = 32) -> int:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19) or not -(1 << 63) <= int(value) < 1 << 63:
        raise InvalidArgument(f"{name}={value!r} is not a whole number")
    if bits == 32 and not 0 <= int(value) < 1 << 32:
        raise InvalidArgument(f"{name}={value} is out of range; use 0 to {(1 << 32) - 1}")
    return int(value)


def _minute(name: str, value: str) -> int:
    return _whole(name, value, bits=64)


def _wholes(name: str, value: str) -> list[int]:
    return [_whole(name, part.strip()) for part in value.split(",")]


def _price(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidArgument(f"{name}={value!r} is not a price")
    return number


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidArgument(f"{name}={value!r} is not a number")
    return number


def _one_of(allowed: Mapping[str, int]) -> Read:
    def read(name: str, value: str) -> int:
        if value not in allowed:
            raise InvalidArgument(f"{name}={value!r} is unknown; use {' or '.join(allowed)}")
        return allowed[value]

    return read


def _some_of(allowed: Mapping[str, int]) -> Read:
    one = _one_of(allowed)
    return lambda name, value: [one(name, part.strip()) for part in value.split(",")]


def _shares(name: str, value: str) -> list[query_pb2.LeverageShare]:
    """Return 10:250000,25:750000 as leverage and parts per million."""
    found = []
    for part in value.split(","):
        leverage, colon, share = part.strip().partition(":")
        if not colon:
            raise InvalidArgument(f"{name}={value!r} is not a list of LEVERAGE:PPM, for example 10:250000,25:750000")
        found.append(query_pb2.LeverageShare(leverage=_whole(name, leverage), share_ppm=_whole(name, share)))
    return found


_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_WHOLE: Final = {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1}
_MINUTE: Final = {"type": "integer", "format": "int64"}
_LIST: Final = {"type": "string", "pattern": "^[^,]+(,[^,]+)*$"}

_POSITIONS: Final = {
    "symbol": Parameter(_text, "base coin, for example BTC", _TEXT, required=True),
    "venues": Parameter(_texts, "only these venues, with commas; empty = all", _LIST),
    "leverages": Parameter(_wholes, "only these leverage tiers, with commas; empty = all", _LIST),
    "side": Parameter(_one_of(_SIDES), "only this side", {"enum": list(_SIDES)}),
    "leverage_shares": Parameter(
        _shares, "a leverage mix of one's own, LEVERAGE:PPM with commas; parts per million, one million together", _LIST
    ),
    "base_steps_per_row": Parameter(_whole, "height of a row in base steps of the symbol", _WHOLE),
    "price_low": Parameter(_price, "lowest price wanted, quote currency", _NUMBER),
    "price_high": Parameter(_price, "highest price wanted, quote currency", _NUMBER),
    "model": Parameter(_one_of(_MODELS), "which book; net_of_closes is the model's own", {"enum": list(_MODELS)}),
    "provenance": Parameter(
        _one_of(_PROVENANCES),
        "only positions that their venue states, or only those that are estimated",
        {"enum": list(_PROVENANCES)},
    ),
}
GRID_PARAMETERS: Final = _POSITIONS | {
    "timeframe": Parameter(
        _text, "12h, 24h, 3d, 1w, 2w, 1m, 3m, 6m or 1y; none only with column_minutes and columns", _TEXT
    ),
    "as_of_minute": Parameter(_minute, "the grid at the end of this minute since 1970, if it is kept", _MINUTE),
    "column_minutes": Parameter(_whole, "minutes of a column of a window of one's own", _WHOLE),
    "columns": Parameter(_whole, "columns of a window of one's own", _WHOLE),
}
MAP_PARAMETERS: Final = _POSITIONS | {
    "breakdown": Parameter(
        _some_of(_BREAKDOWNS), f"what cells are split by beside the side, with commas: {', '.join(_BREAKDOWNS)}", _LIST
    )
}
ROW_PARAMETERS: Final = {
    name: parameter for name, parameter in _POSITIONS.items() if name not in ("price_low", "price_high")
} | {"price": Parameter(_price, "a price within the row, quote currency", _NUMBER, required=True)}
CLUSTER_PARAMETERS: Final = (
    {name: _POSITIONS[name] for name in ("symbol", "venues", "leverages", "side", "base_steps_per_row", "model")}
    | {
        "limit": Parameter(_whole, f"clusters of each side, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} by default", _WHOLE),
        "order": Parameter(_one_of(_ORDERS), "what comes first; score by default", {"enum": list(_ORDERS)}),
    }
    | {
        name: Parameter(
            _whole if name == "min_venues" else _number,
            bounds.about,
            {"type": "number", "minimum": bounds.low, "maximum": bounds.high},
        )
        for name, bounds in BOUNDS.items()
    }
)


def grid_request(parameters: Sequence[tuple[str, str]]) -> query_pb2.GetGridRequest:
    """Return the request of /v1/grid. Raises InvalidArgument: names the parameter and what is allowed."""
    return query_pb2.GetGridRequest(**_read(parameters, GRID_PARAMETERS))


def map_request(parameters: Sequence[tuple[str, str]]) -> query_pb2.GetLiquidationMapRequest:
    """Return the request of /v1/map. Raises InvalidArgument: names the parameter and what is allowed."""
    return query_pb2.GetLiquidationMapRequest(**_read(parameters, MAP_PARAMETERS))


def row_request(parameters: Sequence[tuple[str, str]]) -> query_pb2.GetLiquidationMapRequest:
    """Return the map of the one row in which a price lies, by venue and by tier.

    Raises:
        InvalidArgument: names the parameter and what is allowed.
    """
    fields = _read(parameters, ROW_PARAMETERS)
    price = fields.pop("price", None)
    if price is None:
        raise InvalidArgument("price is missing; name one within the row, for example price=65000")
    breakdown = [query_pb2.MAP_BREAKDOWN_VENUE, query_pb2.MAP_BREAKDOWN_LEVERAGE]
    return query_pb2.GetLiquidationMapRequest(**fields, price_low=price, price_high=price, breakdown=breakdown)


def clusters_request(parameters: Sequence[tuple[str, str]]) -> query_pb2.ListClustersRequest:
    """Return the request of /v1/clusters. Raises InvalidArgument: names the parameter and what is allowed."""
    fields = _read(parameters, CLUSTER_PARAMETERS)
    thresholds = {name: fields.pop(name) for name in BOUNDS if name in fields}
    return query_pb2.ListClustersRequest(**fields, thresholds=query_pb2.ClusterThresholds(**thresholds))


def no_parameters(parameters: Sequence[tuple[str, str]]) -> None:
    """Refuse any parameter. Raises InvalidArgument."""
    _read(parameters, {})


def _read(parameters: Sequence[tuple[str, str]], allowed: Mapping[str, Parameter]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parameters:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise InvalidArgument(f"parameter {name[:64]!r} is unknown; allowed: {known}")
        if name in found:
            raise InvalidArgument(f"parameter {name} is given twice; lists are separated by commas")
        if len(value) > MAX_VALUE_CHARACTERS:
            raise InvalidArgument(f"{name} has {len(value)} characters; at most {MAX_VALUE_CHARACTERS} are allowed")
        if value:
            found[name] = allowed[name].read(name, value)
    return found
