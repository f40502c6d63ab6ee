"""The client against a server on loopback that dies, builds, lies and falls silent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import grpc
import numpy as np
import pytest

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client.client import Client, channel_selectors
from liqscape_client.errors import InvalidRequest, NotFound, NotInSync, NotReady, NotServed, Unreachable
from liqscape_client.stream import LiveStream, Phase, StreamState
from liqscape_client.sync import SyncClient
from tests.unit.client.fake_server import FakeServer, Refusal, grid_cells
from tests.unit.client.wire_model import ModelChannel, ModelEngine

PATIENCE_S = 10.0


def short(low: float, high: float) -> float:
    """Jitter for tests: next to none, but not so little that a dead server is asked in a tight loop."""
    return low + min(0.02, high - low)


@asynccontextmanager
async def serving(heartbeat_ms: int = 30_000) -> AsyncIterator[FakeServer]:
    """Serve two channels; heartbeats are so far apart that silence plays no part unless a test wants it."""
    channels = [ModelChannel("BTC", "24h", 1), ModelChannel("ETH", "12h", 2)]
    async with FakeServer(ModelEngine(heartbeat_ms=heartbeat_ms, channels=channels)) as server:
        yield server


@asynccontextmanager
async def streaming(server: FakeServer) -> AsyncIterator[LiveStream]:
    async with Client(server.address) as client, LiveStream(client.open_channel, uniform=short) as stream:
        yield stream


async def state_of(stream: LiveStream, wanted: Callable[[StreamState], bool]) -> StreamState:
    """Return the first state that is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        async for update in stream:
            if wanted(update.state):
                return update.state
    raise AssertionError(f"the stream ended: {stream.state}")


async def in_sync_with(stream: LiveStream, server: FakeServer) -> None:
    """Return once the stream is in sync at the server's newest tick."""

    def is_newest() -> bool:
        keys = ((channel.symbol, channel.timeframe) for channel in server.engine.channels)
        held = [stream.replicas.replica(*key).tick for key in keys]
        return held == [channel.tick for channel in server.engine.channels]

    await state_of(stream, lambda state: state.in_sync and is_newest())
    for channel in server.engine.channels:
        heatmap = stream.heatmap(channel.symbol, channel.timeframe)
        assert heatmap.in_sync
        np.testing.assert_array_equal(heatmap.levels, channel.window())


async def test_stream_joins_and_follows() -> None:
    async with serving() as server, streaming(server) as stream:
        assert stream.state.phase is Phase.CONNECTING

        await stream.wait_in_sync(PATIENCE_S)
        for tick in range(5):
            server.push(server.engine.frame(server.engine.step({1: {tick: 9}, 2: {3: tick}}, advance=1)))

        await in_sync_with(stream, server)
        assert stream.totals.joins == 1


async def test_only_the_channels_named_are_asked_for() -> None:
    async with (
        serving() as server,
        Client(server.address) as client,
        client.stream("BTC", ["24h", "1y"], cadence_ms=500) as stream,
    ):
        await stream.wait_in_sync(PATIENCE_S)

        request = server.requests[0]
        assert list(request.channels) == channel_selectors("BTC", ["24h", "1y"])
        assert request.cadence_ms == 500
        with pytest.raises(NotServed, match="BTC 1y is not in this stream"):
            stream.heatmap("BTC", "1y")


async def test_updates_merge_for_a_reader_that_is_slow() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)
        updates = stream.updates()
        await anext(updates)

        server.push(server.engine.frame(server.engine.step({1: {0: 1}})))
        server.push(server.engine.frame(server.engine.step({2: {0: 1}}), ticks_conflated=3))
        await in_sync_with(stream, server)
        update = await anext(updates)

        assert update.channels == {("BTC", "24h"), ("ETH", "12h")}
        assert update.frames == 2
        assert update.ticks_conflated == 3
        assert update.state.in_sync


async def test_server_killed_and_restarted_is_resumed() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        await server.stop()
        lost = await state_of(stream, lambda state: not state.in_sync)
        stale = stream.heatmap("BTC", "24h")
        server.engine.step({1: {4: 44}}, advance=1)
        await server.start()
        await in_sync_with(stream, server)

        assert lost.phase is Phase.OUT_OF_SYNC
        assert not stale.in_sync
        assert stale.reason.startswith("out of sync: ")
        assert [point.tick for point in server.requests[-1].resume] == [1]
        assert stream.replicas.counters.lagged == 0


async def test_server_that_lost_everything_is_joined_anew() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        await server.stop()
        server.engine.restart(epoch=0x123)
        server.engine.step({1: {4: 44}})
        await server.start()
        await in_sync_with(stream, server)

        assert stream.replicas.last_lagged == "EPOCH_CHANGED"
        assert stream.replicas.counters.epoch_changes == 1


async def test_server_that_builds_history_is_waited_for_and_its_progress_shown() -> None:
    async with serving() as server, streaming(server) as stream:
        server.refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "history is being built: 42 %", retry_after_ms=20)

        building = await state_of(stream, lambda state: state.phase is Phase.BUILDING)
        server.refusal = None
        await in_sync_with(stream, server)

        assert building.reason == "history is being built: 42 % (FAILED_PRECONDITION)"


async def test_server_that_restarts_and_builds_says_so_under_a_running_client() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        server.refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "history is being built: 7 %", retry_after_ms=20)
        await server.stop()
        server.engine.restart(epoch=0x123)
        await server.start()
        building = await state_of(stream, lambda state: state.phase is Phase.BUILDING)
        server.refusal = None
        await in_sync_with(stream, server)

        assert "7 %" in building.reason


async def test_gap_falls_back_to_keyframes() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        server.engine.step({1: {0: 1}})
        server.push(server.engine.frame(server.engine.step({1: {0: 2}})))
        gap = await state_of(stream, lambda state: not state.in_sync)
        await in_sync_with(stream, server)

        assert "gap: tick 3 follows 2, but 1 is held" in gap.reason
        assert not server.requests[-1].resume
        assert stream.replicas.counters.gaps == 1


async def test_checksum_that_differs_falls_back_to_keyframes() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        section = server.engine.step({1: {0: 1}})
        section.chunks[0].channel.checksum ^= 1
        server.push(server.engine.frame(section))
        failed = await state_of(stream, lambda state: not state.in_sync)
        await in_sync_with(stream, server)

        assert "checksum differs" in failed.reason
        assert not server.requests[-1].resume
        assert stream.replicas.counters.checksum_failures == 1


async def test_bytes_that_are_no_frame_end_the_stream_and_it_resumes() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        server.push_bytes(b"\xff\xff\xff\xff")
        failed = await state_of(stream, lambda state: not state.in_sync)
        await in_sync_with(stream, server)

        assert "cannot be read" in failed.reason


@pytest.mark.slow
async def test_silent_server_is_called_dead_after_three_heartbeats() -> None:
    async with serving(heartbeat_ms=300) as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)
        before = time.monotonic()

        silent = await state_of(stream, lambda state: not state.in_sync)
        waited_s = time.monotonic() - before
        await in_sync_with(stream, server)

        assert "nothing heard for 0.9 s" in silent.reason
        assert waited_s > 0.4
        assert stream.totals.connections >= 2


@pytest.mark.slow
async def test_heartbeats_alone_keep_a_stream_in_sync() -> None:
    async with serving(heartbeat_ms=500) as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        for _ in range(8):
            await asyncio.sleep(0.25)
            server.push(server.engine.heartbeat())

        assert stream.state.in_sync
        assert stream.totals.connections == 1


async def test_message_much_later_than_the_others_makes_the_stream_anew() -> None:
    async with serving() as server, streaming(server) as stream:
        server.engine.sent_unix_ns = time.time_ns()
        await stream.wait_in_sync(PATIENCE_S)

        server.engine.sent_unix_ns -= 10_000_000_000
        server.push(server.engine.heartbeat())
        late = await state_of(stream, lambda state: not state.in_sync)
        await in_sync_with(stream, server)

        assert "s behind the server" in late.reason
        assert server.requests[-1].resume


async def test_stream_that_the_server_ends_is_resumed() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)

        server.push(stream_pb2.Frame(going_away=stream_pb2.GoingAway(reconnect_after_ms=30, reason="deploy")))
        server.end_streams()
        ended = await state_of(stream, lambda state: not state.in_sync)
        await in_sync_with(stream, server)

        assert "the server ended the stream" in ended.reason
        assert server.requests[-1].resume


@pytest.mark.parametrize(
    ("code", "kind"), [(grpc.StatusCode.NOT_FOUND, NotFound), (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest)]
)
async def test_wrong_request_fails_for_good(code: grpc.StatusCode, kind: type[Exception]) -> None:
    async with serving() as server, streaming(server) as stream:
        server.refusal = Refusal(code, "symbol 'DOGE' is unknown; known are BTC, ETH")

        with pytest.raises(kind, match="known are BTC, ETH"):
            await stream.wait_in_sync(PATIENCE_S)

        assert stream.state.phase is Phase.FAILED
        assert len(server.requests) == 1


async def test_nobody_at_the_address_is_tried_again_until_somebody_is() -> None:
    async with serving() as server:
        await server.stop()
        async with streaming(server) as stream:
            absent = await state_of(stream, lambda state: "attempt 2" in state.reason)
            await server.start()
            await in_sync_with(stream, server)

    assert absent.phase is Phase.CONNECTING
    assert "UNAVAILABLE" in absent.reason


@pytest.mark.slow
async def test_wait_that_runs_out_says_how_far_it_came() -> None:
    async with serving() as server, streaming(server) as stream:
        server.refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "history is being built: 42 %")

        with pytest.raises(NotInSync, match=r"not in sync after 1\.0 s: building: history is being built: 42 %"):
            await stream.wait_in_sync(1.0)


async def test_closed_stream_ends_its_readers_and_its_connection() -> None:
    async with serving() as server:
        async with streaming(server) as stream:
            await stream.wait_in_sync(PATIENCE_S)
            reading = asyncio.create_task(state_of(stream, lambda state: state.phase is Phase.FAILED))
            await asyncio.sleep(0)
        with pytest.raises(AssertionError, match="the stream ended: closed"):
            await reading

        assert stream.state.phase is Phase.CLOSED
        async with asyncio.timeout(PATIENCE_S):
            await server.left.wait()


async def test_reader_that_leaves_costs_the_others_nothing() -> None:
    async with serving() as server, streaming(server) as stream:
        await stream.wait_in_sync(PATIENCE_S)
        leaving = asyncio.create_task(state_of(stream, lambda state: state.phase is Phase.FAILED))
        await asyncio.sleep(0)

        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        server.push(server.engine.frame(server.engine.step({1: {0: 1}})))

        await in_sync_with(stream, server)


async def test_questions_are_answered() -> None:
    async with serving() as server, Client(server.address) as client:
        grid, status, instruments = await asyncio.gather(
            client.grid("BTC", "24h"), client.status(), client.instruments()
        )

    np.testing.assert_array_equal(grid.cells, grid_cells(server.engine.channels[0]))
    assert status.state == query_pb2.ENGINE_STATE_SERVING
    assert instruments.instruments[0].instrument == "binance:BTCUSDT"


async def test_refused_question_raises_the_servers_words() -> None:
    async with serving() as server, Client(server.address) as client:
        server.refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "history is being built: 42 %")

        with pytest.raises(NotReady, match="42 %"):
            await client.grid("BTC", "24h")
        with pytest.raises(NotReady, match="42 %"):
            await client.status()


async def test_question_to_nobody_is_unreachable() -> None:
    async with serving() as server:
        address = server.address
    async with Client(address, timeout_s=PATIENCE_S) as client:
        with pytest.raises(Unreachable, match="UNAVAILABLE"):
            await client.status()


@contextmanager
def serving_in_a_thread() -> Iterator[tuple[FakeServer, Callable[[Callable[[], None]], object]]]:
    """Serve from a thread of its own, for blocking clients; also return what calls a function there."""
    loop = asyncio.new_event_loop()
    server = FakeServer(ModelEngine(heartbeat_ms=30_000))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(PATIENCE_S)
        yield server, lambda function: loop.call_soon_threadsafe(function)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_plain_client_streams_and_asks() -> None:
    with serving_in_a_thread() as (server, _), SyncClient(server.address) as client:
        grid = client.grid("BTC", "24h")
        with client.stream("BTC", "24h") as stream:
            stream.wait_in_sync(PATIENCE_S)
            heatmap = stream.heatmap("BTC", "24h")
            symbol = stream.symbol("BTC")

            assert stream.state.in_sync
            assert stream.channels() == (("BTC", "24h"),)
            assert stream.covered_share("BTC") == pytest.approx(0.4)

    np.testing.assert_array_equal(grid.cells, grid_cells(server.engine.channels[0]))
    np.testing.assert_array_equal(heatmap.levels, server.engine.channels[0].window())
    assert heatmap.in_sync
    assert symbol is not None


def test_plain_client_iterates_over_updates() -> None:
    with (
        serving_in_a_thread() as (server, call),
        SyncClient(server.address) as client,
        client.stream("BTC", "24h") as stream,
    ):
        stream.wait_in_sync(PATIENCE_S)
        call(lambda: server.push(server.engine.frame(server.engine.step({1: {0: 77}}))))

        update = next(update for update in stream if stream.heatmap("BTC", "24h").tick == 2)

        assert update.state.in_sync


def test_plain_client_closed_with_an_open_stream_leaves_nothing_behind() -> None:
    with serving_in_a_thread() as (server, _):
        with SyncClient(server.address) as client:
            stream = client.stream("BTC", "24h")
            stream.__enter__()
            stream.wait_in_sync(PATIENCE_S)

        assert not any(thread.name == "liqscape client" for thread in threading.enumerate())


def test_plain_client_can_be_closed_twice_and_says_so_afterwards() -> None:
    with serving_in_a_thread() as (server, _):
        client = SyncClient(server.address)
        client.status()

        client.close()
        client.close()

        with pytest.raises(Exception, match="the client is closed"):
            client.status()
