"""Ticks of channels on the device against NumPy's: the jobs kept from tick to tick are never stale.

Seen to fail when broken on purpose, one at a time, in cuda_grids.py: `newest` or `past` left out of is_for; `first`
left out of the tail; opened_inside set for every tier. In kernels.cu: rows that differ added as one; events before a
job's first one counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liqscape.axes import TIMEFRAMES
from liqscape.device.backend import AdvanceRequest, Backend, CohortBatch, CompactedPast, Ledger, LedgerView
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from tests.cuda.cpu_runtime import CpuRuntime
from tests.property.test_age_tiers import rows_of, weights_of
from tests.property.test_incremental import DAY, Market

STEPS = (0, 0, 1, 1, 3, 40, 0, 60, 180, 720, 9 * DAY)
NUMBERS = (0, 2, 5, 8)


class BothLedgers:
    """Two ledgers to which the same happens."""

    def __init__(self, *ledgers: Ledger) -> None:
        self.ledgers = ledgers

    def append(self, minute: int, batch: CohortBatch, sign: int, cause: int) -> None:
        for ledger in self.ledgers:
            ledger.append(minute, batch, sign, cause)

    def compact(self, now_minute: int) -> None:
        for ledger in self.ledgers:
            past: CompactedPast = ledger.capture().compacted(now_minute)
            ledger.adopt(past)

    def coarsen_rows(self, multiple: int) -> None:
        for ledger in self.ledgers:
            ledger.coarsen_rows(multiple)

    def capture(self) -> list[LedgerView]:
        return [ledger.capture() for ledger in self.ledgers]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_every_tick_of_a_changing_market_equals_numpy(
    runtime_libraries: list[Path], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that logs grow, and merged events stay in their arrays for a while.
    monkeypatch.setattr("liqscape.device.cuda_ledger._FIRST_CAPACITY", 16)
    runtime = CpuRuntime(runtime_libraries, is_slow=seed % 2 == 0)
    backends: tuple[Backend, ...] = NumpyBackend(), CudaBackend(runtime, threads=32)
    both = BothLedgers(*(backend.ledger() for backend in backends))
    market = Market(seed, set(NUMBERS), ledger=both)  # type: ignore[arg-type]
    weights = weights_of(seed)
    usd = {n: market.rng.uniform(0.001, 10.0, rows_of(n).count) for n in NUMBERS}
    newest = {n: 0 for n in NUMBERS}
    changed = 0

    def buffers() -> list[list[Any]]:
        return [
            [backend.channel_buffer(TIMEFRAMES[n], rows_of(n), weights, usd[n]) for n in NUMBERS]
            for backend in backends
        ]

    channels = buffers()
    for tick in range(24):
        market.minute += int(market.rng.choice(STEPS))
        market.happen(int(market.rng.integers(0, 12)))
        if tick % 5 == 4:
            both.compact(market.minute - int(market.rng.choice((0, 61, DAY))))
        if tick == 15:
            both.coarsen_rows(2)
            channels = buffers()
        for n in NUMBERS:
            frame = TIMEFRAMES[n]
            present = frame.column_of(market.minute)
            may_wait = 0 < present - newest[n] <= 2 and (present - newest[n]) * frame.column_minutes <= DAY
            if not (may_wait and market.rng.random() < 0.5):
                newest[n] = present
        asked = [
            [
                AdvanceRequest(buffer, view, market.minute, newest[n])
                for n, buffer in zip(NUMBERS, of_backend, strict=True)
            ]
            for of_backend, view in zip(channels, both.capture(), strict=True)
        ]

        expected, found = (backend.advance(requests) for backend, requests in zip(backends, asked, strict=True))

        for n, one, other, mine, theirs in zip(NUMBERS, expected, found, *channels, strict=True):
            assert np.array_equal(one[0], other[0]), (tick, n)
            assert np.array_equal(one[1], other[1]), (tick, n)
            assert np.array_equal(mine.cells(), theirs.cells()), (tick, n)
            assert np.array_equal(mine.levels(), theirs.levels()), (tick, n)
            changed += len(one[0])
    assert changed > 5000
