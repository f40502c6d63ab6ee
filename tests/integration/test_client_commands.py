"""`watch` and `bench` from their arguments to what they print, against a server on loopback."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import pty
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from rich.console import Console

from liqscape_client import bench, bench_report, watch
from liqscape_client.errors import MissingPackage, NotFound, NotInSync
from tests.unit.client.fake_server import FakeServer, Refusal
from tests.unit.client.wire_model import ModelChannel, ModelEngine

TICK_S = 0.02


@asynccontextmanager
async def serving() -> AsyncIterator[FakeServer]:
    channels = [ModelChannel("BTC", "24h", 1, columns=60, rows=40), ModelChannel("ETH", "12h", 2)]
    async with FakeServer(ModelEngine(channels=channels)) as server:
        server.engine.step({1: {cell: 150 for cell in range(400, 440)}})
        yield server


@asynccontextmanager
async def ticking(server: FakeServer) -> AsyncIterator[None]:
    """Let the engine take a step every TICK_S."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_S)
            server.engine.sent_unix_ns = time.time_ns()
            server.push(server.engine.frame(server.engine.step({1: {0: server.engine.tick % 256}}), ticks_conflated=1))

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def nobody() -> Iterator[str]:
    """Return an address whose port is taken and not listened on: a connection is refused at once."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def watch_arguments(server: FakeServer, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    watch.add_watch_arguments(parser)
    return parser.parse_args([*arguments, "--address", server.address])


def bench_arguments(server: FakeServer, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.add_bench_arguments(parser)
    return parser.parse_args([*arguments, "--address", server.address])


def plain_console() -> Console:
    return Console(file=io.StringIO(), width=80, height=24, color_system=None)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_once_prints_one_frame() -> None:
    console = plain_console()
    async with serving() as server:
        status = await watch.show(watch_arguments(server, "btc", "24h", "--once"), console)

    lines = printed(console).splitlines()
    assert status == 0
    assert len(lines) == 24
    assert lines[0].startswith(" BTC 24h  89,040.62   SIMULATED ")
    assert lines[0].endswith(" IN SYNC ")
    assert "@" in "".join(lines[2:22])


@pytest.mark.slow
async def test_once_fails_and_says_why_where_sync_is_not_reached(capsys: pytest.CaptureFixture[str]) -> None:
    console = plain_console()
    async with serving() as server:
        server.refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "history is being built: 42 %")
        status = await watch.show(watch_arguments(server, "--once", "--wait", "1"), console)

    assert status == 1
    assert "42 %" in capsys.readouterr().err
    assert printed(console).splitlines()[0].endswith(" NOT IN SYNC ")


async def test_unknown_symbol_ends_with_the_servers_words() -> None:
    async with serving() as server:
        server.refusal = Refusal(grpc.StatusCode.NOT_FOUND, "symbol 'DOGE' is not served; served are BTC, ETH")

        with pytest.raises(NotFound, match="served are BTC, ETH"):
            await watch.show(watch_arguments(server, "DOGE", "--once"), plain_console())


@pytest.mark.slow
async def test_live_watch_draws_until_its_time_is_over() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system="truecolor")
    async with serving() as server, ticking(server):
        status = await watch.show(watch_arguments(server, "BTC", "24h", "--seconds", "0.8"), console)

    drawn = printed(console)
    assert status == 0
    assert drawn.count("BTC 24h") >= 3
    assert "\x1b[?1049h" in drawn  # the alternate screen: the shell's own text comes back afterwards
    assert "IN SYNC" in drawn


@pytest.mark.slow
def test_live_watch_keeps_other_logs_off_the_terminal() -> None:
    """In a real terminal: what is written past Python to standard error while the picture is up must not reach it."""
    leader, follower = pty.openpty()
    code = (
        "import asyncio, os; from liqscape_client import watch\n"
        "with watch._core_log_off_the_screen(): os.write(2, b'SMEAR')\n"
        "os.write(2, b'AFTERWARDS')"
    )
    try:
        subprocess.run([sys.executable, "-c", code], stdout=follower, stderr=follower, check=True, timeout=60)
        shown = os.read(leader, 4096)
    finally:
        os.close(leader)
        os.close(follower)

    assert shown == b"AFTERWARDS"


@pytest.mark.slow
async def test_live_watch_of_a_refusing_server_ends_with_its_words() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, color_system="truecolor")
    async with serving() as server:
        server.refusal = Refusal(grpc.StatusCode.NOT_FOUND, "symbol 'DOGE' is not served; served are BTC, ETH")

        with pytest.raises(NotFound, match="served are BTC, ETH"):
            await watch.show(watch_arguments(server, "DOGE", "--seconds", "5"), console)


@pytest.mark.parametrize("span", ["0", "-1", "101", "wide"])
def test_absurd_span_is_refused(span: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    watch.add_watch_arguments(parser)

    with pytest.raises(SystemExit):
        parser.parse_args(["--span", span])

    assert "not a percentage above 0 and up to 100" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["watch", "bench"])
def test_command_without_rich_says_what_to_install(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    with pytest.raises(MissingPackage, match=r"pip install 'liqscape\[watch\]'"):
        {"watch": watch, "bench": bench}[command].open_console()


@pytest.mark.slow
def test_watch_of_nobody_fails_with_a_line(nobody: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    watch.add_watch_arguments(parser)
    arguments = parser.parse_args(["--once", "--wait", "1", "--address", nobody])

    status = watch.run_watch(arguments)

    assert status == 1
    assert "not in sync after 1.0 s: connecting: " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("subscribers", [1, 5])
async def test_bench_measures_every_stage(subscribers: int) -> None:
    console = plain_console()
    async with serving() as server, ticking(server):
        arguments = bench_arguments(server, "--subscribers", str(subscribers), "--seconds", "0.5")
        result = await bench.measure(arguments, console)

    bench_report.print_report(result, console)
    stored = json.loads(json.dumps(bench_report.to_json(result)))
    ticks = stored["stages_ms"]["bar_to_applied"]["count"]
    assert result.is_sound
    assert ticks > 5
    assert stored["stages_ms"]["bar_to_grid"]["p50"] == pytest.approx(2)
    assert stored["stages_ms"]["grid_to_encoded"]["p50"] == pytest.approx(2)
    assert stored["stages_ms"]["encoded_to_sent"]["p50"] == pytest.approx(1)
    assert 0 < stored["stages_ms"]["sent_to_applied"]["p50"] < 1000
    assert ("bar_to_parsed" in stored["stages_ms"]) == (subscribers > 1)
    assert sum(stored["histogram_bar_to_applied_ms"]["counts"]) == ticks
    assert stored["ticks_conflated"] == stored["messages"]
    assert stored["checksum_failures"] == 0
    assert stored["machine"]["cores"] >= 1
    assert stored["channels"] == 2
    text = " ".join(printed(console).split())
    assert "bars closed → applied" in text
    assert "█" in text
    assert "server on this host: one clock" in text
    assert ("the others parse every message" in text) == (subscribers > 1)


@pytest.mark.slow
async def test_bench_counts_a_checksum_that_differs_as_a_loss() -> None:
    console = plain_console()
    async with serving() as server:

        async def damage() -> None:
            await asyncio.sleep(0.3)
            section = server.engine.step({1: {0: 1}})
            section.chunks[0].channel.checksum ^= 1
            server.push(server.engine.frame(section))

        result, _ = await asyncio.gather(bench.measure(bench_arguments(server, "--seconds", "0.6"), console), damage())

    bench_report.print_report(result, console)
    assert not result.is_sound
    assert result.replicas.counters.checksum_failures == 1
    assert "LOST subscriber 0: BTC 24h: checksum differs" in printed(console)


@pytest.mark.slow
async def test_bench_waits_while_history_is_built() -> None:
    async with serving() as server:
        server.refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "history is being built", retry_after_ms=20)
        server.refuses_questions = False

        async def finish() -> None:
            await asyncio.sleep(0.3)
            server.refusal = None

        result, _ = await asyncio.gather(
            bench.measure(bench_arguments(server, "--seconds", "0.2"), plain_console()), finish()
        )

    assert result.is_sound
    assert len(server.requests) > 2


@pytest.mark.slow
async def test_bench_gives_up_where_nobody_joins() -> None:
    async with serving() as server:
        server.refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "history is being built", retry_after_ms=20)
        server.refuses_questions = False

        with pytest.raises(NotInSync, match=r"0 of 2 joined in 0\.3 s: history is being built"):
            await bench.measure(
                bench_arguments(server, "--subscribers", "2", "--seconds", "1", "--wait", "0.3"), plain_console()
            )


def test_bench_of_nobody_fails_with_a_line(nobody: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    bench.add_bench_arguments(parser)
    stored = tmp_path / "bench.json"

    status = bench.run_bench(parser.parse_args(["--address", nobody, "--json", str(stored)]))

    assert status == 1
    assert "UNAVAILABLE" in capsys.readouterr().err
    assert not stored.exists()


@pytest.mark.parametrize("arguments", [["--subscribers", "0"], ["--subscribers", "many"], ["--seconds", "-1"]])
def test_absurd_bench_is_refused(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    bench.add_bench_arguments(parser)

    with pytest.raises(SystemExit):
        parser.parse_args(arguments)
