"""Calls of the services through doors that are not gRPC's: the same gate, the same handlers, another transport.

A door turns whatever it speaks into a method, metadata and a context. What a context has to do is what the handlers ask
of grpc.aio's: see CallContext.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

import grpc

from liqscape.api.auth import Metadata
from liqscape.api.gate import Gate
from liqscape.api.status_codes import RETRY_AFTER_KEY


class CallEnded(grpc.aio.AbortError):
    """A handler has ended its call with an error; the context has it."""


@dataclass(frozen=True, slots=True)
class CallFailure:
    """What a call ended with.

    Attributes:
        code: never OK.
        message: in words, for the caller.
        retry_after_ms: when asking again may help; None = it will not.
    """

    code: grpc.StatusCode
    message: str
    retry_after_ms: int | None = None


class Transport(Protocol):
    """What a door offers a call."""

    async def read(self) -> bytes | None:
        """Return the next request message; None where no more comes."""
        ...

    async def write(self, message: bytes) -> None:
        """Hand on a response message; return when there is room for the next."""
        ...


class CallContext:
    """Does for the handlers what grpc.aio.ServicerContext does.

    Args:
        peer: as gRPC names it, for example ipv4:127.0.0.1:4711.
        transport: of the messages.

    Attributes:
        failure: what the call ended with; None = well, or it has not ended.
    """

    def __init__(self, peer: str, transport: Transport) -> None:
        self._peer = peer
        self._transport = transport
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._retry_after_ms: int | None = None

    @property
    def failure(self) -> CallFailure | None:
        if self._code is None or self._code is grpc.StatusCode.OK:
            return None
        return CallFailure(self._code, self._details, self._retry_after_ms)

    def peer(self) -> str:
        return self._peer

    def time_remaining(self) -> float | None:
        """Return None: no deadline but the server's own."""
        return None

    async def read(self) -> Any:
        message = await self._transport.read()
        return grpc.aio.EOF if message is None else message

    async def write(self, message: bytes) -> None:
        await self._transport.write(message)

    def code(self) -> grpc.StatusCode | None:
        return self._code

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Sequence[tuple[str, str | bytes]] = ()
    ) -> NoReturn:
        self._code, self._details = code, details
        found = dict(trailing_metadata).get(RETRY_AFTER_KEY)
        self._retry_after_ms = None if found is None else int(found)
        raise CallEnded(details)


class _Details(grpc.HandlerCallDetails):
    def __init__(self, method: str, metadata: Metadata) -> None:
        self.method = method
        self.invocation_metadata = tuple(metadata)


UNKNOWN_METHOD: Final = "no such method"


class Calls:
    """The services of a server.

    Args:
        gate: what every call passes first.
        services: those it may reach.
    """

    def __init__(self, gate: Gate, services: Sequence[grpc.GenericRpcHandler]) -> None:
        self._gate = gate
        self._services = services

    async def run(self, method: str, metadata: Metadata, context: CallContext) -> None:
        """Run a call to its end; afterwards the context knows how it ended.

        Args:
            method: for example /liqscape.v1.QueryService/GetStatus.
            metadata: of the call; keys in lower case.
            context: of its messages.
        """
        details = _Details(method, metadata)

        async def find(wanted: grpc.HandlerCallDetails) -> Any:
            return next(filter(None, (service.service(wanted) for service in self._services)), None)

        handler: Any = await self._gate.intercept_service(find, details)
        if handler is None:
            context.set_code(grpc.StatusCode.UNIMPLEMENTED)
            context.set_details(UNKNOWN_METHOD)
            return
        call = handler.stream_stream or handler.stream_unary
        try:
            answer = await call(None, context)
        except CallEnded:
            return
        if answer is not None:
            await context.write(answer)
