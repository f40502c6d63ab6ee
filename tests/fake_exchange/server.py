"""A real WebSocket and REST server on loopback that stands for any number of venues, with faults on demand.

An address wss://HOST/PATH becomes ws://127.0.0.1:PORT/HOST/PATH: `rewrite` does it, and is what the feeds are given.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from aiohttp import WSCloseCode, WSMsgType, web

from liqscape.events import Event, Liquidation, OpenInterest, Trade
from liqscape.feeds.live.transport import through_relay
from tests.fake_exchange.faults import REFUSALS, SKEW_NS, WRONG_FACTOR, Fault
from tests.fake_exchange.market import Market
from tests.fake_exchange.scaled_time import ScaledTime
from tests.fake_exchange.speaker import Speaker

STEP_S = 0.5
"""Of the venues' time, between two steps of their markets."""


PING_S = 5.0
"""Between two pings of a venue that sends them, and for the answer."""


@dataclass(slots=True, eq=False)
class Listener:
    """One open socket, and what waits to be sent."""

    socket: web.WebSocketResponse
    venue: FakeVenue
    path: str
    queue: asyncio.Queue[str | bytes] = field(default_factory=asyncio.Queue)
    is_subscribed: bool = False
    is_asked: bool = False
    held: str | bytes | None = None
    counted: int = 0


@dataclass(slots=True, eq=False)
class FakeVenue:
    """A speaker with its market and its faults.

    Attributes:
        requests, connects: served so far, those refused too.
    """

    speaker: Speaker
    market: Market
    faults: set[Fault] = field(default_factory=set)
    listeners: set[Listener] = field(default_factory=set)
    requests: int = 0
    connects: int = 0
    retry_after: str | None = None

    def inject(self, fault: Fault) -> None:
        """Begin to fail."""
        self.faults.add(fault)

    def heal(self) -> None:
        """End every fault."""
        self.faults.clear()

    async def drop(self) -> None:
        """Cut every connection, without a word."""
        for listener in list(self.listeners):
            request = listener.socket._req
            if request is not None and request.transport is not None:
                request.transport.abort()
        await asyncio.sleep(0)

    def refusal(self) -> int | None:
        """Return the status with which everything is refused, if it is."""
        return next((REFUSALS[fault] for fault in self.faults if fault in REFUSALS), None)


class FakeExchange:
    """The server.

    Args:
        venues: what it stands for.
        time: of the venues.
    """

    def __init__(self, venues: Sequence[FakeVenue], time: ScaledTime) -> None:
        self._venues = {host: venue for venue in venues for host in venue.speaker.hosts}
        self._all = tuple(venues)
        self._time = time
        self._port = 0
        self.totals: dict[str, int] = defaultdict(int)

    def rewrite(self, url: str) -> str:
        """Return the address of this server that stands for one of a venue."""
        return through_relay(self.address)(url)

    @property
    def address(self) -> str:
        """Return its own address."""
        return f"http://127.0.0.1:{self._port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeExchange]:
        """Serve until the block is left."""
        app = web.Application()
        app.router.add_route("*", "/{host}/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        beating = asyncio.create_task(self._beat())
        try:
            yield self
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            for venue in self._all:
                for listener in list(venue.listeners):
                    await listener.socket.close(code=WSCloseCode.GOING_AWAY)
            await runner.cleanup()

    async def _beat(self) -> None:
        while True:
            await self._time.sleep(STEP_S)
            for venue in self._all:
                skew_ns = SKEW_NS if Fault.CLOCK_SKEW in venue.faults else 0
                for event, number in venue.market.step(self._time.now_ns() + skew_ns, STEP_S):
                    self._publish(venue, event, number)

    def _publish(self, venue: FakeVenue, event: Event, number: int) -> None:
        said = venue.speaker.say(_swollen(event) if Fault.WRONG_SIZE in venue.faults else event, number)
        if said is None:
            return
        venue.market.remember(event)
        for listener in venue.listeners:
            is_told = listener.is_subscribed and Fault.SILENCE not in venue.faults
            if is_told and venue.speaker.is_heard_at(listener.path, event):
                for message in _spoilt(said, event, listener, venue.faults):
                    listener.queue.put_nowait(message)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        venue = self._venues.get(request.match_info["host"])
        if venue is None:
            raise web.HTTPNotFound
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        venue.connects += is_socket
        venue.requests += not is_socket
        status = venue.refusal()
        if status is not None:
            headers = {} if venue.retry_after is None else {"Retry-After": venue.retry_after}
            return web.Response(status=status, headers=headers)
        return await self._listen(request, venue) if is_socket else self._answer(request, venue)

    def _answer(self, request: web.Request, venue: FakeVenue) -> web.Response:
        factor = WRONG_FACTOR if Fault.WRONG_SIZE in venue.faults else 1
        newest = {name: quantity * factor for name, quantity in venue.market.open_interest.items()}
        skew_ns = SKEW_NS if Fault.CLOCK_SKEW in venue.faults else 0
        now_ns = self._time.now_ns() + skew_ns
        body = venue.speaker.answer("/" + request.match_info["path"], dict(request.query), newest, now_ns)
        if body is None:
            raise web.HTTPNotFound
        if Fault.MALFORMED in venue.faults and venue.requests % 3 == 0:
            body = body[: len(body) // 2]
        return web.Response(body=body, content_type="application/json")

    async def _listen(self, request: web.Request, venue: FakeVenue) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.2)
        await socket.prepare(request)
        listener = Listener(socket, venue, request.match_info["path"])
        venue.listeners.add(listener)
        sending = asyncio.gather(self._send(listener), self._ping(listener))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT or Fault.DEAF in venue.faults:
                    continue
                if venue.speaker.ping is not None and venue.speaker.pong in message.data:
                    listener.is_asked = False
                    continue
                for reply in venue.speaker.reply(message.data) if Fault.UNCONFIRMED not in venue.faults else ():
                    listener.queue.put_nowait(reply)
                listener.is_subscribed |= venue.speaker.begins(message.data)
        finally:
            venue.listeners.discard(listener)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return socket

    async def _ping(self, listener: Listener) -> None:
        """Ask now and then whether the client is there, and cut it off if it has not answered."""
        while listener.venue.speaker.ping is not None:
            await self._time.sleep(PING_S)
            if listener.is_asked:
                await listener.socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
            listener.is_asked = True
            listener.queue.put_nowait(listener.venue.speaker.ping)

    async def _send(self, listener: Listener) -> None:
        while True:
            message = await listener.queue.get()
            if Fault.SLOW_DRIP in listener.venue.faults:
                await self._time.sleep(0.5)
            with contextlib.suppress(ConnectionError, RuntimeError):
                if isinstance(message, bytes):
                    await listener.socket.send_bytes(message)
                else:
                    await listener.socket.send_str(message)


def _swollen(event: Event) -> Event:
    if isinstance(event, Trade | Liquidation | OpenInterest):
        return replace(event, quantity=event.quantity * WRONG_FACTOR)
    return event


def _spoilt(said: str | bytes, event: Event, listener: Listener, faults: set[Fault]) -> list[str | bytes]:
    """Return what is sent in place of a message."""
    listener.counted += 1
    third = listener.counted % 3 == 0
    if Fault.GAP in faults and isinstance(event, Trade) and third:
        return []
    if Fault.MALFORMED in faults and third:
        return [said[: len(said) // 2]]
    if Fault.DUPLICATE in faults:
        return [said, said]
    if Fault.REORDER in faults:
        if listener.held is None:
            listener.held = said
            return []
        held, listener.held = listener.held, None
        return [said, held]
    if listener.held is not None:
        held, listener.held = listener.held, None
        return [held, said]
    return [said]
