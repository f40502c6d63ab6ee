"""A clock that runs so many times as fast as the machine's, for the parts that wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

START_NS = 1_795_219_200_000_000_000
"""Where it begins: 2026-11-21 00:00 UTC and a little."""


class ScaledTime:
    """Timing and Clock in one: seconds are short, stamps are of November 2026.

    Args:
        factor: seconds of this clock in one of the machine's.
        start_ns: where it begins.
        monotonic: the clock that it is so many times as fast as, in seconds; sleeps are of the running loop.
    """

    def __init__(
        self, factor: float, start_ns: int = START_NS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.factor = factor
        self._start_ns = start_ns
        self._monotonic = monotonic
        self._began = monotonic()

    def monotonic(self) -> float:
        return (self._monotonic() - self._began) * self.factor

    def now_ns(self) -> int:
        return self._start_ns + int(self.monotonic() * 1e9)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.factor)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds / self.factor)

    async def sleep_until_ns(self, deadline_ns: int) -> None:
        await self.sleep(max(0.0, (deadline_ns - self.now_ns()) / 1e9))
