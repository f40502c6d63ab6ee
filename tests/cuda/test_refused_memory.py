"""Whatever the device has no room for may be asked again: nothing is lost, counted twice or done by half.

Seen to fail when broken on purpose, one at a time: events logged before there is room for what waits; the past on
coarser rows before the log is; a log that cannot shrink refuses the past. In queue.py: without waiting.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from liqscape.axes import RowRange, Timeframe
from liqscape.device.backend import (
    AdvanceRequest,
    AppendRequest,
    Backend,
    CloseRequest,
    CohortBatch,
    LotRates,
    SweepRequest,
)
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.queue import Queue
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import LimitExceeded
from tests.cuda.cpu_runtime import CpuMemory, CpuRuntime

FRAME = Timeframe("test", column_minutes=60, columns=40, span_permille=100, min_row_multiple=1)
ROWS = RowRange(-10, 33, 2)
WEIGHTS = np.full(64, 4096, np.uint16)
RATES = LotRates(np.zeros(2, np.bool_), np.ones(2, np.int64), np.ones(2, np.int64))
DAY = 1440


class RefusingRuntime(CpuRuntime):
    """A device that soon has no room.

    Attributes:
        left: so many allocations more are granted; all where it is None.
    """

    left: int | None = None

    def allocate(self, nbytes: int) -> CpuMemory:
        if self.left is not None:
            if not self.left:
                raise OutOfDeviceMemory("refused, for the test")
            self.left -= 1
        return super().allocate(nbytes)

    def refuse(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do work without room, with room for one allocation, for two, and so on until it is enough.

        Merging makes some hundreds, none of which changes anything: from a score on, each time half as many again.
        """
        for self.left in accumulate(count(), lambda left, _: left + max(1, (left - 18) // 2)):
            try:
                found = work(*arguments)
            except (OutOfDeviceMemory, LimitExceeded):
                continue
            self.left = None
            return found
        raise AssertionError


def plainly(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def opened(random: Generator, minute: int, size: int) -> CohortBatch:
    return CohortBatch(
        minute - random.integers(0, 2 * DAY, size).astype(np.int32),
        random.integers(-30, 60, size).astype(np.int32),
        random.integers(0, 64, size).astype(np.uint16),
        random.integers(1, 1 << 40, size),
    )


def story(backend: Backend, do: Callable[..., Any]) -> Iterator[object]:
    """Yield what two symbols' operations give; each that may need memory is done by `do`."""
    random, minute = Generator(PCG64(1)), 28_000_000
    ledgers, tables = [backend.ledger(), backend.ledger()], [backend.live_table(4), backend.live_table(4)]
    for step in range(4):
        for number, ledger in enumerate(ledgers):
            for sign in (1, -1):
                batch = opened(random, minute, 30 + 200 * step * number)
                do(ledger.append, minute, batch, sign, 1)
        channels = [do(backend.channel_buffer, FRAME, ROWS, WEIGHTS, np.ones(33)) for _ in ledgers]
        views = [do(ledger.capture) for ledger in ledgers]
        asked = [AdvanceRequest(channel, view, minute) for channel, view in zip(channels, views, strict=True)]
        yield do(backend.advance, asked)
        yield do(backend.project, views[1], FRAME, minute, ROWS, WEIGHTS)
        new = opened(random, minute, 40 << step)
        _, first = np.unique(new.row.astype(np.int64) << 16 | new.key, return_index=True)
        columns = new.row[first], new.key[first], new.lots[first], random.integers(0, 1 << 20, len(first))
        opening = [AppendRequest(table, minute, *columns) for table in tables]
        yield do(backend.append, opening)
        reached = np.array([55, -25, 50, -20])
        yield do(backend.sweep, [SweepRequest(table, reached) for table in tables])
        held = [do(table.lots_by_group) for table in tables]
        closing = [CloseRequest(table, lots // 3) for table, lots in zip(tables, held, strict=True)]
        yield do(backend.close, closing)
        yield do(tables[0].profile, RATES)()
        minute += DAY + 61
        past = do(views[0].compacted, minute)
        if step == 2:
            do(ledgers[0].coarsen_rows, 2)
            do(tables[0].coarsen_rows, 2)
            do(ledgers[1].coarsen_rows, 2)
        ledgers[0].adopt(past)  # comes to nothing then
        if step == 1:
            ledgers[0] = do(backend.ledger, views[0].snapshot())
            tables[1] = do(backend.live_table, 4, tables[1].capture()())
        for ledger in ledgers:
            yield from (found := do(ledger.capture)).tiers()
            yield found.columns()


def values(found: object) -> list[Any]:
    """Return the arrays and numbers of anything a backend returns."""
    if isinstance(found, (list, tuple)):
        return [value for one in found for value in values(one)]
    if hasattr(found, "__dataclass_fields__"):
        return [getattr(found, field.name) for field in fields(found)]  # type: ignore[arg-type]
    return [found]


@contextmanager
def no_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.slow
def test_what_was_refused_at_any_allocation_may_be_asked_again(
    runtime_libraries: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liqscape.device.cuda_ledger._FIRST_CAPACITY", 16)
    monkeypatch.setattr("liqscape.device.cuda_ledger._MOST_PENDING", 100)
    runtime = RefusingRuntime(runtime_libraries)

    expected = list(story(NumpyBackend(), plainly))
    found = story(CudaBackend(runtime, threads=32), runtime.refuse)

    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        for wanted, value in zip(values(one), values(other), strict=True):
            assert np.array_equal(wanted, value), number


def test_past_is_adopted_even_where_a_log_has_no_room_to_shrink(
    runtime_libraries: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liqscape.device.cuda_ledger._FIRST_CAPACITY", 16)
    runtime = RefusingRuntime(runtime_libraries)
    ledger = CudaBackend(runtime, threads=32).ledger()
    ledger.append(1000, opened(Generator(PCG64(1)), 1000, 200), 1, 0)
    past = ledger.capture().compacted(1000 + DAY)
    ledger.append(1001, opened(Generator(PCG64(2)), 1001, 3), 1, 0)

    runtime.left = 0
    ledger.adopt(past)
    runtime.left = None

    assert ledger.raw_events == ledger.capture().raw_events == 3
    assert ledger.capture().columns().minute.tolist() == [1001] * 3


def test_room_that_finished_work_still_holds_is_given_to_what_asks_for_it() -> None:
    runtime = CpuRuntime([], capacity_bytes=1 << 20)
    queue = Queue(runtime, urgent=True)
    queue.zeros(3 << 18, np.uint8)  # nobody waits for it

    assert len(queue.empty(3 << 18, np.uint8)) == 3 << 18
    with pytest.raises(OutOfDeviceMemory):
        queue.empty(1 << 21, np.uint8)


def test_backend_nobody_refers_to_gives_its_memory_back_at_once() -> None:
    runtime = CpuRuntime([])

    with no_collector():
        backend = CudaBackend(runtime)
        kept = backend.ledger(), backend.live_table(4), backend.channel_buffer(FRAME, ROWS, WEIGHTS, np.ones(33))
        assert runtime.free_bytes() < runtime.capacity_bytes
        del backend, kept

        assert runtime.free_bytes() == runtime.capacity_bytes
