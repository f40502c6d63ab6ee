"""Does a journal of real weeks say the same each time? Six of them are built, and built again from the journal twice.

    python -m benchmarks.replay_journal                              BTC and ETH, six weeks; chunks of three days
    python -m benchmarks.replay_journal --days 4 --payload-days 0.5    a short span

While the recording is built every tick goes to a journal on the disk, as a server keeps it. Then two new shards take
the journal's ticks, the second on a GPU where there is one. What every bar did to the books, tick by tick, must be the
same in all three, and at the end both ledgers, tiers, cohorts, accounts and all nine grids. On the first days every
tick is rendered, and what is sent of it, uncompressed, must be the same, chunk by chunk; then only the last tick is.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.gpu.device_runtimes import gpu
from benchmarks.gpu.equal_payloads import DAY_NS, MANIFEST
from liqscape.axes import last_minute_before
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.ports import ShardDescription
from liqscape.clock import SystemClock
from liqscape.device.backend import Backend
from liqscape.device.cuda_backend import CudaBackend
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.probe import GpuUnavailable, cupy_runtime
from liqscape.events import TickEnd
from liqscape.feeds.history import HistorySource, recordings_folder
from liqscape.grid.shard import Shard
from liqscape.grid.updates import TickOutput
from liqscape.instruments import Instrument
from liqscape.journal.sqlite_store import SqliteJournal
from liqscape.journal.store import Record
from liqscape.market.bars import Bar
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.tick_codec import decode_tick, encode_tick
from liqscape.positions.book import BookStep
from tests.equal_shards import feed, fingerprint, named

PAYLOAD_DAYS: Final = 3.0
TICK_MS: Final = 300_000
COMMIT_TICKS: Final = 256


class Told:
    """A shard and digests of all that it does.

    Attributes:
        steps: one a tick, of what it did to the books.
        chunks: one a rendered tick, of what was sent of it, and how many chunks and bytes that was.
    """

    def __init__(self, instruments: Sequence[Instrument], backend: Backend) -> None:
        self.steps: list[str] = []
        self.chunks: list[tuple[str, int, int]] = []
        self.closed: list[tuple[int, ClosedTick]] = []
        self._done: list[BookStep] = []
        self.shard = Shard(instruments, backend, lambda: 0, self._observe, on_closed=self._on_closed)
        about = ShardDescription("replay", 1, TICK_MS, False, True, "replay", self.shard.channels)
        self._encoder = StreamEncoder(about, lambda: 0)

    def take(self, output: TickOutput | None) -> None:
        """Note what a tick was, once it is over."""
        digest = hashlib.blake2b(digest_size=12)
        feed(digest.update, self._done)
        self.steps.append(digest.hexdigest())
        self._done = []
        if output is None:
            return
        for log, work in self.shard.compactions():
            log.adopt(work())
        digest, count, size = hashlib.blake2b(digest_size=12), 0, 0
        for name, data in named(self._encoder.encode(output)):
            digest.update(f"{name} {len(data)} ".encode() + data)
            count, size = count + 1, size + len(data)
        self.chunks.append((digest.hexdigest(), count, size))

    def state(self) -> tuple[str, str]:
        """Return digests of all that is held, and of all nine grids of each symbol, recomputed."""
        shard, digest = self.shard, hashlib.blake2b(digest_size=12)
        minute = last_minute_before(shard.end_ns)
        for status in shard.status():
            engine = shard.engine(status.symbol)
            for channel in shard.channels:
                if channel.symbol == status.symbol:
                    rows = engine.scale.row_range(channel.timeframe, status.mark_price)
                    feed(digest.update, engine.project(engine.capture(), channel.timeframe, minute, rows))
                    feed(digest.update, engine.levels(channel.channel_id))
        return fingerprint(shard), digest.hexdigest()

    def _observe(self, _symbol: str, _bars: list[Bar], step: BookStep) -> None:
        self._done.append(step)

    def _on_closed(self, tick: int, closed: ClosedTick) -> None:
        self.closed.append((tick, closed))


def live(source: HistorySource, journal: SqliteJournal, days: float, payload_days: float) -> Told:
    """Build a recording and keep its ticks."""
    told, begin_ns = Told(source.description.instruments, NumpyBackend()), None
    waiting: list[Record] = []
    ends = _ends(source, days)
    for event in source.iterate():
        if not isinstance(event, TickEnd):
            told.shard.accept(event)
            continue
        begin_ns = event.time_ns if begin_ns is None else begin_ns
        render = event.time_ns - begin_ns <= payload_days * DAY_NS or event.time_ns == ends
        told.take(told.shard.accept(TickEnd(event.time_ns, render)))
        waiting += ((tick, encode_tick(closed)) for tick, closed in told.closed)
        told.closed.clear()
        if len(waiting) >= COMMIT_TICKS or event.time_ns == ends:
            journal.append(waiting)
            waiting = []
        if event.time_ns == ends:
            break
    return told


def replay(instruments: Sequence[Instrument], journal: SqliteJournal, backend: Backend) -> Told:
    """Take the ticks of a journal."""
    told = Told(instruments, backend)
    for _, body in journal.read(1):
        told.take(told.shard.replay(decode_tick(body), render=True))
    return told


def differences(one: Told, other: Told) -> Iterator[str]:
    """Say what is not the same in two of them, the first of each kind."""
    for what, mine, theirs in (("books", one.steps, other.steps), ("chunks", one.chunks, other.chunks)):
        if len(mine) != len(theirs):
            yield f"{what} of {len(mine)} and {len(theirs)} ticks"
        first = next((n for n, (m, t) in enumerate(zip(mine, theirs, strict=False), 1) if m != t), None)
        if first is not None:
            yield f"{what} of tick {first}"
    held, theirs_held = one.state(), other.state()
    if held[0] != theirs_held[0]:
        yield "what is held at the end"
    if held[1] != theirs_held[1]:
        yield "grids at the end"


def _ends(source: HistorySource, days: float) -> int:
    """Return the last tick within so many days of the first."""
    ends = [event.time_ns for event in source.iterate() if isinstance(event, TickEnd)]
    return max(end for end in ends if end - ends[0] <= days * DAY_NS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="does a journal say the same each time?")
    parser.add_argument("--symbols", help="base coins, for example BTC (default: all)")
    parser.add_argument("--days", type=float, default=1e9, help="of the recording (default: all)")
    parser.add_argument("--payload-days", type=float, default=PAYLOAD_DAYS, help=f"(default {PAYLOAD_DAYS:g})")
    parser.add_argument("--recordings", type=Path, help="folder above market/")
    options = parser.parse_args(arguments)
    symbols = tuple(options.symbols.split(",")) if options.symbols else None
    source = HistorySource(
        MANIFEST,
        recordings=options.recordings or recordings_folder(),
        clock=SystemClock(),
        speed=None,
        symbols=symbols,
    )
    started, instruments = time.monotonic(), source.description.instruments
    with ExitStack() as stack:
        top = stack.enter_context(tempfile.TemporaryDirectory(prefix="liqscape-replay-"))
        journal = stack.enter_context(closing(SqliteJournal(Path(top) / "journal.sqlite")))
        lived = live(source, journal, options.days, options.payload_days)
        size = sum(path.stat().st_size for path in Path(top).iterdir())
        print(f"{len(lived.steps):,} ticks in a journal of {size / 1e6:.1f} MB, {_since(started)}", flush=True)
        wrong: list[str] = []
        for number in range(2):
            backend: Backend = NumpyBackend()
            if number:
                try:
                    cupy_runtime(0)
                    backend = CudaBackend(stack.enter_context(gpu()))
                except GpuUnavailable as missing:
                    print(f"NumPy again: {missing}")
            again = replay(instruments, journal, backend)
            found = list(differences(lived, again))
            wrong += found
            told = "; ".join(found) or "the same"
            print(f"replay {number + 1} on {backend.name}: {told}, {_since(started)}", flush=True)
    chunks, sent = sum(count for _, count, _ in lived.chunks), sum(size for _, _, size in lived.chunks)
    print(f"compared: {len(lived.steps):,} ticks, {chunks:,} chunks, {sent / 1e6:,.0f} MB")
    if wrong or not chunks:
        print(f"FIRST DIFFERENCE: {wrong[0] if wrong else 'nothing was compared'}")
        return 1
    if options.days > 40 and symbols is None:
        figures = {
            "ticks replayed, twice": f"{len(lived.steps):,}, {len(instruments)} instruments",
            "chunks compared": f"{chunks:,}, {sent / 1e6:,.0f} MB, all equal",
            "journal": f"{size / 1e6:.1f} MB",
            "took": _since(started),
        }
        report.store("journal_replay", "Does a journal of real weeks say the same each time?", figures, {"bytes": size})
    return 0


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
