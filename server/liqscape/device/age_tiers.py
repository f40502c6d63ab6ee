"""Age tiers: which events of the past may be merged, and how far, so that no grid that may be asked for can tell.

Events older than a day leave the raw log and are merged by (event bin, open bin, row, key). Tier k holds what was
opened in [B_k, B_{k-1}) in bins of AGE_TIERS[k].bin_minutes, and serves the timeframe of its own and every longer
one. Merging is lossless because

- bins nest: the bin of a tier divides the column of every timeframe that reads it, so no column edge cuts a bin;
- a tier's lower boundary is not above the first minute of its timeframe's window, for any time of asking within the
  last day, and is a multiple of the *next* tier's bin, so no bin is split when its events move on;
- nothing younger than a day is merged, so a grid as of any minute of the last day is exact.

A boundary older than it could be (late compaction) leaves events in finer bins than needed, which is exact; a newer
one would be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from liqscape.axes import TIMEFRAMES, Timeframe

RAW_MINUTES: Final = 1440
"""Events stay raw for a day, so that every minute of it can be asked for again."""


@dataclass(frozen=True, slots=True)
class AgeTier:
    """One tier.

    Attributes:
        frame: the shortest timeframe it must serve in full.
        bin_minutes: event and open minutes are floored to multiples of it.
        row_unit: base rows are floored to multiples of it.
        keeps_cause: whether swept and closed stay apart.
    """

    frame: Timeframe
    bin_minutes: int
    row_unit: int
    keeps_cause: bool


def _tier(name: str, bin_minutes: int, row_unit: int, *, keeps_cause: bool = False) -> AgeTier:
    return AgeTier(next(f for f in TIMEFRAMES if f.name == name), bin_minutes, row_unit, keeps_cause)


AGE_TIERS: Final = (
    _tier("24h", 1, 1, keeps_cause=True),
    _tier("3d", 5, 1, keeps_cause=True),
    _tier("1w", 15, 1),
    _tier("2w", 30, 5),
    _tier("1m", 60, 5),
    _tier("3m", 180, 5),
    _tier("6m", 360, 5),
    _tier("1y", 720, 5),
)


def boundaries(now_minute: int) -> tuple[int, ...]:
    """Return B_k for each tier: the open minute below which an event leaves tier k (the last tier drops it).

    Args:
        now_minute: of the compaction; windows of the last RAW_MINUTES before it stay exact.
    """
    earliest_asked = now_minute - RAW_MINUTES
    found: list[int] = []
    for tier, following in zip(AGE_TIERS, (*AGE_TIERS[1:], None), strict=True):
        first_minute = tier.frame.first_column(earliest_asked) * tier.frame.column_minutes
        bin_minutes = following.bin_minutes if following is not None else tier.bin_minutes
        found.append(first_minute // bin_minutes * bin_minutes)
    return tuple(found)
