"""Sessions and playbacks over a WebSocket: the messages of StreamService, one a binary message, both ways."""

from __future__ import annotations

from typing import Final

import grpc
from aiohttp import WSCloseCode, WSMsgType, web

from liqscape.api.calls import CallContext, CallFailure
from liqscape.api.grpc_service import MAX_REQUEST_BYTES
from liqscape.errors import InvalidArgument

SUBPROTOCOL: Final = "liqscape.v1"
SESSION_METHOD: Final = "/liqscape.v1.StreamService/Session"
PLAYBACK_METHOD: Final = "/liqscape.v1.StreamService/Playback"

CLOSE_CODES: Final = 4000
"""A call that fails ends with this plus the number of gRPC's code; 4000 to 4999 are free for applications."""

MAX_REASON_BYTES: Final = 123
"""Of a close frame, by RFC 6455."""

PING_S: Final = 20.0
"""Reaps a peer whose machine has gone."""

WRITE_AHEAD_BYTES: Final = 64 << 10
"""Taken before a write waits. Credits bound what is under way; this bounds a frame of a join."""


def new_socket() -> web.WebSocketResponse:
    """Return a socket that has still to be prepared. Frames are compressed where that pays, so nothing is here."""
    return web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        heartbeat=PING_S,
        max_msg_size=MAX_REQUEST_BYTES,
        compress=False,
        writer_limit=WRITE_AHEAD_BYTES,
    )


class SocketTransport:
    """See calls.Transport."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes | None:
        """Return the next message.

        Raises:
            InvalidArgument: it is text.
        """
        message = await self._socket.receive()
        if message.type == WSMsgType.BINARY:
            assert isinstance(message.data, bytes)
            return message.data
        if message.type == WSMsgType.TEXT:
            raise InvalidArgument("a text message came; send each request as a binary one")
        return None

    async def write(self, message: bytes) -> None:
        try:
            await self._socket.send_bytes(message)
        except ConnectionError as error:
            raise PeerGone(str(error)) from error


class PeerGone(grpc.aio.UsageError):
    """Nobody is left to write to; the handlers know it by gRPC's name."""


async def close(socket: web.WebSocketResponse, failure: CallFailure | None) -> None:
    """Close a socket the way its call has ended."""
    if failure is None:
        await socket.close(code=WSCloseCode.OK)
        return
    reason = failure.message.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()
    await socket.close(code=CLOSE_CODES + failure.code.value[0], message=reason)


def socket_context(peer: str, socket: web.WebSocketResponse) -> CallContext:
    """Return the context of a call over a socket."""
    return CallContext(peer, SocketTransport(socket))
