"""When to try again, and when not: backoff with full jitter, and what each refusal of the server means."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

import grpc

from liqscape_client.errors import InvalidRequest, NotAllowed, NotFound, NotReady, ServerError, Unreachable

FIRST_DELAY_S: Final = 0.25
LONGEST_DELAY_S: Final = 30.0
BUILDING_DELAY_S: Final = 1.0  # while the server builds history; it answers at once, so asking is cheap
_MAX_ASKED_DELAY_S: Final = 300.0  # a server that names a longer wait is asked sooner all the same
_RETRY_AFTER_KEY: Final = "retry-after-ms"


class Verdict(enum.Enum):
    """What a failed stream means."""

    RETRY = "retry"
    BUILDING = "building"
    FATAL = "fatal"


_FATAL = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
)


def judge(error: grpc.aio.AioRpcError, *, served_before: bool) -> Verdict:
    """Decide what a failed stream means.

    Args:
        error: how it ended.
        served_before: this very request has been served. A channel that is not found then is a server that has only
            just come back, not a typing mistake.
    """
    code = error.code()
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return Verdict.BUILDING
    if code in _FATAL or (code is grpc.StatusCode.NOT_FOUND and not served_before):
        return Verdict.FATAL
    return Verdict.RETRY


def to_client_error(error: grpc.aio.AioRpcError) -> ServerError:
    """Return one of our own errors for a status."""
    kinds: dict[grpc.StatusCode, type[ServerError]] = {
        grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
        grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
        grpc.StatusCode.NOT_FOUND: NotFound,
        grpc.StatusCode.UNAUTHENTICATED: NotAllowed,
        grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
        grpc.StatusCode.FAILED_PRECONDITION: NotReady,
        grpc.StatusCode.UNAVAILABLE: Unreachable,
        grpc.StatusCode.DEADLINE_EXCEEDED: Unreachable,
    }
    code = error.code()
    return kinds.get(code, ServerError)(code.name, error.details() or "")


def retry_after_s(error: grpc.aio.AioRpcError) -> float | None:
    """Return the wait the server asks for in its trailing metadata, seconds; None where it asks for none."""
    for key, value in error.trailing_metadata() or ():
        if key == _RETRY_AFTER_KEY:
            text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
            if text.isdecimal() and len(text) <= 9:
                return min(int(text) / 1000, _MAX_ASKED_DELAY_S)
    return None


class Backoff:
    """Delays between attempts: uniform in [0, cap], cap doubling from 0.25 s to 30 s (full jitter).

    Args:
        uniform: returns a random float in [low, high].
    """

    def __init__(self, uniform: Callable[[float, float], float]) -> None:
        self._uniform = uniform
        self.attempts = 0

    def reset(self) -> None:
        """Start from the shortest delay again."""
        self.attempts = 0

    def next_delay_s(self, asked_s: float | None = None) -> float:
        """Return the next delay, seconds.

        Args:
            asked_s: what the server asks for; jitter then comes on top, so that clients do not return all at once.
        """
        cap = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self.attempts, 16))
        self.attempts += 1
        if asked_s is not None:
            return asked_s + self._uniform(0.0, max(FIRST_DELAY_S, asked_s / 2))
        return self._uniform(0.0, cap)

    def building_delay_s(self, asked_s: float | None) -> float:
        """Return the delay while the server builds history, seconds; it does not grow."""
        wanted = BUILDING_DELAY_S if asked_s is None else asked_s
        return wanted + self._uniform(0.0, wanted / 4)
