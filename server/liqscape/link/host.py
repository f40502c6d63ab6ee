"""The side that owns something: answers questions and, where it is an engine, streams records. No port but a file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import grpc

from liqscape.broadcast.ports import QueryPort, TickRecord
from liqscape.errors import LiqscapeError, ModelError
from liqscape.link.fan import Fan
from liqscape.link.leases import Leases
from liqscape.link.messages import (
    ASK,
    LINK_OPTIONS,
    RECORDS,
    SERVICE,
    Failure,
    Opening,
    Question,
    Records,
    pack,
    unpack,
)

_LOG = logging.getLogger(__name__)

PAST_MESSAGE_BYTES: Final = 1 << 20
"""Of the past in one message: pickling it holds this process's interpreter for about a millisecond, and a whole ring
could be 64 MB."""

STOP_GRACE_S: Final = 0.5

Context = grpc.aio.ServicerContext[bytes, bytes]
Methods = Mapping[str, Callable[..., Awaitable[Any]]]
"""What may be asked, by name. A call whose asker has gone, or whose time is over, is cancelled."""


def port_methods(port: QueryPort) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Return every method of the port, by name."""
    return {name: getattr(port, name) for name in vars(QueryPort) if not name.startswith("_")}


@contextlib.asynccontextmanager
async def hosting(
    path: Path, methods: Methods, fan: Fan | None = None, leases: Leases | None = None
) -> AsyncIterator[None]:
    """Serve on a socket until the block is left.

    Args:
        path: of the socket, in a folder that nobody else can enter.
        methods: what may be asked.
        fan: whose records are streamed; None = there are none.
        leases: of tiles and custom channels; None = none are opened.
    """
    if leases is not None:
        methods = {**methods, "open_channel": leases.open_channel, "close_channel": leases.close_channel}
    host = _Host(methods, fan, leases)
    server = grpc.aio.server(options=LINK_OPTIONS)
    server.add_generic_rpc_handlers((host.handler(),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(STOP_GRACE_S)


class _Host:
    def __init__(self, methods: Methods, fan: Fan | None, leases: Leases | None) -> None:
        self._methods = methods
        self._fan = fan
        self._leases = leases

    def handler(self) -> grpc.GenericRpcHandler:
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {ASK: grpc.unary_unary_rpc_method_handler(self._ask)}
        if self._fan is not None:
            handlers[RECORDS] = grpc.unary_stream_rpc_method_handler(self._records)
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def _ask(self, request: bytes, _context: Context) -> bytes:
        question: Question = unpack(request)
        try:
            return pack(await self._methods[question.method](*question.arguments))
        except LiqscapeError as error:
            return pack(Failure.of(error))
        except Exception as error:  # told to the asker as a defect; this side goes on
            _LOG.exception("question %s failed", question.method)
            return pack(Failure.of(ModelError(f"{question.method} failed: {type(error).__name__}")))

    async def _records(self, name: bytes, context: Context) -> None:
        assert self._fan is not None
        leases = contextlib.nullcontext() if self._leases is None else self._leases.connection(name)
        with contextlib.suppress(grpc.aio.InternalError, grpc.aio.UsageError):  # the edge has gone
            async with leases:
                await self._stream(self._fan, context)

    async def _stream(self, fan: Fan, context: Context) -> None:
        with fan.edge() as (past, source):
            told = source.shard
            await context.write(pack(Opening(told, len(past))))
            for part in _parts(past):
                await context.write(pack(Records(part)))
            # An edge that does not read lets write() wait, and its source merge.
            async for record in source.records():
                shard = source.shard
                await context.write(pack(Records((record,), None if shard is told else shard)))
                told = shard


def _parts(past: Sequence[TickRecord]) -> Iterator[tuple[TickRecord, ...]]:
    """Yield records in order, in groups of bounded size; one above the limit goes alone."""
    group: list[TickRecord] = []
    size = 0
    for record in past:
        bytes_of_record = sum(len(chunk.data) for chunk in (*record.channels, *record.keyframes))
        if group and size + bytes_of_record > PAST_MESSAGE_BYTES:
            yield tuple(group)
            group, size = [], 0
        group.append(record)
        size += bytes_of_record
    if group:
        yield tuple(group)
