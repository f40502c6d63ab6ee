"""The jobs of a tick: which events count in which column of which channel, kept on the device from tick to tick.

What a channel's past comes to changes only when a column ends, the past is merged or a log moves. So each channel has a
region of the table for it, with room to grow; a tick writes the regions that changed and, behind all of them, the jobs
of the events in each newest column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import Timeframe
from liqscape.device import job_tables
from liqscape.device.backend import AdvanceRequest
from liqscape.device.cuda_ledger import CudaLedgerView
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.job_tables import Table
from liqscape.device.queue import Queue

_LEAST_ROOM: Final = 32
_ROOM_SHARE: Final = 8
"""Room to grow of a region, in jobs and as a share of those it has: a roll adds a few, a merge some more."""


@dataclass(frozen=True, slots=True)
class Step:
    """One channel's way to now: its newest column may be behind the minute."""

    view: CudaLedgerView
    now_minute: int
    newest: int

    @classmethod
    def of(cls, request: AdvanceRequest, frame: Timeframe) -> Step:
        """Return what a request asks of a channel of some timeframe."""
        newest = frame.column_of(request.now_minute) if request.newest_column is None else request.newest_column
        return cls(cast(CudaLedgerView, request.view), request.now_minute, newest)


@dataclass(frozen=True, slots=True)
class PastJobs:
    """Jobs of everything before a channel's newest column, and of merged events in it.

    Attributes:
        past, newest, first_run, first_raw: what they were made for; while these stay, so do the jobs.
        jobs: PROJECT_JOB[job].
        tail: the first raw event of the newest column.
    """

    past: DevicePast
    newest: int
    first_run: int
    first_raw: int
    jobs: Table
    tail: int

    @classmethod
    def of(cls, number: int, frame: Timeframe, step: Step, first_run: int, largest: int) -> PastJobs:
        """Return the jobs of a channel.

        Args:
            number: of the channel.
            frame: its timeframe.
            step: where it goes.
            first_run: number of its ledger's first run.
            largest: events of a job at most.
        """
        newest, past, raw = step.newest, step.view.past, step.view.raw()
        first_minute = (newest - frame.columns + 1) * frame.column_minutes
        tail = int(raw.before(np.array([newest * frame.column_minutes]))[0])
        runs = [(first_run + k, past.tiers[k], past.limits[k] >= first_minute) for k in past.tiers_from(first_minute)]
        jobs = [
            job_tables.project_jobs(
                number,
                frame,
                newest,
                run,
                events.before,
                step.now_minute,
                largest,
                first_event=job_tables.first_event(events),
                opened_inside=opened_inside,
            )
            for run, events, opened_inside in (*runs, (first_run + len(past.tiers), raw.part(0, tail), False))
        ]
        return cls(past, newest, first_run, step.view.first_raw, np.concatenate(jobs), tail)

    def is_for(self, step: Step, first_run: int) -> bool:
        """Return whether they are still right."""
        of_step = step.newest, first_run, step.view.first_raw
        return self.past is step.view.past and (self.newest, self.first_run, self.first_raw) == of_step


class JobTable:
    """PROJECT_JOB[job] on the device. Jobs without events fill the regions: a block that has one ends at once.

    Args:
        queue: of the engine's thread.
        columns: int64[channel].

    Attributes:
        on_device: the table; more than its jobs.
        count: how many jobs there are.
    """

    def __init__(self, queue: Queue, columns: NDArray[np.int64]) -> None:
        self.on_device = queue.empty(0, job_tables.PROJECT_JOB)
        self.count = 0
        self._queue = queue
        self._newest = columns - 1
        self._known: list[PastJobs | None] = [None] * len(columns)
        self._begins = np.zeros(len(columns) + 1, np.int64)  # of the regions, and behind the last one

    def update(
        self, frames: Sequence[Timeframe], steps: Sequence[Step], first_runs: Sequence[int], largest: int
    ) -> list[int]:
        """Write what has changed; return the numbers of the channels whose windows have.

        Args:
            frames, steps: of each channel.
            first_runs: number of the first run of each channel's ledger; raw events are the run after its tiers.
            largest: events of a job at most.

        Raises:
            OutOfDeviceMemory: the table cannot grow; nothing on the device is changed.
        """
        changed = {
            number: PastJobs.of(number, frame, step, run, largest)
            for number, (known, frame, step, run) in enumerate(zip(self._known, frames, steps, first_runs, strict=True))
            if known is None or not known.is_for(step, run)
        }
        now = [changed.get(number, known) for number, known in enumerate(self._known)]
        tail = self._tail(cast(list[PastJobs], now), steps, first_runs, largest)
        fits = all(len(past.jobs) <= self._begins[n + 1] - self._begins[n] for n, past in changed.items())
        if not fits or self._begins[-1] + len(tail) > len(self.on_device):
            self._lay_out(cast(list[PastJobs], now), len(tail))
        else:
            for number, past in changed.items():
                region = np.zeros(self._begins[number + 1] - self._begins[number], job_tables.PROJECT_JOB)
                region[: len(past.jobs)] = past.jobs
                begin = int(self._begins[number])
                self._queue.write(self.on_device.part(begin, begin + len(region)), region)
        self._known = now
        end = int(self._begins[-1])
        self.count = end + len(tail)
        self._queue.write(self.on_device.part(end, self.count), tail)
        return list(changed)

    def _tail(self, known: Sequence[PastJobs], steps: Sequence[Step], first_runs: Sequence[int], largest: int) -> Table:
        """Return the jobs of the raw events in each newest column."""
        tails = np.array([past.tail for past in known], np.int64)
        first = np.array([step.view.first_raw for step in steps], np.int64)
        ends = np.array([step.view.raw_events for step in steps], np.int64)
        raw_runs = np.array(first_runs, np.int64) + [len(step.view.past.tiers) for step in steps]
        numbers = np.arange(len(steps))
        return job_tables.cut_jobs(numbers, raw_runs, self._newest, first + tails, first + ends, largest)

    def _lay_out(self, known: Sequence[PastJobs], tail: int) -> None:
        """Give every channel a region with room to grow, and write all of them."""
        lengths = np.array([len(past.jobs) for past in known], np.int64)
        begins = np.append(0, np.cumsum(lengths + lengths // _ROOM_SHARE + _LEAST_ROOM))
        count = int(begins[-1]) + tail
        if count > len(self.on_device):
            self.on_device = self._queue.empty(count + count // _ROOM_SHARE, job_tables.PROJECT_JOB)
        jobs = np.zeros(int(begins[-1]), job_tables.PROJECT_JOB)
        for past, begin in zip(known, begins.tolist(), strict=False):
            jobs[begin : begin + len(past.jobs)] = past.jobs
        self._queue.write(self.on_device.part(0, len(jobs)), jobs)
        self._begins = begins
