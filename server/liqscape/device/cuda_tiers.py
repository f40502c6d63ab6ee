"""Compaction on the device: raw events older than a day become sorted, merged runs, one a tier.

compaction_plan.py says what becomes of each tier, cuda_select.py finds the events, cuda_merge.py merges them. The work
comes in slices of some milliseconds; before each a caller may let more urgent work go first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AGE_TIERS
from liqscape.device.compaction_plan import (
    NEVER,
    CompactionPlan,
    EventTimes,
    TierPlan,
    plan_compaction,
    plan_tier,
    tiers_from,
)
from liqscape.device.cuda_merge import Merger
from liqscape.device.cuda_select import MergeSizes, Part, Selection, move_kept, select
from liqscape.device.device_runs import DeviceRun
from liqscape.device.job_tables import division
from liqscape.device.queue import DeviceArray, Queue

_SIZES: Final = MergeSizes()


@dataclass(frozen=True, slots=True)
class DevicePast:
    """Everything that has left the raw log. Immutable.

    Attributes:
        tiers: events of each tier, ascending by event bin; minutes and rows are floored to the tier's bins. Causes are
            there where the tier keeps them.
        limits: the boundaries of the compaction: what was opened below limits[k] is not in tiers 0..k.
        dropped_events: how many events of the raw log, from its very first one, these stand for.
        until_minute: the last event minute they include.
        coarsened: how often rows were coarsened so far.
        unmerged: rows were coarsened since the last compaction, so tiers hold events that agree.
    """

    tiers: tuple[DeviceRun, ...]
    limits: tuple[int, ...]
    dropped_events: int
    until_minute: int
    coarsened: int = 0
    unmerged: bool = False

    @classmethod
    def nothing(cls, queue: Queue) -> DevicePast:
        """Return the past of an empty ledger."""
        tiers = tuple(DeviceRun.empty(queue, with_cause=tier.keeps_cause) for tier in AGE_TIERS)
        return cls(tiers, (-1,) * len(AGE_TIERS), 0, -1)

    @property
    def events(self) -> int:
        """Return the number of merged events."""
        return sum(map(len, self.tiers))

    @property
    def nbytes(self) -> int:
        """Return the bytes of the merged events."""
        return sum(tier.nbytes for tier in self.tiers)

    def tiers_from(self, first_minute: int, until_minute: int | None = None) -> range:
        """Return the numbers of the tiers that may hold something opened from first_minute to before until_minute."""
        return tiers_from(self, first_minute, until_minute)

    def on_coarser_rows(self, queue: Queue, multiple: int, sizes: MergeSizes = _SIZES) -> DevicePast:
        """Return the same events on rows multiple times as high; those that now agree are merged the next time.

        Raises:
            OutOfDeviceMemory: there is no room for the rows.
        """
        magic, shift = (np.uint32(number) for number in division(multiple))
        tiers = []
        for tier in self.tiers:
            row, count = queue.empty(len(tier), np.int32), len(tier)
            blocks = -(-count // sizes.threads)
            queue.launch("coarsen_rows", blocks, sizes.threads, np.uint32(count), magic, shift, tier.row, row)
            tiers.append(replace(tier, row=row))
        queue.wait()
        return replace(self, tiers=tuple(tiers), coarsened=self.coarsened + 1, unmerged=True)


def compact(
    queue: Queue,
    raw: DeviceRun,
    first_event: int,
    past: DevicePast,
    now_minute: int,
    checkpoint: Callable[[], None] | None = None,
    sizes: MergeSizes = _SIZES,
) -> DevicePast:
    """Return the past with every raw event merged in that is older than a day at now_minute.

    When this returns or raises, the work is done; nothing that was given is changed.

    Args:
        queue: of the work; what is given must be on the device already.
        raw: events of the raw log in time order, with causes.
        first_event: number of raw's first event, counted from the ledger's very first one.
        past: the result of the last compaction.
        now_minute: never above the ledger's present; below it, compaction is late, which is exact.
        checkpoint: called before each slice of the work, when the one before is done; what it raises ends the work.
        sizes: how the work is cut.

    Raises:
        OutOfDeviceMemory: there is no room for the new past beside the old one.
        ModelError: events differ in more bits than can be sorted.
    """
    plan = plan_compaction(EventTimes(raw.minutes, raw.starts), first_event, past, now_minute)
    if plan is None:
        return past
    moving = raw.part(plan.begin, plan.end)
    go_on = checkpoint or (lambda: None)
    try:
        go_on()
        arriving = _count_opened(queue, moving, plan, sizes)
        tiers = tuple(
            _Refill(queue, sizes, go_on, number, past, plan).run(moving, takes_raw=bool(arriving[number]))
            for number in range(len(AGE_TIERS))
        )
    finally:
        queue.wait()  # kernels find runs by addresses, of which the queue does not know
    return DevicePast(tiers, plan.limits, first_event + plan.end, plan.until_minute, past.coarsened)


def _count_opened(queue: Queue, moving: DeviceRun, plan: CompactionPlan, sizes: MergeSizes) -> NDArray[np.uint32]:
    """Return how many of the events that leave the raw log were opened between the limits of each tier."""
    tiers, events = len(AGE_TIERS), len(moving)
    counts = queue.zeros(tiers, np.uint32)
    if events:
        limits = queue.put(np.array([NEVER, *plan.limits], np.int32))
        told = (np.uint32(events), np.uint32(tiers), limits, moving.open_minute, counts)
        queue.launch("count_opened", sizes.tiles(events), sizes.threads, *told)
    return queue.read(counts)


class _Refill:
    """One tier without what has grown too old for it, and with what arrives from the raw log and younger tiers."""

    def __init__(
        self,
        queue: Queue,
        sizes: MergeSizes,
        go_on: Callable[[], None],
        number: int,
        past: DevicePast,
        plan: CompactionPlan,
    ) -> None:
        self._queue = queue
        self._sizes = sizes
        self._go_on = go_on
        self._number = number
        self._past = past
        self._plan = plan
        self._tier = AGE_TIERS[number]
        self._held = past.tiers[number]
        self._minutes: list[NDArray[np.int32]] = []
        self._counts: list[NDArray[np.int64]] = []

    def run(self, moving: DeviceRun, *, takes_raw: bool) -> DeviceRun:
        plan = plan_tier(
            self._plan,
            self._number,
            self._past,
            [EventTimes(tier.minutes, tier.starts) for tier in self._past.tiers],
            EventTimes(moving.minutes, moving.starts),
            takes_raw=takes_raw,
            span_events=self._sizes.span_events,
        )
        if plan is None:
            return self._held
        kept = Part(self._held, 0, plan.kept) if plan.kept_shrinks and plan.kept else None
        spans = self._parts(plan, moving)
        if kept is None and not any(spans):
            return self._held
        self._go_on()
        opened = self._plan.opened(self._number)
        selection = select(self._queue, self._sizes, self._tier, opened, kept, spans)
        stay = plan.kept if kept is None else int(selection.counts[0])
        merged = [selection.selected(span) for span in range(len(spans))]
        if stay == len(self._held) and not any(merged):
            return self._held
        made = _columns(self._queue, stay + sum(merged), keeps_cause=self._tier.keeps_cause)
        if kept is None:
            self._copy(self._held, made, stay)
            self._add(self._held.part(0, stay).minutes, self._held.part(0, stay).starts)
        else:
            self._move(selection, kept, made)
            self._add(self._held.part(0, plan.kept).minutes, selection.kept_starts)
        if any(merged):
            merger = Merger(self._queue, self._sizes, self._tier, selection)
        for span in np.flatnonzero(merged).tolist():
            self._go_on()
            begin = self._filled()
            self._add(*merger.merge(span, _part(made, begin, begin + merged[span])))
        return self._trimmed(made)

    def _parts(self, plan: TierPlan, moving: DeviceRun) -> list[list[Part]]:
        """Return, by span, what each source has of it."""
        sources = [self._held, *(self._past.tiers[k] for k in plan.arriving), *([moving] if plan.takes_raw else [])]
        spans: list[list[Part]] = []
        for span in plan.spans:
            parts: list[Part] = []
            for source in sources:
                begin, end = source.before(np.array(span, np.int64)).tolist()
                if begin < end:
                    parts.append(Part(source, begin, end))
            spans.append(parts)
        return spans

    def _copy(self, source: DeviceRun, to: DeviceRun, count: int) -> None:
        for begin in range(0, count, self._sizes.copied_events):
            self._go_on()
            end = min(begin + self._sizes.copied_events, count)
            for column, target in _pairs(source, to):
                self._queue.copy(target.part(begin, end), column.part(begin, end))
            self._queue.wait()

    def _move(self, selection: Selection, kept: Part, to: DeviceRun) -> None:
        tiles, at_once = int(selection.first_tiles[1]), self._sizes.tiles(self._sizes.copied_events)
        for begin in range(0, tiles, at_once):
            self._go_on()
            move_kept(self._queue, self._sizes, selection, kept, to, (begin, min(begin + at_once, tiles)))
            self._queue.wait()

    def _add(self, minutes: NDArray[np.int32], starts: NDArray[np.int64]) -> None:
        """Note events by their minutes: where those of each start, and after the last one how many there are."""
        counts = np.diff(starts)
        self._minutes.append(minutes[counts > 0])
        self._counts.append(counts[counts > 0])

    def _filled(self) -> int:
        return sum(int(counts.sum()) for counts in self._counts)

    def _trimmed(self, made: DeviceRun) -> DeviceRun:
        """Return the events that were written, in columns not much longer than they are."""
        count = self._filled()
        fitting = made
        if 2 * count < len(made):
            fitting = _columns(self._queue, count, keeps_cause=self._tier.keeps_cause)
            self._copy(made, fitting, count)
        starts = np.append(0, np.cumsum(np.concatenate(self._counts), dtype=np.int64))
        return replace(_part(fitting, 0, count), minutes=np.concatenate(self._minutes), starts=starts)


def _columns(queue: Queue, count: int, *, keeps_cause: bool) -> DeviceRun:
    """Return columns that are yet to be written, without minutes."""
    return DeviceRun(
        row=queue.empty(count, np.int32),
        open_minute=queue.empty(count, np.int32),
        key=queue.empty(count, np.uint16),
        lots=queue.empty(count, np.int64),
        cause=queue.empty(count, np.uint8) if keeps_cause else None,
        minutes=np.empty(0, np.int32),
        starts=np.zeros(1, np.int64),
    )


def _part(run: DeviceRun, begin: int, end: int) -> DeviceRun:
    """Return a part of columns without minutes."""
    return replace(
        run,
        row=run.row.part(begin, end),
        open_minute=run.open_minute.part(begin, end),
        key=run.key.part(begin, end),
        lots=run.lots.part(begin, end),
        cause=None if run.cause is None else run.cause.part(begin, end),
    )


def _pairs(one: DeviceRun, other: DeviceRun) -> list[tuple[DeviceArray, DeviceArray]]:
    pairs = [(one.row, other.row), (one.open_minute, other.open_minute), (one.key, other.key), (one.lots, other.lots)]
    if one.cause is not None and other.cause is not None:
        pairs.append((one.cause, other.cause))
    return pairs
