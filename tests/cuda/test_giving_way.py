"""Ticks go first: questions wait for them slice by slice, and give way when the device's memory runs out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liqscape.axes import RowRange, Timeframe
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.cuda_queries import CudaQueries, TickGate
from liqscape.device.queue import Queue
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.device.shedding import QueryRuntime, TickRuntime
from liqscape.errors import LimitExceeded
from tests.cuda.cpu_runtime import CpuMemory, CpuRuntime
from tests.unit.synthetic_market import make_batch

FRAME = Timeframe("test", column_minutes=5, columns=40, span_permille=100, min_row_multiple=1)
ROWS = RowRange(100, 50, 1)
WEIGHTS = np.full(64, 4096, np.uint16)


class Slices:
    """Work of some slices, each of which says that it has begun."""

    def __init__(self, queries: CudaQueries, count: int) -> None:
        self.begun: list[int] = []
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(queries, count))

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self, queries: CudaQueries, count: int) -> None:
        def work(_: Queue, next_slice: Callable[[], None]) -> None:
            for number in range(count):
                next_slice()
                self.begun.append(number)

        try:
            queries.run(work)
        except OutOfDeviceMemory as error:
            self.failure = error


def test_no_slice_begins_while_a_tick_is_on_the_device() -> None:
    gate = TickGate()
    slices = Slices(CudaQueries(Queue(CpuRuntime([]), urgent=False), gate), 3)

    with gate.tick():
        slices.start()
        slices._thread.join(0.05)
        assert slices.begun == []
    slices.join()

    assert slices.begun == [0, 1, 2]


def test_work_that_waits_for_a_tick_ends_when_it_must_give_way() -> None:
    gate = TickGate()
    queries = CudaQueries(Queue(CpuRuntime([]), urgent=False), gate)
    slices = Slices(queries, 3)

    with gate.tick():  # the tick that finds no memory
        slices.start()
        while not queries._lock.locked():
            pass
        queries.give_way()
    slices.join()

    assert isinstance(slices.failure, OutOfDeviceMemory)
    assert slices.begun == []


def test_work_that_gave_way_has_freed_its_memory() -> None:
    runtime = CpuRuntime([])
    queries = CudaQueries(Queue(runtime, urgent=False), TickGate())

    def work(queue: Queue, next_slice: Callable[[], None]) -> Any:
        held = queue.zeros(1000, np.int64)
        queries._abandoned.set()
        next_slice()
        return held

    with pytest.raises(OutOfDeviceMemory) as raised:
        queries.run(work)

    assert runtime.free_bytes() == runtime.capacity_bytes
    assert raised.value is not None


@pytest.mark.parametrize(
    "failing", [lambda queue: queue.empty(1 << 40, np.uint8), lambda queue: [][0]], ids=["no room", "something else"]
)
def test_work_that_failed_has_freed_its_memory(failing: Callable[[Queue], object]) -> None:
    class Runtime(CpuRuntime):
        def allocate(self, nbytes: int) -> CpuMemory:
            try:
                return super().allocate(nbytes)
            except OutOfDeviceMemory as error:  # as that of a GPU does, which has CuPy's error
                raise OutOfDeviceMemory(str(error)) from None

    runtime = Runtime([])
    queries = CudaQueries(Queue(runtime, urgent=False), TickGate())

    def work(queue: Queue, _: Callable[[], None]) -> Any:
        held = queue.zeros(1000, np.int64)
        failing(queue)
        return held

    with pytest.raises((OutOfDeviceMemory, IndexError)) as raised:
        queries.run(work)

    assert runtime.free_bytes() == runtime.capacity_bytes
    assert raised.value is not None


def test_tick_without_room_asks_once_and_takes_what_was_freed() -> None:
    runtime = CpuRuntime([], capacity_bytes=1 << 20)
    held = [runtime.allocate(1 << 19), runtime.allocate(1 << 18)]
    asked: list[int] = []

    def give_way() -> None:
        asked.append(len(held))
        held.pop(0)

    ticks = TickRuntime(runtime, give_way)

    taken = ticks.allocate(1 << 19)
    with pytest.raises(OutOfDeviceMemory):
        ticks.allocate(1 << 20)
    assert taken.nbytes == 1 << 19
    assert asked == [2, 1]


def test_questions_are_refused_until_enough_is_free_again() -> None:
    runtime = CpuRuntime([], capacity_bytes=1 << 20)
    questions = QueryRuntime(runtime, reserve_bytes=1 << 18)
    ticks = runtime.allocate(3 << 18)
    questions.close()

    with pytest.raises(OutOfDeviceMemory, match="ticks need them before questions do"):
        questions.allocate(1 << 10)
    del ticks

    assert questions.allocate(1 << 10).nbytes == 1 << 10
    assert questions.times_closed == 1


@pytest.mark.slow
def test_question_without_memory_is_refused_and_the_next_ticks_go_on(runtime_libraries: list[Path]) -> None:
    runtime = CpuRuntime(runtime_libraries, capacity_bytes=32 << 20)
    backend = CudaBackend(runtime, threads=32)
    ledger = backend.ledger()
    ledger.append(1000, make_batch((1000, 120, 4, 7)), 1, 0)
    channel = backend.channel_buffer(FRAME, ROWS, WEIGHTS, np.ones(ROWS.count))
    wide = Timeframe("wide", column_minutes=1, columns=1 << 12, span_permille=100, min_row_multiple=1)

    with pytest.raises(LimitExceeded, match="memory the device does not have") as refused:
        backend.project(ledger.capture(), wide, 1000, RowRange(0, 1024, 1), WEIGHTS)

    assert refused.value.retry_after_ms is not None
    cells, levels = channel.advance(ledger.capture(), 1000)
    assert len(cells) == 1
    assert levels.tolist() == backend.levels(np.array([7 * 4096]), np.ones(1)).tolist()
    assert backend.counters == {"queries_shed": 0}


@pytest.mark.slow
def test_tick_that_grows_takes_the_memory_of_a_question(runtime_libraries: list[Path]) -> None:
    """The question holds a grid when the log outgrows its arrays; the tick ends it, and every event arrives."""
    runtime = CpuRuntime(runtime_libraries, capacity_bytes=48 << 20)
    backend = CudaBackend(runtime, threads=32)
    ledger = backend.ledger()
    events = [(1000, 100 + n % 50, 4, 7) for n in range(5000)]
    ledger.append(1000, make_batch(*events), 1, 0)
    view = ledger.capture()
    wide = Timeframe("wide", column_minutes=1, columns=2048, span_permille=100, min_row_multiple=1)
    in_the_middle, go_on = threading.Event(), threading.Event()
    calls: list[int] = []
    failures: list[BaseException] = []

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) == 2:  # the grid is there
            in_the_middle.set()
            go_on.wait(20)

    def ask() -> None:
        try:
            backend.project(view, wide, 1000, RowRange(0, 1024, 1), WEIGHTS, checkpoint=checkpoint)
        except LimitExceeded as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert in_the_middle.wait(20)
    filled = runtime.allocate(runtime.free_bytes() - (1 << 18))
    threading.Timer(0.2, go_on.set).start()  # while the tick waits for the question to end

    for _ in range(8):
        ledger.append(1001, make_batch(*events), 1, 0)
    found = ledger.capture()
    asking.join(20)

    assert len(failures) == 1
    assert found.raw_events == 45_000
    assert int(found.columns().lots.sum()) == 45_000 * 7
    assert backend.counters == {"queries_shed": 1}
    del filled
