"""A server of several processes: whichever of them is killed, stopped or told to end, the others and the readers go on.

The engine replays a small recording at five ticks a second, so that it is built at once whenever it is started.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import ssl
import sys
import time
from functools import partial
from pathlib import Path

import aiohttp
import grpc
import pytest

from liqscape.api.token_file import changing_tokens
from liqscape.api.tokens import TokenList
from liqscape.broadcast.hubs import NEW_EPOCH
from liqscape.config import ServeConfig, SourceConfig
from liqscape.running import RunningServer
from liqscape.v1 import query_pb2, stream_pb2
from liqscape.workers import supervisor
from liqscape_client import ChannelPart, Client, NotAllowed, Tls, Unreachable, channel_selectors
from tests.certificates import Authority
from tests.chain_follower import Follower, all_in_sync, following
from tests.integration.synthetic_recording import write_recording
from tests.worker_processes import WAIT_S, Server, is_alive, serving_workers, until, until_told

READERS = 20
BACK_WITHIN_S = 5.0
TICKS_A_SECOND = 5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Return the arguments that serve a recording for several minutes."""
    manifest = write_recording(tmp_path_factory.mktemp("workers"), bars=3000, step_minutes=5, seed=7)
    speed = str(300 * TICKS_A_SECOND)
    return ("--source", f"history:{manifest}", "--recordings", str(manifest.parent), "--speed", speed)


async def told_of_all(server: Server, followers: list[Follower]) -> dict[str, int]:
    """Return how many streams the server says are open; it is asked until it knows of all."""
    found: dict[str, int] = {}

    async def told() -> bool:
        async with Client(server.address) as client:
            status = await client.status()
        found.update(status.counters, streams=status.streams)
        return status.streams == len(followers)

    await until_told(told)
    return found


async def test_killed_edge_costs_its_readers_seconds_and_no_keyframe(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording) as server, following(server.address, READERS) as followers:
        await all_in_sync(followers, WAIT_S)
        before = await told_of_all(server, followers)
        engine = server.pid("engine")
        keyframes = [follower.keyframes for follower in followers]

        for number in (1, 2):
            began = time.monotonic()
            await killed_and_noticed(server, f"edge {number - 1}", followers)
            await all_in_sync(followers, BACK_WITHIN_S)
            assert time.monotonic() - began < BACK_WITHIN_S
            # The next one to be killed leaves its readers to an edge that had never seen them.
            await until_told(partial(runs_all, server, restarts=number))
        after = await told_of_all(server, followers)

        assert server.pid("engine") == engine
        assert all(follower.hellos == 1 + follower.resumed for follower in followers)
        assert sum(follower.resumed for follower in followers) >= READERS
        assert [follower.keyframes for follower in followers] == keyframes
        assert sum(follower.gaps for follower in followers) == 0
        assert not any(follower.lagged or follower.farewells for follower in followers)
        assert after["worker_restarts"] == 2
        assert after["engine_restarts"] == 0
        assert after["stream_resumes"] >= READERS
        for name in ("streams_opened", "stream_joins", "stream_frames", "stream_frame_bytes", "stream_keyframes"):
            assert after[name] >= before[name], name


async def killed_and_noticed(server: Server, name: str, followers: list[Follower]) -> None:
    """Kill an edge and return once some of the readers have noticed; it had some."""
    server.kill(name)
    await until(lambda: any(follower.in_sync_since is None for follower in followers), BACK_WITHIN_S)


async def runs_all(server: Server, restarts: int) -> bool:
    """Return whether both edges serve after so many restarts, and have the engine's frames."""
    try:
        async with Client(server.address) as client:
            counters = (await client.status()).counters
    except Unreachable:  # the one that has just been killed
        return False
    connected = sum("connected to epoch" in line for line in server.log)
    return (counters["workers_running"], counters["worker_restarts"], connected) == (2, restarts, 2 + restarts)


async def test_killed_engine_is_told_to_every_reader_and_recovered_from(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording) as server, following(server.address, READERS) as followers:
        async with Client(server.address) as client, client.stream(symbols=["BTC"], timeframes=["24h"]) as stream:
            await stream.wait_in_sync(WAIT_S)
            await all_in_sync(followers, WAIT_S)
            epoch = followers[0].epoch

            server.kill("engine")
            await until(lambda: all(follower.farewells for follower in followers))
            await until(lambda: all(follower.epoch != epoch for follower in followers))
            await all_in_sync(followers, WAIT_S)
            await until(lambda: stream.replicas.counters.epoch_changes == 1)
            await stream.wait_in_sync(WAIT_S)
            grid = await client.grid("BTC", "24h")
            status = await client.status()

        assert len({follower.epoch for follower in followers}) == 1
        # Whoever comes back to the other edge before that one has heard of the new engine is sent away once more.
        assert all(set(follower.farewells) == {NEW_EPOCH} for follower in followers)
        assert all(follower.lagged == {"REASON_EPOCH_CHANGED": 1} for follower in followers)
        assert all(follower.hellos - follower.resumed == 2 for follower in followers)
        assert sum(follower.gaps for follower in followers) == 0
        assert grid.epoch == followers[0].epoch == status.epoch
        assert status.counters["engine_restarts"] == 1
        assert status.counters["worker_restarts"] == 0


async def test_tiles_and_coarse_rows_are_served_by_edges_and_opened_again_when_theirs_is_killed(
    recording: tuple[str, ...],
) -> None:
    async with serving_workers(*recording) as server, Client(server.address) as client:
        async with client.stream(symbols=["BTC"], timeframes=["24h"]) as whole:
            await whole.wait_in_sync(WAIT_S)
        asked = ({"prices": (85_000.0, 95_000.0)}, {"row_fold": 4})
        selectors = [one for options in asked for one in channel_selectors("BTC", "24h", **options)]
        async with client.stream(selectors=selectors) as stream:
            await stream.wait_in_sync(WAIT_S)
            before = stream.totals.joins

            for name in ("edge 0", "edge 1"):  # the reader is on one of them
                server.kill(name)
                await until_told(partial(runs_all, server, restarts=int(name[-1]) + 1))
            await stream.wait_in_sync(WAIT_S)
            counters = stream.replicas.counters

            assert stream.totals.joins > before
            assert (counters.gaps, counters.checksum_failures, counters.malformed) == (0, 0, 0)
            fine, coarse = stream.viewport("BTC", "24h"), stream.heatmap("BTC", "24h", ChannelPart(row_fold=4))
            assert (fine.in_sync, coarse.in_sync) == (True, True)
            assert coarse.axes.row_height == 4 * fine.axes.row_height


async def test_while_there_is_no_engine_readers_hear_that_data_are_stale(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording, "--metrics", "127.0.0.1:0") as server:
        async with following(server.address, 4) as followers, Client(server.address) as client:
            await all_in_sync(followers, WAIT_S)
            assert (await client.status()).state == query_pb2.ENGINE_STATE_SERVING

            server.kill("engine", signal.SIGSTOP)
            await until(lambda: all(stream_pb2.DATA_STATE_STALE in f.states for f in followers))
            status = await client.status()
            health = await http(server.metrics, "/healthz")
            server.kill("engine", signal.SIGCONT)
            await until(lambda: all(f.tick > status.tick + TICKS_A_SECOND for f in followers))

        assert stream_pb2.DATA_STATE_STALE in status.states
        assert status.state == query_pb2.ENGINE_STATE_SERVING
        assert "the engine has not answered" in status.message
        assert health.startswith("HTTP/1.1 503") and '"stale"' in health  # noqa: PT018
        assert all(follower.hellos == 1 for follower in followers)


async def http(place: str, target: str) -> str:
    host, _, port = place.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(WAIT_S):
        answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_stopped_edge_stops_no_tick_of_the_others(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording) as server, following(server.address, READERS) as followers:
        await all_in_sync(followers, WAIT_S)

        server.kill("edge 0", signal.SIGSTOP)
        await asyncio.sleep(0.5)  # what was under way has arrived
        before = {follower: follower.tick for follower in followers}
        # Within two seconds: after three without a word readers of the stopped one come to the other.
        await until(lambda: max(f.tick for f in followers) >= max(before.values()) + TICKS_A_SECOND, 2)
        gained = {follower: follower.tick - tick for follower, tick in before.items()}
        going = [follower for follower in followers if gained[follower]]
        streams = [follower.hellos for follower in going]
        server.kill("edge 0", signal.SIGCONT)
        await all_in_sync(followers, WAIT_S)
        await until(lambda: min(f.tick for f in followers) > max(before.values()) + 3 * TICKS_A_SECOND)

        assert 0 < len(going) < READERS
        assert all(gained[follower] >= TICKS_A_SECOND - 2 for follower in going)
        assert streams == [1] * len(going)
        assert sum(follower.gaps for follower in followers) == 0


async def test_edge_that_has_stalled_for_long_is_killed_and_started_again(
    recording: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "STALLED_AFTER_S", 3.0)
    caplog.set_level(logging.INFO, "liqscape.workers")
    manifest = Path(recording[1].removeprefix("history:"))
    source = SourceConfig(kind="history", manifest=manifest, recordings=manifest.parent, speed=1500.0)
    config = ServeConfig(source=source, listen="127.0.0.1:0", workers=1, stop_grace_seconds=0.5)

    def edges() -> list[int]:
        return [int(pid) for pid in re.findall(r"edge 0 is process (\d+)", caplog.text)]

    async def stop_an_edge(server: RunningServer) -> None:
        os.kill(edges()[0], signal.SIGSTOP)
        await until(lambda: len(edges()) == 2)
        async with Client(server.address) as client, client.stream() as stream:
            await stream.wait_in_sync(WAIT_S)

    await supervisor.serve_workers(config, stop_an_edge)

    assert "edge 0 has stalled and is killed" in caplog.text
    assert not any(is_alive(pid) for pid in edges())


async def test_killed_supervisor_leaves_no_process_behind(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording) as server:
        await until(lambda: set(server.pids) == {"engine", "edge 0", "edge 1"})
        server.kill("edge 1", signal.SIGSTOP)  # one that could not end itself

        server.process.kill()

        await until(lambda: not any(is_alive(pid) for pid in server.everyone()), 10)


async def test_terminated_server_drains_its_edges_and_ends(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording, "--drain", "3") as server:
        async with following(server.address, READERS) as followers:
            await all_in_sync(followers, WAIT_S)
            await told_of_all(server, followers)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            await until(lambda: any(follower.farewells for follower in followers))
            first_left = time.monotonic()
            await until(lambda: all(follower.farewells for follower in followers))
            took_to_leave_s = time.monotonic() - first_left
            status = await server.end()
            took_s = time.monotonic() - began

        assert status == 0
        assert took_s < 15
        assert took_to_leave_s > 1.0  # of 2.4
        assert all(follower.farewells == {"the server is stopping": 1} for follower in followers)
        assert not any(is_alive(pid) for pid in server.everyone())
        assert any(line.startswith(f"draining {READERS} streams for up to 3 s") for line in server.output)
        assert any(line.endswith(f" watch BTC 24h --address {server.address}\n") for line in server.output)
        assert [len(pids) for pids in server.pids.values()] == [1, 1, 1]


async def test_interrupted_server_says_goodbye_at_once(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording, "--drain", "600") as server:
        async with following(server.address, 4) as followers:
            await all_in_sync(followers, WAIT_S)
            server.process.send_signal(signal.SIGINT)
            status = await server.end()

        assert status == 0
        assert all(follower.farewells for follower in followers)
        assert not any(is_alive(pid) for pid in server.everyone())


async def test_metrics_and_every_edge_tell_the_same_sums(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording, "--metrics", "127.0.0.1:0") as server:
        async with following(server.address, READERS) as followers:
            await all_in_sync(followers, WAIT_S)
            told = await told_of_all(server, followers)
            await until_told(partial(engine_has_reported, server))
            page = await http(server.metrics, "/metrics")
            healthy = await http(server.metrics, "/healthz")
            server.kill("edge 0")
            await until(lambda: len(server.pids["edge 0"]) == 2)
            await all_in_sync(followers, WAIT_S)
            again = await told_of_all(server, followers)
            later = await http(server.metrics, "/metrics")

        assert told["stream_joins"] == READERS
        assert sample(page, "liqscape_streams_open") == READERS
        assert sample(page, "liqscape_stream_joins_total") == READERS
        assert sample(page, "liqscape_workers_running") == 2
        assert sample(page, "liqscape_worker_restarts_total") == 0
        assert sample(page, "liqscape_event_loop_lag_seconds_count") > 0
        assert healthy.startswith("HTTP/1.1 200")
        assert again["stream_joins"] == READERS
        assert again["stream_frames"] > told["stream_frames"]
        assert sample(later, "liqscape_worker_restarts_total") == 1
        assert sample(later, "liqscape_streams_opened_total") > READERS


async def engine_has_reported(server: Server) -> bool:
    return sample(await http(server.metrics, "/metrics"), "liqscape_tick_compute_seconds_count") > 0


def sample(page: str, name: str) -> float:
    (line,) = (line for line in page.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


async def test_server_with_every_door_is_the_same_on_every_edge(recording: tuple[str, ...], tmp_path: Path) -> None:
    authority = Authority.make()
    files, tokens = authority.issue(tmp_path), tmp_path / "tokens.json"
    known, token = TokenList.empty().added("desk", ("stream", "query"), now_unix_s=time.time())
    with changing_tokens(tokens) as write:
        write(known)
    ca = authority.write(tmp_path / "ca.crt")
    tls, of_pages = Tls(ca), ssl.create_default_context(cafile=str(ca))
    secure = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key), "--tokens", str(tokens))

    async with serving_workers(*recording, *secure, "--http", "127.0.0.1:0") as server:
        page = page_of(server)
        for _ in range(6):  # a connection each, so that both edges are met
            await until_told(partial(browser_gets_a_stream, page, token, of_pages))
            assert await health_of(page, of_pages) == (200, {"status": "serving"})
            assert sample(await metrics_of(page, token, of_pages), "liqscape_workers_running") == 2
            async with Client(server.address, tls=tls, token=token) as client, client.stream() as stream:
                await stream.wait_in_sync(WAIT_S)
                assert (await client.status()).state == query_pb2.ENGINE_STATE_SERVING
            async with Client(server.address, tls=tls) as nobody:
                with pytest.raises(NotAllowed):
                    await nobody.status()


def page_of(server: Server) -> str:
    found = re.search(r"look at it: +(https://\S+/)", "".join(server.output))
    assert found is not None, server.output
    return found.group(1)


async def health_of(page: str, tls: ssl.SSLContext) -> tuple[int, dict[str, str]]:
    """Ask without a token, over a connection of its own."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, force_close=True)) as http,
        http.get(f"{page}healthz") as answer,
    ):
        return answer.status, await answer.json()


async def metrics_of(page: str, token: str, tls: ssl.SSLContext) -> str:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, force_close=True)) as http,
        http.get(f"{page}metrics", headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        return await answer.text()


async def browser_gets_a_stream(page: str, token: str, tls: ssl.SSLContext) -> bool:
    """Get a ticket over one connection and a stream over another, as a browser does; False: history is being built."""
    connector = aiohttp.TCPConnector(ssl=tls, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=WAIT_S)) as http:
        async with http.post(f"{page}v1/ticket", headers={"Authorization": f"Bearer {token}"}) as answer:
            ticket = (await answer.json())["ticket"]
        async with http.ws_connect(f"{page}v1/stream?ticket={ticket}", protocols=("liqscape.v1",)) as socket:
            await socket.send_bytes(stream_pb2.SessionRequest(open=stream_pb2.SubscribeRequest()).SerializeToString())
            message = await socket.receive(timeout=WAIT_S)
        async with http.get(f"{page}v1/stream?ticket={ticket}") as answer:
            assert answer.status == 401  # it was good once
    if message.type is not aiohttp.WSMsgType.BINARY:
        assert message.data == 4000 + grpc.StatusCode.FAILED_PRECONDITION.value[0]
        return False
    frame = stream_pb2.Frame.FromString(message.data)
    return bool(frame.WhichOneof("control") == "hello")


async def test_second_server_on_the_same_port_is_refused(recording: tuple[str, ...]) -> None:
    async with serving_workers(*recording, workers=1) as server:
        status, said = await refused("--listen", server.address, *recording)

    assert status == 2
    assert f"cannot listen on '{server.address}'" in said


async def test_what_a_process_cannot_use_is_told_by_the_command_as_ever(recording: tuple[str, ...]) -> None:
    answers = await asyncio.gather(
        refused(*recording, "--tokens", "/nowhere/tokens.json"),
        refused("--source", "history:/nowhere/manifest.toml"),
    )

    assert [status for status, _ in answers] == [2, 2]
    assert all(said.startswith("liqscape: ") for _, said in answers), answers
    assert "/nowhere/tokens.json does not exist" in answers[0][1]
    assert "/nowhere/manifest.toml" in answers[1][1]


async def refused(*arguments: str) -> tuple[int, str]:
    """Run a server that does not start; return its status and what it says about it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "serve", "--workers", "1", "--listen", "127.0.0.1:0", *arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WAIT_S):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
