"""CME's daily report beside the map of a running server, in every door; on it only under a leverage of one's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from liqscape.app import serve
from liqscape.config import ServeConfig, SourceConfig
from liqscape.errors import ConfigError
from liqscape.feeds import daily_report
from liqscape.feeds.venues.cme import COLUMNS
from liqscape.running import RunningServer
from liqscape.v1 import query_pb2
from liqscape_client import Client
from tests.integration.synthetic_recording import write_recording

pytestmark = pytest.mark.slow

WAIT_S = 60.0

HEADER = ",".join(COLUMNS) + "\n"

KNOWN = "2025-11-27,BTC,2025-12,90000,7,2000,F\n2025-11-28,BTC,2025-12,80000,7,3000,F\n"
"""Days that were out before the recording, of 10,000 and 15,000 BTC."""

LATER = "2025-12-01,BTC,2025-12,99000,7,9000,F\n"
"""A day that was out after it."""


def config(folder: Path, *, model: str | None = None) -> ServeConfig:
    manifest = write_recording(folder, bars=40, step_minutes=5, seed=7)
    (folder / "cme.csv").write_text(HEADER + KNOWN + LATER)
    if model is not None:
        (folder / "model.toml").write_text(model)
    source = SourceConfig(kind="history", manifest=manifest, recordings=folder, speed=None)
    anywhere = "127.0.0.1:0"
    return ServeConfig(
        source=source,
        listen=anywhere,
        http=anywhere,
        backend="numpy",
        with_open_only=False,
        cme=folder / "cme.csv",
        model=None if model is None else folder / "model.toml",
        stop_grace_seconds=0.2,
    )


async def with_server(
    wanted: ServeConfig, use: Callable[[Client, Callable[[str], Awaitable[str]]], Awaitable[None]]
) -> None:
    """Serve in this process while it is used by a client and by who asks for paths."""

    async def ready(server: RunningServer) -> None:
        assert server.page is not None
        page = server.page.rstrip("/")
        async with asyncio.timeout(WAIT_S), Client(server.address) as client, aiohttp.ClientSession() as session:

            async def text_of(path: str) -> str:
                async with session.get(page + path) as answer:
                    assert answer.status == 200
                    return await answer.text()

            await server.ended.wait()
            await use(client, text_of)

    await serve(wanted, ready)


async def status_when(
    client: Client, check: Callable[[query_pb2.GetStatusResponse], bool]
) -> query_pb2.GetStatusResponse:
    while True:
        status = await client.status()
        if check(status):
            return status
        await asyncio.sleep(0.02)


async def test_context_is_told_in_every_door_and_a_replay_knows_no_later_day(tmp_path: Path) -> None:
    async def use(client: Client, text_of: Callable[[str], Awaitable[str]]) -> None:
        status = await client.status()
        found = await client.liquidation_map("BTC")
        told = json.loads(await text_of("/v1/map?symbol=BTC"))["header"]
        metrics = await text_of("/metrics")

        (context,) = found.context
        assert context.label == "CME, 2025-11-28, daily report, final"
        assert (context.open_interest, context.open_interest_change, context.settle) == (15_000, 5_000, 80_000)
        assert [(month.contract_month, month.open_interest_contracts) for month in context.months] == [
            ("2025-12", 3000)
        ]
        coverage = found.coverage[0]
        live = coverage.live_long_lots + coverage.live_short_lots
        lots = live + coverage.uncovered_long_lots + coverage.uncovered_short_lots
        assert context.covered_share == live / (lots + 2 * 15_000 * 10**found.lot_decimals)
        assert [market.label for market in status.context] == [context.label]
        assert status.daily_report.rows == 3
        assert [market["trade_date"] for market in told["context"]] == ["2025-11-28"]
        assert json.loads(await text_of("/v1/status"))["context"][0]["open_interest_base"] == 15_000
        assert 'liqscape_context_open_interest_coins{symbol="BTC",venue="cme"} 15000.0' in metrics
        assert (found.assumed, told["assumed"]) == ((), [])

    await with_server(config(tmp_path), use)


async def test_an_assumed_leverage_is_a_layer_of_its_own_and_the_book_is_the_same(tmp_path: Path) -> None:
    maps = []

    async def use(client: Client, text_of: Callable[[str], Awaitable[str]]) -> None:
        found = await client.liquidation_map("BTC")
        maps.append((found, await client.grid("BTC", "24h")))
        if not found.assumed:
            return
        long, short = found.assumed
        coin = 10**found.lot_decimals

        def row_of(price: int) -> int:
            return price * found.price_unit // found.row_height

        assert long.label == "CME, 2025-11-28, daily report, final; 5x assumed"
        assert long.lots_by_row == {row_of(72_000): 10_000 * coin, row_of(64_000): 5_000 * coin}
        assert short.lots_by_row == {row_of(108_000): 10_000 * coin, row_of(96_000): 5_000 * coin}
        row = json.loads(await text_of("/v1/row?symbol=BTC&price=72000"))
        assert [(each["side"], int(each["lots"])) for each in row["assumed"]] == [("long", 10_000 * coin)]

    for number, model in enumerate((None, "[cme]\nleverage = 5\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        await with_server(config(folder, model=model), use)

    (plain, plain_grid), (assumed, grid) = maps
    assert (len(plain.assumed), len(assumed.assumed)) == (0, 2)
    np.testing.assert_array_equal(plain.cells, assumed.cells)
    np.testing.assert_array_equal(plain_grid.cells, grid.cells)
    assert (plain.by_side, plain.by_venue, plain.reconciled) == (assumed.by_side, assumed.by_venue, assumed.reconciled)


async def test_a_changed_file_is_read_and_a_bad_one_told_while_the_server_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_report, "LOOK_EVERY_S", 0.01)
    wanted = config(tmp_path)
    file = tmp_path / "cme.csv"

    async def use(client: Client, text_of: Callable[[str], Awaitable[str]]) -> None:
        file.write_text(HEADER + KNOWN + "2025-11-29,BTC,2025-12,-1,7,9000,F\n")
        status = await status_when(client, lambda status: status.daily_report.message != "")
        assert status.daily_report.message.startswith("cme.csv, line 4, column settle: '-1' is not allowed")
        assert status.context[0].trade_date == "2025-11-28"

        file.write_text(HEADER + KNOWN.replace("3000", "4000"))
        status = await status_when(client, lambda status: status.daily_report.message == "")
        assert (status.context[0].open_interest_base, status.daily_report.failures) == (20_000, 1)
        assert (await client.liquidation_map("BTC")).context[0].open_interest == 20_000

    await with_server(wanted, use)


async def test_an_assumption_about_no_file_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    async def use(client: Client, text_of: Callable[[str], Awaitable[str]]) -> None:
        raise AssertionError("it serves")

    wanted = config(tmp_path, model="[cme]\nleverage = 5\n")
    (tmp_path / "cme.csv").unlink()

    with pytest.raises(ConfigError, match=r"cme\.csv does not exist"):
        await with_server(wanted, use)
    with pytest.raises(ConfigError, match=r"model\.toml assumes leverages of CME, whose daily file --cme names"):
        await with_server(
            ServeConfig(source=wanted.source, listen="127.0.0.1:0", backend="numpy", model=wanted.model), use
        )
