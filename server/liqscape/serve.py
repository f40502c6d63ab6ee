"""The serve command: runs app.serve in the foreground and tells people what is going on, one line a second."""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import signal
import sys
import time
from datetime import UTC, datetime

from rich.console import Console

from liqscape.config import (
    LISTENING,
    ServeConfig,
    SourceConfig,
    parse_archive_days,
    parse_archive_gb,
    parse_drain,
    parse_find_accounts,
    parse_margin_tables,
    parse_names,
    parse_relay,
    parse_snapshot_seconds,
    parse_source,
    parse_speed,
    parse_symbols,
    parse_tls,
    parse_venues,
    parse_workers,
)
from liqscape.garbage import collect_garbage_rarely
from liqscape.grid.updates import EngineStatus, SymbolStatus
from liqscape.logs import configure_logs
from liqscape.running import RunningServer
from liqscape.terminal_progress import progress_bar
from liqscape.workers.orders import LogSettings

_LOG = logging.getLogger(__name__)
_STATUS_SECONDS = 1.0

MAX_OPEN_FILES = 16_384
"""A connection is a file: all streams, four times over, so that connections that say nothing until they are dropped do
not keep others out. So many take 0.4 GB at most (20 to 30 KB each)."""


def run_serve(namespace: argparse.Namespace) -> int:
    """Run a server until it is interrupted, or its input ends and --at-end is exit. Returns 1 if the engine failed."""
    configure_logs(namespace.log_format, namespace.log_level)
    _allow_open_files()
    kind, manifest = parse_source(namespace.source)
    venues, symbols = parse_names(namespace.venues), parse_symbols(namespace.symbols)
    if kind not in LISTENING:
        venues, symbols = parse_venues(namespace.venues, symbols)
    config = ServeConfig(
        source=SourceConfig(
            kind=kind,
            manifest=manifest,
            recordings=namespace.recordings,
            speed=parse_speed(namespace.speed),
            seed=namespace.seed,
            symbols=symbols,
            venues=venues,
            scenario=namespace.scenario,
            relay=parse_relay(namespace.relay),
            past=namespace.data if kind == "live" else None,
            accounts=namespace.accounts,
            find_accounts=parse_find_accounts(namespace.find_accounts),
            margin_tables=parse_margin_tables(namespace.margin_tables, kind),
            kept_tables=namespace.data if kind == "live" else None,
        ),
        listen=namespace.listen,
        insecure=namespace.insecure,
        tls=parse_tls(namespace.tls_cert, namespace.tls_key, namespace.tls_client_ca),
        tokens=namespace.tokens,
        at_end=namespace.at_end,
        data=namespace.data,
        journal_sync=namespace.journal_sync,
        snapshot_seconds=parse_snapshot_seconds(namespace.snapshot_seconds),
        archive_days=parse_archive_days(namespace.archive_days),
        archive_bytes=parse_archive_gb(namespace.archive_gb),
        model=namespace.model,
        cme=namespace.cme,
        with_open_only=not namespace.no_open_only,
        backend=namespace.backend,
        device=namespace.device,
        http=namespace.http,
        metrics=namespace.metrics,
        drain_seconds=parse_drain(namespace.drain),
        workers=parse_workers(namespace.workers),
    )
    collect_garbage_rarely()
    return asyncio.run(_serve(config, LogSettings(namespace.log_format, namespace.log_level)))


def _allow_open_files() -> None:
    """Raise this process's limit, often 1,024, as far as the system lets it and we need it."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if most == resource.RLIM_INFINITY else min(most, MAX_OPEN_FILES)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _serve(config: ServeConfig, logs: LogSettings) -> int:
    console = Console()
    interrupted = asyncio.Event()
    hurry = asyncio.Event()
    terminated = False
    loop = asyncio.get_running_loop()

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        loop.remove_signal_handler(signal.SIGTERM)  # the second one ends the process, whatever it is doing
        interrupted.set()

    def interrupt() -> None:
        hurry.set()
        interrupted.set()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, terminate)
    failed = False

    async def talk(server: RunningServer) -> None:
        nonlocal failed
        console.print(
            f"liqscape serves [bold]{server.input}[/] on {server.address}; Ctrl-C ends it",
            highlight=False,
            soft_wrap=True,
        )
        console.print(f"it computes with {server.backend}", highlight=False, markup=False, soft_wrap=True)
        if server.page is not None:
            console.print(f"look at it:     [bold]{server.page}[/]", highlight=False, soft_wrap=True)
        if server.metrics is not None:
            console.print(f"metrics on http://{server.metrics}/metrics", highlight=False, soft_wrap=True)
        first = (config.source.symbols or ("BTC",))[0]
        watching = f"{_command()} watch {first} 24h --address {server.address}"
        console.print(f"watch it with:  {watching}", highlight=False, soft_wrap=True)  # whole, so that it can be pasted
        await _show_building(console, server, interrupted)
        await _show_status(console, server, interrupted, leave_at_end=config.at_end == "exit")
        failed = (await server.status()).state == "failed"
        if terminated:
            await _drain(console, server, config.drain_seconds, hurry)

    if config.workers:
        from liqscape.workers.supervisor import serve_workers

        await serve_workers(config, talk, logs)
    else:
        from liqscape.app import serve

        await serve(config, talk)
    return 1 if failed else 0


async def _drain(console: Console, server: RunningServer, seconds: float, hurry: asyncio.Event) -> None:
    """Let readers leave one after the other, until Ctrl-C."""
    streams = server.streams()
    console.print(f"draining {streams} streams for up to {seconds:g} s; SIGTERM again ends at once", highlight=False)
    _LOG.info("draining", extra={"fields": {"streams": streams, "seconds": seconds}})
    draining = asyncio.ensure_future(server.drain())
    hurrying = asyncio.ensure_future(hurry.wait())
    await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    draining.cancel()
    hurrying.cancel()
    _LOG.info("drained", extra={"fields": {"streams": server.streams()}})


def _command() -> str:
    """Return how this program was called, so that what is printed can be pasted."""
    return sys.argv[0] if sys.argv[0].endswith("liqscape") else f"{sys.executable} -m liqscape"


async def _show_building(console: Console, server: RunningServer, interrupted: asyncio.Event) -> None:
    with progress_bar(console) as bar:
        task = bar.add_task("building history", total=(await server.progress()).total)
        while not interrupted.is_set():
            progress = await server.progress()
            bar.update(task, completed=progress.done, total=progress.total)
            if (await server.status()).state != "building":
                return
            await _pause(interrupted, 0.1)


async def _show_status(
    console: Console, server: RunningServer, interrupted: asyncio.Event, *, leave_at_end: bool
) -> None:
    while not interrupted.is_set():
        status = await server.status()
        console.print(status_line(status, time.time()), highlight=False, soft_wrap=True)
        if status.state == "failed" or (status.state == "ended" and leave_at_end):
            return
        if status.state == "ended":
            await interrupted.wait()  # nothing changes any more
        await _pause(interrupted, _STATUS_SECONDS)


def status_line(status: EngineStatus, now: float) -> str:
    """Return one line for people: state, tick and its cost, each symbol's price, coverage and size, venues in trouble.

    Args:
        status: of the engine.
        now: unix seconds, shown as the time of the line.
    """
    clock = datetime.fromtimestamp(now, UTC).strftime("%H:%M:%S")
    parts = [f"{clock}Z {status.state}", f"tick {status.tick}"]
    if status.symbols:
        parts.append(f"grids in {status.symbols[0].tick_compute_ms:.0f} ms")  # those of all symbols
    parts += [_symbol_part(symbol) for symbol in status.symbols]
    parts += [f"{venue.venue}: {venue.message}" for venue in status.feeds if venue.message]
    if status.daily_report is not None and status.daily_report.message:
        parts.append(f"daily report: {status.daily_report.message}")
    if status.message:
        parts.append(status.message)
    return " | ".join(parts)


def _symbol_part(symbol: SymbolStatus) -> str:
    live = sum(sum(c.live_lots) for c in symbol.coverage)
    total = live + sum(sum(c.uncovered_lots) for c in symbol.coverage)
    covered = f"{live / total:.0%} covered" if total else "nothing covered"
    price = symbol.mark_price / 10**symbol.price_decimals
    when = datetime.fromtimestamp(symbol.source_watermark_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{symbol.symbol} {price:,.{symbol.price_decimals}f} at {when}, {covered}, {symbol.live_cohorts:,} cohorts"


async def _pause(interrupted: asyncio.Event, seconds: float) -> None:
    """Wait, but not beyond an interrupt."""
    try:
        async with asyncio.timeout(seconds):
            await interrupted.wait()
    except TimeoutError:
        return
