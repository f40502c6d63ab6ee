"""A derived book is a faithful multiple of the original one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import year_book
from benchmarks.year_book import FINE_DAYS, MAX_ROW_SHIFT, derived, derived_ledger, schedule
from liqscape.axes import TIMEFRAMES, RowRange
from liqscape.clock import SystemClock
from liqscape.device.backend import CohortBatch, LedgerColumns
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.feeds.simulate import SimulateSource
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT, default_weights, no_weights

FIRST_MINUTE = year_book.MIDNIGHT_MINUTE - 5 * year_book.MINUTES_PER_DAY


def some_events(count: int = 400) -> LedgerColumns:
    """Return cohorts that open over three days; every other one ends a while later."""
    generator = np.random.default_rng(7)
    opened = FIRST_MINUTE + np.sort(generator.integers(0, 3 * 1440, count)).astype(np.int32)
    row = generator.integers(3900, 4100, count).astype(np.int32)
    key = generator.integers(0, 18, count).astype(np.uint16)
    lots = generator.integers(1, 10**6, count)
    ends = np.arange(count) % 2 == 0
    minute = np.concatenate((opened, opened[ends] + generator.integers(0, 1440, int(ends.sum())))).astype(np.int32)
    cause = np.concatenate((np.zeros(count), np.ones(int(ends.sum())))).astype(np.uint8)
    order = np.lexsort((cause, minute))
    return LedgerColumns(
        minute[order],
        np.concatenate((opened, opened[ends]))[order],
        np.concatenate((row, row[ends]))[order],
        np.concatenate((key, key[ends]))[order],
        np.concatenate((lots, -lots[ends]))[order],
        cause[order],
    )


def batch_of(events: LedgerColumns) -> CohortBatch:
    """Return the cohorts of events."""
    return CohortBatch(events.open_minute, events.row, events.key, np.abs(events.lots))


def test_first_instrument_of_a_derived_batch_is_the_original() -> None:
    batch = batch_of(some_events())

    copies = derived(batch, 3)

    assert np.array_equal(copies.row[::3], batch.row)
    assert np.array_equal(copies.key[::3], batch.key)
    assert np.array_equal(copies.lots[::3], batch.lots)


def test_every_end_matches_the_opening_of_its_copy() -> None:
    events = some_events()

    copies = derived(batch_of(events), 5)

    signed = copies.lots * np.repeat(np.sign(events.lots), 5)
    _, cohort = np.unique(np.stack((copies.open_minute, copies.row, copies.key)), axis=1, return_inverse=True)
    left = np.zeros(cohort.max() + 1, np.int64)
    np.add.at(left, cohort.reshape(-1), signed)
    originals = np.unique(np.stack((events.open_minute, events.row, events.key)), axis=1).shape[1]
    assert len(left) == 5 * originals
    assert (left >= 0).all()
    assert (left == 0).any()
    assert (left > 0).any()


def test_copies_differ_from_each_other_within_bounds() -> None:
    batch = batch_of(some_events())

    copies = derived(batch, 4)

    shift = copies.row.reshape(-1, 4) - batch.row[:, None]
    assert np.abs(shift).max() == MAX_ROW_SHIFT
    assert (shift[:, 1] != shift[:, 2]).any()
    assert np.array_equal(copies.key.reshape(-1, 4) >> KEY_INSTRUMENT_SHIFT, np.tile(np.arange(4), (len(batch), 1)))


@pytest.mark.parametrize("merge_at_events", [500, 10**9])
def test_derived_ledger_gives_the_grids_of_its_events_however_often_it_is_merged(merge_at_events: int) -> None:
    events = some_events()
    copies = derived(batch_of(events), 3)
    minute, rows = int(events.minute[-1]), RowRange(3800 // 5, 80, 5)
    lots = copies.lots * np.repeat(np.sign(events.lots), 3)

    ledger, merges = derived_ledger(events, 3, merge_at_events)

    assert bool(merges) == (merge_at_events == 500)
    frame = next(f for f in TIMEFRAMES if f.name == "3d")
    weights = no_weights(3)
    weights[1 << KEY_INSTRUMENT_SHIFT : 2 << KEY_INSTRUMENT_SHIFT] = 1
    grid = NumpyBackend().project(ledger.capture(), frame, minute, rows, weights)
    inside = (copies.key >> KEY_INSTRUMENT_SHIFT == 1) & (copies.open_minute >= frame.first_column(minute) * 5)
    inside &= (copies.row // 5 >= rows.first) & (copies.row // 5 < rows.first + rows.count)
    assert int(grid[-1].sum()) == int(lots[inside].sum()) > 0


def test_merging_changes_no_grid_of_a_derived_ledger() -> None:
    events = some_events()
    minute, rows = int(events.minute[-1]), RowRange(3800 // 10, 40, 10)
    backend, weights = NumpyBackend(), default_weights(3)

    often, whole = (derived_ledger(events, 3, limit)[0].capture() for limit in (500, 10**9))

    for frame in TIMEFRAMES:
        expected = backend.project(whole, frame, minute, rows, weights)
        assert np.array_equal(backend.project(often, frame, minute, rows, weights), expected)


def test_schedule_ends_by_the_minute_and_is_accepted_by_the_simulator() -> None:
    long, short = schedule(5), schedule(5, days=FINE_DAYS)

    assert (long[0].from_minutes_ago, long[0].step_minutes) == (365 * 1440, 5)
    assert long[1:] == short
    assert short[0].step_minutes == 1
    assert SimulateSource(clock=SystemClock(), past=long).progress().total == 363 * 288 + 2 * 1440
