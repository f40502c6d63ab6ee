"""Liquidation maps of a real server: equal to its accounts and its grids, at rest and while it ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from liqscape.app import RunningServer, serve
from liqscape.config import ServeConfig, SourceConfig
from liqscape_client import Client, InvalidRequest, LiquidationMap, NotFound, NotReady
from tests.integration.synthetic_recording import write_recording

WAIT_S = 60.0

pytestmark = pytest.mark.slow


async def with_server(
    folder: Path, speed: float | None, use: Callable[[RunningServer, Client], Awaitable[None]]
) -> None:
    """Serve a recording of half a day in this process while it is used."""
    manifest = write_recording(folder, bars=160, step_minutes=5, seed=7)
    source = SourceConfig(kind="history", manifest=manifest, recordings=folder, speed=speed)

    async def with_client(server: RunningServer) -> None:
        async with asyncio.timeout(WAIT_S), Client(server.address) as client:
            await use(server, client)

    await serve(ServeConfig(source=source, listen="127.0.0.1:0", stop_grace_seconds=0.2), with_client)


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
