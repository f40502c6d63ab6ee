"""Answers as JSON: the protocol's own mapping of its messages, and what a page asks for in fewer words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from liqscape.api.calls import CallFailure
from liqscape.insight.swept import MEANING, PriceColumns, swept_rows
from liqscape.v1 import query_pb2, stream_pb2

STATUS_OF_CODE: Final = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 404,
    "FAILED_PRECONDITION": 409,
    "OUT_OF_RANGE": 416,
    "RESOURCE_EXHAUSTED": 429,
    "DATA_LOSS": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Status of HTTP by code of gRPC; every other one is 500."""


_SIDES: Final = {query_pb2.POSITION_SIDE_LONG: "long", query_pb2.POSITION_SIDE_SHORT: "short"}


def message_json(message: Message) -> bytes:
    """Return a message as JSON: names of the proto files, int64 as text, bytes in base64, enums by name."""
    return orjson.dumps(_plain(message))


def parts_json(parts: Sequence[query_pb2.GetGridResponse] | Sequence[query_pb2.GetLiquidationMapResponse]) -> bytes:
    """Return the parts of a grid or a map as {"header": ..., "fragments": [...]}."""
    fragments = [_plain(part.fragment) for part in parts[1:]]
    return orjson.dumps({"header": _plain(parts[0].header), "fragments": fragments})


def failure_json(failure: CallFailure) -> tuple[int, bytes]:
    """Return HTTP status and JSON of an error."""
    error: dict[str, Any] = {"code": failure.code.name, "message": failure.message}
    if failure.retry_after_ms is not None:
        error["retry_after_ms"] = failure.retry_after_ms
    return STATUS_OF_CODE.get(failure.code.name, 500), orjson.dumps({"error": error})


def row_json(parts: Sequence[query_pb2.GetLiquidationMapResponse]) -> bytes:
    """Return the map of one row: its prices, its USD, who holds what, the largest first; what is stated, assumed."""
    header = parts[0].header
    axis = header.axis
    unit = 10.0**-axis.price_decimals * axis.base_step * axis.base_steps_per_row
    usd_per_lot = header.usd_per_weighted_lot[0] * header.weight_one
    by_venue: defaultdict[tuple[str, int], float] = defaultdict(float)
    by_leverage: defaultdict[tuple[int, int], float] = defaultdict(float)
    for series in header.series:
        by_venue[series.venue, series.side] += series.inside.usd
        by_leverage[series.leverage, series.side] += series.inside.usd
    return orjson.dumps(
        {
            "symbol": header.symbol,
            "tick": str(header.tick),
            "source_watermark_unix_ns": str(header.source_watermark_unix_ns),
            "states": [stream_pb2.DataState.Name(state) for state in header.states],
            "price_low": axis.first_row * unit,
            "price_high": (axis.first_row + axis.rows) * unit,
            "usd": sum(by_venue.values()),
            "by_venue": _shares("venue", by_venue),
            "by_leverage": _shares("leverage", by_leverage),
            "exact": [_stated(positions.venue, row) for positions in header.exact for row in positions.rows],
            "assumed": [
                {"label": series.label, "side": _SIDES[series.side], "lots": str(lots), "usd": lots * usd_per_lot}
                for positions in header.assumed
                for series in positions.series
                for lots in series.lots
            ],
            "meaning": header.meaning,
        }
    )


def swept_json(parts: Sequence[query_pb2.GetGridResponse]) -> bytes:
    """Return where the price went through rows of a grid and positions ended, see insight.swept."""
    header = parts[0].header
    axes = header.axes
    cells = np.frombuffer(b"".join(part.fragment.cells for part in parts[1:]), "<i8").reshape(axes.columns, axes.rows)
    first_column = header.newest_column - axes.columns + 1
    found = swept_rows(cells, _prices(header.candles, first_column), axes.first_row, _row_units(axes))
    usd = found.weighted_lots * np.asarray(header.usd_per_weighted_lot, np.float64)[found.row]
    answer = {
        "symbol": header.symbol,
        "timeframe": header.timeframe,
        "tick": str(header.tick),
        "generation": header.generation,
        "axes": _plain(axes),
        "newest_column": str(header.newest_column),
        "columns": found.column + first_column,
        "rows": found.row + axes.first_row,
        "usd": usd,
        "meaning": MEANING,
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _prices(candles: stream_pb2.Candles, first_column: int) -> PriceColumns:
    index = np.cumsum(np.array(candles.column_differences, np.int64)) - first_column
    opened = np.cumsum(np.array(candles.open_differences, np.int64))
    low = opened - np.array(candles.open_minus_low, np.int64)
    high = opened + np.array(candles.high_minus_open, np.int64)
    return PriceColumns(index, low, high)


def _row_units(axes: stream_pb2.Axes) -> int:
    return axes.base_step * axes.base_steps_per_row


def _shares(name: str, usd: dict[Any, float]) -> list[dict[str, Any]]:
    largest_first = sorted(usd.items(), key=lambda item: (-item[1], item[0]))
    return [{name: key, "side": _SIDES[side], "usd": amount} for (key, side), amount in largest_first if amount]


def _stated(venue: str, row: query_pb2.ExactRow) -> dict[str, Any]:
    share = {"model_share": row.model_share} if row.HasField("model_share") else {}
    return {
        "venue": venue,
        "side": _SIDES[row.side],
        "lots": str(row.lots),
        "model_lots": str(row.model_lots),
        **share,
        "accounts": row.accounts,
        "oldest_unix_ns": str(row.oldest_unix_ns),
    }


def _plain(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return plain
