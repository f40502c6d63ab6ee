"""/metrics and /healthz over HTTP, beside gRPC in the same event loop.

Whoever scrapes needs one short request now and then, so a connection carries one request, a few KiB and a few seconds,
and there are few of them. That bounds a slow client, whatever it is slow in, without a rule for each way of being slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from liqscape.api.conversions import DataView, status_response
from liqscape.api.exposition import ServerMetrics
from liqscape.api.grpc_service import is_loopback, split_address
from liqscape.api.http_door import Door, DoorLimits
from liqscape.broadcast.accounts import Account, Accounts
from liqscape.errors import ConfigError
from liqscape.grid.updates import EngineStatus
from liqscape.v1 import query_pb2, stream_pb2

MAX_CONNECTIONS: Final = 32
"""Two servers of Prometheus, a probe and some people; each holds a few KB."""

MAX_CONNECTION_S: Final = 10.0
"""Prometheus gives up after ten seconds by itself. Everything counts: silence, a request in drops, slow reading."""

MAX_REQUEST_BYTES: Final = 8192
"""Prometheus sends 300 bytes, a browser 1 KB."""


AskStatus = Callable[[], Awaitable[EngineStatus]]
"""Returns what the engine is doing; never raises. QueryPort.status is one."""


class HttpService:
    """The two pages.

    Args:
        view: what the data are.
        status: what the engine is doing.
        accounts: what the whole server has counted.
    """

    def __init__(self, view: DataView, status: AskStatus, accounts: Accounts) -> None:
        self._view = view
        self._ask_status = status
        self._accounts = accounts
        self._scraping = asyncio.Lock()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def application(self) -> web.Application:
        """Return what a server runs. Other paths are 404, other methods 405."""
        app = web.Application(client_max_size=1)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/healthz", self.health)
        app.on_response_prepare.append(_finish_headers)
        return app

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with every metric, in OpenMetrics where that is asked for, else in Prometheus' text."""
        registry = CollectorRegistry(auto_describe=False)
        account = await self._accounts.whole()
        registry.register(_Fixed(ServerMetrics(await self._status(account), account.timings)))
        registry.register(_Fixed(self._process))
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        async with self._scraping:  # 5 ms of a core: beside the event loop, and for one scraper at a time
            body = await asyncio.to_thread(encode, registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def health(self, _request: web.Request) -> web.Response:
        """Answer 200 where there is data to be had, else 503, with one line that says why."""
        status = await self._status(await self._accounts.whole())
        is_healthy, verdict = health_of(status, is_draining=self._view.goodbye is not None)
        return web.Response(
            status=200 if is_healthy else 503, text=json.dumps(verdict) + "\n", content_type="application/json"
        )

    async def _status(self, account: Account) -> query_pb2.GetStatusResponse:
        return status_response(await self._ask_status(), self._view, account)


class _Fixed:
    """A collector that a registry takes without collecting from it."""

    def __init__(self, collector: Any) -> None:
        self._collector = collector

    def collect(self) -> Any:
        return self._collector.collect()

    def describe(self) -> list[Any]:
        return []


def health_of(status: query_pb2.GetStatusResponse, *, is_draining: bool) -> tuple[bool, dict[str, str]]:
    """Return whether a load balancer should send readers here, and the verdict in a word and a reason.

    An input that has ended is healthy: its last state is what the server was asked to serve.
    """
    state = query_pb2.EngineState.Name(status.state).removeprefix("ENGINE_STATE_").lower()
    if status.state == query_pb2.ENGINE_STATE_FAILED:
        return False, {"status": state, "reason": f"the engine has failed: {status.message}"}
    if is_draining:
        return False, {"status": "draining", "reason": "the server is stopping"}
    if status.state == query_pb2.ENGINE_STATE_BUILDING:
        return False, {"status": state, "reason": status.message or "history is still being built"}
    if stream_pb2.DATA_STATE_STALE in status.states:
        return False, {"status": "stale", "reason": f"no tick after {status.tick} for longer than is usual"}
    return True, {"status": state}


@contextlib.asynccontextmanager
async def serving_http(
    address: str, view: DataView, status: AskStatus, accounts: Accounts, *, insecure: bool = False
) -> AsyncIterator[str]:
    """Serve until the block is left; yield host:port, with the port the system chose where 0 was asked for.

    Args:
        address: host:port.
        view: what the data are.
        status: what the engine is doing.
        accounts: what the whole server has counted.
        insecure: serve in clear beyond this machine.

    Raises:
        ConfigError: the address is malformed, in use, or not loopback without `insecure`.
    """
    host, port = split_address(address)
    if not insecure and not is_loopback(host):
        raise ConfigError(
            f"metrics address {address!r} is reachable from other machines in clear text; use 127.0.0.1, or say"
            " --insecure"
        )
    runner = web.AppRunner(
        HttpService(view, status, accounts).application(),
        access_log=None,
        handle_signals=False,
        max_line_size=MAX_REQUEST_BYTES,
        max_field_size=MAX_REQUEST_BYTES,
        keepalive_timeout=0,
        lingering_time=0,
        shutdown_timeout=1,
    )
    await runner.setup()
    assert runner.server is not None
    limits = DoorLimits(connections=MAX_CONNECTIONS, request_bytes=MAX_REQUEST_BYTES, exchange_s=MAX_CONNECTION_S)
    door = Door(runner.server, limits)
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(door.admit, host.strip("[]"), port)
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(f"cannot listen on {address!r} for metrics: {error.strerror or error}") from error
    try:
        yield f"{host}:{_port_of(server.sockets[0])}"
    finally:
        server.close()
        await runner.cleanup()


async def _finish_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.force_close()  # see MAX_CONNECTION_S: each connection is for one request
    response.headers["Connection"] = "close"
    response.headers["Server"] = "liqscape"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _port_of(listening: socket.socket) -> int:
    port = listening.getsockname()[1]
    assert isinstance(port, int)
    return port
