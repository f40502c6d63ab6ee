"""What one message of a stream did to the replicas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from liqscape.v1 import stream_pb2
from liqscape_client.channel_parts import ChannelKey as ChannelKey
from liqscape_client.replica import Outcome

SourceChannel = tuple[str, int]
"""Source and channel id, as the wire names a channel."""


class Damage(NamedTuple):
    """What is wrong with a channel: WAITING where no keyframe has come."""

    outcome: Outcome
    reason: str


@dataclass(slots=True)
class FrameEffect:
    """What one frame did.

    Attributes:
        channels: channels whose levels or axes changed.
        symbols: symbols with a new price.
        ticks_conflated: ticks merged into the frame beyond one.
        has_data: the frame carries more than a control message.
        joined: the frame ended a join.
        changed: the frame tells that a change is in force, or refused.
        fatal: why nothing on this stream helps; None while all is well.
        damage: channels that were found broken, or are and got something that does not mend them.
        reconnect_after_ms: the server ends this stream and names this delay.
    """

    channels: set[ChannelKey] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)
    ticks_conflated: int = 0
    has_data: bool = False
    joined: bool = False
    changed: stream_pb2.SelectionChanged | None = None
    fatal: str | None = None
    damage: dict[SourceChannel, Damage] = field(default_factory=dict)
    reconnect_after_ms: int | None = None

    @property
    def broken(self) -> str | None:
        """Return why a reader that cannot reject needs a new stream; None while all is well."""
        return self.fatal or next((damage.reason for damage in self.damage.values()), None)
