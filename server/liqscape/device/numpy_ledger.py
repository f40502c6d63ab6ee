"""The signed event log on the host: columns that grow by doubling and are never changed once written."""

from __future__ import annotations

import numpy as np

from liqscape.device.backend import CohortBatch, LedgerColumns
from liqscape.errors import ModelError

_FIRST_CAPACITY = 1 << 14


class NumpyLedgerView:
    """The first `count` events of a set of columns; appends write beyond them or into new arrays."""

    __slots__ = ("_columns", "_count")

    def __init__(self, columns: LedgerColumns, count: int) -> None:
        self._columns = columns
        self._count = count

    def __len__(self) -> int:
        return self._count

    def columns(self) -> LedgerColumns:
        c, n = self._columns, self._count
        return LedgerColumns(c.minute[:n], c.open_minute[:n], c.row[:n], c.key[:n], c.lots[:n], c.cause[:n])


class NumpyLedger:
    """See device.backend.Ledger."""

    def __init__(self) -> None:
        self._columns = _empty(_FIRST_CAPACITY)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, minute: int, batch: CohortBatch, sign: int, cause: int) -> None:
        if not len(batch):
            return
        begin, end = self._count, self._count + len(batch)
        if begin and minute < self._columns.minute[begin - 1]:
            raise ModelError(f"event at minute {minute} is before the last one, {self._columns.minute[begin - 1]}")
        if end > len(self._columns.minute):
            self._columns = _grown(self._columns, begin, max(end, 2 * len(self._columns.minute)))
        c = self._columns
        c.minute[begin:end] = minute
        c.open_minute[begin:end] = batch.open_minute
        c.row[begin:end] = batch.row
        c.key[begin:end] = batch.key
        np.multiply(batch.lots, sign, out=c.lots[begin:end])
        c.cause[begin:end] = cause
        self._count = end

    def capture(self) -> NumpyLedgerView:
        return NumpyLedgerView(self._columns, self._count)


def _empty(capacity: int) -> LedgerColumns:
    return LedgerColumns(
        minute=np.empty(capacity, np.int32),
        open_minute=np.empty(capacity, np.int32),
        row=np.empty(capacity, np.int32),
        key=np.empty(capacity, np.uint16),
        lots=np.empty(capacity, np.int64),
        cause=np.empty(capacity, np.uint8),
    )


def _grown(old: LedgerColumns, count: int, capacity: int) -> LedgerColumns:
    new = _empty(capacity)
    for name in ("minute", "open_minute", "row", "key", "lots", "cause"):
        getattr(new, name)[:count] = getattr(old, name)[:count]
    return new
