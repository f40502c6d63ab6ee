"""What has been sent, merged and refused since the start: told by GetStatus."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from liqscape.v1 import stream_pb2


@dataclass(slots=True)
class StreamCounters:
    """Counts over all streams. Only streams_open, streams_stalled and playbacks_open ever fall."""

    streams_open: int = 0
    streams_stalled: int = 0
    streams_opened: int = 0
    streams_refused: int = 0
    streams_cut: int = 0
    joins: int = 0
    resumes: int = 0
    frames: int = 0
    frame_bytes: int = 0
    heartbeats: int = 0
    keyframes: int = 0
    source_ticks_merged: int = 0
    ticks_conflated: int = 0
    selection_changes: int = 0
    sessions_idle: int = 0
    session_requests_delayed: int = 0
    channels_refused: int = 0
    playbacks_open: int = 0
    playbacks_refused: int = 0
    playback_pictures: int = 0
    rejected: dict[stream_pb2.Reject.Reason, int] = field(default_factory=dict)
    lagged: dict[stream_pb2.Lagged.Reason, int] = field(default_factory=dict)

    def count_lagged(self, reason: stream_pb2.Lagged.Reason) -> None:
        """Count a resume point that could not be honoured."""
        self.lagged[reason] = self.lagged.get(reason, 0) + 1

    def count_rejected(self, reason: stream_pb2.Reject.Reason, channels: int) -> None:
        """Count channels that a reader has found broken; a reason that this server does not know is not specified."""
        if reason not in stream_pb2.Reject.Reason.values():
            reason = stream_pb2.Reject.REASON_UNSPECIFIED
        self.rejected[reason] = self.rejected.get(reason, 0) + channels

    def add(self, other: StreamCounters) -> None:
        """Add the counts of another process."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, dict):
                for reason, count in theirs.items():
                    mine[reason] = mine.get(reason, 0) + count
            else:
                setattr(self, each.name, mine + theirs)

    def by_name(self) -> dict[str, int]:
        """Return every count under the name GetStatus shows it by."""
        counts = {
            "streams_stalled": self.streams_stalled,
            "streams_opened": self.streams_opened,
            "streams_refused": self.streams_refused,
            "streams_cut": self.streams_cut,
            "stream_joins": self.joins,
            "stream_resumes": self.resumes,
            "stream_frames": self.frames,
            "stream_frame_bytes": self.frame_bytes,
            "stream_heartbeats": self.heartbeats,
            "stream_keyframes": self.keyframes,
            "source_ticks_merged": self.source_ticks_merged,
            "session_changes": self.selection_changes,
            "sessions_idle": self.sessions_idle,
            "session_requests_delayed": self.session_requests_delayed,
            "channels_refused": self.channels_refused,
            "playbacks_open": self.playbacks_open,
            "playbacks_refused": self.playbacks_refused,
            "playback_pictures": self.playback_pictures,
        }
        for rejected, count in self.rejected.items():
            name = stream_pb2.Reject.Reason.Name(rejected).removeprefix("REASON_").lower()
            counts[f"session_rejected_channels_{name}"] = count
        for reason, count in self.lagged.items():
            counts[f"stream_lagged_{stream_pb2.Lagged.Reason.Name(reason).removeprefix('REASON_').lower()}"] = count
        return counts
