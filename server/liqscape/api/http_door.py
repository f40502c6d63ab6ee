"""Connections of an HTTP server, within bounds: how many, and how slowly each may ask or take an answer.

aiohttp bounds a request's head but not how long it may take. One rule bounds every way of being slow: from the first
byte that may come to the end of an answer there is a time, and so many bytes of request; a WebSocket has its own rules
once it is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp.web_protocol import RequestHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Of one server.

    Attributes:
        connections: at one time.
        request_bytes: of one request.
        exchange_s: from the end of the answer before, or the begin, to the end of an answer.
    """

    connections: int
    request_bytes: int
    exchange_s: float


class Door:
    """Lets connections in.

    Args:
        handlers: makes the protocol of a connection.
        limits: of all of them.
    """

    def __init__(self, handlers: Callable[[], RequestHandler], limits: DoorLimits) -> None:
        self._handlers = handlers
        self._limits = limits
        self._connections: dict[asyncio.BaseTransport, _Connection] = {}

    @property
    def open(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    def admit(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Connection(self._connections, self._handlers(), self._limits)

    def next_exchange(self, transport: asyncio.BaseTransport | None) -> None:
        """Begin to count anew: an answer is done."""
        if transport is not None and (connection := self._connections.get(transport)) is not None:
            connection.next_exchange()

    def set_free(self, transport: asyncio.BaseTransport | None) -> None:
        """Count no more: the connection has rules of its own from now on."""
        if transport is not None and (connection := self._connections.get(transport)) is not None:
            connection.set_free()


class _Connection(asyncio.Protocol):
    """One connection of aiohttp."""

    def __init__(
        self, connections: dict[asyncio.BaseTransport, _Connection], inner: RequestHandler, limits: DoorLimits
    ) -> None:
        self._connections = connections
        self._inner = inner
        self._limits = limits
        self._left: int | None = limits.request_bytes
        self._is_admitted = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def next_exchange(self) -> None:
        assert self._transport is not None
        self.set_free()
        self._left = self._limits.request_bytes
        self._timer = asyncio.get_running_loop().call_later(self._limits.exchange_s, self._transport.abort)

    def set_free(self) -> None:
        self._left = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._connections) >= self._limits.connections:
            transport.abort()
            return
        self._is_admitted = True
        self._connections[transport] = self
        self.next_exchange()
        self._inner.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_admitted:
            return
        assert self._transport is not None
        del self._connections[self._transport]
        self.set_free()
        self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if not self._is_admitted:
            return
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                assert self._transport is not None
                self._transport.abort()
                return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        self._inner.eof_received()
        return None

    def pause_writing(self) -> None:
        if self._is_admitted:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._is_admitted:
            self._inner.resume_writing()
