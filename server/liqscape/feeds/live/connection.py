"""Keeps one endpoint of a venue connected: the one reconnect loop of all venues.

A Life is one WebSocket: open, subscribe at the venue's rate, be confirmed, listen, watch. A Keeper begins lives, one
after the other with backoff, and before the venue's age limit a second one beside the first, which takes over at an
instant of venue time so that nothing is missed or heard twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass
from typing import Any, Final, Protocol

from liqscape.feeds.live.backoff import TOO_MANY_S, TOO_MANY_STATUS, Backoff
from liqscape.feeds.live.budgets import Pacer
from liqscape.feeds.live.desk import CUT_NS, VenueDesk
from liqscape.feeds.live.line import Line
from liqscape.feeds.live.timing import Timing
from liqscape.feeds.live.transport import ConnectFailed, Socket, Transport
from liqscape.feeds.status import FeedState
from liqscape.feeds.venues.dialect import Door, Endpoint, Unreadable, said_at

_LOG = logging.getLogger(__name__)

CONNECT_S: Final = 15.0
"""For TCP, TLS and the upgrade: three tries of a lost packet."""

CONFIRM_S: Final = 20.0
"""From the last subscription sent to the last confirmation."""

WATCH_S: Final = 0.5
"""Between two looks at what a connection has not done."""

RENEW_SHARE: Final = 0.9
"""Of the age limit, at the latest; at the earliest 0.8: connections opened together are not renewed together."""

RENEW_TRY_S: Final = 60.0
"""For a successor to be heard; then the old one goes on, and another is tried."""

OVERLAP_S: Final = 5.0
"""For the old connection to reach the instant of taking over: CUT_NS and what it may be late."""

STEADY_S: Final = 30.0
"""Of a life that shows that the venue is well: one that is cut after a second is to be tried ever more slowly."""

OK: Final = 200

BLOCKED_STATUS: Final = (403, 451)


class Recorder(Protocol):
    """Takes what a desk is told, as it comes; see capture_file.py for the kinds."""

    def note(
        self, receive_ns: int, kind: str, connection: str, message: str | bytes | None = None, **also: object
    ) -> None:
        """Take one entry."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a life has ended."""

    reason: str
    is_blocked: bool = False
    retry_after_s: float | None = None


@dataclass(slots=True)
class EndpointState:
    """What is known of an endpoint, for its venue's status."""

    state: FeedState = FeedState.CONNECTING
    open: int = 0
    lives: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all connections of a process share.

    Attributes:
        transport: opens sockets.
        timing: clocks.
        generator: of jitter.
        connects: turns to connect, of all venues.
        recorder: takes raw messages, if they are kept.
    """

    transport: Transport
    timing: Timing
    generator: random.Random
    connects: Pacer
    recorder: Recorder | None = None


class Life:
    """One WebSocket of an endpoint.

    Attributes:
        line: what it has said.
        began: seconds of the clock that never steps.
        is_heard: set once it is subscribed, to all there is, and its control channel was heard then.
        task: runs it; its result is an Ended.
    """

    def __init__(self, name: str, line: Line, around: Surroundings, state: EndpointState) -> None:
        self.line = line
        self.is_heard = asyncio.Event()
        self._name = name
        self._around = around
        self._timing = around.timing
        self._state = state
        self._heard_at = self._spoken_at = self._control_at = self._asked_at = 0.0
        self._all_sent = False
        self.began = around.timing.monotonic()
        self.task = asyncio.create_task(self._run(), name=name)

    async def _run(self) -> Ended:
        endpoint, timing = self.line.endpoint, self._timing
        try:
            async with timing.timeout(CONNECT_S):
                url = endpoint.url if endpoint.door is None else await self._ask_where(endpoint.door)
                socket = await self._around.transport.connect(url, endpoint.protocol_ping_s)
        except TimeoutError:
            return Ended("no answer")
        except ConnectFailed as error:
            blocked = error.status in BLOCKED_STATUS
            # To come back at once makes a ban of it, at some.
            pause_s = TOO_MANY_S if error.status in TOO_MANY_STATUS else None
            return Ended(str(error), blocked, error.retry_after_s or pause_s)
        self._note("connect", url=endpoint.url, takes_over=self.line.is_waiting)
        self._state.open += 1
        self._heard_at = self._spoken_at = self._control_at = self._asked_at = timing.monotonic()
        work = [asyncio.create_task(w) for w in (self._listen(socket), self._talk(socket), self._watch(socket))]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in work if task in done).result()
        finally:
            self._state.open -= 1
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            with contextlib.suppress(TimeoutError, ConnectFailed, OSError):
                async with asyncio.timeout(2.0):
                    await socket.close()

    async def _ask_where(self, door: Door) -> str:
        """Return where to open the connection.

        Raises:
            ConnectFailed: the venue does not say.
        """
        answer = await self._around.transport.request(door.request)
        if answer.status != OK:
            raise ConnectFailed(f"HTTP {answer.status}", answer.status, answer.retry_after_s)
        try:
            return door.url_of(answer.body)
        except (Unreadable, ValueError, KeyError, TypeError, IndexError) as error:
            raise ConnectFailed(f"the venue does not say where to connect: {type(error).__name__}") from error

    async def _listen(self, socket: Socket) -> Ended:
        line, timing, recorder = self.line, self._timing, self._around.recorder
        controls = 0
        while True:
            message = await socket.receive()
            if message is None:
                return Ended(socket.why)
            receive_ns = timing.now_ns()
            if recorder is not None:
                recorder.note(receive_ns, "recv", self._name, message)
            replies = line.hear(message, receive_ns)
            self._heard_at = timing.monotonic()
            if line.control_heard != controls:
                controls = line.control_heard
                self._control_at = self._heard_at
                if line.is_subscribed and self._all_sent and not self.is_heard.is_set():
                    self.is_heard.set()
            for reply in replies:
                try:
                    await self._send(socket, reply)
                except ConnectFailed as error:
                    return Ended(str(error))

    async def _talk(self, socket: Socket) -> Ended:
        """Subscribe; then stay, and say what keeps the connection open."""
        endpoint = self.line.endpoint
        pacer = Pacer(endpoint.sends_per_s, self._timing)
        try:
            for message in endpoint.subscribe:
                await pacer.turn()
                await self._send(socket, message)
            self._asked_at = self._timing.monotonic()
            self._all_sent = True
            while True:
                ping = endpoint.ping
                if ping is None:
                    await self._timing.sleep(3600.0)
                    continue
                due = min(self._heard_at, self._spoken_at) + ping.every_s - self._timing.monotonic()
                if due > 0:
                    await self._timing.sleep(due)
                else:
                    await pacer.turn()
                    await self._send(socket, ping.text)
                    await self._timing.sleep(ping.every_s)
        except ConnectFailed as error:
            return Ended(str(error))

    async def _watch(self, socket: Socket) -> Ended:
        """End the life when what should have come has not."""
        endpoint, line, timing = self.line.endpoint, self.line, self._timing
        while True:
            await timing.sleep(WATCH_S)
            now = timing.monotonic()
            if self._all_sent and not line.is_subscribed and now - self._asked_at > CONFIRM_S:
                if line.refused and line.control_heard:
                    self._note("partly")
                    line.give_up_unconfirmed()
                else:
                    return Ended(f"refused: {line.refused[-1][:80]}" if line.refused else "not confirmed")
            if now - self._control_at > endpoint.control_s + (0.0 if line.is_subscribed else CONFIRM_S):
                return Ended("silent")

    async def _send(self, socket: Socket, message: str | bytes) -> None:
        if isinstance(message, str):
            message = said_at(message, self._timing.now_ns())
        self._note("send", message)
        await socket.send(message)
        self._spoken_at = self._timing.monotonic()

    def _note(self, kind: str, message: str | bytes | None = None, **also: object) -> None:
        if self._around.recorder is not None:
            self._around.recorder.note(self._timing.now_ns(), kind, self._name, message, **also)


class Keeper:
    """Keeps one endpoint connected until it is cancelled.

    Args:
        desk: of the venue.
        endpoint: which.
        around: shared by all.
        connects: turns to connect to this venue.
    """

    def __init__(self, desk: VenueDesk, endpoint: Endpoint, around: Surroundings, connects: Pacer) -> None:
        self.state = EndpointState()
        self._desk = desk
        self._endpoint = endpoint
        self._around = around
        self._timing = around.timing
        self._connects = connects
        self._backoff = Backoff(around.generator)
        self._lives: set[Life] = set()

    async def run(self) -> None:
        """Begin lives until cancelled."""
        try:
            life = await self._begin()
            while True:
                life = await self._keep(life)
        finally:
            tasks = [life.task for life in self._lives]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for life in self._lives:
                if life.line.is_waiting:
                    self._desk.give_up(life.line)
                else:
                    self._desk.end(life.line, self._timing.now_ns(), "disconnected")
            self._lives.clear()

    def refresh(self) -> None:
        """Bring the state up to date with what the lives have heard."""
        heard = [life for life in self._lives if life.is_heard.is_set()]
        if heard:
            self.state.state, self.state.reason = FeedState.LIVE, ""
        elif self.state.state is FeedState.CONNECTING and any(n.line.is_subscribed for n in self._open()):
            self.state.state = FeedState.SUBSCRIBED

    def _open(self) -> list[Life]:
        return [life for life in self._lives if self.state.open and not life.task.done()]

    async def _begin(self, *, takes_over: bool = False) -> Life:
        await self._around.connects.turn()
        await self._connects.turn()
        self.state.lives += 1
        line = self._desk.open(self._endpoint.name, takes_over=takes_over)
        name = f"{self._desk.venue.name}/{self._endpoint.name}#{self.state.lives}"
        life = Life(name, line, self._around, self.state)
        self._lives.add(life)
        return life

    async def _keep(self, life: Life) -> Life:
        """Stay with a life until it has ended or was replaced; return the one that goes on."""
        await self._reach_end_or_age(life)
        if not life.task.done():
            return await self._replace(life)
        return await self._begin_again(life)

    async def _reach_end_or_age(self, life: Life) -> None:
        limit = self._endpoint.max_age_s
        if limit is None:
            await asyncio.wait({life.task})
            return
        age = limit * self._around.generator.uniform(RENEW_SHARE - 0.1, RENEW_SHARE)
        await self._first(age, life.task)

    async def _begin_again(self, life: Life) -> Life:
        ended = self._close(life, None)
        if life.is_heard.is_set() and self._timing.monotonic() - life.began > STEADY_S:
            self._backoff.reset()
        wait = self._backoff.after_failure(blocked=ended.is_blocked, retry_after_s=ended.retry_after_s)
        if ended.is_blocked:
            self.state.state = FeedState.BLOCKED
        elif ended.reason == "silent":
            self.state.state = FeedState.SILENT
        elif self.state.state is not FeedState.SILENT:
            self.state.state = FeedState.CONNECTING
        self.state.reason = ended.reason
        fields = {
            "venue": self._desk.venue.name,
            "endpoint": self._endpoint.name,
            "reason": ended.reason,
            "wait_s": round(wait, 1),
        }
        _LOG.warning("connection ended", extra={"fields": fields})
        await self._timing.sleep(wait)
        return await self._begin()

    def _close(self, life: Life, successor: Life | None) -> Ended:
        """Note the end of a life whose task is done."""
        ended = _result(life.task)
        self._note("end", life, _kind(ended))
        self._desk.end(life.line, self._timing.now_ns(), _kind(ended), None if successor is None else successor.line)
        self._lives.discard(life)
        return ended

    async def _replace(self, old: Life) -> Life:
        """Begin a life beside one that is old, and let it take over."""
        new = await self._begin(takes_over=True)
        heard = asyncio.create_task(new.is_heard.wait())
        try:
            await self._first(RENEW_TRY_S, heard, new.task, old.task)
        finally:
            heard.cancel()
        if old.task.done():
            self._close(old, new)
            return new
        if not new.is_heard.is_set():
            await self._stop(new)
            self._desk.give_up(new.line)
            self._lives.discard(new)
            return old
        self._note("over", new)
        self._desk.hand_over(old.line, new.line)
        await self._reach_cut(old)
        if old.task.done():
            self._close(old, new)
        else:
            await self._stop(old)
            self._desk.retire(old.line, new.line)
            self._lives.discard(old)
        return new

    async def _reach_cut(self, life: Life) -> None:
        """Wait until a life has heard what was before the instant of taking over, and what may be late."""
        limit = self._timing.monotonic() + CUT_NS / 1e9 + OVERLAP_S
        until_ns = (life.line.takes_until_ns or 0) + CUT_NS
        while not life.task.done() and life.line.newest_ns < until_ns and self._timing.monotonic() < limit:
            await self._timing.sleep(0.1)

    async def _stop(self, life: Life) -> None:
        self._note("end", life, "replaced")
        life.task.cancel()
        await asyncio.gather(life.task, return_exceptions=True)

    def _note(self, kind: str, life: Life, message: str | None = None) -> None:
        if self._around.recorder is not None:
            self._around.recorder.note(self._timing.now_ns(), kind, life.task.get_name(), message)

    async def _first(self, seconds: float, *tasks: asyncio.Task[Any]) -> None:
        """Wait for the first of some tasks, but no longer than so."""
        limit = asyncio.create_task(self._timing.sleep(seconds))
        try:
            await asyncio.wait({limit, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()


def _result(task: asyncio.Task[Ended]) -> Ended:
    if task.cancelled():
        return Ended("cancelled")
    error = task.exception()
    if error is None:
        return task.result()
    _LOG.error("defect in a connection", exc_info=error)
    return Ended(f"internal error: {type(error).__name__}")


def _kind(ended: Ended) -> str:
    """Return the reason of a gap: of a fixed set, unlike what venues say."""
    if ended.is_blocked:
        return "blocked"
    return ended.reason if ended.reason in ("silent", "not confirmed", "no answer") else "disconnected"
