"""Work of other threads is done on the engine's thread, never during a tick, and by somebody else once it has ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from liqscape.between_ticks import BetweenTicks


@pytest.fixture
def afterwards() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, thread_name_prefix="afterwards") as executor:
        yield executor


def thread_name() -> str:
    return threading.current_thread().name


async def test_work_of_another_thread_is_done_while_the_engine_waits(afterwards: ThreadPoolExecutor) -> None:
    between = BetweenTicks(afterwards)
    between.begin(asyncio.get_running_loop())

    future = await asyncio.to_thread(between.submit, thread_name)

    assert await asyncio.wait_for(asyncio.wrap_future(future), 5) == thread_name()


async def test_work_waits_while_a_tick_is_computed(afterwards: ThreadPoolExecutor) -> None:
    between = BetweenTicks(afterwards)
    between.begin(asyncio.get_running_loop())
    state = ["half done"]

    with ThreadPoolExecutor(1) as others:
        future = others.submit(
            between.submit, lambda: state[0]
        ).result()  # this thread does not await: the tick goes on
    state[0] = "done"

    assert await asyncio.wait_for(asyncio.wrap_future(future), 5) == "done"


def test_engine_that_never_waits_does_the_work_after_its_tick(afterwards: ThreadPoolExecutor) -> None:
    between = BetweenTicks(afterwards)
    first, second = between.submit(lambda: 1), between.submit(lambda: 2)

    between.run()

    assert (first.result(0), second.result(0)) == (1, 2)


def test_work_that_fails_is_told_to_who_asked_and_the_rest_goes_on(afterwards: ThreadPoolExecutor) -> None:
    between = BetweenTicks(afterwards)
    failing, good = between.submit(lambda: 1 // 0), between.submit(lambda: 2)

    between.run()

    with pytest.raises(ZeroDivisionError):
        failing.result(0)
    assert good.result(0) == 2


def test_work_nobody_waits_for_any_more_is_left_undone(afterwards: ThreadPoolExecutor) -> None:
    between, done = BetweenTicks(afterwards), list[int]()
    between.submit(lambda: done.append(1)).cancel()
    between.submit(lambda: done.append(2))

    between.run()

    assert done == [2]


def test_end_does_what_waits_and_leaves_the_rest_to_others(afterwards: ThreadPoolExecutor) -> None:
    between = BetweenTicks(afterwards)
    waiting = between.submit(thread_name)

    between.end()
    later = between.submit(thread_name)

    assert waiting.result(0) == thread_name()
    assert later.result(5).startswith("afterwards")
