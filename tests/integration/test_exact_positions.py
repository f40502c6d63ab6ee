"""Positions that a venue states of accounts, from its answers into book, map and grid: over sockets of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from liqscape.app import serve
from liqscape.axes import WEIGHT_ONE as ONE
from liqscape.config import ServeConfig, SourceConfig
from liqscape.running import RunningServer
from liqscape_client.client import Client
from liqscape_client.clusters import ClusterList
from liqscape_client.grids import Grid
from liqscape_client.liquidation_maps import LiquidationMap
from liqscape_client.status import to_json

pytestmark = pytest.mark.slow

NAMED, LARGE, SMALL, FLAT = (f"0x{letter * 40}" for letter in "abcd")

HELD = {
    NAMED: ("0.5", "59000"),
    LARGE: ("-2", "71000"),
    SMALL: ("9", None),
}
"""Signed size and liquidation price of each account's position in BTC."""


class FakeHyperliquid:
    """The venue in the form of its documents: contexts, trades that name both sides, and states of accounts."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.address = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/api.hyperliquid.xyz/info", self._info)
        app.router.add_get("/api.hyperliquid.xyz/ws", self._socket)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    async def _info(self, request: web.Request) -> web.Response:
        said = await request.json()
        if said["type"] == "meta":
            return web.json_response({"universe": [{"name": "BTC", "maxLeverage": 40, "szDecimals": 5}]})
        assert said["type"] == "clearinghouseState"
        self.asked[said["user"]] += 1
        rows = []
        if said["user"] in HELD:
            size, price = HELD[said["user"]]
            leverage = {"type": "cross", "value": 20}
            position = {"coin": "BTC", "szi": size, "entryPx": "65000", "leverage": leverage}
            rows.append({"type": "oneWay", "position": {**position, "liquidationPx": price, "marginUsed": "10"}})
        return web.json_response({"assetPositions": rows, "time": time.time_ns() // 1_000_000})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            said = json.loads(message.data)
            if said["method"] != "subscribe":
                continue
            await socket.send_json({"channel": "subscriptionResponse", "data": said})
            if said["subscription"]["type"] == "trades":
                await socket.send_json({"channel": "trades", "data": self._trades()})
            else:
                context = {"markPx": "65000.0", "openInterest": "100.0", "funding": "0.0000125"}
                await socket.send_json({"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": context}})
        return socket

    def _trades(self) -> list[dict[str, object]]:
        row = {"coin": "BTC", "px": "65000.0", "side": "B", "time": time.time_ns() // 1_000_000, "hash": "0x0"}
        return [
            {**row, "sz": "3.0", "tid": 1, "users": [LARGE, FLAT]},
            {**row, "sz": "0.1", "tid": 2, "users": [NAMED, SMALL]},
        ]


def config(venue: FakeHyperliquid, **accounts: object) -> ServeConfig:
    source = SourceConfig(
        kind="live",
        symbols=("BTC",),
        venues=("hyperliquid",),
        relay=venue.address,
        **accounts,  # type: ignore[arg-type]
    )
    anywhere = "127.0.0.1:0"
    return ServeConfig(source=source, listen=anywhere, http=anywhere, metrics=anywhere, backend="numpy")


async def text_of(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_accounts_named_and_found_are_in_the_map_and_no_address_is_told(tmp_path: Path) -> None:
    file = tmp_path / "accounts.txt"
    file.write_text(f"{NAMED.upper().replace('0X', '0x')}  # a desk\n")
    venue = FakeHyperliquid()
    found: list[LiquidationMap] = []
    clusters: list[ClusterList] = []
    grids: list[Grid] = []
    told: list[str] = []

    async def use(server: RunningServer) -> None:
        async with Client(server.address) as client, aiohttp.ClientSession() as session, asyncio.timeout(40):
            while True:
                status = await client.status()
                accounts = status.feeds[0].accounts if status.feeds else None
                stated = status.symbols[0].coverage[0] if status.symbols else None
                held = 0 if stated is None else stated.stated_long_lots + stated.stated_short_lots
                if accounts is not None and accounts.positions == 3 and held == 1_150_000:
                    break
                await asyncio.sleep(0.1)
            assert (accounts.named, accounts.found, accounts.fresh) == (1, 2, 3)
            found.append(await client.liquidation_map("BTC"))
            found.append(await client.liquidation_map("BTC", side="short", leverages=[10]))
            found.append(await client.liquidation_map("BTC", breakdown=["leverage"], provenance="stated"))
            clusters.append(await client.clusters("BTC", min_mass_usd=0.0))
            grids.append(await client.grid("BTC", "12h", provenance="stated"))
            grids.append(await client.grid("BTC", "12h"))
            assert server.page is not None
            page = server.page.rstrip("/")
            told.append(await text_of(session, f"{page}/v1/map?symbol=BTC"))
            told.append(await text_of(session, f"{page}/v1/status"))
            told.append(await text_of(session, f"http://{server.metrics}/metrics"))
            told.append(json.dumps(to_json(status)))

    async with venue.running():
        await serve(config(venue, accounts=file, find_accounts=3), use)

    whole, shorts, stated_alone = found
    (exact,) = whole.exact
    height = whole.row_height / whole.price_unit
    assert [(row.row, row.side, row.lots, row.accounts) for row in exact.rows] == [
        (59_000 // height, "long", 50_000, 1),
        (71_000 // height, "short", 200_000, 1),
    ]
    long, short = exact.totals
    assert (long.without_price_lots, long.accounts, long.accounts_without_price) == (900_000, 2, 1)
    assert (long.open_interest_lots, long.open_interest_share) == (10_000_000, 0.095)
    assert (short.lots, short.open_interest_share) == (200_000, 0.02)
    assert time.time_ns() - 60 * 10**9 < short.oldest_unix_ns <= time.time_ns()
    assert [(row.side, row.lots) for row in shorts.exact[0].rows] == [("short", 200_000)]
    assert (whole.long_without_price, whole.short_without_price) == (900_000 * ONE, 0)
    # The book holds them in the venue's own rows, and adds up to open interest with them in it.
    (coverage,) = whole.coverage
    assert (coverage.stated_long_lots, coverage.stated_short_lots) == (950_000, 200_000)
    assert (coverage.stated_beyond_long_lots, coverage.stated_beyond_short_lots) == (0, 0)
    assert coverage.live_long_lots + coverage.uncovered_long_lots == 10_000_000
    assert coverage.live_short_lots + coverage.uncovered_short_lots == 10_000_000
    in_rows = {side: sum(s.weighted_lots for s in whole.by_side if s.side == side) for side in ("long", "short")}
    assert in_rows == {"long": 50_000 * ONE, "short": 200_000 * ONE}
    assert (coverage.live_long_lots, coverage.live_short_lots) == (950_000, 200_000)
    assert [(s.stated, s.leverage, s.side) for s in stated_alone.series] == [(True, 0, "long"), (True, 0, "short")]
    for side, price, lots in (("long", 59_000, 50_000), ("short", 71_000, 200_000)):
        by_row = stated_alone.of(side=side, stated=True)
        assert {row + stated_alone.first_row: n for row, n in enumerate(by_row.tolist()) if n} == {
            price // height: lots * ONE
        }
    below, above = clusters[0].clusters
    assert [(c.side, c.peak_row, c.lots, c.stated_share, c.stated_accounts) for c in (below, above)] == [
        ("long", 59_000 // height, 50_000, 1.0, 1),
        ("short", 71_000 // height, 200_000, 1.0, 1),
    ]
    assert (below.by_venue, below.by_leverage, below.mean_leverage) == ({"hyperliquid": 50_000}, {}, None)
    assert above.oldest_stated_unix_ns == short.oldest_unix_ns
    assert [side.outside_lots for side in clusters[0].sides] == [900_000, 0]  # without a price
    stated_grid, grid = grids
    rows = (np.searchsorted(stated_grid.price_low(), (59_000, 71_000), "right") - 1).tolist()
    newest = {row: lots for row, lots in enumerate(stated_grid.cells[-1].tolist()) if lots}
    assert newest == {rows[0]: 50_000 * ONE, rows[1]: 200_000 * ONE}
    assert (grid.cells >= stated_grid.cells).all()
    (in_json,) = json.loads(told[0])["header"]["exact"]
    assert [(row["side"], row["lots"]) for row in in_json["rows"]] == [
        ("POSITION_SIDE_LONG", "50000"),
        ("POSITION_SIDE_SHORT", "200000"),
    ]
    assert 'liqscape_feed_accounts{state="fresh",venue="hyperliquid"} 3.0' in told[2]
    assert 'liqscape_stated_share_ratio{instrument="hyperliquid:BTC",symbol="BTC",venue="hyperliquid"} 1.0' in told[2]
    everything = " ".join(told).lower()
    assert [address for address in (NAMED, LARGE, SMALL, FLAT) if address in everything] == []
    assert "0xaa" not in everything
    # The flat one was asked about once, and let go; nobody is asked twice within a minute.
    assert venue.asked == {NAMED: 1, LARGE: 1, SMALL: 1, FLAT: 1}


async def test_nobody_is_asked_about_where_nothing_was_said_of_accounts() -> None:
    venue = FakeHyperliquid()
    found: list[LiquidationMap] = []

    async def use(server: RunningServer) -> None:
        async with Client(server.address) as client, asyncio.timeout(40):
            while not (await client.status()).symbols:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.1)
            found.append(await client.liquidation_map("BTC"))
            assert not (await client.status()).feeds[0].HasField("accounts")

    async with venue.running():
        await serve(config(venue), use)

    assert found[0].exact == ()
    assert not venue.asked
