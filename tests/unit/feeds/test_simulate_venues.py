"""Many simulated venues: what each says in its own unit and at its own pace, crashes, and one that falls silent."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from liqscape.clock import ManualClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import ConfigError
from liqscape.events import Candle, Event, Gap, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.feeds import simulated_venues
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.feeds.simulated_venues import (
    HABITS,
    Crash,
    Outage,
    Scenario,
    VenueHabits,
    find_scenario,
    many_venues,
)
from liqscape.grid.shard import Shard
from liqscape.instruments import Instrument, find_instrument

SECOND_NS = 1_000_000_000
START_NS = 1_767_225_600 * SECOND_NS  # 2026-01-01T00:00:00Z
LAST_HOURS = (PastSpan(600, 60), PastSpan(60, 1))
CONTRACT = 10**8
LEADER, COIN_M, BYBIT = "binance:BTCUSDT", "binance:BTCUSD_PERP", "bybit:BTCUSDT"
DERIBIT = "deribit:BTC-PERPETUAL"
MANY_BTC = many_venues(("BTC",))

pytestmark = pytest.mark.slow  # each simulates a year by the minute for each venue


def source(**settings: Any) -> SimulateSource:
    return SimulateSource(
        **{
            "clock": ManualClock(START_NS),
            "start_ns": START_NS,
            "symbols": ("BTC",),
            "instruments": MANY_BTC,
            "past": LAST_HOURS,
            **settings,
        }
    )


def instruments(*names: str) -> tuple[Instrument, ...]:
    return tuple(find_instrument(name) for name in names)


def said_by(events: list[Event], name: str) -> list[Event]:
    return [event for event in events if not isinstance(event, TickEnd) and event.instrument_id == name]


def live_of(events: list[Event]) -> list[Event]:
    """Return what came after the past."""
    last = max(i for i, event in enumerate(events) if isinstance(event, TickEnd) and not event.render)
    return events[last + 1 :]


def last_marks(events: list[Event]) -> dict[str, float]:
    """Return the newest mark of each instrument, in quote."""
    decimals = {i.instrument_id: i.price_decimals for i in MANY_BTC}
    marks = [e for e in events if isinstance(e, MarkPrice)]
    return {mark.instrument_id: mark.price / 10 ** decimals[mark.instrument_id] for mark in marks}


@pytest.fixture(scope="module")
def usual() -> list[Event]:
    """Return the last hours of the past and two minutes of seven venues."""
    return list(source().iterate(130))


def test_description_names_the_instruments_and_the_scenario() -> None:
    many = source(scenario=find_scenario("crash")).description

    assert many.name == "simulate seed 1, 7 instruments, crash"
    assert many.instruments == MANY_BTC
    assert source(instruments=None).description.name == "simulate seed 1"


def test_leader_says_in_company_what_it_says_alone(usual: list[Event]) -> None:
    alone = list(source(instruments=None).iterate(130))

    assert said_by(usual, LEADER) == said_by(alone, LEADER)
    assert [e for e in usual if isinstance(e, TickEnd)] == [e for e in alone if isinstance(e, TickEnd)]


def test_follower_says_the_same_whoever_else_is_heard(usual: list[Event]) -> None:
    without_leader = list(source(instruments=instruments(COIN_M, BYBIT)).iterate(130))

    assert {e.instrument_id for e in without_leader if not isinstance(e, TickEnd)} == {COIN_M, BYBIT}
    for name in (COIN_M, BYBIT):
        assert said_by(without_leader, name) == said_by(usual, name)


def test_events_of_each_tick_are_in_time_order(usual: list[Event]) -> None:
    times = [e.close_time_ns if isinstance(e, Candle) else e.time_ns for e in usual if not isinstance(e, Gap)]

    assert times == sorted(times)


def test_followers_stay_close_to_the_price_of_their_leader(usual: list[Event]) -> None:
    candles = [e for e in usual if isinstance(e, Candle)]
    closes: dict[int, dict[str, float]] = {}
    for candle in candles:
        closes.setdefault(candle.close_time_ns, {})[candle.instrument_id] = candle.close / 10
    distances = [prices[name] / prices[LEADER] - 1 for prices in closes.values() for name in prices if name != LEADER]

    assert len(closes) == 9 + 60
    assert max(map(abs, distances)) < 0.0006
    assert len(set(distances)) > 300
    marks = last_marks(usual)
    assert len(marks) == 7
    assert all(abs(mark / marks[LEADER] - 1) < 0.001 for mark in marks.values())


def test_inverse_venues_trade_and_hold_whole_contracts(usual: list[Event]) -> None:
    for name, value in ((COIN_M, 100), (DERIBIT, 10)):
        said = said_by(usual, name)
        quantities = [e.quantity for e in said if isinstance(e, Trade | Candle | OpenInterest)]
        assert all(quantity % CONTRACT == 0 for quantity in quantities)
        held = [e.quantity // CONTRACT * value for e in said if isinstance(e, OpenInterest)]
        assert 0.5e9 < min(held) < max(held) < 3e9  # USD


def test_venues_sample_open_interest_at_their_own_pace(usual: list[Event]) -> None:
    live = live_of(usual)
    counts = {name: sum(isinstance(e, OpenInterest) for e in said_by(live, name)) for name in last_marks(usual)}

    assert counts == {
        LEADER: 26,
        COIN_M: 2,
        "bitget:BTCUSDT": 26,
        BYBIT: 130,
        DERIBIT: 130,
        "kraken:PF_XBTUSD": 2,
        "okx:BTC-USDT-SWAP": 43,
    }


def test_lagging_sample_says_what_was_held_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def samples(lag_seconds: int) -> list[int]:
        habits = VenueHabits(0.5, 0.5, 1, lag_seconds, 0.5)
        monkeypatch.setitem(HABITS, ("bybit", "linear"), habits)
        said = live_of(list(source(instruments=instruments(BYBIT)).iterate(60)))
        return [e.quantity for e in said if isinstance(e, OpenInterest)]

    prompt, late = samples(0), samples(20)

    assert len(prompt) == len(late) == 60
    assert late[20:] == prompt[:40]
    assert len(set(late[:20])) == 1  # from before the first live tick
    assert len(set(prompt)) > 50


def test_mark_of_a_venue_that_smooths_more_lags_behind(usual: list[Event]) -> None:
    def roughness(name: str) -> float:
        marks = [e.price for e in said_by(usual, name) if isinstance(e, MarkPrice)]
        return sum(abs(b - a) for a, b in pairwise(marks)) / marks[0]

    assert roughness("kraken:PF_XBTUSD") < roughness("okx:BTC-USDT-SWAP")


def test_crash_takes_every_venue_down_and_changes_nothing_before_it() -> None:
    scenario = Scenario(name="test", crashes=(Crash(after_seconds=20, change=-0.07, seconds=60),))

    crashed = live_of(list(source(scenario=scenario).iterate(90)))
    ordinary = live_of(list(source().iterate(90)))

    begin = next(i for i, e in enumerate(crashed) if isinstance(e, TickEnd) and e.time_ns == START_NS + 20 * SECOND_NS)
    assert crashed[:begin] == ordinary[:begin]
    before, after, without = last_marks(crashed[:begin]), last_marks(crashed), last_marks(ordinary)
    for name, price in before.items():
        assert after[name] < 0.96 * price
        assert without[name] > 0.98 * price
    traded = [sum(e.quantity for e in said_by(run, BYBIT) if isinstance(e, Trade)) for run in (crashed, ordinary)]
    assert traded[0] > 3 * traded[1]


def test_silent_venue_says_nothing_and_then_that_there_was_a_gap() -> None:
    scenario = Scenario(name="test", outages=(Outage(venue="binance", after_seconds=10, seconds=25),))

    silenced = live_of(list(source(scenario=scenario).iterate(60)))
    ordinary = live_of(list(source().iterate(60)))

    begin_ns, end_ns = START_NS + 10 * SECOND_NS, START_NS + 35 * SECOND_NS
    for name in (LEADER, COIN_M):
        heard = said_by(silenced, name)
        gaps = [e for e in heard if isinstance(e, Gap)]
        assert gaps == [Gap(name, begin_ns, end_ns, "the simulated venue was silent")]
        rest = [e for e in heard if not isinstance(e, Gap)]
        missed = [e for e in said_by(ordinary, name) if e not in rest]
        assert all(begin_ns <= e.time_ns < end_ns for e in missed)  # type: ignore[union-attr]
        assert len(missed) > 50
        back = next(i for i, e in enumerate(silenced) if isinstance(e, TickEnd) and e.time_ns == end_ns)
        assert gaps[0] in silenced[back + 1 : back + 3]
    assert said_by(silenced, BYBIT) == said_by(ordinary, BYBIT)


def test_books_of_all_venues_add_up_through_crash_and_outage() -> None:
    scenario = Scenario(
        name="test",
        crashes=(Crash(after_seconds=20, change=-0.05, seconds=60),),
        outages=(Outage(venue="bybit", after_seconds=30, seconds=40),),
    )
    shard = Shard(MANY_BTC, NumpyBackend(), lambda: 0)
    watermarks: dict[str, int] = {}

    for event in source(scenario=scenario).iterate(130):  # the book itself refuses to go on where it does not add up
        shard.accept(event)
        if isinstance(event, TickEnd) and event.time_ns == START_NS + 60 * SECOND_NS:
            watermarks = {c.instrument_id: c.watermark_ns for c in shard.status()[0].coverage}

    assert watermarks[BYBIT] <= START_NS + 30 * SECOND_NS
    assert min(ns for name, ns in watermarks.items() if name != BYBIT) > START_NS + 59 * SECOND_NS
    assert shard.market.counters["gaps"] == 1
    book = shard.book("BTC")
    for instrument in book.instruments:
        account = book.account(instrument.instrument_id)
        for side in (0, 1):
            swept = account.swept[side]
            assert account.live[side] + account.uncovered[side] + swept == account.last_sample
    assert all(coverage.covered_share() > 0.1 for coverage in shard.status()[0].coverage)
    columns = shard.engine("BTC").capture().columns()
    assert columns.lots.sum() == book.cohorts_in_lots().lots.sum()


def test_seed_one_of_many_venues_gives_the_events_it_gives_on_every_machine() -> None:
    """Fails when the simulator is changed: then measurements of before cannot be repeated."""
    both = ("BTC", "ETH")
    simulated = source(symbols=both, instruments=many_venues(both), scenario=find_scenario("crash-outage"))

    text = "\n".join(map(repr, simulated.iterate(240)))

    assert (
        hashlib.sha256(text.encode()).hexdigest() == "700bab51788f9798405af253fab6490a9c9a8fd0b75de9345c8b1ec79b05dd2e"
    )


def test_instrument_of_ones_own_rules_is_simulated_with_ordinary_habits() -> None:
    own = replace(find_instrument(COIN_M), venue="mine", name="BTC-LAST", trigger="last", contract_value=Fraction(1, 2))

    live = live_of(list(source(instruments=(own,)).iterate(30)))

    assert {e.instrument_id for e in live if not isinstance(e, TickEnd)} == {"mine:BTC-LAST"}
    held = [e.quantity for e in live if isinstance(e, OpenInterest)]
    assert len(held) == 6
    assert all(quantity % CONTRACT == 0 for quantity in held)
    # A tenth of the leader's 90,000 BTC, at 0.5 USD a contract.
    assert held[0] / CONTRACT * 0.5 == pytest.approx(9_000 * 95_000, rel=0.5)


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"instruments \['bybit:BTCUSDT', 'bybit:BTCUSDT'\] are repeated"):
        source(instruments=instruments(BYBIT, BYBIT))
    with pytest.raises(ConfigError, match="instrument 'bybit:ETHUSDT' is of ETH, not of BTC"):
        source(instruments=instruments("bybit:ETHUSDT"))
    with pytest.raises(ConfigError, match="symbol 'ETH' has no instrument"):
        source(symbols=("BTC", "ETH"))
    with pytest.raises(ConfigError, match="scenario 'flood' is unknown; use one of usual, crash, outage, crash-outage"):
        find_scenario("flood")


def test_many_venues_are_of_rules_that_differ() -> None:
    for symbol in ("BTC", "ETH"):
        many = many_venues((symbol,))
        assert len(many) == 7
        assert {i.contract for i in many} == {"linear", "inverse"}
        assert {i.max_leverage for i in many} >= {50, 100, 125, 150}
        assert {i.fee_rate for i in many} == {0, Fraction("0.0005"), Fraction("0.0006")}
    assert tuple(i.instrument_id for i in many_venues(("BTC", "ETH"))) == simulated_venues.MANY
