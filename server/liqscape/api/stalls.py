"""Writers that nobody reads from: found by one watch over all of them, and ended.

A write to a reader that has stopped waits for ever once the transport's window is full. Measured on grpc.aio: abort()
behind such a write hangs; a handler that is cancelled leaves a peer that wakes up later without any status; a handler
that sets a code and returns is freed at once, and its peer reads what is left, then the code. So that is what is done,
and the connection of a peer that never wakes is closed by its pings or its age.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

import grpc

from liqscape.api.limits import DEFAULT_LIMITS, StallLimits
from liqscape.api.status_codes import Context
from liqscape.broadcast.counters import StreamCounters

_LOG = logging.getLogger(__name__)


class WatchedWriter:
    """The response stream of one call."""

    __slots__ = ("_context", "_monotonic", "is_cut", "is_stalled", "peer", "task", "writing_since")

    def __init__(self, context: Context, monotonic: Callable[[], float]) -> None:
        self._context = context
        self._monotonic = monotonic
        self.peer = context.peer()
        self.task = asyncio.current_task()
        self.writing_since: float | None = None
        self.is_stalled = False
        self.is_cut = False

    async def write(self, message: bytes) -> None:
        """Hand a message to the transport; return when it has room for the next."""
        self.writing_since = self._monotonic()
        await self._context.write(message)
        self.writing_since = None


class StallWatch:
    """All writers of a server."""

    def __init__(
        self, counters: StreamCounters, monotonic: Callable[[], float], limits: StallLimits = DEFAULT_LIMITS.stalls
    ) -> None:
        self._counters = counters
        self._monotonic = monotonic
        self._limits = limits
        self._writers: set[WatchedWriter] = set()

    @contextlib.contextmanager
    def watching(self, context: Context) -> Iterator[WatchedWriter]:
        """Watch the current task's writes; where it is cut, the block is left and the call has its code."""
        writer = WatchedWriter(context, self._monotonic)
        self._writers.add(writer)
        try:
            yield writer
        except asyncio.CancelledError:
            if not writer.is_cut:
                raise
            assert writer.task is not None
            writer.task.uncancel()
            context.set_code(grpc.StatusCode.ABORTED)
            context.set_details(f"nothing was read for {self._limits.cut_after_s:g} s; come back and resume")
        finally:
            self._writers.discard(writer)
            self._counters.streams_stalled -= writer.is_stalled

    async def run(self) -> None:
        """Look at all writers now and then, for ever."""
        while True:
            await asyncio.sleep(self._limits.check_every_s)
            self.check()

    def check(self) -> None:
        """Mark and cut what has waited too long."""
        now = self._monotonic()
        for writer in self._writers:
            waited_s = 0.0 if writer.writing_since is None else now - writer.writing_since
            is_stalled = waited_s >= self._limits.stalled_after_s
            self._counters.streams_stalled += is_stalled - writer.is_stalled
            writer.is_stalled = is_stalled
            too_many = is_stalled and self._counters.streams_stalled > self._limits.max_stalled
            if (waited_s >= self._limits.cut_after_s or too_many) and not writer.is_cut:
                self._cut(writer)

    def _cut(self, writer: WatchedWriter) -> None:
        _LOG.info("call of %s ended: nothing was read", writer.peer)
        writer.is_cut = True
        self._counters.streams_cut += 1
        if writer.task is not None:
            writer.task.cancel()
