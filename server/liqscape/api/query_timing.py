"""How long questions take, by method and status code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import grpc

from liqscape.api.status_codes import Context
from liqscape.broadcast.hubs import Hubs

_Answer = TypeVar("_Answer")

_CODES: Final[dict[object, str]] = {form: code.name for code in grpc.StatusCode for form in (code, code.value[0])}
"""grpc.aio gives a code back in the form in which it was set, or as a number."""


def timed(
    name: str, method: Callable[[bytes, Context], Awaitable[_Answer]], hubs: Hubs
) -> Callable[[bytes, Context], Awaitable[_Answer]]:
    """Return a handler whose calls are counted under its name, with the code they end with.

    Args:
        name: of the method; from a closed set.
        method: a handler that ends every call with its right code.
        hubs: whose clock and timings are used.
    """

    async def call(request: bytes, context: Context) -> _Answer:
        started = hubs.monotonic()
        code = None
        try:
            answer = await method(request, context)
            code = _CODES.get(context.code(), "OK")
            return answer
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        finally:
            hubs.timings.observe_query(name, code or _CODES.get(context.code(), "UNKNOWN"), hubs.monotonic() - started)

    return call
