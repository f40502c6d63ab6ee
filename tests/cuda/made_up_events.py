"""Made-up signed events, as a ledger would hold them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device.backend import LedgerColumns
from liqscape.device.numpy_ledger import NumpyLedgerView
from liqscape.device.numpy_tiers import CompactedPast

KEYS = 64


def random_events(random: Generator, count: int, frame: Timeframe, now_minute: int, rows: RowRange) -> LedgerColumns:
    """Return events from somewhat before the window to somewhat after now, on rows somewhat around the range."""
    window = frame.columns * frame.column_minutes
    minute = np.sort(random.integers(now_minute - window - window // 8, now_minute + window // 8 + 2, count))
    span = rows.count * rows.multiple
    return ledger_columns(
        minute,
        minute - random.integers(0, window, count) * random.integers(0, 2, count),
        rows.first * rows.multiple + random.integers(-span // 4 - 2, span + span // 4 + 2, count),
        random.integers(0, KEYS, count),
        random.integers(-(2**40), 2**40, count),
    )


def until(minute: int, events: LedgerColumns) -> LedgerColumns:
    """Return the events up to a minute, that one included."""
    end = int(np.searchsorted(events.minute, np.int32(minute), side="right"))
    return LedgerColumns(*(getattr(events, field.name)[:end] for field in fields(events)))


def ledger_columns(
    minute: NDArray[np.int64],
    open_minute: NDArray[np.int64],
    row: NDArray[np.int64],
    key: NDArray[np.int64],
    lots: NDArray[np.int64],
) -> LedgerColumns:
    """Return events with the types a ledger has."""
    return LedgerColumns(
        minute.astype(np.int32),
        open_minute.astype(np.int32),
        row.astype(np.int32),
        key.astype(np.uint16),
        lots.astype(np.int64),
        np.zeros(len(minute), np.uint8),
    )


def view_of(events: LedgerColumns) -> NumpyLedgerView:
    """Return a ledger that holds just these, all of them raw."""
    return NumpyLedgerView(events, 0, len(events.minute), 0, CompactedPast.nothing())
