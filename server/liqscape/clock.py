"""Wall clock behind a seam, so that tests and replays own the time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time in nanoseconds since 1970 UTC, and a way to wait for it."""

    def now_ns(self) -> int:
        """Return the present."""
        ...

    async def sleep_until_ns(self, deadline_ns: int) -> None:
        """Return once now_ns() >= deadline_ns; let other tasks run even if it already is."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    async def sleep_until_ns(self, deadline_ns: int) -> None:
        await asyncio.sleep(max(0.0, (deadline_ns - time.time_ns()) / 1e9))


class ManualClock:
    """A clock that moves only when told to, or jumps ahead to whatever is waited for."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, by_ns: int) -> None:
        """Move forward."""
        self._now_ns += by_ns

    async def sleep_until_ns(self, deadline_ns: int) -> None:
        self._now_ns = max(self._now_ns, deadline_ns)
        await asyncio.sleep(0)
