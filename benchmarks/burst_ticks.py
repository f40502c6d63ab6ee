"""Does a burst make ticks late? 20,000 trades and 2,000 liquidations a second beside 200 trades a second.

    python -m benchmarks.burst_ticks                      both ways, as bench_feed has them measured
    python -m benchmarks.burst_ticks --seconds 10 --rounds 1    shorter

Prints JSON. Two ways, both with the garbage collection of a server, and of one symbol on NumPy:

stepped     One thread and a clock that stands still while anything is done. Messages are heard while the clock is slept
            by, outside of the figures; Slices hand over what LiveSource is given by them. So it is told what the
            engine's thread has to do, and nothing of who else wants the processor or Python's lock.
live        The real thing: a venue in a process of its own, a socket, LiveSource with its thread of feeds, EngineThread
            with its encoding thread, the machine's clock. Quiet and burst in turn, several rounds.

What is told of ticks, in milliseconds:

delay       from the end of a tick by the clock to its output: waking up, the last slice, closing, books, grids.
tick        from TickEnd accepted to the output: the part without the last slice.
slice       (stepped) the longest work of a slice between ticks.
work        (stepped) everything of a tick together, slices too: what a tick took when it was handed over at its end.
frame       (live) from the end of a tick to its encoded record, on the encoding thread.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.burst_venue import VENUE, Market
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.clock import SystemClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.engine import EngineThread
from liqscape.events import Event, OpenInterest, TickEnd
from liqscape.feeds.build import wanted_venues
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.inbox import Inbox
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.slices import Slices
from liqscape.feeds.live.source import LiveSource
from liqscape.feeds.live.transport import through_relay
from liqscape.feeds.resumed import events_after
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.garbage import collect_garbage_rarely
from liqscape.grid.shard import Shard
from liqscape.grid.updates import TickOutput
from liqscape.instruments import Instrument

RATES: Final = {"quiet": (200, 0), "burst": (20_000, 2_000)}
"""Trades and liquidations a second."""
SECONDS: Final = 30
ROUNDS: Final = 2
TICK_NS: Final = 250_000_000
START_NS: Final = 1_795_219_200_000_000_000
WARM_TICKS: Final = 8
"""The first ones build the grids."""
WARM_S: Final = 4.0
"""Live; for connecting, too."""
Times = dict[str, list[float]]
"""Milliseconds by what is told."""


class Pauses:
    """Collections of garbage while the block runs."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self._began = 0.0

    def __enter__(self) -> Pauses:
        gc.callbacks.append(self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._heard)

    def _heard(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.milliseconds.append((time.perf_counter() - self._began) * 1e3)


class HearingClock:
    """A clock that moves only while it is slept by; a desk hears meanwhile what is said until then.

    Attributes:
        woken: when the last sleep ended, seconds of perf_counter.
        worked: seconds from each waking to the next sleep.
    """

    def __init__(self, trades: int, liquidations: int, instrument: Instrument, desk: VenueDesk, inbox: Inbox) -> None:
        self._market = Market(trades, liquidations, START_NS)
        self._instrument_id = instrument.instrument_id
        self._inbox = inbox
        self._line = desk.open_unnamed()
        self._now_ns = START_NS
        self.woken = 0.0
        self.worked: list[float] = []

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep_until_ns(self, deadline_ns: int) -> None:
        if self.woken:
            self.worked.append(time.thread_time() - self.woken)
        for message in self._market.until(deadline_ns):
            self._line.hear(message, deadline_ns - 1)
        if deadline_ns % TICK_NS == 0:  # the answer of a poll
            self._inbox.put([OpenInterest(self._instrument_id, deadline_ns - 1, self._market.open_interest)])
        self._now_ns = deadline_ns
        self.woken = time.thread_time()


@dataclass(frozen=True, slots=True)
class _SlicedSource:
    """What LiveSource says, without its thread: slices of an inbox."""

    description: SourceDescription
    slices: Slices

    def progress(self) -> Progress:
        return Progress(1, 1, "")

    async def events(self) -> AsyncIterator[Event]:
        while True:
            for event in await self.slices.next():
                yield event


def stepped(trades: int, liquidations: int, ticks: int) -> Times:
    """Return milliseconds of the engine's thread by a clock that waits for it."""
    venues, listings = wanted_venues((VENUE,), ("BTC",))
    instruments = tuple(listing.instrument for listing in listings[VENUE])
    inbox = Inbox()
    desk = VenueDesk(venues[0], listings[VENUE], PriceBoard(), MirrorWatch(), inbox.put)
    traded = next(i for i in instruments if i.name == "BTCUSDT")
    clock = HearingClock(trades, liquidations, traded, desk, inbox)
    shard = Shard(instruments, NumpyBackend(), clock.now_ns)
    about = SourceDescription(name="slices", instruments=instruments, tick_ms=TICK_NS // 10**6)
    source = _SlicedSource(about, Slices(inbox, clock, TICK_NS))
    times = asyncio.run(_stepped(source, shard, clock, ticks))
    said = round((trades + liquidations) * ticks * TICK_NS / 1e9)
    taken = sum(tally.events for tally in desk.tallies.values())
    assert not desk.unread, desk.unread
    assert taken >= said, (taken, said)
    assert shard.status()[0].live_cohorts, "no position was opened"
    return times


async def _stepped(source: _SlicedSource, shard: Shard, clock: HearingClock, ticks: int) -> Times:
    times: Times = defaultdict(list)
    async for event in events_after(source, None):
        began = time.thread_time()
        shard.accept(event)
        if not isinstance(event, TickEnd):
            continue
        ended = time.thread_time()
        slices, clock.worked = clock.worked, []
        if shard.tick > WARM_TICKS:
            times["delay"].append((ended - clock.woken) * 1e3)
            times["tick"].append((ended - began) * 1e3)
            times["slice"].append(max(slices[1:], default=0.0) * 1e3)  # the first one is what followed the tick before
            times["work"].append((sum(slices[1:]) + ended - clock.woken) * 1e3)
        if shard.tick == ticks:
            break
    return times


class _WatchedShard(Shard):
    """A shard that notes when its ticks were accepted and done."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments, NumpyBackend(), time.time_ns)
        self.done: list[tuple[int, int, int, int]] = []
        """Number and end of a tick; when its end was accepted and its output there: nanoseconds of the clock."""

    def accept(self, event: Event) -> TickOutput | None:
        if not isinstance(event, TickEnd):
            return super().accept(event)
        began_ns = time.time_ns()
        output = super().accept(event)
        if output is not None:
            self.done.append((output.tick, event.time_ns, began_ns, time.time_ns()))
        return output


@dataclass(slots=True)
class _Records:
    """When the record of each tick was there."""

    at_ns: dict[int, int] = field(default_factory=dict)

    def publish(self, record: TickRecord) -> None:
        self.at_ns[record.tick] = time.time_ns()


def live(trades: int, liquidations: int, seconds: float) -> tuple[Times, dict[str, Any]]:
    """Return milliseconds of a running engine, and what it has heard."""
    command = [sys.executable, "-m", "benchmarks.burst_venue", str(trades), str(liquidations)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as venue:
        try:
            assert venue.stdout is not None
            address = f"http://127.0.0.1:{int(venue.stdout.readline())}"
            return _listened(address, trades + liquidations, seconds)
        finally:
            venue.communicate()


def _listened(address: str, a_second: int, seconds: float) -> tuple[Times, dict[str, Any]]:
    venues, listings = wanted_venues((VENUE,), ("BTC",))
    source = LiveSource(venues, listings, SystemClock(), rewrite=through_relay(address))
    shard, records = _WatchedShard(source.description.instruments), _Records()
    description = ShardDescription("burst", 1, TICK_NS // 10**6, False, False, "burst", shard.channels)
    engine = EngineThread(
        description=description,
        source=source,
        shard=shard,
        backend_name="numpy",
        publish=records.publish,
        on_end=lambda: None,
    )
    engine.start()
    try:
        time.sleep(WARM_S)
        heard_before, began_ns = _heard(source), time.time_ns()
        with Pauses() as pauses:
            time.sleep(seconds)
        heard, ended_ns = _heard(source) - heard_before, time.time_ns()
    finally:
        engine.stop()
    ticks = [each for each in shard.done if began_ns <= each[1] < ended_ns - 2 * TICK_NS]
    times: Times = {
        "delay": [(done - end) / 1e6 for _, end, _, done in ticks],
        "tick": [(done - began) / 1e6 for _, _, began, done in ticks],
        "frame": [(records.at_ns[number] - end) / 1e6 for number, end, _, _ in ticks],
    }
    rate = heard / (ended_ns - began_ns) * 1e9
    assert source.inbox.dropped == 0, source.inbox.dropped
    left_out = (ended_ns - began_ns) // TICK_NS - 2 - len(ticks)
    return times, {
        "heard_per_s": round(rate),
        "heard_share": rate / a_second,
        "ticks_left_out": max(0, left_out),
        "collections": len(pauses.milliseconds),
        "longest_collection_ms": max(pauses.milliseconds, default=0.0),
    }


def _heard(source: LiveSource) -> int:
    return sum(channel.events for status in source.feeds() for channel in status.channels)


def spread(times: Times) -> dict[str, Any]:
    """Return quantiles of milliseconds."""
    found: dict[str, Any] = {"ticks": len(times["tick"])}
    for name, each in times.items():
        ordered = sorted(each)
        found[name] = {
            "p50_ms": ordered[len(ordered) // 2],
            "p99_ms": ordered[int(len(ordered) * 0.99)],
            "max_ms": ordered[-1],
        }
    return found


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """Return both ways, quiet and burst in turn, all rounds of a kind together."""
    merged: dict[str, dict[str, Times]] = {
        way: {kind: defaultdict(list) for kind in RATES} for way in ("stepped", "live")
    }
    said: dict[str, list[dict[str, Any]]] = {kind: [] for kind in RATES}
    for _ in range(rounds):
        for kind, rates in RATES.items():
            for name, each in stepped(*rates, ticks=WARM_TICKS + round(seconds * 1e9 / TICK_NS)).items():
                merged["stepped"][kind][name] += each
            gc.collect()
    for _ in range(rounds):
        for kind, rates in RATES.items():
            times, about = live(*rates, seconds)
            said[kind].append(about)
            for name, each in times.items():
                merged["live"][kind][name] += each
    found: dict[str, Any] = {}
    for way, kinds in merged.items():
        found[way] = {kind: spread(times) for kind, times in kinds.items()}
        quiet, burst = found[way]["quiet"], found[way]["burst"]
        found[way]["p99_ratio"] = {name: burst[name]["p99_ms"] / quiet[name]["p99_ms"] for name in ("delay", "tick")}
    found["live"]["heard"] = said
    return found


def figures(found: dict[str, Any]) -> dict[str, str]:
    """Return what measure has found, in lines of a report."""
    lines = {}
    for way, what, text in (
        ("stepped", "delay", "a tick's end to its output, the engine's own work"),
        ("stepped", "work", "all work of a tick, as if it were handed over at its end"),
        ("live", "delay", "a tick's end to its output, sockets and feeds beside it"),
        ("live", "tick", "TickEnd to output, sockets and feeds beside it"),
    ):
        quiet, burst = (found[way][kind][what] for kind in RATES)
        lines[f"{text}: quiet / in a burst, p50 (p99)"] = (
            f"{quiet['p50_ms']:.1f} ({quiet['p99_ms']:.1f}) / {burst['p50_ms']:.1f} ({burst['p99_ms']:.1f}) ms, "
            f"p99 x {burst['p99_ms'] / quiet['p99_ms']:.2f}"
        )
    lines["longest slice between ticks of a burst"] = f"{found['stepped']['burst']['slice']['max_ms']:.1f} ms"
    shares = [about["heard_share"] for about in found["live"]["heard"]["burst"]]
    lines["of the burst's messages were heard in time"] = f"{min(shares):.0%}"
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    collect_garbage_rarely()
    print(json.dumps(measure(options.seconds, options.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
