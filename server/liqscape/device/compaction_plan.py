"""What a compaction does with each age tier: what stays, what arrives, what is merged, and in which pieces.

Decided from minutes and boundaries alone, on the host, for every backend alike. A backend then selects events by their
open minute and merges those of a span; age_tiers.py says why that changes no grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from liqscape.device.age_tiers import AGE_TIERS, RAW_MINUTES, boundaries
from liqscape.errors import ModelError

NEVER: Final = int(np.iinfo(np.int32).max)
"""A minute after all others."""

_CODE_BITS: Final = 63
_SPAN_MINUTES: Final = AGE_TIERS[-1].bin_minutes


@dataclass(frozen=True, slots=True)
class EventTimes:
    """When the events of a run happened.

    Attributes:
        minutes: int32, ascending, of each event; or with starts the different ones.
        starts: int64[n + 1], the number of the first event of each minute, and after the last one how many there are.
    """

    minutes: NDArray[np.int32]
    starts: NDArray[np.int64] | None = None

    def before(self, edges: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return int64[n], for each minute the number of events that happened before it."""
        found = np.searchsorted(self.minutes, edges)
        return found if self.starts is None else self.starts[found]

    def before_minute(self, minute: int) -> int:
        """Return the number of events that happened before a minute."""
        return int(self.before(np.array([minute], np.int32))[0])


class Past(Protocol):
    """Of a compacted past, what plans are made from."""

    @property
    def limits(self) -> tuple[int, ...]:
        """Return the boundaries of its compaction."""
        ...

    @property
    def dropped_events(self) -> int:
        """Return how many events of the raw log, from its very first one, it stands for."""
        ...

    @property
    def until_minute(self) -> int:
        """Return the last event minute merged."""
        ...

    @property
    def unmerged(self) -> bool:
        """Return whether rows were coarsened since, so that tiers hold events that agree."""
        ...


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """What leaves the raw log.

    Attributes:
        begin, end: the numbers, within the raw events, of the first one that leaves and of the first one that stays.
        until_minute: the last event minute that leaves.
        limits: the new boundaries.
    """

    begin: int
    end: int
    until_minute: int
    limits: tuple[int, ...]

    def opened(self, number: int) -> tuple[int, int]:
        """Return the first open minute of a tier, and the first one after it."""
        return self.limits[number], self.limits[number - 1] if number else NEVER


@dataclass(frozen=True, slots=True)
class TierPlan:
    """How one tier becomes the new one.

    Attributes:
        kept: so many of its events, the oldest ones, meet nothing new and stay as they are.
        kept_shrinks: some of them may have been opened below the new limit, and leave.
        arriving: numbers of the younger tiers that something may come from.
        takes_raw: something comes from the raw log.
        spans: half-open minutes. What the rest of the tier, the younger ones and the raw log hold of each, and what was
            opened between the tier's limits, is merged, one span after the other; nothing outside of them is.
    """

    kept: int
    kept_shrinks: bool
    arriving: tuple[int, ...]
    takes_raw: bool
    spans: tuple[tuple[int, int], ...]


def plan_compaction(raw: EventTimes, first_event: int, past: Past, now_minute: int) -> CompactionPlan | None:
    """Return what leaves the raw log; None if nothing can have grown old since the past was made.

    Args:
        raw: of the raw log's events.
        first_event: number of its first event, counted from the ledger's very first one.
        past: the result of the last compaction.
        now_minute: never above the ledger's present; below it, compaction is late, which is exact.
    """
    until = now_minute - RAW_MINUTES
    if until <= past.until_minute:
        return None
    begin = past.dropped_events - first_event
    return CompactionPlan(begin, max(raw.before_minute(until + 1), begin), until, boundaries(now_minute))


def plan_tier(
    plan: CompactionPlan,
    number: int,
    past: Past,
    tiers: Sequence[EventTimes],
    moving: EventTimes,
    *,
    takes_raw: bool,
    span_events: int,
) -> TierPlan | None:
    """Return how a tier becomes the new one; None if it stays as it is.

    What arrives opened at or after the older limit of where it comes from, so nothing in the tier that happened before
    the first of these limits can have become equal to it: that part of the tier is kept as it is, unless rows were
    coarsened.

    Args:
        plan: of the whole compaction.
        number: of the tier.
        past: the result of the last compaction.
        tiers: of the events of each tier of the past.
        moving: of the events that leave the raw log.
        takes_raw: some of these were opened between the tier's limits.
        span_events: so many at most, or little more, are merged at once.
    """
    low, high = plan.opened(number)
    arriving = [k for k in range(number) if past.limits[k] < high and len(tiers[k].minutes)]
    first_minutes = [past.limits[k] for k in arriving]
    if takes_raw:
        first_minutes.append(int(moving.minutes[0]))
    changed_from = 0 if past.unmerged else min(first_minutes, default=NEVER)
    if changed_from == NEVER and past.limits[number] == low:
        return None
    changed_from -= changed_from % AGE_TIERS[number].bin_minutes
    held = tiers[number]
    kept = held.before_minute(changed_from)
    sources = [(tiers[k], 0) for k in arriving]
    if takes_raw:
        sources.append((moving, 0))
    return TierPlan(
        kept=kept,
        kept_shrinks=past.limits[number] < low,
        arriving=tuple(arriving),
        takes_raw=takes_raw,
        spans=_spans([(held, kept), *sources], changed_from, span_events),
    )


def _spans(sources: list[tuple[EventTimes, int]], first_minute: int, span_events: int) -> tuple[tuple[int, int], ...]:
    """Cut the minutes from the first one on into spans of some span_events.

    The cuts are multiples of the longest bin, and so of every bin: events in different spans never merge.

    Args:
        sources: times of events, and how many of the first of them do not take part.
    """
    last_minutes = [int(times.minutes[-1]) for times, _ in sources if len(times.minutes)]
    last = max((minute for minute in last_minutes if minute >= first_minute), default=None)
    if last is None:
        return ()
    edges = np.arange(first_minute // _SPAN_MINUTES + 1, last // _SPAN_MINUTES + 2, dtype=np.int32) * _SPAN_MINUTES
    before = sum(times.before(edges) - skipped for times, skipped in sources)
    chosen = np.unique(before // span_events, return_index=True)[1][1:]
    return tuple(pairwise([first_minute, *edges[chosen].tolist(), int(edges[-1])]))


def tiers_from(past: Past, first_minute: int, until_minute: int | None) -> range:
    """Return the numbers of the tiers that may hold something opened from first_minute on, and before until_minute.

    Tier k holds what was opened below limits[k - 1] and not below limits[k]; others need not be read.
    """
    if past.until_minute < 0:
        return range(0)
    too_new = 0 if until_minute is None else sum(limit >= until_minute for limit in past.limits)
    return range(too_new, 1 + sum(limit > first_minute for limit in past.limits[:-1]))


def field_bits(extents: Sequence[tuple[int, int]]) -> list[int]:
    """Return how many bits each field of a sort code takes.

    Args:
        extents: the least and the greatest value of each.

    Raises:
        ModelError: together they take too many.
    """
    bits = [(most - least).bit_length() for least, most in extents]
    if sum(bits) > _CODE_BITS:
        raise ModelError(f"events of an age tier need {sum(bits)} bits to sort; at most {_CODE_BITS} fit")
    return bits
