"""When to try again."""

from __future__ import annotations

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from liqscape_client import errors
from liqscape_client.retry import Backoff, Verdict, judge, retry_after_s, to_client_error


def failure(code: grpc.StatusCode, *trailing: tuple[str, str]) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(*trailing), details="the words of the server")


def longest(_low: float, high: float) -> float:
    return high


def test_backoff_doubles_to_its_longest_delay() -> None:
    backoff = Backoff(longest)

    delays = [backoff.next_delay_s() for _ in range(9)]

    assert delays == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_backoff_jitters_from_zero() -> None:
    backoff = Backoff(lambda low, _high: low)

    assert backoff.next_delay_s() == 0.0


def test_backoff_starts_anew_after_reset() -> None:
    backoff = Backoff(longest)
    backoff.next_delay_s()
    backoff.next_delay_s()

    backoff.reset()

    assert backoff.next_delay_s() == 0.25


def test_wait_the_server_asks_for_is_kept_with_jitter_on_top() -> None:
    assert Backoff(lambda low, _high: low).next_delay_s(4.0) == 4.0
    assert Backoff(longest).next_delay_s(4.0) == 6.0
    assert Backoff(longest).next_delay_s(0.0) == 0.25


def test_delay_while_building_does_not_grow() -> None:
    backoff = Backoff(longest)

    assert [backoff.building_delay_s(None) for _ in range(3)] == [1.25, 1.25, 1.25]
    assert backoff.building_delay_s(0.2) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("code", "served_before", "verdict"),
    [
        (grpc.StatusCode.UNAVAILABLE, False, Verdict.RETRY),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, False, Verdict.RETRY),
        (grpc.StatusCode.ABORTED, False, Verdict.RETRY),
        (grpc.StatusCode.INTERNAL, False, Verdict.RETRY),
        (grpc.StatusCode.FAILED_PRECONDITION, False, Verdict.BUILDING),
        (grpc.StatusCode.INVALID_ARGUMENT, True, Verdict.FATAL),
        (grpc.StatusCode.UNAUTHENTICATED, True, Verdict.FATAL),
        (grpc.StatusCode.PERMISSION_DENIED, True, Verdict.FATAL),
        (grpc.StatusCode.UNIMPLEMENTED, False, Verdict.FATAL),
        (grpc.StatusCode.NOT_FOUND, False, Verdict.FATAL),
        (grpc.StatusCode.NOT_FOUND, True, Verdict.RETRY),
    ],
)
def test_each_status_has_its_verdict(code: grpc.StatusCode, served_before: bool, verdict: Verdict) -> None:
    assert judge(failure(code), served_before=served_before) is verdict


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidRequest),
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, errors.NotReady),
        (grpc.StatusCode.UNAVAILABLE, errors.Unreachable),
        (grpc.StatusCode.INTERNAL, errors.ServerError),
    ],
)
def test_status_becomes_an_error_of_ours(code: grpc.StatusCode, kind: type[errors.ServerError]) -> None:
    error = to_client_error(failure(code))

    assert type(error) is kind
    assert str(error) == f"the words of the server ({code.name})"


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [("1500", 1.5), ("0", 0.0), ("999999999", 300.0), ("soon", None), ("-5", None), ("9" * 40, None), ("", None)],
)
def test_wait_asked_for_is_read_within_bounds(value: str, wait_s: float | None) -> None:
    error = failure(grpc.StatusCode.UNAVAILABLE, ("other", "1"), ("retry-after-ms", value))

    assert retry_after_s(error) == wait_s


def test_no_wait_asked_for_is_none() -> None:
    assert retry_after_s(failure(grpc.StatusCode.UNAVAILABLE)) is None
