"""Which channels roll in a tick: a column that enters costs a full recompute, and at midnight every channel has one.

The choice depends on tick numbers and event time alone, so a replay makes the same one. Until its turn a channel keeps
its old axes, on which everything up to now counts in the newest column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from liqscape.axes import MINUTE_NS
from liqscape.errors import ConfigError
from liqscape.grid.updates import Channel

DEFAULT_ROLLS_PER_TICK: Final = 4
"""Ninety channels are through in 6 s of ticks at 250 ms, and a recompute of 10 ms takes a sixth of such a tick."""

SPREAD_NS: Final = MINUTE_NS // 2
"""Rolls are spread over the first half of a minute, evenly where there are more than its ticks take by
DEFAULT_ROLLS_PER_TICK: of fifty symbols 450 channels roll at midnight. In the second half none waits, so that at its
end all are done."""


@dataclass(frozen=True, slots=True)
class RollsSnapshot:
    """A RollQueue: channel ids in the order of their turns, and when the last tick that took some ended."""

    waiting: tuple[int, ...]
    last_end_ns: int | None


class RollQueue:
    """Channels whose axes are behind, first come first served, short columns before long ones.

    Args:
        rolls_per_tick: so many in a tick of the first half of a minute; more where that would not do.

    Raises:
        ConfigError: rolls_per_tick is below 1.
    """

    def __init__(self, rolls_per_tick: int = DEFAULT_ROLLS_PER_TICK) -> None:
        if rolls_per_tick < 1:
            raise ConfigError(f"rolls_per_tick {rolls_per_tick} is invalid; use 1 or more")
        self._rolls_per_tick = rolls_per_tick
        self._waiting: dict[int, None] = {}  # channel ids, in the order of their turns
        self._last_end_ns: int | None = None

    def snapshot(self) -> RollsSnapshot:
        """Return who waits."""
        return RollsSnapshot(tuple(self._waiting), self._last_end_ns)

    def restore(self, snapshot: RollsSnapshot) -> None:
        """Be as when a snapshot was taken."""
        self._waiting = dict.fromkeys(snapshot.waiting)
        self._last_end_ns = snapshot.last_end_ns

    def take(self, due: Iterable[Channel], tick_end_ns: int) -> frozenset[int]:
        """Return the channel ids that roll in this tick; the other ones that are due keep waiting.

        Args:
            due: every channel whose axes are behind.
            tick_end_ns: event time of the tick's end, exclusive.
        """
        by_width = sorted(due, key=lambda channel: (channel.timeframe.column_minutes, channel.channel_id))
        still_due = {channel.channel_id for channel in by_width}
        self._waiting = {channel_id: None for channel_id in self._waiting if channel_id in still_due}
        self._waiting.update({channel.channel_id: None for channel in by_width})
        left = ticks_to_spread_over(tick_end_ns, self._last_end_ns)
        self._last_end_ns = tick_end_ns
        count = len(self._waiting)
        if left is not None:
            count = max(self._rolls_per_tick, -(-count // left))
        taken = frozenset(list(self._waiting)[:count])
        self._waiting = {channel_id: None for channel_id in self._waiting if channel_id not in taken}
        return taken


def ticks_to_spread_over(tick_end_ns: int, last_end_ns: int | None) -> int | None:
    """Return how many ticks, this one first, end in the first half of this minute; None in the second half.

    Args:
        tick_end_ns: event time of the tick's end, exclusive.
        last_end_ns: of the one before; the next ones are taken to be as long. None if there was none: then as short as
            can be, for there is no telling.
    """
    into_minute_ns = (tick_end_ns - 1) % MINUTE_NS
    if into_minute_ns >= SPREAD_NS:
        return None
    length_ns = 1 if last_end_ns is None else max(1, tick_end_ns - last_end_ns)
    return 1 + (SPREAD_NS - 1 - into_minute_ns) // length_ns
