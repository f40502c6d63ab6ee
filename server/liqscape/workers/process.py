"""One place in a server, and the processes that hold it one after the other."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from liqscape.errors import LiqscapeError
from liqscape.link.messages import Failure, pack, unpack
from liqscape.workers.orders import Order

_LOG = logging.getLogger(__name__)

STEADY_AFTER_S: Final = 10.0
"""Whoever lived so long had started well: what ended it is no reason to wait."""

RESTART_DELAYS_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""By how often in a row a process has ended soon after its start."""


class RestartDelays:
    """How long to wait before a process is started again. Pure."""

    def __init__(self) -> None:
        self._early_ends = 0

    def after(self, lived_s: float) -> float:
        """Return the delay after a process that lived for so long, seconds."""
        if lived_s >= STEADY_AFTER_S:
            self._early_ends = 0
        delay_s = RESTART_DELAYS_S[min(self._early_ends, len(RESTART_DELAYS_S) - 1)]
        self._early_ends += 1
        return delay_s


class EndedEarly(LiqscapeError):
    """A process has ended before it had become what it was to be, and has not said why."""


class Place:
    """A process, and the next one when it has died.

    Attributes:
        name: for people and logs.
        life: number of the process; 0 before the first.
        is_up: it has said that it serves.
    """

    def __init__(self, name: str, order: Callable[[], Order], monotonic: Callable[[], float] = time.monotonic) -> None:
        """Hold no process yet.

        Args:
            name: for people and logs.
            order: returns what the next process is told.
            monotonic: seconds.
        """
        self.name = name
        self.life = 0
        self.is_up = False
        self._heard_at = 0.0
        self._order = order
        self._monotonic = monotonic
        self._delays = RestartDelays()
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = 0.0

    async def start(self) -> Any:
        """Start a process and return what it says that it has become.

        Raises:
            LiqscapeError: as it has said.
        """
        order = self._order()
        self.life, self._started_at = order.life, self._monotonic()
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "liqscape.workers.child", str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            process_group=0,  # Ctrl-C in a terminal is for the supervisor, which tells the others
        )
        _LOG.info("%s is process %d", self.name, process.pid)
        assert process.stdout is not None
        said = b""
        try:
            await _give(process, pack(order))
            said = await process.stdout.read()
        finally:
            if not said:
                self.signal(signal.SIGKILL)
        if not said:
            raise EndedEarly(f"{self.name} has ended with status {await process.wait()} before it served")
        answer = unpack(said)
        if isinstance(answer, Failure):
            raise answer.error()
        self.heard_from()
        self.is_up = True
        return answer

    def heard_from(self) -> None:
        """Note that the process is alive."""
        self._heard_at = self._monotonic()

    def silent_s(self) -> float:
        """Return for how long it has not been heard of, seconds."""
        return self._monotonic() - self._heard_at

    async def wait(self) -> int:
        """Return the status of the process once it has ended; negative = the signal that killed it."""
        assert self._process is not None
        status = await self._process.wait()
        self.is_up = False
        return status

    async def pause(self) -> None:
        """Wait as long as becomes a process that has ended when this one did."""
        await asyncio.sleep(self._delays.after(self._monotonic() - self._started_at))

    def signal(self, number: int) -> None:
        """Send a signal, if there is a process."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def end(self, number: int, within_s: float) -> None:
        """Send a signal, and kill what has not ended in time."""
        if self._process is None:
            return
        self.signal(number)
        try:
            async with asyncio.timeout(within_s):
                await self.wait()
        except TimeoutError:
            _LOG.warning("%s has not ended within %g s and is killed", self.name, within_s)
            self.signal(signal.SIGKILL)
            await self.wait()


async def _give(process: asyncio.subprocess.Process, order: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(order)
    process.stdin.close()
