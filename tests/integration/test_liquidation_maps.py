"""Liquidation maps of a real server: equal to its accounts and its grids, at rest and while it ticks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from liqscape.__main__ import main
from liqscape.app import RunningServer, serve
from liqscape.config import ServeConfig, SourceConfig
from liqscape_client import Client, InvalidRequest, LiquidationMap, NotFound, NotReady
from liqscape_client.cluster_options import ClusterOptions
from tests.integration.synthetic_recording import write_recording

WAIT_S = 60.0

pytestmark = pytest.mark.slow


async def with_server(
    folder: Path,
    speed: float | None,
    use: Callable[[RunningServer, Client], Awaitable[None]],
    http: str | None = None,
) -> None:
    """Serve a recording of half a day in this process while it is used."""
    manifest = write_recording(folder, bars=160, step_minutes=5, seed=7)
    source = SourceConfig(kind="history", manifest=manifest, recordings=folder, speed=speed)

    async def with_client(server: RunningServer) -> None:
        async with asyncio.timeout(WAIT_S), Client(server.address) as client:
            await use(server, client)

    await serve(ServeConfig(source=source, listen="127.0.0.1:0", http=http, stop_grace_seconds=0.2), with_client)


def assert_equals_its_coverage(found: LiquidationMap) -> None:
    """Check every total of a map of one linear instrument against the live lots of the same tick, exactly."""
    (coverage,) = found.coverage
    live = {"long": coverage.live_long_lots, "short": coverage.live_short_lots}
    assert found.reconciled
    for totals in (found.series, found.by_side, found.by_venue, found.by_leverage):
        for side, lots in live.items():
            assert sum(s.weighted_lots for s in totals if s.side == side) == lots * found.weight_one
    long, short = found.by_side
    assert found.long_cumulative[0] == long.inside + long.above
    assert found.short_cumulative[-1] == short.inside + short.below


async def test_map_of_a_built_recording_is_what_the_status_says_is_open(tmp_path: Path) -> None:
    async def use(server: RunningServer, client: Client) -> None:
        await server.ended.wait()
        status = await client.status()
        (symbol,) = status.symbols

        everything = await client.liquidation_map("BTC", breakdown=["instrument", "leverage"])
        narrow = await client.liquidation_map("BTC", price_low=89_000, price_high=91_000, base_steps_per_row=1)
        tens = await client.liquidation_map("BTC", leverages=[10], side="long")

        for found in (everything, narrow):
            assert_equals_its_coverage(found)
            assert found.coverage[0].live_long_lots == symbol.coverage[0].live_long_lots > 0
            assert (found.tick, found.epoch) == (status.tick, status.epoch)
            assert found.mark_price == symbol.mark_price / 10**symbol.price_decimals
        assert sum(s.below + s.above for s in narrow.series) > 0
        of_tens = [s for s in everything.series if (s.leverage, s.side) == (10, "long")]
        assert [s.weighted_lots for s in tens.series] == [s.weighted_lots for s in of_tens]
        np.testing.assert_array_equal(tens.cells[0], everything.of(leverage=10, side="long"))

    await with_server(tmp_path, None, use)


@pytest.mark.parametrize("model", ["net of closes", "open only"])
async def test_map_of_what_opened_within_the_window_is_the_newest_column(tmp_path: Path, model: str) -> None:
    async def use(server: RunningServer, client: Client) -> None:
        await server.ended.wait()
        grid = await client.grid("BTC", "1y", model=model)  # type: ignore[arg-type]
        low, high = grid.axes.price_edges()[[0, -1]]

        found = await client.liquidation_map(
            "BTC",
            base_steps_per_row=10,
            price_low=low,
            price_high=high - 1,
            model=model,  # type: ignore[arg-type]
        )

        assert (found.first_row, found.row_height) == (grid.axes.first_row, grid.axes.row_height)
        np.testing.assert_array_equal(found.cells.sum(axis=0), grid.cells[-1])
        assert (found.model, grid.model) == (model, model)
        assert found.reconciled is grid.reconciled is (model == "net of closes")

    await with_server(tmp_path, None, use)


async def test_models_share_their_cells_and_can_be_subtracted(tmp_path: Path) -> None:
    async def use(server: RunningServer, client: Client) -> None:
        await server.ended.wait()

        ours = await client.grid("BTC", "24h")
        theirs = await client.grid("BTC", "24h", model="open only")
        own_mix = await client.grid("BTC", "24h", model="open only", leverage_shares={10: 600_000, 20: 400_000})

        assert ours.minus(theirs).any()
        assert ours.minus(ours).any() is np.False_
        assert own_mix.cells.any()
        assert not own_mix.reconciled
        assert "open-only" in theirs.meaning

    await with_server(tmp_path, None, use)


async def test_clusters_are_parts_of_the_map_alike_at_every_door(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows and lots of each cluster against the map of the same tick, over gRPC, as JSON, and on the command line."""

    async def use(server: RunningServer, client: Client) -> None:
        await server.ended.wait()
        options: ClusterOptions = {"limit": 200, "min_mass_usd": 0.0, "within_percent": 50.0}
        chart = await client.liquidation_map("BTC")

        found = await client.clusters("BTC", **options)
        shown = await as_json(server, "symbol=BTC&limit=200&min_mass_usd=0&within_percent=50")
        refused = await as_json(server, "symbol=BTC&limit=0")
        printed = await on_command_line(server, "--count 200 --min-mass-usd 0 --within-percent 50", capsys)

        assert (found.tick, found.epoch, found.mark_price) == (chart.tick, chart.epoch, chart.mark_price)
        assert found.coverage == chart.coverage
        assert {cluster.side for cluster in found.clusters} == {"long", "short"}
        for cluster in found.clusters:
            rows = slice(cluster.first_row - chart.first_row, cluster.last_row - chart.first_row + 1)
            lots = chart.of(side=cluster.side)[rows] // chart.weight_one
            assert cluster.lots == int(lots.sum()) > 0
            assert cluster.price_low == chart.price_low()[rows][0]
            assert cluster.usd == pytest.approx(
                float((lots * chart.weight_one * chart.usd_per_weighted_lot[rows]).sum())
            )
            assert (cluster.peak_price < found.mark_price) is (cluster.side == "long")
            assert cluster.by_venue == {"binance": cluster.lots}
            assert sum(cluster.by_leverage.values()) == cluster.lots
        for side, series in zip(found.sides, chart.by_side, strict=True):
            assert (side.side, side.live_lots * chart.weight_one) == (series.side, series.weighted_lots)
            assert sum(c.lots for c in found.of(side.side)) == side.clustered_lots
            assert 0 < side.clustered_lots + side.at_price_lots + side.outside_lots <= side.live_lots
        assert [c["lots"] for c in shown["clusters"]] == [str(cluster.lots) for cluster in found.clusters]
        assert shown["tick"] == str(found.tick)
        assert refused == {"error": {"code": "INVALID_ARGUMENT", "message": "limit is 0; use 1 to 200"}}
        assert [c["lots"] for c in printed["clusters"]] == [cluster.lots for cluster in found.clusters]
        assert (await client.clusters("BTC")).clusters == (await client.clusters("BTC", limit=3)).clusters
        with pytest.raises(NotFound, match="symbol 'DOGE' is unknown"):
            await client.clusters("DOGE")
        with pytest.raises(InvalidRequest, match=r"thresholds\.valley_share is 2\.0; use 0 to 1"):
            await client.clusters("BTC", valley_share=2.0)

    await with_server(tmp_path, None, use, http="127.0.0.1:0")


async def as_json(server: RunningServer, parameters: str) -> Any:
    assert server.page is not None
    async with aiohttp.ClientSession() as session, session.get(f"{server.page}v1/clusters?{parameters}") as answer:
        return await answer.json()


async def on_command_line(server: RunningServer, options: str, printed: pytest.CaptureFixture[str]) -> Any:
    arguments = ["clusters", "BTC", "--address", server.address, "--json", *options.split()]
    assert await asyncio.to_thread(main, arguments) == 0
    return json.loads(printed.readouterr().out)


async def test_map_while_the_server_ticks_is_whole_and_of_one_tick(tmp_path: Path) -> None:
    async def use(server: RunningServer, client: Client) -> None:
        found: list[LiquidationMap] = []
        while not server.ended.is_set():
            try:
                together = await asyncio.gather(*(client.liquidation_map("BTC") for _ in range(4)))
            except NotReady:
                await asyncio.sleep(0.01)
                continue
            found += together

        for one in found:
            assert_equals_its_coverage(one)
        ticks = [one.tick for one in found]
        by_tick = {one.tick: one for one in found}
        assert max(ticks) > min(ticks)
        for one in found:
            np.testing.assert_array_equal(one.cells, by_tick[one.tick].cells)

    await with_server(tmp_path, 48_000.0, use)


async def test_map_that_cannot_be_given_says_what_is_allowed(tmp_path: Path) -> None:
    async def use(server: RunningServer, client: Client) -> None:
        await server.ended.wait()

        with pytest.raises(NotFound, match="symbol 'DOGE' is unknown; known are BTC"):
            await client.liquidation_map("DOGE")
        with pytest.raises(NotFound, match="venue 'nowhere' is unknown; known are binance"):
            await client.liquidation_map("BTC", venues=["nowhere"])
        with pytest.raises(InvalidRequest, match="leverages has 7; allowed are 3, 5, 10"):
            await client.liquidation_map("BTC", leverages=[7])
        with pytest.raises(InvalidRequest, match=r"price_low 90000\.0 is above price_high 80000\.0"):
            await client.liquidation_map("BTC", price_low=90_000, price_high=80_000)
        with pytest.raises(InvalidRequest, match="rows are too many; at most 16384"):
            await client.liquidation_map("BTC", price_high=1e9, base_steps_per_row=1)

    await with_server(tmp_path, None, use)
