"""What is called broken, what is shown, and both kinds of stalled readers against a real server."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench_fanout import compile_sink, measure
from benchmarks.bench_stalled import Phase, broken_claims, figures
from benchmarks.stalled_readers import FROZEN, WITHHOLDING, StalledReaders
from liqscape.api.limits import ServiceLimits, StallLimits
from tests.integration.test_grpc_api import serving
from tests.unit.benchmarks.test_bench_fanout import WINDOW

PHASE = Phase(
    kind=FROZEN,
    before=replace(WINDOW, p99_ms=4.0),
    during=replace(WINDOW, p99_ms=5.5),
    after=replace(WINDOW, p99_ms=6.0),
    resident_kib=(300_000, 350_000, 310_000),
    left_in_window=500,
    reaped_s=10.5,
    cut=0,
    stalled=500,
)


def test_phase_within_the_limits_breaks_no_claim_and_is_shown() -> None:
    assert broken_claims([PHASE, replace(PHASE, kind=WITHHOLDING)]) == []
    assert figures([PHASE]) == {
        "frozen, memory each": "at most 100 KiB, median 100 KiB",
        "frozen, p99 of the others before / during / after": "4.0 / 5.5 / 6.0 ms; x 1.10",
        "frozen, all streams gone": "after 10.5 s, 0 cut by the watch",
        "frozen, still held then": "at most 20 KiB each",
    }


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (replace(PHASE, resident_kib=(300_000, 400_000, 0)), "a frozen reader costs 200 KiB; 150 are allowed"),
        (replace(PHASE, during=replace(WINDOW, p99_ms=7.0)), "beside frozen readers p99 is x 1.40; 1.25 is allowed"),
        (replace(PHASE, reaped_s=61.0), "the last frozen reader was there for 61.0 s; 60 are allowed"),
        (replace(PHASE, left_in_window=499), "only 499 frozen readers were there until the window ended"),
        (replace(PHASE, during=replace(WINDOW, p99_ms=5.5, repeated=1)), "frozen: 0 ticks missed, 1 repeated"),
    ],
)
def test_what_does_not_hold_is_told(phase: Phase, text: str) -> None:
    assert broken_claims([phase]) == [text]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FROZEN, WITHHOLDING])
async def test_stalled_readers_stall_and_are_cut(kind: str) -> None:
    limits = ServiceLimits(stalls=StallLimits(stalled_after_s=0.05, cut_after_s=0.2, check_every_s=0.02))
    async with serving(rows=2000, limits=limits) as server, StalledReaders(server.running.address, kind) as readers:
        await readers.open(3)

        async with asyncio.timeout(20):
            while server.hub.counters.streams_cut < 3:
                await server.step(cells=600)
                await asyncio.sleep(0.005)
            while server.hub.counters.streams_open:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to compile the receiver")
async def test_sink_reads_the_ticks_of_a_real_server(tmp_path: Path) -> None:
    sink = compile_sink(tmp_path)
    assert sink is not None
    async with serving(rows=200) as server:
        port = int(server.running.address.rpartition(":")[2])
        reading = asyncio.create_task(asyncio.to_thread(measure, sink, os.getpid(), port, 3, 10, "frames"))
        while not reading.done():
            await server.step()
            await asyncio.sleep(0.02)
        window = reading.result()

    assert not window.problems(may_miss=True)
    assert (window.clients, window.ticks) == (3, 10)
    assert window.delivered >= 29
    assert 0 < window.p50_ms <= window.max_ms < 1000
