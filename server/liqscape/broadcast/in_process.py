"""A FrameSource for an engine that runs in a thread of this process.

The engine never waits for the edge. Records queue up while the event loop is busy; past a limit the whole queue is
merged into one record, in which a channel's newest keyframe replaces everything before it. That record is never larger
than what a join costs, so a loop that stalls for minutes costs its readers resolution in time, which is counted and
told as conflated ticks, and never memory or a broken chain.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Final

from liqscape.broadcast.ports import EncodedChunk, ShardDescription, TickRecord

MAX_QUEUED_RECORDS: Final = 64
"""16 s of ticks at 250 ms: a pause of the loop worth a line in a log, not a busy moment."""

MAX_QUEUED_BYTES: Final = 32 << 20
"""Half of what the ring itself may hold."""


class InProcessFrameSource:
    """Carry records from the engine's thread to one reader on an event loop."""

    def __init__(
        self,
        shard: ShardDescription,
        *,
        max_records: int = MAX_QUEUED_RECORDS,
        max_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        """Start with nothing queued.

        Args:
            shard: which shard this is.
            max_records: records queued before they are merged.
            max_bytes: bytes of chunks queued before they are merged.
        """
        self._shard = shard
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._queue: deque[TickRecord] = deque()
        self._queued_bytes = 0
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._wake_is_due = False

    @property
    def shard(self) -> ShardDescription:
        """Return the description last given."""
        return self._shard

    def describe(self, shard: ShardDescription) -> None:
        """Change the description, before the record that needs it is published. May be called from any thread."""
        self._shard = shard

    def publish(self, record: TickRecord) -> None:
        """Queue a record; never waits. May be called from any one thread; after close() it does nothing."""
        with self._lock:
            if self._closed:
                return
            self._queue.append(record)
            self._queued_bytes += _size(record)
            if len(self._queue) > self._max_records or (self._queued_bytes > self._max_bytes and len(self._queue) > 1):
                merged = merge_records(self._queue)
                self._queue.clear()
                self._queue.append(merged)
                self._queued_bytes = _size(merged)
            self._wake()

    def close(self) -> None:
        """Let records() end once the queue is empty. May be called from any thread."""
        with self._lock:
            self._closed = True
            self._wake()

    async def records(self) -> AsyncIterator[TickRecord]:
        """Yield each record once, in order. One reader."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            self._wake()
        while True:
            await self._ready.wait()
            self._ready.clear()
            with self._lock:
                self._wake_is_due = False
                taken, is_last = list(self._queue), self._closed
                self._queue.clear()
                self._queued_bytes = 0
            for record in taken:
                yield record
            if is_last:
                return

    def _wake(self) -> None:
        if self._loop is not None and not self._wake_is_due:
            self._wake_is_due = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to read
                self._loop.call_soon_threadsafe(self._ready.set)


def merge_records(records: Iterable[TickRecord]) -> TickRecord:
    """Return one record that leads a reader to the same state as these, in order; at least one is given."""
    chains: dict[int, list[EncodedChunk]] = {}
    keyframes: dict[int, EncodedChunk] = {}
    symbols: dict[str, bytes] = {}
    venues: dict[str, bytes] = {}
    closed: dict[int, None] = {}
    ticks_merged = -1
    for record in records:
        for chunk in record.channels:
            chain = chains.setdefault(chunk.channel_id, [])
            if chunk.keyframe:
                chain.clear()
                keyframes.pop(chunk.channel_id, None)
            chain.append(chunk)
        for keyframe in record.keyframes:
            # It stands for the queued changes up to its tick; with none of these queued only those who join need it.
            chain = chains.get(keyframe.channel_id, [])
            later = [chunk for chunk in chain if chunk.tick > keyframe.tick]
            if len(later) < len(chain):
                chains[keyframe.channel_id] = [keyframe, *later]
            else:
                keyframes[keyframe.channel_id] = keyframe
        for channel_id in record.closed:  # ids are never used again, so nothing of it can follow
            chains.pop(channel_id, None)
            keyframes.pop(channel_id, None)
            closed[channel_id] = None
        symbols.update(record.symbols)
        venues.update(record.venues)
        ticks_merged += 1 + record.ticks_merged
    return TickRecord(
        tick=record.tick,
        channels=tuple(chunk for chain in chains.values() for chunk in chain),
        keyframes=tuple(keyframes.values()),
        symbols=symbols,
        venues=venues,
        source_watermark_ns=record.source_watermark_ns,
        ended=record.ended,
        ticks_merged=ticks_merged,
        grids_ready_unix_ns=record.grids_ready_unix_ns,
        closed=tuple(closed),
    )


def _size(record: TickRecord) -> int:
    chunks = (*record.channels, *record.keyframes)
    return sum(len(chunk.data) for chunk in chunks)
