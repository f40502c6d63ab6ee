"""The OpenAPI document: every path that is served, every parameter that is read, and what is really answered."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from liqscape.api.auth import Authenticator
from liqscape.api.calls import Calls
from liqscape.api.cluster_conversions import clusters_response
from liqscape.api.conversions import grid_fragments, grid_header
from liqscape.api.gate import Gate
from liqscape.api.health import PublicHealth, health_answer
from liqscape.api.limits import DEFAULT_LIMITS
from liqscape.api.map_conversions import map_fragments, map_header
from liqscape.api.openapi import openapi_document
from liqscape.api.tickets import OwnTickets
from liqscape.api.web_answers import message_json, parts_json, row_json, swept_json
from liqscape.api.web_assets import WebAssets
from liqscape.api.web_service import WebService
from liqscape.broadcast.accounts import OwnAccount
from liqscape.broadcast.counters import StreamCounters
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.insight.cluster_thresholds import ClusterThresholds
from liqscape.insight.clusters import ClusterQuery, find_clusters
from tests.fake_engine import FakeEngine, FakeQueries, grid_answer, map_answer
from tests.unit.api.test_context import ASSUMED, CONTEXT
from tests.unit.api.test_map_conversions import EXACT
from tests.unit.insight.hand_made_books import STATED, Lots, book

DOCUMENT = openapi_document()


def test_every_path_that_answers_as_json() -> None:
    gate = Gate(Authenticator(), DEFAULT_LIMITS, StreamCounters(), lambda: 0.0)
    hubs = Hubs(Hub(InProcessFrameSource(FakeEngine().shard)))
    health = PublicHealth(hubs, FakeQueries(FakeEngine()).status)
    accounts = OwnAccount(hubs.counters, hubs.timings)
    service = WebService(Calls(gate, ()), WebAssets(), OwnTickets(lambda: 0.0), health, accounts, is_local=True)
    routes = service.application(lambda: None).router.routes()  # type: ignore[arg-type, return-value]
    served = {(route.method.lower(), route.resource.canonical) for route in routes if route.resource is not None}

    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    others = {("get", path) for path in ("/", "/static/{path}", "/v1/stream", "/v1/playback", "/v1/openapi.json")}
    assert {(method, path) for method, path in served if method != "head"} == described | others


def test_every_reference_leads_somewhere() -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))

    assert named <= DOCUMENT["components"]["schemas"].keys()
    assert "VenueChunk" in named


def test_grids_maps_rows_and_swept_cells_are_as_described() -> None:
    grid = grid_answer(60, 40)
    book = replace(map_answer(4, 40), exact=(EXACT,), context=(CONTEXT,), assumed=(ASSUMED,))
    grid_parts = [grid_header(grid, ()), *grid_fragments(grid)]
    map_parts = [map_header(book, ()), *map_fragments(book)]

    assert_fits(parts_json(grid_parts), "/v1/grid")
    assert_fits(parts_json(map_parts), "/v1/map")
    assert_fits(row_json(map_parts), "/v1/row")
    assert_fits(swept_json(grid_parts), "/v1/swept")


def test_clusters_are_as_described_stated_ones_and_lonely_ones_included() -> None:
    keyed = book([Lots(95_000, 300, 20), Lots(97_000, 400, STATED), Lots(104_000, 77, 50)])
    query = ClusterQuery(ClusterThresholds(min_mass_usd=1.0))
    found = clusters_response(keyed, query, find_clusters(keyed, query), (), 7)

    assert len(found.clusters) == 3
    assert_fits(message_json(found), "/v1/clusters")


def test_health_is_as_described_whether_it_says_yes_or_no() -> None:
    responses = DOCUMENT["paths"]["/healthz"]["get"]["responses"]
    for is_healthy, status in ((True, "200"), (False, "503")):
        body = health_answer(is_healthy, {"status": "draining"}).body
        assert isinstance(body, bytes)
        check(orjson.loads(body), responses[status]["content"]["application/json"]["schema"])
    assert DOCUMENT["paths"]["/healthz"]["get"]["security"] == [{}]


def test_what_does_not_fit_is_noticed() -> None:
    with pytest.raises(AssertionError):
        assert_fits(b'{"header": {"symbol": 3}, "fragments": []}', "/v1/grid")
    with pytest.raises(AssertionError):
        assert_fits(b'{"header": {"symbl": "BTC"}, "fragments": []}', "/v1/grid")


def assert_fits(answer: bytes, path: str) -> None:
    schema = DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    check(orjson.loads(answer), schema)


def check(value: Any, schema: dict[str, Any]) -> None:
    """Check what JSON Schema's words mean that the document uses; what is not described may not be there."""
    if "$ref" in schema:
        check(value, DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    elif schema.get("type") == "object":
        assert isinstance(value, dict)
        assert set(schema.get("required", ())) <= value.keys()
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        for name, inner in value.items():
            assert name in known or others is not None, name
            check(inner, known.get(name, others))
    elif schema.get("type") == "array":
        assert isinstance(value, list)
        for inner in value:
            check(inner, schema["items"])
    elif "enum" in schema:
        assert value in schema["enum"]
    else:
        kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
        assert isinstance(value, kinds[schema["type"]]), (value, schema)
        assert "pattern" not in schema or re.match(schema["pattern"], value)
        assert schema["type"] != "number" or np.isfinite(value)
