"""How late the event loop of a door is: everything that a reader waits for waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from liqscape.metrics import Histogram

LAG_PROBE_S: Final = 0.1
"""Ten wakings a second cost nothing; each finds out how late it is."""


@contextlib.asynccontextmanager
async def probing_lag(lag: Histogram, monotonic: Callable[[], float]) -> AsyncIterator[None]:
    """Observe the lag of this event loop until the block is left."""
    task = asyncio.create_task(_probe(lag, monotonic), name="event loop lag")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _probe(lag: Histogram, monotonic: Callable[[], float]) -> None:
    while True:
        due = monotonic() + LAG_PROBE_S
        await asyncio.sleep(LAG_PROBE_S)
        lag.observe(monotonic() - due)
