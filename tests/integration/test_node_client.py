"""The second client against the real server: JavaScript on one side, and no line shared with the Python client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from liqscape.axes import TIMEFRAMES
from liqscape.device.numpy_backend import levels_of
from liqscape.v1 import stream_pb2
from liqscape_client import Client, LiveStream
from liqscape_client.decoding import window_to_ring
from tests.fake_engine import EPOCH, FakeEngine
from tests.integration.synthetic_recording import write_recording
from tests.integration.test_client_and_server import origin
from tests.integration.test_processes import server
from tests.node.packages import node_program

WAIT_S: Final = 60.0

pytestmark = pytest.mark.slow


class NodeClient:
    """The process and what its lines have said.

    Attributes:
        frame: the newest line about a frame.
        ends: the reasons of streams that have ended.
        channels: the newest line about each channel.
        history: crc32 of the ring of each channel, by the tick of its change.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._lines = process.stdout
        self.frame: dict[str, Any] = {}
        self.ends: list[str] = []
        self.channels: dict[str, dict[str, Any]] = {}
        self.history: dict[str, dict[int, int]] = {}

    async def until(self, holds: Callable[[NodeClient], bool]) -> None:
        """Read on until something holds."""
        async with asyncio.timeout(WAIT_S):
            while not holds(self):
                line = await self._lines.readline()
                assert line, f"the client has ended: {self.ends}"
                self._take(json.loads(line))

    def _take(self, said: dict[str, Any]) -> None:
        if said["event"] == "end":
            self.ends.append(said["why"])
            self.frame = {}
            return
        self.frame = said
        for channel in said["channels"]:
            self.channels[channel["channel"]] = channel
            if not channel["why"]:
                self.history.setdefault(channel["channel"], {})[int(channel["tick"])] = channel["crc32"]

    @property
    def in_sync(self) -> bool:
        return bool(self.frame.get("in_sync"))

    @property
    def tick(self) -> int:
        """Return the newest complete tick; 0 while there is none."""
        return int(self.frame["resume"][0]["tick"]) if self.frame.get("resume") else 0

    @property
    def failures(self) -> dict[str, int]:
        return {name: self.frame["counters"][name] for name in ("gap", "checksum", "malformed", "unknown")}


NO_FAILURES: Final = {"gap": 0, "checksum": 0, "malformed": 0, "unknown": 0}


@contextlib.asynccontextmanager
async def node_client(address: str, *channels: str) -> AsyncIterator[NodeClient]:
    process = await asyncio.create_subprocess_exec(
        *node_program("client.mjs"),
        address,
        *channels,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        yield NodeClient(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Cable:
    """A line to a server that can be cut."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.address = ""
        self._ends: set[asyncio.StreamWriter] = set()
        self._is_whole = True

    def cut(self) -> None:
        """End every connection, and each that is tried until mend()."""
        self._is_whole = False
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        self._is_whole = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if not self._is_whole:
            writer.transport.abort()
            return
        host, port = self.target.rsplit(":", 1)
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            both = {writer, far_writer}
            self._ends |= both
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
            self._ends -= both
        writer.close()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def cable(target: str) -> AsyncIterator[Cable]:
    line = Cable(target)
    listener = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        line.cut()
        listener.close()


def holds_what_was_emitted(engine: FakeEngine) -> Callable[[NodeClient], bool]:
    """Return whether a client is in sync at the engine's newest tick, and hold its rings against the engine's."""

    def check(client: NodeClient) -> bool:
        if not client.in_sync or client.tick < engine.tick:
            return False
        truth = engine.truth[engine.tick]
        assert len(client.channels) == len(truth)
        for (name, said), wanted in zip(client.channels.items(), truth.values(), strict=True):
            assert said["crc32"] == zlib.crc32(wanted.ring), name
            assert (said["generation"], said["newest_column"]) == (wanted.generation, str(wanted.newest_column))
            assert (int(said["tick"]), said["candles"]) == (wanted.changed_tick, len(wanted.candles))
        return True

    return check


async def test_node_client_holds_what_the_engine_emitted_over_a_cut_and_a_restart() -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with origin() as first:
            line = await stack.enter_async_context(cable(first.server.address))
            client = await stack.enter_async_context(node_client(line.address))
            await client.until(holds_what_was_emitted(first.engine))

            await first.step(20)
            await first.step(5, moving=[1, 3])
            await first.step(2, renewing=[2, 4])
            await first.step(20)
            await client.until(holds_what_was_emitted(first.engine))
            keyframes = client.frame["counters"]["keyframes"]

            line.cut()
            await client.until(lambda client: not client.in_sync)
            await first.step(6, moving=[2])
            line.mend()
            await client.until(holds_what_was_emitted(first.engine))

            assert client.frame["streams"] > 1
            assert client.frame["resumed"]
            assert client.frame["counters"]["keyframes"] == keyframes
            assert client.frame["counters"]["epochs"] == 0
            address = first.server.address
        await client.until(lambda client: not client.in_sync)

        async with origin(address, seed=2, epoch=EPOCH + 1) as second:
            await second.step(4)
            await client.until(holds_what_was_emitted(second.engine))

        assert not client.frame["resumed"]
        assert client.frame["lagged"] == "EPOCH_CHANGED"
        assert client.frame["counters"]["epochs"] == 1
        assert client.failures == NO_FAILURES
        assert all(channel["checksums"] for channel in client.channels.values())


async def test_node_client_is_told_what_is_not_served_and_gives_up() -> None:
    async with origin() as running, node_client(running.server.address, "NOPE", "24h") as client:
        with pytest.raises(AssertionError, match="NOT_FOUND"):
            await client.until(lambda client: client.in_sync)


async def exact_ring(address: str, timeframe: str) -> tuple[int, int]:
    """Return a tick and the crc32 of the ring that the exact grid of that tick makes."""
    async with Client(address) as client:
        grid = await client.grid("BTC", timeframe)
    levels = levels_of(grid.cells, grid.usd_per_weighted_lot)
    assert levels.any()
    return grid.tick, zlib.crc32(window_to_ring(levels, grid.newest_column).tobytes())


async def assert_equals_the_exact_grid_while_it_ticks(address: str, client: NodeClient) -> None:
    """Hold the ring of a tick against the exact grid of the same tick."""
    tick, wanted = await exact_ring(address, "24h")
    await client.until(lambda client: client.in_sync and client.tick >= tick)
    held = client.history["BTC 24h"]

    assert held[max(changed for changed in held if changed <= tick)] == wanted


async def assert_equals_exact_grids_and_the_python_client(address: str, client: NodeClient, stream: LiveStream) -> None:
    for frame in TIMEFRAMES:
        tick, wanted = await exact_ring(address, frame.name)
        said, heatmap = client.channels[f"BTC {frame.name}"], stream.heatmap("BTC", frame.name)
        ring = window_to_ring(heatmap.levels, heatmap.newest_column).tobytes()
        assert heatmap.in_sync
        assert int(said["tick"]) <= tick <= client.tick  # the end of the input is a tick of its own
        assert said["crc32"] == wanted == zlib.crc32(ring), frame.name
        assert (int(said["tick"]), said["generation"]) == (heatmap.tick, heatmap.generation)
        assert int(said["newest_column"]) == heatmap.newest_column


async def test_node_client_holds_the_exact_grids_of_a_market_that_is_cut_off_and_killed(tmp_path: Path) -> None:
    manifest = write_recording(tmp_path, bars=64, step_minutes=5, seed=7)
    # 5-minute bars at 6,000 recorded seconds a second: twenty ticks a second for about 3 s.
    async with contextlib.AsyncExitStack() as stack:
        async with server(manifest, "--speed", "6000") as (address, process):
            line = await stack.enter_async_context(cable(address))
            client = await stack.enter_async_context(node_client(line.address))
            await client.until(lambda client: client.in_sync)
            await assert_equals_the_exact_grid_while_it_ticks(address, client)

            line.cut()
            await client.until(lambda client: not client.in_sync)
            line.mend()
            await client.until(lambda client: client.in_sync)
            assert client.frame["resumed"]
            assert client.frame["counters"]["keyframes"] == len(TIMEFRAMES)
            await assert_equals_the_exact_grid_while_it_ticks(address, client)

            python = await stack.enter_async_context(Client(address))
            stream = await stack.enter_async_context(python.stream())
            await stream.wait_in_sync(WAIT_S)
            last_tick = await end_of_the_recording(python)
            await client.until(lambda client: client.in_sync and client.tick >= last_tick)
            await assert_equals_exact_grids_and_the_python_client(address, client, stream)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        await client.until(lambda client: not client.in_sync)

        async with server(manifest, "--speed", "max", listen=address):
            await client.until(lambda client: client.in_sync)
            last_tick = await end_of_the_recording(python)
            await client.until(lambda client: client.in_sync and client.tick >= last_tick)
            await stream.wait_in_sync(WAIT_S)
            await assert_equals_exact_grids_and_the_python_client(address, client, stream)

        assert client.frame["counters"]["epochs"] == 1
        assert client.failures == NO_FAILURES


async def end_of_the_recording(client: Client) -> int:
    """Return the last tick, once there is one."""
    async with asyncio.timeout(WAIT_S):
        while True:
            status = await client.status()
            if stream_pb2.DATA_STATE_ENDED in status.states:
                return status.tick
            await asyncio.sleep(0.1)
