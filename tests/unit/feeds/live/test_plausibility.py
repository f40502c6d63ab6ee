"""What is believed of a venue and what is not, by its own past and the other venues.

Seen to fail when broken on purpose, one at a time: each reason to throw away left out; a
range that moves without the others; release without PROBATION_NS; fail without FAILED_PERCENT; late as a failure;
the short way past the end of the window of failures.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from liqscape.events import Event, Funding, Liquidation, MarkPrice, OpenInterest, PositionSide, TakerSide, Trade
from liqscape.feeds.live.plausibility import (
    BACKWARDS_NS,
    CONFIRMATIONS,
    CROSSED_IN_A_ROW,
    FAILURES,
    FAILURES_NS,
    FRESH_NS,
    FUTURE_NS,
    JUMP_CONFIRMATIONS,
    LATE_NS,
    PROBATION_EVENTS,
    PROBATION_NS,
    SECOND_NS,
    SUPERSEDED,
    InstrumentCheck,
    PriceBoard,
)
from liqscape.instruments import find_instrument

BTC = find_instrument("binance:BTCUSDT")
NAME = BTC.instrument_id
T0 = 1_795_219_200 * SECOND_NS
COIN = 10**8
PRICE = 650_000


def check(board: PriceBoard | None = None) -> InstrumentCheck:
    """Return a check that has believed one trade at T0."""
    made = InstrumentCheck(BTC, board or PriceBoard())
    assert made.judge(trade(), T0, 0) is None
    return made


def trade(price: int = PRICE, at_ns: int = T0, quantity: int = COIN) -> Trade:
    return Trade(NAME, at_ns, price, quantity, TakerSide.BUY)


def sample(quantity: int, at_ns: int = T0) -> OpenInterest:
    return OpenInterest(NAME, at_ns, quantity)


def others_at(price: int, *, at_ns: int = T0, count: int = 2) -> PriceBoard:
    board = PriceBoard()
    for number in range(count):
        board.show(replace(BTC, venue=f"other{number}"), price, at_ns)
    return board


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (trade(price=0), "price is not positive"),
        (trade(price=-5), "price is not positive"),
        (trade(quantity=0), "quantity is not positive"),
        (trade(quantity=1 << 63), "quantity is not positive"),
        (sample(-1), "open interest is negative or absurd"),
        (Funding(NAME, T0, 200_000_000, 8), "funding rate is absurd"),
        (trade(at_ns=T0 + FUTURE_NS + 1), "from the future"),
        (sample(COIN, T0 + FUTURE_NS + 1), "from the future"),
        (trade(at_ns=T0 - LATE_NS - 1), "late"),
        (trade(at_ns=T0 - BACKWARDS_NS - 1), "time goes backwards"),
        (trade(price=PRICE * 2), "price is far from its range"),
        (trade(price=PRICE // 2), "price is far from its range"),
        (Liquidation(NAME, T0, PRICE * 3, COIN, PositionSide.LONG), "price is far from its range"),
        (Liquidation(NAME, T0, PRICE, 0, PositionSide.LONG), "quantity is not positive"),
    ],
)
def test_what_cannot_be_is_thrown_away(event: Event, reason: str) -> None:
    assert check().judge(event, T0, 0) == reason


@pytest.mark.parametrize(
    "event",
    [
        trade(price=PRICE * 109 // 100),
        trade(at_ns=T0 + FUTURE_NS),
        trade(at_ns=T0 - BACKWARDS_NS),
        Liquidation(NAME, T0, PRICE * 93 // 100, COIN, PositionSide.LONG),
        Funding(NAME, T0 + 8 * 3600 * SECOND_NS, -3_000_000, 8),
        sample(0),
    ],
)
def test_what_may_be_is_believed(event: Event) -> None:
    assert check().judge(event, T0, 0) is None


@pytest.mark.parametrize("make", [lambda at_ns: MarkPrice(NAME, at_ns, PRICE), lambda at_ns: sample(COIN, at_ns)])
def test_what_comes_after_a_newer_one_is_superseded_without_being_a_failure(make: Callable[[int], Event]) -> None:
    made = check()
    assert made.judge(make(T0), T0, 0) is None

    assert {made.judge(make(T0 - 1), T0, 0) for _ in range(10 * FAILURES)} == {SUPERSEDED}
    assert made.quarantined_since_ns is None
    assert made.judge(make(T0), T0, 0) is None
    assert made.judge(make(T0 - BACKWARDS_NS - 1), T0, 0) == "time goes backwards"


def test_a_liquidation_without_a_price_is_thrown_away_even_before_any_other() -> None:
    made = InstrumentCheck(BTC, PriceBoard())

    assert made.judge(Liquidation(NAME, T0, 0, COIN, PositionSide.LONG), T0, 0) == "price is not positive"


def test_a_venue_whose_clock_is_ahead_is_read_by_its_own_clock() -> None:
    ahead = trade(at_ns=T0 + 20 * SECOND_NS)

    assert check().judge(ahead, T0, -16 * SECOND_NS) is None
    assert check().judge(ahead, T0, -14 * SECOND_NS) == "from the future"


def test_a_crash_is_believed_when_another_venue_has_it_too() -> None:
    crashed = PRICE * 80 // 100
    with_another, alone = PriceBoard(), PriceBoard()
    fallen, unmoved = check(with_another), check(alone)
    with_another.show(replace(BTC, venue="other"), crashed, T0)
    alone.show(replace(BTC, venue="other"), PRICE, T0)

    assert fallen.judge(trade(price=crashed), T0 + 1, 0) is None
    assert unmoved.judge(trade(price=crashed), T0 + 1, 0) == "price is far from its range"


def test_two_venues_that_fall_at_once_confirm_each_other() -> None:
    board = PriceBoard()
    crashed = PRICE * 80 // 100
    first = check(board)
    second = InstrumentCheck(replace(BTC, venue="other"), board)
    second.judge(trade(), T0, 0)

    assert first.judge(trade(price=crashed), T0 + 1, 0) == "price is far from its range"
    assert second.judge(trade(price=crashed), T0 + 1, 0) is None
    assert first.judge(trade(price=crashed), T0 + 2, 0) is None


def test_a_price_far_from_all_others_is_thrown_away_even_as_the_first_one() -> None:
    made = InstrumentCheck(BTC, others_at(PRICE))

    assert made.judge(trade(price=PRICE * 10), T0, 0) == "price is far from other venues"


def test_one_venue_that_is_wrong_proves_no_other_wrong() -> None:
    board = others_at(PRICE * 10, count=1)
    alone = InstrumentCheck(BTC, board)
    board.show(replace(BTC, venue="third"), PRICE, T0)

    assert alone.judge(trade(), T0, 0) is None
    assert InstrumentCheck(BTC, board).judge(trade(), T0, 0) is None


def test_prices_of_other_venues_that_are_old_decide_nothing() -> None:
    made = InstrumentCheck(BTC, others_at(PRICE, at_ns=T0 - FRESH_NS - 1))

    assert made.judge(trade(price=PRICE * 10), T0, 0) is None


def test_a_venue_alone_confirms_its_own_move_by_many_prices_over_some_time() -> None:
    made = check()
    moved = PRICE * 80 // 100

    reasons = [
        made.judge(trade(price=moved, at_ns=T0 + n * SECOND_NS), T0 + n * SECOND_NS, 0) for n in range(CONFIRMATIONS)
    ]

    assert reasons[:-1] == ["price is far from its range"] * (CONFIRMATIONS - 1)
    assert reasons[-1] is None


def test_open_interest_in_other_units_is_never_believed() -> None:
    made = check()
    made.judge(sample(500 * COIN), T0, 0)

    reasons = {made.judge(sample(quantity), T0, 0) for quantity in (5_000 * COIN, 50 * COIN, 510_000 * COIN)}

    assert reasons == {"crossed units"}
    assert made.open_interest == 500 * COIN


def test_open_interest_that_halves_is_believed_once_many_samples_say_so() -> None:
    made = check()
    made.judge(sample(500 * COIN), T0, 0)

    reasons = [made.judge(sample(200 * COIN + n), T0 + n, 0) for n in range(JUMP_CONFIRMATIONS)]

    assert reasons == ["open interest jumps"] * (JUMP_CONFIRMATIONS - 1) + [None]


def test_a_trade_larger_than_open_interest_is_thrown_away() -> None:
    made = check()
    made.judge(sample(500 * COIN), T0, 0)

    assert made.judge(trade(quantity=501 * COIN), T0, 0) == "trade exceeds open interest"


def test_crossed_units_quarantine_from_the_last_good_sample_on() -> None:
    made = check()
    made.judge(sample(500 * COIN), T0 + 7, 0)

    for _ in range(CROSSED_IN_A_ROW):
        assert made.quarantined_since_ns is None
        made.judge(sample(5_000 * COIN, T0 + 8), T0 + SECOND_NS, 0)

    assert made.quarantined_since_ns == T0 + 7


def test_a_few_failures_among_many_events_do_not_quarantine_and_many_do() -> None:
    made = check()
    for _ in range(FAILURES * 5):
        made.judge(trade(), T0, 0)
    for _ in range(FAILURES + 5):
        made.judge(trade(price=-1), T0, 0)
    assert made.quarantined_since_ns is None

    for _ in range(FAILURES):
        made.fail("malformed", T0)

    assert made.quarantined_since_ns == T0


def test_failures_are_held_against_what_was_heard_in_the_same_minute() -> None:
    made = check()
    for _ in range(FAILURES * 5):
        made.judge(trade(), T0, 0)
    later_ns = T0 + FAILURES_NS
    made.judge(trade(at_ns=later_ns), later_ns, 0)

    for _ in range(FAILURES):
        made.fail("malformed", later_ns)

    assert made.quarantined_since_ns == later_ns


def test_old_trades_told_again_are_thrown_away_without_being_failures() -> None:
    made = check()

    reasons = {made.judge(trade(at_ns=T0 - LATE_NS - n), T0, 0) for n in range(1, 10 * FAILURES)}

    assert reasons == {"late"}
    assert made.quarantined_since_ns is None


def test_quarantine_ends_after_a_time_without_a_failure_in_which_something_was_heard() -> None:
    made = check()
    for _ in range(FAILURES):
        made.fail("malformed", T0)
    made.fail("malformed", T0 + SECOND_NS)
    for _ in range(PROBATION_EVENTS - 1):
        made.judge(trade(), T0 + 2 * SECOND_NS, 0)

    assert not made.release(T0 + SECOND_NS + PROBATION_NS)
    made.judge(trade(), T0 + 3 * SECOND_NS, 0)
    assert not made.release(T0 + SECOND_NS + PROBATION_NS - 1)
    assert made.release(T0 + SECOND_NS + PROBATION_NS)
    assert made.quarantined_since_ns is None


def test_an_instrument_that_the_venue_itself_calls_another_one_stays_in_quarantine() -> None:
    made = check()
    made.distrust("its contract is another", T0)
    for _ in range(PROBATION_EVENTS):
        made.judge(trade(), T0, 0)

    assert not made.release(T0 + 100 * PROBATION_NS)


def known(check: InstrumentCheck) -> tuple[int, ...]:
    """Return the range of prices that is believed, until when, and how many failures there are in which window."""
    prices, counts = check._range, (check._accepted, check._failed, check._window_until_ns)
    return counts if prices is None else (prices.least, prices.most, prices.low, prices.high, prices.until_ns, *counts)


@pytest.mark.parametrize("seed", range(20))
def test_the_short_way_of_usual_trades_and_marks_decides_as_the_long_one_does(seed: int) -> None:
    draw = random.Random(seed)
    board, other_board = PriceBoard(), PriceBoard()
    short, long = InstrumentCheck(BTC, board), InstrumentCheck(BTC, other_board)
    long._is_usual = lambda said, receive_ns: False  # type: ignore[method-assign]
    now_ns, price = T0, float(PRICE)

    for _ in range(2_000):
        now_ns += draw.choice((0, 1_000, SECOND_NS // 3, SECOND_NS * 40))
        price *= 1.0 + draw.gauss(0.0, 0.001)
        said = price * draw.choice((1.0,) * 30 + (1.15, 0.5, 0.0, -1.0))
        at_ns = now_ns - draw.choice((0, 0, 0, SECOND_NS, 11 * SECOND_NS, LATE_NS + SECOND_NS, -6 * SECOND_NS))
        event: Event = trade(round(said), at_ns, draw.choice((COIN, COIN, 0, 10**6 * COIN)))
        if draw.random() < 0.3:
            event = MarkPrice(NAME, at_ns, round(said))
        elif draw.random() < 0.07:
            event = sample(draw.choice((500, 501, 5_000)) * COIN, now_ns)
        if draw.random() < 0.02:
            for each in (board, other_board):
                each.show(replace(BTC, venue="other0"), round(price), now_ns)
        if draw.random() < 0.01:
            away = round(price * draw.choice((1.0, 1.5)))
            for each in (board, other_board):
                for name in ("other1", "other2"):
                    each.show(replace(BTC, venue=name), away, now_ns)

        assert short.judge(event, now_ns, 0) == long.judge(event, now_ns, 0)
        assert (short.price, short.quarantined_since_ns) == (long.price, long.quarantined_since_ns)
        assert known(short) == known(long)


def test_the_first_usual_trade_after_the_window_of_failures_begins_a_new_one() -> None:
    made = check()
    for at_ns in (T0 + FAILURES_NS - SECOND_NS // 2, T0 + FAILURES_NS + SECOND_NS // 4):
        assert made.judge(trade(at_ns=at_ns), at_ns, 0) is None

    assert (made._accepted, made._window_until_ns) == (1, T0 + FAILURES_NS + SECOND_NS // 4 + FAILURES_NS)
