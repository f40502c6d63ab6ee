"""Two readers of everything that a server streams, by its two doors, which come back by themselves: for soak_live.

Each holds replicas and checks what it is told (chains, checksums); how often that was wrong is in its counters.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from liqscape.v1 import stream_pb2
from liqscape_client.replica_set import ReplicaSet

AGAIN_AFTER_S: Final = 1.0
"""Before a WebSocket that has ended is opened once more."""


@dataclass(eq=False)
class WebReader:
    """A session over a WebSocket, as the page has one.

    Attributes:
        url: of the page, with a slash at its end.
        replicas: what it holds.
        frames, connections: so far.
        ends: why its sockets have ended, in the order in which they did.
    """

    url: str
    replicas: ReplicaSet = field(default_factory=lambda: ReplicaSet(time.monotonic))
    frames: int = 0
    connections: int = 0
    ends: list[str] = field(default_factory=list)

    @property
    def in_sync(self) -> bool:
        """Return whether it holds what the server has."""
        return self.replicas.in_sync

    async def run(self) -> None:
        """Read until cancelled."""
        async with aiohttp.ClientSession() as http:
            while True:
                reason = "refused"
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    reason = await self._read(http)
                self.replicas.disconnected(reason)
                self.ends.append(reason)
                await asyncio.sleep(AGAIN_AFTER_S)

    async def _read(self, http: aiohttp.ClientSession) -> str:
        self.replicas.connecting()
        async with http.ws_connect(f"{self.url}v1/stream", protocols=("liqscape.v1",), max_msg_size=0) as socket:
            self.connections += 1
            opening = stream_pb2.SubscribeRequest(resume=self.replicas.resume_points())
            await socket.send_bytes(stream_pb2.SessionRequest(open=opening).SerializeToString())
            frames = 0
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.BINARY:
                    continue
                frames, self.frames = frames + 1, self.frames + 1
                effect = self.replicas.apply(stream_pb2.Frame.FromString(message.data))
                if effect.broken:
                    return effect.broken
                acknowledge = stream_pb2.Acknowledge(frames=frames)
                await socket.send_bytes(stream_pb2.SessionRequest(acknowledge=acknowledge).SerializeToString())
            return f"closed with {socket.close_code}"
