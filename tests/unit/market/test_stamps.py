"""Time and order: what is late, said again, disordered or stamped by a clock that leapt, and ticks that would go back.

Seen to fail when broken on purpose, one at a time: in stamps.py a limit of ten minutes for what is late, a leap never
believed, a repeated sample taken, stamps ahead believed; in bar_builder.py the close taken from an older price, the
first minute of a bar that of a gap's begin; in state.py the clock of the last tick taken for its end while it is held,
or left out of a snapshot.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from liqscape.errors import ModelError
from liqscape.events import Correction, Event, Funding, Gap, TickEnd
from liqscape.market.closed_tick import ClosedTick
from liqscape.market.state import MarketState
from liqscape.market.tick_codec import decode_tick, encode_tick
from tests.unit.synthetic_market import BTC, at, candle, mark, open_interest, trade

MINUTE = 1000
HOUR_S = 3600.0


class Ticks:
    """A market, and its twin that follows it by bytes alone; each tick is heard by one made anew of a snapshot."""

    def __init__(self) -> None:
        self.market = MarketState([BTC])
        self.second = 0.0
        self.tick(mark(at(MINUTE), 908_000))

    def tick(self, *events: Event, seconds: float = 1.0) -> ClosedTick:
        """Take events and end the tick so many seconds after the one before by the clock, which may go back."""
        twin = MarketState([BTC])
        twin.restore(self.market.snapshot())
        for event in events:
            self.market.apply(event)
        self.second += seconds
        closed = self.market.close(TickEnd(at(MINUTE, self.second)))
        twin.follow(decode_tick(encode_tick(closed)))
        assert twin.snapshot() == self.market.snapshot()
        self.market = MarketState([BTC])
        self.market.restore(twin.snapshot())
        return closed

    def counted(self, name: str) -> int:
        """Return a counter."""
        return self.market.counters[name]


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


def low_of(closed: ClosedTick) -> int | None:
    (bar,) = closed.bars
    return None if bar.trigger is None else bar.trigger.low


def test_price_of_more_than_a_minute_ago_does_not_sweep_and_is_counted(ticks: Ticks) -> None:
    ticks.tick(seconds=120)
    now = ticks.second

    closed = ticks.tick(mark(at(MINUTE, now - 61), 700_000), trade(at(MINUTE, now - 61), 700_000, "5"))

    assert closed.bars == ()
    assert (ticks.counted("late_events"), ticks.counted("rejected_events")) == (2, 2)
    assert ticks.market.rejected_events(BTC.instrument_id) == 2
    assert low_of(ticks.tick(mark(at(MINUTE, now - 58), 900_000))) == 900_000


def test_older_price_of_a_tick_widens_its_range_and_is_not_its_close(ticks: Ticks) -> None:
    closed = ticks.tick(mark(at(MINUTE, 1.5), 909_000), mark(at(MINUTE, 1.5), 908_500), mark(at(MINUTE, 1.2), 905_000))

    (bar,) = closed.bars
    assert bar.trigger is not None
    assert (bar.trigger.high, bar.trigger.low, bar.trigger.close) == (909_000, 905_000, 908_500)
    assert ticks.counted("disordered_events") == 1


def test_trades_out_of_order_all_count(ticks: Ticks) -> None:
    closed = ticks.tick(trade(at(MINUTE, 1.5), 908_000, "1"), trade(at(MINUTE, 1.1), 908_000, "2"))

    assert closed.bars[0].traded is not None
    assert closed.bars[0].traded.total == 300_000
    assert ticks.counted("disordered_events") == 1


def test_sample_said_again_or_overtaken_is_left_out(ticks: Ticks) -> None:
    first = ticks.tick(open_interest(at(MINUTE, 1.5), "7"))
    again = ticks.tick(open_interest(at(MINUTE, 1.5), "7"), mark(at(MINUTE, 2.5), 908_000))
    overtaken = ticks.tick(open_interest(at(MINUTE, 1.4), "5"), mark(at(MINUTE, 3.5), 908_000))

    assert [closed.bars[0].open_interest_lots for closed in (first, again, overtaken)] == [700_000, None, None]
    assert (ticks.counted("repeated_events"), ticks.counted("late_events")) == (1, 1)


def test_candle_said_again_is_left_out(ticks: Ticks) -> None:
    prices = (908_000, 909_000, 907_000, 908_000)
    ticks.tick(candle(MINUTE, MINUTE + 1, prices, "3"), seconds=60)

    closed = ticks.tick(candle(MINUTE, MINUTE + 1, prices, "3"), candle(MINUTE + 1, MINUTE + 2, prices, "4"))

    assert closed.bars[0].traded is not None
    assert closed.bars[0].traded.total == 400_000
    assert ticks.counted("repeated_events") == 1


def test_venue_that_sets_its_clock_back_is_believed_after_a_minute(ticks: Ticks) -> None:
    ticks.tick(open_interest(at(MINUTE, 1.5), "7"))
    taken = []
    for _ in range(80):
        then = at(MINUTE, ticks.second - HOUR_S)
        closed = ticks.tick(mark(then, 900_000), open_interest(then + 1, "6"))
        taken.append((low_of(closed), closed.bars[0].open_interest_lots) if closed.bars else None)

    assert taken[:60] == [None] * 60
    assert taken[61:] == [(900_000, 600_000)] * 19
    assert ticks.counted("leapt_events") >= 19
    ticks.tick(mark(at(MINUTE, ticks.second), 908_000))
    assert ticks.tick(mark(at(MINUTE, ticks.second - HOUR_S), 700_000)).bars == ()


def test_trade_in_time_ends_the_wait_of_a_venue_for_its_late_trades_to_be_believed() -> None:
    market = MarketState([BTC])
    for second in range(70):
        if second in (0, 40):
            market.apply(trade(at(MINUTE, second), 908_000))
        else:
            market.apply(trade(at(MINUTE, second - HOUR_S), 700_000))
        market.close(TickEnd(at(MINUTE, second + 1)))

    assert (market.counters["late_events"], market.counters["leapt_events"]) == (68, 0)


def test_stamp_that_leaps_ahead_is_not_believed_and_what_follows_is_in_order(ticks: Ticks) -> None:
    ahead = at(MINUTE, HOUR_S)
    closed = ticks.tick(mark(ahead, 909_000), open_interest(ahead, "7"))

    assert closed.bars[0].watermark_ns == closed.end_ns
    assert ticks.counted("stamps_ahead") == 1
    after = ticks.tick(
        mark(at(MINUTE, ticks.second + 0.5), 908_000), open_interest(at(MINUTE, ticks.second + 0.5), "6")
    )
    assert (low_of(after), after.bars[0].open_interest_lots) == (908_000, 600_000)
    assert (ticks.counted("late_events"), ticks.counted("stamps_ahead")) == (0, 1)


def test_rate_of_an_interval_to_come_is_no_stamp(ticks: Ticks) -> None:
    ticks.tick(Funding(BTC.instrument_id, at(MINUTE, 8 * HOUR_S), 100, 8))

    assert ticks.counted("stamps_ahead") == 0


def test_time_stands_still_while_the_clock_is_behind_and_prices_still_count(ticks: Ticks) -> None:
    before = ticks.tick(seconds=2 * HOUR_S)
    held = [
        ticks.tick(mark(at(MINUTE, 100 + second), 900_000 + second), seconds=1 - 2 * HOUR_S * (second == 0))
        for second in range(3)
    ]

    assert [closed.end_ns - before.end_ns for closed in held] == [1, 2, 3]
    assert {bar.minute for closed in held for bar in closed.bars} == {before.end_ns // (60 * 10**9)}
    # The first may still be taken for late: what the clock says now is known with the end of a tick.
    assert [low_of(closed) for closed in held[1:] if closed.bars] == [900_001, 900_002]
    assert ticks.counted("held_ticks") == 3
    assert ticks.tick(seconds=3 * HOUR_S).held_ns == 0
    assert ticks.counted("held_ticks") == 3


def test_tick_of_a_journal_that_goes_back_is_refused(ticks: Ticks) -> None:
    closed = ticks.tick()

    with pytest.raises(ModelError, match="is not after the one before"):
        ticks.market.follow(replace(closed, end_ns=closed.end_ns - 1))


def test_bar_behind_a_hole_does_not_cover_it(ticks: Ticks) -> None:
    begin, end = at(MINUTE, ticks.second), at(MINUTE, 5 * HOUR_S)

    gap = Gap(BTC.instrument_id, begin, end, "asleep")
    closed = ticks.tick(mark(end, 908_000), gap, seconds=5 * HOUR_S)

    assert (closed.bars[0].first_minute, closed.bars[0].minute) == (MINUTE + 300, MINUTE + 300)


def test_correction_of_the_newest_sample_is_a_sample_now(ticks: Ticks) -> None:
    wrong = ticks.tick(open_interest(at(MINUTE, 1.5), "70"))
    right = Correction(BTC.instrument_id, at(MINUTE, 2.5), at(MINUTE, 1.5), at(MINUTE, 1.5), 7 * 10**8, "a typo")

    closed = ticks.tick(right)

    assert (wrong.bars[0].open_interest_lots, closed.bars[0].open_interest_lots) == (7_000_000, 700_000)
    assert closed.corrections == decode_tick(encode_tick(closed)).corrections == (right,)
    assert (ticks.counted("corrections"), ticks.counted("gaps")) == (1, 0)
    assert ticks.tick(open_interest(at(MINUTE, 1.5), "70")).bars == ()


def test_correction_of_an_overtaken_sample_or_of_prices_changes_no_position(ticks: Ticks) -> None:
    ticks.tick(open_interest(at(MINUTE, 1.5), "70"), open_interest(at(MINUTE, 1.8), "8"))
    overtaken = Correction(BTC.instrument_id, at(MINUTE, 2.5), at(MINUTE, 1.5), at(MINUTE, 1.5), 7 * 10**8, "a typo")
    prices = replace(overtaken, quantity=None, to_ns=at(MINUTE, 1.9))

    closed = ticks.tick(overtaken, prices)

    (bar,) = closed.bars
    assert (bar.trigger, bar.traded, bar.open_interest_lots) == (None, None, None)
    assert closed.corrections == (overtaken, prices)
    assert (ticks.counted("corrections"), ticks.counted("gaps")) == (2, 1)
