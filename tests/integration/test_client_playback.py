"""Client.playback on a real loopback socket, of the past of a real engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from liqscape.engine import EngineThread
from liqscape.grid.updates import GridQuery
from liqscape.v1 import stream_pb2
from liqscape_client import Client, ClientError, DecodeError, InvalidRequest, Moment, SyncClient
from liqscape_client.playback import MAX_MENDINGS
from tests.integration.test_playback import Slow, serving
from tests.past_engine import FIRST, LAST, levels_window, past_engine
from tests.unit.client.test_readme import PROGRAMS

SPAN: dict[str, Any] = {"from_minute": FIRST, "until_minute": LAST + 1, "step_minutes": 4}
MINUTES = list(range(FIRST, LAST + 1, 4))


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineThread]:
    with past_engine() as running:
        yield running


@pytest.mark.slow
async def test_loop_takes_each_picture_and_ends_with_the_span(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        taken: list[Moment] = []
        async with client.playback("BTC", "24h", **SPAN) as playback:
            async for moment in playback:
                grid = await engine.get_grid(GridQuery("BTC", "24h", as_of_minute=moment.minute))
                heatmap = playback.heatmap("BTC", "24h")
                assert heatmap.in_sync
                np.testing.assert_array_equal(heatmap.levels, levels_window(grid))
                taken.append(moment)

        assert [moment.minute for moment in taken] == MINUTES
        assert [moment.state for moment in taken] == ["playing"] * (len(MINUTES) - 1) + ["stopped"]
        assert (taken[-1].stopped, taken[-1].step_minutes, taken[-1].is_new) == ("end of span", 4, True)


@pytest.mark.slow
async def test_loop_that_has_ended_goes_on_after_a_seek(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        async with client.playback("BTC", "24h", **SPAN) as playback:
            assert [moment.minute async for moment in playback] == MINUTES

            await playback.seek(LAST - 5)
            await playback.play()
            again = [moment async for moment in playback]

        assert [moment.minute for moment in again if moment.is_new] == [LAST - 5, LAST - 1]
        assert again[-1].stopped == "end of span"


@pytest.mark.slow
async def test_what_is_asked_for_in_vain_is_told_and_a_pause_is_in_force(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        async with client.playback("BTC", "24h", speed=0.1, **SPAN) as playback:
            first = await anext(playback)
            await playback.seek(LAST + 99)
            refused = await anext(playback)
            await playback.pause()
            paused = await anext(playback)
            await playback.set_speed(600.0)
            faster = await anext(playback)

        assert (first.minute, first.speed, first.requests) == (FIRST, 0.1, 0)
        assert refused.refused.startswith(f"seek.minute {LAST + 99} lies outside of the span")
        assert (paused.state, paused.refused, paused.is_new) == ("paused", "", False)
        assert (faster.speed, faster.requests) == (600.0, 3)


@pytest.mark.slow
async def test_minute_ahead_of_now_ends_the_loop_and_says_what_is_held(engine: EngineThread) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        async with client.playback("BTC", "24h", from_minute=LAST, until_minute=LAST + 9, step_minutes=1) as playback:
            taken = [moment async for moment in playback]

        assert [(moment.minute, moment.is_new) for moment in taken] == [(LAST, True), (LAST, False)]
        assert taken[-1].stopped == "not held"
        assert f"as_of_minute {LAST + 1} is not held" in taken[-1].details


@pytest.mark.slow
async def test_reader_that_takes_its_time_gets_every_picture_and_the_server_works_no_further_ahead(
    engine: EngineThread,
) -> None:
    async with serving(engine) as server, Client(server.address) as client:
        async with client.playback("BTC", "24h", credits=1, **SPAN) as playback:
            first = await anext(playback)
            await asyncio.sleep(0.2)
            pictures = (await client.status()).counters["playback_pictures"]
            second = await anext(playback)

        assert pictures == 1
        assert (first.minute, second.minute) == (FIRST, FIRST + 4)


@pytest.mark.slow
async def test_broken_replica_is_mended_by_keyframes_and_not_for_ever(engine: EngineThread) -> None:
    def spoil(replica: Any) -> None:
        replica._held.ring[:] ^= 1
        replica._held.dirty[:] = True

    async with serving(engine) as server, Client(server.address) as client:
        async with client.playback("BTC", "24h", credits=1, **(SPAN | {"step_minutes": 1})) as playback:
            await anext(playback)
            spoil(playback.replicas.replica("BTC", "24h"))
            while playback.mendings == 0 or not (await anext(playback)).is_new:
                await anext(playback)
            mended = playback.heatmap("BTC", "24h")
            grid = await engine.get_grid(
                GridQuery("BTC", "24h", as_of_minute=playback.moment.minute if playback.moment else 0)
            )
            playback.mendings = MAX_MENDINGS
            spoil(playback.replicas.replica("BTC", "24h"))
            with pytest.raises(DecodeError, match="broke again after 3 seeks"):
                _ = [moment async for moment in playback]

        assert mended.in_sync
        np.testing.assert_array_equal(mended.levels, levels_window(grid))


async def test_refusal_is_raised_by_the_first_read(engine: EngineThread) -> None:
    async with (
        serving(engine) as server,
        Client(server.address) as client,
        client.playback("BTC", "24h", from_minute=LAST + 1, until_minute=LAST + 2) as playback,
    ):
        with pytest.raises(InvalidRequest, match=f"as_of_minute {LAST + 1} is not held"):
            await anext(playback)


async def test_server_that_stops_ends_the_loop_with_its_reason() -> None:
    async with (
        serving(Slow()) as server,
        Client(server.address) as client,
        client.playback("BTC", "24h", paused=True, **SPAN) as playback,
    ):
        await anext(playback)
        reading = asyncio.ensure_future(anext(playback))
        await asyncio.sleep(0)
        await server.stop(1.0)
        with pytest.raises(ClientError, match="the server has ended the playback: the server is stopping"):
            await reading


async def test_server_that_has_stopped_meanwhile_is_no_internal_error() -> None:
    async with (
        serving(Slow()) as server,
        Client(server.address) as client,
        client.playback("BTC", "24h", paused=True, **SPAN) as playback,
    ):
        await anext(playback)
        await server.stop(1.0)
        with pytest.raises(ClientError, match="the server has ended the playback"):
            await anext(playback)


async def test_playback_that_is_not_open_says_so() -> None:
    playback = Client("127.0.0.1:1").playback("BTC", "24h", **SPAN)

    with pytest.raises(ClientError, match="not open"):
        await anext(playback)


@pytest.mark.slow
async def test_plain_client_plays_the_past_too(engine: EngineThread) -> None:
    def plain(address: str) -> tuple[list[int], float, list[int]]:
        with SyncClient(address) as client, client.playback("BTC", "24h", **SPAN) as playback:
            minutes = [moment.minute for moment in playback]
            usd = playback.heatmap("BTC", "24h").usd().sum()
            playback.seek(FIRST + 1)
            playback.play()
            return minutes, usd, [moment.minute for moment in playback if moment.is_new]

    async with serving(engine) as server:
        minutes, usd, again = await asyncio.to_thread(plain, server.address)

    assert minutes == MINUTES
    assert usd > 0
    assert again[0] == FIRST + 1


@pytest.mark.slow
async def test_program_of_the_readme_plays_the_past(engine: EngineThread, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = [text for text in PROGRAMS if "client.playback" in text]
    program = program.replace("speed=600", "speed=6000")  # the same, but for the wait

    async with serving(engine) as server:
        code = compile(program.replace("127.0.0.1:50051", server.address), "clients/README.md", "exec")
        await asyncio.to_thread(exec, code, {})

    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said[:10]] == [f"{n} minutes ago" for n in range(20, 0, -2)]
    assert said[10:] == ["stopped end of span", "[-5, -3, -1]"]


def test_request_says_what_was_asked_for() -> None:
    playback = Client().playback(
        "BTC", "24h", from_minute=3, until_minute=9, step_minutes=2, speed=60.0, paused=True, credits=4, side="long"
    )

    assert playback._request == stream_pb2.PlaybackOpen(
        channels=[
            stream_pb2.ChannelSelector(
                symbol="BTC",
                timeframe="24h",
                positions=stream_pb2.PositionFilter(side=stream_pb2.PositionFilter.SIDE_LONG),
            )
        ],
        from_minute=3,
        until_minute=9,
        step_minutes=2,
        speed=60.0,
        max_in_flight=4,
        paused=True,
    )
