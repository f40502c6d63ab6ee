"""The clock of the tests' live venues: it must not run away from a loop that the machine does not let run."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fake_exchange.patient_loop import MOST_STEP_S, PatientLoop, run_patiently


def test_time_goes_on_with_the_machines_but_for_what_it_could_not_act_in() -> None:
    machine = [100.0]
    loop = PatientLoop(lambda: machine[0])
    began = loop.time()

    machine[0] += 0.005
    after_a_moment = loop.time()
    machine[0] += 30.0
    after_a_stall = loop.time()
    loop.close()

    assert after_a_moment - began == pytest.approx(0.005)
    assert after_a_stall - after_a_moment == pytest.approx(MOST_STEP_S)


def test_what_lies_in_a_socket_is_read_before_a_limit_that_passed_while_the_loop_stood_still() -> None:
    """As between two ends in one loop: the message is there after some rounds only, and the limit is far behind."""

    async def late() -> str:
        ready = asyncio.Event()

        async def hop(left: int) -> None:
            for _ in range(left):
                await asyncio.sleep(0)
            ready.set()

        async with asyncio.timeout(3 * MOST_STEP_S):
            sending = asyncio.create_task(hop(2))
            time.sleep(5 * MOST_STEP_S)  # noqa: ASYNC251  # the machine is busy with something else
            await ready.wait()
            await sending
        return "heard"

    assert run_patiently(late()) == "heard"


def test_a_wait_longer_than_a_step_takes_its_whole_time() -> None:
    async def wait() -> float:
        began = time.monotonic()
        await asyncio.sleep(2.5 * MOST_STEP_S)
        return time.monotonic() - began

    assert run_patiently(wait()) >= 2.5 * MOST_STEP_S - 0.001
