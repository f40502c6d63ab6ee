"""Playback on a real loopback socket, of the past of a real engine: in one process, and over the link of two."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from liqscape.api.grpc_service import RunningGrpcServer, serve_grpc
from liqscape.api.health import PublicHealth
from liqscape.api.limits import DEFAULT_LIMITS, CallerLimits, ServiceLimits, SessionLimits
from liqscape.api.web_assets import WebAssets
from liqscape.api.web_service import serving_web
from liqscape.broadcast.encoder import StreamEncoder
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.broadcast.ports import QueryPort
from liqscape.engine import EngineThread
from liqscape.grid.past import PastPicture
from liqscape.grid.updates import GridQuery
from liqscape.link.engine_link import EngineLink
from liqscape.link.host import hosting, port_methods
from liqscape.link.places import engine_socket, socket_folder
from liqscape.v1 import stream_pb2
from liqscape_client.client import Client
from liqscape_client.replica_set import ReplicaSet
from tests.fake_engine import FakeEngine, FakeQueries, grid_answer
from tests.past_engine import FIRST, LAST, levels_window, past_engine

Request = stream_pb2.PlaybackRequest
Position = stream_pb2.PlaybackPosition
FRAMES_OF_A_PICTURE = 8
"""At most, of two channels of this size."""


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with past_engine() as running:
        yield running


@contextlib.asynccontextmanager
async def serving(queries: QueryPort, limits: ServiceLimits = DEFAULT_LIMITS) -> AsyncIterator[RunningGrpcServer]:
    """Serve the past of an engine; what is live is made up."""
    fake = FakeEngine(symbols=("BTC",))
    source = InProcessFrameSource(fake.shard)
    source.publish(StreamEncoder(fake.shard).encode(fake.step()))
    async with Hub(source).running() as hub:
        while not hub.is_ready:
            await hub.wait(5, for_tick=True)
        running = await serve_grpc("127.0.0.1:0", hub, queries, limits=limits)
        try:
            yield running
        finally:
            await running.stop(0.1)


@contextlib.asynccontextmanager
async def web_of(server: RunningGrpcServer, queries: QueryPort) -> AsyncIterator[str]:
    """Open the other door to what a gRPC server serves; yield its address."""
    fake = FakeEngine(symbols=("BTC",))
    async with serving_web(
        "127.0.0.1:0",
        server.calls,
        lambda: 0.0,
        assets=WebAssets(),
        health=PublicHealth(Hubs(Hub(InProcessFrameSource(fake.shard))), queries.status),
        accounts=server.accounts,
    ) as url:
        yield url


@contextlib.asynccontextmanager
async def linked(engine: EngineThread) -> AsyncIterator[QueryPort]:
    """Return the engine as another process knows it."""
    with socket_folder() as folder:
        path = engine_socket(folder)
        async with hosting(path, port_methods(engine)):
            link = EngineLink(path)
            try:
                yield link
            finally:
                await link.close()


class Peer:
    """A peer of a playback that says what a test tells it to."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(
            "/liqscape.v1.StreamService/Playback"
        )(timeout=30)
        self.replicas = ReplicaSet(lambda: 0.0)
        self.frames = 0
        self.shown: list[int] = []
        self.position = Position()

    async def say(self, **request: Any) -> None:
        await self.call.write(Request(**request).SerializeToString())

    async def open(self, **fields: Any) -> None:
        channels = fields.pop("channels", [("BTC", "12h"), ("BTC", "24h")])
        selectors = [
            c if isinstance(c, stream_pb2.ChannelSelector) else stream_pb2.ChannelSelector(symbol=c[0], timeframe=c[1])
            for c in channels
        ]
        usual = {"from_minute": FIRST, "until_minute": LAST + 1, "step_minutes": 3}
        await self.say(open=stream_pb2.PlaybackOpen(channels=selectors, **{**usual, **fields}))

    async def read(self) -> stream_pb2.Frame:
        """Apply a message and acknowledge it."""
        data = await asyncio.wait_for(self.call.read(), 20)
        assert isinstance(data, bytes), "the playback has ended"
        frame = stream_pb2.Frame.FromString(data)
        self.frames += 1
        effect = self.replicas.apply(frame)
        assert effect.broken is None
        if frame.HasField("playback"):
            self.position = frame.playback
            if frame.sections:
                self.shown.append(frame.playback.minute)
        if frame.sections:
            await self.say(acknowledge=stream_pb2.Acknowledge(frames=self.frames))
        return frame

    async def read_until_stopped(self) -> None:
        while self.position.state != Position.STATE_STOPPED:
            await self.read()

    async def read_until_shown(self, minute: int) -> None:
        while self.position.minute != minute or not self.shown:
            await self.read()

    async def read_to_the_end(self) -> None:
        while await asyncio.wait_for(self.call.read(), 20) is not grpc.aio.EOF:
            pass

    async def failure(self) -> tuple[str, str]:
        """Read to the end and return code and text."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.read_to_the_end()
        return caught.value.code().name, caught.value.details() or ""


@contextlib.asynccontextmanager
async def connected(server: RunningGrpcServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield channel


async def assert_shows(peer: Peer, engine: EngineThread, minute: int) -> None:
    for timeframe in ("12h", "24h"):
        grid = await engine.get_grid(GridQuery("BTC", timeframe, as_of_minute=minute))
        np.testing.assert_array_equal(peer.replicas.replica("BTC", timeframe).levels(), levels_window(grid))


@pytest.mark.slow
async def test_span_is_played_to_its_end_seeks_back_and_is_each_time_what_get_grid_says(engine: EngineThread) -> None:
    async with serving(engine) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open()

        await peer.read_until_stopped()
        await assert_shows(peer, engine, LAST - (LAST - FIRST) % 3)
        await peer.say(seek=stream_pb2.PlaybackSeek(minute=FIRST + 1))
        await peer.read_until_shown(FIRST + 1)
        await assert_shows(peer, engine, FIRST + 1)

        assert peer.shown == [*range(FIRST, LAST + 1, 3), FIRST + 1]
        assert peer.replicas.in_sync


@pytest.mark.slow
async def test_grid_over_the_wire_is_that_of_the_playback(engine: EngineThread) -> None:
    async with serving(engine) as server, connected(server) as channel, Client(server.address) as client:
        peer = Peer(channel)
        await peer.open(paused=True, channels=[("BTC", "24h")])
        await peer.read_until_shown(FIRST)

        grid = await client.grid("BTC", "24h", as_of_minute=FIRST)
        held = peer.replicas.replica("BTC", "24h").heatmap()

        assert held.axes == grid.axes
        assert held.newest_column == grid.newest_column
        np.testing.assert_array_equal(held.candles.close, grid.candles.close)
        price = peer.replicas.symbol("BTC")
        assert price is not None
        assert price.mark_price == grid.candles.close[~np.isnan(grid.candles.close)][-1]


@pytest.mark.slow
async def test_price_is_exact_where_a_column_of_another_timeframe_ends_with_the_minute(engine: EngineThread) -> None:
    middle = FIRST + (FIRST % 2)  # in the middle of a column of 24h, and of those of all longer ones
    async with serving(engine) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open(from_minute=middle, paused=True, channels=[("BTC", "24h")])
        await peer.read_until_shown(middle)

        minute_by_minute = (await engine.get_grid(GridQuery("BTC", "12h", as_of_minute=middle))).candles
        price = peer.replicas.symbol("BTC")

        assert minute_by_minute.column[-1] == middle
        assert price is not None
        assert round(price.mark_price * 10**price.price_decimals) == minute_by_minute.close[-1]


@pytest.mark.slow
async def test_playback_over_the_link_of_two_processes(engine: EngineThread) -> None:
    async with linked(engine) as link, serving(link) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open(step_minutes=8)

        await peer.read_until_stopped()

        assert peer.shown == list(range(FIRST, LAST + 1, 8))
        await assert_shows(peer, engine, peer.shown[-1])


@pytest.mark.slow
async def test_chosen_positions_are_played_like_any_channel(engine: EngineThread) -> None:
    longs = stream_pb2.PositionFilter(side=stream_pb2.PositionFilter.SIDE_LONG, leverages=[25, 10])
    selector = stream_pb2.ChannelSelector(symbol="BTC", timeframe="24h", positions=longs)
    async with serving(engine) as server, connected(server) as channel, Client(server.address) as client:
        peer = Peer(channel)
        await peer.open(paused=True, channels=[selector, ("BTC", "24h")])
        await peer.read_until_shown(FIRST)

        whole = peer.replicas.replica("BTC", "24h").levels()
        (part,) = [part for part in peer.replicas.parts("BTC", "24h") if part is not None]
        chosen = peer.replicas.replica("BTC", "24h", part).levels()
        grid = await client.grid("BTC", "24h", as_of_minute=FIRST, side="long", leverages=[10, 25])

        assert 0 < np.count_nonzero(chosen) < np.count_nonzero(whole)
        np.testing.assert_array_equal(chosen > 0, grid.usd() >= 64)


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"from_minute": LAST + 1, "until_minute": LAST + 9}, "OUT_OF_RANGE", "is not held; ask for"),
        ({"from_minute": 9, "until_minute": 9}, "INVALID_ARGUMENT", "until_minute 9 is invalid"),
        ({"step_minutes": 1 << 31}, "INVALID_ARGUMENT", "step_minutes 2147483648 is invalid"),
        ({"speed": -1.0}, "INVALID_ARGUMENT", "speed -1.0 is invalid"),
        ({"max_in_flight": 9}, "INVALID_ARGUMENT", "max_in_flight 9 is too large"),
        ({"channels": []}, "INVALID_ARGUMENT", "channels has 0 entries; a playback has 1 to 4"),
        ({"channels": [("BTC", "24h")] * 5}, "INVALID_ARGUMENT", "channels has 5 entries; a playback has 1 to 4"),
        (
            {"channels": [("BTC", "")]},
            "INVALID_ARGUMENT",
            "channels[0].timeframe is empty; a playback needs one of 12h",
        ),
        ({"channels": [("DOGE", "24h")]}, "NOT_FOUND", "symbol 'DOGE' is not served"),
        (
            {
                "channels": [
                    stream_pb2.ChannelSelector(
                        symbol="BTC", timeframe="24h", rows=stream_pb2.RowSpan(first=0, last=100)
                    )
                ]
            },
            "INVALID_ARGUMENT",
            "channels[0].rows cannot be chosen; a playback has the rows of then, all of them",
        ),
        (
            {
                "channels": [
                    ("BTC", "12h"),
                    stream_pb2.ChannelSelector(
                        symbol="BTC", timeframe="24h", prices=stream_pb2.PriceSpan(low=1.0, high=2.0)
                    ),
                ]
            },
            "INVALID_ARGUMENT",
            "channels[1].prices cannot be chosen",
        ),
        (
            {
                "channels": [
                    stream_pb2.ChannelSelector(
                        symbol="BTC", timeframe="24h", positions=stream_pb2.PositionFilter(venues=["nowhere"])
                    )
                ]
            },
            "NOT_FOUND",
            "venue 'nowhere' is unknown",
        ),
    ],
)
async def test_opening_that_cannot_be_served_is_refused_in_words(
    engine: EngineThread, fields: dict[str, Any], code: str, text: str
) -> None:
    async with serving(engine) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open(**fields)

        found = await peer.failure()

        assert found[0] == code
        assert text in found[1]


OPEN = Request(
    open=stream_pb2.PlaybackOpen(
        channels=[stream_pb2.ChannelSelector(symbol="BTC", timeframe="24h")],
        from_minute=FIRST,
        until_minute=LAST,
        paused=True,
    )
)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([Request(play=stream_pb2.PlaybackPlay())], "the first message of a playback is play; it must be open"),
        ([Request()], "the first message of a playback is empty; it must be open"),
        ([OPEN, OPEN], "the playback is open; open another"),
        ([OPEN, Request()], "message holds none of acknowledge, play, pause, seek and speed"),
        ([OPEN, Request(acknowledge=stream_pb2.Acknowledge(frames=999))], "acknowledge.frames 999 leads what was sent"),
    ],
)
async def test_peer_that_breaks_the_rules_is_told_which(
    engine: EngineThread, messages: list[stream_pb2.PlaybackRequest], text: str
) -> None:
    async with serving(engine) as server, connected(server) as channel:
        peer = Peer(channel)
        for message in messages:
            await peer.call.write(message.SerializeToString())

        code, words = await peer.failure()

        assert code == "INVALID_ARGUMENT"
        assert text in words


async def test_bytes_that_are_no_request_are_refused(engine: EngineThread) -> None:
    async with serving(engine) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.call.write(b"\xff\xff")

        assert await peer.failure() == ("INVALID_ARGUMENT", "request of 2 bytes is not a PlaybackRequest")


async def test_peer_that_says_nothing_does_not_keep_its_place(engine: EngineThread) -> None:
    limits = ServiceLimits(sessions=SessionLimits(open_within_s=0.05))
    async with serving(engine, limits) as server, connected(server) as channel:
        code, text = await Peer(channel).failure()

        assert (code, text.partition(";")[0]) == ("INVALID_ARGUMENT", "nothing came for 0.05 s")


@pytest.mark.slow
async def test_slip_is_answered_and_the_playback_goes_on(engine: EngineThread) -> None:
    async with serving(engine) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open(paused=True)
        await peer.read_until_shown(FIRST)

        await peer.say(seek=stream_pb2.PlaybackSeek(minute=LAST + 1))
        while not peer.position.refused:
            await peer.read()
        refused = peer.position
        await peer.say(speed=stream_pb2.PlaybackSpeed(speed=float("nan")))
        while peer.position.requests < 2:
            await peer.read()
        slow = peer.position
        await peer.say(play=stream_pb2.PlaybackPlay())
        await peer.read_until_stopped()

        assert refused.refused.startswith(f"seek.minute {LAST + 1} lies outside of the span; use {FIRST} to {LAST}")
        assert slow.refused.startswith("speed.speed nan is invalid")
        assert peer.position.refused == ""
        assert peer.shown == list(range(FIRST, LAST + 1, 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (ServiceLimits(max_playbacks=1), "1 playbacks are open, the limit of this server"),
        (
            ServiceLimits(
                per_address=CallerLimits(streams=9, channels=9, queries_per_minute=600, cells=4 << 20, playbacks=1)
            ),
            "address 127.0.0.1 has 1 playbacks open, its limit",
        ),
    ],
)
async def test_one_more_than_the_limit_is_refused_until_one_has_ended(
    engine: EngineThread, limits: ServiceLimits, text: str
) -> None:
    async with serving(engine, limits) as server, connected(server) as channel:
        first = Peer(channel)
        await first.open(paused=True)
        await first.read_until_shown(FIRST)

        second = Peer(channel)
        await second.open()
        refused = await second.failure()
        await first.call.done_writing()
        await first.read_to_the_end()
        third = Peer(channel)
        await third.open(paused=True)
        await third.read_until_shown(FIRST)

        assert refused == ("RESOURCE_EXHAUSTED", text)
        async with Client(server.address) as client:
            counters = (await client.status()).counters
        assert (counters["playbacks_open"], counters["playbacks_refused"], counters["playback_pictures"]) == (1, 1, 2)


async def test_cell_limit_of_a_caller_holds_for_playbacks(engine: EngineThread) -> None:
    limits = ServiceLimits(per_address=CallerLimits(streams=9, channels=9, queries_per_minute=600, cells=1000))
    async with serving(engine, limits) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open()

        code, text = await peer.failure()

        assert code == "RESOURCE_EXHAUSTED"
        assert "the limit of this caller is 1000" in text


class Slow(FakeQueries):
    """Shows one picture, and works on the next for ever; says how that was ended."""

    def __init__(self) -> None:
        super().__init__(FakeEngine(), grid=grid_answer(40, 30))
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def get_picture(self, query: GridQuery) -> PastPicture:
        if query.as_of_minute == FIRST:
            return await super().get_picture(query)
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError


async def test_cancelled_playback_ends_its_work_and_frees_its_place() -> None:
    queries = Slow()
    async with serving(queries, ServiceLimits(max_playbacks=1)) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open(channels=[("BTC", "24h")])
        await peer.read_until_shown(FIRST)
        await asyncio.wait_for(queries.began.wait(), 10)

        peer.call.cancel()
        await asyncio.wait_for(queries.cancelled.wait(), 10)

        async with Client(server.address) as client:
            counters = (await client.status()).counters
            while counters["playbacks_open"]:  # the server hears of it a moment later
                counters = (await client.status()).counters
        assert counters["playback_pictures"] == 1
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not names & {"picture of the past", "playback requests"}


async def test_picture_that_takes_too_long_ends_the_playback() -> None:
    limits = ServiceLimits(max_grid_seconds=0.05)
    async with serving(Slow(), limits) as server, connected(server) as channel:
        peer = Peer(channel)
        await peer.open(channels=[("BTC", "24h")])

        assert await peer.failure() == ("UNAVAILABLE", f"no picture of minute {FIRST + 3} within 0.05 s")


@pytest.mark.slow
async def test_playback_over_a_web_socket_is_that_over_grpc(engine: EngineThread) -> None:
    async with serving(engine) as server, web_of(server, engine) as url, aiohttp.ClientSession() as http:
        replicas, frames = ReplicaSet(lambda: 0.0), 0
        shown: list[int] = []
        async with http.ws_connect(f"{url}v1/playback", protocols=("liqscape.v1",)) as socket:
            channels = [stream_pb2.ChannelSelector(symbol="BTC", timeframe=name) for name in ("12h", "24h")]
            asked = stream_pb2.PlaybackOpen(
                channels=channels, from_minute=FIRST, until_minute=FIRST + 6, step_minutes=3
            )
            await socket.send_bytes(Request(open=asked).SerializeToString())
            while shown[-1:] != [FIRST + 3]:
                frame = stream_pb2.Frame.FromString(await socket.receive_bytes(timeout=20))
                frames += 1
                assert replicas.apply(frame).broken is None
                if frame.sections:
                    acknowledge = stream_pb2.Acknowledge(frames=frames)
                    await socket.send_bytes(Request(acknowledge=acknowledge).SerializeToString())
                if frame.sections and frame.HasField("playback"):
                    shown.append(frame.playback.minute)
            await socket.send_bytes(Request(open=stream_pb2.PlaybackOpen()).SerializeToString())
            while (message := await socket.receive(timeout=20)).type == aiohttp.WSMsgType.BINARY:
                pass

        assert shown == [FIRST, FIRST + 3]
        for timeframe in ("12h", "24h"):
            grid = await engine.get_grid(GridQuery("BTC", timeframe, as_of_minute=FIRST + 3))
            np.testing.assert_array_equal(replicas.replica("BTC", timeframe).levels(), levels_window(grid))
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4003), "a second open breaks the rules"
