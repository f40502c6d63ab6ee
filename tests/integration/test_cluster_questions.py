"""ListClusters on a real loopback socket, with a book made by hand: what the service adds to what is found.

Seen to fail when broken on purpose, one at a time: other symbols measured by BTC's own least mass, a stale server's
clusters graded as a live one's, the refusal while history is built left to the status of a lost answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest

from liqscape.api.limits import DEFAULT_LIMITS
from liqscape.errors import NotFound, NotReady
from liqscape.grid.updates import MapQuery, SymbolStatus
from liqscape.v1 import query_pb2, stream_pb2
from tests.integration.test_grpc_api import BUILDING, Server, serving
from tests.unit.insight.hand_made_books import book, covers, millions

LOTS = (millions(97_000, 70), millions(104_000, 60))


async def clusters(server: Server, **fields: Any) -> query_pb2.ListClustersResponse:
    request = query_pb2.ListClustersRequest(**fields).SerializeToString()
    answer = await server.ask("liqscape.v1.QueryService/ListClusters", request)
    return query_pb2.ListClustersResponse.FromString(answer)


async def refusal(server: Server, **fields: Any) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await clusters(server, **fields)
    return caught.value.code(), caught.value.details()


async def test_other_symbols_are_measured_beside_btc_of_the_same_server() -> None:
    btc = SymbolStatus("BTC", 100_000, 0, 0, 0, 0, (covers(0, live=2 * 10**10),), 0.0)
    async with serving() as server:
        server.queries.book = book(LOTS, MapQuery("ETH", row_multiple=10))

        without_btc = await clusters(server, symbol="ETH")
        server.queries.state = replace(server.queries.state, symbols=(btc,))
        beside_btc = await clusters(server, symbol="ETH")
        as_told = await clusters(server, symbol="ETH", thresholds={"min_mass_usd": 65e6})

    assert (without_btc.thresholds.min_mass_usd, len(without_btc.clusters)) == (50e6, 2)
    assert (beside_btc.thresholds.min_mass_usd, len(beside_btc.clusters)) == (60e6, 1)
    assert (as_told.thresholds.min_mass_usd, len(as_told.clusters)) == (65e6, 1)


async def test_stale_data_are_named_and_lower_every_grade() -> None:
    async with serving() as server:
        server.queries.book = book(LOTS)

        live = await clusters(server, symbol="BTC", thresholds={"min_mass_usd": 0})
        server.hub.appended_at -= 60
        stale = await clusters(server, symbol="BTC", thresholds={"min_mass_usd": 0})

    assert list(live.states) == [stream_pb2.DATA_STATE_SIMULATED]
    assert [[r.code for r in c.reasons] for c in live.clusters] == [["one_venue"], ["one_venue"]]
    assert stream_pb2.DATA_STATE_STALE in stale.states
    assert [[r.code for r in c.reasons] for c in stale.clusters] == [["stale", "one_venue"]] * 2
    assert {c.grade for c in stale.clusters} == {query_pb2.RELIABILITY_GRADE_LOW}
    assert live.server_unix_ns > live.source_watermark_unix_ns


async def test_refusals_are_those_of_a_map() -> None:
    async with serving(limits=replace(DEFAULT_LIMITS, max_grid_calls=0)) as crowded:
        full = await refusal(crowded, symbol="BTC")
    async with serving(status=BUILDING) as server:
        server.queries.error = NotReady("not yet")
        building = await refusal(server, symbol="BTC")
        server.queries.error = NotFound("symbol 'DOGE' is unknown; known are BTC")
        unknown = await refusal(server, symbol="DOGE")
        wrong = await refusal(server, symbol="BTC", thresholds={"edge_share": 0})

    assert full == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "no clusters now: 0 grids and maps are being answered, the limit of this server",
    )
    assert building[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert "43 %" in (building[1] or "")
    assert unknown == (grpc.StatusCode.NOT_FOUND, "symbol 'DOGE' is unknown; known are BTC")
    assert wrong == (grpc.StatusCode.INVALID_ARGUMENT, "thresholds.edge_share is 0.0; use 0.01 to 1")
