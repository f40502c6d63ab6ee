"""The client under credits: against a server that is told what to send, and against ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from liqscape.v1 import stream_pb2
from liqscape_client.client import Client
from liqscape_client.errors import ChangeRefused, ClientError, NotServed
from liqscape_client.replica_set import ChannelKey
from liqscape_client.stream import LiveStream, Phase
from liqscape_client.sync import SyncClient
from tests.integration.test_client_stream import PATIENCE_S, in_sync_with, short, state_of, streaming
from tests.integration.test_client_stream import serving as faking
from tests.integration.test_grpc_api import Server, serving
from tests.unit.client.fake_server import FakeServer


@asynccontextmanager
async def session_with(server: FakeServer) -> AsyncIterator[LiveStream]:
    async with Client(server.address) as client, LiveStream(client.open_channel, credits=2, uniform=short) as stream:
        await stream.wait_in_sync(PATIENCE_S)
        yield stream


@asynccontextmanager
async def session(server: Server, *, symbols: str = "", credits: int = 2) -> AsyncIterator[LiveStream]:
    async with (
        Client(server.running.address) as client,
        client.stream(symbols or (), credits=credits) as stream,
    ):
        await stream.wait_in_sync(PATIENCE_S)
        yield stream


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what a server has received can only be looked at
            await asyncio.sleep(0.005)


async def caught_up(stream: LiveStream, server: Server) -> None:
    """Return once the stream holds the engine's newest tick, and compare."""

    def is_newest() -> bool:
        keys = stream.replicas.channels()
        return stream.state.in_sync and all(stream.replicas.replica(*key).tick == server.engine.tick for key in keys)

    await until(is_newest)
    for channel in server.engine.shard.channels:
        key = (channel.symbol, channel.timeframe.name)
        if key in stream.replicas.channels():
            truth = server.engine.truth[server.engine.tick][channel.channel_id]
            columns = channel.timeframe.columns
            ring = np.frombuffer(truth.ring, np.uint8).reshape(columns, -1)
            window = [ring[c % columns] for c in range(truth.newest_column - columns + 1, truth.newest_column + 1)]
            np.testing.assert_array_equal(stream.heatmap(*key).levels, window)


def acknowledged(server: FakeServer) -> list[int]:
    return [said.acknowledge.frames for said in server.said if said.HasField("acknowledge")]


def rejected(server: FakeServer) -> list[stream_pb2.Reject]:
    return [said.reject for said in server.said if said.HasField("reject")]


async def test_messages_of_data_are_acknowledged_once_applied_and_control_messages_with_them() -> None:
    async with faking() as server, session_with(server) as stream:
        joined = stream.totals.frames
        for tick in range(3):
            server.push(server.engine.frame(server.engine.step({1: {tick: 9}}, advance=1)))
            server.push(server.engine.heartbeat())

        await in_sync_with(stream, server)
        await until(lambda: acknowledged(server)[-1:] == [joined + 5])

        assert server.requests[0].max_in_flight == 2
        assert acknowledged(server)[-3:] == [joined + 1, joined + 3, joined + 5]


async def test_broken_channel_is_rejected_and_mended_on_the_same_stream() -> None:
    async with faking() as server, session_with(server) as stream:
        server.engine.step({1: {0: 1}})  # lost on the way

        server.push(server.engine.frame(server.engine.step({1: {0: 2}, 2: {0: 2}})))
        broken = await state_of(stream, lambda state: not state.in_sync)
        await until(lambda: bool(rejected(server)))
        server.push(server.engine.frame(server.engine.publish([server.engine.channels[0].keyframe()])))
        await in_sync_with(stream, server)

        (reject,) = rejected(server)
        assert broken.phase is Phase.OUT_OF_SYNC
        assert (list(reject.channel_ids), reject.reason) == ([1], stream_pb2.Reject.REASON_GAP)
        assert "gap: tick 3 follows 2, but 1 is held" in reject.details
        assert (stream.totals.channels_rejected, stream.totals.channels_mended) == (1, 1)
        assert stream.totals.connections == 1


async def test_channel_that_keyframes_do_not_mend_needs_a_new_stream_without_a_resume_point() -> None:
    async with faking() as server, session_with(server) as stream:
        for attempt in range(4):
            damaged = server.engine.channels[0].keyframe()
            damaged.tick += 1 + attempt
            damaged.checksum ^= 1
            server.push(server.engine.frame(server.engine.section([damaged])))
        await until(lambda: len(server.requests) == 2)
        await in_sync_with(stream, server)

        assert 1 <= len(rejected(server)) <= 4  # the last ones may go down with their stream
        assert rejected(server)[0].reason == stream_pb2.Reject.REASON_CHECKSUM_DIFFERS
        assert list(server.requests[1].resume) == []
        assert stream.totals.mending_failed == 1


async def test_session_follows_our_server() -> None:
    async with serving(steps=3) as server, session(server) as stream:
        for _ in range(20):
            await server.step()
        await caught_up(stream, server)

        assert stream.totals.connections == 1


async def test_damaged_replica_is_mended_by_our_server() -> None:
    async with serving(rows=50) as server, session(server, credits=1) as stream:
        stream.replicas.replica("BTC", "24h").require_keyframe("damaged by a test")

        await server.step()
        await caught_up(stream, server)

        assert stream.totals.connections == 1
        assert stream.totals.channels_mended == 1
        assert server.hub.counters.by_name()["session_rejected_channels_missing"] == 1


async def test_change_of_channels_keeps_what_is_kept() -> None:
    async with serving() as server, session(server, symbols="BTC") as stream:
        kept = stream.replicas.replica("BTC", "24h")

        await stream.change(["BTC", "ETH"], "24h", cadence_ms=100)
        await stream.wait_in_sync(PATIENCE_S)
        await server.step()
        await caught_up(stream, server)

        assert stream.replicas.channels() == (("BTC", "24h"), ("ETH", "24h"))
        assert stream.replicas.replica("BTC", "24h") is kept
        assert stream.replicas.cadence_ms == 100
        assert stream.totals.changes == 1
        with pytest.raises(NotServed):
            stream.heatmap("BTC", "12h")


async def test_change_that_is_refused_leaves_the_stream_as_it_was() -> None:
    async with serving() as server, session(server, symbols="BTC") as stream:
        with pytest.raises(ChangeRefused, match="symbol 'DOGE' is not served; served are BTC, ETH"):
            await stream.change("DOGE")
        await server.step()
        await caught_up(stream, server)

        assert len(stream.replicas.channels()) == 2
        assert stream.totals.connections == 1


async def test_stream_that_breaks_comes_back_with_the_channels_it_had_changed_to() -> None:
    async with serving() as server, session(server, symbols="BTC") as stream:
        await stream.change("ETH", "12h")
        await stream.wait_in_sync(PATIENCE_S)

        server.hub.close("test", 0)
        await until(lambda: stream.totals.connections > 1)
        server.hub.goodbye = None
        await until(lambda: stream.state.in_sync)

        assert stream.replicas.channels() == (("ETH", "12h"),)


async def test_change_needs_a_session() -> None:
    async with faking() as server, streaming(server) as stream:
        with pytest.raises(ClientError, match="open the stream with credits=2"):
            await stream.change("BTC")


async def test_change_on_a_stream_that_is_closed_meanwhile_is_told() -> None:
    async with faking() as server, session_with(server) as stream:
        changing = asyncio.create_task(stream.change("BTC"))
        await until(lambda: any(said.HasField("change") for said in server.said))

        await stream.close()

        with pytest.raises(ClientError, match="the stream has ended: closed"):
            await changing


async def test_plain_code_changes_channels_too() -> None:
    async with serving() as server:

        def work() -> tuple[ChannelKey, ...]:
            with SyncClient(server.running.address) as client, client.stream("BTC", credits=2) as stream:
                stream.wait_in_sync(PATIENCE_S)
                stream.change("ETH", "24h")
                stream.wait_in_sync(PATIENCE_S)
                return stream.channels()

        assert await asyncio.to_thread(work) == (("ETH", "24h"),)
