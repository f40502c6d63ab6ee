"""Do two backends send the same? A recording through a shard and an encoder on each, compared tick by tick.

    python3 benchmarks/gpu/equal_payloads.py --recordings DIR               NumPy and the GPU
    python3 benchmarks/gpu/equal_payloads.py --recordings DIR --rehearse    NumPy and the CPU in place of a GPU
    python3 benchmarks/gpu/equal_payloads.py --recordings DIR --anywhere    the GPU where there is one

Compared are every chunk with its payload uncompressed, axes, ticks and checksums; what each bar did to the books; at
the end ledgers, tiers, cohorts, levels, and a full recompute of every grid. Every step is rendered unless --every says
more. The recording's files are other people's and not part of this repository: DIR, or LIQSCAPE_RECORDINGS where it is
not given, is the folder above market/. Needs pyarrow and protobuf. The status is 1 at the first difference.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, is_dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    sys.path[0:1] = [str(ROOT), str(ROOT / "server")]

import numpy as np  # noqa: E402

from benchmarks.gpu.device_runtimes import gpu, stand_in  # noqa: E402
from liqscape.axes import last_minute_before  # noqa: E402
from liqscape.broadcast.encoder import StreamEncoder  # noqa: E402
from liqscape.broadcast.ports import ShardDescription, TickRecord  # noqa: E402
from liqscape.clock import SystemClock  # noqa: E402
from liqscape.device.backend import Backend  # noqa: E402
from liqscape.device.cuda_backend import CudaBackend  # noqa: E402
from liqscape.device.numpy_backend import NumpyBackend  # noqa: E402
from liqscape.device.probe import GpuUnavailable, cupy_runtime  # noqa: E402
from liqscape.device.runtime import Runtime  # noqa: E402
from liqscape.events import Event, TickEnd  # noqa: E402
from liqscape.feeds.history import HistorySource  # noqa: E402
from liqscape.grid.shard import Shard  # noqa: E402
from liqscape.market.bars import Bar  # noqa: E402
from liqscape.positions.book import BookStep  # noqa: E402
from liqscape.v1 import stream_pb2  # noqa: E402

MANIFEST: Final = ROOT / "benchmarks" / "manifests" / "binance_usdm_5m_2025-12.toml"
DAYS: Final = 3.0
DAY_NS: Final = 86_400 * 10**9
TICK_MS: Final = 300_000
UNCOMPRESSED: Final = {
    stream_pb2.ENCODING_RLE8_ZLIB: stream_pb2.ENCODING_RLE8,
    stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB: stream_pb2.ENCODING_TIME_DIFFERENCE_ZLIB,
}
"""What a compressed payload is once it is taken apart."""


class Side:
    """A shard on a backend, and what it sends."""

    def __init__(self, backend: Backend, source: HistorySource) -> None:
        self.backend = backend
        self._steps: list[BookStep] = []
        self.shard = Shard(source.description.instruments, backend, _no_time, self._observe)
        about = ShardDescription("equal", 1, TICK_MS, False, True, source.description.name, self.shard.channels)
        self.encoder = StreamEncoder(about, _no_time)

    def accept(self, event: Event) -> tuple[TickRecord | None, list[BookStep]]:
        """Take an event; return what is sent, and what bars did to books."""
        self._steps = []
        output = self.shard.accept(event)
        if output is not None:
            for log, work in self.shard.compactions():
                log.adopt(work())
        return None if output is None else self.encoder.encode(output), self._steps

    def _observe(self, _symbol: str, _bars: list[Bar], step: BookStep) -> None:
        self._steps.append(step)


@dataclass(frozen=True, slots=True)
class Found:
    """What was compared, and the first difference in words, if any."""

    counts: Counter[str]
    difference: str | None
    days: float


def compare(
    source: HistorySource, one: Backend, other: Backend, days: float, every: int, seconds: float = math.inf
) -> Found:
    """Replay a recording on two backends, and say each day how far it is.

    Args:
        source: of the events.
        one, other: the backends.
        days: of the recording, from its beginning.
        every: how many steps each rendered one stands for.
        seconds: when to end, wherever the replay is; what is compared at the end is compared all the same.
    """
    sides, counts = (Side(one, source), Side(other, source)), Counter[str]()
    step, begin_ns, gone, started = 0, None, 0.0, time.monotonic()
    for event in source.iterate():
        if isinstance(event, TickEnd):
            begin_ns = event.time_ns if begin_ns is None else begin_ns
            now = (event.time_ns - begin_ns) / DAY_NS
            taken = time.monotonic() - started
            if now > days or taken > seconds:
                break
            if int(now) > int(gone):
                print(f"day {int(now)}: {counts['chunks']:,} chunks are equal, {taken:.0f} s", flush=True)
            gone = now
            step += 1
            event = TickEnd(event.time_ns, step % every == 0)
        (record, steps), (other_record, other_steps) = (side.accept(event) for side in sides)
        counts["steps of books"] += len(steps)
        if not same(steps, other_steps):
            return Found(counts, f"step {step}: the books differ", gone)
        for name, mine, theirs in _chunks(record, other_record):
            counts["chunks"] += 1
            counts["bytes"] += len(mine)
            if mine != theirs:
                what = f"tick {sides[0].shard.tick}: {name} differs, {len(mine)} and {len(theirs)} bytes"
                return Found(counts, what, gone)
    for name, mine, theirs in _states(*sides):
        counts["arrays at the end"] += 1
        if not same(mine, theirs):
            return Found(counts, f"at the end: {name} differ", gone)
    return Found(counts, None, gone)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal: arrays, frozen values that hold them, lists and dicts of either."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _chunks(one: TickRecord | None, other: TickRecord | None) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield by name what two records send, uncompressed."""
    pairs = zip_longest(_named(one), _named(other), fillvalue=("nothing", b""))
    for (name, mine), (other_name, theirs) in pairs:
        yield (name if name == other_name else f"{name} beside {other_name}"), mine, theirs


def _named(record: TickRecord | None) -> Iterator[tuple[str, bytes]]:
    if record is None:
        return
    for kind, chunks in (("chunk", record.channels), ("join keyframe", record.keyframes)):
        for chunk in chunks:
            yield f"{kind} of channel {chunk.channel_id}", uncompressed(chunk.data)
    for symbol, entry in record.symbols.items():
        yield f"symbol {symbol}", entry
    for venue, entry in record.venues.items():
        yield f"venue {venue}", entry


def uncompressed(entry: bytes) -> bytes:
    """Return the one chunk of an entry with its payload taken apart."""
    section = stream_pb2.Section.FromString(entry)
    channel = section.chunks[0].channel
    if channel.encoding in UNCOMPRESSED:
        channel.payload = zlib.decompress(channel.payload)
        channel.encoding = UNCOMPRESSED[channel.encoding]
    return section.SerializeToString(deterministic=True)


def _states(one: Side, other: Side) -> Iterator[tuple[str, Any, Any]]:
    """Yield by name what the two sides hold."""
    for symbol in one.shard.symbols:
        mine, theirs = one.shard.engine(symbol), other.shard.engine(symbol)
        view, other_view = mine.capture(), theirs.capture()
        yield f"raw events of {symbol}", view.columns(), other_view.columns()
        yield f"merged events of {symbol}", view.tiers(), other_view.tiers()
        yield f"cohorts of {symbol}", one.shard.book(symbol).cohorts(), other.shard.book(symbol).cohorts()
        minute = last_minute_before(one.shard.end_ns)
        price = next(status.mark_price for status in one.shard.status() if status.symbol == symbol)
        for channel in one.shard.channels:
            if channel.symbol == symbol:
                frame = channel.timeframe
                rows = mine.scale.row_range(frame, price)
                grid, other_grid = (
                    mine.project(view, frame, minute, rows),
                    theirs.project(other_view, frame, minute, rows),
                )
                yield f"grids of {symbol} {frame.name}", grid, other_grid
                number = channel.channel_id
                yield f"levels of {symbol} {frame.name}", mine.levels(number), theirs.levels(number)


def _device(*, rehearse: bool, anywhere: bool) -> AbstractContextManager[Runtime]:
    if anywhere and not rehearse:
        try:
            cupy_runtime(0)
        except GpuUnavailable as missing:
            print(f"the CPU in place of a GPU: {missing}", flush=True)
            rehearse = True
    return stand_in() if rehearse else gpu()


def _no_time() -> int:
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="do two backends send the same?")
    known = os.environ.get("LIQSCAPE_RECORDINGS")
    parser.add_argument("--recordings", type=Path, default=known, help="folder above market/")
    parser.add_argument("--manifest", type=Path, default=MANIFEST, help=f"of the recording (default {MANIFEST.name})")
    parser.add_argument("--symbols", help="base coins, for example BTC (default: all)")
    parser.add_argument("--days", type=float, default=DAYS, help=f"of the recording (default {DAYS:g})")
    parser.add_argument("--every", type=int, default=1, help="render every so many steps (default 1)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="end the replay then (default: at its end)")
    parser.add_argument("--rehearse", action="store_true", help="without a GPU")
    parser.add_argument("--anywhere", action="store_true", help="without a GPU only where there is none")
    options = parser.parse_args(arguments)
    if options.recordings is None:
        parser.error("--recordings is needed, or LIQSCAPE_RECORDINGS")
    symbols = tuple(options.symbols.split(",")) if options.symbols else None
    source = HistorySource(
        options.manifest, recordings=options.recordings, clock=SystemClock(), speed=None, symbols=symbols
    )
    started = time.perf_counter()
    with _device(rehearse=options.rehearse, anywhere=options.anywhere) as runtime:
        backends = NumpyBackend(), CudaBackend(runtime)
        found = compare(source, *backends, options.days, options.every, options.seconds)
        print(f"{runtime.facts.name}, {found.days:.2f} of {options.days:g} days of {source.description.name}")
    print(", ".join(f"{count:,} {what}" for what, count in found.counts.items()), end="")
    print(f", compared in {time.perf_counter() - started:.0f} s")
    if found.difference is None and not found.counts["chunks"]:
        print("NOTHING WAS COMPARED")
        return 1
    print("everything is equal" if found.difference is None else f"FIRST DIFFERENCE: {found.difference}")
    return 0 if found.difference is None else 1


if __name__ == "__main__":
    sys.exit(main())
