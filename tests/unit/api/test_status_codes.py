"""Every error has its status, and a call ends with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, cast

import grpc
import pytest

from liqscape import errors
from liqscape.api.status_codes import STATUS_CODES, Context, guarded, refusal_while_not_serving
from liqscape.grid.updates import EngineStatus


class Aborted(grpc.aio.AbortError):
    """What abort() raises."""


class FakeContext:
    """Remembers how the call was ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]] = []

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: tuple[tuple[str, str], ...] = ()
    ) -> NoReturn:
        self.ends.append((code, details, trailing_metadata))
        raise Aborted


def raising(error: Exception) -> Callable[[bytes, Context], Awaitable[bytes | None]]:
    async def method(_request: bytes, _context: Context) -> bytes | None:
        raise error

    return guarded(method)


async def ended_by(error: Exception) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    context = FakeContext()
    with pytest.raises(grpc.aio.AbortError):
        await raising(error)(b"", cast(Any, context))
    (end,) = context.ends
    return end


def status(state: str, progress: float = 0.0, seconds_left: float | None = None, message: str = "") -> EngineStatus:
    return EngineStatus(state, message, progress, seconds_left, 1, 0, "numpy", "fake")


def test_every_kind_of_query_error_has_a_code_of_its_own() -> None:
    assert set(STATUS_CODES) == set(errors.QueryError.__subclasses__())
    assert len(set(STATUS_CODES.values())) == len(STATUS_CODES)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidArgument("a"), grpc.StatusCode.INVALID_ARGUMENT),
        (errors.NotFound("a"), grpc.StatusCode.NOT_FOUND),
        (errors.OutOfRange("a"), grpc.StatusCode.OUT_OF_RANGE),
        (errors.DataLoss("a"), grpc.StatusCode.DATA_LOSS),
        (errors.NotReady("a"), grpc.StatusCode.FAILED_PRECONDITION),
        (errors.Unavailable("a"), grpc.StatusCode.UNAVAILABLE),
        (errors.Unauthenticated("a"), grpc.StatusCode.UNAUTHENTICATED),
        (errors.PermissionDenied("a"), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
async def test_query_error_ends_the_call_with_its_code_and_text(error: Exception, code: grpc.StatusCode) -> None:
    assert await ended_by(error) == (code, "a", ())


async def test_limit_tells_when_to_retry() -> None:
    code, text, trailing = await ended_by(errors.LimitExceeded("full", 700))

    assert (code, text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    assert trailing[0] == ("retry-after-ms", "700")
    assert trailing[1][0] == "grpc-status-details-bin"


async def test_limit_that_waiting_does_not_lift_tells_no_time() -> None:
    assert await ended_by(errors.LimitExceeded("large")) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "large", ())


async def test_defect_is_logged_and_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    end = await ended_by(ValueError("password is hunter2"))

    assert end == (grpc.StatusCode.INTERNAL, "internal error; the server's log has the details", ())
    assert "password is hunter2" in caplog.text


async def test_peer_that_has_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    gone = raising(grpc.aio.UsageError("RPC already finished."))

    answer = await gone(b"", cast(Any, FakeContext()))

    assert answer is None
    assert caplog.records == []


async def test_call_that_was_ended_already_is_left_alone() -> None:
    context = FakeContext()

    with pytest.raises(grpc.aio.AbortError):
        await raising(Aborted())(b"", cast(Any, context))

    assert context.ends == []


@pytest.mark.parametrize(
    ("seconds_left", "text", "retry_ms"),
    [
        (None, "history is still being built: 43 %", 1000),
        (12.4, "history is still being built: 43 %, about 12 s left", 5000),
        (2.0, "history is still being built: 43 %, about 2 s left", 2000),
        (0.0, "history is still being built: 43 %, about 0 s left", 250),
    ],
)
def test_refusal_while_building_tells_progress_and_when_to_retry(
    seconds_left: float | None, text: str, retry_ms: int
) -> None:
    error = refusal_while_not_serving(status("building", 0.43, seconds_left))

    assert isinstance(error, errors.NotReady)
    assert (str(error), error.progress, error.retry_after_ms) == (text, 0.43, retry_ms)


def test_failed_engine_is_unavailable() -> None:
    error = refusal_while_not_serving(status("failed", message="disk full"))

    assert isinstance(error, errors.Unavailable)
    assert str(error) == "the engine has failed: disk full"
