"""Why a venue could not be reached, in words."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from liqscape.feeds.live.transport import _AiohttpSocket, in_words

KEY = ConnectionKey("venue.test", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")), "its host name is not found"),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "wrong version number")), "no TLS with it"),
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (aiohttp.ClientConnectorError(KEY, OSError()), "no connection"),
        (aiohttp.ServerDisconnectedError(), "it has hung up"),
        (aiohttp.ClientPayloadError(), "ClientPayloadError"),
    ],
)
def test_reason_says_what_to_look_at(error: Exception, words: str) -> None:
    assert in_words(error) == words


class EndedSocket:
    """A WebSocket of aiohttp after its end."""

    def __init__(self, code: int | None) -> None:
        self.close_code = code

    async def receive(self) -> aiohttp.WSMessage:
        return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)


@pytest.mark.parametrize(
    ("code", "words"),
    [(None, "closed"), (1006, "cut off without a closing message"), (1008, "closed with code 1008")],
)
async def test_end_of_a_connection_says_whether_the_venue_has_closed_it(code: int | None, words: str) -> None:
    socket = _AiohttpSocket(EndedSocket(code))  # type: ignore[arg-type]

    heard = await socket.receive()

    assert (heard, socket.why) == (None, words)
