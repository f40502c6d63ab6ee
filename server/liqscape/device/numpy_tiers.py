"""Compaction on the host: raw events older than a day become sorted, merged runs, one a tier."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AGE_TIERS, AgeTier
from liqscape.device.backend import LedgerColumns
from liqscape.device.compaction_plan import (
    CompactionPlan,
    EventTimes,
    field_bits,
    plan_compaction,
    plan_tier,
    tiers_from,
)

_SPAN_EVENTS = 1 << 20
"""Events merged at once: sorting them stays in the cache, and the temporaries of a year's merge stay small."""


@dataclass(frozen=True, slots=True)
class CompactedPast:
    """Everything that has left the raw log. Immutable.

    Attributes:
        tiers: events of each tier, ascending by event bin; minutes and rows are floored to the tier's bins.
        limits: the boundaries of the compaction: what was opened below limits[k] is not in tiers 0..k.
        dropped_events: how many events of the raw log, from its very first one, these stand for.
        until_minute: the last event minute they include.
        coarsened: how often rows were coarsened so far.
        unmerged: rows were coarsened since the last compaction, so tiers hold events that agree.
    """

    tiers: tuple[LedgerColumns, ...]
    limits: tuple[int, ...]
    dropped_events: int
    until_minute: int
    coarsened: int = 0
    unmerged: bool = False

    @classmethod
    def nothing(cls) -> CompactedPast:
        """Return the past of an empty ledger."""
        return cls(tuple(_empty() for _ in AGE_TIERS), (-1,) * len(AGE_TIERS), 0, -1)

    @property
    def events(self) -> int:
        """Return the number of merged events."""
        return sum(len(tier.lots) for tier in self.tiers)

    def tiers_from(self, first_minute: int, until_minute: int | None = None) -> range:
        """Return the numbers of the tiers that may hold something opened from first_minute to before until_minute."""
        return tiers_from(self, first_minute, until_minute)

    def on_coarser_rows(self, multiple: int) -> CompactedPast:
        """Return the same events on rows multiple times as high; those that now agree are merged the next time."""
        tiers = tuple(replace(tier, row=tier.row // np.int32(multiple)) for tier in self.tiers)
        return replace(self, tiers=tiers, coarsened=self.coarsened + 1, unmerged=True)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the merged events."""
        return sum(column.nbytes for tier in self.tiers for column in _arrays(tier))


def compact(raw: LedgerColumns, first_event: int, past: CompactedPast, now_minute: int) -> CompactedPast:
    """Return the past with every raw event merged in that is older than a day at now_minute.

    Args:
        raw: events of the raw log in time order.
        first_event: number of raw's first event, counted from the ledger's very first one.
        past: the result of the last compaction.
        now_minute: never above the ledger's present; below it, compaction is late, which is exact.
    """
    plan = plan_compaction(EventTimes(raw.minute), first_event, past, now_minute)
    if plan is None:
        return past
    moving = _taken(raw, slice(plan.begin, plan.end))
    tiers = tuple(_refilled(number, moving, past, plan) for number in range(len(AGE_TIERS)))
    return CompactedPast(tiers, plan.limits, first_event + plan.end, plan.until_minute, past.coarsened)


def _refilled(number: int, moving: LedgerColumns, past: CompactedPast, plan: CompactionPlan) -> LedgerColumns:
    """Return a tier without what has grown too old for it, and with what arrives from the raw log and younger tiers."""
    held, (low, high) = past.tiers[number], plan.opened(number)
    tier_plan = plan_tier(
        plan,
        number,
        past,
        [EventTimes(tier.minute) for tier in past.tiers],
        EventTimes(moving.minute),
        takes_raw=bool(_is_between(moving.open_minute, low, high).any()),
        span_events=_SPAN_EVENTS,
    )
    if tier_plan is None:
        return held
    kept = _taken(held, slice(0, tier_plan.kept))
    if tier_plan.kept_shrinks:
        kept = _taken(kept, kept.open_minute >= low)
    sources = [_taken(held, slice(tier_plan.kept, None)), *(past.tiers[k] for k in tier_plan.arriving)]
    if tier_plan.takes_raw:
        sources.append(moving)
    merged = [
        _merged(_joined([_opened_between(_within(source, span), low, high) for source in sources]), AGE_TIERS[number])
        for span in tier_plan.spans
    ]
    return _joined([kept, *merged])


def _within(events: LedgerColumns, span: tuple[int, int]) -> LedgerColumns:
    """Return what happened in the minutes of a half-open span."""
    begin, end = np.searchsorted(events.minute, np.array(span, np.int32)).tolist()
    return _taken(events, slice(begin, end))


def _opened_between(events: LedgerColumns, low: int, high: int) -> LedgerColumns:
    return _taken(events, _is_between(events.open_minute, low, high))


def _is_between(open_minute: NDArray[np.int32], low: int, high: int) -> NDArray[np.bool_]:
    return (open_minute >= low) & (open_minute < high)


def _merged(events: LedgerColumns, tier: AgeTier) -> LedgerColumns:
    """Floor to the tier's bins, add up what became equal, drop what adds up to nothing; sort by event bin, then row."""
    if not len(events.lots):
        return events
    minute = events.minute // np.int32(tier.bin_minutes)
    opened = events.open_minute // np.int32(tier.bin_minutes)
    row = events.row // np.int32(tier.row_unit)
    cause = events.cause if tier.keeps_cause else np.zeros_like(events.cause)
    code, fields = _packed((minute, row, opened, events.key, cause))
    order = np.argsort(code, kind="stable")  # what arrives is a few sorted runs, which this sort merges
    code = code[order]
    starts = np.flatnonzero(np.concatenate(([True], code[1:] != code[:-1])))
    lots = np.add.reduceat(events.lots[order], starts)
    kept = lots != 0
    bins, rows, opens, keys, causes = _unpacked(code[starts[kept]], fields)
    return LedgerColumns(
        minute=(bins * tier.bin_minutes).astype(np.int32),
        open_minute=(opens * tier.bin_minutes).astype(np.int32),
        row=(rows * tier.row_unit).astype(np.int32),
        key=keys.astype(np.uint16),
        lots=lots[kept],
        cause=causes.astype(np.uint8),
    )


def _packed(columns: tuple[NDArray[np.generic], ...]) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Return one int64 code a row, ordered like the columns in turn, and (offset, bits) of each column."""
    extents = [(int(c.min()), int(c.max())) for c in columns]
    fields = [(least, bits) for (least, _), bits in zip(extents, field_bits(extents), strict=True)]
    code = np.zeros(len(columns[0]), np.int64)
    for column, (offset, bits) in zip(columns, fields, strict=True):
        code = (code << bits) | (column.astype(np.int64) - offset)
    return code, fields


def _unpacked(code: NDArray[np.int64], fields: list[tuple[int, int]]) -> list[NDArray[np.int64]]:
    columns: list[NDArray[np.int64]] = []
    for offset, bits in reversed(fields):
        columns.append((code & ((1 << bits) - 1)) + offset)
        code = code >> bits
    return columns[::-1]


def _empty() -> LedgerColumns:
    minutes = np.empty(0, np.int32)
    return LedgerColumns(
        minutes, minutes, minutes, np.empty(0, np.uint16), np.empty(0, np.int64), np.empty(0, np.uint8)
    )


def _arrays(columns: LedgerColumns) -> tuple[NDArray[np.generic], ...]:
    return (columns.minute, columns.open_minute, columns.row, columns.key, columns.lots, columns.cause)


def _taken(columns: LedgerColumns, where: slice | NDArray[np.bool_]) -> LedgerColumns:
    return LedgerColumns(
        columns.minute[where],
        columns.open_minute[where],
        columns.row[where],
        columns.key[where],
        columns.lots[where],
        columns.cause[where],
    )


def _joined(parts: list[LedgerColumns]) -> LedgerColumns:
    return LedgerColumns(
        np.concatenate([part.minute for part in parts]),
        np.concatenate([part.open_minute for part in parts]),
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.lots for part in parts]),
        np.concatenate([part.cause for part in parts]),
    )
