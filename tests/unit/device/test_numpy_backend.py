"""Levels, the full recompute and the ring of levels, each against integers in plain Python."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.axes import WEIGHT_ONE, RowRange, Timeframe
from liqscape.device import numpy_grid
from liqscape.device.backend import NO_TRIGGER, AdvanceRequest, AppendRequest, CloseRequest, SweepRequest
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.device.numpy_ledger import NumpyLedger
from tests.unit.synthetic_market import as_tuples, make_batch

FRAME = Timeframe("test", column_minutes=5, columns=6, span_permille=100, min_row_multiple=1)
ROWS = RowRange(first=10, count=8, multiple=2)
IN_FULL = np.full(64, WEIGHT_ONE, np.uint16)
ONE_DOLLAR = np.full(ROWS.count, 1.0 / WEIGHT_ONE)
NOW = 1000

Event = tuple[int, int, int, int, int]  # minute, open minute, row, key, signed lots


def level_of(usd: int) -> int:
    """Return the level of whole dollars by its definition."""
    x = usd >> 6
    if x < 8:
        return x
    msb = x.bit_length() - 1
    return min(((msb - 2) << 3) + ((x >> (msb - 3)) & 7), 255)


def lowest_dollars(level: int) -> int:
    """Return the least dollars of a level."""
    if level < 8:
        return level << 6
    return (8 + (level & 7)) << ((level >> 3) - 1) << 6


def ledger_of(events: list[Event]) -> NumpyLedger:
    ledger = NumpyLedger()
    for minute, open_minute, row, key, lots in events:
        ledger.append(minute, make_batch((open_minute, row, key, abs(lots))), 1 if lots > 0 else -1, 0)
    return ledger


def project(events: list[Event], now: int = NOW, weights: NDArray[np.uint16] = IN_FULL) -> NDArray[np.int64]:
    return NumpyBackend().project(ledger_of(events).capture(), FRAME, now, ROWS, weights)


def brute_force(events: list[Event], now: int, weights: NDArray[np.uint16]) -> list[list[int]]:
    """Return the grid by its definition: for each column, what its end still holds of what the window opened."""
    first = FRAME.first_column(now)
    table = []
    for column in range(first, FRAME.column_of(now) + 1):
        cells: dict[int, int] = defaultdict(int)
        for minute, open_minute, row, key, lots in events:
            in_window = open_minute // FRAME.column_minutes >= first
            if in_window and minute <= now and minute // FRAME.column_minutes <= column:
                cells[row // ROWS.multiple] += lots * int(weights[key])
        table.append([cells[ROWS.first + i] for i in range(ROWS.count)])
    return table


def test_level_of_every_lower_bound_and_of_one_dollar_less() -> None:
    bounds = [lowest_dollars(level) for level in range(256)]

    at_bound = levels_of(np.array(bounds, np.int64), np.ones(256))
    below = levels_of(np.array(bounds[1:], np.int64) - 1, np.ones(255))

    assert at_bound.dtype == np.uint8
    assert at_bound.tolist() == list(range(256)) == [level_of(usd) for usd in bounds]
    assert below.tolist() == list(range(255))


def test_top_level_takes_everything_from_its_bound() -> None:
    dollars = [lowest_dollars(255) - 1, lowest_dollars(255), 10**13, 2**50]

    assert levels_of(np.array(dollars, np.int64), np.ones(4)).tolist() == [254, 255, 255, 255]
    assert round(lowest_dollars(255) / 1e12, 2) == 1.03


def test_a_level_is_at_most_an_eighth_of_an_octave_wide_above_512_dollars() -> None:
    for level in range(8, 255):
        low, high = lowest_dollars(level), lowest_dollars(level + 1)
        harmonic_mean = Fraction(2 * low * high, low + high)

        assert low < high
        assert max(harmonic_mean / low - 1, 1 - harmonic_mean / high) <= Fraction(59, 1000)


def test_dollars_are_truncated_before_they_become_a_level() -> None:
    factor = np.array([0.25])

    assert levels_of(np.array([[2047], [2048]], np.int64), factor).tolist() == [[7], [8]]  # 511.75 and 512 dollars


def test_factor_belongs_to_the_row() -> None:
    cells = np.full((2, 3), 1 << 20, np.int64)

    levels = levels_of(cells, np.array([1.0, 0.5, 0.25]))

    assert levels.tolist() == [[level_of(1 << 20), level_of(1 << 19), level_of(1 << 18)]] * 2


def test_levels_of_random_dollars_are_those_of_the_definition() -> None:
    generator = np.random.Generator(np.random.PCG64(11))
    dollars = (2.0 ** generator.uniform(0, 42, 20_000)).astype(np.int64)

    levels = NumpyBackend().levels(dollars * WEIGHT_ONE, np.full(20_000, 1.0 / WEIGHT_ONE))

    assert levels.tolist() == [level_of(usd) for usd in dollars.tolist()]


def test_cell_counts_from_the_column_of_opening_until_the_column_of_the_end() -> None:
    grid = project([(977, 977, 24, 0, 7), (988, 977, 24, 0, -3), (996, 977, 24, 0, -4)])

    # Columns 195..200; opened in 195, three lots end in 197, the rest in 199.
    assert (grid[:, 2] // WEIGHT_ONE).tolist() == [7, 7, 4, 4, 0, 0]
    assert grid.sum() == 22 * WEIGHT_ONE


def test_what_opens_and_ends_in_one_column_leaves_nothing() -> None:
    assert not project([(990, 990, 24, 0, 7), (994, 990, 24, 0, -7)]).any()


def test_what_opened_before_the_window_does_not_count_and_neither_do_its_ends() -> None:
    first_minute = FRAME.first_column(NOW) * FRAME.column_minutes

    grid = project(
        [
            (first_minute - 1, first_minute - 1, 24, 0, 7),
            (first_minute, first_minute, 24, 0, 1),
            (first_minute + 1, first_minute - 1, 24, 0, -7),
        ]
    )

    assert (grid[:, 2] // WEIGHT_ONE).tolist() == [1] * 6


def test_events_after_now_do_not_count() -> None:
    grid = project([(998, 998, 24, 0, 5), (1001, 1001, 24, 0, 7)], now=1000)

    assert (grid[-2:, 2] // WEIGHT_ONE).tolist() == [5, 5]


def test_rows_outside_the_range_are_left_out() -> None:
    grid = project([(999, 999, row, 0, 1) for row in (0, 19, 20, 35, 36, 2**31 - 1)])

    assert (grid[-2] // WEIGHT_ONE).tolist() == [1, 0, 0, 0, 0, 0, 0, 1]


def test_weight_of_the_key_multiplies() -> None:
    weights = np.zeros(64, np.uint16)
    weights[[3, 40]] = 1, 65_535

    grid = project([(999, 999, 24, 3, 10), (999, 999, 24, 40, 2**40), (999, 999, 24, 4, 1000)], weights=weights)

    assert grid[-1].tolist() == [0, 0, 10 + 65_535 * 2**40, 0, 0, 0, 0, 0]


def test_empty_ledger_is_a_grid_of_zeros() -> None:
    grid = project([])

    assert grid.shape == (6, 8)
    assert grid.dtype == np.int64
    assert not grid.any()


def test_projection_does_not_depend_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(970 + i // 3, 970 + i // 5, 18 + i % 20, i % 64, 1 + i) for i in range(90)]
    whole = project(events)

    monkeypatch.setattr("liqscape.device.numpy_grid._BLOCK_EVENTS", 7)

    assert project(events).tolist() == whole.tolist() == brute_force(events, NOW, IN_FULL)


class Channel:
    """A channel buffer, what a replica of it would hold, and the events it is fed."""

    def __init__(self) -> None:
        self.backend = NumpyBackend()
        self.ledger = NumpyLedger()
        self.buffer = self.backend.channel_buffer(FRAME, ROWS, IN_FULL, ONE_DOLLAR)
        self.replica = np.zeros(FRAME.columns * ROWS.count, np.uint8)

    def open(self, minute: int, row: int, lots: int) -> None:
        self.ledger.append(minute, make_batch((minute, row, 0, lots)), 1, 0)

    def end(self, minute: int, open_minute: int, row: int, lots: int) -> None:
        self.ledger.append(minute, make_batch((open_minute, row, 0, lots)), -1, 1)

    def advance(self, now: int) -> list[tuple[int, int, int]]:
        """Return what changed as (ring column, row, level), after checking it against the full recompute."""
        cells, levels = self.buffer.advance(self.ledger.capture(), now)
        assert [cells.dtype, levels.dtype] == [np.dtype(np.uint32), np.dtype(np.uint8)]
        assert (np.diff(cells.astype(np.int64)) > 0).all()
        assert (self.replica[cells] != levels).all(), "a cell was sent that has not changed"
        self.replica[cells] = levels
        grid = self.backend.project(self.ledger.capture(), FRAME, now, ROWS, IN_FULL)
        ring = np.zeros((FRAME.columns, ROWS.count), np.uint8)
        for index in range(FRAME.columns):
            ring[(FRAME.first_column(now) + index) % FRAME.columns] = levels_of(grid[index], ONE_DOLLAR)
        assert self.buffer.cells().tolist() == grid.tolist()
        assert self.buffer.levels().tolist() == ring.tolist() == self.replica.reshape(ring.shape).tolist()
        return [(c // ROWS.count, c % ROWS.count, x) for c, x in zip(cells.tolist(), levels.tolist(), strict=True)]


def test_first_advance_says_every_cell_that_is_not_zero() -> None:
    channel = Channel()
    channel.open(990, 24, 64)

    changed = channel.advance(1000)

    # Columns 198, 199, 200 sit at 0, 1, 2 of a ring of six.
    assert changed == [(0, 2, 1), (1, 2, 1), (2, 2, 1)]


def test_event_in_the_newest_column_changes_that_column_alone() -> None:
    channel = Channel()
    channel.open(990, 24, 64)
    channel.advance(1000)

    channel.open(1001, 24, 64)
    channel.open(1001, 20, 128)

    assert channel.advance(1001) == [(2, 0, 2), (2, 2, 2)]
    assert channel.advance(1002) == []


def test_change_that_leaves_the_level_is_not_said_and_adds_up() -> None:
    channel = Channel()
    channel.open(1000, 24, 64)
    channel.advance(1000)

    channel.open(1001, 24, 40)
    quiet = channel.advance(1001)
    channel.open(1001, 24, 24)
    loud = channel.advance(1001)

    assert (quiet, loud) == ([], [(2, 2, 2)])


def test_column_that_enters_replaces_the_one_that_leaves() -> None:
    channel = Channel()
    channel.open(976, 24, 64)  # column 195, the oldest
    channel.open(1000, 30, 128)
    channel.advance(1000)

    changed = channel.advance(1005)

    # The cohort of column 195 counts nowhere any more; column 201 sits where 195 was.
    assert (3, 2, 0) in changed
    assert (3, 5, 2) in changed
    assert sum(1 for _, row, level in changed if row == 2 and level == 0) == 6


@pytest.mark.parametrize("columns", [1, 2, 5, 6, 7, 12, 100])
def test_leap_over_columns_keeps_the_ring_in_place(columns: int) -> None:
    channel = Channel()
    for minute in range(970, 1001, 2):
        channel.open(minute, 20 + minute % 16, 64 * (minute - 960))
    channel.end(1000, 996, 20 + 996 % 16, 64 * 36)
    channel.advance(1000)

    now = 1000 + 5 * columns
    channel.open(now - 1, 25, 6400)
    channel.open(now, 26, 640)
    channel.advance(now)
    channel.advance(now + 4)

    assert channel.buffer.levels()[FRAME.column_of(now) % FRAME.columns].any()


@pytest.mark.parametrize("columns", range(5, 14))
def test_leap_clears_what_the_newest_column_no_longer_held(columns: int) -> None:
    channel = Channel()
    channel.open(976, 24, 64)
    channel.end(1000, 976, 24, 64)
    channel.advance(1000)

    channel.advance(1000 + 5 * columns)

    assert not channel.buffer.levels().any()


def test_window_that_has_been_left_behind_is_empty() -> None:
    channel = Channel()
    channel.open(1000, 24, 64)
    channel.advance(1000)

    changed = channel.advance(10_000)

    assert changed == [(2, 2, 0)]
    assert not channel.buffer.levels().any()


def test_column_numbers_and_ring_positions_agree_over_many_rolls() -> None:
    channel, generator = Channel(), np.random.Generator(np.random.PCG64(2))
    minute, opened = 5_000, []

    for _ in range(120):
        minute += int(generator.choice([0, 1, 3, 5, 11, 31], p=[0.3, 0.3, 0.2, 0.1, 0.07, 0.03]))
        for row in generator.integers(18, 38, 3).tolist():
            channel.open(minute, row, int(generator.integers(1, 5000)))
            opened.append((minute, row))
        open_minute, row = opened[int(generator.integers(len(opened)))]
        channel.end(minute, open_minute, row, 1)
        channel.advance(minute)


def test_project_can_be_ended_at_a_checkpoint_and_is_the_same_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_grid, "_SLICE_EVENTS", 3)
    events = [(990 + n // 2, 990, 20 + n, 0, n + 1) for n in range(10)]
    view = ledger_of(events).capture()
    calls: list[int] = []

    grid = NumpyBackend().project(view, FRAME, NOW, ROWS, IN_FULL, checkpoint=lambda: calls.append(1))

    assert grid.tolist() == project(events).tolist() == brute_force(events, NOW, IN_FULL)
    assert len(calls) == 4

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        NumpyBackend().project(view, FRAME, NOW, ROWS, IN_FULL, checkpoint=stop)


def test_level_of_what_passes_64_bits_is_the_highest() -> None:
    cells = np.array([2**62, 2**63 - 1], np.int64)

    assert levels_of(cells, np.array([3.0, 1e200])).tolist() == [255, 255]


def append_requests(backend: NumpyBackend) -> list[AppendRequest]:
    """Return cohorts for three tables: on row 10 + n, three lots of one long, more of a second one, none."""
    tables = [backend.live_table(4) for _ in range(3)]
    rows, keys = np.array([10, 11], np.int32), np.array([4, 36], np.uint16)
    counts = (2, 1, 0)
    return [
        AppendRequest(table, NOW, rows[:n] + n, keys[:n], np.arange(3, 3 + n), np.arange(7, 7 + n))
        for table, n in zip(tables, counts, strict=True)
    ]


def test_batches_on_tables_are_the_operations_of_each_table() -> None:
    backend = NumpyBackend()
    asked, singles = append_requests(backend), append_requests(backend)
    tables, alone = [one.table for one in asked], [one.table for one in singles]
    lots = [np.array(group) for group in ([1, 0, 4, 0], [2, 0, 0, 0], [0, 0, 0, 0])]
    triggers = [np.array([row, NO_TRIGGER, NO_TRIGGER, NO_TRIGGER]) for row in (12, 12, 0)]

    held = backend.append(asked)
    again = backend.append(asked)
    closed = backend.close([CloseRequest(table, n) for table, n in zip(tables, lots, strict=True)])
    swept = backend.sweep([SweepRequest(table, rows) for table, rows in zip(tables, triggers, strict=True)])

    for number, (table, one) in enumerate(zip(alone, singles, strict=True)):
        given = (one.open_minute, one.rows, one.keys, one.lots, one.clocks)
        assert table.append(*given).tolist() == held[number].tolist() == one.lots.tolist()
        assert table.append(*given).tolist() == again[number].tolist() == (2 * one.lots).tolist()
        ended, reached = table.close(lots[number])
        assert as_tuples(ended) == as_tuples(closed[number][0])
        assert reached.tolist() == closed[number][1].tolist()
        assert as_tuples(table.sweep(triggers[number])) == as_tuples(swept[number])
        assert as_tuples(table.cohorts()[0]) == as_tuples(tables[number].cohorts()[0])
    assert [len(batch) for batch, _ in closed] == [2, 1, 0]
    assert [len(batch) for batch in swept] == [1, 0, 0]


def test_batch_of_channels_is_the_advance_of_each() -> None:
    backend = NumpyBackend()
    views = [ledger_of([(999, 990, 24 + n, 0, 640), (1000, 1000, 20, 1, 64 * n)]).capture() for n in (1, 2, 3)]
    buffers, alone = ([backend.channel_buffer(FRAME, ROWS, IN_FULL, ONE_DOLLAR) for _ in views] for _ in range(2))
    newest = (None, 200, 199)

    changed = backend.advance(
        [AdvanceRequest(b, view, NOW, column) for b, view, column in zip(buffers, views, newest, strict=True)]
    )

    for number, buffer in enumerate(alone):
        cells, levels = buffer.advance(views[number], NOW, newest[number])
        assert (cells.tolist(), levels.tolist()) == tuple(column.tolist() for column in changed[number])
        assert buffer.cells().tolist() == buffers[number].cells().tolist()
    assert len({len(cells) for cells, _ in changed}) > 1


def test_empty_batch_is_nothing() -> None:
    backend = NumpyBackend()

    assert (backend.sweep([]), backend.close([]), backend.append([]), backend.advance([])) == ([], [], [], [])
