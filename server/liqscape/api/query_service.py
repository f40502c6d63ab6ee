"""QueryService over gRPC: questions to the owner of the shard, answers in pieces of bounded size."""

from __future__ import annotations

import asyncio
from typing import Final, cast

import grpc

from liqscape.api.conversions import grid_fragments, grid_header, instruments_response, status_response
from liqscape.api.limits import GRID_RETRY_AFTER_MS, ServiceLimits
from liqscape.api.requests import grid_of, parse
from liqscape.api.stalls import StallWatch
from liqscape.api.status_codes import Context, guarded, refusal_while_not_serving
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.ports import QueryPort
from liqscape.errors import LimitExceeded, NotReady
from liqscape.grid.updates import GridAnswer, GridQuery
from liqscape.v1 import query_pb2

QUERY_SERVICE: Final = "liqscape.v1.QueryService"


class QueryService:
    """Handlers of QueryService."""

    def __init__(self, hub: Hub, queries: QueryPort, stalls: StallWatch, limits: ServiceLimits) -> None:
        self._hub = hub
        self._queries = queries
        self._stalls = stalls
        self._limits = limits
        self._grid_calls = 0

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server adds."""
        return grpc.method_handlers_generic_handler(
            QUERY_SERVICE,
            {
                "GetGrid": grpc.unary_stream_rpc_method_handler(guarded(self.get_grid)),
                "GetStatus": grpc.unary_unary_rpc_method_handler(guarded(self.get_status)),
                "ListInstruments": grpc.unary_unary_rpc_method_handler(guarded(self.list_instruments)),
            },
        )

    async def get_grid(self, request: bytes, context: Context) -> None:
        """Answer with a header and the cells."""
        query = grid_of(parse(query_pb2.GetGridRequest, request))
        limit = self._limits.max_grid_calls
        if self._grid_calls >= limit:
            raise LimitExceeded(f"{limit} grids are being answered, the limit of this server", GRID_RETRY_AFTER_MS)
        self._grid_calls += 1
        try:
            answer = await self._ask(query, context)
            with self._stalls.watching(context) as writer:
                await writer.write(grid_header(answer, self._hub.states()).SerializeToString())
                for fragment in grid_fragments(answer):
                    await writer.write(fragment.SerializeToString())
        finally:
            self._grid_calls -= 1

    async def get_status(self, request: bytes, _context: Context) -> bytes:
        """Answer at any time, also while history is being built."""
        parse(query_pb2.GetStatusRequest, request)
        return status_response(await self._queries.status(), self._hub).SerializeToString()

    async def list_instruments(self, request: bytes, _context: Context) -> bytes:
        """Answer at any time."""
        parse(query_pb2.ListInstrumentsRequest, request)
        return instruments_response(await self._queries.instruments()).SerializeToString()

    async def _ask(self, query: GridQuery, context: Context) -> GridAnswer:
        # The stubs say float; without a deadline it is None.
        remaining_s = cast("float | None", context.time_remaining())
        limit_s = self._limits.max_grid_seconds
        if remaining_s is not None:
            limit_s = min(limit_s, remaining_s)
        try:
            async with asyncio.timeout(limit_s):
                return await self._queries.get_grid(query)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no grid within {limit_s:.1f} s")
        except NotReady as error:
            status = await self._queries.status()
            raise (refusal_while_not_serving(status) if status.state in ("building", "failed") else error) from error
