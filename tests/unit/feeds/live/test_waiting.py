"""Backoff, budgets, turns, clocks: when what is done, by a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import random
from statistics import median

import pytest

from liqscape.feeds.live.backoff import BLOCKED_S, LONGEST_S, Backoff
from liqscape.feeds.live.budgets import Pacer, WeightBudget
from liqscape.feeds.live.clock_offset import EVERY_NS, LEAST, SAMPLES, ClockOffset
from liqscape.feeds.live.transport import LONGEST_RETRY_S, _retry_after_s, through_relay
from liqscape.feeds.venues.dialect import Budget


class HandTiming:
    """A Timing whose sleeps move it on at once."""

    def __init__(self) -> None:
        self.now = 100.0

    def now_ns(self) -> int:
        return int(self.now * 1e9)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(None)


def test_waits_are_drawn_from_all_of_a_doubling_span_up_to_the_longest() -> None:
    waits = [Backoff(random.Random(seed)).after_failure() for seed in range(200)]
    backoff = Backoff(random.Random(1))
    grown = [backoff.after_failure() for _ in range(400)][20:]

    assert 0.0 <= min(waits) < 0.1
    assert 0.9 < max(waits) <= 1.0
    assert min(grown) < LONGEST_S / 10
    assert LONGEST_S * 0.9 < max(grown) <= LONGEST_S


def test_a_success_begins_the_doubling_anew() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(20):
        backoff.after_failure()

    backoff.reset()

    assert backoff.after_failure() <= 1.0


def test_what_the_venue_asks_for_is_never_undercut_and_a_block_waits_long() -> None:
    assert Backoff(random.Random(1)).after_failure(retry_after_s=77.0) == 77.0
    assert BLOCKED_S / 2 <= Backoff(random.Random(1)).after_failure(blocked=True) <= BLOCKED_S


async def test_in_no_stretch_of_time_is_more_weight_taken_than_the_budget_holds() -> None:
    timing = HandTiming()
    budget = WeightBudget(Budget("rest", 10, 60.0), timing)
    taken: list[tuple[float, int]] = []
    draw = random.Random(3)

    for _ in range(200):
        weight = draw.randint(1, 6)
        await budget.take(weight)
        taken.append((timing.now, weight))
        timing.now += draw.random()

    for at, _ in taken:
        assert sum(weight for when, weight in taken if at <= when < at + 60.0) <= 10
    # Nor is much less taken: a request of 6 may have to leave 5 of 10 unused.
    assert taken[-1][0] - taken[0][0] < 2.0 * 60.0 * sum(weight for _, weight in taken) / 10


async def test_a_budget_that_the_venue_has_closed_is_closed_for_all() -> None:
    timing = HandTiming()
    budget = WeightBudget(Budget("rest", 10, 60.0), timing)

    budget.close_for(42.0)
    await budget.take(1)

    assert timing.now == pytest.approx(142.0)


async def test_turns_are_apart_also_when_many_ask_at_once() -> None:
    timing = HandTiming()
    pacer = Pacer(4.0, timing)
    turns = []

    for _ in range(5):
        await pacer.turn()
        turns.append(timing.now)

    assert turns == [100.0, 100.25, 100.5, 100.75, 101.0]


def test_offset_is_the_median_and_a_burst_of_old_messages_does_not_move_it() -> None:
    offset = ClockOffset()
    for number in range(SAMPLES):
        offset.see(number * EVERY_NS - (20_000_000 if number % 3 else 5_000_000_000), number * EVERY_NS)

    assert offset.median_ns == 20_000_000


def test_offset_is_the_median_of_the_window_alone() -> None:
    offset, draw = ClockOffset(), random.Random(1)
    lags: list[int] = []

    for number in range(4 * SAMPLES):
        lags.append(draw.choice((draw.randint(-(10**9), 10**9), 5, -5, 2**61)))
        offset.see(number * EVERY_NS - lags[-1], number * EVERY_NS)

        known = round(median(lags[-SAMPLES:])) if len(lags) >= LEAST else None
        assert offset.median_ns == known


def test_offset_is_not_told_before_enough_was_heard_and_a_burst_counts_once() -> None:
    offset = ClockOffset()
    for _ in range(1000):
        offset.see(0, 5)

    assert offset.median_ns is None
    for number in range(1, LEAST):
        offset.see(number * EVERY_NS, number * EVERY_NS + 7)
    assert offset.median_ns == 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30.0), ("999999", LONGEST_RETRY_S), ("", None), (None, None), ("soon", None), ("-5", None)],
)
def test_retry_after_is_read_and_bounded(text: str | None, seconds: float | None) -> None:
    assert _retry_after_s(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert _retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_a_relay_keeps_host_path_and_query() -> None:
    through = through_relay("http://127.0.0.1:99/")

    assert through("wss://fstream.binance.com/ws?a=b") == "ws://127.0.0.1:99/fstream.binance.com/ws?a=b"
    assert through("https://fapi.binance.com/fapi/v1/x") == "http://127.0.0.1:99/fapi.binance.com/fapi/v1/x"
    assert through_relay("https://relay.test/a")("wss://h/p") == "wss://relay.test/a/h/p"
