"""The signed event log on the host: columns that grow by doubling and are never changed once written."""

from __future__ import annotations

import numpy as np

from liqscape.device.backend import CohortBatch, LedgerColumns, LedgerSnapshot
from liqscape.device.backend import CompactedPast as CompactedPastLike
from liqscape.device.numpy_tiers import CompactedPast, compact
from liqscape.errors import ModelError

_FIRST_CAPACITY = 1 << 14


class NumpyLedgerView:
    """A slice of a set of columns, and the past before it; appends write beyond the slice or into new arrays."""

    __slots__ = ("_begin", "_columns", "_end", "_first_event", "_past")

    def __init__(self, columns: LedgerColumns, begin: int, end: int, first_event: int, past: CompactedPast) -> None:
        self._columns = columns
        self._begin = begin
        self._end = end
        self._first_event = first_event
        self._past = past

    def __len__(self) -> int:
        return self._end - self._begin + self._past.events

    @property
    def appended(self) -> int:
        return self._first_event + self._end - self._begin

    @property
    def exact_from_minute(self) -> int:
        return self._past.until_minute

    def columns(self) -> LedgerColumns:
        c, part = self._columns, slice(self._begin, self._end)
        return LedgerColumns(c.minute[part], c.open_minute[part], c.row[part], c.key[part], c.lots[part], c.cause[part])

    def tiers(self) -> tuple[LedgerColumns, ...]:
        return self._past.tiers

    @property
    def held_from_minute(self) -> int:
        return self._past.limits[-1]

    def tiers_from(self, first_minute: int, until_minute: int | None = None) -> range:
        return self._past.tiers_from(first_minute, until_minute)

    def snapshot(self) -> LedgerSnapshot:
        past = self._past
        return LedgerSnapshot(
            raw=self.columns(),
            tiers=past.tiers,
            limits=past.limits,
            merged_events=past.dropped_events,
            until_minute=past.until_minute,
            coarsened=past.coarsened,
            unmerged=past.unmerged,
        )

    def compacted(self, now_minute: int) -> CompactedPast:
        return compact(self.columns(), self._first_event, self._past, now_minute)


class NumpyLedger:
    """See device.backend.Ledger.

    Args:
        snapshot: what it begins with; nothing by default.
    """

    def __init__(self, snapshot: LedgerSnapshot | None = None) -> None:
        self._columns = _empty(_FIRST_CAPACITY)
        self._begin = 0  # events before it are in the past; they leave the arrays at the next move
        self._end = 0
        self._first_event = 0
        self._past = CompactedPast.nothing()
        self._last_minute = 0
        if snapshot is not None:
            self._restore(snapshot)

    def __len__(self) -> int:
        return self.raw_events + self._past.events

    @property
    def raw_events(self) -> int:
        return self._end - self._begin

    def append(self, minute: int, batch: CohortBatch, sign: int, cause: int) -> None:
        if not len(batch):
            return
        if minute < self._last_minute:
            raise ModelError(f"event at minute {minute} is before the last one, {self._last_minute}")
        self._last_minute = minute
        self._reserve(len(batch))
        begin, end = self._end, self._end + len(batch)
        c = self._columns
        c.minute[begin:end] = minute
        c.open_minute[begin:end] = batch.open_minute
        c.row[begin:end] = batch.row
        c.key[begin:end] = batch.key
        np.multiply(batch.lots, sign, out=c.lots[begin:end])
        c.cause[begin:end] = cause
        self._end = end

    def capture(self) -> NumpyLedgerView:
        return NumpyLedgerView(self._columns, self._begin, self._end, self._first_event, self._past)

    def adopt(self, past: CompactedPastLike) -> None:
        if not isinstance(past, CompactedPast) or past.dropped_events < self._past.dropped_events:
            raise ModelError("a compacted past was adopted twice, or belongs to another ledger")
        if past.coarsened != self._past.coarsened:
            return
        self._begin += past.dropped_events - self._first_event
        self._first_event = past.dropped_events
        self._past = past
        if 4 * self.raw_events < len(self._columns.minute):
            self._move(2 * self.raw_events)  # history was long and a day is short: give the memory back

    def coarsen_rows(self, multiple: int) -> None:
        self._past = self._past.on_coarser_rows(multiple)
        self._move(len(self._columns.minute))
        np.floor_divide(self._columns.row[: self._end], np.int32(multiple), out=self._columns.row[: self._end])

    def _restore(self, snapshot: LedgerSnapshot) -> None:
        held = len(snapshot.raw.minute)
        self._columns, self._end = snapshot.raw, held
        self._move(2 * held)
        self._first_event = snapshot.merged_events
        self._last_minute = int(snapshot.raw.minute[-1]) if held else max(snapshot.until_minute, 0)
        self._past = CompactedPast(
            tiers=snapshot.tiers,
            limits=snapshot.limits,
            dropped_events=snapshot.merged_events,
            until_minute=snapshot.until_minute,
            coarsened=snapshot.coarsened,
            unmerged=snapshot.unmerged,
        )

    def _reserve(self, more: int) -> None:
        """Make room for more events; views keep the arrays they have."""
        if self._end + more <= len(self._columns.minute):
            return
        self._move(self.raw_events + max(more, self.raw_events))

    def _move(self, capacity: int) -> None:
        held = self.raw_events
        new = _empty(max(capacity, _FIRST_CAPACITY))
        for name in ("minute", "open_minute", "row", "key", "lots", "cause"):
            getattr(new, name)[:held] = getattr(self._columns, name)[self._begin : self._end]
        self._columns, self._begin, self._end = new, 0, held


def _empty(capacity: int) -> LedgerColumns:
    return LedgerColumns(
        minute=np.empty(capacity, np.int32),
        open_minute=np.empty(capacity, np.int32),
        row=np.empty(capacity, np.int32),
        key=np.empty(capacity, np.uint16),
        lots=np.empty(capacity, np.int64),
        cause=np.empty(capacity, np.uint8),
    )
