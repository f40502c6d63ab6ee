"""I1: a grid is the sum of its events by definition, whatever their order, their batches and their blocks.

Seen to fail when broken on purpose, one at a time, in numpy_grid.py:
- accumulate: `np.add.at(cells, ...)` set to `cells[...] += ...`; weights read as float32;
  `min(start + _BLOCK_EVENTS, end)` one event short; `events.open_minute[block] >= first_minute` set to `>`;
- project: `now_minute + 1` set to `now_minute`; the running sum stopped one column early; what came after
  an older newest column left out (the second accumulate dropped).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device import numpy_grid
from liqscape.device.numpy_backend import NumpyBackend
from tests.conftest import IS_FULL
from tests.unit.synthetic_market import make_batch

ROWS = RowRange(first=4, count=6, multiple=5)
START = 10_000
IN_FULL = np.full(64, WEIGHT_ONE, np.uint16)

# Most examples that come to mind first are nearly empty grids, and each is cheap.
MANY = settings(max_examples=1000 if IS_FULL else 50)

frames = st.builds(
    Timeframe,
    st.just("test"),
    column_minutes=st.sampled_from((2, 5, 15)),
    columns=st.integers(4, 9),
    span_permille=st.just(100),
    min_row_multiple=st.just(1),
)
# In full, a filter, and anything that 16 bits can say.
weights = st.sampled_from(
    (
        IN_FULL,
        np.where(np.arange(64) % 2 == 0, WEIGHT_ONE, 0).astype(np.uint16),
        np.random.Generator(np.random.PCG64(1)).integers(0, 65_536, 64).astype(np.uint16),
    )
)


@dataclass(frozen=True)
class Life:
    """A cohort: opened, then ended in parts; minutes count from START."""

    opened: int
    row: int
    key: int
    ends: tuple[tuple[int, int], ...]
    left: int

    def events(self) -> list[tuple[int, int, int, int, int]]:
        """Return (minute, open minute, row, key, signed lots)."""
        born = START + self.opened
        total = self.left + sum(lots for _, lots in self.ends)
        ends = [(born + after, born, self.row, self.key, -lots) for after, lots in self.ends]
        return [(born, born, self.row, self.key, total), *ends]


lots = st.one_of(st.integers(1, 9), st.integers(1, 2**44))
lives = st.lists(
    st.builds(
        Life,
        opened=st.integers(0, 60),
        row=st.integers(15, 55),
        key=st.integers(0, 63),
        ends=st.lists(st.tuples(st.integers(0, 40), lots), max_size=3).map(tuple),
        left=lots,
    ),
    min_size=12,
    max_size=30,
)


def project(
    events: list[tuple[int, int, int, int, int]],
    frame: Timeframe,
    now: int,
    table: NDArray[np.uint16],
    newest: int | None = None,
) -> list[list[int]]:
    """Log events in the order given within each minute, one batch each, and project them."""
    backend = NumpyBackend()
    ledger = backend.ledger()
    for minute, open_minute, row, key, signed in sorted(events, key=lambda event: event[0]):
        ledger.append(minute, make_batch((open_minute, row, key, abs(signed))), 1 if signed > 0 else -1, 0)
    grid: list[list[int]] = backend.project(ledger.capture(), frame, now, ROWS, table, newest).tolist()
    return grid


def by_definition(
    all_lives: list[Life], frame: Timeframe, now: int, table: NDArray[np.uint16], newest: int | None = None
) -> list[list[int]]:
    """Return for each column what was opened in the window and not after it, and is still open at its end.

    The newest column ends now, whether now lies in it or after it.
    """
    grid = []
    newest = frame.column_of(now) if newest is None else newest
    first = newest - frame.columns + 1
    for column in range(first, newest + 1):
        end = now if column == newest else (column + 1) * frame.column_minutes - 1
        cells: dict[int, int] = defaultdict(int)
        for life in all_lives:
            born = START + life.opened
            if born // frame.column_minutes >= first and born <= end:
                still_open = life.left + sum(lots for after, lots in life.ends if born + after > end)
                cells[life.row // ROWS.multiple - ROWS.first] += still_open * int(table[life.key])
        grid.append([cells[row] for row in range(ROWS.count)])
    return grid


@pytest.mark.slow
@MANY
@given(lives, frames, st.integers(20, 110), weights)
def test_grid_is_what_the_definition_says(
    all_lives: list[Life], frame: Timeframe, now: int, table: NDArray[np.uint16]
) -> None:
    events = [event for life in all_lives for event in life.events()]

    assert project(events, frame, START + now, table) == by_definition(all_lives, frame, START + now, table)


@pytest.mark.slow
@MANY
@given(lives, frames, st.integers(20, 110), weights, st.integers(1, 3))
def test_grid_on_older_axes_counts_everything_up_to_now_in_its_newest_column(
    all_lives: list[Life], frame: Timeframe, now: int, table: NDArray[np.uint16], behind: int
) -> None:
    events = [event for life in all_lives for event in life.events()]
    newest = frame.column_of(START + now) - behind

    grid = project(events, frame, START + now, table, newest)

    assert grid == by_definition(all_lives, frame, START + now, table, newest)


@pytest.mark.slow
@MANY
@given(lives, frames, st.randoms(use_true_random=False), st.integers(1, 20))
def test_grid_does_not_depend_on_order_in_a_minute_or_on_blocks(
    all_lives: list[Life], frame: Timeframe, random: Random, block: int
) -> None:
    events = [event for life in all_lives for event in life.events()]
    shuffled = list(events)
    random.shuffle(shuffled)
    whole = project(events, frame, START + 70, IN_FULL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_grid, "_BLOCK_EVENTS", block)
        in_blocks = project(shuffled, frame, START + 70, IN_FULL)

    assert in_blocks == whole


@pytest.mark.slow
@MANY
@given(lives, frames, weights)
def test_grids_of_two_parts_of_the_keys_sum_to_the_whole(
    all_lives: list[Life], frame: Timeframe, table: NDArray[np.uint16]
) -> None:
    events = [event for life in all_lives for event in life.events()]
    one, other = table.copy(), table.copy()
    one[::3] = 0
    other[np.arange(64) % 3 != 0] = 0

    parts = [np.array(project(events, frame, START + 70, part)) for part in (one, other)]

    assert (parts[0] + parts[1]).tolist() == project(events, frame, START + 70, table)


@pytest.mark.slow
@MANY
@given(lives, frames)
def test_a_cohort_split_in_two_counts_the_same(all_lives: list[Life], frame: Timeframe) -> None:
    events = [event for life in all_lives for event in life.events()]
    halves = [(m, o, r, k, part) for m, o, r, k, n in events for part in (n // 2, n - n // 2) if part]

    assert project(halves, frame, START + 70, IN_FULL) == project(events, frame, START + 70, IN_FULL)
