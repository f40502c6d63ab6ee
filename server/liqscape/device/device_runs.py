"""Signed events on a device: columns in time order, whose minutes the host knows by where each begins.

The event's own minute is not stored with it: a run has few different ones, so the host keeps them, and where the events
of each begin. That is all it takes to cut a run into the columns of a grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import LedgerColumns
from liqscape.device.queue import DeviceArray, Queue


@dataclass(frozen=True, slots=True)
class DeviceRun:
    """Events in time order. Immutable: what is appended comes after its arrays' parts.

    Attributes:
        row, open_minute, key, lots: int32, int32, uint16, int64 [event], on the device.
        cause: uint8[event], on the device; None where causes are not kept, and read as 0.
        minutes: int32[n] ascending, the different event minutes, on the host.
        starts: int64[n + 1], the number of the first event of each, and after the last one how many there are.
    """

    row: DeviceArray
    open_minute: DeviceArray
    key: DeviceArray
    lots: DeviceArray
    cause: DeviceArray | None
    minutes: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def empty(cls, queue: Queue, *, with_cause: bool) -> DeviceRun:
        """Return a run without events."""
        return cls(
            row=queue.empty(0, np.int32),
            open_minute=queue.empty(0, np.int32),
            key=queue.empty(0, np.uint16),
            lots=queue.empty(0, np.int64),
            cause=queue.empty(0, np.uint8) if with_cause else None,
            minutes=np.empty(0, np.int32),
            starts=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        return len(self.lots)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the events on the device."""
        columns = (self.row, self.open_minute, self.key, self.lots, self.cause)
        return sum(column.nbytes for column in columns if column is not None)

    def before(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64[n], for each minute the number of events that happened before it."""
        return self.starts[np.searchsorted(self.minutes, edges.astype(np.int32))]

    def part(self, begin: int, end: int) -> DeviceRun:
        """Return events begin to end; nothing on the device is copied."""
        if begin == 0 and end == len(self):
            return self
        first = int(np.searchsorted(self.starts, begin, side="right")) - 1
        last = int(np.searchsorted(self.starts, end, side="left"))
        starts = np.clip(self.starts[first : last + 1], begin, end) - begin
        minutes = self.minutes[first:last]
        if begin == end:
            minutes, starts = minutes[:0], np.zeros(1, np.int64)
        return DeviceRun(
            row=self.row.part(begin, end),
            open_minute=self.open_minute.part(begin, end),
            key=self.key.part(begin, end),
            lots=self.lots.part(begin, end),
            cause=None if self.cause is None else self.cause.part(begin, end),
            minutes=minutes,
            starts=starts,
        )

    def read(self, queue: Queue) -> LedgerColumns:
        """Return host copies of the events."""
        columns = [self.row, self.open_minute, self.key, self.lots]
        if self.cause is not None:
            columns.append(self.cause)
        row, open_minute, key, lots, *cause = queue.read_all(columns)
        return LedgerColumns(
            minute=np.repeat(self.minutes, np.diff(self.starts)),
            open_minute=open_minute,
            row=row,
            key=key,
            lots=lots,
            cause=cause[0] if cause else np.zeros(len(row), np.uint8),
        )

    @classmethod
    def put(cls, queue: Queue, events: LedgerColumns, *, with_cause: bool) -> DeviceRun:
        """Return host events, in time order, as a run."""
        first = np.flatnonzero(np.diff(events.minute, prepend=np.int32(-1))) if len(events.minute) else np.empty(0, int)
        return cls(
            row=queue.put(events.row),
            open_minute=queue.put(events.open_minute),
            key=queue.put(events.key),
            lots=queue.put(events.lots),
            cause=queue.put(events.cause) if with_cause else None,
            minutes=events.minute[first],
            starts=np.append(first, len(events.minute)).astype(np.int64),
        )
