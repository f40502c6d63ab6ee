"""A ledger with a year of history, its nine timeframes and a second symbol in the same launches, tick after tick.

Seen to fail when broken on purpose, one at a time, in kernels.cu: the key read without the channel's first_weight; runs
taken as those of the first ledger.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from liqscape.axes import TIMEFRAMES, WEIGHT_ONE, RowRange, Timeframe
from liqscape.device.backend import CohortBatch
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_ledger import NumpyLedger
from tests.cuda.cpu_module import CpuModule, Order
from tests.cuda.kernel_grids import KernelGrids
from tests.cuda.made_up_events import KEYS

YEAR: Final = 365 * 1440
NOW: Final = 29_430_720 - 3
"""Three minutes before a minute at which a column of every timeframe begins."""
BASE_ROWS: Final = range(3600, 5400)
MOST_CHANGES: Final = 60_000
"""Every launch that hands changes over walks through all cells; the first tick takes some launches even so."""


def append(ledger: NumpyLedger, random: Generator, minute: int, count: int) -> None:
    """Log what opened now, and ends of what some time opened, of any age within a year and a bit."""
    age = np.sort(np.floor(np.exp(random.uniform(0, np.log(YEAR + 1000), count))).astype(np.int32))[::-1]
    for sign, opened in ((1, np.full(count, minute, np.int32)), (-1, (minute - age).astype(np.int32))):
        batch = CohortBatch(
            opened,
            random.integers(BASE_ROWS.start, BASE_ROWS.stop, count).astype(np.int32),
            random.integers(0, KEYS, count).astype(np.uint16),
            random.integers(1, 1 << 30, count),
        )
        ledger.append(minute, batch, sign, 1)


def ledger_of_a_year(random: Generator, batches: int) -> NumpyLedger:
    """Return a ledger whose older past is merged into tiers."""
    ledger = NumpyLedger()
    minutes = NOW - np.sort(np.exp(random.uniform(0, np.log(YEAR + 3000), batches)).astype(np.int64))[::-1]
    for minute in minutes.tolist():
        append(ledger, random, minute, 8)
    ledger.adopt(ledger.capture().compacted(NOW - 100))
    append(ledger, random, NOW, 8)
    return ledger


def channel_of(frame: Timeframe, count: int, weights: NDArray[np.uint16]) -> tuple[Any, ...]:
    rows = RowRange(4500 // frame.min_row_multiple - count // 2, count, frame.min_row_multiple)
    factor = (np.arange(count) + rows.first) * (1e-4 / rows.first)
    return frame, rows, weights, factor


@pytest.mark.slow
@pytest.mark.parametrize(("order", "rows"), [("forward", 100), ("shuffled", 33)])
def test_every_tick_equals_numpy(kernels: CpuModule, order: Order, rows: int) -> None:
    random = Generator(PCG64(rows))
    ledgers = [ledger_of_a_year(random, 800), ledger_of_a_year(random, 200)]
    in_full = np.full(KEYS, WEIGHT_ONE, np.uint16)
    some = np.where(np.arange(KEYS) % 3 == 0, 0, random.integers(0, 1 << 16, KEYS)).astype(np.uint16)
    owners = [0] * len(TIMEFRAMES) + [1, 1]
    channels = [channel_of(frame, rows, in_full) for frame in TIMEFRAMES]
    channels += [channel_of(TIMEFRAMES[0], 64, some), channel_of(TIMEFRAMES[3], rows, in_full)]
    backend = NumpyBackend()
    buffers = [backend.channel_buffer(*channel) for channel in channels]
    kernels.set_order(order, seed=3)
    grids = KernelGrids(kernels, channels, threads=64, largest_job=500, most_changes=MOST_CHANGES)
    changed = 0
    # A tick within the minute, a minute, every timeframe rolls, then a gap.
    for now in (NOW, NOW, NOW + 1, NOW + 3, NOW + 70):
        for ledger in ledgers:
            append(ledger, random, now, 5)
        views = [ledger.capture() for ledger in ledgers]
        # The two longest wait with their roll for the last tick: their axes are behind.
        newest = [
            frame.column_of(NOW) if frame.column_minutes >= 360 and now < NOW + 70 else None for frame, *_ in channels
        ]
        arguments = [(views[owner], now, column) for owner, column in zip(owners, newest, strict=True)]

        found = grids.advance(arguments)

        for number, (buffer, argument) in enumerate(zip(buffers, arguments, strict=True)):
            index, level = buffer.advance(*argument)
            assert np.array_equal(found[number][0], index)
            assert np.array_equal(found[number][1], level)
            assert np.array_equal(grids.cells(number), buffer.cells())
            assert np.array_equal(grids.ring(number), buffer.levels())
            changed += len(index)
    assert views[0].tiers_from(NOW - YEAR) == range(8)
    assert all(len(tier.lots) > 0 for tier in views[0].tiers())
    assert changed > 50_000


@pytest.mark.slow
def test_grid_of_all_rows_equals_numpy(kernels: CpuModule) -> None:
    random = Generator(PCG64(2))
    ledger = ledger_of_a_year(random, 500)
    frame = replace(TIMEFRAMES[0], columns=160)
    channel = channel_of(frame, 1024, np.full(KEYS, WEIGHT_ONE, np.uint16))
    buffer = NumpyBackend().channel_buffer(*channel)
    grids = KernelGrids(kernels, [channel], most_changes=MOST_CHANGES)
    view = ledger.capture()

    found = grids.advance([(view, NOW, None)])

    index, level = buffer.advance(view, NOW)
    assert np.array_equal(found[0][0], index)
    assert np.array_equal(found[0][1], level)
    assert np.array_equal(grids.cells(0), buffer.cells())
