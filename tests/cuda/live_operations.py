"""The same operations on LiveTables and on NumpyLiveTable, every result compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from liqscape.device.backend import NO_TRIGGER, CohortBatch
from liqscape.device.numpy_live import NumpyLiveTable
from tests.cuda.kernel_grids import KernelModule
from tests.cuda.live_tables import WORDS_OF_TILE, LiveTables, Opened

MOST_LOTS = 1 << 40


def equal(one: CohortBatch, other: CohortBatch) -> bool:
    """Say whether two batches have the same columns, types included."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return type(one) is type(other) and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


class BothTables:
    """Tables of the kernels and the definitions of them. Each operation fails where they differ."""

    def __init__(
        self,
        module: KernelModule,
        groups: Sequence[int],
        threads: int = 64,
        min_compact: int = 64,
        words_of_tile: int = WORDS_OF_TILE,
    ) -> None:
        self.found = LiveTables(module, groups, threads, 8, min_compact, words_of_tile, max(threads, 64), 64)
        self.expected = [NumpyLiveTable(count, exhaustive=True) for count in groups]

    def append(self, batches: Sequence[Opened]) -> None:
        found = self.found.append(batches)

        for table, batch, held in zip(self.expected, batches, found, strict=True):
            assert np.array_equal(
                table.append(batch.open_minute, batch.rows, batch.keys, batch.lots, batch.clocks), held
            )
        self._compare()

    def sweep(self, trigger_rows: Sequence[NDArray[np.int64]]) -> int:
        """Return how many cohorts ended."""
        found = self.found.sweep(trigger_rows)

        for table, triggers, ended in zip(self.expected, trigger_rows, found, strict=True):
            assert equal(table.sweep(triggers), ended)
        self._compare()
        return sum(len(ended) for ended in found)

    def close(self, lots: Sequence[NDArray[np.int64]]) -> int:
        """Return how many cohorts closed, in part or in full."""
        found = self.found.close(lots)

        for table, wanted, (ended, hazards) in zip(self.expected, lots, found, strict=True):
            closed, reached = table.close(wanted)
            assert equal(closed, ended)
            assert np.array_equal(reached, hazards)
        self._compare()
        return sum(len(ended) for ended, _ in found)

    def coarsen_rows(self, multiples: Sequence[int]) -> None:
        self.found.coarsen_rows(multiples)

        for table, multiple in zip(self.expected, multiples, strict=True):
            table.coarsen_rows(multiple)
        self._compare()

    def open_lots(self) -> list[NDArray[np.int64]]:
        return [table.lots_by_group() for table in self.expected]

    def _compare(self) -> None:
        assert self.found.counts() == [len(table) for table in self.expected]
        for number, (table, lots) in enumerate(zip(self.expected, self.found.lots_by_group(), strict=True)):
            assert np.array_equal(table.lots_by_group(), lots)
            (cohorts, clocks), (found, found_clocks) = table.cohorts(), self.found.cohorts(number)
            assert equal(cohorts, found)
            assert np.array_equal(clocks, found_clocks)
            captured = self.found.capture(number)
            assert equal(cohorts, _without_ended(captured))


def _without_ended(batch: CohortBatch) -> CohortBatch:
    live = batch.lots > 0
    return CohortBatch(batch.open_minute[live], batch.row[live], batch.key[live], batch.lots[live])


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
    """Do random operations; return how many cohorts each kind ended."""
    ended = {"swept": 0, "closed": 0}
    minute = 100
    for _ in range(steps):
        minute += int(random.integers(0, 2))
        counts = [int(random.integers(0, ways.most_opened + 1)) for _ in groups]
        both.append([opened(random, minute, table, ways, count) for table, count in zip(groups, counts, strict=True)])
        if random.integers(0, 2):
            ended["swept"] += both.sweep([random_triggers(random, table, ways) for table in groups])
        if random.integers(0, 2):
            ended["closed"] += both.close([random_closes(random, lots) for lots in both.open_lots()])
    return ended
