"""The whole path, with real processes: a server killed under a client, a client killed and started again.

The server replays a small recording; what a client holds is compared with the exact grid of the same tick.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from liqscape.axes import TIMEFRAMES
from liqscape.device.numpy_backend import levels_of
from liqscape_client import Client, LiveStream
from tests.integration.synthetic_recording import write_recording

WAIT_S = 60.0
BARS = 160

pytestmark = pytest.mark.slow


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_recording(tmp_path, bars=BARS, step_minutes=5, seed=7)


@asynccontextmanager
async def server(
    manifest: Path, *arguments: str, listen: str = "127.0.0.1:0"
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run `liqscape serve` on the recording; yield its address, as it prints it, and its process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "serve", "--source", f"history:{manifest}"),
        *("--recordings", str(manifest.parent), "--listen", listen, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                line = (await process.stdout.readline()).decode()
                assert line, "the server ended before it served"
                found = re.search(r"liqscape serves .* on ([0-9.]+:\d+)", line)
                if found:
                    break
        reading = asyncio.create_task(drain(process.stdout))  # a full pipe would stop the server
        yield found.group(1), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(1 << 16):
        pass


async def until(stream: LiveStream, *, in_sync: bool) -> None:
    """Return when the stream says that it is, or is not, in sync."""
    async with asyncio.timeout(WAIT_S):
        async for update in stream.updates():
            if update.state.in_sync is in_sync:
                return


async def assert_replicas_equal_exact_grids(address: str, stream: LiveStream) -> None:
    async with Client(address) as client:
        for frame in TIMEFRAMES:
            grid = await client.grid("BTC", frame.name)
            heatmap = stream.heatmap("BTC", frame.name)
            expected = levels_of(grid.cells, grid.usd_per_weighted_lot)
            assert (heatmap.levels == expected).all(), frame.name
            assert expected.any(), frame.name


async def test_client_of_a_built_recording_holds_the_exact_grids(manifest: Path) -> None:
    async with (
        server(manifest, "--speed", "max") as (address, _),
        Client(address) as client,
        client.stream() as stream,
    ):
        await stream.wait_in_sync(WAIT_S)

        await assert_replicas_equal_exact_grids(address, stream)


async def test_sides_asked_for_apart_add_up_and_a_minute_of_the_past_is_answered(manifest: Path) -> None:
    async with server(manifest, "--speed", "max") as (address, _), Client(address) as client:
        async with client.stream(symbols=["BTC"], timeframes=["24h"]) as stream:
            await stream.wait_in_sync(WAIT_S)  # the recording has been built
        whole = await client.grid("BTC", "24h")

        longs = await client.grid("BTC", "24h", side="long", venues=["binance"])
        shorts = await client.grid("BTC", "24h", side="short")
        earlier = await client.grid("BTC", "24h", as_of_minute=whole.as_of_minute - 60)
        own = await client.grid("BTC", column_minutes=60, columns=6, base_steps_per_row=10)

        assert (longs.cells + shorts.cells == whole.cells).all()
        assert earlier.as_of_minute == whole.as_of_minute - 60
        assert earlier.cells.any()
        assert own.cells.shape[0] == 6
        assert own.reconciled


async def test_model_file_decides_the_mix_that_is_served(manifest: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.toml"
    shares = {3: 6, 5: 10, 10: 25, 20: 30, 25: 10, 50: 9, 75: 5, 100: 3, 125: 2}
    lines = [f"{leverage} = {share}" for leverage, share in shares.items()]
    model.write_text("\n".join(['[inflow_mix."binance:BTCUSDT"]', *lines]), encoding="utf-8")

    async with server(manifest, "--model", str(model)) as (address, _), Client(address) as client:
        (instrument,) = (await client.instruments()).instruments

    assert {tier.leverage: tier.inflow_share_ppm for tier in instrument.tiers} == {
        leverage: 10_000 * share for leverage, share in shares.items()
    }


async def test_server_killed_and_started_again_is_told_and_recovered_from(manifest: Path) -> None:
    async with (
        server(manifest, "--speed", "max") as (address, first),
        Client(address) as client,
        client.stream() as stream,
    ):
        await stream.wait_in_sync(WAIT_S)

        first.send_signal(signal.SIGKILL)
        await first.wait()
        await until(stream, in_sync=False)

        async with server(manifest, "--speed", "max", listen=address):
            await until(stream, in_sync=True)
            await assert_replicas_equal_exact_grids(address, stream)


async def test_client_killed_and_started_again_is_in_sync_while_the_replay_goes_on(manifest: Path) -> None:
    # 5-minute bars at 3,000 recorded seconds a second: ten ticks a second for 16 s.
    async with server(manifest, "--speed", "3000") as (address, _):
        watching = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "liqscape", "watch", "BTC", "24h", "--address", address, "--seconds", "60"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert watching.stdout is not None
        await watching.stdout.read(1)  # it draws
        watching.kill()
        await watching.wait()

        async with Client(address) as client, client.stream() as stream:
            await stream.wait_in_sync(WAIT_S)
            ticks = set()
            async with asyncio.timeout(WAIT_S):
                async for _ in stream.updates():
                    ticks.add(stream.heatmap("BTC", "12h").tick)
                    if len(ticks) == 20:
                        break

            assert stream.state.in_sync


async def test_interrupted_server_ends_its_streams_and_itself(manifest: Path) -> None:
    async with (
        server(manifest, "--speed", "max") as (address, process),
        Client(address) as client,
        client.stream() as stream,
    ):
        await stream.wait_in_sync(WAIT_S)

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_S):
            status = await process.wait()

        assert status == 0
        await until(stream, in_sync=False)


async def test_at_end_exit_ends_the_server_when_the_recording_ends(manifest: Path) -> None:
    async with server(manifest, "--speed", "max", "--at-end", "exit") as (_, process):
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0
