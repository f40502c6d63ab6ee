"""Whatever the seed, the simulator is a market the model can take: ordered, positive, bounded, feasible, repeatable."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liqscape.axes import MINUTE_NS
from liqscape.clock import ManualClock
from liqscape.events import Candle, Event, Liquidation, MarkPrice, OpenInterest, TickEnd, Trade
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.feeds.simulated_market import MAX_OPEN_INTEREST_SHARE
from tests.conftest import IS_FULL

YEAR_MINUTES = 365 * 1440
SEEDS = st.integers(0, 2**63)
STARTS = st.integers(YEAR_MINUTES, 60 * YEAR_MINUTES).map(lambda minute: minute * MINUTE_NS)
SYMBOLS = st.sampled_from([("BTC",), ("ETH",), ("BTC", "ETH"), ("ETH", "BTC")])
DAILY = (PastSpan(YEAR_MINUTES, 1440), PastSpan(1440, 60))
FEW_EXAMPLES = settings(max_examples=100 if IS_FULL else 4)  # each simulates a year by the minute

pytestmark = pytest.mark.slow


def run(seed: int, start_ns: int, symbols: tuple[str, ...], tick_ms: int, ticks: int) -> list[Event]:
    simulated = SimulateSource(
        clock=ManualClock(), seed=seed, start_ns=start_ns, symbols=symbols, tick_ms=tick_ms, past=DAILY
    )
    return list(simulated.iterate(ticks))


@FEW_EXAMPLES
@given(seed=SEEDS, start_ns=STARTS, symbols=SYMBOLS, tick_ms=st.sampled_from([10, 250, 1000, 7000, 60_000]))
def test_any_simulation_is_ordered_positive_and_repeatable(
    seed: int, start_ns: int, symbols: tuple[str, ...], tick_ms: int
) -> None:
    events = run(seed, start_ns, symbols, tick_ms, 200)

    ends = [e for e in events if isinstance(e, TickEnd)]
    assert [e.time_ns for e in ends] == sorted({e.time_ns for e in ends})
    assert ends[0].time_ns == start_ns - YEAR_MINUTES * MINUTE_NS
    assert ends[-1] == TickEnd(start_ns + 200 * tick_ms * 1_000_000)
    assert sum(not e.render for e in ends) == 1 + 364 + 24
    known_ns = 0
    for event in events:
        now_ns = event.close_time_ns if isinstance(event, Candle) else getattr(event, "time_ns", 0)
        assert now_ns >= known_ns
        known_ns = now_ns
        if isinstance(event, Candle):
            assert 0 < event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high
            assert 0 < (event.taker_buy_quantity or 0) < event.quantity
        elif isinstance(event, Trade | MarkPrice | Liquidation):
            assert event.price > 0
    assert run(seed, start_ns, symbols, tick_ms, 200) == events


@FEW_EXAMPLES
@given(seed=SEEDS, start_ns=STARTS)
def test_any_year_keeps_its_price_within_a_factor_and_its_open_interest_feasible(seed: int, start_ns: int) -> None:
    events = run(seed, start_ns, ("BTC", "ETH"), 1000, 300)

    for name in ("binance:BTCUSDT", "binance:ETHUSDT"):
        candles = [e for e in events if isinstance(e, Candle) and e.instrument_id == name]
        assert max(c.high for c in candles) < 2.3 * min(c.low for c in candles)
        assert any(two.close < one.close for one, two in pairwise(candles))
        assert any(two.close > one.close for one, two in pairwise(candles))
        traded, last = 0, None
        for event in events:
            if isinstance(event, Candle | Trade) and event.instrument_id == name:
                traded += event.quantity
            elif isinstance(event, OpenInterest) and event.instrument_id == name:
                assert event.quantity > 0
                if last is not None:
                    # one step more: samples are floored to the venue's quantity step
                    assert abs(event.quantity - last) <= MAX_OPEN_INTEREST_SHARE * traded + 100_000
                traded, last = 0, event.quantity
