"""Asking about accounts: inside the budget, evenly, and what each kind of answer does to whom."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import orjson
import pytest

from liqscape.feeds.live.account_desk import ASK_EVERY_S, AccountDesk
from liqscape.feeds.live.account_polling import AccountPoller
from liqscape.feeds.live.backoff import BLOCKED_S, TOO_MANY_S
from liqscape.feeds.live.budgets import Pacer
from liqscape.feeds.live.connection import Surroundings
from liqscape.feeds.live.transport import Answer, ConnectFailed, Socket
from liqscape.feeds.venues.dialect import Request
from liqscape.feeds.venues.hyperliquid_accounts import ACCOUNTS_BUDGET, INFO, STATE_WEIGHT, HyperliquidAccounts
from tests.unit.feeds.live.test_account_desk import LISTINGS, T0, address, state
from tests.unit.feeds.live.test_waiting import HandTiming

Reply = Callable[[int, int], Answer | Exception]
"""From the number of the account, and how often it was asked before, to what is answered."""


class FakeVenue:
    """A Transport that answers questions about accounts, and ends the test after so many."""

    def __init__(self, timing: HandTiming, reply: Reply, most: int) -> None:
        self.asked: list[tuple[float, int]] = []
        self._timing = timing
        self._reply = reply
        self._most = most

    async def connect(self, url: str, ping_s: float | None) -> Socket:
        raise AssertionError("no socket is opened for accounts")

    async def request(self, request: Request) -> Answer:
        if len(self.asked) == self._most:
            raise asyncio.CancelledError
        said = orjson.loads(request.json or b"")
        assert (request.url, said["type"]) == (INFO, "clearinghouseState")
        number = int(said["user"], 16)
        before = sum(each == number for _, each in self.asked)
        self.asked.append((self._timing.now, number))
        answer = self._reply(number, before)
        if isinstance(answer, Exception):
            raise answer
        return answer


def holding(number: int, before: int) -> Answer:
    return Answer(200, state(T0, {"BTC": str(number)}))


class Clock(HandTiming):
    """Stamps of when the statements were made."""

    def now_ns(self) -> int:
        return T0


async def poll(named: range, reply: Reply, most: int) -> tuple[FakeVenue, AccountPoller]:
    """Ask about accounts until so many questions were asked."""
    timing = Clock()
    venue = FakeVenue(timing, reply, most)
    around = Surroundings(transport=venue, timing=timing, generator=random.Random(1), connects=Pacer(1.0, timing))
    desk = AccountDesk("hyperliquid", HyperliquidAccounts(), LISTINGS, [address(n) for n in named], 0)
    poller = AccountPoller(desk, around)
    with pytest.raises(asyncio.CancelledError):
        await poller.run()
    return venue, poller


async def test_all_are_asked_in_turn_evenly_and_inside_the_budget() -> None:
    venue, poller = await poll(range(1, 301), holding, 700)

    assert [number for _, number in venue.asked] == [*range(1, 301), *range(1, 301), *range(1, 101)]
    times = [at for at, _ in venue.asked]
    for at in times:
        assert (
            sum(STATE_WEIGHT for when in times if at <= when < at + ACCOUNTS_BUDGET.seconds) <= ACCOUNTS_BUDGET.weight
        )
    # Evenly: in no second more than its share, and not much slower than allowed.
    assert max(sum(1 for when in times if at <= when < at + 1.0) for at in times) <= 3
    assert times[-1] - times[0] < 1.02 * 699 * ACCOUNTS_BUDGET.seconds * STATE_WEIGHT / ACCOUNTS_BUDGET.weight
    assert poller.desk.status(T0).fresh == 300


async def test_few_are_asked_once_a_minute() -> None:
    venue, _ = await poll(range(1, 3), holding, 6)

    for before, after in zip(venue.asked, venue.asked[2:], strict=False):
        assert after[1] == before[1]
        assert ASK_EVERY_S <= after[0] - before[0] <= ASK_EVERY_S + 2.0


async def test_refusal_of_one_account_is_that_ones_and_the_others_are_asked_on() -> None:
    venue, poller = await poll(range(1, 4), lambda n, b: Answer(422, b"") if n == 2 else holding(n, b), 6)

    status = poller.desk.status(T0)
    assert (status.fresh, status.refused, dict(status.rejected)) == (2, 1, {"HTTP 422": 2})
    assert [number for _, number in venue.asked] == [1, 2, 3, 1, 2, 3]
    assert venue.asked[2][0] - venue.asked[1][0] <= 1.0
    assert poller.reason == ""


@pytest.mark.parametrize(
    ("answer", "least_s", "reason"),
    [
        (Answer(429, b""), TOO_MANY_S, "HTTP 429"),
        (Answer(429, b"", 77.0), 77.0, "HTTP 429"),
        (Answer(403, b""), BLOCKED_S / 2, "HTTP 403"),
        (Answer(451, b""), BLOCKED_S / 2, "HTTP 451"),
        (Answer(503, b"", 9.0), 9.0, "HTTP 503"),
    ],
)
async def test_refusal_of_everything_makes_everybody_wait(answer: Answer, least_s: float, reason: str) -> None:
    def reply(number: int, before: int) -> Answer:
        return answer if number == 1 else holding(number, before)

    _, waiting = await poll(range(1, 3), reply, 1)
    venue, recovered = await poll(range(1, 3), reply, 2)

    (began, first), (went_on, second) = venue.asked
    assert (first, second) == (1, 2)
    assert went_on - began >= least_s
    assert (waiting.reason, recovered.reason) == (reason, "")
    status = recovered.desk.status(T0)
    assert (status.refused, status.waiting, status.fresh) == (0, 1, 1)


@pytest.mark.parametrize("error", [ConnectFailed("cut"), TimeoutError()])
async def test_venue_that_does_not_answer_refuses_nobody_and_is_asked_on(error: Exception) -> None:
    _, poller = await poll(range(1, 3), lambda n, b: error, 5)

    status = poller.desk.status(T0)
    assert (status.waiting, status.refused, dict(status.rejected)) == (2, 0, {})
    assert poller.reason == (str(error) or "no answer")
