"""How old is what a client has applied, of a server on a GPU and of one on NumPy? Alternated, in one run.

    python3 benchmarks/gpu/serve_bench.py --out DIR [--seconds 20] [--subscribers 1 50] [-- SERVE_ARGUMENTS]

Each server simulates the same markets and is measured as any user would, by `liqscape bench` (see bench_refresh.py).
Prints percentiles of each turn; DIR/gpu_serve.json is a record as report.py keeps them and belongs under
benchmarks/results; --commit names the checkout where git cannot. Needs what server and client need: grpcio,
grpcio-health-checking, grpcio-reflection, protobuf, rich.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PATHS: Final = [str(ROOT), str(ROOT / "server"), str(ROOT / "clients" / "python")]
if __name__ == "__main__":
    sys.path[0:1] = PATHS
    # What it starts finds the packages as it does itself.
    os.environ["PYTHONPATH"] = os.pathsep.join([*PATHS, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)

from benchmarks import report  # noqa: E402
from benchmarks.bench_refresh import measure, round_trip_ms, server, wait_until_built  # noqa: E402
from liqscape.device.probe import probe  # noqa: E402

QUESTION: Final = "how old is what a client has applied, of a server on a GPU and of one on NumPy, in turn?"
NAME: Final = "gpu_serve"
"""Of the record."""
BACKENDS: Final = ("cupy", "numpy", "cupy", "numpy")
SERVED: Final = ("--source", "simulate", "--symbols", "BTC", "--speed", "4")


def measure_turn(backend: str, served: Sequence[str], subscribers: Sequence[int], seconds: float) -> dict[str, Any]:
    """Start a server, measure it, and end it."""
    with server(*served, "--backend", backend) as (address, _):
        built_s = asyncio.run(wait_until_built(address))
        floor_ms = asyncio.run(round_trip_ms(address))
        results = {str(count): measure(address, count, seconds) for count in subscribers}
    return {"backend": backend, "built_s": built_s, "round_trip_ms": floor_ms, "subscribers": results}


def describe(turn: dict[str, Any]) -> list[str]:
    """Say what a turn found, a line a number of subscribers."""
    lines = [f"{turn['backend']}: built in {turn['built_s']:.1f} s, empty round trip {turn['round_trip_ms']:.2f} ms"]
    for count, result in turn["subscribers"].items():
        for stage, found in result["stages_ms"].items():
            three = " / ".join(f"{found[p]:.1f}" for p in ("p50", "p95", "p99"))
            lines.append(f"  {count} subscribers, {stage}: p50 / p95 / p99 {three} ms")
    return lines


def figures_of(turns: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return what a reader should see: bars closed to levels applied, by backend and subscribers, every turn."""
    found: dict[str, str] = {}
    for backend in dict.fromkeys(turn["backend"] for turn in turns):
        own = [turn for turn in turns if turn["backend"] == backend]
        found[f"{backend}: history built"] = ", ".join(f"{turn['built_s']:.0f}" for turn in own) + " s"
        for count in own[0]["subscribers"]:
            stages = [turn["subscribers"][count]["stages_ms"]["bar_to_applied"] for turn in own]
            said = "; ".join(" / ".join(f"{stage[p]:.0f}" for p in ("p50", "p95", "p99")) for stage in stages)
            found[f"{backend}, {count} subscribers: p50 / p95 / p99, each turn"] = f"{said} ms"
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="a server on a GPU beside one on NumPy, as a client sees them")
    parser.add_argument("--out", type=Path, help="folder for the record")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement (default 20)")
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1, 50], help="how many (default 1 50)")
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), help=f"turns (default {' '.join(BACKENDS)})")
    parser.add_argument("--commit", help="of this checkout (default: git tells)")
    parser.add_argument("served", nargs="*", default=list(SERVED), help="arguments of serve, after --")
    options = parser.parse_args(arguments)
    turns = []
    for backend in options.backends:
        turns.append(measure_turn(backend, options.served or SERVED, options.subscribers, options.seconds))
        print("\n".join(describe(turns[-1])), flush=True)
    if options.out is not None:
        facts = probe().facts
        device = None if facts is None else facts.name
        figures, result = figures_of(turns), {"turns": turns}
        made = report.record(NAME, QUESTION, figures, result, commit_hash=options.commit, device=device)
        report.write_record(made, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
