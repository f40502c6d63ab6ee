"""The side that asks over a socket of link/host.py."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final

import grpc

from liqscape.errors import Unavailable
from liqscape.link.messages import ASK, LINK_OPTIONS, RECORDS, SERVICE, Failure, Question, pack, unpack

ANSWER_LIMIT_S: Final = 60.0
"""Twice what the services give a question at most: an edge that has stalled must not keep the engine at work."""

RETRY_AFTER_MS: Final = 1000
"""A process is started again at once, and is up within a second or two."""

_CHANNEL_OPTIONS: Final = (
    *LINK_OPTIONS,
    # A file on this machine: whether somebody listens is known at once, and asking costs nothing.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)

RecordsCall = grpc.aio.UnaryStreamCall[bytes, bytes]


class Late(Unavailable):
    """Somebody is there, but no answer has come in time."""


class Asker:
    """A connection to one socket, made anew whenever it has broken.

    Args:
        path: of the socket; nobody need listen there yet.
        who: the other side in words, for errors.
    """

    def __init__(self, path: Path, who: str) -> None:
        self._who = who
        self._channel = grpc.aio.insecure_channel(f"unix:{path}", options=_CHANNEL_OPTIONS)
        self._ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(f"/{SERVICE}/{ASK}")
        self._records: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(
            f"/{SERVICE}/{RECORDS}"
        )

    async def ask(self, method: str, *arguments: object, timeout_s: float = ANSWER_LIMIT_S) -> Any:
        """Return what a method of the other side's returns. Cancelling this cancels it there.

        Raises:
            LiqscapeError: as raised there. Unavailable: nobody is there. Late: no answer came in time.
        """
        try:
            answer = unpack(await self._ask(pack(Question(method, arguments)), timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            raise self._unavailable(error, timeout_s) from None
        if isinstance(answer, Failure):
            raise answer.error()
        return answer

    def records(self, name: bytes) -> RecordsCall:
        """Open a stream of records under a name of its own; waits until somebody is there."""
        return self._records(name, wait_for_ready=True)

    async def close(self) -> None:
        """End the connection and every call on it."""
        with contextlib.suppress(Exception):  # nothing is lost that was not given up
            await self._channel.close()

    def _unavailable(self, error: grpc.aio.AioRpcError, timeout_s: float) -> Unavailable:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            unavailable: Unavailable = Late(f"{self._who} has not answered within {timeout_s:g} s")
        else:
            unavailable = Unavailable(f"{self._who} has ended and is being started again")
        unavailable.retry_after_ms = RETRY_AFTER_MS
        return unavailable
