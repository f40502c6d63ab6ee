"""How long from a killed process to the first frame, and what do snapshots cost the ticks?

    python -m benchmarks.bench_restart                       a year of one instrument, and of twenty; stored
    python -m benchmarks.bench_restart --instruments 1       this one alone, stored
    python -m benchmarks.bench_restart --instruments 1 --minutes 5 --blocks 2 --past coarse    smaller, not stored

One symbol of so many simulated instruments (see many_markets) is built to the end of a year, as a server builds it, and
snapshot. The hour after it, a tick a second, goes to the journal alone: the market stage closes the ticks, nobody takes
them, and that is what a start then has to do. A process of its own starts: imports, folder, snapshot, replay of the
hour, all nine grids, and the first frame encoded. Everything from its beginning to there counts. Afterwards every grid
of it is compared with its full recompute.

Then the same process takes live ticks, ten a second, in blocks with and without snapshots, in turn. In a block with
them one is begun every ten seconds, thirty times as often as by default; the work of a tick is everything on the
engine's thread, beginning a snapshot included. Wanted: a start within 5 s for one instrument and 30 s for twenty, and
with snapshots a 99th percentile within 1.5 times of that without.

The year of twenty instruments comes in coarse steps, as in bench_ticks, so that it is built within two minutes; --past
shipped builds the one that a server builds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import report
from benchmarks.bench_ticks import PASTS
from benchmarks.many_markets import Market
from benchmarks.year_book import MIDNIGHT_MINUTE
from liqscape.axes import MINUTE_NS, TIMEFRAMES
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.ports import ShardDescription
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, MarkPrice, OpenInterest, TakerSide, TickEnd, Trade
from liqscape.grid.shard import Shard
from liqscape.grid.updates import TickOutput
from liqscape.journal.data_folder import DataFolder
from liqscape.keeper import Keeper
from liqscape.market.tick_codec import encode_tick

QUESTION: Final = "How long from a killed process to the first frame, and what do snapshots cost?"
WANTED_START_S: Final = {1: 5.0, 20: 30.0}
WANTED_RATIO: Final = 1.5
MINUTES: Final = 60
TICK_MS: Final = 1000
PACE_S: Final = 0.1
BLOCK_TICKS: Final = 150
BLOCKS: Final = 6
SNAPSHOT_EVERY_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Start:
    """What the started process tells.

    Attributes:
        import_s, restore_s, frame_s: until all is imported; then until the last tick is replayed; then until the frame.
        snapshot_tick, tick: of the snapshot, and restored.
        cohorts, events: in the books and logs after all ticks.
        frame_bytes: of the first frame.
        without_ms, with_ms: work of ticks without and with snapshots, float[tick].
        snapshots, snapshot_bytes: taken in the blocks with them, and the size of the last.
        wrong: in words.
    """

    import_s: float
    restore_s: float
    frame_s: float
    snapshot_tick: int
    tick: int
    cohorts: int
    events: int
    frame_bytes: int
    without_ms: list[float]
    with_ms: list[float]
    snapshots: int
    snapshot_bytes: int
    wrong: list[str]


def market_of(instruments: int, past: str) -> Market:
    """Return the market of a run: one symbol."""
    return Market(0, instruments, PASTS[past], TICK_MS, MIDNIGHT_MINUTE * MINUTE_NS)


def build(folder: Path, market: Market, minutes: int) -> float:
    """Leave a folder as a process does that is killed an hour after its snapshot; return the seconds of the year.

    Raises:
        RuntimeError: the snapshot could not be written.
    """
    began = time.perf_counter()
    keeper = Keeper(DataFolder(folder), {"made": "for bench_restart"}, "second", 1e9)
    shard = Shard(market.instruments, NumpyBackend(), lambda: 0, on_closed=keeper.record)
    keeper.restore(shard, lambda text: None)
    ticks = market.ticks(minutes * 60)
    for events, end in ticks:
        is_last = end.time_ns >= MIDNIGHT_MINUTE * MINUTE_NS
        output = None
        for event in (*events, TickEnd(end.time_ns, render=is_last)):
            output = shard.accept(event)
        if is_last:
            break
    for log, work in shard.compactions():
        log.adopt(work())
    built = time.perf_counter() - began
    assert output is not None
    keeper.after_tick(shard)
    while keeper.is_snapshotting:
        time.sleep(0.01)
        keeper.after_tick(shard)
    if keeper.counters["snapshots"] != 1:
        raise RuntimeError("the snapshot could not be written")
    keeper.stop()
    data = DataFolder(folder)
    with closing(data), closing(data.open_journal()) as journal:
        for number, (events, end) in enumerate(ticks, shard.tick + 1):
            for event in events:
                shard.market.apply(event)
            journal.append([(number, encode_tick(shard.market.close(end)))])
    return built


def start(folder: Path, instruments: int, past: str, minutes: int, blocks: int, began: float) -> Start:
    """Start on a folder, then take ticks; in the started process.

    Args:
        folder, instruments, past, minutes: as it was built.
        blocks: of ticks, with and without snapshots in turn.
        began: when the process was started, by the wall clock.
    """
    imported = time.time()
    market = market_of(instruments, past)
    now = [0.0]
    keeper = Keeper(
        DataFolder(folder), {"made": "for bench_restart"}, "second", SNAPSHOT_EVERY_S, monotonic=lambda: now[0]
    )
    shard = Shard(market.instruments, NumpyBackend(), lambda: 0, on_closed=keeper.record)
    restored: list[float] = []

    def restate() -> TickOutput | None:
        restored.append(time.time())
        return Shard.restate(shard)

    shard.restate = restate  # type: ignore[method-assign]
    output = keeper.restore(shard, lambda text: None)
    assert output is not None
    about = ShardDescription("bench", 1, TICK_MS, True, False, "bench", shard.channels)
    encoder = StreamEncoder(about, lambda: 0)
    record = encoder.encode(output)
    framed = time.time()
    tick, wrong = shard.tick, _differences(shard)
    snapshot_tick = tick - keeper.counters["journal_ticks_replayed"]
    if len(output.channels) != len(TIMEFRAMES):
        wrong.append(f"{len(output.channels)} channels in the first frame")
    times: tuple[list[float], list[float]] = ([], [])
    begun_before = keeper.counters["snapshots"]
    paced = _live(market, shard, blocks * BLOCK_TICKS)
    keeper._snapshot_due = 1e18
    for number in range(blocks * BLOCK_TICKS):
        due = time.monotonic() + PACE_S
        events, end = next(paced)
        for event in events:
            shard.accept(event)
        has_snapshots = number // BLOCK_TICKS % 2 == 1
        if number % BLOCK_TICKS == 0:
            _wait_for_snapshot(keeper, shard)
            keeper._snapshot_due = time.monotonic() if has_snapshots else 1e18
        now[0] = time.monotonic()
        began_tick = time.perf_counter()
        output = shard.accept(end)
        if output is not None:
            encoder.encode(output)
        keeper.after_tick(shard)
        times[has_snapshots].append(1e3 * (time.perf_counter() - began_tick))
        time.sleep(max(0.0, due - time.monotonic()))
    _wait_for_snapshot(keeper, shard)
    status = shard.status()[0]
    found = Start(
        import_s=imported - began,
        restore_s=restored[0] - imported,
        frame_s=framed - restored[0],
        snapshot_tick=snapshot_tick,
        tick=tick,
        cohorts=status.live_cohorts,
        events=status.ledger_events,
        frame_bytes=sum(len(chunk.data) for chunk in record.keyframes or record.channels),
        without_ms=times[0],
        with_ms=times[1],
        snapshots=keeper.counters["snapshots"] - begun_before,
        snapshot_bytes=keeper.counters["snapshot_bytes"],
        wrong=wrong + _differences(shard),
    )
    keeper.stop()
    return found


def _live(market: Market, shard: Shard, count: int) -> Iterator[tuple[list[Event], TickEnd]]:
    """Yield made-up ticks that follow the shard's last one; simulating the year again would take longer than all."""
    prices = {s.symbol: s.mark_price for s in shard.status()}
    scale = shard.market.scale(market.symbol)
    assert scale is not None
    random = np.random.default_rng(1)
    levels = {c.instrument_id: (c.live_lots[0] + c.uncovered_lots[0]) for s in shard.status() for c in s.coverage}
    for _ in range(count):
        end_ns = shard.end_ns + TICK_MS * 1_000_000
        events: list[Event] = []
        move = float(random.normal(0, 1e-4))
        prices[market.symbol] = round(prices[market.symbol] * (1 + move))
        for instrument in market.instruments:
            name, shift = instrument.instrument_id, 10 ** (scale.price_decimals - instrument.price_decimals)
            price = prices[market.symbol] // shift
            events += [
                Trade(name, end_ns - 5, price, int(random.integers(1, 10**9)), TakerSide.BUY),
                MarkPrice(name, end_ns - 4, price),
            ]
            if not instrument.is_inverse:
                levels[name] = max(1, levels[name] + int(random.integers(-(10**6), 10**6)))
                unit = 10 ** (8 - scale.lot_decimals)
                events.append(OpenInterest(name, end_ns - 3, levels[name] * unit))
        yield events, TickEnd(end_ns)


def _differences(shard: Shard) -> list[str]:
    """Return in words which grids are not their full recompute."""
    checks = [shard.self_check(number) for number in range(len(TIMEFRAMES))]
    return [told for check in checks if check is not None and (told := check()) is not None]


def _wait_for_snapshot(keeper: Keeper, shard: Shard) -> None:
    while keeper.is_snapshotting:
        time.sleep(0.005)
        keeper.after_tick(shard)


def measure(
    instruments: int, past: str, minutes: int, blocks: int, top: Path | None
) -> tuple[dict[str, str], dict[str, object], list[str]]:
    """Return figures, everything measured, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="liqscape-restart-", dir=top) as name:
        folder = Path(name) / "data"
        built = build(folder, market_of(instruments, past), minutes)
        arguments = ("--start", str(folder), "--instruments", str(instruments), "--past", past)
        more = ("--minutes", str(minutes), "--blocks", str(blocks), "--began", repr(time.time()))
        command = (sys.executable, "-m", "benchmarks.bench_restart", *arguments, *more)
        run = subprocess.run(command, cwd=report.ROOT, capture_output=True, text=True, check=False)
        if run.returncode:
            return {}, {}, [f"the start failed: {run.stderr[-500:]}"]
        found = Start(**json.loads(run.stdout.splitlines()[-1]))
    wrong = list(found.wrong)
    if found.tick - found.snapshot_tick != minutes * 60:
        wrong.append(f"{found.tick - found.snapshot_tick} ticks were replayed, not {minutes * 60}")
    total = found.import_s + found.restore_s + found.frame_s
    p99 = [float(np.quantile(np.array(of), 0.99, method="higher")) for of in (found.without_ms, found.with_ms)]
    p50 = [float(np.median(of)) for of in (found.without_ms, found.with_ms)]
    of = f"{instruments} instrument{'s' * (instruments > 1)}"
    wanted = f", wanted {WANTED_START_S[instruments]:g}" if instruments in WANTED_START_S else ""
    figures = {
        f"{of}: year built, {past} steps": f"{built:.0f} s, {found.events:,} events, {found.cohorts:,} cohorts",
        f"{of}: snapshot": f"{found.snapshot_bytes / 1e6:.0f} MB",
        f"{of}: start to first frame": f"{total:.1f} s{wanted}",
        f"{of}: of that imports / snapshot and {minutes * 60:,} ticks / grids and frame": (
            f"{found.import_s:.1f} / {found.restore_s:.1f} / {found.frame_s:.1f} s"
        ),
        f"{of}: a tick p50 / p99 without snapshots": f"{p50[0]:.1f} / {p99[0]:.1f} ms",
        f"{of}: with {found.snapshots} in {len(found.with_ms)} ticks": (
            f"{p50[1]:.1f} / {p99[1]:.1f} ms, x {p99[1] / p99[0]:.2f}, wanted {WANTED_RATIO:g}"
        ),
    }
    measured = {name: value for name, value in asdict(found).items() if not name.endswith("_ms")}
    spread = {"without_ms": [p50[0], p99[0]], "with_ms": [p50[1], p99[1]]}
    return figures, {**measured, **spread, "built_s": built, "start_s": total, "past": past}, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="how long from a killed process to the first frame?")
    parser.add_argument("--instruments", type=int, action="append", help="of the symbol (default: 1, then 20)")
    parser.add_argument("--past", choices=sorted(PASTS), help="steps of the year (default: shipped of one, or coarse)")
    parser.add_argument("--minutes", type=int, default=MINUTES, help=f"of the journal (default {MINUTES})")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help=f"of {BLOCK_TICKS} ticks (default {BLOCKS})")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured (default: that of temporary files)")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    sizes = options.instruments or [1, 20]
    if options.start is not None:
        found = start(options.start, sizes[0], options.past, options.minutes, options.blocks, options.began)
        print(json.dumps(asdict(found)))
        return 0
    figures: dict[str, str] = {}
    result: dict[str, object] = {}
    wrong: list[str] = []
    for instruments in sizes:
        past = options.past or ("shipped" if instruments == 1 else "coarse")
        told, measured, broken = measure(instruments, past, options.minutes, options.blocks, options.folder)
        for name, value in told.items():
            print(f"{name}: {value}", flush=True)
        figures, wrong = {**figures, **told}, wrong + broken
        result[str(instruments)] = measured
    for what in wrong:
        print(f"WRONG: {what}")
    if options.minutes >= MINUTES and options.blocks >= BLOCKS and not wrong:
        report.store("restart" if len(sizes) > 1 else f"restart_{sizes[0]}", QUESTION, figures, result)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
