"""Readers that stop reading: raw sockets, because every gRPC client drains a stream by itself.

    frozen          never reads a byte from its socket after its request: a machine that went to sleep
    withholding     reads its socket and answers settings and pings, but never grants more than the first 65,535 bytes:
                    a program that has stopped taking messages, in a client that works

Both grant what HTTP/2 grants by itself. One that grants more and is frozen cannot be told from a healthy one until the
buffers of both kernels are full: tried, these took 0.7 MB and more of each such reader, and its pings ended it first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import TracebackType
from typing import Final

from tests.hostile_peers import Peers, call_headers, data, frame, greeting

SUBSCRIBE: Final = "/liqscape.v1.StreamService/Subscribe"
FROZEN: Final = "frozen"
WITHHOLDING: Final = "withholding"

_EMPTY_REQUEST: Final = bytes(5)
"""Every channel there is, in the five bytes of a gRPC message without content."""

_FRAME_HEADER_BYTES: Final = 9
_SETTINGS: Final = 4
_PING: Final = 6
_ACK: Final = 1


class StalledReaders(Peers):
    """Readers of one kind, each with a connection and a stream of its own."""

    def __init__(self, address: str, kind: str) -> None:
        super().__init__(address)
        request = call_headers(1, SUBSCRIBE, address, None) + data(1, _EMPTY_REQUEST, last=True)
        self._first_words = greeting() + request
        self._answers = kind == WITHHOLDING

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self.sockets:
            asyncio.get_running_loop().remove_reader(peer)
        await super().__aexit__(kind, error, trace)

    async def __aenter__(self) -> StalledReaders:
        return self

    async def open(self, count: int) -> None:
        """Open so many more streams."""
        first = len(self.sockets)
        await self.connect(count, self._first_words)
        if self._answers:
            for peer in self.sockets[first:]:
                asyncio.get_running_loop().add_reader(peer, _Answers(peer).read)


class _Answers:
    """What keeps a connection alive."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._unread = bytearray()

    def read(self) -> None:
        """Read what is there and answer settings and pings."""
        received = b""
        with contextlib.suppress(OSError):
            received = self._peer.recv(1 << 16)
        if not received:
            asyncio.get_running_loop().remove_reader(self._peer)  # the server has ended the connection
            return
        self._unread += received
        while len(self._unread) >= _FRAME_HEADER_BYTES:
            end = _FRAME_HEADER_BYTES + int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < end:
                break
            kind, flags, content = self._unread[3], self._unread[4], bytes(self._unread[_FRAME_HEADER_BYTES:end])
            del self._unread[:end]
            if kind in (_SETTINGS, _PING) and not flags & _ACK:
                with contextlib.suppress(OSError):
                    self._peer.send(frame(kind, _ACK, 0, content if kind == _PING else b""))
