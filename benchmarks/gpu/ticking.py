"""A tick as a server has it: new events of every symbol, then all its timeframes brought to now in one call.

Once with only the ends of each tick timed, on the host; and once with the device's time for every part of it. Columns
roll in turn, as in a server, over several minutes and a midnight, at which a column of every timeframe ends.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from benchmarks.gpu.device_books import copied, last_day, queue_of, raw_ledger, stretched, visited
from benchmarks.gpu.made_events import NOW, MadeYear, batch_at, make_year
from benchmarks.gpu.outcome import Figure, Spread
from benchmarks.gpu.plan import SEED, Ask, Book, Run, asks_of
from benchmarks.gpu.projecting import GRID_BYTES_OF_CELL, Held, buffers_of
from benchmarks.tick_work import Stopwatch
from liqscape.axes import MINUTE_NS
from liqscape.device import cuda_layout
from liqscape.device.backend import AdvanceRequest, Backend, ChannelBuffer, CohortBatch, Ledger
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.cuda_ledger import CudaLedgerView
from liqscape.device.cuda_tiers import DevicePast
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.grid.rolls import RollQueue
from liqscape.grid.updates import Channel

HOST_STAGES: Final = ("append", "capture", "tables", "advance")
"""What the host does: gives new events to the logs; brings them to the device; says what is to be added up where; asks
for the rest and waits for what has changed."""
_OPENED: Final = 0
_CLOSED: Final = 2


class Market:
    """Symbols of a backend, whose ticks follow each other.

    Args:
        backend: of the ledgers.
        ledgers: of each symbol.
        asks: the grids of each.
        price_row: where new events are.
        new_events: of a symbol in a tick, half of them ends.
        ticks_a_minute: how many ticks a minute has.

    Attributes:
        changes: what the last tick changed, by channel.
    """

    def __init__(
        self,
        backend: Backend,
        ledgers: Sequence[Ledger],
        asks: Sequence[Ask],
        price_row: int,
        new_events: int,
        ticks_a_minute: int,
    ) -> None:
        self.backend = backend
        self.ledgers = ledgers
        self.asks = asks
        self.buffers: list[ChannelBuffer] = [buffer for _ in ledgers for buffer in buffers_of(backend, asks)]
        self.channels = [Channel(number, "", ask.frame) for number, ask in enumerate(list(asks) * len(ledgers))]
        self.newest = [channel.timeframe.column_of(NOW) for channel in self.channels]
        self.changes: list[tuple[NDArray[np.uint32], NDArray[np.uint8]]] = []
        self._price_row = price_row
        self._new_events = new_events
        self._ticks_a_minute = ticks_a_minute
        self._rolls = RollQueue()
        self._random = Generator(PCG64([SEED, 7]))
        self._ticks = 0

    def made(self) -> tuple[int, list[tuple[CohortBatch, CohortBatch]]]:
        """Return the minute of the next tick, and for each symbol what opens and what ends in it."""
        minute = NOW + self._ticks // self._ticks_a_minute
        self._ticks += 1
        half = max(1, self._new_events // 2)
        opening = [batch_at(self._random, minute, self._price_row, half) for _ in self.ledgers]
        ages = [self._random.integers(0, 5000, half).astype(np.int32) for _ in self.ledgers]
        ending = [batch_at(self._random, minute, self._price_row, half) for _ in self.ledgers]
        ended = [replace(b, open_minute=b.open_minute - age[: len(b)]) for b, age in zip(ending, ages, strict=True)]
        return minute, list(zip(opening, ended, strict=True))

    def tick(self, watch: Stopwatch) -> None:
        """Do one tick."""
        minute, said = self.made()
        with watch.part("append"):
            for ledger, (opened, ended) in zip(self.ledgers, said, strict=True):
                ledger.append(minute, opened, 1, _OPENED)
                ledger.append(minute, ended, -1, _CLOSED)
        with watch.part("capture"):
            views = [ledger.capture() for ledger in self.ledgers]
        per_minute = self._ticks_a_minute
        end_ns = minute * MINUTE_NS + ((self._ticks - 1) % per_minute + 1) * MINUTE_NS // per_minute
        due = [c for c in self.channels if c.timeframe.column_of(minute) != self.newest[c.channel_id]]
        for number in self._rolls.take(due, end_ns):
            self.newest[number] = self.channels[number].timeframe.column_of(minute)
        each = len(self.asks)
        requests = [
            AdvanceRequest(buffer, views[number // each], minute, self.newest[number])
            for number, buffer in enumerate(self.buffers)
        ]
        with watch.part("advance"):
            self.changes = self.backend.advance(requests)


def compare_ticks(run: Run) -> None:
    """Compare ticks of two symbols with NumPy's, cell by cell and level by level, after a year that is merged."""
    year = make_year(run.sizes.equal_events, SEED, run.sizes.days)
    asks = asks_of(run.sizes, year.price)
    markets = []
    for backend in (CudaBackend(run.runtime), NumpyBackend()):
        ledgers: list[Ledger] = [backend.ledger() for _ in range(2)]
        for number, ledger in enumerate(ledgers):
            _log(ledger, year, number)
            ledger.adopt(ledger.capture().compacted(NOW))
        markets.append(Market(backend, ledgers, asks, year.price_row, run.sizes.new_events, 2))
    ours, theirs = markets
    rolled = 0
    for number in range(run.sizes.equal_ticks):
        before = list(ours.newest)
        for market in markets:
            market.tick(Stopwatch())
        rolled += sum(one != other for one, other in zip(before, ours.newest, strict=True))
        run.outcome.compare(f"tick {number + 1} of two symbols", _differing_channels(ours, theirs))
    run.outcome.say(f"  {rolled} columns rolled in these ticks")


def measure_ticks(run: Run, book: Book, held: Held) -> None:
    """Time ticks of some numbers of symbols with a book.

    Args:
        run: what all steps share.
        book: what each symbol holds.
        held: a year whose last day is what is raw; merged it has fewer events than the book, or more.
    """
    year, past = held.year, held.past
    backend = CudaBackend(run.runtime)
    queue, day = queue_of(backend), last_day(year.events)
    whole = stretched(queue, past, book.tier_events)
    pasts, shared = [whole], 0
    for symbols in sorted(book.symbols):
        while len(pasts) < symbols:
            try:
                # Room for the logs, the grids and the tables of the jobs of all of them.
                enough = run.runtime.free_bytes() > whole.nbytes + (len(pasts) + 1) * (1 << 27)
                pasts.append(copied(queue, whole) if enough else pasts[len(pasts) % (len(pasts) - shared)])
                shared += not enough
            except OutOfDeviceMemory:
                pasts.append(whole)
                shared += 1
        note = f"{whole.events:,} merged events each, {len(day.lots):,} raw"
        if shared:
            note += f"; {shared} of {symbols} symbols read the memory of others, for want of room"
        _measure(run, book, symbols, backend, pasts[:symbols], year, note)
        gc.collect()


def _measure(
    run: Run, book: Book, symbols: int, backend: CudaBackend, pasts: Sequence[DevicePast], year: MadeYear, note: str
) -> None:
    day, sizes = last_day(year.events), run.sizes
    ledgers = [raw_ledger(backend, day, past) for past in pasts]
    asks = asks_of(run.sizes, year.price)
    market = Market(backend, ledgers, asks, year.price_row, sizes.new_events, sizes.ticks_a_minute)
    key, who = f"tick.{book.name}.{symbols}", f"a tick of {symbols} {book.name} symbol{'s' * (symbols > 1)}"
    views = [ledger.capture() for ledger in ledgers]
    floor = run.floor_ms(_bytes_of(views, asks))
    watch = Stopwatch()
    market.tick(watch)  # the first one computes every grid from nothing
    gc.collect()
    wall, stages = _timed(market, sizes.ticks, watch)
    add = run.outcome.add
    middle = Spread(float(np.median(wall)), min(wall), max(wall), len(wall))
    late = float(np.quantile(wall, 0.99, method="higher"))
    wanted = book.wanted_ms if symbols == max(book.symbols) else None
    add(Figure(f"{key}.host", f"{who}, host", "ms", middle, floor, wanted, note))
    add(Figure(f"{key}.host_p99", f"{who}, host, 99 of 100 within", "ms", Spread.of([late]), floor, wanted))
    for stage in HOST_STAGES:
        add(Figure(f"{key}.host.{stage}", f"{who}, host: {stage}", "ms", Spread.of(stages[stage])))
    busy = [_busy(run, market) for _ in range(sizes.split_ticks)]
    add(
        Figure(f"{key}.device", f"{who}, device alone", "ms", Spread.of([sum(b.values()) for b in busy]), floor, wanted)
    )
    names = sorted({name for parts in busy for name in parts})
    run.outcome.facts[f"{key}.parts_ms"] = {
        name: round(float(np.median([parts.get(name, 0.0) for parts in busy])), 4) for name in names
    }


def _timed(market: Market, ticks: int, watch: Stopwatch) -> tuple[list[float], dict[str, list[float]]]:
    """Return the host's milliseconds of each tick, and of each stage of it; "advance" without the tables."""
    wall: list[float] = []
    stages: dict[str, list[float]] = {stage: [] for stage in HOST_STAGES}
    with watch.watching(cuda_layout.GridLayout, "update", "tables"):
        for _ in range(ticks):
            watch.seconds.clear()
            market.tick(watch)
            seconds = watch.seconds
            wall.append(1e3 * (seconds["append"] + seconds["capture"] + seconds["advance"]))
            seconds["advance"] -= seconds["tables"]
            for stage in HOST_STAGES:
                stages[stage].append(1e3 * seconds[stage])
    return wall, stages


def _busy(run: Run, market: Market) -> dict[str, float]:
    """Return the device's milliseconds by part of one tick."""
    with run.runtime.watching() as parts:
        market.tick(Stopwatch())
    return dict(parts)


def _bytes_of(views: Sequence[CudaLedgerView], asks: Sequence[Ask]) -> int:
    """Return what a tick has to read and write at least: every event of every window, and every cell."""
    events = sum(visited(view, ask.frame, NOW)[1] for view in views for ask in asks)
    cells = sum(ask.frame.columns * ask.rows.count for ask in asks) * len(views)
    return events + cells * GRID_BYTES_OF_CELL


def _log(ledger: Ledger, year: MadeYear, number: int) -> None:
    """Append a year's events, minute by minute, as a server does; each symbol has other lots."""
    events = year.events
    first = np.flatnonzero(np.diff(events.minute, prepend=np.int32(-1)))
    for begin, end in zip(first.tolist(), [*first[1:].tolist(), len(events.minute)], strict=True):
        for sign, cause in ((1, _OPENED), (-1, _CLOSED)):
            chosen = np.flatnonzero((events.lots[begin:end] > 0) == (sign > 0)) + begin
            lots = np.abs(events.lots[chosen]) + number
            batch = CohortBatch(events.open_minute[chosen], events.row[chosen], events.key[chosen], lots)
            ledger.append(int(events.minute[begin]), batch, sign, cause)


def _differing_channels(ours: Market, theirs: Market) -> Iterator[str]:
    for number, channel in enumerate(ours.channels):
        (index, level), (true_index, true_level) = ours.changes[number], theirs.changes[number]
        name = f"channel {number}, {channel.timeframe.name}"
        if not (np.array_equal(index, true_index) and np.array_equal(level, true_level)):
            yield f"{name}: {len(index):,} changed cells, {len(true_index):,} of NumPy"
        if not np.array_equal(ours.buffers[number].cells(), theirs.buffers[number].cells()):
            yield f"{name}: cells"
        if not np.array_equal(ours.buffers[number].levels(), theirs.buffers[number].levels()):
            yield f"{name}: levels"
