"""The shipped client against the shipped server, over loopback; only the engine is made up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from liqscape.api.grpc_service import RunningGrpcServer, serve_grpc
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape_client.client import Client
from liqscape_client.stream import LiveStream
from tests.fake_engine import EPOCH, FakeEngine, FakeQueries, grid_answer


class Origin:
    """One life of an engine with its server."""

    def __init__(self, engine: FakeEngine, hub: Hub, server: RunningGrpcServer, source: InProcessFrameSource) -> None:
        self.engine = engine
        self.server = server
        self.hub = hub
        self._encoder = StreamEncoder(engine.shard)
        self._source = source

    async def step(self, count: int = 1, **changes: list[int]) -> None:
        for _ in range(count):
            self._source.publish(self._encoder.encode(self.engine.step(cells=8, **changes)))  # type: ignore[arg-type]
        while self.hub.ring.head_tick < self.engine.tick:
            await self.hub.wait(5, for_tick=True)


@contextlib.asynccontextmanager
async def origin(address: str = "127.0.0.1:0", *, seed: int = 1, epoch: int = EPOCH) -> AsyncIterator[Origin]:
    engine = FakeEngine(seed, rows=30, tick_ms=100, epoch=epoch)
    source = InProcessFrameSource(engine.shard)
    hub = Hub(source)
    queries = FakeQueries(engine, grid=grid_answer(100, 300))
    async with hub.running():
        server = await serve_grpc(address, hub, queries)
        started = Origin(engine, hub, server, source)
        await started.step(3)
        try:
            yield started
        finally:
            await server.stop(0.2)


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def holds_what_was_emitted(stream: LiveStream, engine: FakeEngine) -> bool:
    """Return whether every replica is in sync and equals the engine's newest levels."""
    if not stream.replicas.in_sync or len(stream.replicas.channels()) != 4:
        return False
    for channel_id, key in enumerate(stream.replicas.channels(), start=1):
        replica = stream.replicas.replica(*key)
        truth = engine.truth[engine.tick][channel_id]
        ring = np.frombuffer(truth.ring, np.uint8).reshape(-1, 30)
        in_time_order = np.roll(ring, -((truth.newest_column + 1) % len(ring)), axis=0)
        if not np.array_equal(replica.levels(), in_time_order):
            return False
    return True


@pytest.mark.slow
async def test_client_holds_what_the_engine_emitted_through_moves_and_new_rows() -> None:
    async with origin() as server, Client(server.server.address) as client, client.stream() as stream:
        await stream.wait_in_sync(10)

        await server.step(20)
        await server.step(5, moving=[1, 3])
        await server.step(2, renewing=[2, 4])
        await server.step(20)

        await eventually(lambda: holds_what_was_emitted(stream, server.engine))
        counters = stream.replicas.counters
        assert (counters.gaps, counters.checksum_failures, counters.malformed) == (0, 0, 0)


@pytest.mark.slow
async def test_client_comes_back_in_sync_when_the_server_starts_anew_under_it() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with origin() as first:
            address = first.server.address
            client = await stack.enter_async_context(Client(address))
            stream = await stack.enter_async_context(client.stream())
            await eventually(lambda: holds_what_was_emitted(stream, first.engine))
        await eventually(lambda: not stream.replicas.in_sync)

        async with origin(address, seed=2, epoch=EPOCH + 1) as second:
            await eventually(lambda: holds_what_was_emitted(stream, second.engine))

            assert stream.replicas.counters.epoch_changes == 1
            await stream.close()


async def test_client_reads_the_grid_cell_by_cell() -> None:
    async with origin() as server, Client(server.server.address) as client:
        grid = await client.grid("BTC", "24h")

        np.testing.assert_array_equal(grid.cells, grid_answer(100, 300).cells)
