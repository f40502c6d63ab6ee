"""Where a live stream stands, and what changed in it since somebody last looked."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field

from liqscape_client.errors import ClientError
from liqscape_client.frame_effect import ChannelKey, FrameEffect


class Phase(enum.Enum):
    """Where a stream stands."""

    CONNECTING = "connecting"
    BUILDING = "building"
    JOINING = "joining"
    IN_SYNC = "in sync"
    OUT_OF_SYNC = "out of sync"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream stands, and why. Only IN_SYNC means that what is shown is what the server holds."""

    phase: Phase
    reason: str = ""

    @property
    def in_sync(self) -> bool:
        return self.phase is Phase.IN_SYNC

    def __str__(self) -> str:
        return f"{self.phase.value}: {self.reason}" if self.reason else self.phase.value


@dataclass(slots=True)
class StreamUpdate:
    """What changed since the last update was taken; merged, because the reader samples and the latest wins."""

    channels: set[ChannelKey] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)
    frames: int = 0
    ticks_conflated: int = 0
    state: StreamState = StreamState(Phase.CONNECTING)


@dataclass(slots=True)
class StreamTotals:
    """Counters of the connection itself; those of the data are in ReplicaSet.counters.

    Attributes:
        connections: attempts.
        joins: streams that reached their SnapshotEnd.
        changes: of the channels, on open streams.
        frames: messages.
        bytes: of all messages.
        channels_rejected, channels_mended: found broken on a session, and whole again without a new stream.
        mending_failed: sessions ended because rejecting did not help.
    """

    connections: int = 0
    joins: int = 0
    changes: int = 0
    frames: int = 0
    bytes: int = 0
    channels_rejected: int = 0
    channels_mended: int = 0
    mending_failed: int = 0


@dataclass(slots=True)
class StreamEnd:
    """Why a stream ended and what comes next."""

    reason: str
    asked_s: float | None = None
    building: bool = False
    refused: ClientError | None = None


class Subscriber:
    """One reader of updates: a slot that is merged into, never a queue."""

    def __init__(self) -> None:
        self.pending = StreamUpdate()
        self.ready = asyncio.Event()

    def merge(self, effect: FrameEffect | None) -> None:
        """Add what a message did; None = only the state may have changed."""
        if effect is not None:
            self.pending.channels |= effect.channels
            self.pending.symbols |= effect.symbols
            self.pending.frames += 1
            self.pending.ticks_conflated += effect.ticks_conflated
        self.ready.set()

    def take(self) -> StreamUpdate:
        """Return what has been merged, and begin anew."""
        taken, self.pending = self.pending, StreamUpdate()
        self.ready.clear()
        return taken
