"""Is a backend right on this machine? A small fixed case of every operation, compared with NumPy's bit for bit.

Tests show that the kernels are right; this shows that this device, its driver and the code its compiler made are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liqscape.axes import TIMEFRAMES, WEIGHT_ONE, RowRange
from liqscape.device.backend import (
    NO_TRIGGER,
    AdvanceRequest,
    AppendRequest,
    Backend,
    ChannelBuffer,
    CloseRequest,
    CohortBatch,
    EndedCohorts,
    Ledger,
    LedgerColumns,
    LedgerView,
    LiveTable,
    LotRates,
    SweepRequest,
)
from liqscape.device.numpy_backend import NumpyBackend

_SYMBOLS: Final = 2
_GROUPS: Final = 4
"""Of each symbol: two instruments, the second one inverse, and two sides."""
_KEYS: Final = 64
_FIRST_ROW: Final = 4000
_ROWS: Final = 96
_COHORTS: Final = 1500
"""Of each symbol and minute of opening: more than one tile of the kernels, in three minutes several of them."""
_NOW: Final = 29_000_000 - 29_000_000 % 720 + 719
"""The last minute of a column of every timeframe: the next minute moves all windows on."""
_DAY: Final = 1440
_YEAR_EVENTS: Final = 12_000
_YEAR_BATCHES: Final = 600
_MOST_LOTS: Final = 1 << 32
"""So that sums need both halves of 64 bits and pass neither."""
_OPENED: Final = 0
_SWEPT: Final = 1
_CLOSED: Final = 2

_CHANNELS: Final = (
    (TIMEFRAMES[1], RowRange(_FIRST_ROW // 2 + 3, _ROWS // 2 - 7, 2)),
    (TIMEFRAMES[8], RowRange(_FIRST_ROW // 10, _ROWS // 10, 10)),
)
"""24h reads what is raw and the first tier, 1y all of them; some events lie beside their rows."""

_WEIGHTS: Final = (np.arange(_KEYS) % 3 * WEIGHT_ONE).astype(np.uint16)
_FACTOR: Final = 1e-9
"""USD of a weighted lot: spreads these lots over the scale of levels."""

_RATES: Final = LotRates(
    is_inverse=np.array([False, True]), numerator=np.array([1, 10**9]), denominator=np.array([1, 10**3])
)

Piece = tuple[str, NDArray[Any]]


def first_difference(backend: Backend, definition: Backend | None = None) -> str | None:
    """Return what a backend does otherwise than the definition, NumPy, in words; None where all is equal.

    Raises:
        OutOfDeviceMemory, DeviceError: the device cannot, or breaks off.
    """
    pieces = zip(_case(backend), _case(NumpyBackend() if definition is None else definition), strict=True)
    for (name, found), (_, expected) in pieces:
        if (found.dtype, found.shape) != (expected.dtype, expected.shape):
            return f"{name} has {found.size} values, NumPy {expected.size}"
        if found.tobytes() != expected.tobytes():
            wrong = int(np.count_nonzero(found != expected))
            return f"{name} differs from NumPy in {wrong} of {found.size} values"
    return None


def _case(backend: Backend) -> Iterator[Piece]:
    """Yield by name what each operation gives, in turn."""
    random = np.random.Generator(np.random.PCG64(1))
    tables = [backend.live_table(_GROUPS) for _ in range(_SYMBOLS)]
    ledgers = [backend.ledger() for _ in range(_SYMBOLS)]
    for ledger in ledgers:
        _log_a_year(ledger, random)
    grids = _grids(backend)
    yield from _advance(backend, grids, ledgers, _NOW - 3)
    yield from _tables(backend, tables, ledgers, random)
    yield from _advance(backend, grids, ledgers, _NOW)
    ledgers[0].adopt(ledgers[0].capture().compacted(_NOW))
    yield from _advance(backend, grids, ledgers, _NOW + 1)
    yield from _readings(backend, grids, ledgers)
    ledgers[0].coarsen_rows(10)
    yield from _held(ledgers[0].capture())


def _log_a_year(ledger: Ledger, random: np.random.Generator) -> None:
    """Append events of the last days and of a year ago: enough for the age tiers that are merged differently."""
    count = _YEAR_EVENTS // _YEAR_BATCHES
    age = np.where(
        np.arange(_YEAR_BATCHES) % 4 == 0,
        random.integers(300 * _DAY, 363 * _DAY, _YEAR_BATCHES),
        random.integers(5, 3 * _DAY, _YEAR_BATCHES),
    )
    for minute in np.sort(_NOW - age).tolist():
        held_for = np.where(random.random(count) < 0.2, 300 * _DAY, random.integers(0, _DAY, count))
        batch = CohortBatch(
            open_minute=(minute - held_for).astype(np.int32),
            row=random.integers(_FIRST_ROW, _FIRST_ROW + _ROWS, count).astype(np.int32),
            key=random.integers(0, _KEYS, count).astype(np.uint16),
            lots=random.integers(1, _MOST_LOTS, count),
        )
        ledger.append(minute, batch, *((1, _OPENED), (-1, _SWEPT), (-1, _CLOSED))[minute % 3])


def _tables(
    backend: Backend, tables: Sequence[LiveTable], ledgers: Sequence[Ledger], random: np.random.Generator
) -> Iterator[Piece]:
    """Open, join, sweep and close, and log it."""
    for minute in (_NOW - 2, _NOW - 1, _NOW - 1):
        asked = [_append_request(table, minute, random) for table in tables]
        for held, one, ledger in zip(backend.append(asked), asked, ledgers, strict=True):
            yield "append", held
            opened = CohortBatch(np.full(len(one.rows), minute, np.int32), one.rows, one.keys, one.lots)
            ledger.append(minute, opened, 1, _OPENED)
    reached = _FIRST_ROW + _ROWS - np.array([8, _ROWS - 5, 3, 0])
    triggers = [np.where(np.arange(_GROUPS) == 3, NO_TRIGGER, reached), reached]
    swept = backend.sweep([SweepRequest(table, trigger) for table, trigger in zip(tables, triggers, strict=True)])
    yield from _ended("sweep", swept, ledgers, _SWEPT)
    open_lots = [table.lots_by_group() for table in tables]
    yield from (("lots by group", lots) for lots in open_lots)
    closing = [CloseRequest(table, lots // 3) for table, lots in zip(tables, open_lots, strict=True)]
    closed = backend.close(closing)
    yield from _ended("close", [ended for ended, _ in closed], ledgers, _CLOSED)
    yield from (("clocks of close", reached_clock) for _, reached_clock in closed)
    for table in tables:
        profile = table.profile(_RATES)()
        yield from (("profile", column) for column in (profile.key, profile.row, profile.lots))
        cohorts, clocks = table.cohorts()
        yield from _batch("cohorts", cohorts)
        yield "clocks", clocks


def _append_request(table: LiveTable, minute: int, random: np.random.Generator) -> AppendRequest:
    """Return new cohorts of unique (row, key); in a minute asked for twice many of them join."""
    places = np.sort(random.permutation(_ROWS * _KEYS)[:_COHORTS])
    return AppendRequest(
        table=table,
        open_minute=minute,
        rows=(_FIRST_ROW + places // _KEYS).astype(np.int32),
        keys=(places % _KEYS).astype(np.uint16),
        lots=random.integers(1, _MOST_LOTS, _COHORTS),
        clocks=random.integers(0, 1 << 20, _COHORTS) * 997,
    )


def _ended(name: str, ended: Iterable[EndedCohorts], ledgers: Iterable[Ledger], cause: int) -> Iterator[Piece]:
    for one, ledger in zip(ended, ledgers, strict=True):
        yield from _batch(name, one)
        yield f"what a {name} left", one.left
        ledger.append(_NOW, one, -1, cause)


def _grids(backend: Backend) -> list[list[ChannelBuffer]]:
    """Return the channels of each symbol."""
    return [
        [backend.channel_buffer(frame, rows, _WEIGHTS, np.full(rows.count, _FACTOR)) for frame, rows in _CHANNELS]
        for _ in range(_SYMBOLS)
    ]


def _advance(
    backend: Backend, grids: Sequence[Sequence[ChannelBuffer]], ledgers: Sequence[Ledger], minute: int
) -> Iterator[Piece]:
    views = [ledger.capture() for ledger in ledgers]
    asked = [
        AdvanceRequest(buffer, view, minute)
        for of_symbol, view in zip(grids, views, strict=True)
        for buffer in of_symbol
    ]
    for changed, level in backend.advance(asked):
        yield "advance", changed
        yield "levels of advance", level


def _readings(backend: Backend, grids: Sequence[Sequence[ChannelBuffer]], ledgers: Sequence[Ledger]) -> Iterator[Piece]:
    """Read back what is held, and compute grids of an earlier minute."""
    for of_symbol, ledger in zip(grids, ledgers, strict=True):
        view = ledger.capture()
        yield from _held(view)
        for frame, rows in _CHANNELS:
            yield "project", backend.project(view, frame, _NOW - 30, rows, _WEIGHTS)
        for buffer in of_symbol:
            cells = buffer.cells()
            yield "grid", cells
            yield "ring of levels", buffer.levels()
            yield "levels", backend.levels(cells, np.full(cells.shape[1], _FACTOR))


def _batch(name: str, batch: CohortBatch) -> Iterator[Piece]:
    yield from ((name, column) for column in (batch.open_minute, batch.row, batch.key, batch.lots))


def _held(view: LedgerView) -> Iterator[Piece]:
    """Yield the events of a ledger."""
    yield from _events("raw events", view.columns())
    for tier in view.tiers():
        yield from _events("merged events", tier)


def _events(name: str, events: LedgerColumns) -> Iterator[Piece]:
    columns = (events.minute, events.open_minute, events.row, events.key, events.lots, events.cause)
    yield from ((name, column) for column in columns)
