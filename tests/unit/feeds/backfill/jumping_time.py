"""A Timing that never waits: a sleep moves its clock on at once. Limits of real answers are short and real."""

from __future__ import annotations

import asyncio

REAL_LIMIT_S = 0.2


class JumpingTime:
    """See Timing.

    Args:
        now_ns: wall clock at the beginning.
    """

    def __init__(self, now_ns: int) -> None:
        self._start_ns = now_ns
        self._passed_s = 0.0
        self.sleeps: list[float] = []

    def now_ns(self) -> int:
        return self._start_ns + int(self._passed_s * 1e9)

    def monotonic(self) -> float:
        return self._passed_s

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._passed_s += seconds
        await asyncio.sleep(0)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        del seconds
        return asyncio.timeout(REAL_LIMIT_S)
