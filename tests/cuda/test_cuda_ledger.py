"""Logs on the device against NumPy's: what is appended arrives, and what a view saw stays as it was."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from liqscape.device.backend import CohortBatch, LedgerColumns, LedgerView
from liqscape.device.cuda_ledger import CudaLedger, CudaLogs
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.device.queue import Queue
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import ModelError
from tests.cuda.cpu_runtime import CpuRuntime


def logs_of(runtime: CpuRuntime) -> CudaLogs:
    queue = Queue(runtime, urgent=True)
    return CudaLogs(queue, _unused, lambda run: run.read(queue))


def _unused(*_: object) -> Any:
    raise AssertionError("nothing is merged here")


def batch_of(random: Generator, count: int) -> CohortBatch:
    return CohortBatch(
        random.integers(0, 1000, count).astype(np.int32),
        random.integers(-5000, 5000, count).astype(np.int32),
        random.integers(0, 64, count).astype(np.uint16),
        random.integers(1, 1 << 40, count),
    )


def assert_same(found: LedgerColumns, expected: LedgerColumns) -> None:
    for field in fields(LedgerColumns):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), field.name


def copy_of(columns: LedgerColumns) -> LedgerColumns:
    return LedgerColumns(*(getattr(columns, field.name).copy() for field in fields(LedgerColumns)))


@pytest.mark.slow
@pytest.mark.parametrize("is_slow", [True, False])
def test_two_logs_hold_what_numpys_hold(runtime_libraries: list[Path], is_slow: bool) -> None:
    logs = logs_of(CpuRuntime(runtime_libraries, is_slow=is_slow))
    found = [CudaLedger(logs), CudaLedger(logs)]
    expected = [NumpyLedger(), NumpyLedger()]
    random, minute = Generator(PCG64(1)), 50
    views: list[tuple[LedgerView, LedgerColumns]] = []

    for step in range(60):
        minute += int(random.integers(0, 3))
        for number in np.flatnonzero(random.random(2) < 0.7).tolist():
            batch = batch_of(random, int(random.integers(0, 900)))
            sign = int(random.choice([-1, 1]))
            for ledger in (found[number], expected[number]):
                ledger.append(minute, batch, sign, step % 5)
            assert len(found[number]) == len(expected[number]) == found[number].raw_events
        if step % 4 == 0:
            for one, other in zip(found, expected, strict=True):
                view = one.capture()
                assert (len(view), view.appended) == (len(other), other.capture().appended)
                views.append((view, copy_of(other.capture().columns())))

    assert len(found[0]) > 1 << 14  # the first capacity: they have grown
    for seen, then in views:
        assert_same(seen.columns(), then)


def test_a_tick_of_all_logs_is_one_launch(runtime: CpuRuntime) -> None:
    logs = logs_of(runtime)
    ledgers = [CudaLedger(logs) for _ in range(7)]
    for ledger in ledgers:
        ledger.append(5, batch_of(Generator(PCG64(2)), 30), 1, 0)
        ledger.append(5, batch_of(Generator(PCG64(3)), 20), -1, 2)

    views = [ledger.capture() for ledger in ledgers]

    assert runtime.launches == ["append_events"]
    assert [len(view) for view in views] == [50] * 7


def test_what_waits_goes_up_by_itself_when_it_is_much(runtime: CpuRuntime) -> None:
    ledger = CudaLedger(logs_of(runtime))

    for minute in range(30):
        ledger.append(minute, batch_of(Generator(PCG64(minute)), 10_000), 1, 0)

    assert len(runtime.launches) == 1
    assert len(ledger) == ledger.capture().raw_events == 300_000


def test_event_before_the_last_one_is_refused(runtime: CpuRuntime) -> None:
    ledger = CudaLedger(logs_of(runtime))
    ledger.append(7, batch_of(Generator(PCG64(1)), 1), 1, 0)

    with pytest.raises(ModelError, match="minute 6 is before the last one, 7"):
        ledger.append(6, batch_of(Generator(PCG64(1)), 1), 1, 0)


def test_without_room_everything_waits_until_there_is_some(runtime_libraries: list[Path]) -> None:
    runtime = CpuRuntime(runtime_libraries, capacity_bytes=2 << 20)
    logs = logs_of(runtime)
    ledgers, expected = [CudaLedger(logs), CudaLedger(logs)], [NumpyLedger(), NumpyLedger()]
    for number, count in enumerate((100, 60_000)):
        batch = batch_of(Generator(PCG64(number)), count)
        for ledger in (ledgers[number], expected[number]):
            ledger.append(3, batch, 1, 0)

    with pytest.raises(OutOfDeviceMemory):
        ledgers[0].capture()
    runtime.capacity_bytes *= 8

    for ledger, other in zip(ledgers, expected, strict=True):
        assert_same(ledger.capture().columns(), other.capture().columns())


def test_rows_are_coarsened_and_earlier_views_keep_theirs(runtime: CpuRuntime) -> None:
    ledger, expected = CudaLedger(logs_of(runtime)), NumpyLedger()
    for one in (ledger, expected):
        one.append(3, batch_of(Generator(PCG64(4)), 500), 1, 0)
    before, then = ledger.capture(), copy_of(expected.capture().columns())

    for one in (ledger, expected):
        one.coarsen_rows(10)
        one.append(4, batch_of(Generator(PCG64(5)), 50), -1, 1)

    assert_same(before.columns(), then)
    assert_same(ledger.capture().columns(), expected.capture().columns())
