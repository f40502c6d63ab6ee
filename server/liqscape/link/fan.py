"""The engine's side of the frames: a ring of what was published, and for each edge a queue of its own.

An edge that is slow has its own ticks merged (see in_process.py) and delays nobody; one that comes, or comes back, gets
what the ring holds, so that it can lead on every reader that another edge could.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.ports import ShardDescription, TickRecord
from liqscape.broadcast.ring import Ring


class Fan:
    """Records of one shard, for any number of edges."""

    def __init__(self, shard: ShardDescription, ring: Ring | None = None) -> None:
        """Start with nothing published.

        Args:
            shard: whose records.
            ring: what is kept for edges that come later; by default as much as each of them keeps.
        """
        self._shard = shard
        self._ring = ring or Ring.for_tick_ms(shard.tick_ms)
        self._lock = threading.Lock()
        self._edges: set[InProcessFrameSource] = set()

    def publish(self, record: TickRecord) -> None:
        """Hand a record to every edge; never waits for one. From any one thread.

        Raises:
            ModelError: the record does not follow the last one.
        """
        with self._lock:
            self._ring.append(record)
            for edge in self._edges:
                edge.publish(record)

    def describe(self, shard: ShardDescription) -> None:
        """Change the description, before the record that needs it is published. From any thread."""
        with self._lock:
            self._shard = shard
            for edge in self._edges:
                edge.describe(shard)

    @contextlib.contextmanager
    def edge(self) -> Iterator[tuple[tuple[TickRecord, ...], InProcessFrameSource]]:
        """Return the past, and a source of everything after it, until the block is left."""
        with self._lock:
            source = InProcessFrameSource(self._shard)
            past = self._ring.past()
            self._edges.add(source)
        try:
            yield past, source
        finally:
            with self._lock:
                self._edges.discard(source)
