"""Our errors as status codes of gRPC: one table, and the one way a call is ended with an error."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import grpc

from liqscape.api.status_details import STATUS_DETAILS_KEY, retry_details
from liqscape.errors import (
    DataLoss,
    InvalidArgument,
    LimitExceeded,
    NotFound,
    NotReady,
    OutOfRange,
    PermissionDenied,
    QueryError,
    Unauthenticated,
    Unavailable,
)
from liqscape.grid.updates import EngineStatus

Context = grpc.aio.ServicerContext[bytes, bytes]
"""Requests and responses cross the handlers as bytes: requests so that a malformed one can be answered, responses
because most are made before the call."""

STATUS_CODES: Final[dict[type[QueryError], grpc.StatusCode]] = {
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    DataLoss: grpc.StatusCode.DATA_LOSS,
    NotReady: grpc.StatusCode.FAILED_PRECONDITION,
    LimitExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}

RETRY_AFTER_KEY: Final = "retry-after-ms"
"""Trailing metadata, decimal milliseconds."""

MIN_RETRY_MS: Final = 250
MAX_RETRY_MS: Final = 5000
"""History is built in seconds to minutes; a question each 5 s costs nothing and the end is noticed soon."""

_LOG = logging.getLogger(__name__)


def refusal_while_not_serving(status: EngineStatus) -> QueryError:
    """Return why an engine cannot answer yet, in words, with the time to ask again."""
    if status.state == "failed":
        return Unavailable(f"the engine has failed: {status.message}")
    text = f"history is still being built: {status.progress * 100:.0f} %"
    wait_ms = 1000
    if status.seconds_left is not None:
        text += f", about {status.seconds_left:.0f} s left"
        wait_ms = int(status.seconds_left * 1000)
    error = NotReady(text, status.progress)
    error.retry_after_ms = min(max(wait_ms, MIN_RETRY_MS), MAX_RETRY_MS)
    return error


def guarded(
    method: Callable[[bytes, Context], Awaitable[bytes | None]],
) -> Callable[[bytes, Context], Awaitable[bytes | None]]:
    """Return a handler that ends with the right status whatever its method raises."""

    async def call(request: bytes, context: Context) -> bytes | None:
        try:
            return await method(request, context)
        except QueryError as error:
            await abort_with(context, error)
        except grpc.aio.AbortError:
            raise
        except (grpc.aio.InternalError, grpc.aio.UsageError) as error:
            # What a write raises when the peer has gone; nobody is left to be told.
            _LOG.debug("call ended by its peer: %s", error)
            return None
        except Exception:
            _LOG.exception("call failed")
            await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has the details")

    return call


async def abort_with(context: Context, error: QueryError) -> NoReturn:
    """End a call with an error; where waiting helps, its trailing metadata say how long, in two forms."""
    code = next(code for kind, code in STATUS_CODES.items() if isinstance(error, kind))
    text, wait_ms = str(error), error.retry_after_ms
    trailing: tuple[tuple[str, str | bytes], ...] = ()
    if wait_ms is not None:
        details = retry_details(code.value[0], text, wait_ms)
        trailing = ((RETRY_AFTER_KEY, str(wait_ms)), (STATUS_DETAILS_KEY, details))
    await context.abort(code, text, trailing)
