"""I5: for any whole minute of the last 24 hours a grid asked for later is the one that was served when it ended.

An engine runs for more than a day over several venues, with a crash and column rolls on the way, and is asked through
the call that answers GetGrid. What it says later must be what it said then: the exact cells, the rows of then, and the
levels it had streamed. `make prove` compares 1,000 random pairs of a minute and a timeframe, `make test` a tenth.

Seen to fail when broken on purpose, one at a time:
- queries.py, _minute: the minute asked for less one, or plus one; plan_grid: `entry.from_minute < minute`, or the axes
  of now;
- age_tiers.py, boundaries: the boundary of the 24h tier or of the 3d tier newer by a bin of the next; `earliest_asked`
  the present;
- compaction_plan.py, plan_compaction: `until` a minute later; tiers_from: limits a day older; numpy_tiers.py, compact:
  tiers refilled by limits an hour newer than those it tells;
- numpy_backend.py, project: the minute after the one asked for included;
- rolls.py, take: one roll a tick in the second half of a minute as well;
- engine.py, _answer: the newest column of now; grid/engine.py, _prepare_channel: axes forgotten after an hour.
"""

from __future__ import annotations

import pytest

from liqscape.feeds.simulate import PastSpan
from liqscape.feeds.simulated_venues import Crash, Scenario, find_scenario
from liqscape.grid import event_log
from liqscape.instruments import find_instrument
from tests.conftest import IS_FULL
from tests.property.live_market import Market, Segment
from tests.property.live_run import Plan, PlannedMerges, run

DAY = 1440
CRASH, OUTAGES = find_scenario("crash"), find_scenario("crash-outage")
DEEP_CRASH = Scenario(name="deep crash", crashes=(Crash(after_seconds=30, change=-0.25, seconds=240),))
"""Rows move for good."""

SMALL = Market(
    instruments=tuple(map(find_instrument, ("binance:BTCUSDT", "binance:BTCUSD_PERP"))),
    past=(PastSpan(60 * DAY, DAY), PastSpan(2 * DAY, 60)),
    segments=(
        Segment(5, 2500, CRASH),
        Segment(DAY - 100, 60_000, seed=2, quiet_ticks=20),
        Segment(120, 60_000, DEEP_CRASH, seed=3, quiet_ticks=1),
    ),
)
FULL = Market(
    instruments=tuple(
        map(
            find_instrument,
            (
                "binance:BTCUSDT",
                "binance:BTCUSD_PERP",
                "bybit:BTCUSDT",
                "okx:BTC-USDT-SWAP",
                "binance:ETHUSDT",
                "deribit:ETH-PERPETUAL",
            ),
        )
    ),
    past=(
        PastSpan(365 * DAY, 360),
        PastSpan(40 * DAY, 120),
        PastSpan(8 * DAY, 30),
        PastSpan(3 * DAY, 10),
        PastSpan(1 * DAY, 5),
    ),
    segments=(
        Segment(30, 1000, CRASH),
        Segment(DAY // 2, 60_000, seed=2, quiet_ticks=1),
        Segment(8, 250, OUTAGES, seed=3),
        Segment(DAY // 2, 60_000, seed=4, quiet_ticks=1),
        Segment(10, 1000, CRASH, seed=5),
        Segment(120, 60_000, DEEP_CRASH, seed=6, quiet_ticks=5),
    ),
)


@pytest.mark.slow
def test_grid_asked_for_later_is_the_one_that_was_served(monkeypatch: pytest.MonkeyPatch) -> None:
    market = FULL if IS_FULL else SMALL
    plan = (
        Plan.random(market, minutes=200, pairs=1100, tight=12, seed=1)
        if IS_FULL
        else Plan.random(market, minutes=14, pairs=100, tight=2, seed=1)
    )
    merges = PlannedMerges(plan.merged)
    monkeypatch.setattr("liqscape.engine.BackgroundWork", lambda: merges)
    monkeypatch.setattr(event_log, "COMPACT_EVERY_MINUTES", 1)
    monkeypatch.setattr(event_log, "COMPACT_MIN_EVENTS", 1)

    source = run(market, plan, limit_s=2700 if IS_FULL else 100)

    assert source.differences == []
    assert source.compared == (1100 if IS_FULL else 100)
    # The run says something only if all of this happened in it.
    assert min(merges.counters["on_time"], merges.counters["late"]) > 0
    assert source.oldest_asked >= 9
    assert source.ticks_behind > 0
    assert max(source.generations.values()) > 1
