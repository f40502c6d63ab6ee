"""QueryService over gRPC: questions to the owner of the shard, answers in pieces of bounded size."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, TypeVar, cast

import grpc
from google.protobuf.message import Message

from liqscape.api.cluster_conversions import clusters_of, clusters_response, open_interest_usd_of
from liqscape.api.conversions import grid_fragments, grid_header, instruments_response, status_response
from liqscape.api.gate import max_cells
from liqscape.api.limits import GRID_RETRY_AFTER_MS, ServiceLimits
from liqscape.api.map_conversions import map_fragments, map_header
from liqscape.api.query_timing import timed
from liqscape.api.requests import grid_of, map_of, parse
from liqscape.api.stalls import StallWatch
from liqscape.api.status_codes import Context, guarded, refusal_while_not_serving
from liqscape.broadcast.accounts import Accounts
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.ports import QueryPort
from liqscape.errors import LimitExceeded, NotReady
from liqscape.insight.clusters import find_clusters
from liqscape.v1 import query_pb2, stream_pb2

_T = TypeVar("_T")

QUERY_SERVICE: Final = "liqscape.v1.QueryService"


class QueryService:
    """Handlers of QueryService."""

    def __init__(
        self, hubs: Hubs, queries: QueryPort, stalls: StallWatch, limits: ServiceLimits, accounts: Accounts
    ) -> None:
        self._hubs = hubs
        self._queries = queries
        self._accounts = accounts
        self._stalls = stalls
        self._limits = limits
        self._answering = 0

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server adds."""
        return grpc.method_handlers_generic_handler(
            QUERY_SERVICE,
            {
                "GetGrid": grpc.unary_stream_rpc_method_handler(self._ready("GetGrid", self.get_grid)),
                "GetLiquidationMap": grpc.unary_stream_rpc_method_handler(
                    self._ready("GetLiquidationMap", self.get_liquidation_map)
                ),
                "ListClusters": grpc.unary_unary_rpc_method_handler(self._ready("ListClusters", self.list_clusters)),
                "GetStatus": grpc.unary_unary_rpc_method_handler(self._ready("GetStatus", self.get_status)),
                "ListInstruments": grpc.unary_unary_rpc_method_handler(
                    self._ready("ListInstruments", self.list_instruments)
                ),
            },
        )

    def _ready(
        self, name: str, method: Callable[[bytes, Context], Awaitable[bytes | None]]
    ) -> Callable[[bytes, Context], Awaitable[bytes | None]]:
        return timed(name, guarded(method), self._hubs)

    async def get_grid(self, request: bytes, context: Context) -> None:
        """Answer with a header and the cells."""
        query = replace(grid_of(parse(query_pb2.GetGridRequest, request)), max_cells=max_cells())
        with self._place("grid"):
            answer = await self._answer(self._queries.get_grid(query), "grid", context)
            await self._write(grid_header(answer, self._hubs.current.states()), grid_fragments(answer), context)

    async def get_liquidation_map(self, request: bytes, context: Context) -> None:
        """Answer with a header and the cells."""
        query = replace(map_of(parse(query_pb2.GetLiquidationMapRequest, request)), max_cells=max_cells())
        with self._place("map"):
            answer = await self._answer(self._queries.get_liquidation_map(query), "map", context)
            await self._write(map_header(answer, self._hubs.current.states()), map_fragments(answer), context)

    async def list_clusters(self, request: bytes, context: Context) -> bytes:
        """Answer with what is found in the book; looking for it is work for a thread of its own."""
        book, query = clusters_of(parse(query_pb2.ListClustersRequest, request))
        with self._place("clusters"):
            answer = await self._answer(self._queries.get_keyed_book(book), "clusters", context)
            states = self._hubs.current.states()
            btc = None
            if query.thresholds.min_mass_usd is None and book.symbol != "BTC":
                btc = open_interest_usd_of((await self._queries.status()).symbols, "BTC")
            stale = stream_pb2.DATA_STATE_STALE in states
            found = await asyncio.to_thread(find_clusters, answer, query, btc_open_interest_usd=btc, stale=stale)
        return clusters_response(answer, query, found, states, self._hubs.current.now_ns()).SerializeToString()

    async def get_status(self, request: bytes, _context: Context) -> bytes:
        """Answer at any time, also while history is being built."""
        parse(query_pb2.GetStatusRequest, request)
        status, account = await self._queries.status(), await self._accounts.whole()
        return status_response(status, self._hubs.current, account).SerializeToString()

    async def list_instruments(self, request: bytes, _context: Context) -> bytes:
        """Answer at any time."""
        parse(query_pb2.ListInstrumentsRequest, request)
        return instruments_response(await self._queries.instruments()).SerializeToString()

    @contextlib.contextmanager
    def _place(self, what: str) -> Iterator[None]:
        limit = self._limits.max_grid_calls
        if self._answering >= limit:
            raise LimitExceeded(
                f"no {what} now: {limit} grids and maps are being answered, the limit of this server",
                GRID_RETRY_AFTER_MS,
            )
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1

    async def _write(self, header: Message, fragments: Iterable[Message], context: Context) -> None:
        with self._stalls.watching(context) as writer:
            await writer.write(header.SerializeToString())
            for fragment in fragments:
                await writer.write(fragment.SerializeToString())

    async def _answer(self, question: Awaitable[_T], what: str, context: Context) -> _T:
        # The stubs say float; without a deadline it is None.
        remaining_s = cast("float | None", context.time_remaining())
        limit_s = self._limits.max_grid_seconds
        if remaining_s is not None:
            limit_s = min(limit_s, remaining_s)
        try:
            async with asyncio.timeout(limit_s):
                return await question
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no {what} within {limit_s:.1f} s")
        except NotReady as error:
            status = await self._queries.status()
            raise (refusal_while_not_serving(status) if status.state in ("building", "failed") else error) from error
