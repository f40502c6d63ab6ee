"""Peers that mean no good: raw sockets that speak as much HTTP/2 as they need to, and no more."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _DATA, _SETTINGS = 1, 0, 4
_END_HEADERS, _END_STREAM = 4, 1
_BATCH = 200
"""Connections opened at one time: fewer than a listening socket lets wait."""


def greeting() -> bytes:
    """Return what a client says first: the preface and its settings."""
    return PREFACE + frame(_SETTINGS, 0, 0, b"")


def call_headers(stream_id: int, path: str, authority: str, token: str | None) -> bytes:
    """Return the headers of a gRPC call; its message is still to come."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    if token is not None:
        headers.append(("authorization", f"Bearer {token}"))
    return frame(_HEADERS, _END_HEADERS, stream_id, b"".join(_literal(*header) for header in headers))


def data(stream_id: int, part: bytes, *, last: bool = False) -> bytes:
    """Return a part of a message, or the last one of the call."""
    return frame(_DATA, _END_STREAM * last, stream_id, part)


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


class Peers:
    """Many connections, opened together and held."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self.sockets: list[socket.socket] = []

    async def __aenter__(self) -> Peers:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self.sockets:
            peer.close()

    async def connect(self, count: int, first_words: bytes = b"") -> None:
        """Open so many more, each saying its first words."""
        for first in range(0, count, _BATCH):
            await asyncio.gather(*(self._connect(first_words) for _ in range(min(_BATCH, count - first))))

    async def _connect(self, first_words: bytes) -> None:
        peer = socket.socket()
        peer.setblocking(False)
        self.sockets.append(peer)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(peer, self._to)
        if first_words:
            await loop.sock_sendall(peer, first_words)

    def say(self, words: bytes) -> int:
        """Send words on every connection that still takes them; return on how many."""
        spoken = 0
        for peer in self.sockets:
            try:
                peer.send(words)
                spoken += 1
            except OSError:
                continue
        return spoken

    def dropped(self) -> int:
        """Return how many connections the server has ended; reads away what it said."""
        return sum(_is_over(peer) for peer in self.sockets)


def _is_over(peer: socket.socket) -> bool:
    try:
        while peer.recv(65_536):
            continue
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _literal(name: str, value: str) -> bytes:
    """Return a header as HPACK, neither indexed nor compressed; both parts are shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
