"""Tiles and custom channels on real loopback sockets: shared, in budget, closed with their last reader, resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from liqscape.api.limits import DEFAULT_LIMITS
from liqscape.app import RunningServer, serve
from liqscape.broadcast import on_demand
from liqscape.config import ServeConfig, SourceConfig
from liqscape.device.numpy_grid import levels_of
from liqscape.v1 import stream_pb2
from liqscape_client import ChangeRefused, ChannelPart, Client, InvalidRequest, NotServed, channel_selectors
from liqscape_client.stream import LiveStream
from tests.integration.synthetic_recording import write_recording
from tests.integration.test_grpc_api import Server, failure_of, next_frame, read_until, serving
from tests.integration.test_session import Session
from tests.wire_decoder import Replica

PATIENCE_S = 20.0
DEFAULT_STEPS = 2
"""Base steps of a row of 24h."""

BOTH_TILES = {"rows": (126, 129)}


def selector(**fields: Any) -> stream_pb2.ChannelSelector:
    return stream_pb2.ChannelSelector(symbol="BTC", timeframe="12h", **fields)


def rows(first: int, last: int) -> stream_pb2.ChannelSelector:
    return selector(rows=stream_pb2.RowSpan(first=first, last=last))


def longs() -> stream_pb2.ChannelSelector:
    return selector(positions=stream_pb2.PositionFilter(side=stream_pb2.PositionFilter.SIDE_LONG))


async def ticking_until(server: Server, condition: Callable[[], bool]) -> None:
    """Step the engine until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await server.step()
            await asyncio.sleep(0.005)


@asynccontextmanager
async def streaming(server: Server, **options: Any) -> AsyncIterator[LiveStream]:
    async with Client(server.running.address) as client, client.stream(**options) as stream:
        await ticking_until(server, lambda: stream.state.in_sync)
        yield stream


async def caught_up(server: Server, stream: LiveStream) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not (stream.state.in_sync and server.engine.tick in _newest(stream)):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def _newest(stream: LiveStream) -> set[int]:
    return {point.tick for point in stream.replicas.resume_points()}


def assert_equals_engine(replica: Replica, server: Server) -> None:
    assert replica.is_whole
    for channel_id, channel in replica.channels.items():
        assert channel.ring == server.engine.truth[server.engine.tick][channel_id].ring


async def test_tiles_of_a_viewport_are_the_rows_of_the_whole_channel() -> None:
    async with (
        serving(first_row=126) as server,
        streaming(server, symbols="BTC", timeframes="12h") as whole,
        streaming(server, symbols="BTC", timeframes="12h", prices=(2520.5, 2580.0)) as part,
    ):
        for _ in range(20):
            await server.step(cells=3)
        await caught_up(server, whole)
        await caught_up(server, part)

        everything, viewport = whole.heatmap("BTC", "12h"), part.viewport("BTC", "12h")

        assert part.replicas.channels() == tuple(("BTC", "12h", ChannelPart(tile=tile)) for tile in (0, 1))
        assert (viewport.axes.first_row, viewport.axes.rows) == (0, 256)
        first = everything.axes.first_row
        np.testing.assert_array_equal(viewport.levels[:, first : first + 4], everything.levels)
        assert int(viewport.levels.sum()) == int(everything.levels.sum())
        assert viewport.in_sync
        assert part.replicas.counters.checksum_failures == 0
        with pytest.raises(
            NotServed, match=r"BTC 12h is not in this stream; it carries BTC 12h tile 0, BTC 12h tile 1"
        ):
            part.heatmap("BTC", "12h")


async def test_readers_of_equal_selectors_share_one_channel_and_name_it_alike() -> None:
    async with serving(first_row=126) as server:
        calls = [server.subscribe(channels=[rows(*span), longs()]) for span in ((126, 127), (0, 127))]
        replicas = [Replica(), Replica()]
        hellos = [stream_pb2.Frame.FromString(await next_frame(call)).hello for call in calls]

        assert server.desk.calls == ["open", "open"]
        assert list(hellos[0].channels) == list(hellos[1].channels)
        tile, custom = sorted(hellos[0].channels, key=lambda channel: channel.HasField("positions"))
        assert (tile.rows.first, tile.rows.last, tile.HasField("positions")) == (0, 127, False)
        assert custom.positions.side == stream_pb2.PositionFilter.SIDE_LONG
        assert not custom.HasField("rows")
        for call, replica, hello in zip(calls, replicas, hellos, strict=True):
            replica.apply(stream_pb2.Frame(hello=hello).SerializeToString())
            await server.step()
            await read_until(call, replica, "snapshot_end")


async def test_channel_that_is_being_built_joins_when_its_first_grid_is_there() -> None:
    async with serving() as server:
        server.desk.build_ticks = 3
        call, replica = server.subscribe(channels=[selector(), longs()]), Replica()
        replica.apply(await next_frame(call))
        for _ in range(3):
            replica.apply(await next_frame(call))
            await server.step()
        waiting = [channel.in_sync for _, channel in sorted(replica.channels.items())]
        controls = list(replica.controls)
        await server.step()
        await read_until(call, replica, "snapshot_end")

        assert waiting == [True, False]
        assert controls == ["hello"]
        assert_equals_engine(replica, server)


async def test_session_goes_over_to_a_tile_and_back_and_the_tile_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(first_row=126) as server:
        session = Session(server)
        await session.join(channels=[selector()])

        await session.say(change=stream_pb2.Change(channels=[rows(128, 140)]))
        await session.read_until(lambda replica: replica.changes == 1)
        await server.step(2)
        await session.catch_up(server)
        (tile_id,) = session.replica.channels
        assert_equals_engine(session.replica, server)
        await session.say(change=stream_pb2.Change(channels=[selector()]))
        await session.read_until(lambda replica: replica.changes == 2)
        await session.catch_up(server)

        assert tile_id == 5
        assert set(session.replica.channels) == {1}
        assert_equals_engine(session.replica, server)
        assert server.desk.calls == ["open"]
        monkeypatch.setattr(on_demand, "LINGER_S", 0.0)
        await ticking_until(server, lambda: server.desk.calls == ["open", "close"])
        assert server.hub.counters.streams_open == 1


async def test_change_beyond_the_budget_is_refused_and_what_was_selected_stays() -> None:
    async with serving() as server, streaming(server, symbols="BTC", timeframes="12h", credits=2) as stream:
        server.desk.limit = 0

        with pytest.raises(ChangeRefused, match="0 such channels are open"):
            await stream.change("BTC", "12h", side="long")

        assert stream.replicas.channels() == (("BTC", "12h"),)
        assert server.hub.counters.channels_refused == 1


async def test_session_changes_one_filter_for_another_where_there_is_room_for_one() -> None:
    async with serving() as server:
        server.desk.limit = 1
        session = Session(server)
        await session.join(channels=[selector()])
        shorts = selector(positions=stream_pb2.PositionFilter(side=stream_pb2.PositionFilter.SIDE_SHORT))

        for wanted in (longs(), shorts):
            before = session.replica.changes
            await session.say(change=stream_pb2.Change(channels=[wanted]))
            await session.read_until(lambda replica: replica.changes > before)  # noqa: B023 (called at once)
            await server.step(2)
            await session.catch_up(server)

        assert set(session.replica.channels) == {6}
        assert_equals_engine(session.replica, server)
        assert server.hub.counters.channels_refused == 0


async def test_stream_beyond_the_budget_is_refused_with_the_time_to_come_back() -> None:
    async with serving() as server:
        server.desk.limit = 1
        first = server.subscribe(channels=[longs()])
        await next_frame(first)

        shorts = stream_pb2.PositionFilter(side=stream_pb2.PositionFilter.SIDE_SHORT)
        code, text, trailing = await failure_of(server.subscribe(channels=[selector(positions=shorts)]))

        assert (code, text) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "1 such channels are open")
        assert trailing["retry-after-ms"] == "5000"


async def test_channel_nobody_reads_makes_room_for_another_at_once() -> None:
    async with serving() as server:
        server.desk.limit = 1
        first = server.subscribe(channels=[longs()])
        await next_frame(first)
        first.cancel()
        while server.hub.counters.streams_open:  # noqa: ASYNC110 - streams end in many ways and none of them tells
            await asyncio.sleep(0.005)

        shorts = stream_pb2.PositionFilter(side=stream_pb2.PositionFilter.SIDE_SHORT)
        hello = stream_pb2.Frame.FromString(
            await next_frame(server.subscribe(channels=[selector(positions=shorts)]))
        ).hello

        assert [channel.channel_id for channel in hello.channels] == [6]
        assert server.desk.calls == ["open", "open", "close", "open"]


async def test_channel_closes_some_time_after_its_last_reader_and_its_resume_point_is_no_good_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(first_row=126) as server:
        async with streaming(server, symbols="BTC", timeframes="12h", **BOTH_TILES) as stream:
            points = stream.replicas.resume_points()
        again = server.subscribe(channels=[rows(126, 129)], resume=points)
        resumed = stream_pb2.Frame.FromString(await next_frame(again)).hello
        again.cancel()
        monkeypatch.setattr(on_demand, "LINGER_S", 0.0)
        await ticking_until(server, lambda: server.desk.calls[-2:] == ["close", "close"])

        late, replica = server.subscribe(channels=[rows(126, 129)], resume=points), Replica()
        hello = await next_frame(late)
        replica.apply(hello)
        await server.step()
        await read_until(late, replica, "snapshot_end")

        assert resumed.resumed
        assert not stream_pb2.Frame.FromString(hello).hello.resumed
        assert replica.lagged == [stream_pb2.Lagged.REASON_CHANNEL_CLOSED]
        assert {c.channel_id for c in resumed.channels}.isdisjoint(replica.channels)
        assert_equals_engine(replica, server)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"rows": stream_pb2.RowSpan(first=5, last=4)},
            "channels[0].rows 5 to 4 are no rows; use first <= last",
        ),
        ({"rows": stream_pb2.RowSpan(first=-1, last=4)}, "channels[0].rows -1 to 4 are no rows"),
        (
            {"rows": stream_pb2.RowSpan(first=0, last=1152)},
            "channels[0].rows lie in 10 tiles of 128 rows; at most 9 are allowed: leave it out for the whole channel",
        ),
        ({"prices": stream_pb2.PriceSpan(low=2.0, high=1.0)}, "channels[0].prices 2.0 to 1.0 are no prices"),
        ({"prices": stream_pb2.PriceSpan(low=float("nan"), high=1.0)}, "channels[0].prices nan to 1.0 are no prices"),
        ({"positions": stream_pb2.PositionFilter(venues=["x" * 65])}, "channels[0].positions.venues[0] has 65 char"),
        ({"positions": stream_pb2.PositionFilter(side=7)}, "channels[0].positions.side 7 is unknown; use long, short"),  # type: ignore[arg-type]
        ({"row_fold": 3}, "channels[0].row_fold is 3; use one of 1, 2, 4, 8, 16, or leave it out"),
        ({"timeframe": "", "row_fold": 2}, "channels[0].timeframe is empty; rows, prices, positions and row_fold"),
        ({"timeframe": "", "rows": stream_pb2.RowSpan()}, "channels[0].timeframe is empty; rows, prices, positions"),
    ],
)
async def test_what_cannot_be_selected_says_which_field_and_what_is_allowed(fields: dict[str, Any], text: str) -> None:
    async with serving() as server:
        asked = {"symbol": "BTC", "timeframe": "12h", **fields}

        code, said, _ = await failure_of(server.subscribe(channels=[stream_pb2.ChannelSelector(**asked)]))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert said.startswith(text)
        assert server.desk.calls == []


async def test_tiles_and_custom_channels_count_as_channels_of_a_caller() -> None:
    few = replace(DEFAULT_LIMITS, per_address=replace(DEFAULT_LIMITS.per_address, channels=2))
    async with serving(limits=few) as server:
        code, text, _ = await failure_of(server.subscribe(channels=[longs(), rows(0, 200)]))

        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert text.startswith("3 channels are too many for a stream of")
        assert server.desk.calls == []


async def with_replay(folder: Path, use: Callable[[RunningServer, Client], Any]) -> None:
    """Serve a recording of half a day that goes on to tick for minutes."""
    manifest = write_recording(folder, bars=160, step_minutes=5, seed=7)
    source = SourceConfig(kind="history", manifest=manifest, recordings=folder, speed=600.0)

    async def with_client(server: RunningServer) -> None:
        async with asyncio.timeout(60), Client(server.address) as client:
            await use(server, client)

    await serve(ServeConfig(source=source, listen="127.0.0.1:0", stop_grace_seconds=0.2), with_client)


@pytest.mark.slow
async def test_custom_channel_of_a_real_server_is_the_exact_grid_of_the_same_filter(tmp_path: Path) -> None:
    options: dict[str, Any] = {"leverages": [10, 25], "side": "long"}

    async def use(server: RunningServer, client: Client) -> None:
        asked = (options, {"tile": 16, **options}, {"row_fold": 4})
        selectors = [one for some in asked for one in channel_selectors("BTC", "24h", **some)]
        async with client.stream(selectors=selectors) as stream:
            await stream.wait_in_sync(PATIENCE_S)
            parts = stream.replicas.parts("BTC", "24h")
            custom = ChannelPart(leverages=(10, 25), side="long")
            tile, coarse = replace(custom, tile=16), ChannelPart(row_fold=4)
            assert set(parts) == {custom, tile, coarse}
            compared = cut_alike = coarse_alike = 0
            while compared < 3 or cut_alike < 3 or coarse_alike < 3:
                few = stream.heatmap("BTC", "24h", coarse)
                grid = await client.grid("BTC", "24h", base_steps_per_row=4 * DEFAULT_STEPS)
                if (grid.tick, grid.axes) == (few.tick, few.axes):
                    np.testing.assert_array_equal(few.levels, levels_of(grid.cells, grid.usd_per_weighted_lot))
                    coarse_alike += bool(few.levels.any())
                heatmap = stream.heatmap("BTC", "24h", custom)
                grid = await client.grid("BTC", "24h", **options)
                cut = stream.heatmap("BTC", "24h", tile)
                if (grid.tick, grid.axes) == (heatmap.tick, heatmap.axes):
                    np.testing.assert_array_equal(heatmap.levels, levels_of(grid.cells, grid.usd_per_weighted_lot))
                    compared += bool(heatmap.levels.any())
                if cut.newest_column == heatmap.newest_column and cut.tick == heatmap.tick:
                    low = cut.axes.first_row - heatmap.axes.first_row
                    np.testing.assert_array_equal(cut.levels, heatmap.levels[:, low : low + 128])
                    cut_alike += bool(cut.levels.any())
                await asyncio.sleep(0.01)
            status = await client.status()
            assert (status.counters["custom_channels_open"], status.counters["tiles_open"]) == (2, 1)
            with pytest.raises(InvalidRequest, match="leverages has 7"):
                async with client.stream("BTC", "24h", leverages=[7]) as refused:
                    await refused.wait_in_sync(PATIENCE_S)

    await with_replay(tmp_path, use)
