"""What every call passes before its service sees it: identity, limits, and a bound on how slowly it may be asked.

    metadata -> token (auth.py) -> place (admission.py) -> whole request in time -> the service

A refusal needs no request, so nobody without a token makes us take one in. A call whose token is revoked or expires is
ended within a second, the way stalls.py ends one that does not read: its handler is cancelled, then sets its status.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc

from liqscape.api.admission import Admission
from liqscape.api.auth import NO_TOKEN_TEXT, Authenticator, Caller, caller_of, scope_of
from liqscape.api.limits import HEALTH_WATCHES, ServiceLimits
from liqscape.api.status_codes import abort_with
from liqscape.api.tokens import Token
from liqscape.broadcast.counters import StreamCounters
from liqscape.errors import LimitExceeded, QueryError

_LOG = logging.getLogger(__name__)

CHECK_TOKENS_EVERY_S: Final = 1.0

_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def check_channels(count: int) -> None:
    """Refuse a stream of more channels than the caller of this call may have.

    Raises:
        LimitExceeded: names the limit.
    """
    caller = _caller.get()
    if caller is not None and count > caller.limits.channels:
        raise LimitExceeded(
            f"{count} channels are too many for a stream of {caller.name}; its limit is {caller.limits.channels}:"
            " name fewer symbols or timeframes"
        )


def current_caller() -> Caller | None:
    """Return whose call this is; None outside of one that has passed the gate."""
    return _caller.get()


def max_cells() -> int | None:
    """Return how many cells an answer to the caller of this call may have; None = as many as anyone's."""
    caller = _caller.get()
    return None if caller is None else caller.limits.cells


@dataclass(slots=True, eq=False)
class _Running:
    """A call let in by a token."""

    task: asyncio.Task[Any]
    token: Token
    method: str
    is_ended: bool = False


if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]


class Gate(grpc.aio.ServerInterceptor):
    """Every call of a server.

    Args:
        authenticator: who calls.
        limits: of the services.
        counters: of the streams; those refused are counted.
        monotonic: seconds.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        limits: ServiceLimits,
        counters: StreamCounters,
        monotonic: Callable[[], float],
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._counters = counters
        self._admission = Admission(limits.max_streams, monotonic)
        self._health = Admission(HEALTH_WATCHES, monotonic)
        self._running: set[_Running] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the handler of a method behind the gate, or one that refuses at once."""
        method = handler_call_details.method
        try:
            token = self._authenticator.token_for(method, handler_call_details.invocation_metadata)
        except QueryError as error:
            return _refusing(error)
        handler = await continuation(handler_call_details)
        return handler if handler is None else self._behind(handler, method, token)

    async def run(self) -> None:
        """End the calls of tokens that are valid no more, now and then, for ever."""
        while True:
            await asyncio.sleep(CHECK_TOKENS_EVERY_S)
            self.check()

    def check(self) -> None:
        """End the calls of tokens that are valid no more."""
        for running in self._running:
            if not running.is_ended and not self._authenticator.is_valid(running.token, running.method):
                _LOG.info("call of token %r ended: it is not valid any more", running.token.name)
                running.is_ended = True
                running.task.cancel()

    def _behind(self, handler: Any, method: str, token: Token | None) -> Handler:
        """Return a handler that takes its request as a stream, whatever the method: only such a one can give up."""
        inner = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        async def call(requests: AsyncIterator[Any], context: Any) -> Any:
            caller = caller_of(token, context.peer(), self._limits.per_address)
            try:
                with (
                    self._place(caller, method, handler.response_streaming),
                    self._ended_with_token(token, method, context),
                ):
                    _caller.set(caller)
                    request = requests if handler.request_streaming else await self._request(context)
                    if inspect.isasyncgenfunction(inner):
                        async for response in inner(request, context):
                            await context.write(response)
                        return None
                    return await inner(request, context)
            except QueryError as error:
                await abort_with(context, error)

        kind = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return kind(call, handler.request_deserializer, handler.response_serializer)

    async def _request(self, context: Any) -> Any:
        try:
            async with asyncio.timeout(self._limits.request_timeout_s):
                request = await context.read()
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"no whole request within {self._limits.request_timeout_s:g} s"
            )
        if request is grpc.aio.EOF:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call carries no request")
        return request

    def _place(self, caller: Caller, method: str, streaming: bool) -> contextlib.AbstractContextManager[None]:
        scope = scope_of(method)
        if scope is None:
            return self._health.stream(caller) if streaming else contextlib.nullcontext()
        if scope == "query":
            self._admission.query(caller)
            return contextlib.nullcontext()
        return self._stream(caller)

    @contextlib.contextmanager
    def _stream(self, caller: Caller) -> Iterator[None]:
        """Hold a caller's place until gRPC is done with the call.

        That is later than the end of its handler where the peer takes nothing: the last message and the status are kept
        as long as such a connection stands, up to an hour, and count as a stream of the caller until then.
        """
        place = contextlib.ExitStack()
        try:
            place.enter_context(self._admission.stream(caller))
        except LimitExceeded:
            self._counters.streams_refused += 1
            raise
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: place.close())
        yield

    @contextlib.contextmanager
    def _ended_with_token(self, token: Token | None, method: str, context: Any) -> Iterator[None]:
        task = asyncio.current_task()
        if token is None or task is None:
            yield
            return
        running = _Running(task, token, method)
        self._running.add(running)
        try:
            yield
        except asyncio.CancelledError:
            if not running.is_ended:
                raise
            task.uncancel()
            context.set_code(grpc.StatusCode.UNAUTHENTICATED)
            context.set_details(NO_TOKEN_TEXT)
        finally:
            self._running.discard(running)


def _refusing(error: QueryError) -> Handler:
    async def refuse(_requests: AsyncIterator[bytes], context: Any) -> None:
        await abort_with(context, error)

    return grpc.stream_stream_rpc_method_handler(refuse)
