"""A venue that says as much as is asked of it, in the form of Binance USD-M.

    python -m benchmarks.burst_venue 20000 2000     trades and liquidations a second; prints its port, ends with stdin

A process of its own, so that its work is not the server's. What is due is sent every STEP_S, in one write, as a busy
venue's messages arrive; every message is stamped with the time at which it was due.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from typing import Final

import orjson
from aiohttp import WSMsgType, web

from liqscape.feeds.build import wanted_venues
from tests.fake_exchange.binance import BinanceSpeaker
from tests.fake_exchange.speaker import Ear

VENUE: Final = "binance-usdm"
STEP_S: Final = 0.002
START_PRICE: Final = 650_000
"""Of BTCUSDT, in tenths of a dollar."""
START_INTEREST: Final = 80_000 * 10**8
MARK_EVERY_NS: Final = 10**9
WALK_EVERY_NS: Final = 250_000_000
"""After which the price has moved by ten dollars at most."""


class Market:
    """Trades and liquidations around a price that wanders; a mark each second, open interest when asked.

    Args:
        trades, liquidations: a second.
        at_ns: when it begins.
    """

    def __init__(self, trades: int, liquidations: int, at_ns: int) -> None:
        self.open_interest = START_INTEREST
        self._draw = random.Random(1)
        self._a_second = trades + liquidations
        self._share = trades / self._a_second
        self._at_ns = self._begin_ns = at_ns
        self._said = self._trades = 0
        self._price = START_PRICE
        self._mark_ns = at_ns
        self._walk_ns = at_ns

    def until(self, now_ns: int) -> Iterator[bytes]:
        """Yield what happens until then; trades are numbered without holes."""
        due = (now_ns - self._begin_ns) * self._a_second // 10**9
        while self._said < due:
            at_ns = self._begin_ns + self._said * 10**9 // self._a_second
            self._walk(at_ns)
            if at_ns >= self._mark_ns:
                self._mark_ns += MARK_EVERY_NS
                yield self._mark(at_ns // 10**6)
            yield self._next(at_ns // 10**6)

    def _walk(self, at_ns: int) -> None:
        while at_ns >= self._walk_ns:
            self._walk_ns += WALK_EVERY_NS
            self._price += self._draw.randint(-100, 100)
            self.open_interest += self._draw.randint(-(10**9), 10**9)

    def _next(self, stamp_ms: int) -> bytes:
        self._said += 1
        near = self._price + self._draw.randint(-300, 300)
        text, size = f"{near // 10}.{near % 10}", f"0.{self._said % 900 + 100}"
        if self._trades < round(self._said * self._share):
            self._trades += 1
            said = {"e": "aggTrade", "E": stamp_ms, "s": "BTCUSDT", "a": self._trades, "p": text, "q": size}
            return orjson.dumps({**said, "T": stamp_ms, "m": self._trades % 2 == 1})
        order = {"s": "BTCUSDT", "S": "SELL", "ap": text, "X": "FILLED", "z": size, "T": stamp_ms}
        return orjson.dumps({"e": "forceOrder", "E": stamp_ms, "o": order})

    def _mark(self, stamp_ms: int) -> bytes:
        text = f"{self._price // 10}.{self._price % 10}"
        said = {"e": "markPriceUpdate", "E": stamp_ms, "s": "BTCUSDT", "p": text, "i": text, "r": "0.0001"}
        return orjson.dumps({**said, "T": stamp_ms})


def frame(message: bytes) -> bytes:
    """Return a message as a text frame of a WebSocket, as a server sends it."""
    size = len(message)
    head = bytes([0x81, size]) if size < 126 else bytes([0x81, 126]) + size.to_bytes(2, "big")
    assert size < 1 << 16
    return head + message


class BurstVenue:
    """The server; one connection is told everything."""

    def __init__(self, trades: int, liquidations: int) -> None:
        _, listings = wanted_venues((VENUE,), ("BTC",))
        self._speaker = BinanceSpeaker(listings[VENUE], frozenset())
        self._rates = (trades, liquidations)
        self._market: Market | None = None

    async def serve(self) -> None:
        """Print the port and serve until stdin ends."""
        app = web.Application()
        app.router.add_get("/{host}/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[union-attr]
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._listen(request)
        interest = START_INTEREST if self._market is None else self._market.open_interest
        newest = dict.fromkeys(self._speaker.listings, interest)
        body = self._speaker.answer("/" + request.match_info["path"], dict(request.query), newest, time.time_ns())
        if body is None:
            raise web.HTTPNotFound
        return web.Response(body=body, content_type="application/json")

    async def _listen(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.2, compress=False)
        await socket.prepare(request)
        ear = Ear(request.path, {}, 0, 0)
        telling: asyncio.Task[None] | None = None
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                for reply in self._speaker.hear(ear, message.data, time.time_ns()):
                    await socket.send_str(str(reply))
                telling = telling or asyncio.create_task(self._tell(request))
        finally:
            if telling is not None:
                telling.cancel()
        return socket

    async def _tell(self, request: web.Request) -> None:
        market = self._market = Market(*self._rates, time.time_ns())
        while request.transport is not None:
            request.transport.write(b"".join(map(frame, market.until(time.time_ns()))))
            await asyncio.sleep(STEP_S)


if __name__ == "__main__":
    asyncio.run(BurstVenue(*map(int, sys.argv[1:3])).serve())
