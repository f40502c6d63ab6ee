"""How old is what a client has applied? From bars closed to levels applied, at 1 and at 50 subscribers on loopback.

    python -m benchmarks.bench_refresh [--seconds 30]

A server simulates one symbol at four ticks a second; `liqscape bench` measures it as any user would: bar -> grid ->
frame -> applied. The floor beside it is an empty round trip (GetStatus) to the same server in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from liqscape_client import Client, NotReady

QUESTION: Final = "how long from bars closed to levels applied in a client, over loopback?"
SUBSCRIBERS: Final = (1, 50)
BUILD_LIMIT_S: Final = 180.0
ROUND_TRIPS: Final = 200


@contextmanager
def server(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, int]]:
    """Run a server on a free port; yield its address and process id. The environment is on top of the caller's."""
    command = (sys.executable, "-m", "liqscape", "serve", "--listen", "127.0.0.1:0", *arguments)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    try:
        assert process.stdout is not None
        found = re.search(r" on ([0-9.]+:\d+)", process.stdout.readline())
        if found is None:
            raise RuntimeError("the server did not say where it listens")
        yield found.group(1), process.pid
    finally:
        process.terminate()
        process.communicate()


async def wait_until_built(address: str) -> float:
    """Return the seconds until every timeframe of BTC is served."""
    started = time.monotonic()
    async with Client(address) as client:
        while time.monotonic() - started < BUILD_LIMIT_S:
            try:
                await client.grid("BTC", "1y")
                return time.monotonic() - started
            except NotReady:
                await asyncio.sleep(0.2)
    raise RuntimeError(f"history was not built within {BUILD_LIMIT_S} s")


async def round_trip_ms(address: str) -> float:
    """Return the median of an empty unary call."""
    async with Client(address) as client:
        times: list[float] = []
        for _ in range(ROUND_TRIPS):
            started = time.perf_counter()
            await client.status()
            times.append((time.perf_counter() - started) * 1000)
    return sorted(times)[ROUND_TRIPS // 2]


def measure(address: str, subscribers: int, seconds: float) -> dict[str, Any]:
    """Run `liqscape bench` and return what it stored.

    Raises:
        RuntimeError: it failed, or a replica was not sound.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.json"
        command = (sys.executable, "-m", "liqscape", "bench", "--address", address, "--subscribers", str(subscribers))
        status = subprocess.run((*command, "--seconds", str(seconds), "--json", str(file)), check=False).returncode
        if status:
            raise RuntimeError(f"bench with {subscribers} subscribers ended with status {status}")
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if not result["sound"] or result["checksum_failures"] or result["gaps"]:
        raise RuntimeError(f"bench with {subscribers} subscribers: a replica was out of sync")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=QUESTION)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement (default 30)")
    namespace = parser.parse_args(arguments)
    with server("--source", "simulate", "--symbols", "BTC", "--speed", "4") as (address, _):
        built_s = asyncio.run(wait_until_built(address))
        floor_ms = asyncio.run(round_trip_ms(address))
        results = {str(n): measure(address, n, namespace.seconds) for n in SUBSCRIBERS}
    figures = {"history of a simulated year built": f"{built_s:.1f} s", "empty round trip": f"{floor_ms:.2f} ms"}
    for number, result in results.items():
        stage = result["stages_ms"]["bar_to_applied"]
        percentiles = f"{stage['p50']:.1f} / {stage['p95']:.1f} / {stage['p99']:.1f} ms"
        figures[f"{number} subscriber{'s' * (number != '1')}, p50 / p95 / p99"] = percentiles
    result = {"built_s": built_s, "round_trip_ms": floor_ms, "subscribers": results}
    report.store("refresh", QUESTION, figures, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
