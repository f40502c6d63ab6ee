"""`liqscape serve --workers N` as a program, and the processes that it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

WAIT_S = 60.0
"""Starting takes two seconds of a core for each process; all cores may be busy."""


@dataclass
class Server:
    """A supervisor's process, what it has said, and the processes it has started, by name, oldest first."""

    process: asyncio.subprocess.Process
    address: str = ""
    metrics: str = ""
    output: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    pids: dict[str, list[int]] = field(default_factory=dict)

    def pid(self, name: str) -> int:
        """Return the process that was started last under a name: engine, edge 0, edge 1."""
        return self.pids[name][-1]

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to the newest process of a name and return its number."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    async def end(self) -> int:
        """Wait for its end and return the status."""
        async with asyncio.timeout(WAIT_S):
            return await self.process.wait()

    def everyone(self) -> list[int]:
        """Return every process there ever was."""
        return [self.process.pid, *(pid for pids in self.pids.values() for pid in pids)]


@contextlib.asynccontextmanager
async def serving_workers(*arguments: str, workers: int = 2, listen: str = "127.0.0.1:0") -> AsyncIterator[Server]:
    """Run it; yield once it has said where it serves."""
    # A supervisor that is killed cannot remove the folder of its sockets.
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "liqscape", "serve", "--workers", str(workers), "--listen", listen),
            *("--log-level", "info", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": folder},
        )
        async with _heard(Server(process)) as server:
            yield server


@contextlib.asynccontextmanager
async def _heard(server: Server) -> AsyncIterator[Server]:
    """Read what a server says until the block is left; then end it, whatever it does."""
    process = server.process
    reading = [asyncio.create_task(_read_output(server)), asyncio.create_task(_read_log(server))]
    try:
        await until(lambda: bool(server.address) or process.returncode is not None)
        assert server.address, "".join(server.log)
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*reading)  # they end once no process holds the pipes any more


async def until(condition: Callable[[], bool], limit_s: float = WAIT_S) -> None:
    """Return once a condition holds.

    Raises:
        TimeoutError: it does not within the limit.
    """
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_told(condition: Callable[[], Awaitable[bool]], limit_s: float = WAIT_S) -> None:
    """Return once a condition holds that has to be asked for.

    Raises:
        TimeoutError: it does not within the limit.
    """
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has died and is not yet taken note of does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def _read_output(server: Server) -> None:
    assert server.process.stdout is not None
    async for line in server.process.stdout:
        text = line.decode()
        server.output.append(text)
        if found := re.search(r"metrics on http://([0-9.]+:\d+)/", text):
            server.metrics = found.group(1)
        if found := re.search(r"watch it with: .*", text):
            server.address = server.address or _address_of(server.output)


def _address_of(output: list[str]) -> str:
    found = re.search(r"liqscape serves .* on ([0-9.]+:\d+)", "".join(output))
    assert found is not None
    return found.group(1)


async def _read_log(server: Server) -> None:
    assert server.process.stderr is not None
    async for line in server.process.stderr:
        text = line.decode()
        server.log.append(text)
        if found := re.search(r"(engine|edge \d+) is process (\d+)", text):
            server.pids.setdefault(found.group(1), []).append(int(found.group(2)))
