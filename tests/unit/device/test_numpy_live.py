"""The table of open cohorts, with its near set and without: same answers."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.device.backend import NO_TRIGGER, CohortBatch
from liqscape.device.numpy_live import NumpyLiveTable
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.positions.weights import make_key
from tests.unit.synthetic_market import as_tuples

LONG, SHORT = make_key(0, 2, PositionSide.LONG), make_key(0, 2, PositionSide.SHORT)
OTHER_LONG = make_key(1, 2, PositionSide.LONG)
NONE = NO_TRIGGER


@pytest.fixture(params=["near set", "exhaustive"])
def table(request: pytest.FixtureRequest) -> NumpyLiveTable:
    """Return an empty table of two instruments."""
    return NumpyLiveTable(4, exhaustive=request.param == "exhaustive")


def append(table: NumpyLiveTable, minute: int, *cohorts: tuple[int, int, int, int]) -> None:
    """Open cohorts given as (row, key, lots, clock)."""
    columns = np.array(cohorts, np.int64).reshape(-1, 4)
    table.append(minute, columns[:, 0].astype(np.int32), columns[:, 1].astype(np.uint16), columns[:, 2], columns[:, 3])


def sweep(table: NumpyLiveTable, *rows: int) -> list[tuple[int, int, int, int]]:
    return as_tuples(table.sweep(np.array(rows, np.int64)))


def close(table: NumpyLiveTable, *lots: int) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    batch, reached = table.close(np.array(lots, np.int64))
    return as_tuples(batch), reached.tolist()


def held(table: NumpyLiveTable) -> list[tuple[int, int, int, int, int]]:
    """Return the open cohorts as (open minute, row, key, lots, clock)."""
    batch, clocks = table.cohorts()
    return [(*cohort, clock) for cohort, clock in zip(as_tuples(batch), clocks.tolist(), strict=True)]


def test_empty_table_ends_nothing(table: NumpyLiveTable) -> None:
    assert len(table) == 0
    assert sweep(table, 0, 10**6, NONE, NONE) == []
    assert close(table, 0, 0, 0, 0) == ([], [0, 0, 0, 0])
    assert held(table) == []
    assert table.lots_by_group().tolist() == [0, 0, 0, 0]


def test_cohorts_stay_in_append_order(table: NumpyLiveTable) -> None:
    append(table, 5, (30, LONG, 7, 100), (10, SHORT, 8, 200))
    append(table, 6, (20, LONG, 9, 50))

    assert held(table) == [(5, 30, LONG, 7, 100), (5, 10, SHORT, 8, 200), (6, 20, LONG, 9, 50)]
    assert len(table) == 3
    assert table.lots_by_group().tolist() == [16, 8, 0, 0]


def test_sweep_ends_longs_at_and_above_the_row_and_shorts_at_and_below(table: NumpyLiveTable) -> None:
    rows = (9, 10, 11)
    append(table, 5, *((row, LONG, row, 100) for row in rows), *((row + 10, SHORT, row, 100) for row in rows))

    swept = sweep(table, 10, 20, NONE, NONE)

    assert swept == [(5, 10, LONG, 10), (5, 11, LONG, 11), (5, 19, SHORT, 9), (5, 20, SHORT, 10)]
    assert [cohort[1:3] for cohort in held(table)] == [(9, LONG), (21, SHORT)]
    assert len(table) == 2


def test_sweep_touches_only_the_groups_with_a_trigger(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 1, 1), (10, SHORT, 2, 1), (10, OTHER_LONG, 3, 1))

    assert sweep(table, NONE, NONE, 0, NONE) == [(5, 10, OTHER_LONG, 3)]
    assert sweep(table, NONE, NONE, NONE, NONE) == []
    assert sweep(table, 0, NONE, NONE, NONE) == [(5, 10, LONG, 1)]
    assert sweep(table, NONE, 10**6, NONE, NONE) == [(5, 10, SHORT, 2)]


def test_sweeping_twice_ends_nothing_more(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 1, 1), (8, LONG, 2, 1))

    assert len(sweep(table, 9, NONE, NONE, NONE)) == 1
    assert sweep(table, 9, NONE, NONE, NONE) == []


def test_price_that_jumps_back_and_forth_finds_what_opened_meanwhile(table: NumpyLiveTable) -> None:
    append(table, 5, (1000, LONG, 1, 1), (5000, SHORT, 2, 1))
    calm = sweep(table, 3000, 3000, NONE, NONE)
    append(table, 6, (2900, LONG, 3, 1), (3100, SHORT, 4, 1), (10, LONG, 5, 1))

    crash = sweep(table, 900, 2800, NONE, NONE)
    rally = sweep(table, 4000, 6000, NONE, NONE)

    assert calm == []
    assert crash == [(5, 1000, LONG, 1), (6, 2900, LONG, 3)]
    assert rally == [(5, 5000, SHORT, 2), (6, 3100, SHORT, 4)]
    assert [cohort[:2] for cohort in held(table)] == [(6, 10)]


def test_closes_go_by_clock_then_append_order_and_come_back_in_append_order(table: NumpyLiveTable) -> None:
    append(table, 5, (30, LONG, 5, 900), (20, LONG, 5, 100), (10, LONG, 5, 400))
    append(table, 6, (11, LONG, 5, 100))

    closed, reached = close(table, 12, 0, 0, 0)

    assert closed == [(5, 20, LONG, 5), (5, 10, LONG, 2), (6, 11, LONG, 5)]
    assert reached == [400, 0, 0, 0]
    assert held(table) == [(5, 30, LONG, 5, 900), (5, 10, LONG, 3, 400)]


def test_equal_clocks_close_in_append_order(table: NumpyLiveTable) -> None:
    append(table, 5, *((row, LONG, 2, 100) for row in (50, 10, 30)))

    closed, _ = close(table, 3, 0, 0, 0)

    assert closed == [(5, 50, LONG, 2), (5, 10, LONG, 1)]


def test_clock_last_reached_stays_where_nothing_closes(table: NumpyLiveTable) -> None:
    append(table, 5, (30, LONG, 5, 900), (30, SHORT, 5, 70), (20, OTHER_LONG, 5, 33))

    _, first = close(table, 1, 0, 2, 0)
    _, second = close(table, 0, 3, 0, 0)
    _, third = close(table, 0, 0, 0, 0)

    assert (first, second, third) == ([900, 0, 33, 0], [900, 70, 33, 0], [900, 70, 33, 0])


def test_groups_close_in_one_call_each_by_its_own_clocks(table: NumpyLiveTable) -> None:
    append(table, 5, (1, LONG, 4, 10), (2, SHORT, 4, 1_000_000), (3, OTHER_LONG, 4, 5), (4, LONG, 4, 1))

    closed, reached = close(table, 5, 4, 1, 0)

    assert closed == [(5, 1, LONG, 1), (5, 2, SHORT, 4), (5, 3, OTHER_LONG, 1), (5, 4, LONG, 4)]
    assert reached == [10, 1_000_000, 5, 0]


def test_clock_far_beyond_what_was_reached_is_found(table: NumpyLiveTable) -> None:
    append(table, 5, (1, LONG, 4, 10), (2, LONG, 4, 1 << 40))

    assert close(table, 8, 0, 0, 0) == ([(5, 1, LONG, 4), (5, 2, LONG, 4)], [1 << 40, 0, 0, 0])
    assert len(table) == 0


def test_swept_cohort_is_not_closed(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 4, 1), (20, LONG, 4, 2))
    sweep(table, 20, NONE, NONE, NONE)

    assert close(table, 4, 0, 0, 0)[0] == [(5, 10, LONG, 4)]


def test_closing_more_than_is_open_is_a_defect(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 4, 1))

    with pytest.raises(ModelError, match=r"asked to close \[5, 0, 0, 0\] lots by group"):
        close(table, 5, 0, 0, 0)


def test_same_minute_row_and_key_joins_and_keeps_clock_and_place(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 4, 100), (20, LONG, 1, 50))

    append(table, 5, (10, LONG, 3, 999), (10, SHORT, 2, 7))

    assert held(table) == [(5, 10, LONG, 7, 100), (5, 20, LONG, 1, 50), (5, 10, SHORT, 2, 7)]
    assert len(table) == 3


def test_cohort_of_another_minute_does_not_join(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 4, 100))

    append(table, 6, (10, LONG, 3, 999))

    assert held(table) == [(5, 10, LONG, 4, 100), (6, 10, LONG, 3, 999)]


def test_joined_lots_are_swept_and_closed_with_the_rest(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 4, 100))
    sweep(table, 11, NONE, NONE, NONE)
    append(table, 5, (10, LONG, 3, 1))

    assert close(table, 5, 0, 0, 0) == ([(5, 10, LONG, 5)], [100, 0, 0, 0])
    assert sweep(table, 10, NONE, NONE, NONE) == [(5, 10, LONG, 2)]


@pytest.mark.parametrize("cause", ["swept", "closed"])
def test_ended_cohort_is_not_joined(table: NumpyLiveTable, cause: str) -> None:
    append(table, 5, (10, LONG, 4, 100))
    if cause == "swept":
        sweep(table, 10, NONE, NONE, NONE)
    else:
        close(table, 4, 0, 0, 0)

    append(table, 5, (10, LONG, 3, 200))

    assert held(table) == [(5, 10, LONG, 3, 200)]


def test_table_grows_beyond_its_first_capacity(table: NumpyLiveTable) -> None:
    for minute in range(10):
        append(table, minute, *((row, LONG, 1, row) for row in range(1000)))

    assert len(table) == 10_000
    assert table.lots_by_group().tolist() == [10_000, 0, 0, 0]
    assert len(sweep(table, 990, NONE, NONE, NONE)) == 100
    assert len(close(table, 9900, 0, 0, 0)[0]) == 9900


def test_what_was_returned_does_not_change_later(table: NumpyLiveTable) -> None:
    append(table, 5, (10, LONG, 4, 100), (20, LONG, 4, 200))
    before, clocks = table.cohorts()
    swept: CohortBatch = table.sweep(np.array([20, NONE, NONE, NONE]))

    append(table, 5, (10, LONG, 4, 100))
    close(table, 8, 0, 0, 0)

    assert as_tuples(before) == [(5, 10, LONG, 4), (5, 20, LONG, 4)]
    assert clocks.tolist() == [100, 200]
    assert as_tuples(swept) == [(5, 20, LONG, 4)]


def test_clocks_may_lie_as_far_apart_as_clocks_can(table: NumpyLiveTable) -> None:
    lowest, highest = -(1 << 47), (1 << 47) - 1
    append(table, 1, (1, LONG, 5, lowest), (2, LONG, 6, highest))

    assert close(table, 5, 0, 0, 0)[1] == [lowest, 0, 0, 0]
    assert close(table, 6, 0, 0, 0)[1] == [highest, 0, 0, 0]
