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
from tests.fake_exchange.speaker import SECOND_NS, Ear, Message, VenueSpeaker

STEP_S = 0.5
"""Of the venues' time, between two steps of their markets."""


@dataclass(slots=True, eq=False)
class Listener:
    """One open socket, and what waits to be sent."""

    socket: web.WebSocketResponse
    venue: FakeVenue
    ear: Ear
    queue: asyncio.Queue[Message | None] = field(default_factory=asyncio.Queue)
    held: Message | None = None
    counted: int = 0


@dataclass(slots=True, eq=False)
class FakeVenue:
    """A speaker with its market and its faults.

    Attributes:
        requests, connects: served so far, those refused too.
        cuts: connections that the venue has ended because they gave no sign of life.
    """

    speaker: VenueSpeaker
    market: Market
    faults: set[Fault] = field(default_factory=set)
    listeners: set[Listener] = field(default_factory=set)
    requests: int = 0
    connects: int = 0
    cuts: int = 0
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
        step_s: seconds between two steps of their markets.
    """

    def __init__(self, venues: Sequence[FakeVenue], time: ScaledTime, step_s: float = STEP_S) -> None:
        self._venues = {host: venue for venue in venues for host in venue.speaker.hosts}
        self._all = tuple(venues)
        self._time = time
        self._step_s = step_s
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
        for venue in self._all:  # whoever listens first finds a market that has traded
            for event, number in venue.market.warm(self._time.now_ns()):
                venue.speaker.say(event, number)
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
            await self._time.sleep(self._step_s)
            for venue in self._all:
                skew_ns = SKEW_NS if Fault.CLOCK_SKEW in venue.faults else 0
                for event, number in venue.market.step(self._time.now_ns() + skew_ns, self._step_s):
                    self._publish(venue, event, number)
                self._demand(venue, self._time.now_ns())

    def _publish(self, venue: FakeVenue, event: Event, number: int) -> None:
        for topic, said in venue.speaker.say(_swollen(event) if Fault.WRONG_SIZE in venue.faults else event, number):
            for listener in venue.listeners:
                if topic in listener.ear.topics and Fault.SILENCE not in venue.faults:
                    message = said(listener.ear) if callable(said) else said
                    for each in _spoilt(message, event, listener, venue.faults):
                        listener.queue.put_nowait(each)

    def _demand(self, venue: FakeVenue, now_ns: int) -> None:
        """Ask for signs of life, and cut who gives none."""
        speaker = venue.speaker
        for listener in list(venue.listeners):
            ear = listener.ear
            silent = speaker.silence_s is not None and now_ns - ear.heard_ns > speaker.silence_s * SECOND_NS
            if silent or ear.unanswered > speaker.forgiven:
                venue.cuts += 1
                listener.queue.put_nowait(None)
                ear.heard_ns, ear.unanswered = now_ns, 0
            elif speaker.ping_s is not None and now_ns - ear.pinged_ns > speaker.ping_s * SECOND_NS:
                message = speaker.ping(ear, now_ns)
                if message is not None:
                    ear.pinged_ns = now_ns
                    ear.unanswered += 1
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
        return await self._listen(request, venue) if is_socket else await self._answer(request, venue)

    async def _answer(self, request: web.Request, venue: FakeVenue) -> web.Response:
        factor = WRONG_FACTOR if Fault.WRONG_SIZE in venue.faults else 1
        newest = {name: quantity * factor for name, quantity in venue.market.open_interest.items()}
        skew_ns = SKEW_NS if Fault.CLOCK_SKEW in venue.faults else 0
        now_ns = self._time.now_ns() + skew_ns
        path = "/" + request.match_info["path"]
        asked = {**request.query, **(await request.json() if request.method == "POST" else {})}
        body = venue.speaker.answer(path, asked, newest, now_ns)
        if body is None or path in venue.speaker.hides:
            raise web.HTTPNotFound
        if Fault.MALFORMED in venue.faults and venue.requests % 3 == 0:
            body = body[: len(body) // 2]
        return web.Response(body=body, content_type="application/json")

    async def _listen(self, request: web.Request, venue: FakeVenue) -> web.WebSocketResponse:
        now_ns = self._time.now_ns()
        ear = Ear("/" + request.match_info["path"], dict(request.query), now_ns, now_ns)
        if not venue.speaker.admits(ear):
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(timeout=0.2)
        await socket.prepare(request)
        listener = Listener(socket, venue, ear)
        for greeting in venue.speaker.greet(ear):
            listener.queue.put_nowait(greeting)
        venue.listeners.add(listener)
        sending = asyncio.create_task(self._send(listener))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT or Fault.DEAF in venue.faults:
                    continue
                ear.heard_ns = self._time.now_ns()
                for reply in venue.speaker.hear(ear, message.data, ear.heard_ns):
                    if Fault.UNCONFIRMED not in venue.faults:
                        listener.queue.put_nowait(reply)
        finally:
            venue.listeners.discard(listener)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return socket

    async def _send(self, listener: Listener) -> None:
        while True:
            message = await listener.queue.get()
            if message is None:
                await listener.socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
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


def _spoilt(said: Message, event: Event, listener: Listener, faults: set[Fault]) -> list[Message]:
    """Return what is sent in place of a message."""
    listener.counted += 1
    third = listener.counted % 3 == 0
    if Fault.GAP in faults and third and isinstance(event, Trade):
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
