"""The near set decides how long an operation takes and never what it returns: near set = exhaustive = plain Python.

Seen to fail when broken on purpose, one at a time:
- numpy_due.py, add: cohorts up to the reach left out; what was added thrown away instead of sorted in; due: `.any()` of
  the exhausted groups set to `.all()`, ended cohorts kept, the order of sorted and added ones left as it is, or by
  group alone; renumber: old places kept; _living_up_to: the first position of a group set beyond a living cohort, or
  not filtered; _fetch: what a group held kept beside what is fetched, or reach below what is asked for; _merge: first
  positions kept; _let_go: reach kept;
- numpy_cohorts.py, drop_ended: `self.count` kept, or the order by lots;
- numpy_live.py, append: an index not told; _drop_ended: an index not renumbered; sweep, close: result not in append
  order; close: lots before a group counted from the start; _with_lowest_clocks: content when any group is covered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liqscape.device import numpy_cohorts, numpy_due
from liqscape.device.backend import NO_TRIGGER
from liqscape.device.numpy_due import DueIndex
from liqscape.device.numpy_live import NumpyLiveTable
from liqscape.errors import ModelError
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT
from tests.conftest import fewer_examples
from tests.unit.synthetic_market import as_tuples

GROUPS = 4
ROWS = 300
Operation: TypeAlias = tuple[str, int, int]
"""Kind, how much of it (0..100), and the seed of its numbers."""

operations = st.lists(
    st.tuples(st.sampled_from(("append", "append", "sweep", "close")), st.integers(0, 100), st.integers(0, 2**32)),
    min_size=20,
    max_size=60,
)


@contextmanager
def small_table_constants() -> Iterator[None]:
    """Make every threshold reachable with a few hundred cohorts: growth, fetching, letting go, dropping."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in (
            (numpy_cohorts, "_FIRST_CAPACITY", 4),
            (numpy_cohorts, "_MIN_COMPACT", 16),
            (numpy_due, "_NEAR_SHARE", 8),
            (numpy_due, "_MIN_NEAR", 4),
            (numpy_due, "_MIN_TAIL", 6),
            (numpy_due, "_AHEAD", 1),
        ):
            patch.setattr(module, name, value)
        yield


@dataclass
class PlainCohort:
    open_minute: int
    row: int
    key: int
    lots: int
    clock: int

    @property
    def group(self) -> int:
        return self.key >> KEY_INSTRUMENT_SHIFT << 1 | self.key & 1


@dataclass
class PlainTable:
    """The operations by their definition, in append order."""

    cohorts: list[PlainCohort] = field(default_factory=list)
    hazard: list[int] = field(default_factory=lambda: [0] * GROUPS)

    def append(self, minute: int, opened: list[tuple[int, int, int, int]]) -> None:
        known = {(c.open_minute, c.row, c.key): c for c in self.cohorts}
        for row, key, lots, clock in opened:
            if (minute, row, key) in known:
                known[minute, row, key].lots += lots
            else:
                self.cohorts.append(PlainCohort(minute, row, key, lots, clock))

    def sweep(self, rows: list[int]) -> list[tuple[int, int, int, int]]:
        def is_hit(c: PlainCohort) -> bool:
            row = rows[c.group]
            return row != NO_TRIGGER and (c.row >= row if c.key & 1 == 0 else c.row <= row)

        hit = [c for c in self.cohorts if is_hit(c)]
        self.cohorts = [c for c in self.cohorts if not is_hit(c)]
        return [(c.open_minute, c.row, c.key, c.lots) for c in hit]

    def close(self, lots: list[int]) -> list[tuple[int, int, int, int]]:
        left = list(lots)
        taken = [0] * len(self.cohorts)
        for _, number in sorted((c.clock, number) for number, c in enumerate(self.cohorts)):
            cohort = self.cohorts[number]
            taken[number] = min(left[cohort.group], cohort.lots)
            left[cohort.group] -= taken[number]
            if taken[number]:
                self.hazard[cohort.group] = cohort.clock
        closed = [(c.open_minute, c.row, c.key, n) for c, n in zip(self.cohorts, taken, strict=True) if n]
        for cohort, count in zip(self.cohorts, taken, strict=True):
            cohort.lots -= count
        self.cohorts = [c for c in self.cohorts if c.lots]
        return closed


class Trio:
    """The same operations on the near set, on the exhaustive table and in plain Python."""

    def __init__(self) -> None:
        self.near = NumpyLiveTable(GROUPS)
        self.exhaustive = NumpyLiveTable(GROUPS, exhaustive=True)
        self.plain = PlainTable()
        self.minute = 0

    def do(self, kind: str, amount: int, seed: int) -> None:
        generator = np.random.Generator(np.random.PCG64(seed))
        getattr(self, kind)(amount, generator)
        self.compare()

    def append(self, amount: int, generator: np.random.Generator) -> None:
        """Open cohorts in this minute or a later one; few rows and few waits, so that many join and many clocks tie."""
        self.minute += int(generator.integers(0, 3))
        names = {
            (int(r), int(k))
            for r, k in zip(generator.integers(0, ROWS, amount), generator.integers(0, 8, amount), strict=True)
        }
        opened = []
        for row, number in sorted(names):
            key = number >> 2 << KEY_INSTRUMENT_SHIFT | number & 3
            group = number >> 2 << 1 | number & 1
            wait = int(generator.integers(0, 30)) * int(generator.choice([0, 7, 500, 60_000, 10**9]))
            opened.append((row, key, int(generator.integers(1, 40)), self.plain.hazard[group] + wait))
        columns = np.array(opened, np.int64).reshape(-1, 4)
        rows, keys = columns[:, 0].astype(np.int32), columns[:, 1].astype(np.uint16)
        for table in (self.near, self.exhaustive):
            table.append(self.minute, rows, keys, columns[:, 2].copy(), columns[:, 3].copy())
        self.plain.append(self.minute, opened)

    def sweep(self, amount: int, generator: np.random.Generator) -> None:
        """Let the price reach a little or a lot, on some of the groups."""
        depth = generator.integers(0, 1 + amount * ROWS // 100, GROUPS)
        rows = [int(d) if group % 2 else ROWS - int(d) for group, d in enumerate(depth)]
        rows = [NO_TRIGGER if absent else row for row, absent in zip(rows, generator.random(GROUPS) < 0.3, strict=True)]
        wanted = self.plain.sweep(rows)
        for table in (self.near, self.exhaustive):
            assert as_tuples(table.sweep(np.array(rows, np.int64))) == wanted

    def close(self, amount: int, generator: np.random.Generator) -> None:
        """Close up to all of each group."""
        share = np.minimum(generator.integers(0, 1 + amount, GROUPS), 100)
        share[generator.random(GROUPS) < 0.3] = 0
        lots = [int(n) for n in self.exhaustive.lots_by_group() * share // 100]
        wanted = self.plain.close(lots)
        for table in (self.near, self.exhaustive):
            batch, reached = table.close(np.array(lots, np.int64))
            assert as_tuples(batch) == wanted
            assert reached.tolist() == self.plain.hazard

    def compare(self) -> None:
        wanted = [(c.open_minute, c.row, c.key, c.lots, c.clock) for c in self.plain.cohorts]
        totals = [sum(c.lots for c in self.plain.cohorts if c.group == group) for group in range(GROUPS)]
        for table in (self.near, self.exhaustive):
            batch, clocks = table.cohorts()
            assert [(*c, clock) for c, clock in zip(as_tuples(batch), clocks.tolist(), strict=True)] == wanted
            assert table.lots_by_group().tolist() == totals
            assert len(table) == len(wanted)


@pytest.mark.slow
@fewer_examples(2)
@given(operations)
def test_near_set_returns_what_an_exhaustive_scan_returns(plan: list[Operation]) -> None:
    with small_table_constants():
        trio = Trio()
        for kind, amount, seed in plan:
            trio.do(kind, amount, seed)


@pytest.mark.slow
@fewer_examples(2)
@given(operations)
def test_shipped_constants_return_what_an_exhaustive_scan_returns(plan: list[Operation]) -> None:
    trio = Trio()
    for kind, amount, seed in plan:
        trio.do(kind, amount, seed)


def test_small_constants_reach_fetching_letting_go_and_dropping(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"_fetch": 0, "_sort_in": 0, "_let_go": 0, "renumber": 0}
    for name in calls:
        real = getattr(DueIndex, name)

        def counted(index: DueIndex, *arguments: object, name: str = name, real: object = real) -> object:
            before = len(index._code)
            result = real(index, *arguments)  # type: ignore[operator]
            calls[name] += name != "_let_go" or len(index._code) < before
            return result

        monkeypatch.setattr(DueIndex, name, counted)
    generator = np.random.Generator(np.random.PCG64(1))

    with small_table_constants():
        trio = Trio()
        for seed in range(150):
            trio.do(
                str(generator.choice(["append", "append", "sweep", "close"])), int(generator.integers(0, 101)), seed
            )

    assert min(calls.values()) >= 5


@pytest.mark.parametrize("clock", [1 << 47, -(1 << 47) - 1])
def test_clock_that_does_not_fit_beside_its_group_is_refused(clock: int) -> None:
    table = NumpyLiveTable(GROUPS)

    with pytest.raises(ModelError, match=r"not all within \+-2\^47"):
        table.append(5, np.array([1], np.int32), np.array([0], np.uint16), np.array([1]), np.array([clock]))


@pytest.mark.parametrize("exhaustive", [False, True])
def test_clocks_at_the_ends_of_what_fits_close_in_order(exhaustive: bool) -> None:
    table = NumpyLiveTable(GROUPS, exhaustive=exhaustive)
    clocks = np.array([(1 << 47) - 1, -(1 << 47), 0])
    rows, keys = np.array([1, 2, 3], np.int32), np.zeros(3, np.uint16)
    table.append(5, rows, keys, np.array([4, 5, 6]), clocks)

    first, _ = table.close(np.array([7, 0, 0, 0]))
    rest, reached = table.close(np.array([8, 0, 0, 0]))

    assert as_tuples(first) == [(5, 2, 0, 5), (5, 3, 0, 2)]
    assert as_tuples(rest) == [(5, 1, 0, 4), (5, 3, 0, 4)]
    assert reached[0] == (1 << 47) - 1
