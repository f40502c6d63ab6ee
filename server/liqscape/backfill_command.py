"""The backfill command: fetches the past of venues into a data folder, and says how much of it there is."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import TaskID

from liqscape.clock import Clock, SystemClock
from liqscape.config import parse_relay
from liqscape.errors import ConfigError
from liqscape.feeds.backfill.coverage import Coverage, coverage
from liqscape.feeds.backfill.page_store import PageStore, StoreFull
from liqscape.feeds.backfill.run import Backfill
from liqscape.feeds.backfill.spans import DAY_NS, MINUTE_NS
from liqscape.feeds.build import wanted_venues
from liqscape.feeds.live.timing import SystemTiming
from liqscape.feeds.live.transport import open_transport, through_relay
from liqscape.feeds.venues.dialect import Channel, Listing, Venue
from liqscape.feeds.venues.history import PastSeries
from liqscape.terminal_progress import progress_bar

MAX_DAYS = 3650
"""No perpetual is older than ten years."""

_CHANNELS: Final = {
    Channel.TRADES: "candles",
    Channel.MARK: "mark candles",
    Channel.OPEN_INTEREST: "open interest",
    Channel.FUNDING: "funding",
}

SHOWN_GAPS = 3
"""Of one series, the longest first."""


def add_backfill_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `backfill`."""
    parser.add_argument("--data", type=Path, metavar="DIR", help="data folder of a server")
    parser.add_argument("--days", default="30", metavar="N", help="how far back (default 30)")
    parser.add_argument("--venues", help="as of serve --source live, for example binance-usdm,bybit (default: all)")
    parser.add_argument("--symbols", help="base coins, for example BTC,ETH (default: all)")
    parser.add_argument("--report", action="store_true", help="ask nobody; say what there is")
    parser.add_argument("--list", action="store_true", help="print what each venue keeps, in Markdown")
    parser.add_argument("--relay", metavar="URL", help="what is asked instead of the venues (default: they are)")


def run_backfill(namespace: argparse.Namespace, clock: Clock | None = None) -> int:
    """Fetch what is missing and report; returns 1 where a venue left something out that it was asked for.

    Raises:
        ConfigError: an argument is wrong, or the folder cannot be used.
    """
    clock = clock or SystemClock()
    venues, listings = wanted_venues(_names(namespace.venues), _names(namespace.symbols))
    if namespace.list:
        print(series_table(venues, listings))
        return 0
    if namespace.data is None:
        raise ConfigError("backfill needs --data DIR, or --list")
    silent = [venue.name for venue in venues if venue.history is None]
    venues = tuple(venue for venue in venues if venue.history is not None)
    if not venues:
        raise ConfigError(f"none of {', '.join(silent)} keeps a past that can be asked for")
    now_ns = clock.now_ns()
    from_ns = now_ns - _days(namespace.days) * DAY_NS
    relay = parse_relay(namespace.relay)
    console = Console()
    rewrite = (lambda url: url) if relay is None else through_relay(relay)
    with closing(PageStore(namespace.data, read_only=namespace.report)) as store:
        lacking = False
        if not namespace.report:
            ran = asyncio.run(_fetch(store, venues, listings, from_ns, clock, console, rewrite))
            lacking = any(progress.failed or progress.refused for progress in ran.progress.values())
            _print(console, run_lines(ran))
        for found in coverage(store, venues, listings, from_ns, now_ns):
            lacking |= found.damaged > 0
            _print(console, coverage_lines(found))
    if silent:
        _print(console, [f"no past is to be had of {', '.join(silent)}"])
    return 1 if lacking else 0


async def _fetch(
    store: PageStore,
    venues: Sequence[Venue],
    listings: Mapping[str, Sequence[Listing]],
    from_ns: int,
    clock: Clock,
    console: Console,
    rewrite: Callable[[str], str],
) -> Backfill:
    with progress_bar(console) as bars:
        tasks: dict[str, TaskID] = {}

        def told(name: str) -> None:
            progress = ran.progress[name]
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=progress.total)
            bars.update(tasks[name], completed=progress.done)

        async with open_transport(rewrite) as transport:
            ran = Backfill(store, transport, SystemTiming(clock), told)
            try:
                await ran.run(venues, listings, from_ns)
            except* StoreFull as group:
                raise group.exceptions[0] from None
        return ran


def series_table(venues: Sequence[Venue], listings: Mapping[str, Sequence[Listing]]) -> str:
    """Return Markdown: the series that each venue keeps, with how far back they reach where that is known."""
    lines = ["| venue | " + " | ".join(_CHANNELS.values()) + " |", "|" + "---|" * (1 + len(_CHANNELS))]
    for venue in venues:
        series = () if venue.history is None else venue.history(listings[venue.name][0]).series
        kept = [", ".join(_reach(each) for each in series if each.channel is channel) for channel in _CHANNELS]
        lines.append(f"| `{venue.name}` | " + " | ".join(text or "-" for text in kept) + " |")
    return "\n".join(lines)


def _reach(series: PastSeries) -> str:
    minutes = series.step_ns // MINUTE_NS
    step = f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
    if series.channel is Channel.FUNDING:
        step = "yes"
    return step if series.depth_ns is None else f"{step} ({series.depth_ns / DAY_NS:.3g} days)"


def run_lines(ran: Backfill) -> list[str]:
    """Return what a run did, and what it could not have."""
    lines = []
    for name, progress in ran.progress.items():
        lines.append(f"{name}: {progress.rows:,} rows of {progress.done:,} pages")
        if progress.refused is not None:
            lines.append(f"  REFUSED: {progress.refused}")
        lines += [f"  FAILED: {count:,} pages: {reason}" for reason, count in progress.failed.items()]
        lines += [f"  dropped: {count:,} rows: {reason}" for reason, count in progress.dropped.items()]
    return [*lines, *(f"DAMAGED, fetched anew, what was there is in {path}" for path in ran.set_aside)]


def coverage_lines(found: Coverage) -> list[str]:
    """Return what there is of a series, its holes, and what was not had."""
    name = f"{found.key.venue} {found.key.instrument} {found.key.series}"
    if found.first_ns is None or found.last_ns is None:
        return [f"{name}: nothing" + (f"; {found.damaged:,} damaged pages" if found.damaged else "")]
    span = f"{_minute(found.first_ns)} to {_minute(found.last_ns)}"
    lines = [f"{name}: {found.rows:,} rows, {span}, {100 * found.share:.1f} % of what was asked for"]
    longest = sorted(found.gaps, key=lambda gap: gap.from_ns - gap.until_ns)
    lines += [f"  gap: {_minute(gap.from_ns)} to {_minute(gap.until_ns)}" for gap in longest[:SHOWN_GAPS]]
    if len(longest) > SHOWN_GAPS:
        lines.append(f"  and {len(longest) - SHOWN_GAPS:,} more gaps, none longer")
    lines += [f"  not fetched: {_minute(span.from_ns)} to {_minute(span.until_ns)}" for span in found.unasked]
    return [*lines, f"  DAMAGED: {found.damaged:,} pages"] if found.damaged else lines


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _minute(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_DAYS):
        raise ConfigError(f"days {text!r} is invalid; use a whole number from 1 to {MAX_DAYS}")
    return int(text)
