"""A table or ledger made of a snapshot, on either backend and from either, goes on as if nothing had happened.

Seen to fail when broken on purpose, one at a time: in numpy_live.py and cuda_live.py the hazard not restored; in
cuda_live.py _widen left out of _restore; in cuda_ledger.py merged_events taken for 0; in numpy_ledger.py and
cuda_ledger.py unmerged taken for False.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from liqscape.axes import TIMEFRAMES
from liqscape.device.backend import Backend, CohortBatch, EndedCohorts, LedgerColumns, LiveTable
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from tests.cuda.cpu_runtime import CpuRuntime
from tests.cuda.test_cuda_backend import assert_same_events
from tests.equal_shards import differences
from tests.kept_shard import market_ticks, new_shard, sends_the_same
from tests.property.test_age_tiers import rows_of, weights_of

DAY = 1440
GROUPS = 6


@pytest.fixture
def backends(runtime_libraries: list[Path]) -> dict[str, Backend]:
    return {"numpy": NumpyBackend(), "cupy": CudaBackend(CpuRuntime(runtime_libraries), threads=32)}


def assert_same(one: CohortBatch, other: CohortBatch) -> None:
    assert all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(other))


def trade(table: LiveTable, random: Generator, minute: int, count: int) -> list[EndedCohorts]:
    """Open some cohorts, sweep some, close some; return what ended."""
    codes = random.choice(100 * 96, count, replace=False)
    keys, rows = (codes % 96).astype(np.uint16), (codes // 96).astype(np.int32)
    clocks = random.integers(0, 1 << 20, count) + (minute << 16)
    table.append(minute, rows, keys, random.integers(1, 1 << 30, count), clocks)
    swept = table.sweep(np.where(np.arange(GROUPS) % 2 == 0, 97, 2))
    closed, _ = table.close(table.lots_by_group() // 3)
    return [swept, closed]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["numpy", "cupy"])
@pytest.mark.parametrize("source", ["numpy", "cupy"])
def test_live_table_goes_on(backends: dict[str, Backend], source: str, to: str) -> None:
    original = backends[source].live_table(GROUPS)
    for minute in range(4):
        trade(original, Generator(PCG64(minute)), minute, 200)

    restored = backends[to].live_table(GROUPS, original.capture()())

    assert len(restored) == len(original) > 100
    for lots in (np.zeros(GROUPS, np.int64), original.lots_by_group() // 5):  # a close of nothing tells the clocks
        (one, reached), (other, also_reached) = (table.close(lots) for table in (original, restored))
        assert_same(one, other)
        assert np.array_equal(reached, also_reached)
    for minute in range(4, 8):
        ended = [trade(table, Generator(PCG64(minute)), minute, 200) for table in (original, restored)]
        for one, other in zip(*ended, strict=True):
            assert_same(one, other)
    assert_same(original.cohorts()[0], restored.cohorts()[0])
    assert np.array_equal(original.cohorts()[1], restored.cohorts()[1])


@pytest.mark.slow
@pytest.mark.parametrize("to", ["numpy", "cupy"])
@pytest.mark.parametrize("source", ["numpy", "cupy"])
def test_ledger_goes_on(backends: dict[str, Backend], source: str, to: str) -> None:
    original, random, minute = backends[source].ledger(), Generator(PCG64(1)), 28_000_000

    def batch(count: int) -> CohortBatch:
        age = np.floor(np.exp(random.uniform(0, np.log(300 * DAY), count))).astype(np.int32)
        return CohortBatch(
            (minute - age).astype(np.int32),
            random.integers(-20, 240, count).astype(np.int32),
            random.integers(0, 64, count).astype(np.uint16),
            random.integers(1, 1 << 40, count),
        )

    for _ in range(40):
        minute += int(random.integers(0, DAY // 4))
        original.append(minute, batch(30), int(random.choice((-1, 1))), int(random.integers(0, 3)))
    original.adopt(original.capture().compacted(minute - 70))
    original.coarsen_rows(2)

    snapshot = original.capture().snapshot()
    restored = backends[to].ledger(snapshot)

    assert isinstance(snapshot.raw, LedgerColumns)
    assert len(snapshot.raw.minute) > 0
    for step in range(3):
        added = batch(20)
        for ledger in (original, restored):
            ledger.append(minute, added, 1, 0)
            ledger.adopt(ledger.capture().compacted(minute + (9 * DAY if step == 2 else 0)))
        views = [ledger.capture() for ledger in (original, restored)]
        assert (views[0].appended, len(views[0])) == (views[1].appended, len(views[1]))
        assert_same_events(views[0].columns(), views[1].columns())
        for one, other in zip(views[0].tiers(), views[1].tiers(), strict=True):
            assert_same_events(one, other)
        for number in (1, 8):
            grids = [
                backends[name].project(view, TIMEFRAMES[number], minute, rows_of(number), weights_of(1))
                for name, view in zip((source, to), views, strict=True)
            ]
            assert np.array_equal(grids[0], grids[1])
        minute += DAY // 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["numpy", "cupy"])
def test_snapshot_of_nothing(backends: dict[str, Backend], name: str) -> None:
    backend = backends[name]

    table = backend.live_table(GROUPS, backend.live_table(GROUPS).capture()())
    ledger = backend.ledger(backend.ledger().capture().snapshot())

    assert (len(table), len(ledger), ledger.capture().exact_from_minute) == (0, 0, -1)


@pytest.mark.slow
@pytest.mark.parametrize(("source", "to"), [("numpy", "cupy"), ("cupy", "numpy")])
def test_shard_goes_on(backends: dict[str, Backend], source: str, to: str) -> None:
    ticks = market_ticks(40)
    original, restored = new_shard(backend=backends[source]), new_shard(backend=backends[to])
    for tick in ticks[:29]:
        for event in tick:
            original.accept(event)

    restored.restore(original.snapshot()())

    assert differences(original, restored) == []
    assert sends_the_same(original, restored, ticks)
    assert differences(original, restored) == []
