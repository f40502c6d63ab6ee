"""A server that is killed goes on where it was: with real processes, a data folder, and the grids of one that lived."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from liqscape.axes import TIMEFRAMES
from liqscape.v1 import query_pb2
from liqscape_client import Client
from liqscape_client.grids import Grid
from tests.conftest import ROOT
from tests.integration.synthetic_recording import write_recording
from tests.integration.test_processes import WAIT_S, server

pytestmark = pytest.mark.slow

BARS = 160
PACE = ("--speed", "9000")
"""Thirty bars a second."""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_recording(tmp_path, bars=BARS, step_minutes=5, seed=7)


async def tick_of(client: Client, at_least: int) -> int:
    """Wait for a tick that is served, not one on the way to it, and return the newest one."""
    async with asyncio.timeout(WAIT_S):
        while True:
            status = await client.status()
            if status.tick >= at_least and status.state != query_pb2.ENGINE_STATE_BUILDING:
                return status.tick
            await asyncio.sleep(0.01)


async def grids_at_the_end(address: str) -> list[Grid]:
    """Return every grid once the recording has ended, and one as of a minute before the kill."""
    async with Client(address) as client:
        await tick_of(client, BARS + 1)  # before the first bar there is a sample
        grids = [await client.grid("BTC", frame.name) for frame in TIMEFRAMES]
        past = await client.grid("BTC", "24h", as_of_minute=grids[0].as_of_minute - (BARS - 20) * 5)
    return [*grids, past]


async def test_killed_server_goes_on_where_it_was(manifest: Path, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"), "--snapshot-seconds", "1")
    async with (
        server(manifest, *PACE) as (address_of_other, _),
        server(manifest, *PACE, *data) as (address, process),
        Client(address) as client,
    ):
        seen = await tick_of(client, BARS // 3)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        lived = await grids_at_the_end(address_of_other)

    async with server(manifest, *PACE, *data) as (address, _):
        async with Client(address) as client:
            assert await tick_of(client, 1) >= seen  # the first one that is served is not before the last one seen
            counters = (await client.status()).counters
        again = await grids_at_the_end(address)

    assert counters["journal_ticks_replayed"] > 0
    assert counters["damaged_files"] == 0
    for one, other in zip(lived, again, strict=True):
        assert (one.timeframe, one.as_of_minute) == (other.timeframe, other.as_of_minute)
        assert (one.axes, one.generation) == (other.axes, other.generation)
        assert np.array_equal(one.cells, other.cells), one.timeframe
        assert one.cells.any()


async def test_server_that_has_ended_serves_its_last_state_again(manifest: Path, tmp_path: Path) -> None:
    arguments = ("--speed", "max", "--data", str(tmp_path / "data"))
    async with server(manifest, *arguments) as (address, _):
        first = await grids_at_the_end(address)

    async with server(manifest, *arguments) as (address, _):
        again = await grids_at_the_end(address)

    assert [grid.cells.tobytes() for grid in again] == [grid.cells.tobytes() for grid in first]


async def test_folder_of_other_settings_is_refused_and_one_in_use_too(manifest: Path, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    command = (sys.executable, "-m", "liqscape", "serve", "--source", f"history:{manifest}")
    others = (*command, "--recordings", str(manifest.parent), "--listen", "127.0.0.1:0", *data)

    async def refused(*arguments: str) -> str:
        run = await asyncio.to_thread(subprocess.run, (*others, *arguments), capture_output=True, text=True, timeout=60)
        assert run.returncode == 2
        return run.stderr.strip()

    async with server(manifest, "--speed", "max", *data) as (address, _):
        async with Client(address) as client:
            await tick_of(client, 1)
        assert await refused() == f"liqscape: data folder {tmp_path / 'data'} is in use by another process"

    assert await refused("--no-open-only") == (
        f"liqscape: data folder {tmp_path / 'data'} was made with other settings of with_open_only;"
        " start with those, or with another folder"
    )


async def test_server_that_goes_on_with_another_mix_says_so_and_opens_on_it(manifest: Path, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    model = tmp_path / "model.toml"
    shares = {3: 1, 5: 1, 10: 1, 20: 1, 25: 1, 50: 1, 75: 1, 100: 93, 125: 1}
    model.write_text('[inflow_mix."binance:BTCUSDT"]\n' + "".join(f"{t} = {s}\n" for t, s in shares.items()))

    async def mix_at(address: str, tick: int) -> dict[int, int]:
        async with Client(address) as client:
            await tick_of(client, tick)
            (btc,) = (await client.instruments()).instruments
        return {tier.leverage: tier.inflow_share_ppm // 10_000 for tier in btc.tiers}

    async with server(manifest, *PACE, *data) as (address, process):
        assert (await mix_at(address, 5))[100] < 50
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with server(manifest, *PACE, *data, "--model", str(model)) as (address, _):
        assert (await mix_at(address, BARS // 2))[100] > 90

    log = (sys.executable, "-m", "liqscape", "journal", "log", *data)
    run = await asyncio.to_thread(subprocess.run, log, capture_output=True, text=True, timeout=60)
    assert run.stdout.count("  terms  binance:BTCUSDT: rules of ") == 1, run.stdout + run.stderr


def test_nothing_that_was_committed_is_lost_when_engines_are_killed() -> None:
    run = subprocess.run(
        (sys.executable, "-m", "tests.crash.harness", "--kills", "10", "--seed", "1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )

    assert run.returncode == 0, run.stdout + run.stderr
