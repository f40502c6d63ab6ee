"""The clock that tests and replays own."""

from __future__ import annotations

import time

from liqscape.clock import ManualClock, SystemClock


async def test_manual_clock_jumps_to_what_is_waited_for_and_never_back() -> None:
    clock = ManualClock(now_ns=100)

    clock.advance(50)
    after_advance = clock.now_ns()
    await clock.sleep_until_ns(120)
    after_past_deadline = clock.now_ns()
    await clock.sleep_until_ns(10**18)

    assert (after_advance, after_past_deadline, clock.now_ns()) == (150, 150, 10**18)


async def test_system_clock_does_not_return_before_the_deadline() -> None:
    clock = SystemClock()
    deadline_ns = clock.now_ns() + 2_000_000

    await clock.sleep_until_ns(deadline_ns)
    await clock.sleep_until_ns(deadline_ns - 10**18)

    assert clock.now_ns() >= deadline_ns
    assert abs(clock.now_ns() - time.time_ns()) < 10**9
