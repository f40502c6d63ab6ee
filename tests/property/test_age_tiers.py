"""I4 and I5: merging old events changes no grid that may be asked for; a boundary that is too new does.

Events are spread over a year and a half with more of them in the recent past, ends a random while after their opening.
Compactions happen at random moments, also late, while the ledger grows.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from liqscape.axes import TIMEFRAMES, WEIGHT_ONE, RowRange
from liqscape.device import compaction_plan
from liqscape.device.age_tiers import AGE_TIERS, RAW_MINUTES, boundaries
from liqscape.device.backend import CohortBatch, LedgerView
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_ledger import NumpyLedger

YEAR = 365 * 1440
START = 28_000_000
KEYS = 64
BACKEND = NumpyBackend()


def rows_of(number: int) -> RowRange:
    """Few rows, so that a projection costs little; multiples that the timeframe may have."""
    return RowRange(4, 24, TIMEFRAMES[number].min_row_multiple)


def cohort(open_minute: int, row: int, key: int, lots: int) -> CohortBatch:
    return CohortBatch(
        np.array([open_minute], np.int32), np.array([row], np.int32), np.array([key], np.uint16), np.array([lots])
    )


def events(seed: int, count: int) -> list[tuple[int, int, int, int, int, int]]:
    """Return (minute, open minute, row, key, signed lots, cause) in time order, over 550 days."""
    rng = np.random.default_rng(seed)
    found: list[tuple[int, int, int, int, int, int]] = []
    for _ in range(count):
        age = int(10 ** rng.uniform(0, np.log10(1.5 * YEAR)))
        opened = START + int(1.5 * YEAR) - age
        row, key, lots = int(rng.integers(0, 250)), int(rng.integers(0, KEYS)), int(rng.integers(1, 1 << 30))
        found.append((opened, opened, row, key, lots, 0))
        ended = opened + int(10 ** rng.uniform(0, 5.5))
        part = lots if rng.random() < 0.7 else int(rng.integers(1, lots + 1))
        if ended < START + int(1.5 * YEAR):
            found.append((ended, opened, row, key, -part, int(rng.integers(1, 3))))
    return sorted(found)


def weights_of(seed: int) -> NDArray[np.uint16]:
    """Return no filter, a filter, or a desk's own weights."""
    rng = np.random.default_rng(seed)
    kind = seed % 3
    if kind == 0:
        return np.full(KEYS, WEIGHT_ONE, np.uint16)
    if kind == 1:
        return np.where(rng.random(KEYS) < 0.5, WEIGHT_ONE, 0).astype(np.uint16)
    return rng.integers(0, 1 << 16, KEYS).astype(np.uint16)


def grids(view: LedgerView, minute: int, weights: NDArray[np.uint16]) -> list[NDArray[np.int64]]:
    return [BACKEND.project(view, f, minute, rows_of(n), weights) for n, f in enumerate(TIMEFRAMES)]


def fill(plain: NumpyLedger, merged: NumpyLedger, seed: int, count: int, compact_at: list[tuple[int, int]]) -> int:
    """Log the same events twice, compacting one ledger after some of them, late by so many minutes; return the last."""
    due = dict(compact_at)
    minute = START
    for number, (minute, opened, row, key, lots, cause) in enumerate(events(seed, count)):
        for ledger in (plain, merged):
            ledger.append(minute, cohort(opened, row, key, abs(lots)), 1 if lots > 0 else -1, cause)
        if number in due:
            merged.adopt(merged.capture().compacted(minute - due[number]))
    return minute


@settings(max_examples=max((settings.default or settings()).max_examples // 2, 20))
@given(
    seed=st.integers(0, 1 << 30),
    compact_at=st.lists(st.tuples(st.integers(0, 500), st.sampled_from([0, 1, 59, 1440, 20_000])), max_size=6),
    slide=st.integers(0, 3000),
    back=st.integers(0, RAW_MINUTES),
)
def test_merged_ledger_gives_every_grid_of_the_last_day(
    seed: int, compact_at: list[tuple[int, int]], slide: int, back: int
) -> None:
    plain, merged = NumpyLedger(), NumpyLedger()
    last = fill(plain, merged, seed, 300, compact_at)
    weights = weights_of(seed)

    merged.adopt(merged.capture().compacted(last))
    later = last + slide  # time passes without events or compaction

    for asked in (last, last - back, later):
        expected, found = grids(plain.capture(), asked, weights), grids(merged.capture(), asked, weights)
        for frame, one, other in zip(TIMEFRAMES, expected, found, strict=True):
            assert (one == other).all(), f"{frame.name} as of {asked - last:+d} min"


@settings(max_examples=max((settings.default or settings()).max_examples // 2, 20))
@given(seed=st.integers(0, 1 << 30), lags=st.lists(st.integers(0, 2880), min_size=1, max_size=4))
def test_compacting_often_or_once_leaves_the_same_lots(seed: int, lags: list[int]) -> None:
    plain, merged = NumpyLedger(), NumpyLedger()
    last = fill(plain, merged, seed, 200, [])
    merged.adopt(merged.capture().compacted(last - 2880))
    for lag in sorted(lags, reverse=True):
        merged.adopt(merged.capture().compacted(last - lag))
    plain.adopt(plain.capture().compacted(last - min(lags)))

    for one, other in zip(plain.capture().tiers(), merged.capture().tiers(), strict=True):
        assert sorted_rows(one) == sorted_rows(other)


def sorted_rows(tier: object) -> list[tuple[int, ...]]:
    names = ("minute", "open_minute", "row", "key", "cause", "lots")
    return sorted(zip(*(getattr(tier, name).tolist() for name in names), strict=True))


@pytest.mark.parametrize("tier", range(len(AGE_TIERS)))
def test_boundary_newer_than_allowed_is_caught(tier: int, monkeypatch: pytest.MonkeyPatch) -> None:
    following = AGE_TIERS[min(tier + 1, len(AGE_TIERS) - 1)].bin_minutes
    now = START + int(1.5 * YEAR)
    # One cohort in the first column of the tier's own timeframe as it was a day ago, just inside the window.
    frame = AGE_TIERS[tier].frame
    first_minute = frame.first_column(now - RAW_MINUTES) * frame.column_minutes
    number = TIMEFRAMES.index(frame)
    row = rows_of(number).first * rows_of(number).multiple

    def too_new(now_minute: int) -> tuple[int, ...]:
        true = list(boundaries(now_minute))
        true[tier] = first_minute + 2 * following
        return tuple(true)

    def as_of_a_day_ago() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        plain, merged = NumpyLedger(), NumpyLedger()
        for ledger in (plain, merged):
            for opened in range(first_minute, first_minute + 2 * following):
                ledger.append(opened, cohort(opened, row, 0, 1 + opened % 7), 1, 0)
            ledger.append(now, cohort(now, row, 0, 1), 1, 0)
        merged.adopt(merged.capture().compacted(now))
        weights = np.full(KEYS, WEIGHT_ONE, np.uint16)
        rows = rows_of(number)
        return tuple(BACKEND.project(x.capture(), frame, now - RAW_MINUTES, rows, weights) for x in (plain, merged))  # type: ignore[return-value]

    plain, merged = as_of_a_day_ago()
    assert (plain == merged).all()

    monkeypatch.setattr(compaction_plan, "boundaries", too_new)
    plain, merged = as_of_a_day_ago()
    assert (plain != merged).any()


def test_a_timeframe_reads_the_tiers_up_to_its_own() -> None:
    now = START + int(1.5 * YEAR)
    ledger = NumpyLedger()
    ledger.append(now, cohort(now, 0, 0, 1), 1, 0)
    ledger.adopt(ledger.capture().compacted(now))
    read = {
        f.name: len(ledger.capture().tiers_from(f.first_column(now - RAW_MINUTES) * f.column_minutes))
        for f in TIMEFRAMES
    }

    assert read == {"12h": 1, "24h": 1, "3d": 2, "1w": 3, "2w": 4, "1m": 5, "3m": 6, "6m": 7, "1y": 8}


def test_bins_nest_and_divide_the_columns_that_read_them() -> None:
    for number, tier in enumerate(AGE_TIERS):
        assert all(later.bin_minutes % tier.bin_minutes == 0 for later in AGE_TIERS[number:])
        readers = [frame for frame in TIMEFRAMES if frame.column_minutes >= tier.frame.column_minutes]
        assert all(frame.column_minutes % tier.bin_minutes == 0 for frame in readers)
        assert all(frame.row_multiple_unit % tier.row_unit == 0 for frame in readers)
