"""The same operations on CudaLiveTables and on NumpyLiveTable, every result compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from liqscape.device.backend import (
    NO_TRIGGER,
    AppendRequest,
    BookProfile,
    CloseRequest,
    CohortBatch,
    LotRates,
    SweepRequest,
)
from liqscape.device.cuda_live import CudaLiveTables
from liqscape.device.cuda_marks import LaunchSizes
from liqscape.device.numpy_live import NumpyLiveTable
from liqscape.device.queue import Queue
from liqscape.device.runtime import Runtime

MOST_LOTS = 1 << 40
STAGING_BYTES = 1 << 20

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Opened:
    """What LiveTable.append is given."""

    open_minute: int
    rows: NDArray[np.int32]
    keys: NDArray[np.uint16]
    lots: NDArray[np.int64]
    clocks: NDArray[np.int64]


def equal(one: CohortBatch | BookProfile, other: CohortBatch | BookProfile) -> bool:
    """Say whether two batches have the same columns, types included."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return type(one) is type(other) and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


class BothTables:
    """Tables on a device and the definitions of them. Each operation fails where they differ.

    Operations take one thing for each table, None where the table is not asked.
    """

    def __init__(
        self,
        runtime: Runtime,
        groups: Sequence[int],
        threads: int = 64,
        min_compact: int = 64,
        words_of_tile: int = 32,
        least_ahead: int = 8,
        profile_cells: int = 1 << 12,
    ) -> None:
        self.device = CudaLiveTables(
            Queue(runtime, urgent=True, staging_bytes=STAGING_BYTES),
            sizes=LaunchSizes(threads, max(threads, 64), 64, words_of_tile),
            first_capacity=8,
            min_compact=min_compact,
            least_ahead=least_ahead,
            profile_cells=profile_cells,
        )
        self.found = [self.device.table(count) for count in groups]
        self.expected = [NumpyLiveTable(count, exhaustive=True) for count in groups]
        self.minute = 100  # of what run opens next
        self._calls = 0

    def add(self, groups: int) -> None:
        self.found.append(self.device.table(groups))
        self.expected.append(NumpyLiveTable(groups, exhaustive=True))

    def drop(self, number: int) -> None:
        del self.found[number], self.expected[number]

    def append(self, batches: Sequence[Opened | None]) -> None:
        asked = self._asked(batches)
        requests = [AppendRequest(self.found[number], *_columns(batch)) for number, batch in asked]
        found = self.device.append(requests)

        for (number, batch), held in zip(asked, found, strict=True):
            assert np.array_equal(self.expected[number].append(*_columns(batch)), held)
        self.compare()

    def sweep(self, trigger_rows: Sequence[NDArray[np.int64] | None]) -> int:
        """Return how many cohorts ended."""
        asked = self._asked(trigger_rows)
        found = self.device.sweep([SweepRequest(self.found[number], triggers) for number, triggers in asked])

        for (number, triggers), ended in zip(asked, found, strict=True):
            assert equal(self.expected[number].sweep(triggers), ended)
        self.compare()
        return sum(len(ended) for ended in found)

    def close(self, lots: Sequence[NDArray[np.int64] | None]) -> int:
        """Return how many cohorts closed, in part or in full."""
        asked = self._asked(lots)
        found = self.device.close([CloseRequest(self.found[number], wanted) for number, wanted in asked])

        for (number, wanted), (ended, hazards) in zip(asked, found, strict=True):
            closed, reached = self.expected[number].close(wanted)
            assert equal(closed, ended)
            assert np.array_equal(reached, hazards)
        self.compare()
        return sum(len(ended) for ended, _ in found)

    def coarsen_rows(self, multiples: Sequence[int]) -> None:
        for found, expected, multiple in zip(self.found, self.expected, multiples, strict=True):
            found.coarsen_rows(multiple)
            expected.coarsen_rows(multiple)
        self.compare()

    def profile(self, number: int, rates: LotRates) -> BookProfile:
        """Return what a table holds by key and row."""
        found = self.found[number].profile(rates)()

        assert equal(self.expected[number].profile(rates)(), found)
        return found

    def open_lots(self) -> list[NDArray[np.int64]]:
        return [table.lots_by_group() for table in self.expected]

    def compare(self) -> None:
        for expected, found in zip(self.expected, self.found, strict=True):
            assert len(found) == len(expected)
            assert np.array_equal(expected.lots_by_group(), found.lots_by_group())
            (cohorts, clocks), (found_cohorts, found_clocks) = expected.cohorts(), found.cohorts()
            assert equal(cohorts, found_cohorts)
            assert np.array_equal(clocks, found_clocks)

    def _asked(self, things: Sequence[_T | None]) -> list[tuple[int, _T]]:
        """Return numbers of tables and what they are asked, in another order every second time."""
        assert len(things) == len(self.found)
        self._calls += 1
        return [(number, thing) for number, thing in enumerate(things) if thing is not None][:: (-1) ** self._calls]


def _columns(
    batch: Opened,
) -> tuple[int, NDArray[np.int32], NDArray[np.uint16], NDArray[np.int64], NDArray[np.int64]]:
    return batch.open_minute, batch.rows, batch.keys, batch.lots, batch.clocks


@dataclass(frozen=True, slots=True)
class Ways:
    """What numbers a sequence of operations is made of.

    Attributes:
        rows: cohorts are on rows -rows..rows.
        clocks: lowest clock and the first beyond the highest.
        most_lots: of a cohort.
        most_opened: cohorts that open in one call, in one table.
        busy: groups that cohorts are of; all where it is None.
    """

    rows: int
    clocks: tuple[int, int]
    most_lots: int = MOST_LOTS
    most_opened: int = 90
    busy: int | None = None


def opened(random: Generator, open_minute: int, groups: int, ways: Ways, count: int) -> Opened:
    """Return cohorts of unique rows and keys, in no order."""
    busy = random.integers(0, groups, count) if ways.busy is None else np.full(count, ways.busy)
    key = (busy >> 1) << 5 | random.integers(0, 9, count) << 1 | busy & 1
    code = np.unique((random.integers(-ways.rows, ways.rows + 1, count) << 16) | key)
    random.shuffle(code)
    return Opened(
        open_minute,
        (code >> 16).astype(np.int32),
        (code & 0xFFFF).astype(np.uint16),
        random.integers(1, ways.most_lots + 1, len(code)),
        random.integers(*ways.clocks, len(code)),
    )


def random_triggers(random: Generator, groups: int, ways: Ways) -> NDArray[np.int64]:
    """Return triggers that end few or none: a long ends from high rows down."""
    far = random.integers(0, ways.rows + 2, groups)
    triggers = np.where(np.arange(groups) % 2 == 0, ways.rows - far // 4, far // 4 - ways.rows)
    return np.where(random.integers(0, 3, groups) == 0, NO_TRIGGER, triggers)


def random_closes(random: Generator, open_lots: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return lots to close: nothing, one, some, all but one, all."""
    some = (open_lots * random.random(len(open_lots)) * 0.5).astype(np.int64)
    choices = np.stack([np.zeros_like(some), np.ones_like(some), some, open_lots - 1, open_lots])
    chosen: NDArray[np.int64] = choices[random.choice(5, len(some), p=(0.3, 0.2, 0.3, 0.1, 0.1)), np.arange(len(some))]
    return np.clip(chosen, 0, open_lots)


def run(both: BothTables, random: Generator, groups: Sequence[int], ways: Ways, steps: int) -> dict[str, int]:
    """Do random operations on random tables; return how many cohorts each kind ended."""
    ended = {"swept": 0, "closed": 0}

    def some(things: Sequence[_T]) -> list[_T | None]:
        return [thing if random.integers(0, 4) else None for thing in things]

    for _ in range(steps):
        both.minute += int(random.integers(0, 2))
        counts = [int(random.integers(0, ways.most_opened + 1)) for _ in groups]
        both.append(
            some([opened(random, both.minute, table, ways, count) for table, count in zip(groups, counts, strict=True)])
        )
        if random.integers(0, 2):
            ended["swept"] += both.sweep(some([random_triggers(random, table, ways) for table in groups]))
        if random.integers(0, 2):
            ended["closed"] += both.close(some([random_closes(random, lots) for lots in both.open_lots()]))
    return ended
