"""What a server does in a tick, taken apart: on the engine's thread by part, and beside it.

The work beside a tick is done here after it, on the same thread, and timed apart: so each time is that of the work
alone, and not of threads that wait for each other.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from benchmarks.many_markets import Market
from benchmarks.year_book import MIDNIGHT_MINUTE
from liqscape.axes import MINUTE_NS
from liqscape.background import SELF_CHECK_SECONDS
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.ports import ShardDescription
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, TickEnd
from liqscape.feeds.simulate import PastSpan
from liqscape.grid.engine import GridEngine
from liqscape.grid.event_log import EventLog
from liqscape.grid.shard import Shard
from liqscape.grid.updates import TickOutput
from liqscape.market.state import MarketState
from liqscape.positions.book import PositionBook
from liqscape.positions.open_only import OpenOnlyBook

TICK_MS: Final = 250
CHECK_EVERY_TICKS: Final = int(SELF_CHECK_SECONDS * 1000) // TICK_MS

WATCHED: Final = (
    (MarketState, "close_tick", "market"),
    (PositionBook, "apply", "book"),
    (OpenOnlyBook, "apply", "open-only book"),
    (EventLog, "record", "logs"),
    (GridEngine, "render", "grids"),
)
"""The parts that lie inside Shard.accept; none of them calls another."""

PARTS: Final = (*(name for _, _, name in WATCHED), "view")
"""Of a tick. view: what queries and status see is renewed, and what is due beside the tick is looked for."""

BESIDE: Final = ("encoding", "self-check")
"""What a server does on threads of their own."""


class Stopwatch:
    """Seconds spent in parts of a tick; methods are watched while a with-block lasts."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of a with-block."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started

    @contextmanager
    def watching(self, owner: type, method: str, name: str) -> Iterator[None]:
        """Count the time of every call of a method of a class."""
        original = getattr(owner, method)

        def watched(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return original(*arguments, **named)

        setattr(owner, method, watched)
        try:
            yield
        finally:
            setattr(owner, method, original)


class Server:
    """What the engine's thread owns, and the markets that feed it.

    Args:
        symbols, instruments: how many, and of each symbol.
        past: of the markets.
        minutes: live, half of them before a midnight.
    """

    def __init__(self, symbols: int, instruments: int, past: tuple[PastSpan, ...], minutes: int) -> None:
        start_ns = (MIDNIGHT_MINUTE - minutes // 2) * MINUTE_NS
        self.live_ticks = minutes * 60_000 // TICK_MS
        markets = [Market(number, instruments, past, TICK_MS, start_ns) for number in range(symbols)]
        self.shard = Shard([i for m in markets for i in m.instruments], NumpyBackend(), SystemClock().now_ns)
        self.encoder = StreamEncoder(
            ShardDescription("bench", 1, TICK_MS, True, False, "simulated markets", self.shard.channels)
        )
        # One more than is timed: the first tick computes every grid from nothing.
        self._steps = zip(*(market.ticks(self.live_ticks + 1) for market in markets), strict=True)
        self._logs: list[EventLog] = []
        self._newest: dict[int, int] = {}
        self._ticks = 0

    def build(self) -> None:
        """Pass on the past, merge it, and take the first tick."""
        for step in self._steps:
            end = self.take_events(step)
            if end.render:
                break
            self.shard.accept(end)
        for log, work in self.shard.compactions():
            log.adopt(work())
            self._logs.append(log)
        self.work_beside(self.tick(end, Stopwatch())[0], Stopwatch())

    def steps(self) -> Iterator[tuple[tuple[list[Event], TickEnd], ...]]:
        """Yield what is left: for each tick, events and end from every market."""
        yield from self._steps

    def take_events(self, step: tuple[tuple[list[Event], TickEnd], ...]) -> TickEnd:
        """Give the events of a tick to the shard; return the end all markets share."""
        for said, _ in step:
            for event in said:
                self.shard.accept(event)
        return step[0][1]

    def tick(self, end: TickEnd, watch: Stopwatch) -> tuple[TickOutput, int]:
        """Do what the engine's thread does at the end of a tick; return the output, and how many columns rolled."""
        output = self.shard.accept(end)
        assert output is not None
        with watch.part("view"):
            self.shard.view()
            self.shard.status()
            self.shard.compactions()
        return output, self._count_rolls(output)

    def work_beside(self, output: TickOutput, watch: Stopwatch) -> None:
        """Do what other threads do about a tick: encode it, and every so often compare a grid with its recompute.

        Raises:
            AssertionError: they differ.
        """
        with watch.part("encoding"):
            self.encoder.encode(output)
        self._ticks += 1
        if self._ticks % CHECK_EVERY_TICKS == 0:
            compare = self.shard.self_check(self._ticks // CHECK_EVERY_TICKS)
            assert compare is not None
            with watch.part("self-check"):
                difference = compare()
            assert difference is None, difference

    def merge_seconds(self) -> float:
        """Return how long merging every log once more takes: it rewrites whole tiers for the few events that are due.

        Nothing is taken over. Zero where the past was too short to be merged.
        """
        now = self.shard.end_ns // MINUTE_NS
        started = time.perf_counter()
        for log in self._logs:
            log.capture().compacted(now)
        return time.perf_counter() - started

    def differences(self) -> list[str]:
        """Return which grids differ from their full recompute, and which levels from the ones emitted."""
        found: list[str] = []
        for number, channel in enumerate(self.shard.channels):
            compare = self.shard.self_check(number)
            difference = None if compare is None else compare()
            found += [] if difference is None else [difference]
            levels = self.shard.engine(channel.symbol).levels(channel.channel_id)
            if not np.array_equal(levels, self.encoder.levels(channel.channel_id)):
                found.append(f"levels of {channel.symbol} {channel.timeframe.name} differ from what was emitted")
        return found

    def _count_rolls(self, output: TickOutput) -> int:
        newest = {update.channel.channel_id: update.newest_column for update in output.channels}
        rolls = sum(self._newest.get(channel_id, column) != column for channel_id, column in newest.items())
        self._newest |= newest
        return rolls
