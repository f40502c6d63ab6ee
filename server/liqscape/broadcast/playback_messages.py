"""Control messages of a playback, put together from what it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from liqscape import __version__
from liqscape.broadcast.chunks import data_states
from liqscape.broadcast.controls import PROTOCOL_REVISION, describe_channel
from liqscape.errors import InvalidArgument, OutOfRange
from liqscape.grid.updates import Channel
from liqscape.v1 import stream_pb2

MAX_MINUTE: Final = (1 << 31) - 1
"""Minutes are 32-bit in the ledger."""

MAX_STEP_MINUTES: Final = 527_040
"""A leap year: nothing is played in longer steps than the longest window."""

SLOWEST: Final = 0.1
FASTEST: Final = 1e9
"""Seconds of the span a second. Slower is a pause, and faster than any machine makes pictures is 0."""

_MINUTE_S: Final = 60.0
_MAX_UINT32: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Span:
    """What is played: pictures from a minute on, in steps, each of a minute before the end.

    Raises:
        InvalidArgument: names the field and what is allowed.
    """

    from_minute: int
    until_minute: int
    step_minutes: int

    def __post_init__(self) -> None:
        if not 0 <= self.from_minute <= MAX_MINUTE:
            raise InvalidArgument(f"from_minute {self.from_minute} is invalid; use 0 to {MAX_MINUTE}")
        if not self.from_minute < self.until_minute <= MAX_MINUTE + 1:
            raise InvalidArgument(
                f"until_minute {self.until_minute} is invalid; it must lie above from_minute {self.from_minute}, up to"
                f" {MAX_MINUTE + 1}"
            )
        if not 1 <= self.step_minutes <= MAX_STEP_MINUTES:
            raise InvalidArgument(f"step_minutes {self.step_minutes} is invalid; use 1 to {MAX_STEP_MINUTES}, or 0")

    def after(self, minute: int) -> int | None:
        """Return the minute of the picture after that of a minute; None where it would leave the span."""
        following = minute + self.step_minutes
        return following if following < self.until_minute else None

    def check(self, minute: int) -> None:
        """Raise OutOfRange where a minute is not one of the span."""
        if not self.from_minute <= minute < self.until_minute:
            raise OutOfRange(
                f"seek.minute {minute} lies outside of the span; use {self.from_minute} to {self.until_minute - 1}"
            )


def check_speed(field: str, speed: float) -> float:
    """Return a speed.

    Raises:
        InvalidArgument: names the field and what is allowed.
    """
    if speed and not SLOWEST <= speed <= FASTEST:  # also refuses NaN
        raise InvalidArgument(
            f"{field} {speed} is invalid; use {SLOWEST:g} to {FASTEST:g} seconds of the span a second,"
            " or 0 for as fast as it is acknowledged"
        )
    return speed


def interval_s(step_minutes: int, speed: float) -> float:
    """Return seconds from one picture to the next; 0 = at once."""
    return step_minutes * _MINUTE_S / speed if speed else 0.0


@dataclass(frozen=True, slots=True)
class PlaybackSource:
    """Of whom a playback is, for its messages.

    Attributes:
        source_id: of the shard.
        epoch: of the playback.
        simulated, input: of the shard.
    """

    source_id: str
    epoch: int
    simulated: bool
    input: str

    @property
    def states(self) -> tuple[stream_pb2.DataState, ...]:
        """Return what the data are."""
        return data_states(simulated=self.simulated, replay=True)


def hello(
    source: PlaybackSource,
    channels: Sequence[Channel],
    *,
    now_ns: int,
    heartbeat_ms: int,
    picture_s: float,
    max_in_flight: int,
) -> stream_pb2.Frame:
    """Return the first message of a playback.

    Args:
        source: of whom it is.
        channels: what is played.
        now_ns: wall clock.
        heartbeat_ms: idle time after which a heartbeat follows.
        picture_s: from one picture to the next.
        max_in_flight: the window.
    """
    tick_ms = min(max(1, round(picture_s * 1000)), _MAX_UINT32)
    return stream_pb2.Frame(
        hello=stream_pb2.Hello(
            protocol_revision=PROTOCOL_REVISION,
            server_version=__version__,
            server_unix_ns=now_ns,
            heartbeat_ms=heartbeat_ms,
            sources=[
                stream_pb2.SourceDescription(
                    source_id=source.source_id,
                    epoch=source.epoch,
                    tick_ms=tick_ms,
                    states=source.states,
                    input=source.input,
                )
            ],
            channels=[describe_channel(source.source_id, channel) for channel in channels],
            max_in_flight=max_in_flight,
        )
    )


def heartbeat(source: PlaybackSource, tick: int | None, source_watermark_ns: int) -> stream_pb2.Frame:
    """Return proof of life.

    Args:
        source: of whom it is.
        tick: of the newest picture that has gone out to its end; None = none has.
        source_watermark_ns: of that picture.
    """
    point = stream_pb2.ResumePoint(source_id=source.source_id, epoch=source.epoch, tick=tick or 0)
    return stream_pb2.Frame(
        heartbeat=stream_pb2.Heartbeat(
            positions=[] if tick is None else [point],
            source_watermark_unix_ns=[] if tick is None else [source_watermark_ns],
            states=source.states,
        )
    )
