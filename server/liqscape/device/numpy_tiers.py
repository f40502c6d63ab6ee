"""Compaction on the host: raw events older than a day become sorted, merged runs, one a tier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AGE_TIERS, RAW_MINUTES, AgeTier, boundaries
from liqscape.device.backend import LedgerColumns
from liqscape.errors import ModelError

_CODE_BITS = 63


@dataclass(frozen=True, slots=True)
class CompactedPast:
    """Everything that has left the raw log. Immutable.

    Attributes:
        tiers: events of each tier, ascending by event bin; minutes and rows are floored to the tier's bins.
        limits: the boundaries of the compaction: what was opened below limits[k] is not in tiers 0..k.
        dropped_events: how many events of the raw log, from its very first one, these stand for.
        until_minute: the last event minute they include.
    """

    tiers: tuple[LedgerColumns, ...]
    limits: tuple[int, ...]
    dropped_events: int
    until_minute: int

    @classmethod
    def nothing(cls) -> CompactedPast:
        """Return the past of an empty ledger."""
        return cls(tuple(_empty() for _ in AGE_TIERS), (-1,) * len(AGE_TIERS), 0, -1)

    @property
    def events(self) -> int:
        """Return the number of merged events."""
        return sum(len(tier.lots) for tier in self.tiers)

    def tiers_from(self, first_minute: int) -> range:
        """Return the numbers of the tiers that may hold something opened at first_minute or later.

        Tier k holds what was opened below limits[k - 1]; a window that begins above it need not read the tier.
        """
        if self.until_minute < 0:
            return range(0)
        return range(1 + sum(limit > first_minute for limit in self.limits[:-1]))

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
    end = int(np.searchsorted(raw.minute, until, side="right"))
    limits = boundaries(now_minute)
    moving = _taken(raw, slice(begin, max(end, begin)))
    tiers: list[LedgerColumns] = []
    for tier, held, limit in zip(AGE_TIERS, past.tiers, limits, strict=True):
        leaves = held.open_minute < limit
        arrives = moving.open_minute >= limit
        if leaves.any() or arrives.any():
            kept = _joined(_taken(held, ~leaves), _taken(moving, arrives))
            moving = _joined(_taken(held, leaves), _taken(moving, ~arrives))
            held = _merged(kept, tier)
        tiers.append(held)
    return CompactedPast(tuple(tiers), limits, first_event + max(end, begin), until)


def _merged(events: LedgerColumns, tier: AgeTier) -> LedgerColumns:
    """Floor to the tier's bins, add up what became equal, drop what adds up to nothing; sort by event bin, then row."""
    if not len(events.lots):
        return events
    minute = events.minute // np.int32(tier.bin_minutes)
    opened = events.open_minute // np.int32(tier.bin_minutes)
    row = events.row // np.int32(tier.row_unit)
    cause = events.cause if tier.keeps_cause else np.zeros_like(events.cause)
    code, fields = _packed((minute, row, opened, events.key, cause))
    order = np.argsort(code)
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


def _joined(first: LedgerColumns, second: LedgerColumns) -> LedgerColumns:
    return LedgerColumns(
        np.concatenate((first.minute, second.minute)),
        np.concatenate((first.open_minute, second.open_minute)),
        np.concatenate((first.row, second.row)),
        np.concatenate((first.key, second.key)),
        np.concatenate((first.lots, second.lots)),
        np.concatenate((first.cause, second.cause)),
    )
