"""/metrics and /healthz over HTTP, beside gRPC in the same event loop.

Whoever scrapes needs one short request now and then, so a connection carries one request, a few KiB and a few seconds,
and there are few of them. That bounds a slow client, whatever it is slow in, without a rule for each way of being slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from liqscape.api.conversions import DataView, status_response
from liqscape.api.grpc_service import is_loopback, split_address
from liqscape.api.health import AskStatus, health_answer, health_now
from liqscape.api.http_door import Door, DoorLimits
from liqscape.api.metrics_page import MetricsPage
from liqscape.broadcast.accounts import Accounts
from liqscape.errors import ConfigError

MAX_CONNECTIONS: Final = 32
"""Two servers of Prometheus, a probe and some people; each holds a few KB."""

MAX_CONNECTION_S: Final = 10.0
"""Prometheus gives up after ten seconds by itself. Everything counts: silence, a request in drops, slow reading."""

MAX_REQUEST_BYTES: Final = 8192
"""Prometheus sends 300 bytes, a browser 1 KB."""


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
        self._metrics = MetricsPage(accounts)

    def application(self) -> web.Application:
        """Return what a server runs. Other paths are 404, other methods 405."""
        app = web.Application(client_max_size=1)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/healthz", self.health)
        app.on_response_prepare.append(_finish_headers)
        return app

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with every metric, in OpenMetrics where that is asked for, else in Prometheus' text."""
        account = await self._metrics.account()
        status = status_response(await self._ask_status(), self._view, account)
        body, content_type = await self._metrics.write(status, account, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def health(self, _request: web.Request) -> web.Response:
        """Answer 200 where there is data to be had, else 503, with one line that says why."""
        return health_answer(*await health_now(self._view, self._ask_status))


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
