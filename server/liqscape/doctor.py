"""The doctor command: what this machine can compute with and why, and what the books of symbols need on a GPU.

A report, not a test: a machine without a GPU is well. Only a device that is there and computes wrongly is a failure.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liqscape import __version__
from liqscape.clock import SystemClock
from liqscape.config import SourceConfig, parse_symbols, parse_venues
from liqscape.device.memory_budget import BookNeed, MemoryBudget, needs, size_text
from liqscape.device.probe import Probe, Software, find_software, probe
from liqscape.device.runtime import DeviceFacts
from liqscape.errors import ConfigError
from liqscape.feeds.build import build_source


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--device", type=int, default=0, help="number of the GPU (default 0)")
    parser.add_argument("--symbols", help="base coins whose memory to tell, for example BTC,ETH (default: the demo's)")
    parser.add_argument("--venues", help="many, or instrument ids, as of serve (default: one a symbol)")


def run_doctor(namespace: argparse.Namespace) -> int:
    """Print the report. Returns 1 if there is a device that computes wrongly, else 0."""
    return report(namespace, Console())


def report(
    namespace: argparse.Namespace,
    console: Console,
    find: Callable[[int], Probe] = probe,
    software: Callable[[], Software] = find_software,
) -> int:
    """Do what run_doctor does, on a console.

    Args:
        namespace: arguments of the command.
        console: to print on.
        find: looks for the device.
        software: says what is installed.

    Raises:
        ConfigError: symbols or venues are unknown.
    """
    venues, symbols = parse_venues(namespace.venues, parse_symbols(namespace.symbols))
    instruments = build_source(SourceConfig(symbols=symbols, venues=venues), SystemClock()).description.instruments
    needed = needs(instruments, with_open_only=True)
    counts = {symbol: sum(i.symbol == symbol for i in instruments) for symbol in needed}
    found = find(namespace.device)
    console.print(_facts(namespace.device, found, software()))
    console.print()
    console.print(_needs(needed, counts, found))
    return 1 if found.is_broken else 0


def _facts(device: int, found: Probe, software: Software) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    facts = found.facts
    backend = "numpy" if found.backend is None else found.backend.name
    took = "" if found.self_test_ms is None else f", {found.self_test_ms:,.0f} ms"
    for name, said in (
        ("liqscape", f"{__version__}, Python {platform.python_version()}, NumPy {np.__version__}"),
        ("system", platform.platform(terse=True)),
        ("driver", software.driver),
        ("CuPy", software.cupy),
        ("compiler", software.compiler),
        (f"device {device}", "none that can be used" if facts is None else _device(facts)),
        ("memory", "-" if facts is None else _memory(facts, found)),
        ("self-test", found.self_test + took),
        ("backend auto", f"{backend}: {found.reason}"),
    ):
        table.add_row(name, Text(said))  # not markup: an extra is named in brackets
    return table


def _device(facts: DeviceFacts) -> str:
    major, minor = divmod(facts.compute_capability, 10)
    return f"{facts.name}, compute capability {major}.{minor}, {facts.multiprocessors} multiprocessors"


def _memory(facts: DeviceFacts, found: Probe) -> str:
    free = "" if found.backend is None else f", {size_text(found.free_bytes)} free"
    return size_text(facts.total_bytes) + free


def _needs(needed: dict[str, BookNeed], counts: dict[str, int], found: Probe) -> Table:
    """Return what each symbol needs, and whether it fits beside those above it."""
    table = Table(title="Device memory of a symbol, at most", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("symbol")
    for name in ("instru-\nments", "grids", "cohorts", "raw\nevents", "merged\nevents", "open-only\nbook", "all"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fits")
    budget = None if found.backend is None else MemoryBudget(found.free_bytes)
    for symbol, need in needed.items():
        parts = (need.grids, need.cohorts, need.raw_events, need.merged_events, need.open_only, need.total)
        table.add_row(symbol, str(counts[symbol]), *map(size_text, parts), _fits(symbol, need, budget))
    return table


def _fits(symbol: str, need: BookNeed, budget: MemoryBudget | None) -> str:
    if budget is None:
        return "no GPU"
    try:
        budget.admit(symbol, need)
    except ConfigError:
        return f"no, {size_text(budget.left_bytes)} left"
    return "yes"
