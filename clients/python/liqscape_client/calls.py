"""The two ways to read a stream: Subscribe, and Session, which acknowledges, rejects and changes on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, Protocol

import grpc

from liqscape.v1 import stream_pb2
from liqscape_client.frame_effect import FrameEffect
from liqscape_client.mending import Mending
from liqscape_client.replica_set import ReplicaSet

SUBSCRIBE_METHOD: Final = "/liqscape.v1.StreamService/Subscribe"
SESSION_METHOD: Final = "/liqscape.v1.StreamService/Session"

Metadata = Sequence[tuple[str, str]]


class StreamCall(Protocol):
    """One open call."""

    async def read(self) -> bytes | None:
        """Return the next message; None at the end."""
        ...

    async def settle(self, effect: FrameEffect) -> str | None:
        """Say to the server what is to be said once a message has been applied; return why the call is of no use."""
        ...


class SubscribeCall:
    """Subscribe: nothing can be said, so whatever breaks needs a new call."""

    def __init__(self, channel: grpc.aio.Channel, request: stream_pb2.SubscribeRequest, metadata: Metadata) -> None:
        # No deserializer: the size of a message is of interest, and a bad one must not look like a broken line.
        subscribe: grpc.aio.UnaryStreamMultiCallable[stream_pb2.SubscribeRequest, bytes] = channel.unary_stream(
            SUBSCRIBE_METHOD, request_serializer=stream_pb2.SubscribeRequest.SerializeToString
        )
        self._call = subscribe(request, metadata=tuple(metadata))

    async def read(self) -> bytes | None:
        """Return the next message; None at the end."""
        message: object = await self._call.read()
        return message if isinstance(message, bytes) else None

    async def settle(self, effect: FrameEffect) -> str | None:
        """Return why the call is of no use."""
        return effect.broken


class SessionCall:
    """Session: each message of data is acknowledged once it is applied, broken channels are rejected."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        request: stream_pb2.SubscribeRequest,
        metadata: Metadata,
        replicas: ReplicaSet,
        mending: Mending,
    ) -> None:
        session: grpc.aio.StreamStreamMultiCallable[stream_pb2.SessionRequest, bytes] = channel.stream_stream(
            SESSION_METHOD, request_serializer=stream_pb2.SessionRequest.SerializeToString
        )
        self._call = session(metadata=tuple(metadata))
        self._opening = stream_pb2.SessionRequest(open=request)
        self._is_open = False
        self._writing = asyncio.Lock()  # a call takes one write at a time
        self._replicas = replicas
        self._mending = mending
        self._frames = 0

    async def read(self) -> bytes | None:
        """Return the next message; None at the end."""
        if not self._is_open:
            self._is_open = True
            await self._say(self._opening)
        message: object = await self._call.read()
        return message if isinstance(message, bytes) else None

    async def settle(self, effect: FrameEffect) -> str | None:
        """Acknowledge and reject; return why neither helps."""
        self._frames += 1
        if effect.fatal is not None:
            return effect.fatal
        for reject in self._mending.take(effect, self._replicas):
            await self._say(stream_pb2.SessionRequest(reject=reject))
        if effect.has_data:
            # The total counts the control messages before it, which need no acknowledgement of their own.
            await self._say(stream_pb2.SessionRequest(acknowledge=stream_pb2.Acknowledge(frames=self._frames)))
        return self._mending.failure()

    @property
    def is_greeted(self) -> bool:
        """Return whether the server has said anything, so that more than the opening may be said to it."""
        return self._frames > 0

    async def change(self, selectors: Sequence[stream_pb2.ChannelSelector], cadence_ms: int) -> None:
        """Ask for other channels; the answer comes as a message."""
        change = stream_pb2.Change(channels=selectors, cadence_ms=cadence_ms)
        await self._say(stream_pb2.SessionRequest(change=change))

    async def _say(self, request: stream_pb2.SessionRequest) -> None:
        # Where the call has ended, the next read says how.
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.UsageError):
            async with self._writing:
                await self._call.write(request)
