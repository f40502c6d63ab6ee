"""What a supervisor knows of the data: the engine's status, and whether ticks still come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from liqscape.broadcast.chunks import data_states
from liqscape.broadcast.hub import is_stale
from liqscape.broadcast.ports import ShardDescription
from liqscape.grid.updates import EngineStatus
from liqscape.v1 import stream_pb2


class EngineWatch:
    """A DataView without frames: it asks the engine for its status.

    Args:
        ask: returns what the engine is doing; never raises.
        monotonic: seconds.
        now_ns: wall clock.

    Attributes:
        shard: what the engine has said of itself at its start.
        ended: set when the input has ended or the engine has failed.
        goodbye: set when the server stops.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[EngineStatus]],
        monotonic: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._newest: tuple[int, int] | None = None
        self._ticked_at = 0.0
        self._is_over = False
        self.now_ns = now_ns
        self.shard: ShardDescription | None = None
        self.ended = asyncio.Event()
        self.goodbye: stream_pb2.GoingAway | None = None

    async def status(self) -> EngineStatus:
        """Return what the engine is doing; never raises."""
        status = await self._ask()
        if status.state in ("serving", "ended") and (status.epoch, status.tick) != self._newest:
            self._newest = (status.epoch, status.tick)
            self._ticked_at = self._monotonic()
        self._is_over = status.state == "ended"
        if status.state in ("ended", "failed"):
            self.ended.set()
        return status

    def states(self) -> tuple[stream_pb2.DataState, ...]:
        """Return what the data are now."""
        if self.shard is None:
            return ()
        silent_s = self._monotonic() - self._ticked_at
        stale = self._newest is not None and not self._is_over and is_stale(silent_s, self.shard.tick_ms)
        return data_states(simulated=self.shard.simulated, replay=self.shard.replay, stale=stale, ended=self._is_over)
