"""Signed events on the device: raw logs that grow by doubling, and the merged past before them.

What a tick appends is kept on the host until somebody asks for it, then goes to the logs of all symbols in one copy and
one launch. A view is of what is on the device; nothing it sees is ever changed.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AGE_TIERS
from liqscape.device.backend import CohortBatch, CompactedPast, LedgerColumns, LedgerSnapshot
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.device_runs import DeviceRun
from liqscape.device.job_tables import APPEND_JOB, division
from liqscape.device.queue import DeviceArray, Queue
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import ModelError

_FIRST_CAPACITY: Final = 1 << 14
_FIRST_MINUTES: Final = 1 << 11
_MOST_PENDING: Final = 1 << 18
"""Events that wait for the device at most: 6 MB, and while history is built one launch in a hundred bars."""
_JOB_EVENTS: Final = 1 << 11
"""Events of one block that appends."""
_THREADS: Final = 256

_COLUMNS: Final = (
    ("row", np.int32),
    ("open_minute", np.int32),
    ("key", np.uint16),
    ("lots", np.int64),
    ("cause", np.uint8),
)
_ITEM_BYTES: Final = tuple(np.dtype(dtype).itemsize for _, dtype in _COLUMNS)


class CudaLedgerView:
    """See backend.LedgerView. What it reads back goes through the queue of its ledger's logs.

    Attributes:
        past: the merged events.
        first_raw: the place of the first raw event in its arrays.
        raw_events: how many are raw.
    """

    __slots__ = ("_columns", "_first_event", "_index", "_logs", "first_raw", "past", "raw_events")

    def __init__(
        self,
        logs: CudaLogs,
        columns: dict[str, DeviceArray],
        index: MinuteIndex,
        begin: int,
        raw_events: int,
        first_event: int,
        past: DevicePast,
    ) -> None:
        self._logs = logs
        self._columns = columns
        self._index = index
        self._first_event = first_event
        self.first_raw = begin
        self.raw_events = raw_events
        self.past = past

    def __len__(self) -> int:
        return self.raw_events + self.past.events

    @property
    def appended(self) -> int:
        return self._first_event + self.raw_events

    @property
    def exact_from_minute(self) -> int:
        return self.past.until_minute

    @property
    def held_from_minute(self) -> int:
        return self.past.limits[-1]

    def raw_arrays(self) -> tuple[DeviceArray, ...]:
        """Return the arrays the raw events are in, from first_raw on: row, open minute, key, lots."""
        c = self._columns
        return c["row"], c["open_minute"], c["key"], c["lots"]

    def raw(self) -> DeviceRun:
        """Return the raw events on the device."""
        c, begin, end = self._columns, self.first_raw, self.first_raw + self.raw_events
        minutes, starts = self._index.between(begin, end)
        row, open_minute, key, lots, cause = (c[name].part(begin, end) for name, _ in _COLUMNS)
        return DeviceRun(row, open_minute, key, lots, cause, minutes, starts)

    def columns(self) -> LedgerColumns:
        return self._logs.read(self.raw())

    def tiers(self) -> tuple[LedgerColumns, ...]:
        return tuple(self._logs.read(tier) for tier in self.past.tiers)

    def tiers_from(self, first_minute: int, until_minute: int | None = None) -> range:
        return self.past.tiers_from(first_minute, until_minute)

    def snapshot(self) -> LedgerSnapshot:
        past = self.past
        return LedgerSnapshot(
            raw=self.columns(),
            tiers=self.tiers(),
            limits=past.limits,
            merged_events=past.dropped_events,
            until_minute=past.until_minute,
            coarsened=past.coarsened,
            unmerged=past.unmerged,
        )

    def compacted(self, now_minute: int) -> DevicePast:
        return self._logs.compact(self.raw(), self._first_event, self.past, now_minute)


class CudaLedger:
    """See backend.Ledger.

    Args:
        logs: what it shares with others.
        snapshot: what it begins with; nothing by default.
    """

    def __init__(self, logs: CudaLogs, snapshot: LedgerSnapshot | None = None) -> None:
        self._logs = logs
        self._columns = _empty(logs.queue, _FIRST_CAPACITY)
        self._index = MinuteIndex()
        self._begin = 0  # events before it are in the past; they leave the arrays at the next move
        self._end = 0  # on the device
        self._pending: list[tuple[CohortBatch, int, int]] = []
        self._pending_events = 0
        self._first_event = 0
        self._past = DevicePast.nothing(logs.queue)
        self._last_minute = 0
        if snapshot is not None:
            self._restore(snapshot)

    def __len__(self) -> int:
        return self.raw_events + self._past.events

    @property
    def raw_events(self) -> int:
        return self._end - self._begin + self._pending_events

    def append(self, minute: int, batch: CohortBatch, sign: int, cause: int) -> None:
        if not len(batch):
            return
        if minute < self._last_minute:
            raise ModelError(f"event at minute {minute} is before the last one, {self._last_minute}")
        self._logs.take(self, len(batch))  # what has no room is not logged
        self._last_minute = minute
        self._index.add(minute, self._end + self._pending_events)
        self._pending.append((batch, sign, cause))
        self._pending_events += len(batch)

    def capture(self) -> CudaLedgerView:
        self._logs.flush()
        held = self._end - self._begin
        return CudaLedgerView(self._logs, self._columns, self._index, self._begin, held, self._first_event, self._past)

    def adopt(self, past: CompactedPast) -> None:
        if not isinstance(past, DevicePast) or past.dropped_events < self._past.dropped_events:
            raise ModelError("a compacted past was adopted twice, or belongs to another ledger")
        if past.coarsened != self._past.coarsened:
            return
        self._begin += past.dropped_events - self._first_event
        self._first_event = past.dropped_events
        self._past = past
        if max(4 * self.raw_events, _FIRST_CAPACITY) < len(self._columns["row"]):
            with contextlib.suppress(OutOfDeviceMemory):  # another time, then
                self._move(2 * self.raw_events)  # history was long and a day is short: give the memory back

    def coarsen_rows(self, multiple: int) -> None:
        self._logs.flush()
        queue = self._logs.queue
        past = self._past.on_coarser_rows(queue, multiple)
        fine = self._columns["row"].part(self._begin, self._end)
        self._move(len(self._columns["row"]))  # views keep the rows they have
        magic, shift = (np.uint32(number) for number in division(multiple))
        blocks, count = -(-len(fine) // _THREADS), np.uint32(len(fine))
        queue.launch("coarsen_rows", blocks, _THREADS, count, magic, shift, fine, self._columns["row"])
        self._past = past  # not before there was room for all of it

    @property
    def pending(self) -> Sequence[tuple[CohortBatch, int, int]]:
        """Return what waits for the device: batches, their signs and causes."""
        return self._pending

    def place(self) -> tuple[int, ...]:
        """Return the addresses where the columns of what waits belong. Raises OutOfDeviceMemory."""
        self._reserve(self._pending_events)
        return tuple(c.address + self._end * c.dtype.itemsize for c in self._columns.values())

    def held(self) -> Iterable[DeviceArray]:
        """Return the columns."""
        return self._columns.values()

    def arrived(self) -> None:
        """Hear that what waited is in its place."""
        self._end += self._pending_events
        self._pending, self._pending_events = [], 0

    def _restore(self, snapshot: LedgerSnapshot) -> None:
        queue, raw, held = self._logs.queue, snapshot.raw, len(snapshot.raw.minute)
        self._columns = _empty(queue, max(2 * held, _FIRST_CAPACITY))
        for name, _ in _COLUMNS:
            queue.write(self._columns[name].part(0, held), getattr(raw, name))
        begins = np.flatnonzero(np.diff(raw.minute, prepend=np.int32(-1))).tolist() if held else []
        for begin in begins:
            self._index.add(int(raw.minute[begin]), begin)
        self._end, self._first_event = held, snapshot.merged_events
        self._last_minute = int(raw.minute[-1]) if held else max(snapshot.until_minute, 0)
        self._past = DevicePast(
            tiers=tuple(
                DeviceRun.put(queue, events, with_cause=tier.keeps_cause)
                for tier, events in zip(AGE_TIERS, snapshot.tiers, strict=True)
            ),
            limits=snapshot.limits,
            dropped_events=snapshot.merged_events,
            until_minute=snapshot.until_minute,
            coarsened=snapshot.coarsened,
            unmerged=snapshot.unmerged,
        )
        queue.wait()

    def _reserve(self, more: int) -> None:
        """Make room for more events; views keep the arrays they have."""
        if self._end + more > len(self._columns["row"]):
            held = self._end - self._begin
            self._move(held + max(more, held))

    def _move(self, capacity: int) -> None:
        held, queue = self._end - self._begin, self._logs.queue
        new = _empty(queue, max(capacity, _FIRST_CAPACITY))
        for name, _ in _COLUMNS:
            queue.copy(new[name].part(0, held), self._columns[name].part(self._begin, self._end))
        self._logs.is_moving = True
        self._index = self._index.moved(self._begin)
        self._columns, self._begin, self._end = new, 0, held


class CudaLogs:
    """What the ledgers of a server share: the way to the device.

    Args:
        queue: of the engine's thread.
        compact: merges; may be called from any thread.
        read: copies a run to the host; may be called from any thread.

    Attributes:
        is_moving: some log has been told to move and may not have done so yet; whoever sees it moved has to wait.
    """

    def __init__(
        self,
        queue: Queue,
        compact: Callable[[DeviceRun, int, DevicePast, int], DevicePast],
        read: Callable[[DeviceRun], LedgerColumns],
    ) -> None:
        self.queue = queue
        self.compact = compact
        self.read = read
        self._waiting: weakref.WeakSet[CudaLedger] = weakref.WeakSet()
        self._waiting_events = 0
        self.is_moving = False

    def take(self, ledger: CudaLedger, events: int) -> None:
        """Hear that a ledger is about to get events that will wait; what waits goes to the device when it is much.

        Raises:
            OutOfDeviceMemory: a log cannot grow; everything still waits, and these events are to be refused.
        """
        if self._waiting_events + events > _MOST_PENDING:
            self.flush()
        self._waiting.add(ledger)
        self._waiting_events += events

    def flush(self) -> None:
        """Bring what waits in any ledger to the device, and see that it has arrived.

        Raises:
            OutOfDeviceMemory: a log cannot grow; everything still waits.
        """
        ledgers, queue = list(self._waiting), self.queue
        if not ledgers:
            if self.is_moving:
                queue.wait()
                self.is_moving = False
            return
        places = [ledger.place() for ledger in ledgers]
        sources, counts = self._sources([ledger.pending for ledger in ledgers])
        base = min(map(min, places))
        jobs, first = [], 0
        for place, count in zip(places, counts, strict=True):
            for begin in range(0, count, _JOB_EVENTS):
                to = (at + begin * size - base for at, size in zip(place, _ITEM_BYTES, strict=True))
                jobs.append((*to, first + begin, min(_JOB_EVENTS, count - begin)))
            first += count
        table = queue.put(np.array(jobs, APPEND_JOB))
        queue.launch("append_events", len(jobs), _THREADS, table, *sources, np.uint64(base))
        queue.hold(*(column for ledger in ledgers for column in ledger.held()))
        queue.wait()
        for ledger in ledgers:
            ledger.arrived()
        self._waiting.clear()
        self._waiting_events = 0
        self.is_moving = False

    def _sources(
        self, pending: Sequence[Sequence[tuple[CohortBatch, int, int]]]
    ) -> tuple[list[DeviceArray], list[int]]:
        """Put the columns of all that waits on the device; return them, and how many events each ledger has."""
        batches, signs, causes = zip(*(entry for of_ledger in pending for entry in of_ledger), strict=True)
        lengths = [len(batch) for batch in batches]
        host = (
            np.concatenate([batch.row for batch in batches]),
            np.concatenate([batch.open_minute for batch in batches]),
            np.concatenate([batch.key for batch in batches]),
            np.concatenate([batch.lots for batch in batches]) * np.repeat(np.array(signs, np.int64), lengths),
            np.repeat(np.array(causes, np.uint8), lengths),
        )
        return [self.queue.put(column) for column in host], [sum(len(b) for b, _, _ in waits) for waits in pending]


class MinuteIndex:
    """The different minutes of a log and the number of the first event of each; entries once made do not change."""

    def __init__(self) -> None:
        self._minutes = np.empty(_FIRST_MINUTES, np.int32)
        self._starts = np.empty(_FIRST_MINUTES, np.int64)
        self._count = 0

    def add(self, minute: int, start: int) -> None:
        """Note that the event of this number happened in a minute not below that of the one before it."""
        if self._count and self._minutes[self._count - 1] == minute:
            return
        if self._count == len(self._minutes):
            self._minutes = np.concatenate((self._minutes, np.empty_like(self._minutes)))
            self._starts = np.concatenate((self._starts, np.empty_like(self._starts)))
        self._minutes[self._count], self._starts[self._count] = minute, start
        self._count += 1

    def between(self, begin: int, end: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return minutes and starts of events begin to end as DeviceRun has them."""
        starts = self._starts[: self._count]
        first = int(np.searchsorted(starts, begin, side="right")) - 1
        last = int(np.searchsorted(starts, end, side="left"))
        if begin == end:
            return np.empty(0, np.int32), np.zeros(1, np.int64)
        inner = np.maximum(starts[first:last], begin) - begin
        return self._minutes[first:last], np.append(inner, end - begin)

    def moved(self, begin: int) -> MinuteIndex:
        """Return the index of a log whose events before `begin` are gone."""
        first = max(int(np.searchsorted(self._starts[: self._count], begin, side="right")) - 1, 0)
        made = MinuteIndex()
        count = self._count - first
        capacity = max(2 * count, _FIRST_MINUTES)
        made._minutes, made._starts = np.empty(capacity, np.int32), np.empty(capacity, np.int64)
        made._minutes[:count] = self._minutes[first : self._count]
        made._starts[:count] = np.maximum(self._starts[first : self._count] - begin, 0)
        made._count = count
        return made


def _empty(queue: Queue, capacity: int) -> dict[str, DeviceArray]:
    return {name: queue.empty(capacity, dtype) for name, dtype in _COLUMNS}
