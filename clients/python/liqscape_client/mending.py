"""Channels of a session that were found broken: which to reject, and when to give up and open a new stream.

Pure but for a monotonic clock that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from liqscape.v1 import stream_pb2
from liqscape_client.frame_effect import FrameEffect, SourceChannel
from liqscape_client.replica import Outcome
from liqscape_client.replica_set import ReplicaSet
from liqscape_client.stream_state import StreamTotals

MAX_REJECTS: Final = 3
"""Of one channel on one stream: what three keyframes have not mended is no accident of that stream."""

MEND_WITHIN_S: Final = 10.0
"""From a reject to its keyframe. A join on a slow line takes as long."""

_REASONS: Final = {
    Outcome.GAP: stream_pb2.Reject.REASON_GAP,
    Outcome.CHECKSUM_DIFFERS: stream_pb2.Reject.REASON_CHECKSUM_DIFFERS,
    Outcome.MALFORMED: stream_pb2.Reject.REASON_MALFORMED,
    Outcome.WAITING: stream_pb2.Reject.REASON_MISSING,
}
_MAX_DETAILS_CHARACTERS: Final = 256  # the server refuses more


class Mending:
    """The broken channels of one stream."""

    def __init__(self, monotonic_s: Callable[[], float], totals: StreamTotals) -> None:
        self._monotonic_s = monotonic_s
        self._totals = totals
        self._since_s: dict[SourceChannel, float] = {}
        self._rejects: dict[SourceChannel, int] = {}

    def take(self, effect: FrameEffect, replicas: ReplicaSet) -> list[stream_pb2.Reject]:
        """Return what to reject after a frame."""
        self._forget_mended(replicas)
        rejects = []
        for channel, damage in effect.damage.items():
            if damage.outcome is Outcome.WAITING and channel in self._since_s:
                continue
            self._since_s[channel] = self._monotonic_s()
            self._rejects[channel] = self._rejects.get(channel, 0) + 1
            self._totals.channels_rejected += 1
            rejects.append(
                stream_pb2.Reject(
                    source_id=channel[0],
                    channel_ids=[channel[1]],
                    reason=_REASONS.get(damage.outcome, stream_pb2.Reject.REASON_UNSPECIFIED),
                    details=damage.reason[:_MAX_DETAILS_CHARACTERS],
                )
            )
        return rejects

    def failure(self) -> str | None:
        """Return why rejecting does not help; None while there is hope."""
        reason = next(self._failures(), None)
        if reason is not None:
            self._totals.mending_failed += 1
        return reason

    def _failures(self) -> Iterator[str]:
        now_s = self._monotonic_s()
        for channel, since_s in self._since_s.items():
            if self._rejects[channel] > MAX_REJECTS:
                yield f"channel {channel[1]} of {channel[0]} broke again after {MAX_REJECTS} keyframes"
            if now_s - since_s > MEND_WITHIN_S:
                yield f"no keyframe of channel {channel[1]} of {channel[0]} came within {MEND_WITHIN_S:g} s"

    def _forget_mended(self, replicas: ReplicaSet) -> None:
        for channel in list(self._since_s):
            replica = replicas.replica_by_id(*channel)
            if replica is None or replica.in_sync:
                self._totals.channels_mended += replica is not None
                del self._since_s[channel]
