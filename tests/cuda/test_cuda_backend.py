"""The whole model on the device against the whole model on NumPy: every tick, every answer, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from liqscape.axes import MINUTE_NS, TIMEFRAMES
from liqscape.clock import ManualClock
from liqscape.device.backend import Backend, LedgerColumns
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.feeds.simulated_venues import many_venues
from liqscape.grid.shard import Shard
from liqscape.grid.updates import PositionModel, TickOutput
from liqscape.instruments import Instrument
from tests.cuda.cpu_runtime import CpuRuntime

START_MINUTE = 20_776 * 1440 - 3
"""Shortly before a midnight (UTC), at which a column of every timeframe ends."""


def instruments_of(symbols: Sequence[str]) -> tuple[Instrument, ...]:
    """Return three instruments of each symbol, an inverse one among them."""
    everyone = many_venues(tuple(symbols))
    chosen = [[i for i in everyone if i.symbol == symbol] for symbol in symbols]
    return tuple(i for of_symbol in chosen for i in sorted(of_symbol, key=lambda i: not i.is_inverse)[:3])


def market(symbols: Sequence[str], past: Sequence[PastSpan], ticks: int, tick_ms: int) -> list[Event]:
    """Return some of the simulation's history and its first ticks."""
    source = SimulateSource(
        clock=ManualClock(START_MINUTE * MINUTE_NS),
        seed=3,
        symbols=tuple(symbols),
        instruments=instruments_of(symbols),
        tick_ms=tick_ms,
        past=tuple(past),
        start_ns=START_MINUTE * MINUTE_NS,
    )
    return list(source.iterate(ticks))


def shard_on(backend: Backend, symbols: Sequence[str]) -> Shard:
    return Shard(instruments_of(symbols), backend, lambda: 0)


def assert_same_output(found: TickOutput, expected: TickOutput) -> int:
    """Compare what a tick told; return how many cells changed."""
    assert (found.tick, found.symbols, found.venues) == (expected.tick, expected.symbols, expected.venues)
    assert len(found.channels) == len(expected.channels)
    for one, other in zip(found.channels, expected.channels, strict=True):
        assert (one.channel, one.generation, one.axes) == (other.channel, other.generation, other.axes)
        assert one.newest_column == other.newest_column
        assert (one.cells.dtype, one.levels.dtype) == (other.cells.dtype, other.levels.dtype)
        assert np.array_equal(one.cells, other.cells), one.channel
        assert np.array_equal(one.levels, other.levels), one.channel
    return sum(len(update.cells) for update in found.channels)


def assert_same_events(found: LedgerColumns, expected: LedgerColumns) -> None:
    for field in fields(LedgerColumns):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), field.name


@pytest.mark.slow
@pytest.mark.usefixtures("few_rows")
def test_ticks_of_two_symbols_over_midnight_are_those_of_numpy(runtime_libraries: list[Path]) -> None:
    symbols = ("BTC", "ETH")
    events = market(symbols, [PastSpan(2 * 1440, 120), PastSpan(120, 10)], ticks=12, tick_ms=30_000)
    runtime = CpuRuntime(runtime_libraries)
    backends = CudaBackend(runtime, threads=32), NumpyBackend()
    shards = [shard_on(backend, symbols) for backend in backends]
    changed = rendered = 0
    launches: list[int] = []

    for event in events:
        before = len(runtime.launches)
        found, expected = (shard.accept(event) for shard in shards)
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            rendered += 1
            changed += assert_same_output(found, expected)
            launches.append(len(runtime.launches) - before)
            if rendered == 6:
                for shard in shards:
                    for log, work in shard.compactions():
                        log.adopt(work())

    assert rendered > 10
    assert changed > 10_000
    assert max(launches[1:6]) < 60, "launches grow with symbols or channels"
    for symbol in symbols:
        for model in PositionModel:
            books = [shard.live_book(symbol, model) for shard in shards]
            (one, clocks), (other, others) = (book.cohorts() for book in books)
            assert np.array_equal(clocks, others)
            assert all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(other))
        views = [shard.engine(symbol).capture() for shard in shards]
        assert_same_events(views[0].columns(), views[1].columns())
        for mine, theirs in zip(views[0].tiers(), views[1].tiers(), strict=True):
            assert_same_events(mine, theirs)
        minute = START_MINUTE + 2
        for frame in TIMEFRAMES[:3]:
            rows = shards[1].engine(symbol)._channels[0].axes
            assert rows is not None
            grids = [
                shard.engine(symbol).project(view, frame, minute, rows.rows)
                for shard, view in zip(shards, views, strict=True)
            ]
            assert np.array_equal(grids[0], grids[1])
