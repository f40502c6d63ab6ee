"""What one life of a connection asks and sends, by a fake venue and a clock of its own."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import cast

import orjson
import pytest

from liqscape.feeds.live.budgets import Pacer
from liqscape.feeds.live.connection import EndpointState, Life, Surroundings
from liqscape.feeds.live.line import Line
from liqscape.feeds.live.transport import Answer, Socket
from liqscape.feeds.venues.dialect import Endpoint, Request
from liqscape.feeds.venues.gate import GATE_USDT
from liqscape.feeds.venues.kucoin import KUCOIN
from tests.unit.feeds.venues.captured import listing

NOW_S = 1_795_219_200


class SteppedTiming:
    """A Timing whose sleeps move it on and let the others run."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_ns(self) -> int:
        return NOW_S * 10**9 + 999_999_999

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds) / 1000
        await asyncio.sleep(0)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(None)


class FakeSocket:
    """A socket that ends when it was told as much as it waits for."""

    def __init__(self, waits_for: int) -> None:
        self.sent: list[str | bytes] = []
        self.why = "told enough"
        self._waits_for = waits_for
        self._told = asyncio.Event()

    async def receive(self) -> bytes | None:
        await self._told.wait()
        return None

    async def send(self, message: str | bytes) -> None:
        self.sent.append(message)
        if len(self.sent) == self._waits_for:
            self._told.set()

    async def close(self) -> None:
        self._told.set()


class FakeTransport:
    """Opens one socket and gives one answer."""

    def __init__(self, socket: FakeSocket, answer: Answer) -> None:
        self.urls: list[str] = []
        self.requests: list[Request] = []
        self._socket = socket
        self._answer = answer

    async def connect(self, url: str, ping_s: float | None) -> Socket:
        self.urls.append(url)
        return self._socket

    async def request(self, request: Request) -> Answer:
        self.requests.append(request)
        return self._answer


@dataclass
class FakeLine:
    """A line that is never answered."""

    endpoint: Endpoint
    is_subscribed: bool = True
    is_waiting: bool = False
    control_heard: int = 0
    heard: list[bytes] = field(default_factory=list)


async def lived(endpoint: Endpoint, answer: Answer) -> tuple[FakeTransport, FakeSocket, str]:
    """Return what a connection asked and sent, and why it ended."""
    socket = FakeSocket(len(endpoint.subscribe))
    transport, timing = FakeTransport(socket, answer), SteppedTiming()
    around = Surroundings(transport=transport, timing=timing, generator=random.Random(1), connects=Pacer(1.0, timing))
    life = Life("a", cast(Line, FakeLine(endpoint)), around, EndpointState())

    ended = await asyncio.wait_for(life.task, 10.0)
    return transport, socket, ended.reason


async def test_what_is_sent_carries_the_time_of_sending() -> None:
    (endpoint,) = GATE_USDT.dialect([listing("gate", "BTC_USDT")]).endpoints

    transport, socket, reason = await lived(endpoint, Answer(200, b""))

    assert [orjson.loads(text)["time"] for text in socket.sent] == [NOW_S] * 3
    assert transport.urls == ["wss://fx-ws.gateio.ws/v4/ws/usdt"]
    assert (transport.requests, reason) == ([], "told enough")


async def test_connection_behind_a_door_is_opened_where_the_answer_says() -> None:
    (endpoint,) = KUCOIN.dialect([listing("kucoin", "XBTUSDTM")]).endpoints
    body = orjson.dumps({"data": {"token": "t", "instanceServers": [{"endpoint": "wss://there.example/"}]}})

    transport, socket, _ = await lived(endpoint, Answer(200, body))

    assert transport.urls == ["wss://there.example/?token=t&connectId=liqscape"]
    assert [each.url for each in transport.requests] == ["https://api-futures.kucoin.com/api/v1/bullet-public"]
    assert socket.sent == list(endpoint.subscribe)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(429, b""), "HTTP 429"),
        (Answer(200, b"{}"), "the venue does not say where to connect: Unreadable"),
    ],
)
async def test_door_that_does_not_open_ends_the_attempt_with_its_reason(answer: Answer, reason: str) -> None:
    (endpoint,) = KUCOIN.dialect([listing("kucoin", "XBTUSDTM")]).endpoints

    transport, _, ended = await lived(endpoint, answer)

    assert (transport.urls, ended) == ([], reason)


class SpeaksBetween(FakeSocket):
    """A socket that says something after each message it is sent, and waits to be let go after the last."""

    def __init__(self, waits_for: int) -> None:
        super().__init__(waits_for)
        self._said = 0
        self._spoken_to = asyncio.Event()

    async def receive(self) -> bytes | None:
        while self._said == len(self.sent):
            self._spoken_to.clear()
            await self._spoken_to.wait()
        self._said += 1
        return b"mark"

    async def send(self, message: str | bytes) -> None:
        self.sent.append(message)
        self._spoken_to.set()
        for _ in range(5):  # it is heard before the next is sent
            await asyncio.sleep(0)

    def speak(self) -> None:
        """Say one more thing."""
        self._said -= 1
        self._spoken_to.set()


@dataclass
class ListeningLine(FakeLine):
    """A line on which everything is of the control channel."""

    heard_while: list[bool] = field(default_factory=list)
    life: Life | None = None

    def hear(self, message: bytes, receive_ns: int) -> list[str | bytes]:
        assert self.life is not None
        self.heard_while.append(self.life.is_heard.is_set())
        self.control_heard += 1
        return []


async def test_connection_that_is_not_confirmed_takes_over_only_when_all_is_asked_for() -> None:
    endpoint = Endpoint(name="a", url="wss://a.example", subscribe=("1", "2", "3"), channels=frozenset())
    socket, timing, line = SpeaksBetween(9), SteppedTiming(), ListeningLine(endpoint)
    transport = FakeTransport(socket, Answer(200, b""))
    around = Surroundings(transport=transport, timing=timing, generator=random.Random(1), connects=Pacer(1.0, timing))

    life = line.life = Life("a", cast(Line, line), around, EndpointState())
    while len(line.heard_while) < 3:  # noqa: ASYNC110 (nothing is waited for but other tasks)
        await asyncio.sleep(0)
    before = list(line.heard_while), life.is_heard.is_set()
    for _ in range(20):
        await asyncio.sleep(0)
    socket.speak()
    await asyncio.wait_for(life.is_heard.wait(), 10.0)
    life.task.cancel()
    await asyncio.gather(life.task, return_exceptions=True)

    assert before == ([False, False, False], False)
    assert socket.sent == ["1", "2", "3"]
