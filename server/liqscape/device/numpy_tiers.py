"""Compaction on the host: raw events older than a day become sorted, merged runs, one a tier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AGE_TIERS, RAW_MINUTES, AgeTier, boundaries
from liqscape.device.backend import LedgerColumns
from liqscape.errors import ModelError

_CODE_BITS = 63
_NEVER = np.iinfo(np.int32).max
_SPAN_EVENTS = 1 << 20
"""Events merged at once: sorting them stays in the cache, and the temporaries of a year's merge stay small."""
_SPAN_MINUTES = AGE_TIERS[-1].bin_minutes


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
        """Return the numbers of the tiers that may hold something opened from first_minute on, and before until_minute.

        Tier k holds what was opened below limits[k - 1] and not below limits[k]; others need not be read.
        """
        if self.until_minute < 0:
            return range(0)
        too_new = 0 if until_minute is None else sum(limit >= until_minute for limit in self.limits)
        return range(too_new, 1 + sum(limit > first_minute for limit in self.limits[:-1]))

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
    until = now_minute - RAW_MINUTES
    if until <= past.until_minute:
        return past
    begin = past.dropped_events - first_event
    end = max(int(np.searchsorted(raw.minute, np.int32(until), side="right")), begin)
    limits = boundaries(now_minute)
    moving = _taken(raw, slice(begin, end))
    tiers = tuple(_refilled(number, moving, past, limits) for number in range(len(AGE_TIERS)))
    return CompactedPast(tiers, limits, first_event + end, until, past.coarsened)


def _refilled(number: int, moving: LedgerColumns, past: CompactedPast, limits: tuple[int, ...]) -> LedgerColumns:
    """Return a tier without what has grown too old for it, and with what arrives from the raw log and younger tiers.

    What arrives opened at or after the older limit of where it comes from, so nothing in the tier that happened before
    the first of these limits can have become equal to it: that part of the tier is kept as it is, unless rows were
    coarsened.
    """
    tier, held, low = AGE_TIERS[number], past.tiers[number], limits[number]
    high = limits[number - 1] if number else _NEVER
    younger = zip(past.tiers[:number], past.limits[:number], strict=True)
    arriving = [(source, old) for source, old in younger if old < high and len(source.lots)]
    if _is_between(moving.open_minute, low, high).any():
        arriving.append((moving, int(moving.minute[0])))
    changed_from = 0 if past.unmerged else min((first for _, first in arriving), default=_NEVER)
    if changed_from == _NEVER and past.limits[number] == low:
        return held
    changed_from -= changed_from % tier.bin_minutes
    cut = int(np.searchsorted(held.minute, np.int32(changed_from)))
    kept = _taken(held, slice(0, cut))
    if past.limits[number] < low:
        kept = _taken(kept, kept.open_minute >= low)
    sources = [_taken(held, slice(cut, None)), *(source for source, _ in arriving)]
    merged = [
        _merged(_joined([_opened_between(_within(source, span), low, high) for source in sources]), tier)
        for span in pairwise(_span_bounds(sources, changed_from))
    ]
    return _joined([kept, *merged])


def _span_bounds(sources: list[LedgerColumns], first_minute: int) -> list[int]:
    """Return minutes that cut the events of all sources into spans of some _SPAN_EVENTS, the first one first_minute.

    The others are multiples of the longest bin, and so of every bin: events in different spans never merge.
    """
    filled = [source.minute for source in sources if len(source.minute)]
    if not filled:
        return []
    last = max(int(minutes[-1]) for minutes in filled)
    edges = np.arange(first_minute // _SPAN_MINUTES + 1, last // _SPAN_MINUTES + 2, dtype=np.int32) * _SPAN_MINUTES
    before = sum(np.searchsorted(minutes, edges) for minutes in filled)
    chosen = np.unique(before // _SPAN_EVENTS, return_index=True)[1][1:]
    return [first_minute, *edges[chosen].tolist(), int(edges[-1])]


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
    fields = [(int(c.min()), (int(c.max()) - int(c.min())).bit_length()) for c in columns]
    if sum(bits for _, bits in fields) > _CODE_BITS:
        raise ModelError(
            f"events of an age tier need {sum(b for _, b in fields)} bits to sort; at most {_CODE_BITS} fit"
        )
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
