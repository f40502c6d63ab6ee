"""A session of the second client: credits, changes and rejects, and no line shared with the Python client."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

import pytest

from liqscape.metrics import Stage
from tests.fake_engine import FakeEngine
from tests.integration.test_client_and_server import origin
from tests.integration.test_grpc_api import serving
from tests.integration.test_node_client import NO_FAILURES, WAIT_S, NodeClient, holds_what_was_emitted
from tests.node.packages import node_program

WINDOW: Final = 2

pytestmark = pytest.mark.slow


class NodeSession(NodeClient):
    """The process, what its lines have said, and what it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        assert process.stdin is not None
        self._commands = process.stdin
        self.controls: list[str] = []

    async def tell(self, command: str) -> None:
        self._commands.write(f"{command}\n".encode())
        await self._commands.drain()

    def _take(self, said: dict[str, Any]) -> None:
        super()._take(said)
        if said.get("control"):
            self.controls.append(said["control"])


@contextlib.asynccontextmanager
async def node_session(address: str, *channels: str) -> AsyncIterator[NodeSession]:
    process = await asyncio.create_subprocess_exec(
        *node_program("session.mjs"),
        address,
        str(WINDOW),
        *channels,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        yield NodeSession(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def holds_channels(
    engine: FakeEngine, names: Iterable[str], opened: Mapping[str, int] | None = None
) -> Callable[[NodeClient], bool]:
    """Return whether a client is in sync at the newest tick, and hold the rings of these channels to the engine's.

    Args:
        engine: whose default channels these are.
        names: of channels.
        opened: ids of those that are no default ones, by name.
    """
    numbers = {f"{c.symbol} {c.timeframe.name}": c.channel_id for c in engine.shard.channels} | dict(opened or {})

    def check(client: NodeClient) -> bool:
        if not client.in_sync or client.tick < engine.tick:
            return False
        for name in names:
            assert client.channels[name]["crc32"] == zlib.crc32(engine.truth[engine.tick][numbers[name]].ring), name
        return True

    return check


async def test_node_session_holds_what_the_engine_emitted_and_acknowledges_it() -> None:
    async with origin() as server, node_session(server.server.address) as session:
        await session.until(holds_what_was_emitted(server.engine))

        await server.step(20)
        await server.step(5, moving=[1, 3])
        await server.step(2, renewing=[2, 4])
        await server.step(20)
        await session.until(holds_what_was_emitted(server.engine))

        assert session.failures == NO_FAILURES
        assert server.hub.timings.freshness[Stage.SENT_TO_ACKNOWLEDGED].count > 0


async def test_node_session_that_holds_its_acknowledgements_gets_its_window_and_then_all_at_once() -> None:
    async with origin() as server, node_session(server.server.address) as session:
        await session.until(holds_what_was_emitted(server.engine))
        await session.tell("hold")
        await session.tell("change")  # to the same; that it is answered tells that the line before was read too
        await session.until(lambda _: session.controls[-2:] == ["selectionChanged", "snapshotEnd"])
        for _ in range(WINDOW):
            await server.step()
            await session.until(lambda client: client.tick == server.engine.tick)
        conflated = session.frame["counters"]["conflated"]
        held_at = session.tick
        await server.step(7)
        await session.until(lambda client: client.frame["control"] == "heartbeat")
        held_back = session.tick == held_at
        await session.tell("go")
        await session.until(holds_what_was_emitted(server.engine))

        assert held_back
        assert session.frame["counters"]["conflated"] - conflated == 6
        assert session.failures == NO_FAILURES


async def test_node_session_changes_its_channels_and_is_told_what_is_not_served() -> None:
    async with origin() as server, node_session(server.server.address, "BTC", "24h") as session:
        await session.until(holds_channels(server.engine, ["BTC 24h"]))

        await session.tell("change ETH 12h BTC 24h")
        await session.until(lambda _: session.controls[-2:] == ["selectionChanged", "snapshotEnd"])
        served = [channel["channel"] for channel in session.frame["channels"]]
        await server.step(12)
        await session.until(holds_channels(server.engine, served))
        await session.tell("change DOGE 24h")
        await session.until(lambda _: session.frame["refused"] and session.controls[-1] == "snapshotEnd")
        refused = session.frame["refused"]
        await server.step()
        await session.until(holds_channels(server.engine, served))

        assert sorted(served) == ["BTC 24h", "ETH 12h"]
        assert refused == "symbol 'DOGE' is not served; served are BTC, ETH"
        assert server.hub.counters.selection_changes == 2
        assert session.failures == NO_FAILURES


async def test_node_session_tells_coarse_rows_from_the_default_channel() -> None:
    async with serving(rows=30) as server, node_session(server.running.address, "BTC", "24h") as session:
        await session.until(holds_channels(server.engine, ["BTC 24h"]))

        await session.tell("change BTC 24h BTC 24h/4")
        await session.until(lambda _: session.controls[-1:] == ["selectionChanged"])
        await server.step(2)
        await session.until(lambda _: session.controls[-1:] == ["snapshotEnd"])
        (coarse,) = server.desk.open.values()
        served = [channel["channel"] for channel in session.frame["channels"]]
        await server.step(12, cells=8)
        await session.until(holds_channels(server.engine, served, {"BTC 24h/4": coarse.channel_id}))

        assert sorted(served) == ["BTC 24h", "BTC 24h/4"]
        assert coarse.row_fold == 4
        assert session.failures == NO_FAILURES


async def test_node_session_rejects_what_is_spoilt_and_is_mended_on_the_same_stream() -> None:
    async with origin() as server, node_session(server.server.address) as session:
        await session.until(holds_what_was_emitted(server.engine))

        await session.tell("spoil BTC 24h")
        async with asyncio.timeout(WAIT_S):
            while not server.hub.counters.rejected:
                await server.step()
                await asyncio.sleep(0.01)
        await session.until(holds_what_was_emitted(server.engine))

        assert session.failures == NO_FAILURES | {"checksum": 1}
        assert server.hub.counters.by_name()["session_rejected_channels_checksum_differs"] == 1
        assert server.hub.counters.joins == 1
