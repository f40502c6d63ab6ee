"""A loopback server that tells the past as Binance documents it, with faults on demand. Its market is a formula.

Asked through a relay: http://127.0.0.1:PORT/fapi.binance.com/fapi/v1/klines?... stands for the venue's own address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

MINUTE_MS = 60_000
FIRST_MS = 62_152 * 480 * MINUTE_MS
"""When the market was listed: 2026-09-20, at a payment of funding."""


def price(minute: int) -> int:
    """Return the open of a minute in tenths: it saws up and down."""
    return 650_000 + (minute * 37) % 4_000


def candle(open_ms: int, *, is_mark: bool) -> list[Any]:
    """Return a candle as the venue writes it; a mark candle lies inside that of what was traded."""
    minute = open_ms // MINUTE_MS
    first, last = price(minute), price(minute + 1)
    reach = 50 if is_mark else 300
    low, high = min(first, last) - reach, max(first, last) + reach
    volume = 0 if is_mark else 10 + minute % 7
    prices = [f"{each // 10}.{each % 10}0" for each in (first, high, low, last)]
    return [open_ms, *prices, f"{volume}.500", open_ms + MINUTE_MS - 1, "0", 9, f"{volume // 2}.250", "0", "0"]


Answer: TypeAlias = Callable[[list[Any]], web.Response | list[Any] | None]


@dataclass
class Fault:
    """One way to answer wrongly: how many times, whom, and how. A fault that returns None lets the rows pass."""

    answer: Answer
    times: int = 1
    path: str = ""


@dataclass
class HistoryServer:
    """What was asked, and what is to go wrong.

    Attributes:
        url: of the relay.
        asked: path and query of each request, in order.
        faults: used up one after the other.
        absent: whether the venue has no row of a path and stamp (ms).
        delay_s: before each answer.
        first_ms: when the market was listed.
        busy: set once so many were asked as busy_after says.
    """

    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    busy_after: int = 0
    faults: list[Fault] = field(default_factory=list)
    absent: Callable[[str, int], bool] = lambda path, stamp_ms: False
    delay_s: float = 0.0
    first_ms: int = FIRST_MS

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.rpartition("/")[2]
        query = dict(request.query)
        self.asked.append((request.path, query))
        if len(self.asked) >= self.busy_after:
            self.busy.set()
        await asyncio.sleep(self.delay_s)
        rows: list[Any] = self._rows(path, query)
        for fault in self.faults:
            if fault.times and fault.path in request.path:
                fault.times -= 1
                said = fault.answer(rows)
                if isinstance(said, web.Response):
                    return said
                rows = rows if said is None else said
                break
        return web.json_response(rows)

    def _rows(self, path: str, query: dict[str, str]) -> list[Any]:
        begin, end, limit = (int(query[name]) for name in ("startTime", "endTime", "limit"))
        step = {"openInterestHist": 5 * MINUTE_MS, "fundingRate": 480 * MINUTE_MS}.get(path, MINUTE_MS)
        first = max(-(-begin // step) * step, -(-self.first_ms // step) * step)
        stamps = [ms for ms in range(first, end + 1, step) if not self.absent(path, ms)][:limit]
        if path == "openInterestHist":
            return [{"sumOpenInterest": f"{80_000 + ms // step % 100}.000", "timestamp": ms} for ms in stamps]
        if path == "fundingRate":
            return [{"symbol": query["symbol"], "fundingRate": "0.00010000", "fundingTime": ms + 3} for ms in stamps]
        return [candle(ms, is_mark=path == "markPriceKlines") for ms in stamps]


@asynccontextmanager
async def history_server() -> AsyncIterator[HistoryServer]:
    """Run a server on a free port until the block is left."""
    server = HistoryServer()
    app = web.Application()
    app.router.add_get("/{tail:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()
