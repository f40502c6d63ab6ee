"""Writers that wait too long are marked, then cut; under a clock moved by hand."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc

from liqscape.api.limits import StallLimits
from liqscape.api.stalls import StallWatch
from liqscape.broadcast.counters import StreamCounters

LIMITS = StallLimits(stalled_after_s=10, cut_after_s=30, max_stalled=2)


class FakeContext:
    """A transport whose window is full until it is opened."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.code: grpc.StatusCode | None = None
        self.details = ""

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    async def write(self, _message: bytes) -> None:
        await self.room.wait()

    def set_code(self, code: grpc.StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details


class Bench:
    """A watch and calls that write once."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.counters = StreamCounters()
        self.watch = StallWatch(self.counters, lambda: self.now_s, LIMITS)

    async def start(self, context: FakeContext) -> asyncio.Task[str]:
        task = asyncio.create_task(self.call(context))
        await asyncio.sleep(0)
        return task

    async def call(self, context: FakeContext) -> str:
        outcome = "cut"
        with self.watch.watching(cast(Any, context)) as writer:
            await writer.write(b"x")
            outcome = "written"
        return outcome

    def check_at(self, now_s: float) -> tuple[int, int]:
        self.now_s = now_s
        self.watch.check()
        return self.counters.streams_stalled, self.counters.streams_cut


async def test_pending_write_is_stalled_then_cut_and_the_call_has_its_code() -> None:
    bench, context = Bench(), FakeContext()
    task = await bench.start(context)

    seen = [bench.check_at(now_s) for now_s in (9.9, 10.0, 29.9, 30.0)]

    assert seen == [(0, 0), (1, 0), (1, 0), (1, 1)]
    assert await asyncio.wait_for(task, 5) == "cut"
    assert context.code is grpc.StatusCode.ABORTED
    assert context.details == "nothing was read for 30 s; come back and resume"
    assert bench.counters.streams_stalled == 0


async def test_reader_that_wakes_in_time_is_not_cut() -> None:
    bench, context = Bench(), FakeContext()
    task = await bench.start(context)
    bench.check_at(20)

    context.room.set()

    assert await asyncio.wait_for(task, 5) == "written"
    assert bench.check_at(100) == (0, 0)
    assert context.code is None


async def test_idle_stream_is_never_stalled() -> None:
    bench, context = Bench(), FakeContext()
    context.room.set()
    with bench.watch.watching(cast(Any, context)) as writer:
        await writer.write(b"x")

        assert bench.check_at(1000) == (0, 0)


async def test_too_many_stalled_readers_are_cut_at_once() -> None:
    bench = Bench()
    tasks = [await bench.start(FakeContext()) for _ in range(5)]

    stalled, cut = bench.check_at(11)

    assert (stalled, cut) == (5, 3)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.counters.streams_stalled == 2
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_cut_comes_once() -> None:
    bench = Bench()
    task = await bench.start(FakeContext())

    bench.check_at(31)
    bench.check_at(32)

    assert bench.counters.streams_cut == 1
    assert await asyncio.wait_for(task, 5) == "cut"


async def test_cancelled_call_stays_cancelled() -> None:
    bench, context = Bench(), FakeContext()
    task = await bench.start(context)

    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert context.code is None
