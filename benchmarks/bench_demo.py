"""How long from a fresh clone to a served heatmap? `make demo` in a clean directory, nothing installed.

    python -m benchmarks.bench_demo

Clones the commit, runs `make demo` there and times: until the health check serves, and until all nine timeframes do.
Packages come from pip's index or cache, as on any machine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks import report
from liqscape_client import Client, ClientError

QUESTION: Final = "how long from a fresh clone to a served heatmap?"
LIMIT_S: Final = 600.0
POLL_S: Final = 0.2
TIMEFRAMES: Final = ("12h", "24h", "3d", "1w", "2w", "1m", "3m", "6m", "1y")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def seconds_until_healthy(address: str, started: float) -> float:
    """Return seconds from `started` until the health service says SERVING."""
    while time.monotonic() - started < LIMIT_S:
        async with grpc.aio.insecure_channel(address) as channel:
            try:
                reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
                if reply.status == health_pb2.HealthCheckResponse.SERVING:
                    return time.monotonic() - started
            except grpc.aio.AioRpcError:
                await asyncio.sleep(POLL_S)
    raise RuntimeError(f"not healthy within {LIMIT_S} s")


async def seconds_until_filled(address: str, started: float) -> float:
    """Return seconds from `started` until every timeframe is served with something in it."""
    left = list(TIMEFRAMES)
    async with Client(address) as client:
        while left and time.monotonic() - started < LIMIT_S:
            try:
                grid = await client.grid("BTC", left[0])
            except ClientError:
                await asyncio.sleep(POLL_S)
                continue
            if not grid.cells.any():
                raise RuntimeError(f"{left[0]} is served empty")
            left.pop(0)
    if left:
        raise RuntimeError(f"not served within {LIMIT_S} s: {', '.join(left)}")
    return time.monotonic() - started


async def measure(clone: Path) -> tuple[float, float]:
    """Run the demo in a clone; return seconds until healthy and until filled."""
    address = f"127.0.0.1:{free_port()}"
    started = time.monotonic()
    # A session of its own, so that make and the server can be ended together.
    process = await asyncio.create_subprocess_exec(
        "make", "demo", f"LISTEN={address}", cwd=clone, start_new_session=True
    )
    try:
        return await seconds_until_healthy(address, started), await seconds_until_filled(address, started)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        await process.wait()


def main() -> int:
    """Measure, print and store."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(("git", "clone", "--quiet", str(report.ROOT), str(clone)), check=True)
        healthy_s, filled_s = asyncio.run(measure(clone))
    figures = {"until healthy": f"{healthy_s:.0f} s", "until all nine timeframes": f"{filled_s:.0f} s"}
    report.store("demo", QUESTION, figures, {"healthy_s": healthy_s, "filled_s": filled_s})
    print(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
