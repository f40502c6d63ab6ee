"""The gRPC server: address, options, health, and its end in good order. The services themselves decide nothing here."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from liqscape.api.auth import Authenticator, check_exposure
from liqscape.api.calls import Calls
from liqscape.api.gate import Gate
from liqscape.api.limits import DEFAULT_LIMITS, ServiceLimits
from liqscape.api.query_service import QUERY_SERVICE, QueryService
from liqscape.api.reflection import add_reflection
from liqscape.api.stalls import StallWatch
from liqscape.api.stream_service import STREAM_SERVICE, StreamService
from liqscape.api.tls import ServerTls
from liqscape.api.token_file import TokenFile
from liqscape.broadcast.accounts import Accounts, OwnAccount
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.ports import QueryPort
from liqscape.config import TlsFiles
from liqscape.errors import ConfigError

MAX_REQUEST_BYTES: Final = 64 << 10
"""256 selectors and 64 resume points of longest names are under 50 KB; filters of positions have to share the rest."""

MAX_CONNECTION_STREAMS: Final = 128
"""A Python process shares one connection between all its channels to an address, and calls above the limit wait without
a word: a desk or a benchmark with 50 streams in one process must fit, a runaway one must not."""

MAX_CONNECTION_AGE_MS: Final = 3_600_000
"""Reaps what pings do not, and lets clients move to another edge. Streams end by themselves a little before."""

HANDSHAKE_TIMEOUT_MS: Final = 10_000
"""Three round trips of a bad line. A connection that says nothing costs a file and some KB until then."""

MAX_CONNECTION_IDLE_MS: Final = 300_000
"""Nobody pings a connection without calls, so one whose peer is gone would stay. Clients open another when they ask."""

SERVER_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_concurrent_streams", MAX_CONNECTION_STREAMS),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # Keepalive alone does not end a connection whose peer has frozen behind unread data; this does.
    ("grpc.http2.ping_timeout_ms", 10_000),
    # The default of 5 minutes cuts clients that ping every 30 s with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.max_connection_idle_ms", MAX_CONNECTION_IDLE_MS),
    # TCP, TLS and HTTP/2 greetings together; who has not finished by then is dropped (the default is 2 minutes).
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ("grpc.max_connection_age_ms", MAX_CONNECTION_AGE_MS),
    ("grpc.max_connection_age_grace_ms", 60_000),
)

STOP_RECONNECT_AFTER_MS: Final = 1000
"""A restart takes about so long; clients add jitter and back off if it takes longer."""


DRAIN_SPREAD_SHARE: Final = 0.8
"""Of the time to drain; the rest is for the last ones to take what is under way and their GoingAway."""

DRAIN_LOOK_S: Final = 0.05
"""How often it is looked whether any stream is left."""

DRAINING: Final = "the server is stopping"


@dataclass(slots=True)
class RunningGrpcServer:
    """A server whose socket is bound.

    Attributes:
        address: host:port, with the port the system chose where 0 was asked for.
        calls: its services, for other doors.
        accounts: what all processes of the server have counted.
    """

    address: str
    calls: Calls
    accounts: Accounts
    _server: grpc.aio.Server
    _hubs: Hubs
    _health: health.aio.HealthServicer
    _watch: asyncio.Task[None]

    async def drain(self, within_s: float) -> None:
        """Send readers elsewhere: health turns first, new streams are refused, open ones leave one after the other.

        Returns when none is left or the time is over; questions are answered all the while.
        """
        await self._health.enter_graceful_shutdown()
        self._hubs.close(DRAINING, STOP_RECONNECT_AFTER_MS, within_s * DRAIN_SPREAD_SHARE)
        ends_at = self._hubs.monotonic() + within_s
        # Streams end in many ways and none of them tells.
        while self._hubs.counters.streams_open and self._hubs.monotonic() < ends_at:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_LOOK_S)

    async def stop(self, grace_s: float) -> None:
        """Say goodbye on every stream, refuse new calls, and return when all have ended or the grace is over."""
        await self._health.enter_graceful_shutdown()
        self._hubs.close(DRAINING, STOP_RECONNECT_AFTER_MS)
        await self._server.stop(grace_s)
        self._watch.cancel()
        await asyncio.wait({self._watch})


async def serve_grpc(
    address: str,
    hub: Hub | Hubs,
    queries: QueryPort,
    *,
    accounts: Accounts | None = None,
    share_port: bool = False,
    insecure: bool = False,
    tls: TlsFiles | None = None,
    tokens: Path | None = None,
    limits: ServiceLimits = DEFAULT_LIMITS,
) -> RunningGrpcServer:
    """Bind and serve, whether or not the engine is ready: health says that the server is up, GetStatus what it does.

    Args:
        address: host:port; port 0 = any free one.
        hub: frames; one that is the only one for good, or hubs that succeed each other.
        queries: the owner of the shard.
        accounts: what all processes of the server have counted; None = this is the only one.
        share_port: other processes of the server listen on the same port; the system spreads connections over them.
        insecure: serve beyond this machine in clear, or whoever asks.
        tls: certificate and key; None = clear text.
        tokens: file of the tokens; None = none are needed.
        limits: what is given at most.

    Raises:
        ConfigError: the address is malformed, in use, or not loopback without TLS, tokens or `insecure`; a file of TLS
            or tokens cannot be used.
    """
    host, port = split_address(address)
    check_exposure(
        address, loopback=is_loopback(host), tls=tls is not None, tokens=tokens is not None, insecure=insecure
    )
    credentials = None if tls is None else ServerTls(tls).credentials()
    authenticator = Authenticator(None if tokens is None else TokenFile(tokens))
    hubs = hub if isinstance(hub, Hubs) else Hubs(hub)
    accounts = accounts or OwnAccount(hubs.counters, hubs.timings)
    gate = Gate(authenticator, limits, hubs.counters, hubs.monotonic)
    stalls = StallWatch(hubs.counters, hubs.monotonic, limits.stalls)
    # A second server on the same port must fail, not take every other connection.
    server = grpc.aio.server(interceptors=(gate,), options=(*SERVER_OPTIONS, ("grpc.so_reuseport", int(share_port))))
    services = (
        StreamService(hubs, queries, stalls, limits).handler(),
        QueryService(hubs, queries, stalls, limits, accounts).handler(),
    )
    server.add_generic_rpc_handlers(services)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    add_reflection(server, (STREAM_SERVICE, QUERY_SERVICE, health.SERVICE_NAME))
    bound_port = 0
    with contextlib.suppress(RuntimeError):  # depending on its version grpcio raises or returns 0
        if credentials is None:
            bound_port = server.add_insecure_port(f"{host}:{port}")
        else:
            bound_port = server.add_secure_port(f"{host}:{port}", credentials)
    if not bound_port:
        raise ConfigError(f"cannot listen on {address!r}; the port is in use or the address is not of this machine")
    await server.start()
    for service in ("", STREAM_SERVICE, QUERY_SERVICE):
        await health_servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    watch = asyncio.create_task(_watch(stalls, gate), name="watch over calls")
    return RunningGrpcServer(
        f"{host}:{bound_port}", Calls(gate, services), accounts, server, hubs, health_servicer, watch
    )


async def _watch(stalls: StallWatch, gate: Gate) -> None:
    await asyncio.gather(stalls.run(), gate.run())


def split_address(address: str) -> tuple[str, int]:
    """Return host (brackets of IPv6 kept) and port.

    Raises:
        ConfigError: not host:port.
    """
    host, colon, port = address.rpartition(":")
    is_whole = bool(host and colon) and (":" not in host or (host[0] == "[" and host[-1] == "]"))
    if not is_whole or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"address {address!r} is not host:port with a port of 0..65535, for example 127.0.0.1:50051")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether a host name can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
