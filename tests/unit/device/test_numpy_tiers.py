"""However often and in whatever pieces the past is merged, its tiers are what the definition says, sorted.

Seen to fail when broken on purpose, one at a time: compaction_plan.py: plan_tier: `changed_from` not floored, or
younger tiers not asked, or `unmerged` not heeded; _spans: multiples of 90 minutes; numpy_tiers.py: _refilled: the
boundary of what is kept not applied; _merged: sums of zero kept.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from liqscape.device import numpy_tiers
from liqscape.device.age_tiers import AGE_TIERS, RAW_MINUTES, boundaries
from liqscape.device.backend import LedgerColumns
from liqscape.device.numpy_tiers import CompactedPast, compact

FIRST = 29_000_000
Event = tuple[int, int, int, int, int]
"""Event minute, row, open minute, key, cause."""


def some_events(days: int, count: int = 3000) -> LedgerColumns:
    """Return events in time order, many of them of the last two days and of a few old cohorts, so that they meet."""
    generator = np.random.default_rng(days)
    last = FIRST + days * 1440
    minute = np.sort(
        np.concatenate((generator.integers(FIRST, last, count), last - generator.integers(1300, 3000, count)))
    )
    age = generator.exponential(days * 300, 2 * count) * (generator.random(2 * count) < 0.6)
    opened = np.maximum(minute - age.astype(np.int64), FIRST - 360 * 1440)
    opened = np.where(generator.random(2 * count) < 0.5, np.minimum(opened, last - 10_000) // 50_000 * 50_000, opened)
    return LedgerColumns(
        minute=minute.astype(np.int32),
        open_minute=opened.astype(np.int32),
        row=generator.integers(4000, 4020, 2 * count).astype(np.int32),
        key=generator.integers(0, 3, 2 * count).astype(np.uint16),
        lots=generator.integers(-3, 4, 2 * count),
        cause=generator.integers(0, 3, 2 * count).astype(np.uint8),
    )


def defined(raw: LedgerColumns, now_minute: int) -> list[dict[Event, int]]:
    """Return each tier as it is defined: lots by event, sums of zero left out."""
    tiers: list[Counter[Event]] = [Counter() for _ in AGE_TIERS]
    limits = boundaries(now_minute)
    columns = (raw.minute, raw.open_minute, raw.row, raw.key, raw.lots, raw.cause)
    for minute, opened, row, key, lots, cause in zip(*(column.tolist() for column in columns), strict=True):
        number = next((n for n, limit in enumerate(limits) if opened >= limit), None)
        if minute > now_minute - RAW_MINUTES or number is None:
            continue
        width, unit = AGE_TIERS[number].bin_minutes, AGE_TIERS[number].row_unit
        kept = cause if AGE_TIERS[number].keeps_cause else 0
        floored = (minute // width * width, row // unit * unit, opened // width * width, key, kept)
        tiers[number][floored] += lots
    return [{event: lots for event, lots in tier.items() if lots} for tier in tiers]


def told(past: CompactedPast) -> list[list[tuple[Event, int]]]:
    """Return each tier as (event, lots) in the order it is held."""
    tiers = []
    for tier in past.tiers:
        columns = (tier.minute, tier.row, tier.open_minute, tier.key, tier.cause)
        events = zip(*(column.tolist() for column in columns), strict=True)
        tiers.append(list(zip(events, tier.lots.tolist(), strict=True)))
    return tiers


@pytest.mark.parametrize("span_events", [300, 1 << 20])
@pytest.mark.parametrize(("days", "step_minutes"), [(4, 61), (4, 5000), (50, 2881), (300, 10_007), (300, 300_000)])
def test_tiers_are_what_the_definition_says_however_they_came_about(
    days: int, step_minutes: int, span_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numpy_tiers, "_SPAN_EVENTS", span_events)
    raw, past = some_events(days), CompactedPast.nothing()
    last = int(raw.minute[-1])

    for now in (*range(FIRST + RAW_MINUTES, last - 600, step_minutes), *range(last - 600, last, 61), last):
        past = compact(raw, 0, past, now)

    assert [sorted(tier.items()) for tier in defined(raw, last)] == told(past)
    assert past.events > 300


def test_rows_that_were_coarsened_are_merged_by_the_next_compaction() -> None:
    raw = some_events(300)
    last = int(raw.minute[-1])
    past = compact(raw, 0, CompactedPast.nothing(), last - 60).on_coarser_rows(5)
    coarse = LedgerColumns(raw.minute, raw.open_minute, raw.row // np.int32(5), raw.key, raw.lots, raw.cause)

    past = compact(coarse, 0, past, last)

    assert past.coarsened == 1
    for events in told(past):
        assert [event for event, _ in events] == sorted({event for event, _ in events})


def test_compaction_that_has_nothing_new_gives_the_same_past() -> None:
    raw = some_events(4)
    past = compact(raw, 0, CompactedPast.nothing(), int(raw.minute[-1]))

    assert compact(raw, 0, past, int(raw.minute[-1])) is past
