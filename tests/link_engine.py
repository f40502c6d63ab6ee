"""A made-up engine behind a real socket, as the edges of another process see it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from liqscape.broadcast.encoder import StreamEncoder
from liqscape.feeds.source import Progress
from liqscape.grid.updates import GridAnswer, GridQuery
from liqscape.link.engine_link import EngineLink, LinkedFrames
from liqscape.link.fan import Fan
from liqscape.link.host import hosting, port_methods
from liqscape.link.places import engine_socket, socket_folder
from tests.fake_engine import EPOCH, FakeEngine, FakeQueries, grid_answer, map_answer

WAIT_S = 20.0


class HostedEngine:
    """A made-up engine in a folder of sockets."""

    def __init__(self, folder: Path, *, epoch: int = EPOCH) -> None:
        self.path = engine_socket(folder)
        self.fake = FakeEngine(epoch=epoch)
        self.queries = FakeQueries(self.fake, grid=grid_answer(40, 30), map=map_answer(rows=50))
        self.fan = Fan(self.fake.shard)
        self._encoder = StreamEncoder(self.fake.shard, now_ns=lambda: 3)

    def step(self, count: int = 1) -> None:
        """Publish ticks."""
        for _ in range(count):
            self.fan.publish(self._encoder.encode(self.fake.step()))

    @contextlib.asynccontextmanager
    async def hosted(self) -> AsyncIterator[None]:
        """Answer until the block is left."""

        async def progress() -> Progress:
            return Progress(3, 7, "bars")

        async with hosting(self.path, {**port_methods(self.queries), "progress": progress}, self.fan):
            yield


@contextlib.asynccontextmanager
async def hosted_engine() -> AsyncIterator[HostedEngine]:
    """Return an engine that can be asked, in a folder of its own."""
    with socket_folder() as folder:
        made = HostedEngine(folder)
        async with made.hosted():
            yield made


class Busy(FakeQueries):
    """Works for ever, and says how it was ended."""

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(engine)
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def get_grid(self, query: GridQuery) -> GridAnswer:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError


@contextlib.asynccontextmanager
async def linked(path: Path) -> AsyncIterator[EngineLink]:
    """Return a link to whoever is, or will be, at a socket."""
    link = EngineLink(path)
    try:
        yield link
    finally:
        await link.close()


@contextlib.asynccontextmanager
async def first_source(link: EngineLink) -> AsyncIterator[LinkedFrames]:
    """Return the frames of the engine that is there, connected until the block is left."""
    async with contextlib.aclosing(link.sources()) as sources:
        async with asyncio.timeout(WAIT_S):
            source = await anext(sources)
        yield source
