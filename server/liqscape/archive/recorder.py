"""Follows a shard on the engine's thread and cuts what happens into stretches for the archive. Copies nothing.

It is told of each tick before the shard takes it, live and when a journal is replayed, so what it notes depends on the
ticks alone. The ledger keeps raw events for a day; a stretch is cut long before they leave it.
"""

from __future__ import annotations

from typing import Final

from liqscape.archive.cuts import Cut, MinuteEnd, Segment, TakenTick
from liqscape.archive.manifest import DAY_MINUTES, Span, day_of
from liqscape.axes import SymbolScale, last_minute_before
from liqscape.device.backend import LedgerView
from liqscape.grid.shard import Shard
from liqscape.market.closed_tick import ClosedTick

MAX_MINUTES: Final = 720
"""Of a stretch, the tick after it included: half of what stays raw."""

MAX_TICKS: Final = 4096
"""Of a stretch: a quarter of an hour of quarter seconds; their bars wait in memory."""

MAX_EVENTS: Final = 1 << 20
"""Of a stretch and symbol: 30 MB."""


class Recorder:
    """See above.

    Args:
        shard: between two ticks; what is recorded begins with the next.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._rejected = {i.instrument_id: shard.market.rejected_events(i.instrument_id) for i in shard.instruments}
        self._begin()

    def before_tick(self, tick: int, closed: ClosedTick) -> list[Cut]:
        """Note a tick that has ended and is not taken yet; return the stretches that end before it."""
        shard = self._shard
        now, following = last_minute_before(shard.end_ns), last_minute_before(closed.end_ns)
        self._follow_ledgers()
        if shard.tick and following > now:
            self._minutes.append(MinuteEnd(now, shard.tick, shard.served(), dict(self._rejected)))
        cuts: list[Cut] = []
        if shard.tick and day_of(following) > day_of(now):
            cuts.append(self._cut(day_of(now), (day_of(now) + 1) * DAY_MINUTES - 1, ends_day=True))
        elif self._is_long(following):
            cuts.append(self._cut(day_of(now), following - 1, ends_day=False))
        self._ticks.append(TakenTick(tick, closed, self._base_steps(closed), shard.price_leaders()))
        for name, carry in closed.carries.items():
            self._rejected[name] = carry.rejected
        return cuts

    def cut(self) -> Cut:
        """Return what was noted since the last cut, up to the tick that was taken last. Between ticks."""
        self._follow_ledgers()
        now = last_minute_before(self._shard.end_ns)
        return self._cut(day_of(now), now - 1, ends_day=False)

    def _begin(self) -> None:
        shard = self._shard
        self._after_tick = shard.tick
        self._after_minute = last_minute_before(shard.end_ns) if shard.tick else -1
        self._ledgers: dict[str, tuple[SymbolScale, LedgerView]] = shard.ledgers()
        self._first_events = {symbol: view.appended for symbol, (_, view) in self._ledgers.items()}
        self._noted = dict(self._first_events)  # events that are in a segment, by symbol
        self._segments: dict[str, list[Segment]] = {}
        self._ticks: list[TakenTick] = []
        self._minutes: list[MinuteEnd] = []

    def _follow_ledgers(self) -> None:
        """Take over the ledgers; where rows were coarsened, what came before stays on the rows of then."""
        ledgers = self._shard.ledgers()
        for symbol, (scale, _) in ledgers.items():
            before = self._ledgers.get(symbol)
            if before is not None and before[0] != scale:
                self._note(symbol, *before)
        self._ledgers = ledgers

    def _note(self, symbol: str, scale: SymbolScale, view: LedgerView) -> None:
        begin, end = self._noted.get(symbol, 0), view.appended
        if begin < end:
            self._segments.setdefault(symbol, []).append(Segment(view, begin, end, scale.base_step))
        self._noted[symbol] = end

    def _is_long(self, following: int) -> bool:
        if not self._ticks:
            return False
        begin = last_minute_before(self._ticks[0].closed.end_ns)
        return (
            following - begin >= MAX_MINUTES
            or len(self._ticks) >= MAX_TICKS
            or any(view.appended - self._noted.get(name, 0) >= MAX_EVENTS for name, (_, view) in self._ledgers.items())
        )

    def _cut(self, day: int, until_minute: int, *, ends_day: bool) -> Cut:
        for symbol, (scale, view) in self._ledgers.items():
            self._note(symbol, scale, view)
        found = Cut(
            day=day,
            span=Span(
                after_tick=self._after_tick,
                tick=self._shard.tick,
                after_minute=self._after_minute,
                until_minute=until_minute,
                first_events=self._first_events,
                events=dict(self._noted),
            ),
            ends_day=ends_day,
            ticks=tuple(self._ticks),
            scales={symbol: scale for symbol, (scale, _) in self._ledgers.items()},
            segments={symbol: tuple(segments) for symbol, segments in self._segments.items()},
            minutes=tuple(self._minutes),
        )
        self._begin()
        return found

    def _base_steps(self, closed: ClosedTick) -> dict[str, int]:
        """Return the base step of the rows of each symbol's bars: fixed by this tick, or in force before it."""
        fixed = {scale.symbol: scale.base_step for scale in closed.scales}
        found: dict[str, int] = {}
        for symbol in {bar.symbol for bar in closed.bars}:
            scale = self._shard.market.scale(symbol)
            found[symbol] = fixed[symbol] if scale is None else scale.base_step
        return found
