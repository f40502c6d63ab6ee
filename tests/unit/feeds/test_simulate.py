"""The simulator: what its events look like, what decides them, and when the live ones come."""

from __future__ import annotations

import hashlib
import math
from itertools import islice, pairwise
from typing import Any

import pytest

from liqscape.axes import MINUTE_NS, TIMEFRAMES
from liqscape.clock import ManualClock
from liqscape.errors import ConfigError
from liqscape.events import (
    Candle,
    Event,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PositionSide,
    TakerSide,
    TickEnd,
    Trade,
)
from liqscape.feeds.simulate import PAST_SCHEDULE, PastSpan, SimulateSource
from liqscape.feeds.source import EventSource, Progress
from liqscape.instruments import find_instrument

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
START_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01T00:00:00Z
BTC, ETH = "binance:BTCUSDT", "binance:ETHUSDT"
LAST_HOURS = (PastSpan(600, 60), PastSpan(60, 1))
LIVE_TICKS = 3600


def source(**settings: Any) -> SimulateSource:
    return SimulateSource(**{"clock": ManualClock(START_NS), "start_ns": START_NS, **settings})


def time_of(event: Event) -> int:
    """Return the instant at which an event is known."""
    if isinstance(event, Candle):
        return event.close_time_ns
    assert not hasattr(event, "to_ns")
    return event.time_ns


def samples(events: list[Event], instrument_id: str) -> list[OpenInterest]:
    return [e for e in events if isinstance(e, OpenInterest) and e.instrument_id == instrument_id]


@pytest.fixture(scope="module")
def past() -> list[Event]:
    return list(source().iterate_past())


@pytest.fixture(scope="module")
def live() -> list[Event]:
    """Return an hour of live ticks, from one minute before a funding instant to find one."""
    start_ns = START_NS + 8 * 3600 * SECOND_NS - 60 * SECOND_NS
    return list(source(past=(), start_ns=start_ns).iterate(LIVE_TICKS))[3:]


def test_source_says_that_it_is_simulated() -> None:
    described: EventSource = source(seed=7, tick_ms=250)

    about = described.description

    assert about.name == "simulate seed 7"
    assert (about.simulated, about.replay, about.tick_ms) == (True, False, 250)
    assert about.instruments == (find_instrument(BTC), find_instrument(ETH))


@pytest.mark.slow
def test_two_sources_of_one_seed_are_equal_event_by_event(past: list[Event]) -> None:
    again = source(clock=ManualClock(START_NS + 12_345), speed=3.0)

    events = list(again.iterate(100))

    assert events[: len(past)] == past
    assert events == list(source().iterate(100))


@pytest.mark.slow
def test_another_seed_or_start_gives_other_events() -> None:
    one = list(source(past=LAST_HOURS).iterate(10))

    other_seed = list(source(past=LAST_HOURS, seed=2).iterate(10))
    other_start = list(source(past=LAST_HOURS, start_ns=START_NS + 3600 * SECOND_NS).iterate(10))

    assert one != other_seed
    assert one != other_start


@pytest.mark.slow
def test_seed_one_gives_the_events_it_gives_on_every_machine(past: list[Event]) -> None:
    """Fails when the simulator is changed: then demonstrations and measurements of before cannot be repeated."""
    events = past + list(source(past=()).iterate(300))

    text = "\n".join(map(repr, events))

    assert (
        hashlib.sha256(text.encode()).hexdigest() == "100f64924f6f0e8810bba32f2b5dea12454bdeebff32b958a22c732de8e2e1b2"
    )


@pytest.mark.slow
def test_symbol_moves_the_same_alone_and_in_company() -> None:
    alone = list(source(symbols=("ETH",), past=LAST_HOURS).iterate(60))

    company = source(symbols=("BTC", "ETH"), past=LAST_HOURS).iterate(60)

    assert [e for e in company if isinstance(e, TickEnd) or e.instrument_id == ETH] == alone


def test_past_opens_with_a_sample_of_each_symbol_in_a_tick_of_its_own(past: list[Event]) -> None:
    first = past[:3]

    begin_ns = START_NS - 365 * DAY_NS
    assert [(type(e), time_of(e)) for e in first] == [
        (OpenInterest, begin_ns),
        (OpenInterest, begin_ns),
        (TickEnd, begin_ns),
    ]


def test_past_is_candle_and_sample_of_each_symbol_then_tick_end(past: list[Event]) -> None:
    steps = past[3:]

    assert len(steps) % 5 == 0
    for at in range(0, len(steps), 5):
        btc, btc_sample, eth, eth_sample, end = steps[at : at + 5]
        assert isinstance(end, TickEnd)
        assert isinstance(btc, Candle)
        assert isinstance(eth, Candle)
        assert (btc.instrument_id, eth.instrument_id) == (BTC, ETH)
        assert (btc.open_time_ns, btc.close_time_ns) == (eth.open_time_ns, end.time_ns)
        assert (btc_sample, eth_sample) == (
            OpenInterest(BTC, end.time_ns, samples([btc_sample], BTC)[0].quantity),
            OpenInterest(ETH, end.time_ns, samples([eth_sample], ETH)[0].quantity),
        )


def test_past_renders_nothing_and_the_live_ticks_all(past: list[Event], live: list[Event]) -> None:
    assert {e.render for e in past if isinstance(e, TickEnd)} == {False}
    assert {e.render for e in live if isinstance(e, TickEnd)} == {True}


def test_past_covers_365_days_without_a_hole_and_ends_at_the_start(past: list[Event]) -> None:
    candles = [e for e in past if isinstance(e, Candle) and e.instrument_id == BTC]

    assert candles[0].open_time_ns == START_NS - 365 * DAY_NS
    assert candles[-1].close_time_ns == START_NS
    assert past[-1] == TickEnd(START_NS, render=False)
    for one, two in pairwise(candles):
        assert (one.close_time_ns, one.close) == (two.open_time_ns, two.open)
    assert len(candles) == 7524


def test_no_step_of_the_past_is_longer_than_a_column_whose_window_reaches_it() -> None:
    for frame in TIMEFRAMES:
        window = frame.column_minutes * frame.columns
        reached = [
            span
            for span, following in zip(PAST_SCHEDULE, [*PAST_SCHEDULE[1:], PastSpan(0, 1)], strict=True)
            if following.from_minutes_ago < window
        ]

        assert max(span.step_minutes for span in reached) <= frame.column_minutes


def test_candles_are_consistent(past: list[Event]) -> None:
    for candle in (e for e in past if isinstance(e, Candle)):
        assert 0 < candle.low <= min(candle.open, candle.close)
        assert max(candle.open, candle.close) <= candle.high
        assert candle.taker_buy_quantity is not None
        assert 0 < candle.taker_buy_quantity < candle.quantity


@pytest.mark.parametrize(("instrument_id", "lowest", "highest"), [(BTC, 60_000, 120_000), (ETH, 1_300_000, 2_700_000)])
def test_open_interest_stays_near_its_level_and_rises_and_falls(
    past: list[Event], instrument_id: str, lowest: int, highest: int
) -> None:
    coins = [sample.quantity / 1e8 for sample in samples(past, instrument_id)]

    changes = [two - one for one, two in pairwise(coins)]

    assert lowest < min(coins) < max(coins) < highest
    assert sum(change > 0 for change in changes) > 0.3 * len(changes)
    assert sum(change < 0 for change in changes) > 0.3 * len(changes)


def test_hard_falls_take_open_interest_with_them(past: list[Event]) -> None:
    candles = [e for e in past if isinstance(e, Candle) and e.instrument_id == BTC]
    quantities = [sample.quantity for sample in samples(past, BTC)]

    crashes = [i for i, candle in enumerate(candles) if candle.close < 0.95 * candle.open]

    assert len(crashes) >= 3
    assert sum(quantities[i + 1] / quantities[i] for i in crashes) < 0.96 * len(crashes)


def test_volume_follows_the_size_of_returns(past: list[Event]) -> None:
    candles = [e for e in past if isinstance(e, Candle) and e.instrument_id == BTC][:4020]
    by_return = sorted(candles, key=lambda c: abs(c.close / c.open - 1))

    quiet = sum(c.quantity for c in by_return[:1000]) / 1000 / 2e8  # coins in an hour of a two-hour candle
    wild = sum(c.quantity for c in by_return[-1000:]) / 1000 / 2e8

    assert 3_000 < quiet < 10_000
    assert wild > 1.5 * quiet


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_flow_identity_is_feasible_nearly_always(seed: int) -> None:
    traded: dict[str, int] = {}
    last: dict[str, int] = {}
    feasible = total = 0

    for event in source(seed=seed).iterate(600):
        if isinstance(event, Candle | Trade):
            traded[event.instrument_id] = traded.get(event.instrument_id, 0) + event.quantity
        elif isinstance(event, OpenInterest):
            if event.instrument_id in last:
                total += 1
                change = abs(event.quantity - last[event.instrument_id])
                feasible += 10 * change <= 6 * traded[event.instrument_id]
            last[event.instrument_id] = event.quantity
            traded[event.instrument_id] = 0

    assert total == 2 * (7524 + 120)
    assert feasible >= 0.99 * total


def test_live_events_are_in_time_order_and_inside_their_tick(live: list[Event]) -> None:
    ends = [e.time_ns for e in live if isinstance(e, TickEnd)]
    end = iter(ends)
    begin_ns, end_ns = ends[0] - SECOND_NS, next(end)

    for event in live:
        if isinstance(event, TickEnd):
            assert event.time_ns == end_ns
            begin_ns, end_ns = end_ns, next(end, 0)
        else:
            assert begin_ns <= time_of(event) < end_ns
    assert [time_of(e) for e in live] == sorted(time_of(e) for e in live)
    assert {two - one for one, two in pairwise(ends)} == {SECOND_NS}


def test_live_tick_has_trades_and_a_mark_of_each_symbol(live: list[Event]) -> None:
    tick: list[Event] = []

    for event in live:
        tick.append(event)
        if isinstance(event, TickEnd):
            for name in (BTC, ETH):
                own = [e for e in tick if not isinstance(e, TickEnd) and e.instrument_id == name]
                assert 2 <= sum(isinstance(e, Trade) for e in own) <= 8
                assert sum(isinstance(e, MarkPrice) for e in own) == 1
            tick = []


def test_live_prices_and_quantities_are_positive_and_near_the_last_close(past: list[Event], live: list[Event]) -> None:
    closes = {e.instrument_id: e.close for e in past if isinstance(e, Candle)}

    for event in live:
        if isinstance(event, Trade | MarkPrice | Liquidation):
            assert 0.8 < event.price / closes[event.instrument_id] < 1.25
        if isinstance(event, Trade | Liquidation):
            assert event.quantity > 0
            assert event.quantity % 100_000 == 0  # the venue's step, 0.001 coins


def test_live_samples_come_every_five_seconds_and_both_rise_and_fall(live: list[Event]) -> None:
    for name in (BTC, ETH):
        own = samples(live, name)
        changes = [two.quantity - one.quantity for one, two in pairwise(own)]

        assert len(own) == LIVE_TICKS / 5
        assert {two.time_ns - one.time_ns for one, two in pairwise(own)} == {5 * SECOND_NS}
        assert sum(change > 0 for change in changes) > 0.1 * len(changes)
        assert sum(change < 0 for change in changes) > 0.1 * len(changes)


@pytest.mark.slow
def test_live_open_interest_and_price_continue_the_past() -> None:
    events = list(source(past=LAST_HOURS).iterate(5))
    ends = [i for i, e in enumerate(events) if e == TickEnd(START_NS, render=False)]
    before, after = events[: ends[0]], events[ends[0] :]

    for name in (BTC, ETH):
        close = [e.close for e in before if isinstance(e, Candle) and e.instrument_id == name][-1]
        first = next(e.price for e in after if isinstance(e, Trade) and e.instrument_id == name)

        assert abs(first / close - 1) < 0.002
        assert abs(samples(after, name)[0].quantity / samples(before, name)[-1].quantity - 1) < 0.002


def test_funding_is_announced_at_its_instant(live: list[Event]) -> None:
    funding = [e for e in live if isinstance(e, Funding)]

    assert [(e.instrument_id, e.time_ns) for e in funding] == [
        (name, START_NS + 8 * 3600 * SECOND_NS) for name in (BTC, ETH)
    ]
    assert all(e.interval_hours == 8 and abs(e.rate_ppb) < 500_000 for e in funding)


@pytest.mark.slow
def test_printed_liquidation_is_the_trade_of_the_side_that_loses() -> None:
    events = source(seed=2, symbols=("BTC",), past=()).iterate(LIVE_TICKS)

    prints = [(before, e) for before, e in pairwise(events) if isinstance(e, Liquidation)]

    assert {e.position_side for _, e in prints} == set(PositionSide)
    assert len(prints) < LIVE_TICKS / 10
    for trade, liquidation in prints:
        taker = TakerSide.SELL if liquidation.position_side is PositionSide.LONG else TakerSide.BUY
        name, time_ns = liquidation.instrument_id, liquidation.time_ns
        assert trade == Trade(name, time_ns, liquidation.price, liquidation.quantity, taker)


@pytest.mark.slow
async def test_events_pass_on_the_past_at_once_then_each_tick_at_its_time() -> None:
    clock = ManualClock(START_NS + 500)
    timed = source(clock=clock, start_ns=None, past=LAST_HOURS, speed=4.0, ticks=20)
    seen: list[tuple[int, Event]] = []

    async for event in timed.events():
        seen.append((clock.now_ns(), event))

    assert [e for _, e in seen] == list(source(past=LAST_HOURS).iterate(20))
    ends = [(now_ns, e.time_ns) for now_ns, e in seen if isinstance(e, TickEnd)]
    assert {now_ns for now_ns, end_ns in ends if end_ns <= START_NS} == {START_NS + 500}
    assert [pair for pair in ends if pair[1] > START_NS] == [
        (START_NS + k * SECOND_NS // 4, START_NS + k * SECOND_NS) for k in range(1, 21)
    ]


@pytest.mark.slow
async def test_late_machine_drops_no_tick() -> None:
    clock = ManualClock(START_NS)
    late = source(clock=clock, start_ns=None, past=(), ticks=12)
    ends: list[tuple[int, int]] = []

    async for event in late.events():
        if isinstance(event, TickEnd) and event.render:
            ends.append((clock.now_ns() - START_NS, event.time_ns - START_NS))
            if len(ends) == 2:
                clock.advance(7 * SECOND_NS)

    assert [end_ns for _, end_ns in ends] == [k * SECOND_NS for k in range(1, 13)]
    assert [now_ns // SECOND_NS for now_ns, _ in ends] == [1, 2, 9, 9, 9, 9, 9, 9, 9, 10, 11, 12]


@pytest.mark.slow
async def test_start_in_the_past_is_paced_from_when_it_begins() -> None:
    clock = ManualClock(START_NS + DAY_NS)
    old = source(clock=clock, start_ns=START_NS, past=(), ticks=3)

    times = [clock.now_ns() async for event in old.events() if isinstance(event, TickEnd) and event.render]

    assert times == [START_NS + DAY_NS + k * SECOND_NS for k in range(1, 4)]


@pytest.mark.slow
async def test_infinite_speed_waits_for_nothing() -> None:
    clock = ManualClock(START_NS)
    fast = source(clock=clock, past=(), speed=math.inf, ticks=50)

    events = [event async for event in fast.events()]

    assert sum(isinstance(e, TickEnd) and e.render for e in events) == 50
    assert clock.now_ns() == START_NS


@pytest.mark.slow
async def test_events_without_a_limit_go_on() -> None:
    endless = source(past=()).events()
    ends = 0

    async for event in endless:
        ends += isinstance(event, TickEnd)
        if ends > 200:
            break

    assert ends == 201


@pytest.mark.slow
def test_progress_counts_steps_of_the_past() -> None:
    counting = source(past=LAST_HOURS)

    before = counting.progress()
    steps = counting.iterate_past()
    list(islice(steps, 3 + 5 * 4 + 1))
    between = counting.progress()
    list(steps)

    assert before == Progress(0, 69, "bars")
    assert between == Progress(4, 69, "bars")
    assert counting.progress() == Progress(69, 69, "bars")


def test_default_start_is_the_minute_of_the_clock() -> None:
    clock = ManualClock(START_NS + 59 * SECOND_NS)

    assert SimulateSource(clock=clock).start_ns == START_NS
    assert START_NS % MINUTE_NS == 0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"seed": -1}, "seed -1"),
        ({"symbols": ()}, "symbols"),
        ({"symbols": ("BTC", "BTC")}, "name each once"),
        ({"symbols": ("DOGE",)}, "symbol 'DOGE' cannot be simulated; use one of BTC, ETH"),
        ({"tick_ms": 9}, "tick_ms 9"),
        ({"tick_ms": 60_001}, "outside 10..60000"),
        ({"speed": 0.0}, "speed 0.0"),
        ({"speed": math.nan}, "speed nan"),
        ({"ticks": -1}, "ticks -1"),
        ({"start_ns": START_NS + 1}, "whole minute"),
        ({"start_ns": DAY_NS}, "a year after 1970"),
        ({"past": (PastSpan(366 * 1440, 120),)}, "at most 525600"),
        ({"past": (PastSpan(61, 2),)}, "whole number of steps"),
        ({"past": (PastSpan(60, 1), PastSpan(120, 1))}, "whole number of steps"),
        ({"past": (PastSpan(60, 0),)}, "whole number of steps"),
    ],
)
def test_setting_outside_what_is_allowed_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        source(**settings)
