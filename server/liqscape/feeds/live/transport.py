"""WebSockets and HTTP requests, by aiohttp: the one place that opens them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

import aiohttp

from liqscape import __version__
from liqscape.errors import LiqscapeError
from liqscape.feeds.venues.dialect import MAX_MESSAGE_BYTES, Request

CLOSE_S: Final = 1.0
"""For a venue to answer the end of a connection."""

CHUNK_BYTES: Final = 1 << 16

LONGEST_RETRY_S: Final = 3600.0
"""Of what a venue asks us to wait: longer bans are asked about once an hour."""


_WITHOUT_CODE: Final[dict[int | None, str]] = {
    None: "closed",
    aiohttp.WSCloseCode.ABNORMAL_CLOSURE: "cut off without a closing message",
}
"""In words: a venue sends neither."""


class ConnectFailed(LiqscapeError):
    """A connection that did not come about, or a request without an answer.

    Args:
        text: what happened.
        status: of HTTP, if there was an answer.
        retry_after_s: what the other side asks for.
    """

    def __init__(self, text: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request, whole."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class Socket(Protocol):
    """An open WebSocket."""

    async def receive(self) -> bytes | None:
        """Return the next message, or None at its end; `why` then says why."""
        ...

    @property
    def why(self) -> str:
        """Return why it has ended."""
        ...

    async def send(self, message: str | bytes) -> None:
        """Send one message.

        Raises:
            ConnectFailed: it has ended.
        """
        ...

    async def close(self) -> None:
        """End it."""
        ...


class Transport(Protocol):
    """What opens sockets and sends requests."""

    async def connect(self, url: str, ping_s: float | None) -> Socket:
        """Open a WebSocket.

        Raises:
            ConnectFailed: it cannot be opened.
        """
        ...

    async def request(self, request: Request) -> Answer:
        """Send a request.

        Raises:
            ConnectFailed: there is no answer, or one too large.
        """
        ...


class _AiohttpSocket:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.why = ""

    async def receive(self) -> bytes | None:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            text: str = message.data
            return text.encode()
        if message.type is aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        if message.type is aiohttp.WSMsgType.ERROR:
            self.why = f"broken: {type(message.data).__name__}"
        else:
            code = self._socket.close_code
            self.why = _WITHOUT_CODE.get(code) or f"closed with code {code}"
        return None

    async def send(self, message: str | bytes) -> None:
        try:
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_str(message)
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectFailed(f"could not send: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._socket.close()


class AiohttpTransport:
    """See Transport.

    Args:
        session: of the event loop.
        rewrite: what is asked for instead of an address; for tests and for mirrors of one's own.
    """

    def __init__(self, session: aiohttp.ClientSession, rewrite: Callable[[str], str]) -> None:
        self._session = session
        self._rewrite = rewrite

    async def connect(self, url: str, ping_s: float | None) -> Socket:
        try:
            socket = await self._session.ws_connect(
                self._rewrite(url),
                heartbeat=ping_s,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            retry_after = error.headers.get("Retry-After") if error.headers else None
            raise ConnectFailed(f"HTTP {error.status}", error.status, _retry_after_s(retry_after)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectFailed(in_words(error)) from error
        return _AiohttpSocket(socket)

    async def request(self, request: Request) -> Answer:
        headers = None if request.json is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                "GET" if request.json is None else "POST",
                self._rewrite(request.url),
                params=request.query,
                data=request.json,
                headers=headers,
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    body += chunk
                    if len(body) > MAX_MESSAGE_BYTES:
                        raise ConnectFailed(f"an answer of more than {MAX_MESSAGE_BYTES} bytes")
                return Answer(response.status, bytes(body), _retry_after_s(response.headers.get("Retry-After")))
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise ConnectFailed(in_words(error)) from error


@asynccontextmanager
async def open_transport(rewrite: Callable[[str], str] = lambda url: url) -> AsyncIterator[Transport]:
    """Run a transport until the block is left."""
    session = aiohttp.ClientSession(
        headers={"User-Agent": f"liqscape/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=None),  # whoever asks sets limits, by its own clock
        trust_env=True,
        auto_decompress=True,
    )
    async with session:
        yield AiohttpTransport(session, rewrite)


def through_relay(relay: str) -> Callable[[str], str]:
    """Return what asks a relay instead of venues: wss://HOST/PATH becomes ws(s)://RELAY/HOST/PATH, and so on.

    Args:
        relay: http://HOST:PORT or https://HOST:PORT, with a path or not.
    """
    scheme, _, place = relay.rstrip("/").partition("://")
    sockets = "wss" if scheme == "https" else "ws"

    def rewrite(url: str) -> str:
        asked, _, rest = url.partition("://")
        return f"{sockets if asked in ('ws', 'wss') else scheme}://{place}/{rest}"

    return rewrite


def _retry_after_s(text: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a count of them, or a date."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_S)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(0.0, date.timestamp() - time.time()), LONGEST_RETRY_S)


def in_words(error: Exception) -> str:
    """Return why a venue could not be reached, for who has to do something about it."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name is not found"
    if isinstance(error, aiohttp.ClientSSLError):
        return "no TLS with it"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it has hung up"
    return type(error).__name__
