"""The slow readers against a real server, for a moment; and what is called broken."""

from __future__ import annotations

import pytest

from benchmarks.bench_slow_reader import Ages, broken_claims, measure, server


def ages(session_ms: float, client_ms: float) -> dict[str, Ages]:
    return {"session": Ages([10.0, session_ms]), "client": Ages([client_ms] * 20), "subscribe": Ages([9000.0])}


def test_ages_within_the_limits_break_no_claim() -> None:
    assert broken_claims(ages(600.0, 99.0)) == []


@pytest.mark.parametrize(
    ("session_ms", "client_ms", "text"),
    [(601.0, 50.0, "a message of the session was 601 ms old; 600 is allowed"), (100.0, 101.0, "sees is 101 ms old")],
)
def test_old_data_break_a_claim(session_ms: float, client_ms: float, text: str) -> None:
    (broken,) = broken_claims(ages(session_ms, client_ms))

    assert text in broken


def test_reader_that_got_nothing_breaks_both_claims() -> None:
    assert len(broken_claims({"session": Ages(), "client": Ages(), "subscribe": Ages()})) == 2


@pytest.mark.slow
async def test_readers_read_a_server_in_another_process() -> None:
    async with server() as address:
        seen = await measure(address, 3.0, 0.25)

    assert len(seen["session"].ms) > 4
    assert seen["session"].ticks_conflated > len(seen["session"].ms)
    assert seen["session"].oldest_ms < 2500
    assert len(seen["client"].ms) > 4
