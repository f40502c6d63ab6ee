"""A live engine on the device: what it serves is what it said then, and questions beside the ticks see whole ticks."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from liqscape.axes import TIMEFRAMES
from liqscape.device.backend import CohortBatch, LedgerView
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.feeds.simulate import PastSpan
from liqscape.feeds.simulated_venues import find_scenario
from liqscape.grid import event_log
from liqscape.instruments import find_instrument
from tests.conftest import IS_FULL
from tests.cuda.cpu_runtime import CpuRuntime
from tests.property.live_market import START_MINUTE, Market, Segment
from tests.property.live_run import Plan, PlannedMerges, run
from tests.property.test_age_tiers import rows_of, weights_of

DAY = 1440
MARKET = Market(
    instruments=tuple(map(find_instrument, ("binance:BTCUSDT", "binance:BTCUSD_PERP"))),
    past=(PastSpan(64 * DAY, 10 * DAY), PastSpan(4 * DAY, 480)),
    segments=(
        Segment(4, 60_000, find_scenario("crash")),
        Segment(DAY - 100, 60_000, seed=2, quiet_ticks=120),
        Segment(120, 60_000, seed=3, quiet_ticks=60),
    ),
)


@pytest.mark.slow
@pytest.mark.usefixtures("few_rows")
def test_grid_asked_for_later_is_the_one_that_was_served(
    monkeypatch: pytest.MonkeyPatch, runtime_libraries: list[Path]
) -> None:
    plan = Plan.random(MARKET, minutes=4, pairs=24, tight=1, seed=1)
    if not IS_FULL:  # each merge takes a second: the first ones, one that waits, the one that makes a minute the oldest
        few = {minute: wait for minute, wait in plan.merged.items() if wait == 90 or minute < 100 + START_MINUTE}
        plan = replace(plan, merged=few | {minute: 0 for minute in plan.merged if minute > START_MINUTE + DAY})
    merges = PlannedMerges(plan.merged)
    monkeypatch.setattr("liqscape.engine.BackgroundWork", lambda: merges)
    monkeypatch.setattr(event_log, "COMPACT_EVERY_MINUTES", 1)
    monkeypatch.setattr(event_log, "COMPACT_MIN_EVENTS", 1)

    source = run(MARKET, plan, limit_s=110, backend=CudaBackend(CpuRuntime(runtime_libraries), threads=32))

    assert source.differences == []
    assert source.compared == 24
    assert merges.counters["on_time"] > 0
    assert source.oldest_asked >= 9


@pytest.mark.slow
def test_grids_asked_for_while_ticks_go_on_are_those_of_their_moment(runtime_libraries: list[Path]) -> None:
    backends = NumpyBackend(), CudaBackend(CpuRuntime(runtime_libraries), threads=32)
    ledgers = [backend.ledger() for backend in backends]
    number, minute, weights = 2, 28_000_000, weights_of(1)
    frame, rows = TIMEFRAMES[number], rows_of(number)
    channel = backends[1].channel_buffer(frame, rows, weights, np.ones(rows.count))
    random = Generator(PCG64(1))
    seen: list[tuple[LedgerView, LedgerView, int]] = []
    ended = threading.Event()
    failures: list[str] = []
    answers: list[int] = []

    def ask() -> None:
        while not ended.is_set() or not answers:
            if seen:
                expected, view, now = seen[-1]
                answer = backends[1].project(view, frame, now, rows, weights)
                if not np.array_equal(answer, backends[0].project(expected, frame, now, rows, weights)):
                    failures.append(f"at minute {now}")
                answers.append(now)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for tick in range(60):
            minute += int(random.integers(0, 3))
            count = int(random.integers(1, 400))
            batch = CohortBatch(
                np.full(count, minute, np.int32),
                random.integers(0, 100, count).astype(np.int32),
                random.integers(0, 64, count).astype(np.uint16),
                random.integers(1, 1 << 40, count),
            )
            for ledger in ledgers:
                ledger.append(minute, batch, 1, 0)
                if tick == 30:
                    ledger.adopt(ledger.capture().compacted(minute + DAY - 20))
            views = [ledger.capture() for ledger in ledgers]
            channel.advance(views[1], minute)
            seen.append((views[0], views[1], minute))
    finally:
        ended.set()
        asking.join(60)

    assert failures == []
    assert len(set(answers)) > 1
