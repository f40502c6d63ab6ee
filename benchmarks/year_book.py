"""A year of signed events for benchmarks: one simulated instrument through market and book, and many made from it.

The year ends shortly before a midnight (UTC), at which columns of all nine timeframes roll, and goes on in live ticks
across it. Books of several instruments are derived: running the model twenty times would take an hour and measure
nothing of a grid. Copy n of a cohort has the key of instrument n, its row shifted by up to MAX_ROW_SHIFT (another venue
has another price) and its lots multiplied (another size). Shift and factor depend on instrument and open minute alone,
so every end still matches its opening and each copy has as many cohorts and events as the original; in that the derived
book is at the dense end of real ones, whose small instruments have fewer.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import MINUTE_NS, SymbolScale, last_minute_before
from liqscape.clock import SystemClock
from liqscape.device.backend import CohortBatch, LedgerColumns, LedgerView
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_ledger import NumpyLedger
from liqscape.events import Event, TickEnd
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.instruments import Instrument
from liqscape.market.state import MarketState
from liqscape.positions.book import EventBatch, PositionBook
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT

MINUTES_PER_DAY: Final = 1440
MIDNIGHT_MINUTE: Final = 20_454 * MINUTES_PER_DAY
"""2026-01-01 00:00 UTC."""

FINE_DAYS: Final = 2
"""So many days before the end are simulated by the minute, as a live server would have seen them."""

MAX_ROW_SHIFT: Final = 3
"""Base rows (0.02 % to 0.03 % of the price each): about what perpetuals of one coin differ by between venues."""

LOT_FACTORS: Final = 4
"""Copies hold 1 to this many times the lots of the original."""

CHUNK_EVENTS: Final = 1 << 19
"""Derived events made at once."""


@dataclass(frozen=True, slots=True)
class LiveTick:
    """What a tick after the year did to the book."""

    minute: int
    end_ns: int
    batches: tuple[EventBatch, ...]


@dataclass(frozen=True, slots=True)
class Year:
    """One instrument's year.

    Attributes:
        raw: every event of the year, nothing merged.
        minute: the last one of the year.
        mark_price: at its end, in units of scale.
        ticks: what follows, not logged yet.
        live_cohorts, live_bytes: of the live table at the end of the year.
        build_seconds: simulating, market and book.
    """

    scale: SymbolScale
    raw: LedgerView
    minute: int
    mark_price: int
    ticks: tuple[LiveTick, ...]
    live_cohorts: int
    live_bytes: int
    build_seconds: float


def schedule(step_minutes: int, days: int = 365) -> tuple[PastSpan, ...]:
    """Return a past in steps of step_minutes with its last FINE_DAYS by the minute."""
    fine = PastSpan(FINE_DAYS * MINUTES_PER_DAY, 1)
    return (PastSpan(days * MINUTES_PER_DAY, step_minutes), fine) if days > FINE_DAYS else (fine,)


def build_year(past: tuple[PastSpan, ...], ticks: int, tick_ms: int, seed: int = 1) -> Year:
    """Run market and book over a past and the ticks after it; half of the ticks come before midnight."""
    half_minutes = ticks * tick_ms // 2 // 60_000
    start_ns = (MIDNIGHT_MINUTE - half_minutes) * MINUTE_NS
    source = SimulateSource(
        clock=SystemClock(), seed=seed, symbols=("BTC",), tick_ms=tick_ms, past=past, start_ns=start_ns
    )
    started = time.perf_counter()
    model = _Model(source.description.instruments[0])
    ledger, live = NumpyLedger(), list[LiveTick]()
    live_cohorts, live_bytes, mark_price, spent = 0, 0, 0, 0.0
    for end_ns, batches in model.ticks(source.iterate(ticks)):
        if end_ns > start_ns:
            live.append(LiveTick(last_minute_before(end_ns), end_ns, batches))
            continue
        for batch in batches:
            ledger.append(batch.minute, batch.cohorts, batch.sign, int(batch.cause))
        if end_ns == start_ns:
            cohorts, clocks = model.book.cohorts()
            live_cohorts, live_bytes = len(cohorts), _batch_bytes(cohorts) + clocks.nbytes
            mark_price, spent = model.mark_price, time.perf_counter() - started
    return Year(
        scale=model.book.scale,
        raw=ledger.capture(),
        minute=last_minute_before(start_ns),
        mark_price=mark_price,
        ticks=tuple(live),
        live_cohorts=live_cohorts,
        live_bytes=live_bytes,
        build_seconds=spent,
    )


def derived(batch: CohortBatch, instruments: int) -> CohortBatch:
    """Return each cohort once for every instrument, the copies of a cohort together; instrument 0 is the original."""
    if instruments == 1:
        return batch
    number = np.arange(instruments)
    mixed = batch.open_minute.astype(np.int64)[:, None] * 31 + number * 17
    shift = np.where(number > 0, mixed % (2 * MAX_ROW_SHIFT + 1) - MAX_ROW_SHIFT, 0)
    return CohortBatch(
        open_minute=np.repeat(batch.open_minute, instruments),
        row=(batch.row[:, None] + shift).astype(np.int32).reshape(-1),
        key=(batch.key[:, None] + (number << KEY_INSTRUMENT_SHIFT)).astype(np.uint16).reshape(-1),
        lots=(batch.lots[:, None] * (1 + number % LOT_FACTORS)).reshape(-1),
    )


def append_derived(ledger: NumpyLedger, tick: LiveTick, instruments: int) -> None:
    """Log a live tick for every instrument."""
    for batch in tick.batches:
        ledger.append(batch.minute, derived(batch.cohorts, instruments), batch.sign, int(batch.cause))


def derived_ledger(raw: LedgerColumns, instruments: int, merge_at_events: int) -> tuple[NumpyLedger, list[float]]:
    """Return a ledger of many instruments' year, merged as a server does it: whenever so many raw events are held.

    Returns:
        The ledger, and the seconds of each merge.
    """
    ledger, merges = NumpyLedger(), list[float]()
    for minute, cause, batch in _runs(raw, instruments):
        # The log holds signed lots; appending wants them positive.
        ledger.append(minute, batch, 1 if cause == 0 else -1, cause)
        if ledger.raw_events >= merge_at_events:
            merges.append(merge(ledger, minute))
    return ledger, merges


def merge(ledger: NumpyLedger, now_minute: int) -> float:
    """Merge what is older than a day; return the seconds it took."""
    view = ledger.capture()
    started = time.perf_counter()
    past = view.compacted(now_minute)
    seconds = time.perf_counter() - started
    ledger.adopt(past)
    return seconds


def bytes_of(columns: LedgerColumns) -> int:
    """Return the bytes of the events themselves, without spare capacity."""
    arrays = (columns.minute, columns.open_minute, columns.row, columns.key, columns.lots, columns.cause)
    return sum(array.nbytes for array in arrays)


class _Model:
    """Market and book of one instrument."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._market = MarketState([instrument])
        self._book: PositionBook | None = None
        self.mark_price = 0

    @property
    def book(self) -> PositionBook:
        """Return the book; it exists from the first price on."""
        assert self._book is not None
        return self._book

    def ticks(self, events: Iterable[Event]) -> Iterator[tuple[int, tuple[EventBatch, ...]]]:
        """Yield the end of each tick and what it did to the book."""
        for event in events:
            if isinstance(event, TickEnd):
                yield event.time_ns, self._step(event.time_ns)
            else:
                self._market.apply(event)

    def _step(self, end_ns: int) -> tuple[EventBatch, ...]:
        said: list[EventBatch] = []
        for bar in self._market.close_tick(end_ns):
            if self._book is None:
                scale = self._market.scale(self._instrument.symbol)
                assert scale is not None  # there is no bar before the first price
                self._book = PositionBook(self._instrument.symbol, [self._instrument], scale, NumpyBackend())
            said += self._book.apply([bar]).events
            if bar.trigger is not None:
                self.mark_price = bar.trigger.close
        return tuple(said)


def _runs(raw: LedgerColumns, instruments: int) -> Iterator[tuple[int, int, CohortBatch]]:
    """Yield (minute, cause, derived cohorts with positive lots) in time order, one minute and cause at a time."""
    chunk = max(CHUNK_EVENTS // instruments, 1)
    for begin in range(0, len(raw.minute), chunk):
        part = slice(begin, begin + chunk)
        minute, cause = raw.minute[part], raw.cause[part]
        batch = derived(
            CohortBatch(raw.open_minute[part], raw.row[part], raw.key[part], np.abs(raw.lots[part])), instruments
        )
        changes = np.flatnonzero((minute[1:] != minute[:-1]) | (cause[1:] != cause[:-1])) + 1
        bounds = [0, *changes.tolist(), len(minute)]
        for first, last in pairwise(bounds):
            yield int(minute[first]), int(cause[first]), _taken(batch, slice(first * instruments, last * instruments))


def _taken(batch: CohortBatch, part: slice) -> CohortBatch:
    return CohortBatch(batch.open_minute[part], batch.row[part], batch.key[part], batch.lots[part])


def _batch_bytes(batch: CohortBatch) -> int:
    arrays: tuple[NDArray[np.generic], ...] = (batch.open_minute, batch.row, batch.key, batch.lots)
    return sum(array.nbytes for array in arrays)
