"""The reconnect loop, by a venue that is made up: what it tries, how long it waits, what a defect of its own leaves.

Seen to fail when broken on purpose: connection.py, run without the end of its lines; _begin_again without a block's
state, and without the reset after a steady life; a 429 tried again at once.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import NoReturn

import pytest

from liqscape.events import Event, Gap
from liqscape.feeds.live.backoff import BLOCKED_S, FIRST_S, TOO_MANY_S
from liqscape.feeds.live.budgets import Pacer
from liqscape.feeds.live.connection import STEADY_S, Keeper, Life, Surroundings
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import PriceBoard
from liqscape.feeds.live.transport import Answer, ConnectFailed, Socket
from liqscape.feeds.status import FeedState
from liqscape.feeds.venues.binance import BINANCE_USDM
from liqscape.feeds.venues.dialect import Listing, Request
from liqscape.instruments import find_instrument

LISTING = Listing(find_instrument("binance:BTCUSDT"))
NOW_NS = 1_795_219_200 * 10**9


class LongNights:
    """A Timing that notes what is slept; long sleeps end the test's patience."""

    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._most = most

    def now_ns(self) -> int:
        return NOW_NS + int(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) >= self._most:
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(None)


class Refusing:
    """A transport that opens nothing."""

    def __init__(self, error: ConnectFailed) -> None:
        self.tries = 0
        self._error = error

    async def connect(self, url: str, ping_s: float | None) -> Socket:
        self.tries += 1
        raise self._error

    async def request(self, request: Request) -> Answer:
        raise self._error


def a_keeper(transport: Refusing, timing: LongNights) -> tuple[Keeper, VenueDesk, list[Event]]:
    events: list[Event] = []
    desk = VenueDesk(BINANCE_USDM, [LISTING], PriceBoard(), MirrorWatch(), events.extend)
    desk.begin(NOW_NS)
    around = Surroundings(
        transport=transport, timing=timing, generator=random.Random(1), connects=Pacer(1e9, timing), recorder=None
    )
    endpoint = replace(desk.endpoints["market-0"], max_age_s=None)
    return Keeper(desk, endpoint, around, Pacer(1e9, timing)), desk, events


async def tries(keeper: Keeper, timing: LongNights, count: int) -> None:
    """Run a keeper until it has slept so often."""
    running = asyncio.create_task(keeper.run())
    while len(timing.slept) < count:  # noqa: ASYNC110 (it is the fake clock that is waited for)
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_blocked_venue_is_tried_slowly_and_its_state_says_so() -> None:
    timing = LongNights(4)
    keeper, _, _ = a_keeper(Refusing(ConnectFailed("HTTP 451", 451)), timing)

    await tries(keeper, timing, 4)

    assert all(BLOCKED_S / 2 <= slept <= BLOCKED_S for slept in timing.slept)
    assert (keeper.state.state, keeper.state.reason) == (FeedState.BLOCKED, "HTTP 451")


async def test_waits_grow_while_nothing_works_and_retry_after_is_kept() -> None:
    timing, asked = LongNights(60), LongNights(3)
    failing, _, _ = a_keeper(Refusing(ConnectFailed("ClientConnectorError")), timing)
    polite, _, _ = a_keeper(Refusing(ConnectFailed("HTTP 429", 429, 77.0)), asked)

    await tries(failing, timing, 60)
    await tries(polite, asked, 3)

    assert timing.slept[0] <= FIRST_S
    assert max(timing.slept[20:]) > 30 * FIRST_S
    assert asked.slept == [77.0, 77.0, 77.0]


@pytest.mark.parametrize("status", [418, 429])
async def test_a_venue_that_is_asked_too_often_is_left_alone_for_half_a_minute(status: int) -> None:
    timing = LongNights(4)
    keeper, _, _ = a_keeper(Refusing(ConnectFailed(f"HTTP {status}", status)), timing)

    await tries(keeper, timing, 4)

    assert min(timing.slept) == TOO_MANY_S


async def test_after_a_steady_life_waits_are_short_again() -> None:
    timing = LongNights(40)
    keeper, _, _ = a_keeper(Refusing(ConnectFailed("ClientConnectorError")), timing)
    await tries(keeper, timing, 40)
    life = await keeper._begin()
    await asyncio.wait({life.task})
    life.is_heard.set()
    timing.now += STEADY_S + 1.0
    timing.slept.clear()

    await keeper._begin_again(life)

    assert timing.slept[0] <= FIRST_S


async def test_a_defect_leaves_a_hole_until_the_next_message_and_no_line() -> None:
    timing = LongNights(1000)
    keeper, desk, events = a_keeper(Refusing(ConnectFailed("no")), timing)

    async def breaks(life: Life) -> NoReturn:
        raise RuntimeError("a defect")

    keeper._keep = breaks  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="a defect"):
        await keeper.run()
    line = desk.open("market-0")
    line.hear(b'{"result":null,"id":1}', NOW_NS)
    line.hear(b'{"e":"markPriceUpdate","E":1795219201000,"s":"BTCUSDT","p":"65000.1"}', NOW_NS + 10**9)

    assert [gap.reason for gap in events if isinstance(gap, Gap)] == ["connecting"]
    assert desk._lines == [line]
