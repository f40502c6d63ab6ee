"""Tables of open cohorts: what a sweep, a close and an append take, each of one call for all tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from benchmarks.gpu.made_events import FIRST_ROW, INSTRUMENTS, NOW, batch_at, cohorts_at
from benchmarks.gpu.outcome import Figure, Spread
from benchmarks.gpu.plan import SEED, Run
from benchmarks.gpu.watched_runtime import WARM_UP
from liqscape.device.backend import AppendRequest, Backend, CloseRequest, LiveTable, SweepRequest
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.positions.weights import group_of

GROUPS: Final = 2 * INSTRUMENTS
FILLED_AT_ONCE: Final = 100_000
SWEPT_BYTES: Final = 14
"""Of a cohort, to find out whether a sweep ends it: row, key and lots."""
CLOSED_BYTES: Final = 18
"""Of a cohort, to find out whether a close does: key, lots and clock."""
_ENDING: Final = 200
"""Cohorts of a table that an operation ends, about."""
_LEAST_CLOSES: Final = 60
"""So many closes leave something of every group."""
_SPREAD_ROWS: Final = FIRST_ROW // 5


@dataclass(slots=True)
class Tables:
    """Tables of equal content, and the operations that follow each other on them.

    Attributes:
        rows: of the cohorts that were filled in, ascending: those of longs, and those of shorts.
        lots: int64[group], of a close.
    """

    backend: Backend
    tables: Sequence[LiveTable]
    rows: tuple[NDArray[np.int32], NDArray[np.int32]]
    lots: NDArray[np.int64]
    swept: int = 0
    minute: int = NOW

    def sweep(self) -> Any:
        """End the next cohorts of both sides; each call goes a little further."""
        self.swept += max(1, min(_ENDING // 2, len(self.rows[0]) // 64))
        longs, shorts = self.rows
        trigger = np.empty(GROUPS, np.int64)
        trigger[0::2] = longs[max(0, len(longs) - self.swept)]
        trigger[1::2] = shorts[min(len(shorts) - 1, self.swept)]
        return self.backend.sweep([SweepRequest(table, trigger) for table in self.tables])

    def close(self) -> Any:
        """Close some lots of each group."""
        return self.backend.close([CloseRequest(table, self.lots) for table in self.tables])

    def append(self) -> Any:
        """Open cohorts in the next minute."""
        self.minute += 1
        new = batch_at(Generator(PCG64([SEED, self.minute])), self.minute, FIRST_ROW, _ENDING)
        clocks = np.full(len(new), 1 << 40) + np.arange(len(new))
        asked = [AppendRequest(table, self.minute, new.row, new.key, new.lots, clocks) for table in self.tables]
        return self.backend.append(asked)

    def of(self, count: int) -> Tables:
        """Return the first tables, which have had the same operations."""
        return Tables(self.backend, self.tables[:count], self.rows, self.lots, self.swept, self.minute)


def filled(backend: Backend, tables: int, cohorts: int) -> Tables:
    """Return tables with so many cohorts each, all alike."""
    made = [backend.live_table(GROUPS) for _ in range(tables)]
    random = Generator(PCG64([SEED, cohorts]))
    longs, shorts, lots_of_group = [], [], np.zeros(GROUPS, np.int64)
    left, minute = cohorts, NOW - 1 - cohorts // FILLED_AT_ONCE * 2
    while left > 0:
        price = FIRST_ROW + random.integers(-_SPREAD_ROWS, _SPREAD_ROWS, min(left, FILLED_AT_ONCE) * 5 // 4)
        row, key, lots = cohorts_at(random, price, len(price))
        chosen = np.unique(row.astype(np.int64) << 16 | key, return_index=True)[1]
        chosen = np.sort(chosen)[: min(left, FILLED_AT_ONCE)]
        row, key, lots = row[chosen], key[chosen], lots[chosen]
        clocks = random.integers(0, 1 << 36, len(row))
        backend.append([AppendRequest(table, minute, row, key, lots, clocks) for table in made])
        np.add.at(lots_of_group, group_of(key), lots)
        longs.append(row[key & 1 == 0])
        shorts.append(row[key & 1 == 1])
        left -= len(row)
        minute = min(minute + 1, NOW - 1)
    closing = lots_of_group // max(_LEAST_CLOSES, cohorts // _ENDING)
    return Tables(backend, made, (np.sort(np.concatenate(longs)), np.sort(np.concatenate(shorts))), closing)


def compare_tables(run: Run) -> None:
    """Compare every operation on the smallest tables with NumPy's."""
    cohorts = min(run.sizes.cohorts)
    ours, theirs = (filled(backend, 2, cohorts) for backend in (CudaBackend(run.runtime), NumpyBackend()))
    for turn in range(2):
        for name in ("append", "sweep", "close"):
            found, expected = getattr(ours, name)(), getattr(theirs, name)()
            differences = [f"table {n}" for n, pair in enumerate(zip(found, expected, strict=True)) if _differ(*pair)]
            run.outcome.compare(f"{name} {turn + 1} of two tables of {cohorts:,} cohorts", differences)
    held, true = ([table.cohorts() for table in these.tables] for these in (ours, theirs))
    run.outcome.compare("what these tables hold", [f"table {n}" for n in range(2) if _differ(held[n], true[n])])


def measure_tables(run: Run, cohorts: int) -> None:
    """Time operations on some numbers of tables, the most first, so that each table has had the same ones."""
    whole = filled(CudaBackend(run.runtime), max(run.sizes.live_tables), cohorts)
    for count in sorted(run.sizes.live_tables, reverse=True):
        whole = whole.of(count)
        who = f"{count} table{'s' * (count > 1)} of {cohorts:,} cohorts"
        for name, nbytes in (("sweep", SWEPT_BYTES), ("close", CLOSED_BYTES), ("append", 0)):
            wall, busy = _timed(run, getattr(whole, name))
            floor = run.floor_ms(nbytes * cohorts * count) if nbytes else None
            key = f"live.{cohorts}.{count}.{name}"
            run.outcome.add(Figure(f"{key}.host", f"{name} of {who}, host", "ms", wall, floor))
            run.outcome.add(Figure(f"{key}.device", f"{name} of {who}, device alone", "ms", busy, floor))


def _timed(run: Run, work: Callable[[], Any]) -> tuple[Spread, Spread]:
    """Return the milliseconds of the host, and in other repetitions those of the device."""
    wall, busy = [], []
    for number in range(WARM_UP + run.sizes.repeats):
        started = time.perf_counter()
        work()
        if number >= WARM_UP:
            wall.append((time.perf_counter() - started) * 1e3)
    for _ in range(run.sizes.repeats):
        with run.runtime.watching() as parts:
            work()
        busy.append(sum(parts.values()))
    return Spread.of(wall), Spread.of(busy)


def _differ(one: Any, other: Any) -> bool:
    """Return whether two results differ: arrays, batches of arrays, tuples of either."""
    return any(
        a.dtype != b.dtype or not np.array_equal(a, b) for a, b in zip(_arrays(one), _arrays(other), strict=True)
    )


def _arrays(result: Any) -> Iterator[NDArray[Any]]:
    if isinstance(result, np.ndarray):
        yield result
    elif isinstance(result, tuple):
        for part in result:
            yield from _arrays(part)
    else:
        for field in fields(result):
            yield from _arrays(getattr(result, field.name))
