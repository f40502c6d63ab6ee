"""What `liqscape bench` prints and stores."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import google.protobuf
import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liqscape_client.bench import BenchResult
from liqscape_client.latency import STAGES, Meter, histogram, summarise
from liqscape_client.market_state import state_names

JSON_FORMAT: Final = 1
_BAR_CHARACTERS: Final = 48
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def print_report(result: BenchResult, console: Console) -> None:
    """Print percentiles by stage, rates, what went wrong, and a histogram."""
    title = f"{result.address}: {result.subscribers} x {result.channels} channels for {result.seconds:.1f} s"
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("stage, ms")
    for name in ("count", "p50", "p95", "p99", "max"):
        table.add_column(name, justify="right")
    for stage, meaning in STAGES.items():
        summary = summarise(result.meter.samples[stage])
        if summary is not None:
            values = (f"{value:.2f}" for value in (summary.p50, summary.p95, summary.p99, summary.max))
            table.add_row(meaning, str(summary.count), *values)
    console.print(table)
    for line in _notes(result):
        console.print(line, highlight=False, markup=False)
    _print_histogram(result, console)
    for loss in result.losses:
        console.print(f"LOST {loss}", style="bold red", highlight=False, markup=False)


def to_json(result: BenchResult) -> dict[str, Any]:
    """Return everything that was found, with the facts of the machine it was found on."""
    meter, counters, seconds = result.meter, result.replicas.counters, max(result.seconds, 1e-9)
    return {
        "format": JSON_FORMAT,
        "started": datetime.fromtimestamp(result.started_unix_s, UTC).isoformat(timespec="seconds"),
        "address": result.address,
        "subscribers": result.subscribers,
        "subscribers_with_replica": 1,
        "channels": result.channels,
        "cadence_ms": result.cadence_ms,
        "seconds": result.seconds,
        "clock": {
            "same_host": result.clock.same_host,
            "server_ahead_ms": result.clock.server_ahead_ns / 1e6,
            "uncertainty_ms": result.clock.uncertainty_ns / 1e6,
        },
        "server": {
            "version": result.status.server_version,
            "backend": result.status.backend,
            "input": result.status.input,
            "states": list(state_names(result.status.states)),
        },
        "machine": machine_facts(),
        **_latency_json(meter),
        "messages": meter.messages,
        "messages_per_second": meter.messages / seconds,
        "bytes": meter.bytes,
        "bytes_per_second": meter.bytes / seconds,
        "heartbeats": meter.heartbeats,
        "ticks_conflated": meter.ticks_conflated,
        "gaps": counters.gaps,
        "checksum_failures": counters.checksum_failures,
        "malformed": counters.malformed,
        "streams_lost": result.losses,
        "sound": result.is_sound,
    }


def _latency_json(meter: Meter) -> dict[str, Any]:
    shown = meter.samples["bar_to_applied"]
    edges, counts = histogram(shown) if shown else (np.empty(0), np.empty(0))
    summaries = {stage: summarise(meter.samples[stage]) for stage in STAGES}
    return {
        "stages_ms": {stage: asdict(summary) for stage, summary in summaries.items() if summary is not None},
        "histogram_bar_to_applied_ms": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def machine_facts() -> dict[str, Any]:
    """Return what decides how fast this machine is, and the versions that were used."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "grpcio": grpc.__version__,
        "protobuf": google.protobuf.__version__,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _notes(result: BenchResult) -> list[str]:
    meter, counters, seconds = result.meter, result.replicas.counters, max(result.seconds, 1e-9)
    rates = f"{meter.messages / seconds:,.1f} messages/s, {meter.bytes / seconds / 1000:,.1f} kB/s over all streams"
    wrong = f"checksum failures {counters.checksum_failures}, gaps {counters.gaps}, malformed {counters.malformed}"
    notes = [
        rates,
        f"ticks conflated {meter.ticks_conflated}, {wrong}, streams lost {len(result.losses)}",
        str(result.clock),
    ]
    if result.subscribers > 1:
        notes.append(
            f"1 of {result.subscribers} streams applies everything to replicas, checksums included;"
            f" the others parse every message and read its stamps, all in this one process"
        )
    if not meter.samples["bar_to_applied"]:
        notes.append("no tick arrived while measuring: there is no latency to show")
    return notes


def _print_histogram(result: BenchResult, console: Console) -> None:
    samples = result.meter.samples["bar_to_applied"]
    if not samples:
        return
    edges, counts = histogram(samples)
    console.print(Text(f"{STAGES['bar_to_applied']}, milliseconds", style="bold"))
    largest = max(int(counts.max()), 1)
    for low, high, count in zip(edges[:-1], edges[1:], counts.tolist(), strict=True):
        console.print(
            Text(f"{low:9.2f} - {high:9.2f} "),
            Text(_bar(count / largest), style="yellow"),
            Text(f" {count}"),
            sep="",
        )


def _bar(share: float) -> str:
    eighths = round(share * _BAR_CHARACTERS * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
