"""The OpenAPI document of what is served as JSON, made from what serves it: parameters and messages have one source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from liqscape import __version__
from liqscape.api.web_answers import STATUS_OF_CODE
from liqscape.api.web_requests import CLUSTER_PARAMETERS, GRID_PARAMETERS, MAP_PARAMETERS, ROW_PARAMETERS, Parameter
from liqscape.v1 import query_pb2

_WIDE: Final = {"type": "string", "pattern": "^-?[0-9]+$", "description": "64-bit number as text"}
_WHOLE: Final = {"type": "integer"}
_NUMBER: Final = {"type": "number"}

_SCALARS: Final[dict[int, dict[str, Any]]] = {
    FieldDescriptor.TYPE_DOUBLE: _NUMBER,
    FieldDescriptor.TYPE_FLOAT: _NUMBER,
    FieldDescriptor.TYPE_INT32: _WHOLE,
    FieldDescriptor.TYPE_SINT32: _WHOLE,
    FieldDescriptor.TYPE_UINT32: _WHOLE,
    FieldDescriptor.TYPE_FIXED32: _WHOLE,
    FieldDescriptor.TYPE_INT64: _WIDE,
    FieldDescriptor.TYPE_SINT64: _WIDE,
    FieldDescriptor.TYPE_UINT64: _WIDE,
    FieldDescriptor.TYPE_FIXED64: _WIDE,
    FieldDescriptor.TYPE_SFIXED64: _WIDE,
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "enum": [*STATUS_OF_CODE, "INTERNAL"]},
                "message": {"type": "string"},
                "retry_after_ms": {"type": "integer", "description": "when asking again may help"},
            },
        }
    },
}
_SHARE: Final = {
    "type": "object",
    "required": ["side", "usd"],
    "properties": {
        "venue": {"type": "string"},
        "leverage": {**_WHOLE, "description": "0: positions that their venue states, which have no leverage tier"},
        "side": {"enum": ["long", "short"]},
        "usd": _NUMBER,
    },
}
_STATED: Final = {
    "type": "object",
    "required": ["venue", "side", "lots", "model_lots", "accounts", "oldest_unix_ns"],
    "properties": {
        "venue": {"type": "string"},
        "side": {"enum": ["long", "short"]},
        "lots": _WIDE,
        "model_lots": _WIDE,
        "model_share": {"type": "number", "description": "lots / model_lots; absent where none is estimated"},
        "accounts": _WHOLE,
        "oldest_unix_ns": _WIDE,
    },
}
_ASSUMED: Final = {
    "type": "object",
    "required": ["label", "side", "lots", "usd"],
    "properties": {
        "label": {"type": "string"},
        "side": {"enum": ["long", "short"]},
        "lots": _WIDE,
        "usd": _NUMBER,
    },
}
_ROW: Final = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string"},
        "tick": _WIDE,
        "source_watermark_unix_ns": _WIDE,
        "states": {"type": "array", "items": {"type": "string"}},
        "price_low": _NUMBER,
        "price_high": _NUMBER,
        "usd": _NUMBER,
        "by_venue": {"type": "array", "items": _SHARE},
        "by_leverage": {"type": "array", "items": _SHARE},
        "exact": {"type": "array", "items": _STATED, "description": "what venues state of accounts; part of the book"},
        "assumed": {"type": "array", "items": _ASSUMED, "description": "what is assumed of markets beside the book"},
        "meaning": {"type": "string"},
    },
}
_SWEPT: Final = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string"},
        "timeframe": {"type": "string"},
        "tick": _WIDE,
        "generation": _WHOLE,
        "axes": {"$ref": "#/components/schemas/Axes"},
        "newest_column": _WIDE,
        "columns": {"type": "array", "items": _WHOLE, "description": "absolute column of each cell"},
        "rows": {"type": "array", "items": _WHOLE, "description": "absolute row of each cell"},
        "usd": {"type": "array", "items": _NUMBER, "description": "what ended in each cell"},
        "meaning": {"type": "string"},
    },
}
_HEALTH: Final = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string", "description": "for example serving, building, stale or draining"}},
}
_TICKET: Final = {
    "type": "object",
    "properties": {"ticket": {"type": "string"}, "expires_in_s": _NUMBER},
}


def openapi_document() -> dict[str, Any]:
    """Return the document."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    for message in (
        query_pb2.GetStatusResponse,
        query_pb2.ListInstrumentsResponse,
        query_pb2.ListClustersResponse,
    ):
        _add(message.DESCRIPTOR, schemas)
    for parts in (query_pb2.GetGridResponse, query_pb2.GetLiquidationMapResponse):
        _add(parts.DESCRIPTOR.fields_by_name["header"].message_type, schemas)
        _add(parts.DESCRIPTOR.fields_by_name["fragment"].message_type, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "liqscape",
            "version": __version__,
            "description": "At which prices which leveraged positions would be force-closed. Everything is an estimate"
            " of a model. Messages are those of the proto files, in the JSON that protobuf defines for them.",
        },
        "paths": {
            "/healthz": {"get": _health()},
            "/metrics": {"get": _metrics()},
            "/v1/status": _get("What the server is doing, and how old its data are.", {}, _ref("GetStatusResponse")),
            "/v1/instruments": _get("Instruments and their rules.", {}, _ref("ListInstrumentsResponse")),
            "/v1/grid": _get("An exact grid.", GRID_PARAMETERS, _parts("GridHeader", "GridFragment")),
            "/v1/map": _get("The live book by price alone.", MAP_PARAMETERS, _parts("MapHeader", "MapFragment")),
            "/v1/row": _get("Who holds what of one row of the live book.", ROW_PARAMETERS, _ROW),
            "/v1/clusters": _get(
                "Where liquidation prices of the live book lie close together.",
                CLUSTER_PARAMETERS,
                _ref("ListClustersResponse"),
            ),
            "/v1/swept": _get("Cells in which the price ended positions.", GRID_PARAMETERS, _SWEPT),
            "/v1/ticket": {"post": _operation("A ticket for one WebSocket, for a browser.", {}, _TICKET)},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _get(about: str, parameters: Mapping[str, Parameter], answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"get": _operation(about, parameters, answer)}


def _operation(about: str, parameters: Mapping[str, Parameter], answer: Mapping[str, Any]) -> dict[str, Any]:
    failures = {str(status): {"$ref": "#/components/schemas/Error"} for status in sorted(set(STATUS_OF_CODE.values()))}
    return {
        "summary": about,
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.about,
                "schema": dict(parameter.schema),
            }
            for name, parameter in parameters.items()
        ],
        "responses": {
            "200": {"description": about, "content": {"application/json": {"schema": dict(answer)}}},
            **{
                status: {"description": "an error", "content": {"application/json": {"schema": schema}}}
                for status, schema in failures.items()
            },
        },
    }


def _health() -> dict[str, Any]:
    """Return the operation that needs no token and answers alike whether it says yes or no."""
    about = "Whether there is data to be had: 200 or 503."
    operation = _operation(about, {}, _HEALTH)
    described = operation["responses"]
    responses = {"200": described["200"], "403": described["403"], "503": described["200"]}
    return operation | {"security": [{}], "responses": responses}


def _metrics() -> dict[str, Any]:
    """Return the operation that answers as text."""
    about = "What /v1/status counts, and histograms, for Prometheus."
    operation = _operation(about, {}, {"type": "string"})
    described = {"description": about, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return operation | {"responses": operation["responses"] | {"200": described}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _parts(header: str, fragment: str) -> dict[str, Any]:
    fragments = {"type": "array", "items": _ref(fragment)}
    properties = {"header": _ref(header), "fragments": fragments}
    return {"type": "object", "required": list(properties), "properties": properties}


def _add(message: Any, schemas: dict[str, Any]) -> None:
    """Add the schema of a message, and those of the messages in it."""
    if message.name in schemas:
        return
    properties: dict[str, Any] = {}
    schemas[message.name] = {"type": "object", "properties": properties}
    for field in message.fields:
        properties[field.name] = _field(field, schemas)


def _field(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _single(inner.fields_by_name["value"], schemas)}
    single = _single(field, schemas)
    return {"type": "array", "items": single} if _is_repeated(field) else single


def _is_repeated(field: Any) -> bool:
    """Return whether a field is a list; older versions of protobuf have only the label, newer ones warn of it."""
    newer = getattr(field, "is_repeated", None)
    return field.label == FieldDescriptor.LABEL_REPEATED if newer is None else bool(newer)


def _single(field: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        _add(field.message_type, schemas)
        return _ref(field.message_type.name)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return dict(_SCALARS[field.type])
