"""A past span, read picture by picture: replicas that hold what was, at a pace that the reader sets.

Nothing runs in the background: a picture is read when it is asked for, and acknowledged once the next one is. So
whoever takes long over a picture slows the playback, and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import grpc
from google.protobuf.message import DecodeError as ProtobufDecodeError

from liqscape.v1 import stream_pb2
from liqscape_client.channel_parts import ChannelPart
from liqscape_client.errors import ClientError, DecodeError, Unreachable
from liqscape_client.frame_effect import FrameEffect
from liqscape_client.grids import Heatmap
from liqscape_client.market_state import SymbolState
from liqscape_client.replica_set import ReplicaSet
from liqscape_client.retry import to_client_error

PLAYBACK_METHOD: Final = "/liqscape.v1.StreamService/Playback"

OPENING_LIMIT_S: Final = 40.0
"""From the call to its first message; a server gives the first picture 30 s."""

MAX_MENDINGS: Final = 3
"""What three times keyframes of everything have not mended is no accident of the line."""

_STATES: Final = {
    stream_pb2.PlaybackPosition.STATE_PLAYING: "playing",
    stream_pb2.PlaybackPosition.STATE_PAUSED: "paused",
    stream_pb2.PlaybackPosition.STATE_STOPPED: "stopped",
}
_STOPS: Final = {
    stream_pb2.PlaybackPosition.STOP_UNSPECIFIED: "",
    stream_pb2.PlaybackPosition.STOP_END_OF_SPAN: "end of span",
    stream_pb2.PlaybackPosition.STOP_NOT_HELD: "not held",
}

Request = stream_pb2.PlaybackRequest


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a playback stands.

    Attributes:
        minute: what is held is as of the end of this minute since 1970 UTC.
        is_new: a picture came with it; else only what follows has changed.
        state: "playing", "paused" or "stopped".
        stopped: why: "end of span", or "not held" where the server does not hold the next minute; else empty.
        details: the same in the server's words.
        speed: seconds of the span a second; 0 = as fast as pictures are made and taken.
        step_minutes: from one picture to the next.
        requests: how many of play, pause, seek and set_speed are in force or refused.
        refused: why the newest of them was refused; it has changed nothing. Empty = it was not.
    """

    minute: int
    is_new: bool
    state: str
    stopped: str
    details: str
    speed: float
    step_minutes: int
    requests: int
    refused: str

    @classmethod
    def from_message(cls, position: stream_pb2.PlaybackPosition, *, is_new: bool) -> Moment:
        """Read a position."""
        return cls(
            minute=position.minute,
            is_new=is_new,
            state=_STATES.get(position.state, f"state {position.state}"),
            stopped=_STOPS.get(position.stopped, f"stop {position.stopped}"),
            details=position.details,
            speed=position.speed,
            step_minutes=position.step_minutes,
            requests=position.requests,
            refused=position.refused,
        )


class Playback:
    """A past span of a server: `async with client.playback(...) as playback`, then `async for moment in playback`.

    The loop ends after the moment that says "stopped", and may be begun again after a seek, which leaves it paused, or
    play. Nothing is tried again by itself: what breaks a playback is raised, and another may be opened from
    `moment.minute`.

    Args:
        open_channel: opens a connection of its own.
        request: what to play.
        metadata: sent with the call.
        monotonic_s: clock that never steps.

    Attributes:
        replicas: what is held.
        moment: the newest; None before the first.
        mendings: times at which something was found broken, and all keyframes were asked for.
    """

    def __init__(
        self,
        open_channel: Callable[[], grpc.aio.Channel],
        request: stream_pb2.PlaybackOpen,
        metadata: Sequence[tuple[str, str]],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._open_channel = open_channel
        self._request = request
        self._metadata = tuple(metadata)
        self._channel: grpc.aio.Channel | None = None
        self._call: grpc.aio.StreamStreamCall[stream_pb2.PlaybackRequest, bytes] | None = None
        self._writing = asyncio.Lock()  # a call takes one write at a time
        self._frames = 0
        self._acknowledged = 0
        self._requests = 0
        self._asked_since_stop = False
        self._farewell = ""
        self._is_cut = False
        self.replicas = ReplicaSet(monotonic_s)
        self.moment: Moment | None = None
        self.mendings = 0

    async def __aenter__(self) -> Playback:
        self._channel = self._open_channel()
        playback: grpc.aio.StreamStreamMultiCallable[stream_pb2.PlaybackRequest, bytes] = self._channel.stream_stream(
            PLAYBACK_METHOD, request_serializer=Request.SerializeToString
        )
        self._call = playback(metadata=self._metadata)
        self.replicas.connecting()
        await self._say(Request(open=self._request))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the playback. May be called twice."""
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            await channel.close()
        self.replicas.disconnected("closed")

    # ---- what may be asked for; the next moments tell what became of it

    async def play(self) -> None:
        """Go on from where it stands. A minute that was not held is tried again."""
        await self._ask(Request(play=stream_pb2.PlaybackPlay()))

    async def pause(self) -> None:
        """Stay; a picture that is already under way still comes."""
        await self._ask(Request(pause=stream_pb2.PlaybackPause()))

    async def seek(self, minute: int) -> None:
        """Go to a minute of the span, and play or stay as before."""
        await self._ask(Request(seek=stream_pb2.PlaybackSeek(minute=minute)))

    async def set_speed(self, speed: float) -> None:
        """Play at so many seconds of the span a second from now on; 0 = as fast as pictures are made and taken."""
        await self._ask(Request(speed=stream_pb2.PlaybackSpeed(speed=speed)))

    # ---- what is held

    def heatmap(self, symbol: str, timeframe: str, part: ChannelPart | None = None) -> Heatmap:
        """Return a copy of one channel as of `moment.minute`.

        Raises:
            NotServed: it is not played. NotInSync: nothing has come of it yet.
        """
        return self.replicas.replica(symbol, timeframe, part).heatmap()

    def symbol(self, name: str) -> SymbolState | None:
        """Return the price of then; None before the first picture. A mark price of 0 is not known."""
        return self.replicas.symbol(name)

    def __aiter__(self) -> AsyncIterator[Moment]:
        return self

    async def __anext__(self) -> Moment:
        """Return the next moment, once the one before is done with.

        Raises:
            ServerError: the server refused, or failed. ClientError: it has ended the playback. DecodeError: what it
                sends cannot be read.
        """
        if self.moment is not None and self.moment.state == "stopped" and not self._asked_since_stop:
            raise StopAsyncIteration
        while True:
            await self._acknowledge()
            frame = await self._read()
            effect = self.replicas.apply(frame)
            await self._mend(effect)
            if effect.reconnect_after_ms is not None:
                self._farewell = frame.going_away.reason
            if frame.WhichOneof("control") == "playback":
                self.moment = Moment.from_message(frame.playback, is_new=bool(frame.sections))
                self._asked_since_stop = frame.playback.requests < self._requests
                return self.moment

    # ---- the call

    async def _ask(self, request: stream_pb2.PlaybackRequest) -> None:
        self._requests += 1
        self._asked_since_stop = True  # the loop goes on until the answer has come
        await self._say(request)

    async def _acknowledge(self) -> None:
        if self._acknowledged < self._frames:
            self._acknowledged = self._frames
            await self._say(Request(acknowledge=stream_pb2.Acknowledge(frames=self._frames)))

    async def _mend(self, effect: FrameEffect) -> None:
        """Have everything sent anew where something was found broken."""
        if effect.fatal is not None:
            raise DecodeError(effect.fatal)
        if not effect.damage:
            return
        self.mendings += 1
        if self.mendings > MAX_MENDINGS:
            raise DecodeError(f"broke again after {MAX_MENDINGS} seeks: {effect.broken}")
        await self.seek(self._request.from_minute if self.moment is None else self.moment.minute)

    async def _read(self) -> stream_pb2.Frame:
        if self._call is None:
            raise ClientError("the playback is not open; use it in `async with`")
        limit_s = self.replicas.dead_after_s if self._frames else OPENING_LIMIT_S
        try:
            async with asyncio.timeout(limit_s):
                message: object = await self._call.read()
        except TimeoutError:
            raise Unreachable("DEADLINE_EXCEEDED", f"nothing heard for {limit_s:.1f} s") from None
        except grpc.aio.AioRpcError as error:
            # A write to a call that the server has ended fails it as a whole, and with it what was still to be read.
            if self._is_cut and error.code() is grpc.StatusCode.INTERNAL:
                raise self._ended() from error
            raise to_client_error(error) from error
        if not isinstance(message, bytes):
            raise self._ended()
        self._frames += 1
        try:
            return stream_pb2.Frame.FromString(message)
        except ProtobufDecodeError as error:
            raise DecodeError(f"the server's bytes cannot be read: {error}") from None

    def _ended(self) -> ClientError:
        reason = f": {self._farewell}" if self._farewell else ""
        return ClientError(f"the server has ended the playback{reason}; another may go on from where this one stood")

    async def _say(self, request: stream_pb2.PlaybackRequest) -> None:
        if self._call is None:
            raise ClientError("the playback is not open; use it in `async with`")
        # Where the call has ended, the next read says how.
        try:
            async with self._writing:
                await self._call.write(request)
        except (asyncio.InvalidStateError, grpc.aio.UsageError, grpc.aio.AioRpcError):
            self._is_cut = True
