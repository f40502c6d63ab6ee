"""A server that serves, as whoever runs it sees it: of one process or of many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from liqscape.broadcast.ports import ShardDescription
from liqscape.feeds.source import Progress
from liqscape.grid.updates import EngineStatus


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that serves. `ended` is set when the input has ended or the engine has failed.

    `input` and `backend` are in words for people; the latter says why it is that one. `page` is the address of the page
    and `metrics` that of /metrics, if they are served. `drain` sends readers elsewhere; see RunningGrpcServer.
    """

    address: str
    input: str
    backend: str
    ended: asyncio.Event
    status: Callable[[], Awaitable[EngineStatus]]
    progress: Callable[[], Awaitable[Progress]]
    page: str | None
    metrics: str | None
    streams: Callable[[], int]
    drain: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StartedEngine:
    """What an engine in a process of its own says once it can be asked. `backend` is in words for people."""

    shard: ShardDescription
    backend: str


@dataclass(frozen=True, slots=True)
class StartedEdge:
    """What an edge in a process of its own says once it serves: its address, and that of the page."""

    address: str
    page: str | None
