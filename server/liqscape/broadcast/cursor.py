"""One reader of a hub: what its next frame is, and when.

The state of a reader is its position. Control messages are derived from it, so none can be lost, and however slow the
reader is, what it gets next is everything since its position as one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from liqscape import __version__
from liqscape.broadcast.hub import Batch, Hub, Position, Selection
from liqscape.errors import InvalidArgument
from liqscape.v1 import stream_pb2

PROTOCOL_REVISION: Final = 1
HEARTBEAT_MS: Final = 1000
"""Clients call a stream broken after three of these: a second of silence must not look like one of market calm."""

CADENCE_CLASSES_MS: Final = (250, 500, 1000, 5000)
"""A few classes only: readers of one class mostly share their bytes."""

CADENCE_SLACK: Final = 0.1
"""Share of the interval a message may leave early. Ticks jitter; without it one late tick would make every later one of
a class as slow as the tick wait for the rest of its interval."""

MAX_STREAM_AGE_S: Final = 3300.0
"""Ends a stream in good order before the server cuts its connection at an hour; the client resumes with deltas."""

AGED_RECONNECT_AFTER_MS: Final = 0
"""The server is well: a client may come back at once."""


def cadence_class_ms(interval_ms: int) -> int:
    """Return the cadence class of a wanted interval: rounded up, 0 = every tick.

    Raises:
        InvalidArgument: it is above the slowest class.
    """
    if interval_ms == 0:
        return 0
    for class_ms in CADENCE_CLASSES_MS:
        if interval_ms <= class_ms:
            return class_ms
    allowed = ", ".join(map(str, CADENCE_CLASSES_MS))
    raise InvalidArgument(f"cadence_ms {interval_ms} is too long; use 0 (every tick) or up to the classes {allowed}")


class Cursor:
    """A stream's reader. Call poll() (or await next_frame()) after each frame has gone out."""

    def __init__(
        self,
        hub: Hub,
        selection: Selection,
        *,
        cadence_ms: int = 0,
        resume: Sequence[stream_pb2.ResumePoint] = (),
        heartbeat_ms: int = HEARTBEAT_MS,
        max_age_s: float = MAX_STREAM_AGE_S,
    ) -> None:
        """Begin with Hello.

        Args:
            hub: a hub that is ready.
            selection: what to send.
            cadence_ms: 0 or a cadence class.
            resume: where a broken stream left off; empty = start with keyframes.
            heartbeat_ms: idle time after which a heartbeat follows.
            max_age_s: age at which the stream ends with GoingAway.
        """
        self._hub = hub
        self._selection = selection
        self._cadence_ms = cadence_ms
        self._heartbeat_ms = heartbeat_ms
        self._sent_at = hub.monotonic()
        self._ends_at = self._sent_at + max_age_s
        self._changes_due_at = self._sent_at
        self._position: Position | None = None
        self._outgoing: Iterator[bytes] = self._opening(resume)
        self.is_over = False

    async def next_frame(self) -> bytes | None:
        """Return the next frame, without sent_unix_ns, when there is one; None after the last."""
        while True:
            frame = self.poll()
            if frame is not None or self.is_over:
                return frame
            wake_at = min(self._sent_at + self._heartbeat_ms / 1000, self._ends_at)
            is_held_back = self._is_behind()
            if is_held_back:
                wake_at = min(wake_at, self._changes_due_at)
            await self._hub.wait(wake_at - self._hub.monotonic(), for_tick=not is_held_back)

    def poll(self) -> bytes | None:
        """Return the next frame if one may go out now."""
        now = self._hub.monotonic()
        frame = next(self._outgoing, None)
        if frame is None and not self.is_over:
            frame = self._begin_message(now)
        if frame is not None:
            self._sent_at = now
        return frame

    def _begin_message(self, now: float) -> bytes | None:
        goodbye = self._hub.goodbye
        if goodbye is None and now >= self._ends_at:
            goodbye = stream_pb2.GoingAway(reason="stream age", reconnect_after_ms=AGED_RECONNECT_AFTER_MS)
        if goodbye is not None:
            self.is_over = True
            return stream_pb2.Frame(going_away=goodbye).SerializeToString()
        if self._is_behind() and now >= self._changes_due_at:
            self._changes_due_at = now + self._cadence_ms / 1000 * (1 - CADENCE_SLACK)
            self._outgoing = self._message(self._advance())
            frame = next(self._outgoing, None)
            if frame is not None:
                return frame
        if now - self._sent_at >= self._heartbeat_ms / 1000:
            return self._heartbeat()
        return None

    def _is_behind(self) -> bool:
        return self._position is None or self._position.tick < self._hub.ring.head_tick

    def _advance(self) -> Batch:
        # Frames of a stream arrive in order or not at all, so the position may lead the fragments still to be sent.
        batch = self._hub.batch(self._selection, self._position)
        self._position = batch.to
        self._hub.counters.ticks_conflated += batch.ticks_conflated
        self._hub.counters.keyframes += batch.keyframes
        return batch

    def _message(self, batch: Batch) -> Iterator[bytes]:
        for index in range(len(batch.fragments)):
            yield self._hub.frame(batch, index)

    def _opening(self, resume: Sequence[stream_pb2.ResumePoint]) -> Iterator[bytes]:
        refusals = [lagged for point in resume if (lagged := self._refusal(point)) is not None]
        resumed = bool(resume) and not refusals
        counters = self._hub.counters
        keyframes = 0
        if resumed:
            counters.resumes += 1
            tick = resume[0].tick
            self._position = Position(tick, self._hub.ring.ordinal_at(tick))
        yield self._hello(resumed)
        for lagged in refusals:
            counters.count_lagged(lagged.reason)
            yield stream_pb2.Frame(lagged=lagged).SerializeToString()
        if not resumed:
            counters.joins += 1
            batch = self._advance()
            keyframes = batch.keyframes
            yield from self._message(batch)
        yield stream_pb2.Frame(snapshot_end=stream_pb2.SnapshotEnd(keyframes=keyframes)).SerializeToString()

    def _refusal(self, point: stream_pb2.ResumePoint) -> stream_pb2.Lagged | None:
        """Return why a resume point cannot be honoured, or None."""
        ring, shard = self._hub.ring, self._hub.shard
        if point.source_id != shard.source_id:
            reason = stream_pb2.Lagged.REASON_UNKNOWN_SOURCE
        elif point.epoch != shard.epoch:
            reason = stream_pb2.Lagged.REASON_EPOCH_CHANGED
        elif point.tick > ring.head_tick:
            reason = stream_pb2.Lagged.REASON_FROM_THE_FUTURE
        elif point.tick < ring.floor_tick:
            reason = stream_pb2.Lagged.REASON_OUT_OF_RING
        else:
            return None
        return stream_pb2.Lagged(reason=reason, source_id=point.source_id)

    def _hello(self, resumed: bool) -> bytes:
        shard = self._hub.shard
        wanted = set(self._selection.channel_ids)
        hello = stream_pb2.Hello(
            protocol_revision=PROTOCOL_REVISION,
            server_version=__version__,
            server_unix_ns=self._hub.now_ns(),
            cadence_ms=self._cadence_ms,
            heartbeat_ms=self._heartbeat_ms,
            sources=[
                stream_pb2.SourceDescription(
                    source_id=shard.source_id,
                    epoch=shard.epoch,
                    tick_ms=shard.tick_ms,
                    states=self._hub.states(),
                    input=shard.input,
                )
            ],
            channels=[
                stream_pb2.ChannelDescription(
                    channel_id=channel.channel_id,
                    source_id=shard.source_id,
                    symbol=channel.symbol,
                    timeframe=channel.timeframe.name,
                )
                for channel in shard.channels
                if channel.channel_id in wanted
            ],
            resumed=resumed,
        )
        return stream_pb2.Frame(hello=hello).SerializeToString()

    def _heartbeat(self) -> bytes:
        self._hub.counters.heartbeats += 1
        shard = self._hub.shard
        heartbeat = stream_pb2.Heartbeat(
            positions=[
                stream_pb2.ResumePoint(
                    source_id=shard.source_id, epoch=shard.epoch, tick=self._position.tick if self._position else 0
                )
            ],
            source_watermark_unix_ns=[self._hub.ring.source_watermark_ns],
            states=self._hub.states(),
        )
        return stream_pb2.Frame(heartbeat=heartbeat).SerializeToString()
