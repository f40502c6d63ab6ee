"""Requests beside the polls of a venue: inside the budget that they share, and never without an end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from liqscape.feeds.live.backoff import TOO_MANY_S
from liqscape.feeds.live.budgets import Pacer
from liqscape.feeds.live.connection import Surroundings
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.polling import Poller
from liqscape.feeds.live.transport import Answer, ConnectFailed, Socket
from liqscape.feeds.venues.dialect import Request, listings_of
from liqscape.feeds.venues.registry import VENUES
from liqscape.instruments import shipped_instruments
from tests.unit.feeds.live.test_waiting import HandTiming

QUESTION = Request("https://www.okx.com/api/v5/public/position-tiers")


class FakeTransport:
    """Answers as it is told, and notes when it was asked."""

    def __init__(self, timing: HandTiming, reply: Callable[[int], Answer | Exception | None]) -> None:
        self.at: list[float] = []
        self._timing = timing
        self._reply = reply

    async def connect(self, url: str, ping_s: float | None) -> Socket:
        raise AssertionError("no socket is opened for a question")

    async def request(self, request: Request) -> Answer:
        assert request == QUESTION
        self.at.append(self._timing.now)
        answer = self._reply(len(self.at))
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer


class ShortTiming(HandTiming):
    """A clock by which every wait for an answer is over at once."""

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(0)


def poller(timing: HandTiming, reply: Callable[[int], Answer | Exception | None]) -> tuple[Poller, FakeTransport]:
    """Return the poller of OKX, whose budget is ten requests in two seconds."""
    transport, okx = FakeTransport(timing, reply), VENUES["okx"]
    around = Surroundings(transport=transport, timing=timing, generator=random.Random(1), connects=Pacer(1.0, timing))
    listings = listings_of(shipped_instruments().values(), okx)
    return Poller(VenueDesk(okx, listings, PriceBoard(), MirrorWatch(), lambda events: None), around), transport


async def test_questions_wait_for_room_in_the_budget_of_the_polls() -> None:
    asks, transport = poller(HandTiming(), lambda n: Answer(200, b"x"))

    answers = [await asks.ask(QUESTION, "rest", 1) for _ in range(25)]

    assert {answer.body for answer in answers} == {b"x"}
    for at in transport.at:
        assert sum(at <= when < at + 2.0 for when in transport.at) <= 10
    assert transport.at[-1] - transport.at[0] == pytest.approx(4.0, abs=0.1)


async def test_what_says_too_many_closes_the_budget_for_whoever_asks_next() -> None:
    asks, transport = poller(HandTiming(), lambda n: Answer(429, b"") if n == 1 else Answer(200, b""))

    refused = await asks.ask(QUESTION, "rest", 1)
    await asks.ask(QUESTION, "rest", 1)

    assert refused.status == 429
    assert transport.at[1] - transport.at[0] >= TOO_MANY_S


async def test_question_that_is_never_answered_ends_as_one_without_an_answer() -> None:
    asks, _ = poller(ShortTiming(), lambda n: None)

    with pytest.raises(ConnectFailed, match="no answer"):
        await asks.ask(QUESTION, "rest", 1)


async def test_connection_that_fails_says_why() -> None:
    asks, _ = poller(HandTiming(), lambda n: ConnectFailed("its host name is not found"))

    with pytest.raises(ConnectFailed, match="its host name is not found"):
        await asks.ask(QUESTION, "rest", 1)
