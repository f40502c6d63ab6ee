"""Books put on a device whole, as a server would hold them after a year: appending event by event would take minutes.

This file knows the insides of the ledgers of the device; no other file of the benchmarks does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.gpu.made_events import DAY, NOW
from liqscape.axes import Timeframe
from liqscape.device.age_tiers import AGE_TIERS
from liqscape.device.backend import LedgerColumns
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.cuda_ledger import CudaLedger, CudaLedgerView, MinuteIndex
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.device_runs import DeviceRun
from liqscape.device.numpy_ledger import NumpyLedgerView
from liqscape.device.numpy_tiers import CompactedPast
from liqscape.device.queue import DeviceArray, Queue

EVENT_BYTES = 18
"""Of an event that is added up: row, open minute, key and lots."""
MERGED_AT = NOW
"""The minute of the merge: up to a day before it everything is in tiers."""
_COLUMNS = ("row", "open_minute", "key", "lots")


def host_view(events: LedgerColumns) -> NumpyLedgerView:
    """Return NumPy's ledger of these events, all of them raw."""
    return NumpyLedgerView(events, 0, len(events.minute), 0, CompactedPast.nothing())


def device_view(backend: CudaBackend, events: LedgerColumns) -> CudaLedgerView:
    """Return the device's ledger of these events, all of them raw."""
    return raw_ledger(backend, events, DevicePast.nothing(queue_of(backend))).capture()


def raw_ledger(backend: CudaBackend, events: LedgerColumns, past: DevicePast) -> CudaLedger:
    """Return a ledger of raw events after a merged past.

    Args:
        backend: of the ledger.
        events: in time order, later than those that are merged.
        past: what is merged.
    """
    ledger = backend.ledger()
    run = DeviceRun.put(queue_of(backend), events, with_cause=True)
    assert run.cause is not None
    index = MinuteIndex()
    for minute, start in zip(run.minutes.tolist(), run.starts[:-1].tolist(), strict=True):
        index.add(minute, start)
    ledger._columns = {name: getattr(run, name) for name in (*_COLUMNS, "cause")}
    ledger._index = index
    ledger._end = len(run)
    ledger._first_event = past.dropped_events
    ledger._past = past
    ledger._last_minute = int(events.minute[-1]) if len(run) else 0
    return ledger


def queue_of(backend: CudaBackend) -> Queue:
    """Return the queue of a backend's ticks."""
    return backend._queue


def last_day(events: LedgerColumns) -> LedgerColumns:
    """Return the events that a merge at MERGED_AT leaves raw."""
    begin = int(np.searchsorted(events.minute, np.int32(MERGED_AT - DAY), side="right"))
    names = ("minute", "open_minute", "row", "key", "lots", "cause")
    return LedgerColumns(*(getattr(events, name)[begin:].copy() for name in names))


def visited(view: CudaLedgerView, frame: Timeframe, now_minute: int) -> tuple[int, int]:
    """Return how many events a full recompute of a timeframe looks at, and how many bytes of them it has to read."""
    first_minute = frame.first_column(now_minute) * frame.column_minutes
    edges = np.array([first_minute, now_minute + 1])
    runs = [(view.raw(), False)]
    for number in view.tiers_from(first_minute):
        # What opened within the window for certain is added up without a look at its open minute.
        runs.append((view.past.tiers[number], view.past.limits[number] >= first_minute))
    events = [int(np.diff(run.before(edges))[0]) for run, _ in runs]
    each = [EVENT_BYTES - 4 * opened_inside for _, opened_inside in runs]
    return sum(events), sum(count * nbytes for count, nbytes in zip(events, each, strict=True))


def stretched(queue: Queue, past: DevicePast, events: int) -> DevicePast:
    """Return the same past with each event as often as it takes to make so many of all, and its order kept."""
    tiers = []
    for tier, about in zip(past.tiers, AGE_TIERS, strict=True):
        count = len(tier) * events // max(past.events, 1)
        if not len(tier):
            tiers.append(tier)
            continue
        host = tier.read(queue)
        chosen = np.arange(count) * len(tier) // count
        names = ("minute", "open_minute", "row", "key", "lots", "cause")
        more = LedgerColumns(*(getattr(host, name)[chosen] for name in names))
        tiers.append(DeviceRun.put(queue, more, with_cause=about.keeps_cause))
    return replace(past, tiers=tuple(tiers))


def copied(queue: Queue, past: DevicePast) -> DevicePast:
    """Return the same past in memory of its own. Raises OutOfDeviceMemory."""
    return replace(past, tiers=tuple(_copied_run(queue, tier) for tier in past.tiers))


def _copied_run(queue: Queue, run: DeviceRun) -> DeviceRun:
    def copy(source: DeviceArray) -> DeviceArray:
        made = queue.empty(len(source), source.dtype)
        queue.copy(made, source)
        return made

    made = replace(
        run,
        row=copy(run.row),
        open_minute=copy(run.open_minute),
        key=copy(run.key),
        lots=copy(run.lots),
        cause=None if run.cause is None else copy(run.cause),
    )
    queue.wait()
    return made
