"""What a process of this machine costs, by /proc, and a server as a program of its own: for soak_live."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
STARTED_WITHIN_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process, now.

    Attributes:
        at_s: of the machine's monotonic clock.
        cpu_s: processor time since its start.
        resident_kib: memory.
        threads, files: open now.
    """

    at_s: float
    cpu_s: float
    resident_kib: int
    threads: int
    files: int


def cost_of(pid: int) -> Cost | None:
    """Return what a process costs; None where it has ended."""
    folder = Path(f"/proc/{pid}")
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        status = (folder / "status").read_text()
        files = len(os.listdir(folder / "fd"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    resident = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    if resident is None:
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
    return Cost(time.monotonic(), cpu_s, int(resident.group(1)), int(fields[17]), files)


@dataclass(eq=False)
class ServerProgram:
    """`liqscape serve` as an operator starts it.

    Attributes:
        arguments: of the command, its ports among them.
        metrics: HOST:PORT of /metrics.
        log: file that gets what it says on both streams, of every life.
    """

    arguments: Sequence[str]
    metrics: str
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> float:
        """Start it; return the seconds until it serves."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "liqscape", "serve", *self.arguments, stdout=log, stderr=log
            )
        async with aiohttp.ClientSession() as http:
            while time.monotonic() - began < STARTED_WITHIN_S:
                if self.process.returncode is not None:
                    raise RuntimeError(f"the server has ended with {self.process.returncode}; see its log")
                if await self._serves(http):
                    return time.monotonic() - began
                await asyncio.sleep(0.1)
        raise RuntimeError(f"the server did not serve within {STARTED_WITHIN_S:g} s")

    async def _serves(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"http://{self.metrics}/healthz") as answer:
                return answer.status == 200 and '"serving"' in await answer.text()
        except aiohttp.ClientError:
            return False

    @property
    def pid(self) -> int:
        """Return the process that was started last."""
        assert self.process is not None
        return self.process.pid

    def processes(self) -> dict[str, int]:
        """Return those that it is now, by name: the engine alone, or a supervisor with an engine and edges."""
        started = dict(re.findall(r"(engine|edge \d+) is process (\d+)", self.log.read_text()))
        alive = {name: int(pid) for name, pid in started.items() if cost_of(int(pid)) is not None}
        return {"supervisor": self.pid, **alive} if alive else {"engine": self.pid}

    async def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit status and the seconds until the end."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        async with asyncio.timeout(STARTED_WITHIN_S):
            return await self.process.wait(), time.monotonic() - began
