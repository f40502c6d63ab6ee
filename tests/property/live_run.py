"""A live run of an engine that writes down what it serves at the ends of minutes, and is asked for it again later.

The engine is the one that serves; the source, which it waits for between two ticks, asks. Merging happens on the
engine's thread at moments the plan names, not when a thread is free, so that a run is the same every time.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MINUTE_NS, TIMEFRAMES, RowRange, last_minute_before
from liqscape.broadcast.ports import ShardDescription
from liqscape.device.age_tiers import RAW_MINUTES
from liqscape.device.backend import Backend, CompactedPast
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.engine import EngineThread
from liqscape.errors import QueryError
from liqscape.events import Event, TickEnd
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.grid.event_log import EventLog
from liqscape.grid.shard import Shard
from liqscape.grid.updates import GridAnswer, GridQuery, PositionModel
from tests.property.live_market import START_MINUTE, Market

TIGHT: Final = RAW_MINUTES + 1
"""Asked so many minutes later, a minute is the oldest one held if the minute before has just been merged."""


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A grid of a minute's end."""

    minute: int
    symbol: str
    timeframe: str
    open_only: bool = False

    def query(self, *, as_of: bool) -> GridQuery:
        """Return the question for it, now or later."""
        model = PositionModel.OPEN_ONLY if self.open_only else PositionModel.NET_OF_CLOSES
        return GridQuery(self.symbol, self.timeframe, as_of_minute=self.minute if as_of else None, model=model)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is written down and asked for when, and when what is merged; all by minute.

    Attributes:
        written: pairs of the minute that ends.
        asked: pairs of minutes before.
        merged: minutes for which a merge waits in the log until it is adopted; 0: at once.
    """

    written: dict[int, list[Pair]]
    asked: dict[int, list[Pair]]
    merged: dict[int, int]

    @property
    def busy(self) -> set[int]:
        """Return the minutes at whose end something is wanted."""
        return {*self.written, *self.asked, *self.merged}

    @classmethod
    def random(cls, market: Market, minutes: int, pairs: int, tight: int, seed: int) -> Plan:
        """Return a plan of so many pairs in so many minutes.

        In some of the first segment all nine timeframes of a symbol are written, to be asked for when nothing older is
        held any more; grids of the other minutes are asked for a random while later, most of them within the day.

        Args:
            market: what the run is fed with.
            minutes: in which something is written.
            pairs: over all of them.
            tight: of the minutes, so many that are asked for as late as can be.
            seed: of the choice.
        """
        rng = np.random.default_rng(seed)
        last = START_MINUTE + market.minutes - 1
        symbols, names = market.symbols, [frame.name for frame in TIMEFRAMES]
        oldest: list[int] = (rng.choice(market.segments[0].minutes, tight, replace=False) + START_MINUTE).tolist()
        rest = sorted(set(range(START_MINUTE, last)) - set(oldest))
        # Half of them, where there are so many, lie in the first segment: there the ticks are short.
        early = [minute for minute in rest if minute < START_MINUTE + market.segments[0].minutes]
        short = rng.choice(early, min((minutes - tight) // 2, len(early)), replace=False).tolist()
        rest = sorted(set(rest) - set(short))
        others = [*short, *rng.choice(rest, minutes - tight - len(short), replace=False).tolist()]
        chosen = [Pair(minute, symbols[0], name) for minute in oldest for name in names]
        left = [Pair(minute, symbol, name) for minute in others for symbol in symbols for name in names]
        chosen += [left[i] for i in rng.choice(len(left), pairs - len(chosen), replace=False).tolist()]
        delays = {minute: int(rng.integers(1, rng.choice([11, RAW_MINUTES + 1]))) for minute in others}
        delays |= dict.fromkeys(oldest, TIGHT)
        written: defaultdict[int, list[Pair]] = defaultdict(list)
        asked: defaultdict[int, list[Pair]] = defaultdict(list)
        for number, pair in enumerate(sorted(chosen)):
            pair = replace(pair, open_only=number % 8 == 0)
            written[pair.minute].append(pair)
            asked[min(pair.minute + delays[pair.minute], last)].append(pair)
        merged = rng.choice(market.minutes, market.minutes // 150, replace=False) + START_MINUTE
        waits = {minute: int(rng.choice([0, 3, 90])) for minute in merged.tolist()}
        return cls(written, asked, waits | {minute + RAW_MINUTES: 0 for minute in oldest})


class PlannedMerges:
    """Stands in for the engine's background work: merges on the engine's thread when the plan says so.

    Attributes:
        counters: what the engine shows; on_time and late merges that were adopted.
    """

    def __init__(self, merged: dict[int, int]) -> None:
        self.counters: Counter[str] = Counter(on_time=0, late=0)
        self._merged = dict(merged)
        self._waiting: list[tuple[EventLog, CompactedPast]] = []
        self._adopt_at = 0

    def after_tick(self, shard: Shard) -> None:
        """Take over what has waited long enough and start what is due."""
        minute = last_minute_before(shard.end_ns)
        wait = self._merged.pop(minute, None) if shard.end_ns % MINUTE_NS == 0 else None
        if self._waiting and (minute >= self._adopt_at or wait == 0):
            self._adopt()
            self.counters["late"] += 1
        if wait is not None and not self._waiting:
            self._waiting = [(log, work()) for log, work in shard.compactions()]
            self._adopt_at = minute + wait
            if wait == 0 and self._waiting:
                self._adopt()
                self.counters["on_time"] += 1

    def stop(self) -> None:
        """Do nothing: there is no thread."""

    def _adopt(self) -> None:
        for log, past in self._waiting:
            log.adopt(past)
        self._waiting = []


@dataclass(frozen=True, slots=True)
class Served:
    """What a grid was when it was served.

    Attributes:
        cells: digest of the grid that GetGrid gave.
        levels: digest of the ring the stream had emitted; None where the grid is not streamed.
    """

    cells: bytes
    levels: bytes | None
    generation: int
    rows: RowRange
    newest_column: int


class AskingSource:
    """An EventSource that questions the engine it feeds whenever a minute has ended.

    Attributes:
        differences: pairs whose later answer was another one, and in what.
        compared: pairs asked for again.
        ticks_behind: ticks at whose end the roll of some channel was still waiting for its turn.
        oldest_asked: pairs that were the oldest a log held.
    """

    def __init__(self, market: Market, plan: Plan, shard: Shard) -> None:
        self.differences: list[str] = []
        self.compared = 0
        self.ticks_behind = 0
        self.oldest_asked = 0
        self.generations: Counter[str] = Counter()
        self._market = market
        self._plan = plan
        self._shard = shard
        self._served: dict[Pair, Served] = {}
        self.engine: EngineThread | None = None

    @property
    def description(self) -> SourceDescription:
        """Return what this source is."""
        return SourceDescription(
            name="a planned run",
            instruments=self._market.instruments,
            tick_ms=self._market.segments[0].tick_ms,
            simulated=True,
        )

    def progress(self) -> Progress:
        """Return nothing."""
        return Progress(0, 0, "bars")

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events; the engine asks for the next one between ticks, so here everything stands still."""
        for event in self._market.events(self._plan.busy):
            yield event
            if isinstance(event, TickEnd) and event.render:
                await self._after_tick(event.time_ns)

    async def _after_tick(self, end_ns: int) -> None:
        minute = last_minute_before(end_ns)
        self.ticks_behind += any(self._is_behind(symbol, minute) for symbol in self._shard.symbols)
        if end_ns % MINUTE_NS:
            return
        for pair in self._plan.asked.get(minute, ()):
            try:
                self._compare(pair, await self._answer(pair, as_of=True))
            except QueryError as error:
                self.differences.append(f"{pair}: refused at {minute}: {error}")
        for pair in self._plan.written.get(minute, ()):
            self._served[pair] = self._write_down(pair, await self._answer(pair, as_of=False))

    def _is_behind(self, symbol: str, minute: int) -> bool:
        channels = self._shard.view()[symbol].channels.values()
        return any(view.newest_column < view.channel.timeframe.column_of(minute) for view in channels)

    async def _answer(self, pair: Pair, *, as_of: bool) -> GridAnswer:
        assert self.engine is not None
        return await self.engine.get_grid(pair.query(as_of=as_of))

    def _write_down(self, pair: Pair, answer: GridAnswer) -> Served:
        self.generations[f"{pair.symbol} {pair.timeframe}"] = answer.generation
        levels = None
        if not pair.open_only:
            levels = _digest(self._shard.engine(pair.symbol).levels(answer.channel.channel_id))
        return Served(_digest(answer.cells), levels, answer.generation, answer.axes.rows, answer.newest_column)

    def _compare(self, pair: Pair, answer: GridAnswer) -> None:
        was = self._served.pop(pair)
        self.compared += 1
        self.oldest_asked += self._shard.view()[pair.symbol].ledger.exact_from_minute >= pair.minute
        parts = {
            "cells": _digest(answer.cells) == was.cells,
            "rows": (answer.generation, answer.axes.rows) == (was.generation, was.rows),
            "newest column": answer.newest_column == was.newest_column,
            "levels as streamed": was.levels is None or _digest(_ring_of_levels(answer)) == was.levels,
        }
        wrong = [part for part, is_equal in parts.items() if not is_equal]
        if wrong:
            self.differences.append(f"{pair}: other {', '.join(wrong)}")


def _ring_of_levels(answer: GridAnswer) -> NDArray[np.uint8]:
    """Return the levels of a grid in the order of the ring: column c sits at c modulo columns."""
    levels = levels_of(answer.cells, answer.usd_per_weighted_lot)
    return np.roll(levels, (answer.newest_column + 1) % len(levels), axis=0)


def _digest(array: NDArray[np.generic]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()


def run(market: Market, plan: Plan, limit_s: float, backend: Backend | None = None) -> AskingSource:
    """Run a market through an engine to its end; return what its source has seen.

    Args:
        market, plan: see there; what is merged is the affair of the engine's background work.
        limit_s: after that it hangs.
        backend: NumPy's where none is given.
    """
    shard = Shard(market.instruments, NumpyBackend() if backend is None else backend, lambda: 0)
    source = AskingSource(market, plan, shard)
    ended = threading.Event()
    engine = source.engine = EngineThread(
        description=ShardDescription("run", 1, market.segments[0].tick_ms, True, False, "planned", shard.channels),
        source=source,
        shard=shard,
        backend_name="numpy",
        publish=lambda record: None,
        on_end=ended.set,
    )
    engine.start()
    try:
        assert ended.wait(limit_s), f"the run has not ended within {limit_s} s"
    finally:
        engine.stop()
    status = asyncio.run(engine.status())
    assert status.message == "the input has ended", status.message
    return source
