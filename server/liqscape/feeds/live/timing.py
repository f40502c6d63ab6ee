"""Time as connections need it: wall clock for stamps, a clock that never steps for waiting. A seam for tests."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from liqscape.clock import Clock


class Timing(Protocol):
    """Two clocks and two ways to wait."""

    def now_ns(self) -> int:
        """Return the wall clock, nanoseconds since 1970 UTC; it may step."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that only moves forward."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        ...

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """Return a block that raises TimeoutError after so long."""
        ...


class SystemTiming:
    """The machine's clocks; stamps are those of a Clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)
