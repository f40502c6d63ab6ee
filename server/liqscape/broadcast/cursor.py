"""One reader of a hub: what its next frame is, and when.

The state of a reader is its position, and which of its channels have no state yet. Control messages are derived from
that, so none can be lost, and however slow the reader is, what it gets next is everything since its position as one
message. A reader under credits gets data only while it has some left; what it says (acknowledge, change, reject) is
merged into its state, never queued.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from liqscape.broadcast import controls
from liqscape.broadcast.cadence import least_interval_s
from liqscape.broadcast.credits import Credits
from liqscape.broadcast.hub import Batch, Hub, Position, finish
from liqscape.broadcast.selections import Selection
from liqscape.errors import InvalidArgument
from liqscape.metrics import Stage
from liqscape.v1 import stream_pb2

HEARTBEAT_MS: Final = 1000
"""Clients call a stream broken after three of these: a second of silence must not look like one of market calm."""

MAX_STREAM_AGE_S: Final = 3300.0
"""Ends a stream in good order before the server cuts its connection at an hour; the client resumes with deltas."""

RECONNECT_AT_ONCE_MS: Final = 0
"""The server is well: a client whose stream is old, or who has been away, may come back at once."""


@dataclass(slots=True)
class _Change:
    """What a reader wants from its next frame on. Changes that come before it are merged into one."""

    selection: Selection
    cadence_ms: int
    refused: str


class Cursor:
    """A stream's reader. Call poll() (or await next_frame()) after each frame has gone out.

    Attributes:
        is_over: the last frame has been returned.
        free_since: since when the newest tick of the frame last returned might have left; None where that frame does
            not end a message of changes.
    """

    def __init__(
        self,
        hub: Hub,
        selection: Selection,
        *,
        cadence_ms: int = 0,
        resume: Sequence[stream_pb2.ResumePoint] = (),
        heartbeat_ms: int = HEARTBEAT_MS,
        max_age_s: float = MAX_STREAM_AGE_S,
        credits: Credits | None = None,
        idle_after_s: float = float("inf"),
    ) -> None:
        """Begin with Hello.

        Args:
            hub: a hub that is ready.
            selection: what to send.
            cadence_ms: 0 or a cadence class.
            resume: where a broken stream left off; empty = start with keyframes.
            heartbeat_ms: idle time after which a heartbeat follows.
            max_age_s: age at which the stream ends with GoingAway.
            credits: the window of a session; None = the transport alone holds the reader back.
            idle_after_s: a session whose window has been full for so long without a sign ends with GoingAway.
        """
        self._hub = hub
        self._selection = selection
        self._cadence_ms = cadence_ms
        self._heartbeat_ms = heartbeat_ms
        self._heartbeat_s = heartbeat_ms / 1000
        self._credits = credits
        self._idle_after_s = idle_after_s
        self._sent_at = hub.monotonic()
        self._ages_at = self._sent_at + max_age_s
        self._place = hub.new_place()
        self._frame_to_sent = hub.timings.freshness[Stage.FRAME_TO_SENT]
        self._changes_due_at = self._sent_at
        self._position: Position | None = None  # what the message under way leads to
        self._whole_tick: int | None = None  # the newest whose message has gone out to its end
        self._missing = frozenset(selection.channel_ids)  # channels of which the reader holds nothing, or nothing good
        self._batch: Batch | None = None
        self._next_fragment = 0
        self._batch_free_since: float | None = None
        self._keyframes = 0
        self._snapshot_is_due = True
        self._changes = 0
        self._change: _Change | None = None
        self._openings: deque[bytes] = deque()
        self._underway: deque[tuple[int, float]] = deque()  # ends of messages of changes: number and when it left
        self._waiter: asyncio.Future[None] | None = None
        self.is_over = False
        self.free_since: float | None = None
        self._open(resume)

    # ---- what the reader gets

    async def next_frame(self) -> bytes | None:
        """Return the next frame, without sent_unix_ns, when there is one; None after the last."""
        is_at_rest = self._is_at_rest()
        frame = None if is_at_rest else self.poll()
        while frame is None and not self.is_over:
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            if is_at_rest and not self._cadence_ms and self._has_credit and self._hub.goodbye is None:
                self._hub.await_tick(waiter, self._sent_at + self._heartbeat_s)
                await waiter
                frame = self._step() or self.poll()
            else:
                await self._sleep(waiter)
                frame = self.poll()
            is_at_rest = False
        return frame

    async def _sleep(self, waiter: asyncio.Future[None]) -> None:
        wake_at = min(self._sent_at + self._heartbeat_s, self._ends_at)
        awaits_tick = False
        if self._has_credit:
            awaits_tick = not self._is_behind()
            if not awaits_tick:
                wake_at = min(wake_at, self._changes_due_at)
        await self._hub.wait(wake_at - self._hub.monotonic(), for_tick=awaits_tick, waiter=waiter)

    def poll(self) -> bytes | None:
        """Return the next frame if one may go out now."""
        now = self._hub.monotonic()
        self.free_since = None
        frame = None if self.is_over else self._control(now) or self._data(now) or self._heartbeat(now)
        if frame is not None:
            self._sent_at = now
        return frame

    def _step(self) -> bytes | None:
        """Return the newest tick if that is plainly all that is to be said, and it is nearly always.

        What poll() comes to in this case, in a fifth of the time. The reader was at rest when it went to sleep.
        """
        now = self._hub.monotonic()
        step = self._hub.step(self._selection)
        if (
            step is None
            or step.after != self._position
            or self._change is not None
            or self._missing
            or self.is_over
            or self._hub.goodbye is not None
            or now >= self._ages_at  # looked at with every frame, and there is one each second at least
        ):
            return None
        self._selection, self._position, self._whole_tick = step.selection, step.to, step.to.tick
        if step.keyframes:
            self._keyframes += step.keyframes
            self._hub.counters.keyframes += step.keyframes
        credit_since = self._credits.free_since if self._credits else 0.0
        self.free_since = max(self._hub.appended_at, self._changes_due_at, credit_since)
        self._changes_due_at = self._sent_at = now
        return self._count(step.frame, now, is_data=True)

    def sent(self, size_bytes: int) -> None:
        """Count the frame last returned, now that the transport has taken it."""
        counters = self._hub.counters
        counters.frames += 1
        counters.frame_bytes += size_bytes
        if self.free_since is None:
            return
        now = self._hub.monotonic()
        self._frame_to_sent.observe(now - self.free_since)
        # An acknowledgement may come before the transport tells that the message has left.
        if self._credits is not None and self._credits.frames_acknowledged < self._credits.frames_sent:
            self._underway.append((self._credits.frames_sent, now))

    def _control(self, now: float) -> bytes | None:
        if self._openings:
            return self._count(self._openings.popleft(), now)
        if self._change is not None:
            return self._take_change(self._change, now)
        if self._batch is not None and self._has_credit:
            return None
        if self._snapshot_is_due and self._batch is None and self._position is not None and not self._missing:
            self._snapshot_is_due = False
            end = stream_pb2.SnapshotEnd(keyframes=self._keyframes)
            return self._count(stream_pb2.Frame(snapshot_end=end).SerializeToString(), now)
        # A join is brought to its end first, so that the reader can resume; but not where that needs its credit, or a
        # channel that nobody knows when it will come.
        if now >= self._ends_at and not (self._snapshot_is_due and self._has_credit and self._can_join()):
            self.is_over = True
            return self._count(stream_pb2.Frame(going_away=self._farewell(now)).SerializeToString(), now)
        return None

    def _data(self, now: float) -> bytes | None:
        if not self._has_credit:
            return None
        if self._batch is None and (self._can_mend() or (self._is_behind() and now >= self._changes_due_at)):
            self._advance(now)
        if self._batch is not None:
            return self._fragment(self._batch, now)
        # A selection without channels: nothing to send, but its end is.
        return self._control(now) if self._snapshot_is_due else None

    def _heartbeat(self, now: float) -> bytes | None:
        if now - self._sent_at < self._heartbeat_s:
            return None
        self._hub.counters.heartbeats += 1
        return self._count(controls.heartbeat(self._hub, self._whole_tick).SerializeToString(), now)

    def _advance(self, now: float) -> None:
        # Frames of a stream arrive in order or not at all, so the position may lead the fragments still to be sent.
        credit_since = self._credits.free_since if self._credits else 0.0
        is_plain = self._position is not None and not self._missing
        self._batch_free_since = max(self._hub.appended_at, self._changes_due_at, credit_since) if is_plain else None
        if self._position is not None:
            self._changes_due_at = now + least_interval_s(self._cadence_ms)
        batch = self._hub.batch(self._selection, self._position, self._missing if self._position else frozenset())
        self._position, self._missing = batch.to, batch.awaited
        self._hub.counters.ticks_conflated += batch.ticks_conflated
        self._next_fragment = 0
        if batch.fragments:
            self._batch = batch
        else:
            self._whole_tick = batch.to.tick

    def _fragment(self, batch: Batch, now: float) -> bytes:
        frame = self._hub.frame(batch, self._next_fragment)
        keyframes = batch.fragments[self._next_fragment].keyframes
        self._keyframes += keyframes
        self._hub.counters.keyframes += keyframes
        self._next_fragment += 1
        if self._next_fragment == len(batch.fragments):
            self._batch = None
            self._whole_tick = batch.to.tick
            self.free_since = self._batch_free_since
        return self._count(frame, now, is_data=True)

    def _count(self, frame: bytes, now: float, *, is_data: bool = False) -> bytes:
        if self._credits is not None:
            self._credits.sent(now, is_data=is_data)
        return frame

    def _open(self, resume: Sequence[stream_pb2.ResumePoint]) -> None:
        wanted = self._selection.channel_ids
        refusals = [lagged for point in resume if (lagged := controls.refusal(self._hub, point, wanted)) is not None]
        resumed = bool(resume) and not refusals
        counters = self._hub.counters
        if resumed:
            counters.resumes += 1
            self._whole_tick = resume[0].tick
            self._position = Position(self._whole_tick, self._hub.ring.ordinal_at(self._whole_tick))
            self._missing = frozenset()
        else:
            counters.joins += 1
        hello = controls.hello(
            self._hub,
            self._selection,
            cadence_ms=self._cadence_ms,
            heartbeat_ms=self._heartbeat_ms,
            resumed=resumed,
            max_in_flight=self._credits.max_in_flight if self._credits else 0,
        )
        self._openings.append(hello.SerializeToString())
        for lagged in refusals:
            counters.count_lagged(lagged.reason)
            self._openings.append(stream_pb2.Frame(lagged=lagged).SerializeToString())

    # ---- what the reader of a session says

    def acknowledge(self, frames: int) -> None:
        """Take how many frames the reader is done with.

        Raises:
            InvalidArgument: more than were sent, or fewer than it said before.
        """
        assert self._credits is not None
        now = self._hub.monotonic()
        had_credit = self._credits.are_left
        self._credits.acknowledge(frames, now)
        while self._underway and self._underway[0][0] <= frames:
            self._hub.timings.freshness[Stage.SENT_TO_ACKNOWLEDGED].observe(now - self._underway.popleft()[1])
        if not had_credit:  # else nothing that the reader waits for has changed
            self._wake()

    def change(self, selection: Selection, cadence_ms: int) -> None:
        """Serve other channels, or in another cadence class, from the next frame on."""
        self._changes += 1
        self._change = _Change(selection, cadence_ms, "")
        self._wake()

    def refuse_change(self, reason: str, held: Selection | None = None) -> None:
        """Tell in the next frame that a change cannot be served, and go on as before.

        Args:
            reason: why.
            held: what the selection before has become, where some of it was closed; None: it is as it was.
        """
        self._changes += 1
        before = self._change or _Change(self._selection, self._cadence_ms, "")
        self._change = _Change(held or before.selection, before.cadence_ms, reason)
        self._wake()

    def reject(self, source_id: str, channel_ids: Collection[int], reason: stream_pb2.Reject.Reason) -> None:
        """Send keyframes of channels anew. Those that are not, or no longer, selected are passed over.

        Args:
            source_id: whose channels; empty = the hub's.
            channel_ids: which.
            reason: what the reader found.

        Raises:
            InvalidArgument: a channel that does not exist.
        """
        shard = self._hub.shard
        if source_id not in ("", shard.source_id):
            raise InvalidArgument(f"reject.source_id {source_id!r} is unknown; the source is {shard.source_id!r}")
        unknown = [channel_id for channel_id in channel_ids if not self._hub.was_channel(channel_id)]
        if unknown:
            raise InvalidArgument(f"reject.channel_ids has {min(unknown)}, which is no channel of this epoch")
        concerned = frozenset(channel_ids).intersection(self._selection.channel_ids)
        self._hub.counters.count_rejected(reason, len(concerned))
        self._missing |= concerned
        self._wake()

    def stop(self) -> None:
        """End without another frame: the reader has left, or has broken the rules."""
        self.is_over = True
        self._wake()

    def _take_change(self, change: _Change, now: float) -> bytes:
        self._change = None
        before, after = frozenset(self._selection.channel_ids), frozenset(change.selection.channel_ids)
        self._hub.counters.selection_changes += 1
        if self._batch is not None and before - after:
            self._batch = self._hub.without(self._batch, self._next_fragment, before - after)
            self._next_fragment = 0
        self._selection, self._cadence_ms = change.selection, change.cadence_ms
        self._missing = (self._missing & after) | (after - before)
        self._changes_due_at = min(self._changes_due_at, now + least_interval_s(self._cadence_ms))
        self._snapshot_is_due, self._keyframes = True, 0
        answer = controls.selection_changed(
            self._hub,
            self._selection,
            cadence_ms=self._cadence_ms,
            changes=self._changes,
            starting=after - before,
            refused=change.refused,
        )
        return self._count(answer.SerializeToString(), now)

    def _wake(self) -> None:
        if self._waiter is not None:
            finish(self._waiter)

    # ---- where the reader stands

    @property
    def _has_credit(self) -> bool:
        return self._credits is None or self._credits.are_left

    @property
    def _idles_at(self) -> float:
        used_up_since = self._credits.used_up_since if self._credits else None
        return float("inf") if used_up_since is None else used_up_since + self._idle_after_s

    @property
    def _ends_at(self) -> float:
        ends_at = self._ages_at if self._credits is None else min(self._ages_at, self._idles_at)
        return ends_at if self._hub.goodbye is None else min(ends_at, self._hub.leaves_at(self._place))

    def _is_at_rest(self) -> bool:
        """Return whether poll() plainly has nothing, but perhaps what comes with time: a heartbeat or a goodbye.

        Readers are there after nearly every message, and this costs a fraction of asking poll(); wait() does the rest.
        """
        return (
            self._batch is None
            and not self._openings
            and self._change is None
            and not self._can_mend()
            and not self._snapshot_is_due
            and not self._is_behind()
        )

    def _can_mend(self) -> bool:
        """Return whether there is something of a channel that the reader lacks; one just opened has nothing yet."""
        return bool(self._missing) and (self._position is None or self._hub.any_held(self._missing))

    def _can_join(self) -> bool:
        """Return whether a join goes on without anything to come from the engine."""
        return self._position is None or not self._missing or self._can_mend()

    def _is_behind(self) -> bool:
        return self._position is None or self._position.tick < self._hub.ring.head_tick

    def _farewell(self, now: float) -> stream_pb2.GoingAway:
        if self._hub.goodbye is not None:
            return self._hub.goodbye
        reason = "stream age"
        if now >= self._idles_at:
            self._hub.counters.sessions_idle += 1
            reason = f"nothing was acknowledged for {self._idle_after_s:g} s"
        return stream_pb2.GoingAway(reason=reason, reconnect_after_ms=RECONNECT_AT_ONCE_MS)
