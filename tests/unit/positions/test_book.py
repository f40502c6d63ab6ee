"""The book end to end: the worked example, the order of a bar, and who closes."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.axes import WEIGHT_ONE, RowRange, timeframe
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.errors import ModelError
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.market.bars import Bar
from liqscape.market.state import MarketState
from liqscape.positions.book import BookStep, Cause, PositionBook
from liqscape.positions.mix import SHARE_ONE
from liqscape.positions.weights import make_key
from tests.unit.synthetic_market import (
    BTC,
    BTC_SCALE,
    EXAMPLE_MINUTE,
    as_tuples,
    at,
    candle,
    make_bar,
    make_batch,
    make_instrument,
    mark,
    open_interest,
)

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
MINUTE = 29_430_000
MIX_WITH_13_PERCENT_AT_10X = (100_000, 100_000, 130_000, 150_000, 150_000, 150_000, 100_000, 70_000, 50_000)
OTHER = make_instrument("BTCUSDC")


def only(leverage: int) -> tuple[int, ...]:
    """Return the mix that opens one tier."""
    return tuple(SHARE_ONE if tier == leverage else 0 for tier in LEVERAGE_TIERS)


def key_of(leverage: int, side: PositionSide, number: int = 0) -> int:
    return make_key(number, LEVERAGE_TIERS.index(leverage), side)


def make_book(mix: tuple[int, ...] | None = None) -> PositionBook:
    mixes = None if mix is None else {BTC.instrument_id: mix}
    return PositionBook("BTC", [BTC], BTC_SCALE, NumpyBackend(), mixes)


def book_with(mix: tuple[int, ...], *bars: Bar) -> PositionBook:
    book = make_book(mix)
    for bar in bars:
        book.apply([bar])
    return book


def lots_of(step: BookStep, cause: Cause) -> int:
    return sum(int(batch.cohorts.lots.sum()) for batch in step.events if batch.cause is cause)


def test_worked_example_end_to_end() -> None:
    market, book = MarketState([BTC]), make_book(MIX_WITH_13_PERCENT_AT_10X)
    market.apply(mark(at(EXAMPLE_MINUTE, -1), 908_000))  # the scale of the example: 20 USD rows
    market.apply(open_interest(at(EXAMPLE_MINUTE), "88060.900"))
    book.apply(market.close_tick(at(EXAMPLE_MINUTE)))
    market.apply(candle(EXAMPLE_MINUTE, EXAMPLE_MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "2241.182"))
    market.apply(open_interest(at(EXAMPLE_MINUTE + 5), "88351.808"))
    bars = market.close_tick(at(EXAMPLE_MINUTE + 5))

    step = book.apply(bars)

    (opened,) = step.events
    assert market.scale("BTC") == BTC_SCALE
    assert (opened.minute, opened.cause, opened.sign) == (29_430_154, Cause.OPENED, 1)
    sides = opened.cohorts.key & 1
    assert [int(opened.cohorts.lots[sides == side].sum()) for side in PositionSide] == [81_780_860, 81_780_860]
    # Closes are 526.90060 BTC a side and all come from what was open before anything was seen.
    assert [(s.side, s.live_lots, s.uncovered_lots, s.open_interest_lots) for s in step.samples] == [
        (side, 81_780_860, 8_806_090_000 - 52_690_060, 8_835_180_800) for side in PositionSide
    ]
    lots = {(row, key): count for _, row, key, count in as_tuples(opened.cohorts)}
    # 13 % of 81,780,860 is 10,631,511.8; the rows take it by cumulative floors of what was traded in each.
    ten_times_long = 10_631_512
    traded = [224_118_200 * (i + 1) // 19 - 224_118_200 * i // 19 for i in range(19)]
    until, after = sum(traded[:9]), sum(traded[:10])  # entry row 4459 is the tenth
    wanted = ten_times_long * after // 224_118_200 - ten_times_long * until // 224_118_200
    assert wanted in (559_553, 559_554)
    assert lots[4029, key_of(10, LONG)] == wanted
    assert (4885, key_of(10, SHORT)) in lots
    assert (4387, key_of(50, LONG)) in lots


def test_worked_example_in_the_grid_of_24_hours_is_level_85() -> None:
    backend, frame, rows = NumpyBackend(), timeframe("24h"), RowRange(2000, 30, 2)
    ledger = backend.ledger()
    ledger.append(29_430_154, make_batch((29_430_154, 4029, key_of(10, LONG), 559_553)), 1, Cause.OPENED)

    grid = backend.project(ledger.capture(), frame, 29_430_154, rows, np.full(32, WEIGHT_ONE, np.uint16))
    levels = levels_of(grid, np.array(BTC_SCALE.usd_per_weighted_lot(rows)))

    assert frame.column_of(29_430_154) == 14_715_077
    assert grid[-1, 2014 - 2000] == 559_553 * WEIGHT_ONE == grid.sum()
    assert levels[-1, 2014 - 2000] == 85


def test_first_sample_opens_nothing() -> None:
    step = make_book().apply([make_bar(MINUTE, (4450, 4460), lots=1000, sample=500)])

    assert step.events == ()
    assert [(s.side, s.live_lots, s.uncovered_lots) for s in step.samples] == [(LONG, 0, 500), (SHORT, 0, 500)]


def test_bar_without_a_sample_gathers_its_trades_for_the_next_one() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=1000),
        make_bar(MINUTE + 1, (4460, 4460), lots=100),
        make_bar(MINUTE + 2, (4470, 4470), lots=100),
    )

    step = book.apply([make_bar(MINUTE + 3, sample=1000)])

    (opened,) = [batch for batch in step.events if batch.cause is Cause.OPENED]
    assert opened.minute == MINUTE + 3
    assert lots_of(step, Cause.OPENED) == 120
    assert sorted({row for _, row, key, _ in as_tuples(opened.cohorts) if key & 1 == LONG}) == [4030, 4039]


def test_cohort_is_not_tested_against_the_bar_that_opened_it() -> None:
    # A 125x position liquidates 0.4 % from its entry, 18 rows; this bar is 200 rows high.
    book = book_with(only(125), make_bar(MINUTE, (4500, 4700), sample=0))
    wide = make_bar(MINUTE + 1, (4500, 4700), lots=10_000, sample=5000)

    step = book.apply([wide])
    again = book.apply([make_bar(MINUTE + 2, (4500, 4700))])

    assert [batch.cause for batch in step.events] == [Cause.OPENED]
    assert lots_of(step, Cause.OPENED) == 10_000
    assert [batch.cause for batch in again.events] == [Cause.SWEPT]
    assert 8000 < lots_of(again, Cause.SWEPT) < 10_000


def test_order_is_sweep_then_close_then_open() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=500),
        make_bar(MINUTE + 2, (4600, 4600), lots=1000, sample=1000),
    )

    # Falls through both longs; what opens in this bar liquidates below it.
    step = book.apply([make_bar(MINUTE + 3, (4030, 4030), lots=1000, sample=900)])

    assert [batch.cause for batch in step.events] == [Cause.SWEPT, Cause.CLOSED, Cause.OPENED]
    assert [batch.sign for batch in step.events] == [-1, -1, 1]
    swept, closed, opened = (batch.cohorts for batch in step.events)
    assert {row for _, row, _, _ in as_tuples(swept)} == {4030, 4157}
    assert {minute for minute, *_ in as_tuples(closed)} <= {MINUTE + 1, MINUTE + 2}
    assert {minute for minute, *_ in as_tuples(opened)} == {MINUTE + 3}
    # What was swept cannot be closed again: only shorts are left to close.
    assert {key & 1 for _, _, key, _ in as_tuples(closed)} == {SHORT}


@pytest.mark.parametrize(("low", "swept"), [(4031, False), (4030, True), (4029, True)])
def test_long_ends_when_the_low_reaches_its_row(low: int, swept: bool) -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=500),
    )

    step = book.apply([make_bar(MINUTE + 2, (low, 4460))])

    assert bool(step.events) is swept
    assert {key & 1 for batch in step.events for _, _, key, _ in as_tuples(batch.cohorts)} <= {LONG}


@pytest.mark.parametrize(("high", "swept"), [(4886, False), (4887, True), (5000, True)])
def test_short_ends_when_the_high_reaches_its_row(high: int, swept: bool) -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=500),
    )

    step = book.apply([make_bar(MINUTE + 2, (4460, high))])

    assert bool(step.events) is swept
    assert {key & 1 for batch in step.events for _, _, key, _ in as_tuples(batch.cohorts)} <= {SHORT}


def test_sweeping_twice_changes_nothing() -> None:
    book = book_with(
        only(125),
        make_bar(MINUTE, (4500, 4700), sample=0),
        make_bar(MINUTE + 1, (4500, 4700), lots=10_000, sample=5000),
        make_bar(MINUTE + 2, (4500, 4700)),
    )
    before = as_tuples(book.cohorts()[0])

    step = book.apply([make_bar(MINUTE + 3, (4500, 4700))])

    assert step.events == ()
    assert as_tuples(book.cohorts()[0]) == before


def test_sweep_acts_at_once_and_the_sample_counts_it() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=1000),
    )
    account = book.account(BTC.instrument_id)

    swept = book.apply([make_bar(MINUTE + 2, (4000, 4000), lots=10)])
    between = (account.live[LONG], account.uncovered[LONG], account.swept)
    step = book.apply([make_bar(MINUTE + 3, (4000, 4000), lots=2000, sample=1100)])

    assert lots_of(swept, Cause.SWEPT) == 1000
    assert between == (0, 0, (1000, 0))
    # V = floor(0.6 x 2010), D = 100: opens_long at least D + swept.
    long, short = step.samples
    assert (long.live_lots, long.uncovered_lots, short.live_lots) == (1100, 0, 1100)
    assert account.swept == (0, 0)


def test_closes_take_the_lowest_clocks_first_and_only_the_last_in_part() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4400, 4449), sample=0),
        make_bar(MINUTE + 1, (4400, 4449), lots=100_000, sample=50_000),
    )
    cohorts, clocks = book.cohorts()
    clock_of = {(row, key): c for (_, row, key, _), c in zip(as_tuples(cohorts), clocks.tolist(), strict=True)}
    lots_before = {(row, key): lots for _, row, key, lots in as_tuples(cohorts)}

    step = book.apply([make_bar(MINUTE + 2, sample=20_000)])

    (closed,) = step.events
    lots_left = {(row, key): lots for _, row, key, lots in as_tuples(book.cohorts()[0])}
    for side in PositionSide:
        ended = {(row, key): lots for _, row, key, lots in as_tuples(closed.cohorts) if key & 1 == side}
        left = {name: lots for name, lots in lots_left.items() if name[1] & 1 == side}
        in_part = [name for name, lots in ended.items() if lots < lots_before[name]]
        assert sum(ended.values()) == 30_000
        assert max(clock_of[name] for name in ended) <= min(clock_of[name] for name in left)
        assert len(in_part) <= 1
        assert all(left[name] == lots_before[name] - ended[name] for name in in_part)


def test_cohort_closed_in_part_keeps_its_clock() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=1000),
    )
    before, clocks_before = book.cohorts()

    book.apply([make_bar(MINUTE + 2, sample=400)])

    after, clocks_after = book.cohorts()
    assert before.lots.tolist() == [1000, 1000]
    assert after.lots.tolist() == [400, 400]
    assert clocks_after.tolist() == clocks_before.tolist()


def test_uncovered_loses_its_share_of_what_closes() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=1000),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=1000),
    )
    account = book.account(BTC.instrument_id)
    live, uncovered = list(account.live), list(account.uncovered)

    book.apply([make_bar(MINUTE + 2, sample=333)])

    assert (live, uncovered) == ([300, 300], [700, 700])
    assert account.live == [300 - 667 * 300 // 1000] * 2
    assert account.uncovered == [333 - account.live[LONG]] * 2


def test_excess_of_a_sample_that_nothing_traded_explains_is_a_model_error() -> None:
    book = book_with(only(10), make_bar(MINUTE, (4460, 4460), sample=1000))

    step = book.apply([make_bar(MINUTE + 1, (4460, 4460), lots=10, sample=1500)])

    assert [s.model_error_lots for s in step.samples] == [490, 490]
    assert lots_of(step, Cause.OPENED) == 1000


def test_what_opens_in_the_same_minute_row_and_key_joins_and_takes_the_clock() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE, (4460, 4460), lots=1000, sample=500),
    )
    first, clocks = book.cohorts()

    # The book closes half, which moves the hazard on; then more opens in the same minute.
    book.apply([make_bar(MINUTE, sample=250)])
    step = book.apply([make_bar(MINUTE, (4460, 4460), sample=300)])
    joined, clocks_joined = book.cohorts()
    book.apply([make_bar(MINUTE + 1, (4460, 4460), sample=400)])
    later, clocks_later = book.cohorts()

    assert lots_of(step, Cause.OPENED) == 100
    assert (first.lots.tolist(), joined.lots.tolist()) == ([500, 500], [300, 300])
    assert clocks_joined.tolist() == clocks.tolist()
    assert later.lots.tolist() == [300, 300, 100, 100]
    assert later.open_minute.tolist() == [MINUTE, MINUTE, MINUTE + 1, MINUTE + 1]
    assert len(clocks_later) == 4


def test_instruments_of_a_symbol_are_swept_closed_and_reconciled_apart() -> None:
    mixes = {BTC.instrument_id: only(10), OTHER.instrument_id: only(50)}
    book = PositionBook("BTC", [OTHER, BTC], BTC_SCALE, NumpyBackend(), mixes)
    for minute, rows, sample in ((MINUTE, (4460, 4460), 0), (MINUTE + 1, (4460, 4460), 500)):
        book.apply([make_bar(minute, rows, lots=1000, sample=sample, instrument=i) for i in (BTC, OTHER)])

    step = book.apply([make_bar(MINUTE + 2, (3000, 4460), instrument=OTHER)])

    assert {key for batch in step.events for _, _, key, _ in as_tuples(batch.cohorts)} == {key_of(50, LONG, number=0)}
    assert book.account(OTHER.instrument_id).swept == (500, 0)
    assert book.account(BTC.instrument_id).swept == (0, 0)
    assert book.lots_by_group().tolist() == [0, 500, 500, 500]


def test_tick_without_bars_is_no_step() -> None:
    assert make_book().apply([]) == BookStep((), ())


def test_bars_of_two_minutes_or_of_one_instrument_twice_are_a_defect() -> None:
    book = make_book()

    with pytest.raises(ModelError, match="must share minute"):
        book.apply([make_bar(MINUTE), make_bar(MINUTE + 1, instrument=OTHER)])
    with pytest.raises(ModelError, match="name each instrument once"):
        book.apply([make_bar(MINUTE), make_bar(MINUTE)])


def test_open_interest_before_an_instruments_own_price_opens_at_the_symbols() -> None:
    first, late = make_instrument(), make_instrument("LATE")
    book = PositionBook("BTC", (first, late), BTC_SCALE, NumpyBackend())
    book.apply([make_bar(EXAMPLE_MINUTE, (4459, 4459), instrument=first)])
    book.apply([make_bar(EXAMPLE_MINUTE, instrument=late, sample=1_000)])

    step = book.apply([make_bar(EXAMPLE_MINUTE + 1, instrument=late, sample=5_000)])

    assert [batch.cause for batch in step.events] == [Cause.OPENED]
    assert book.account(late.instrument_id).live == [4_000, 4_000]
