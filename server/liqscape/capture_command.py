"""The commands capture and replay: raw messages of venues into files, and out of them through the same parsers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
from collections import Counter
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from liqscape import __version__
from liqscape.clock import SystemClock
from liqscape.config import SourceConfig, parse_names, parse_relay, parse_symbols
from liqscape.errors import ConfigError
from liqscape.events import Gap
from liqscape.feeds.build import build_replay, wanted_venues
from liqscape.feeds.live.capture_file import CaptureWriter
from liqscape.feeds.live.feeds import Feeds
from liqscape.feeds.live.replay import ReplaySource
from liqscape.feeds.live.timing import SystemTiming
from liqscape.feeds.live.transport import through_relay
from liqscape.logs import configure_logs

DEFAULT_ROTATE_MB: Final = 256
"""Compressed: two to three gigabytes of text, a day of one busy venue."""

DEFAULT_ROTATE_MINUTES: Final = 60

FLUSH_S: Final = 0.5

TELL_S: Final = 10.0
"""Between two lines for people."""


def add_capture_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `capture`."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="NAME.jsonl.gz; times are added to it")
    parser.add_argument("--venues", help="names, for example binance-usdm,bybit-linear (default: all)")
    parser.add_argument("--symbols", help="base coins, for example BTC,ETH (default: all that are known)")
    parser.add_argument("--seconds", type=float, help="end after so long (default: at Ctrl-C)")
    parser.add_argument(
        "--rotate-mb", type=float, default=DEFAULT_ROTATE_MB, help=f"size of a file (default {DEFAULT_ROTATE_MB})"
    )
    parser.add_argument(
        "--rotate-minutes",
        type=float,
        default=DEFAULT_ROTATE_MINUTES,
        help=f"time in a file (default {DEFAULT_ROTATE_MINUTES})",
    )
    parser.add_argument("--relay", metavar="URL", help="what is asked in place of venues (default: they are)")


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `replay`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a capture, or a folder of its files")
    parser.add_argument("--venues", help="of a capture that does not say so: whose messages these are")
    parser.add_argument("--symbols", help="base coins (default: those of the capture, else all that are known)")
    parser.add_argument("--events", action="store_true", help="print every event, one a line")
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON object")


def run_capture(namespace: argparse.Namespace) -> int:
    """Record until interrupted.

    Returns:
        0 = messages were recorded; 1 = there were none.
    """
    if namespace.rotate_mb <= 0 or namespace.rotate_minutes <= 0:
        raise ConfigError("rotate-mb and rotate-minutes are above 0")
    configure_logs("text", "warning")
    return asyncio.run(_capture(namespace))


async def _capture(namespace: argparse.Namespace) -> int:
    venues, listings = wanted_venues(parse_names(namespace.venues), parse_symbols(namespace.symbols))
    relay = parse_relay(namespace.relay)
    symbols = sorted({listing.instrument.symbol for of_venue in listings.values() for listing in of_venue})
    about = {"liqscape": __version__, "venues": [venue.name for venue in venues], "symbols": symbols}
    writer = CaptureWriter(
        namespace.out, about, int(namespace.rotate_mb * 1_000_000), int(namespace.rotate_minutes * 60e9)
    )
    timing = SystemTiming(SystemClock())
    feeds = Feeds(
        venues,
        listings,
        lambda events: None,
        timing,
        seed=secrets.randbits(64),
        recorder=writer,
        rewrite=(lambda url: url) if relay is None else through_relay(relay),
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    running = asyncio.create_task(feeds.run())
    telling = asyncio.create_task(_tell(feeds, writer))
    flushing = asyncio.create_task(_flush(writer, timing))
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({running, flushing, waiting}, timeout=namespace.seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (running, telling, flushing, waiting):
            task.cancel()
        results = await asyncio.gather(running, flushing, return_exceptions=True)
        writer.close(timing.now_ns())
    for result in results:
        if isinstance(result, Exception):
            raise result
    print(f"{writer.lines:,} lines, {writer.bytes:,} bytes in {', '.join(map(str, writer.files)) or 'no file'}")
    heard = sum(channel.events for status in feeds.statuses for channel in status.channels)
    return 0 if heard else 1


async def _flush(writer: CaptureWriter, timing: SystemTiming) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        writer.flush_due(timing.now_ns())


async def _tell(feeds: Feeds, writer: CaptureWriter) -> None:
    console = Console(stderr=True)
    while True:
        await asyncio.sleep(TELL_S)
        states = (f"{status.venue} {Counter(c.state.value for c in status.channels)}" for status in feeds.statuses)
        text = "; ".join(states).replace("Counter(", "").replace(")", "")
        console.print(f"{writer.lines:,} lines, {writer.bytes:,} bytes: {text}", highlight=False, markup=False)


def run_replay(namespace: argparse.Namespace) -> int:
    """Read a capture and print what it says.

    Returns:
        0 = it holds events; 1 = none.
    """
    config = SourceConfig(
        kind="replay",
        manifest=namespace.file,
        speed=None,
        venues=parse_names(namespace.venues),
        symbols=parse_symbols(namespace.symbols),
    )
    source = build_replay(config, SystemClock())
    counts: Counter[str] = Counter()
    first_ns = last_ns = 0
    with contextlib.suppress(BrokenPipeError):
        for end_ns, events in source.ticks():
            first_ns, last_ns = first_ns or end_ns, end_ns
            for event in events:
                counts[type(event).__name__] += 1
                if namespace.events:
                    print(event)
    told = _summary(source, counts, (last_ns - first_ns) / 1e9)
    if namespace.json:
        print(json.dumps(told, indent=2))
    elif not namespace.events:
        print("\n".join(_lines(told)))
    return 0 if set(counts) - {Gap.__name__} else 1


def _summary(source: ReplaySource, counts: Counter[str], seconds: float) -> dict[str, Any]:
    desks = source.desks.desks.values()
    return {
        "seconds": seconds,
        "entries": dict(sorted(source.desks.counts.items())),
        "unreadable_lines": source.capture.unreadable,
        "torn_files": [str(path) for path in source.capture.torn],
        "events": dict(sorted(counts.items())),
        "venues": {
            desk.venue.name: {
                "events": {c.value: tally.events for c, tally in desk.tallies.items() if tally.events},
                "rejected": {
                    **{f"{name}: {reason}": n for (name, reason), n in sorted(desk.plausibility.rejected.items())},
                    **dict(sorted(desk.unread.items())),
                },
                "ignored": dict(sorted(desk.ignored.items())),
                "lag_ms": None if desk.offset.median_ns is None else desk.offset.median_ns / 1e6,
            }
            for desk in desks
        },
    }


def _lines(told: dict[str, Any]) -> list[str]:
    shown = [
        f"{told['seconds']:,.0f} s; entries: {_counted(told['entries'])}",
        f"events: {_counted(told['events'])}",
    ]
    if told["unreadable_lines"] or told["torn_files"]:
        shown.append(f"{told['unreadable_lines']} lines could not be read; torn: {', '.join(told['torn_files'])}")
    for name, venue in told["venues"].items():
        lag = "" if venue["lag_ms"] is None else f"; received {venue['lag_ms']:,.0f} ms after venue time, median"
        shown.append(f"{name}: {_counted(venue['events'])}{lag}")
        for what in ("rejected", "ignored"):
            if venue[what]:
                shown.append(f"  {what}: {_counted(venue[what])}")
    return shown


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
