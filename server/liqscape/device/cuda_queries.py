"""What is asked between ticks: grids of any window, rows and weights, merging, reading back; ticks go first.

All of it runs on a second queue, one question at a time, in slices of bounded size. A slice does not begin while a tick
is on the device, so a tick waits at most for what is left of one.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MAX_GRID_ROWS, RowRange, Timeframe
from liqscape.device import job_tables
from liqscape.device.cuda_ledger import CudaLedgerView
from liqscape.device.job_tables import GridSpec, Table
from liqscape.device.queue import DeviceArray, Queue
from liqscape.device.runtime import OutOfDeviceMemory

_T = TypeVar("_T")

_THREADS: Final = 256
SLICE_EVENTS: Final = 1 << 24
"""Events of one slice: 300 MB, a tenth of a millisecond of a big GPU's memory, a millisecond of a small one's."""


class TickGate:
    """Lets ticks go first: slices of other work begin only while no tick is on the device."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ticks = 0

    @contextlib.contextmanager
    def tick(self) -> Iterator[None]:
        """Keep slices from beginning."""
        with self._changed:
            self._ticks += 1
        try:
            yield
        finally:
            with self._changed:
                self._ticks -= 1
                self._changed.notify_all()

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Wait until no tick is on the device, or the work is over anyway."""
        with self._changed:
            self._changed.wait_for(lambda: not self._ticks or is_over())

    def wake(self) -> None:
        """Have whoever waits ask again whether its work is over."""
        with self._changed:
            self._changed.notify_all()


class CudaQueries:
    """The second queue of a device.

    Args:
        queue: its own.
        gate: of the ticks.
        threads: of a block.
        largest_job, slice_events: events of a job and of a slice, at most.
    """

    def __init__(
        self,
        queue: Queue,
        gate: TickGate,
        *,
        threads: int = _THREADS,
        largest_job: int = job_tables.LARGEST_JOB_EVENTS,
        slice_events: int = SLICE_EVENTS,
    ) -> None:
        self._queue = queue
        self._gate = gate
        self._threads = threads
        self._largest_job = largest_job
        self._slice_events = slice_events
        self._lock = threading.Lock()
        self._abandoned = threading.Event()

    def run(self, work: Callable[[Queue, Callable[[], None]], _T]) -> _T:
        """Do work on the queue, alone. It is given a checkpoint to call before each slice.

        Raises:
            OutOfDeviceMemory: there is no room for it, or it had to give way.
        """
        with self._lock:
            try:
                return work(self._queue, self._next_slice)
            except BaseException as error:
                # Whoever has the error would hold on to what is to be freed, by its frames or those of its context.
                traceback.clear_frames(error.__traceback__)
                raise
            finally:
                self._queue.wait()  # what it used may be freed now

    def give_way(self) -> None:
        """End what runs, and return when its memory is free. From the thread of the ticks."""
        self._abandoned.set()
        self._gate.wake()
        with self._lock:
            self._abandoned.clear()

    def _next_slice(self) -> None:
        """Wait until the slice before is done, and the ticks have had their turn."""
        self._queue.wait()
        self._gate.wait(self._abandoned.is_set)
        if self._abandoned.is_set():
            raise OutOfDeviceMemory(f"{self._queue.runtime.facts.name} has no room but for ticks")

    def project(
        self,
        view: CudaLedgerView,
        frame: Timeframe,
        now_minute: int,
        rows: RowRange,
        weights: NDArray[np.uint16],
        newest_column: int | None,
        checkpoint: Callable[[], None] | None,
    ) -> NDArray[np.int64]:
        """Compute a grid; see Backend.project. A grid of more rows than a block holds is made in bands."""
        newest = frame.column_of(now_minute) if newest_column is None else newest_column

        def work(queue: Queue, next_slice: Callable[[], None]) -> NDArray[np.int64]:
            def pause() -> None:
                next_slice()
                if checkpoint is not None:
                    checkpoint()

            bands = [self._band(queue, pause, view, frame, now_minute, band, weights, newest) for band in _bands(rows)]
            return bands[0] if len(bands) == 1 else np.concatenate(bands, axis=1)

        return self.run(work)

    def _band(
        self,
        queue: Queue,
        pause: Callable[[], None],
        view: CudaLedgerView,
        frame: Timeframe,
        now_minute: int,
        rows: RowRange,
        weights: NDArray[np.uint16],
        newest: int,
    ) -> NDArray[np.int64]:
        table = job_tables.channel_table([GridSpec(frame, rows)])
        job_tables.set_window(table[0], frame, newest)
        scan_jobs = job_tables.scan_jobs(table, self._threads)
        tiles = -(-frame.columns // job_tables.TILE_COLUMNS)
        first_minute = int(table[0]["first_minute"])
        past = [(view.past.tiers[k], view.past.limits[k] >= first_minute) for k in view.tiers_from(first_minute)]
        runs = [*past, (view.raw(), False)]
        jobs = [
            job_tables.project_jobs(
                0,
                frame,
                newest,
                number,
                run.before,
                now_minute,
                self._largest_job,
                first_event=job_tables.first_event(run),
                opened_inside=opened_inside,
            )
            for number, (run, opened_inside) in enumerate(runs)
        ]
        pause()
        cells = queue.zeros(frame.columns * rows.count, np.int64)
        channel, on_keys, scan = queue.put(table), queue.put(weights), queue.put(scan_jobs)
        entries = queue.put(np.array([job_tables.run_entry(run) for run, _ in runs], job_tables.EVENT_RUN))
        sums = queue.empty(tiles * MAX_GRID_ROWS, np.int64)
        for number, part in enumerate(_slices(np.concatenate(jobs), self._slice_events)):
            if number:
                pause()
            for run, _ in runs:
                queue.hold(run.row, run.open_minute, run.key, run.lots)
            queue.launch("project_columns", len(part), self._threads, queue.put(part), channel, entries, on_keys, cells)
        pause()
        queue.launch("sum_tiles", len(scan_jobs), self._threads, scan, channel, cells, sums)
        queue.launch("scan_tiles", len(scan_jobs), self._threads, scan, channel, sums, cells)
        return self._read(queue, pause, cells).reshape(frame.columns, rows.count)

    def _read(self, queue: Queue, pause: Callable[[], None], cells: DeviceArray) -> NDArray[np.int64]:
        """Copy a grid to the host, in pieces that keep no tick's copies waiting for long."""
        found = np.empty(len(cells), np.int64)
        for begin in range(0, len(cells), _READ_CELLS):
            pause()
            end = min(begin + _READ_CELLS, len(cells))
            found[begin:end] = queue.read(cells.part(begin, end))
        return found


_READ_CELLS: Final = 1 << 18
"""2 MB: a tenth of a millisecond."""


def _bands(rows: RowRange) -> list[RowRange]:
    return [
        RowRange(rows.first + begin, min(MAX_GRID_ROWS, rows.count - begin), rows.multiple)
        for begin in range(0, rows.count, MAX_GRID_ROWS)
    ]


def _slices(jobs: Table, events: int) -> Sequence[Table]:
    """Cut jobs into pieces of some number of events, or of one job where that has more."""
    if not len(jobs):
        return []
    number = (np.cumsum(jobs["events"], dtype=np.int64) - jobs["events"]) // events
    return np.split(jobs, np.flatnonzero(np.diff(number)) + 1)
