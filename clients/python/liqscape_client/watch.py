"""`liqscape watch`: a live heatmap in the terminal. It samples a stream four times a second; that drains by itself."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from liqscape_client.client import Client
from liqscape_client.colours import DEFAULT_SCALE, SCALES
from liqscape_client.connection import add_connection_arguments, client_options
from liqscape_client.errors import ClientError, MissingPackage, NotInSync, NotServed
from liqscape_client.grids import Heatmap
from liqscape_client.stream import LiveStream, Phase
from liqscape_client.watch_past import DEFAULT_SPEED, play_past

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from liqscape_client.terminal_frame import WatchState

REFRESH_S: Final = 0.25
DEFAULT_CADENCE_MS: Final = 250
DEFAULT_WAIT_S: Final = 120.0
"""A server builds its history in less; see the README of the project."""

_WALL_CLOCK_FREE: Final = ("SIMULATED", "REPLAY")
_EXIT_FAILURE: Final = 1
_STANDARD_ERROR: Final = 2


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `watch`."""
    parser.add_argument("symbol", nargs="?", default="BTC", help="base coin (default BTC)")
    parser.add_argument("timeframe", nargs="?", default="24h", help="12h 24h 3d 1w 2w 1m 3m 6m 1y (default 24h)")
    add_connection_arguments(parser)
    parser.add_argument(
        "--scale",
        choices=sorted(SCALES),
        default=DEFAULT_SCALE,
        help="colours (default yellow; viridis: colour-blind safe)",
    )
    parser.add_argument("--span", type=_percent, metavar="PERCENT", help="prices shown on each side (default: all)")
    parser.add_argument(
        "--once", action="store_true", help="print one frame and exit; also done where output is no terminal"
    )
    parser.add_argument(
        "--wait", type=float, default=DEFAULT_WAIT_S, help="seconds --once waits to be in sync (default 120)"
    )
    parser.add_argument("--seconds", type=float, help="end by itself after so long")
    parser.add_argument(
        "--from",
        dest="begin",
        metavar="TIME",
        help="play the past from 90m, 6h or 1d ago, or from 2026-01-31T12:00 (UTC)",
    )
    parser.add_argument(
        "--speed",
        type=float,
        default=DEFAULT_SPEED,
        help=f"with --from: seconds of the past a second, 0 = as fast as it comes (default {DEFAULT_SPEED:g})",
    )


def run_watch(namespace: argparse.Namespace) -> int:
    """Show the heatmap until interrupted.

    Returns:
        0 = ended as asked; 1 = the server refused, or (--once) did not come into sync.
    """
    try:
        return asyncio.run(show(namespace, open_console()))
    except ClientError as error:
        print(f"liqscape watch: {error}", file=sys.stderr)
        return _EXIT_FAILURE
    except KeyboardInterrupt:
        return 0


def open_console() -> Console:
    """Return a console, or raise MissingPackage."""
    try:
        from rich.console import Console
    except ImportError as error:
        raise MissingPackage("watch needs the package 'rich'; run: pip install 'liqscape[watch]'") from error
    return Console()


async def show(namespace: argparse.Namespace, console: Console) -> int:
    """Show the heatmap on a console until its time is over; see run_watch."""
    symbol = namespace.symbol.upper()
    if namespace.begin is not None:
        await _show_past(namespace, console)
        return 0
    async with (
        Client(**client_options(namespace)) as client,
        client.stream(symbol, namespace.timeframe, cadence_ms=DEFAULT_CADENCE_MS) as stream,
    ):
        if namespace.once or not console.is_terminal:
            return await _show_once(stream, namespace, console)
        await _show_live(stream, namespace, console)
        return 0


async def _show_once(stream: LiveStream, namespace: argparse.Namespace, console: Console) -> int:
    from liqscape_client.terminal_frame import render_frame

    wait_s = namespace.wait if namespace.seconds is None else namespace.seconds
    try:
        await stream.wait_in_sync(wait_s)
    except NotInSync as error:
        print(f"liqscape watch: {error}", file=sys.stderr)
    heatmap, state = sample(stream, namespace.symbol.upper(), namespace.timeframe, time.time_ns())
    width, height = console.size
    console.print(render_frame(heatmap, state, width, height, namespace.scale, namespace.span), soft_wrap=True)
    return 0 if state.in_sync else _EXIT_FAILURE


async def _show_live(stream: LiveStream, namespace: argparse.Namespace, console: Console) -> None:
    from rich.live import Live

    from liqscape_client.terminal_frame import render_frame

    ends_s = float("inf") if namespace.seconds is None else time.monotonic() + namespace.seconds
    symbol, timeframe = namespace.symbol.upper(), namespace.timeframe
    with _core_log_off_the_screen(), Live(console=console, screen=True, auto_refresh=False, transient=True) as live:
        while time.monotonic() < ends_s:
            heatmap, state = sample(stream, symbol, timeframe, time.time_ns())
            width, height = console.size  # asked each time: the window may have been resized
            frame = render_frame(heatmap, state, width, height, namespace.scale, namespace.span)
            live.update(frame, refresh=True)
            if stream.state.phase is Phase.FAILED:
                break
            await asyncio.sleep(REFRESH_S)
    if stream.failure is not None:
        raise stream.failure


async def _show_past(namespace: argparse.Namespace, console: Console) -> None:
    from rich.live import Live

    from liqscape_client.terminal_frame import render_frame

    symbol, is_once = namespace.symbol.upper(), namespace.once or not console.is_terminal

    def frame(heatmap: Heatmap, state: WatchState) -> RenderableType:
        width, height = console.size
        return render_frame(heatmap, state, width, height, namespace.scale, namespace.span)

    async with Client(**client_options(namespace)) as client:
        what = (client, symbol, namespace.timeframe, namespace.begin, namespace.speed)
        if is_once:
            await play_past(*what, lambda *shown: console.print(frame(*shown), soft_wrap=True), seconds=0)
            return
        with _core_log_off_the_screen(), Live(console=console, screen=True, auto_refresh=False, transient=True) as live:
            await play_past(*what, lambda *shown: live.update(frame(*shown), refresh=True), seconds=namespace.seconds)


@contextmanager
def _core_log_off_the_screen() -> Iterator[None]:
    """Silence what gRPC's C core writes past Python to standard error: a lost connection would smear the picture.

    Its own switch (GRPC_VERBOSITY) is read when grpc is imported, which is too early for us. Errors of ours are printed
    after the picture has gone. A standard error that goes to a file stays as it is.
    """
    if not os.isatty(_STANDARD_ERROR):
        yield
        return
    sys.stderr.flush()
    saved, nowhere = os.dup(_STANDARD_ERROR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STANDARD_ERROR)
        yield
    finally:
        os.dup2(saved, _STANDARD_ERROR)
        os.close(nowhere)
        os.close(saved)


def sample(stream: LiveStream, symbol: str, timeframe: str, now_unix_ns: int) -> tuple[Heatmap | None, WatchState]:
    """Return what a stream holds now, and everything a frame says beside it."""
    from liqscape_client.terminal_frame import WatchState

    replicas, state = stream.replicas, stream.state
    try:
        heatmap = stream.heatmap(symbol, timeframe)
    except (NotServed, NotInSync):
        heatmap = None
    price = replicas.symbol(symbol)
    tags = replicas.data_states(symbol)
    data_unix_ns = 0 if price is None else price.source_watermark_unix_ns
    has_age = bool(data_unix_ns) and not any(tag in _WALL_CLOCK_FREE for tag in tags)
    return heatmap, WatchState(
        symbol=symbol,
        timeframe=timeframe,
        in_sync=state.in_sync and heatmap is not None,
        status=str(state),
        reason=state.reason,
        mark_price=None if price is None else price.mark_price,
        price_decimals=0 if price is None else price.price_decimals,
        tags=tags,
        data_unix_ns=data_unix_ns,
        age_s=(now_unix_ns - data_unix_ns) / 1e9 if has_age else None,
        heard_s=replicas.silence_s(),
        covered_share=replicas.covered_share(symbol),
        source="; ".join(replicas.inputs()),
    )


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"span {text!r} is not a percentage above 0 and up to 100")
    return value
