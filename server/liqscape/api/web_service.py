"""The page, questions as JSON, and the stream over a WebSocket: one HTTP server beside the gRPC one.

Every question, session and playback goes through the gate of the gRPC server, see calls.py: the same tokens, limits and
counters; /metrics counts as GetStatus. The page's own files and /healthz need no token; they tell nothing, or a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from html import escape
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from google.protobuf.message import Message

from liqscape.api.auth import AUTHORIZATION_KEY, Metadata, check_exposure
from liqscape.api.calls import CallContext, CallFailure, Calls
from liqscape.api.grpc_service import is_loopback, split_address
from liqscape.api.health import PublicHealth
from liqscape.api.http_door import Door, DoorLimits
from liqscape.api.metrics_page import MetricsPage
from liqscape.api.openapi import openapi_document
from liqscape.api.status_codes import STATUS_CODES
from liqscape.api.tickets import TICKET_SECONDS, OwnTickets, TicketOffice
from liqscape.api.web_answers import failure_json, message_json, parts_json, row_json, swept_json
from liqscape.api.web_assets import PAGE, WebAssets, content_type
from liqscape.api.web_compression import PackedFiles, packed_answer
from liqscape.api.web_requests import clusters_request, grid_request, map_request, no_parameters, row_request
from liqscape.api.web_socket import (
    PLAYBACK_METHOD,
    SESSION_METHOD,
    SUBPROTOCOL,
    close,
    new_socket,
    socket_context,
)
from liqscape.broadcast.accounts import Accounts
from liqscape.errors import ConfigError, InvalidArgument, PermissionDenied, QueryError, Unauthenticated
from liqscape.v1 import query_pb2

_LOG = logging.getLogger(__name__)

_LIMITS: Final = DoorLimits(connections=8192, request_bytes=16 << 10, exchange_s=60.0)
"""Twice as many as there may be streams; a request is an address and a browser's headers; a grid of 10 MB as JSON takes
half a minute on a bad line."""

KEEP_ALIVE_S: Final = 15.0

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
        " font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "liqscape",
}

_GET_GRID: Final = "/liqscape.v1.QueryService/GetGrid"
_GET_MAP: Final = "/liqscape.v1.QueryService/GetLiquidationMap"
_LIST_CLUSTERS: Final = "/liqscape.v1.QueryService/ListClusters"
_GET_STATUS: Final = "/liqscape.v1.QueryService/GetStatus"
_LIST_INSTRUMENTS: Final = "/liqscape.v1.QueryService/ListInstruments"

_M = TypeVar("_M", bound=Message)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Refused(Exception):
    def __init__(self, failure: CallFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Collected:
    """A request of one message, and what is answered; see calls.Transport."""

    def __init__(self, request: bytes) -> None:
        self._request: bytes | None = request
        self.messages: list[bytes] = []

    async def read(self) -> bytes | None:
        request, self._request = self._request, None
        return request

    async def write(self, message: bytes) -> None:
        self.messages.append(message)


class WebService:
    """The handlers.

    Args:
        calls: the services behind the gate.
        assets: the files of the page.
        tickets: that stand for tokens.
        health: whether there is data to be had.
        accounts: what the whole server has counted.
        is_local: the server listens on loopback alone.
    """

    def __init__(
        self,
        calls: Calls,
        assets: WebAssets,
        tickets: TicketOffice,
        health: PublicHealth,
        accounts: Accounts,
        *,
        is_local: bool,
    ) -> None:
        self._calls = calls
        self._assets = assets
        self._tickets = tickets
        self._health = health
        self._metrics = MetricsPage(accounts)
        self._packed = PackedFiles()
        self._is_local = is_local
        self._sockets: set[web.WebSocketResponse] = set()

    def application(self, door: Callable[[], Door]) -> web.Application:
        """Return what a server runs. Other paths are 404, other methods 405."""

        @web.middleware
        async def within_bounds(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await self._answered(request, handler)
            finally:
                door().next_exchange(request.transport)

        app = web.Application(middlewares=(within_bounds,), client_max_size=1)
        app.router.add_get("/", self.page)
        app.router.add_get("/static/{path:.+}", self.file)
        app.router.add_get("/healthz", self._health.answer)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/v1/status", self.status)
        app.router.add_get("/v1/instruments", self.instruments)
        app.router.add_get("/v1/grid", self.grid)
        app.router.add_get("/v1/map", self.map)
        app.router.add_get("/v1/row", self.row)
        app.router.add_get("/v1/clusters", self.clusters)
        app.router.add_get("/v1/swept", self.swept)
        app.router.add_post("/v1/ticket", self.ticket)
        app.router.add_get("/v1/openapi.json", self.openapi)

        async def stream(request: web.Request) -> web.StreamResponse:
            return await self.stream(request, SESSION_METHOD, door())

        async def playback(request: web.Request) -> web.StreamResponse:
            return await self.stream(request, PLAYBACK_METHOD, door())

        app.router.add_get("/v1/stream", stream)
        app.router.add_get("/v1/playback", playback)
        app.on_response_prepare.append(_finish_headers)
        return app

    async def end_sessions(self) -> None:
        """Close the sockets that are still open."""
        sockets = list(self._sockets)
        await asyncio.gather(*(close(socket, None) for socket in sockets), return_exceptions=True)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer with the page, or with what it lacks."""
        if self._assets.is_complete:
            return await self._file(PAGE, request)
        lacks = "".join(f"<li><code>{escape(name)}</code></li>" for name in self._assets.missing)
        body = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>liqscape</title><h1>The page is not installed</h1>"
            "<p>The server runs; gRPC, <a href=/v1/status>/v1/status</a> and the stream are served. The page lacks:"
            f"</p><ul>{lacks}</ul><p>With npm at hand, <code>make page</code> in a checkout fetches what it needs.</p>"
        )
        return web.Response(text=body, content_type="text/html", status=503)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Answer with a file of the page."""
        return await self._file(request.match_info["path"], request)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Answer as GetStatus, in Prometheus' words, with histograms beside it."""
        status = await self._status(request)
        account = await self._metrics.account()
        body, kind = await self._metrics.write(status, account, request.headers.get("Accept", ""))
        return await packed_answer(request, body, kind)

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Answer as GetStatus."""
        return await packed_answer(request, message_json(await self._status(request)))

    async def _status(self, request: web.Request) -> query_pb2.GetStatusResponse:
        no_parameters(_parameters(request))
        (answer,) = await self._ask(request, _GET_STATUS, query_pb2.GetStatusRequest(), query_pb2.GetStatusResponse)
        return answer

    async def instruments(self, request: web.Request) -> web.StreamResponse:
        """Answer as ListInstruments."""
        no_parameters(_parameters(request))
        wanted, kind = query_pb2.ListInstrumentsRequest(), query_pb2.ListInstrumentsResponse
        (answer,) = await self._ask(request, _LIST_INSTRUMENTS, wanted, kind)
        return await packed_answer(request, message_json(answer))

    async def grid(self, request: web.Request) -> web.StreamResponse:
        """Answer as GetGrid."""
        wanted = grid_request(_parameters(request))
        parts = await self._ask(request, _GET_GRID, wanted, query_pb2.GetGridResponse)
        return await packed_answer(request, await asyncio.to_thread(parts_json, parts))

    async def map(self, request: web.Request) -> web.StreamResponse:
        """Answer as GetLiquidationMap."""
        wanted = map_request(_parameters(request))
        parts = await self._ask(request, _GET_MAP, wanted, query_pb2.GetLiquidationMapResponse)
        return await packed_answer(request, await asyncio.to_thread(parts_json, parts))

    async def row(self, request: web.Request) -> web.StreamResponse:
        """Answer with who holds what of one row of the live book."""
        wanted = row_request(_parameters(request))
        parts = await self._ask(request, _GET_MAP, wanted, query_pb2.GetLiquidationMapResponse)
        return await packed_answer(request, row_json(parts))

    async def clusters(self, request: web.Request) -> web.StreamResponse:
        """Answer as ListClusters."""
        wanted = clusters_request(_parameters(request))
        (answer,) = await self._ask(request, _LIST_CLUSTERS, wanted, query_pb2.ListClustersResponse)
        return await packed_answer(request, message_json(answer))

    async def swept(self, request: web.Request) -> web.StreamResponse:
        """Answer with the cells of a grid in which the price ended positions."""
        wanted = grid_request(_parameters(request))
        parts = await self._ask(request, _GET_GRID, wanted, query_pb2.GetGridResponse)
        return await packed_answer(request, await asyncio.to_thread(swept_json, parts))

    async def ticket(self, request: web.Request) -> web.StreamResponse:
        """Answer with a ticket for the token of this request; it is looked at when the ticket is used."""
        no_parameters(_parameters(request))
        authorization = request.headers.get("Authorization")
        if authorization is None:
            raise Unauthenticated("no token; send one as header 'Authorization: Bearer liqs_...'")
        ticket = await self._tickets.issue(authorization)
        answer = orjson.dumps({"ticket": ticket, "expires_in_s": TICKET_SECONDS})
        return web.Response(body=answer, content_type="application/json")  # never packed: it is a secret

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """Answer with the document that describes these questions; it needs no token, for it tells nothing."""
        no_parameters(_parameters(request))
        return await packed_answer(request, orjson.dumps(openapi_document()))

    async def stream(self, request: web.Request, method: str, door: Door) -> web.StreamResponse:
        """Serve a session or a playback; see web_socket.py."""
        metadata = await self._stream_metadata(request)
        socket = new_socket()
        if SUBPROTOCOL not in request.headers.get("Sec-WebSocket-Protocol", ""):
            raise InvalidArgument(f"open a WebSocket with the subprotocol {SUBPROTOCOL}")
        await socket.prepare(request)
        door.set_free(request.transport)
        self._sockets.add(socket)
        try:
            context = socket_context(_peer(request), socket)
            await self._calls.run(method, metadata, context)
            await close(socket, context.failure)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _stream_metadata(self, request: web.Request) -> Metadata:
        parameters = dict(_parameters(request))
        ticket = parameters.pop("ticket", None)
        if parameters:
            raise InvalidArgument(f"parameter {next(iter(parameters))[:64]!r} is unknown; allowed: ticket")
        if ticket is None:
            return _metadata(request)
        authorization = await self._tickets.redeem(ticket)
        if authorization is None:
            raise Unauthenticated("the ticket is unknown, was used, or is too old; ask for another")
        return ((AUTHORIZATION_KEY, authorization),)

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._check_origin(request)
            return await handler(request)
        except QueryError as error:
            code = next(code for kind, code in STATUS_CODES.items() if isinstance(error, kind))
            return _failed(CallFailure(code, str(error), error.retry_after_ms))
        except _Refused as refused:
            return _failed(refused.failure)

    def _check_origin(self, request: web.Request) -> None:
        """Refuse what another site's page makes a browser ask for, whatever name it found us by.

        Raises:
            PermissionDenied: it comes from elsewhere.
        """
        host = urlsplit(f"//{request.host}").hostname or ""
        if self._is_local and not is_loopback(host):
            raise PermissionDenied(f"this server is for this machine alone; it does not answer as {host[:64]!r}")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise PermissionDenied(f"origin {origin[:128]!r} is another site than {request.host[:128]!r}")

    async def _ask(self, request: web.Request, method: str, wanted: Message, kind: type[_M]) -> list[_M]:
        transport = _Collected(wanted.SerializeToString())
        context = CallContext(_peer(request), transport)
        await self._calls.run(method, _metadata(request), context)
        if context.failure is not None:
            raise _Refused(context.failure)
        return [kind.FromString(message) for message in transport.messages]

    async def _file(self, name: str, request: web.Request) -> web.StreamResponse:
        path = self._assets.files.get(name)
        if path is None:
            raise web.HTTPNotFound(text=f"no file {name[:128]!r} belongs to the page\n")
        # no-cache: a browser asks each time whether what it has is still right, and gets 304.
        headers = {"Content-Type": content_type(path), "Cache-Control": "no-cache"}
        return await self._packed.answer(request, path, headers)


@contextlib.asynccontextmanager
async def serving_web(
    address: str,
    calls: Calls,
    monotonic: Callable[[], float],
    *,
    assets: WebAssets,
    health: PublicHealth,
    accounts: Accounts,
    tls: ssl.SSLContext | None = None,
    tokens: bool = False,
    insecure: bool = False,
    tickets: TicketOffice | None = None,
) -> AsyncIterator[str]:
    """Serve until the block is left; yield the address of the page, with the port the system chose where 0 was asked.

    Args:
        address: host:port.
        calls: the services behind the gate.
        monotonic: seconds, for tickets.
        assets: the files of the page.
        health: whether there is data to be had.
        accounts: what the whole server has counted.
        tls: None = clear text.
        tokens: whether callers need one.
        insecure: serve beyond this machine in clear, or whoever asks.
        tickets: of all processes of the server, which share the port; None = this is the only one.

    Raises:
        ConfigError: the address is malformed, in use, or not loopback without TLS, tokens or `insecure`.
    """
    host, port = split_address(address)
    is_local = is_loopback(host)
    check_exposure(address, loopback=is_local, tls=tls is not None, tokens=tokens, insecure=insecure)
    service = WebService(calls, assets, tickets or OwnTickets(monotonic), health, accounts, is_local=is_local)
    doors: list[Door] = []
    runner = web.AppRunner(
        service.application(lambda: doors[0]),
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        keepalive_timeout=KEEP_ALIVE_S,
        lingering_time=0,
        shutdown_timeout=1,
    )
    await runner.setup()
    assert runner.server is not None
    doors.append(Door(runner.server, _LIMITS))
    try:
        server = await asyncio.get_running_loop().create_server(
            doors[0].admit, host.strip("[]"), port, ssl=tls, reuse_port=tickets is not None
        )
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"cannot listen on {address!r} for HTTP: {error.strerror or error}") from error
    try:
        bound = server.sockets[0].getsockname()[1]
        yield f"{'http' if tls is None else 'https'}://{host}:{bound}/"
    finally:
        server.close()
        await service.end_sessions()
        await runner.cleanup()


async def _finish_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


def _parameters(request: web.Request) -> Sequence[tuple[str, str]]:
    return list(request.query.items())


def _metadata(request: web.Request) -> Metadata:
    return [(AUTHORIZATION_KEY, value) for value in request.headers.getall("Authorization", ())]


def _peer(request: web.Request) -> str:
    """Return the peer as gRPC would name it."""
    name: Any = request.transport.get_extra_info("peername") if request.transport is not None else None
    if not isinstance(name, tuple):
        return "unix:"
    host, port = name[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def _failed(failure: CallFailure) -> web.Response:
    status, body = failure_json(failure)
    headers = {}
    if failure.retry_after_ms is not None:
        headers["Retry-After"] = str(-(-failure.retry_after_ms // 1000))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
