"""/healthz, the same by every HTTP door: whether a load balancer should send readers here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from liqscape.api.conversions import DataView, status_response
from liqscape.broadcast.accounts import Account
from liqscape.broadcast.hubs import Hubs
from liqscape.grid.updates import EngineStatus
from liqscape.v1 import query_pb2, stream_pb2

AskStatus = Callable[[], Awaitable[EngineStatus]]
"""Returns what the engine is doing; never raises. QueryPort.status is one."""

VERDICT_HOLDS_S: Final = 0.25
"""Load balancers ask every few seconds; whoever asks all the time must not make an engine answer all the time."""


async def health_now(view: DataView, status: AskStatus) -> tuple[bool, dict[str, str]]:
    """Return health_of() a server as it is; what it has counted does not matter.

    Args:
        view: what the data are.
        status: what the engine is doing.
    """
    return health_of(status_response(await status(), view, Account()), is_draining=view.goodbye is not None)


def health_of(status: query_pb2.GetStatusResponse, *, is_draining: bool) -> tuple[bool, dict[str, str]]:
    """Return whether a load balancer should send readers here, and the verdict in a word and a reason.

    An input that has ended is healthy: its last state is what the server was asked to serve.
    """
    state = query_pb2.EngineState.Name(status.state).removeprefix("ENGINE_STATE_").lower()
    if status.state == query_pb2.ENGINE_STATE_FAILED:
        return False, {"status": state, "reason": f"the engine has failed: {status.message}"}
    if is_draining:
        return False, {"status": "draining", "reason": "the server is stopping"}
    if status.state == query_pb2.ENGINE_STATE_BUILDING:
        return False, {"status": state, "reason": status.message or "history is still being built"}
    if stream_pb2.DATA_STATE_STALE in status.states:
        return False, {"status": "stale", "reason": f"no tick after {status.tick} for longer than is usual"}
    return True, {"status": state}


class PublicHealth:
    """The verdict for a door where nobody needs a token: found out now and then, and told in a word without a reason.

    Args:
        hubs: of the streams.
        status: what the engine is doing.
    """

    def __init__(self, hubs: Hubs, status: AskStatus) -> None:
        self._hubs = hubs
        self._status = status
        self._asking = asyncio.Lock()
        self._verdict = (False, "unknown")
        self._holds_until = float("-inf")

    async def answer(self, _request: web.Request) -> web.Response:
        """Answer 200 where there is data to be had, else 503."""
        async with self._asking:
            if self._hubs.monotonic() >= self._holds_until:
                is_healthy, verdict = await health_now(self._hubs.current, self._status)
                self._verdict = is_healthy, verdict["status"]
                self._holds_until = self._hubs.monotonic() + VERDICT_HOLDS_S
        is_healthy, word = self._verdict
        return health_answer(is_healthy, {"status": word})


def health_answer(is_healthy: bool, verdict: dict[str, str]) -> web.Response:
    """Return what a door answers: 200 or 503, and one line."""
    return web.Response(
        status=200 if is_healthy else 503, text=json.dumps(verdict) + "\n", content_type="application/json"
    )
