"""Why a venue could not be reached, in words."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from liqscape.feeds.live.transport import in_words

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
