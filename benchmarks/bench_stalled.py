"""What do 500 readers that have stopped reading cost a server and those who read on?

    python -m benchmarks.bench_stalled                 all, stored
    python -m benchmarks.bench_stalled --rounds 1      shorter, nothing stored

`liqscape serve`, a process of its own, simulates one symbol at ten ticks a second, more than twice what it is made for.
50 healthy readers (fanout_sink.c) take turns: a window while nobody else is there, and one while 500 stalled ones are,
all of them opened before it. Of those there are two kinds (stalled_readers.py), which end in different ways: the
connections of the frozen ones by their pings, the streams of the withholding ones by the watch over writers.

The claims: a stalled reader costs less than MAX_KIB of the server's memory; the p99 of the healthy readers' latency,
from a tick encoded to its last byte received, is at most MAX_RATIO of that in the windows before and after; and no
stream of a stalled reader is left after MAX_REAPED_S. Memory is the most that was resident in the window less the least
in the one before, so what the engine itself gains meanwhile counts against the readers; and of all rounds the most, as
a later crowd uses memory that an earlier one has left behind. p99 is the median over rounds, because other work on the
machine makes that of two windows differ by more than the claim allows.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks import report
from benchmarks.bench_fanout import Window, compile_sink, measure
from benchmarks.bench_refresh import server, wait_until_built
from benchmarks.stalled_readers import FROZEN, WITHHOLDING, StalledReaders
from liqscape_client import Client

QUESTION: Final = "what do 500 readers that have stopped reading cost a server and its 50 others?"
STALLED: Final = 500
HEALTHY: Final = 50
TICKS_PER_SECOND: Final = 10
WINDOW_TICKS: Final = 50
"""Frozen connections are closed after 10 s: the readers' join and this must be over by then."""

ROUNDS: Final = 5
SETTLE_S: Final = 20.0
"""What building the history has left is given back to the system in this time."""

RETURNING_MEMORY: Final = {"MALLOC_TRIM_THRESHOLD_": "131072"}
"""As glibc begins, and does not go on by itself: what is freed goes back to the system, so that a crowd that uses what
building the history has left behind is not counted as costing nothing."""

MAX_KIB: Final = 150
MAX_RATIO: Final = 1.25
MAX_REAPED_S: Final = 60.0
LOOK_S: Final = 0.2
_GIVE_UP_S: Final = 2 * MAX_REAPED_S


@dataclass(frozen=True, slots=True)
class Phase:
    """One crowd of stalled readers and the windows of the healthy ones around it.

    Attributes:
        kind: of the stalled readers.
        before, during, after: what the healthy readers got.
        resident_kib: of the server: the least before, the most during, and when all streams were gone, the peers not.
        left_in_window: stalled streams still open when the window with them ended.
        reaped_s: from the opening of the first to the end of the last stream; infinite = not all ended.
        cut: streams ended by the watch over writers.
    """

    kind: str
    before: Window
    during: Window
    after: Window
    resident_kib: tuple[int, int, int]
    left_in_window: int
    reaped_s: float
    cut: int
    stalled: int

    @property
    def kib_each(self) -> float:
        """Return what a stalled reader costs."""
        before, during, _ = self.resident_kib
        return (during - before) / self.stalled

    @property
    def kib_each_reaped(self) -> float:
        """Return what is still held for one whose stream has ended but whose connection stands, where it does."""
        before, _, reaped = self.resident_kib
        return (reaped - before) / self.stalled


class Measurement:
    """A server under two crowds.

    Args:
        address, pid: of the server.
        sink: the healthy readers' program.
        stalled: how many are.
        ticks: of a window.
    """

    def __init__(self, address: str, pid: int, sink: Path, stalled: int, ticks: int) -> None:
        self._address = address
        self._pid = pid
        self._sink = sink
        self._stalled = stalled
        self._ticks = ticks
        self._statm = Path(f"/proc/{pid}/statm")

    async def run(self, rounds: int) -> list[Phase]:
        """Let the crowds come and go, each kind so many times."""
        found: list[Phase] = []
        async with Client(self._address) as client:
            before, least_kib, _ = await self._window()
            for kind in (FROZEN, WITHHOLDING) * rounds:
                counted = (await client.status()).counters["streams_cut"]
                async with StalledReaders(self._address, kind) as readers:
                    began = time.monotonic()
                    await readers.open(self._stalled)
                    await _until_streams(client, at_least=self._stalled)
                    during, _, most_kib = await self._window()
                    left = (await client.status()).streams
                    await _until_streams(client, at_most=0)
                    reaped_s = time.monotonic() - began
                    reaped_kib = self._resident_kib()
                    cut = (await client.status()).counters["streams_cut"] - counted
                after, after_kib, _ = await self._window()
                resident_kib = (least_kib, most_kib, reaped_kib)
                found.append(Phase(kind, before, during, after, resident_kib, left, reaped_s, cut, self._stalled))
                print(f"  {line(found[-1])}", flush=True)
                before, least_kib = after, after_kib
        return found

    async def _window(self) -> tuple[Window, int, int]:
        """Return what healthy readers got, and the least and the most memory meanwhile, KiB."""
        port = int(self._address.rpartition(":")[2])
        reading = asyncio.create_task(
            asyncio.to_thread(measure, self._sink, self._pid, port, HEALTHY, self._ticks, "frames")
        )
        resident_kib = [self._resident_kib()]
        while not reading.done():
            await asyncio.wait({reading}, timeout=LOOK_S)
            resident_kib.append(self._resident_kib())
        return reading.result(), min(resident_kib), max(resident_kib)

    def _resident_kib(self) -> int:
        return int(self._statm.read_text().split()[1]) * resource.getpagesize() // 1024


async def _until_streams(client: Client, *, at_least: int = 0, at_most: int | None = None) -> None:
    """Return when so many streams are open.

    Raises:
        RuntimeError: that takes too long.
    """
    deadline = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < deadline:
        streams = (await client.status()).streams
        if streams >= at_least and (at_most is None or streams <= at_most):
            return
        await asyncio.sleep(LOOK_S)
    raise RuntimeError(f"{streams} streams are open after {_GIVE_UP_S:g} s")


def line(phase: Phase) -> str:
    """Describe one phase."""
    windows = " / ".join(f"{w.p99_ms:.1f}" for w in (phase.before, phase.during, phase.after))
    return (
        f"{phase.kind}: {phase.kib_each:.0f} KiB each; p99 before / during / after {windows} ms;"
        f" {phase.left_in_window} open at the end of the window, all gone after {phase.reaped_s:.1f} s,"
        f" {phase.cut} cut by the watch; {phase.kib_each_reaped:.0f} KiB each still held"
    )


def ratio(phases: Sequence[Phase]) -> float:
    """Return the median p99 in the windows with stalled readers over that in the windows between."""
    quiet = [phases[0].before, *(phase.after for phase in phases)]
    return median(phase.during.p99_ms for phase in phases) / median(window.p99_ms for window in quiet)


def figures(phases: Sequence[Phase]) -> dict[str, str]:
    """Return what a reader should see."""
    found: dict[str, str] = {}
    for kind in dict.fromkeys(phase.kind for phase in phases):
        theirs = [phase for phase in phases if phase.kind == kind]
        kib = [p.kib_each for p in theirs]
        p99s = [median(getattr(p, name).p99_ms for p in theirs) for name in ("before", "during", "after")]
        found |= {
            f"{kind}, memory each": f"at most {max(kib):.0f} KiB, median {median(kib):.0f} KiB",
            f"{kind}, p99 of the others before / during / after": (
                f"{' / '.join(f'{p99:.1f}' for p99 in p99s)} ms; x {ratio(theirs):.2f}"
            ),
            f"{kind}, all streams gone": (
                f"after {max(p.reaped_s for p in theirs):.1f} s, {median(p.cut for p in theirs):.0f} cut by the watch"
            ),
            f"{kind}, still held then": f"at most {max(p.kib_each_reaped for p in theirs):.0f} KiB each",
        }
    return found


def broken_claims(phases: Sequence[Phase]) -> list[str]:
    """Return in words what does not hold."""
    broken: list[str] = []
    for kind in dict.fromkeys(phase.kind for phase in phases):
        theirs = [phase for phase in phases if phase.kind == kind]
        kib, p99_ratio = max(p.kib_each for p in theirs), ratio(theirs)
        reaped_s = max(p.reaped_s for p in theirs)
        if kib > MAX_KIB:
            broken.append(f"a {kind} reader costs {kib:.0f} KiB; {MAX_KIB} are allowed")
        if p99_ratio > MAX_RATIO:
            broken.append(f"beside {kind} readers p99 is x {p99_ratio:.2f}; {MAX_RATIO} is allowed")
        if reaped_s > MAX_REAPED_S:
            broken.append(f"the last {kind} reader was there for {reaped_s:.1f} s; {MAX_REAPED_S:g} are allowed")
        for phase in theirs:
            broken += [f"{kind}: {p}" for p in phase.during.problems(may_miss=True)]
            if phase.left_in_window < phase.stalled:
                broken.append(f"only {phase.left_in_window} {kind} readers were there until the window ended")
    return broken


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the status is 1 when a claim does not hold."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each kind (default {ROUNDS})")
    parser.add_argument("--stalled", type=int, default=STALLED, help=f"readers (default {STALLED})")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.stalled) < 1:
        parser.error("rounds and stalled are 1 or more")
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    with tempfile.TemporaryDirectory() as folder:
        sink = compile_sink(Path(folder))
        if sink is None:
            print("gcc is not here to compile the receiver; nothing was measured", file=sys.stderr)
            return 1
        served = ("--source", "simulate", "--symbols", "BTC", "--speed", str(TICKS_PER_SECOND))
        with server(*served, environment=RETURNING_MEMORY) as (address, pid):
            asyncio.run(wait_until_built(address))
            time.sleep(SETTLE_S)
            measurement = Measurement(address, pid, sink, options.stalled, WINDOW_TICKS)
            phases = asyncio.run(measurement.run(options.rounds))
    for name, value in figures(phases).items():
        print(f"{name}: {value}")
    broken = broken_claims(phases)
    for claim in broken:
        print(f"NOT TRUE: {claim}", file=sys.stderr)
    if options.rounds >= ROUNDS and options.stalled == STALLED:
        result: dict[str, Any] = {"ticks_per_second": TICKS_PER_SECOND, "phases": [asdict(phase) for phase in phases]}
        report.store("stalled", QUESTION, figures(phases), result)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
