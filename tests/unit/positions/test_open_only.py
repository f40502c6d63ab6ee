"""The open-only book: rising open interest opens, a touch of the bankruptcy price ends, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import ConfigError, ModelError
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, find_instrument
from liqscape.market.bars import Bar
from liqscape.market.state import MarketState
from liqscape.positions.book import BookStep, Cause
from liqscape.positions.mix import SHARE_ONE
from liqscape.positions.open_only import OpenOnlyBook
from liqscape.positions.weights import make_key
from tests.unit.synthetic_market import (
    BTC,
    BTC_SCALE,
    EXAMPLE_MINUTE,
    as_tuples,
    at,
    candle,
    make_bar,
    make_instrument,
    mark,
    open_interest,
)

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
MINUTE = 29_430_000
OTHER = make_instrument("BTCUSDC")


def only(leverage: int) -> tuple[int, ...]:
    """Return the mix that opens one tier."""
    return tuple(SHARE_ONE if tier == leverage else 0 for tier in LEVERAGE_TIERS)


def key_of(leverage: int, side: PositionSide, number: int = 0) -> int:
    return make_key(number, LEVERAGE_TIERS.index(leverage), side)


def book_with(mix: tuple[int, ...] | None, *bars: Bar) -> OpenOnlyBook:
    mixes = None if mix is None else {BTC.instrument_id: mix}
    book = OpenOnlyBook("BTC", [BTC], BTC_SCALE, NumpyBackend(), mixes)
    for bar in bars:
        book.apply([bar])
    return book


def told(step: BookStep) -> list[tuple[Cause, list[tuple[int, int, int, int]]]]:
    return [(batch.cause, as_tuples(batch.cohorts)) for batch in step.events]


def test_worked_example_opens_the_rise_alone_and_ends_where_the_margin_is_lost() -> None:
    market, book = MarketState([BTC]), book_with(None)
    market.apply(mark(at(EXAMPLE_MINUTE, -1), 908_000))
    market.apply(open_interest(at(EXAMPLE_MINUTE), "88060.900"))
    book.apply(market.close_tick(at(EXAMPLE_MINUTE)))
    market.apply(candle(EXAMPLE_MINUTE, EXAMPLE_MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "2241.182"))
    market.apply(open_interest(at(EXAMPLE_MINUTE + 5), "88351.808"))

    step = book.apply(market.close_tick(at(EXAMPLE_MINUTE + 5)))

    (opened,) = step.events
    assert (opened.minute, opened.cause, opened.sign) == (29_430_154, Cause.OPENED, 1)
    # D = 290.908 BTC, where the real book opens 817.809 a side.
    assert book.lots_by_group().tolist() == [29_090_800, 29_090_800]
    places = {(row, key) for _, row, key, _ in as_tuples(opened.cohorts)}
    # Entry row 4459 (89,190): 10x at 80,271 and 98,109; 50x long at 87,406.2. No maintenance margin.
    assert {(4013, key_of(10, LONG)), (4905, key_of(10, SHORT)), (4370, key_of(50, LONG))} <= places
    assert step.samples == ()


def test_first_sample_opens_nothing_and_trades_before_it_are_left_out() -> None:
    book = book_with(only(10))

    first = book.apply([make_bar(MINUTE, (4300, 4300), lots=50, sample=500)])
    second = book.apply([make_bar(MINUTE + 1, (4460, 4460), lots=1, sample=600)])

    assert first == BookStep((), ())
    assert told(second) == [
        (Cause.OPENED, [(MINUTE + 1, 4014, key_of(10, LONG), 100), (MINUTE + 1, 4906, key_of(10, SHORT), 100)])
    ]


@pytest.mark.parametrize("sample", [500, 0])
def test_open_interest_that_falls_or_stands_does_nothing(sample: int) -> None:
    book = book_with(
        None,
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=500),
    )

    step = book.apply([make_bar(MINUTE + 2, (4460, 4460), lots=1000, sample=sample)])

    assert step == BookStep((), ())
    assert book.lots_by_group().tolist() == [500, 500]


def test_levels_stay_when_the_positions_are_long_closed_and_open_again_on_top() -> None:
    book = book_with(only(10), make_bar(MINUTE, (4460, 4460), sample=0))

    for number, sample in enumerate((500, 0, 500, 0, 500), 1):
        book.apply([make_bar(MINUTE + number, (4460, 4460), lots=1000, sample=sample)])

    assert book.lots_by_group().tolist() == [1500, 1500]
    assert book.live_cohorts == 6


def test_what_was_traded_while_open_interest_fell_is_no_entry_of_a_later_rise() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=1000),
        make_bar(MINUTE + 1, (4300, 4300), lots=70, sample=900),
    )

    step = book.apply([make_bar(MINUTE + 2, (4460, 4460), lots=1, sample=910)])

    assert {row for _, row, key, _ in told(step)[0][1] if key & 1 == LONG} == {4014}


def test_bars_without_a_sample_gather_entry_rows_for_the_next_one() -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=1000),
        make_bar(MINUTE + 1, (4460, 4460), lots=100),
        make_bar(MINUTE + 2, (4470, 4470), lots=300),
    )

    step = book.apply([make_bar(MINUTE + 3, sample=1100)])

    assert [(row, lots) for _, row, key, lots in told(step)[0][1] if key & 1 == LONG] == [(4014, 25), (4023, 75)]


def test_rise_without_a_trade_enters_at_the_last_price_and_without_any_price_is_a_defect() -> None:
    book = book_with(only(10), make_bar(MINUTE, (4460, 4460), sample=0))

    step = book.apply([make_bar(MINUTE + 1, sample=8)])

    assert [row for _, row, key, _ in told(step)[0][1] if key & 1 == LONG] == [4014]
    with pytest.raises(ModelError, match="venue:BTCUSDT opened lots at minute 29430001 without any price"):
        book_with(only(10), make_bar(MINUTE, sample=0), make_bar(MINUTE + 1, sample=8))


def test_sweep_comes_before_open_and_a_cohort_is_not_tested_against_the_bar_that_opened_it() -> None:
    book = book_with(
        only(125),
        make_bar(MINUTE, (4600, 4600), sample=0),
        make_bar(MINUTE + 1, (4600, 4600), lots=10, sample=500),
    )

    # 125x is lost 0.8 % from entry, 37 rows; these bars are 200 rows high and reach both sides of the first cohorts.
    wide = book.apply([make_bar(MINUTE + 2, (4500, 4700), lots=10_000, sample=10_500)])
    again = book.apply([make_bar(MINUTE + 3, (4500, 4700))])

    (first, swept), (second, opened) = told(wide)
    assert (first, second) == (Cause.SWEPT, Cause.OPENED)
    assert [(minute, lots) for minute, _, _, lots in swept] == [(MINUTE + 1, 500), (MINUTE + 1, 500)]
    assert sum(lots for *_, lots in opened) == 20_000
    assert [cause for cause, _ in told(again)] == [Cause.SWEPT]
    assert {minute for minute, *_ in told(again)[0][1]} == {MINUTE + 2}


@pytest.mark.parametrize(
    ("rows", "swept"),
    [((4015, 4905), []), ((4014, 4905), [LONG]), ((4015, 4906), [SHORT]), ((4000, 5000), [LONG, SHORT])],
)
def test_long_ends_at_the_low_and_short_at_the_high(rows: tuple[int, int], swept: list[PositionSide]) -> None:
    book = book_with(
        only(10),
        make_bar(MINUTE, (4460, 4460), sample=0),
        make_bar(MINUTE + 1, (4460, 4460), lots=1000, sample=500),
    )

    step = book.apply([make_bar(MINUTE + 2, rows)])

    assert [key & 1 for _, batch in told(step) for _, _, key, _ in batch] == swept
    assert book.lots_by_group().tolist() == [0 if side in swept else 500 for side in PositionSide]


def test_what_opens_in_the_same_minute_row_and_key_joins() -> None:
    book = book_with(only(10), make_bar(MINUTE, (4460, 4460), sample=0))

    for sample in (100, 250):
        book.apply([make_bar(MINUTE + 1, (4460, 4460), lots=10, sample=sample)])

    assert as_tuples(book.cohorts_in_lots()) == [
        (MINUTE + 1, 4014, key_of(10, LONG), 250),
        (MINUTE + 1, 4906, key_of(10, SHORT), 250),
    ]


def test_instruments_have_keys_mixes_and_samples_of_their_own() -> None:
    mixes = {BTC.instrument_id: only(10), OTHER.instrument_id: only(50)}
    book = OpenOnlyBook("BTC", [OTHER, BTC], BTC_SCALE, NumpyBackend(), mixes)
    book.apply([make_bar(MINUTE, (4460, 4460), sample=0, instrument=i) for i in (BTC, OTHER)])

    step = book.apply(
        [
            make_bar(MINUTE + 1, (4460, 4460), lots=1, sample=70, instrument=BTC),
            make_bar(MINUTE + 1, (4460, 4460), lots=1, sample=30, instrument=OTHER),
        ]
    )
    swept = book.apply([make_bar(MINUTE + 2, (3000, 4460), instrument=OTHER)])

    assert [(key, lots) for _, _, key, lots in told(step)[0][1]] == [
        (key_of(50, LONG, 0), 30),
        (key_of(50, SHORT, 0), 30),
        (key_of(10, LONG, 1), 70),
        (key_of(10, SHORT, 1), 70),
    ]
    assert [key for _, _, key, _ in told(swept)[0][1]] == [key_of(50, LONG, 0)]


def test_inverse_instrument_opens_contracts_and_tells_lots() -> None:
    inverse = find_instrument("deribit:BTC-PERPETUAL")  # 10 USD a contract
    mix = tuple(SHARE_ONE if tier == 10 else 0 for tier in inverse.leverage_tiers)
    book = OpenOnlyBook("BTC", [inverse], BTC_SCALE, NumpyBackend(), {inverse.instrument_id: mix})
    book.apply([make_bar(MINUTE, (4460, 4460), sample=0, instrument=inverse)])

    step = book.apply([make_bar(MINUTE + 1, (4460, 4460), lots=1, sample=100, instrument=inverse)])

    # 89,210 / 1.1 is the edge of row 4054, whose middle is 81,090: 1,000 USD are 0.01233 BTC. 89,210 / 0.9: row 4956.
    assert [(row, lots) for _, row, _, lots in told(step)[0][1]] == [(4054, 1233), (4956, 1008)]
    assert book.lots_by_group().tolist() == [100, 100]


def test_sums_beyond_64_bit_floats_stay_exact() -> None:
    huge = (1 << 53) + 1
    book = book_with(
        only(10), make_bar(MINUTE, (4460, 4460), sample=0), make_bar(MINUTE + 1, (4460, 4460), lots=1, sample=huge)
    )

    book.apply([make_bar(MINUTE + 2, (4460, 4460), lots=1, sample=huge + 1)])

    assert book.lots_by_group().tolist() == [huge + 1, huge + 1]
    assert all(np.issubdtype(c.dtype, np.integer) for c in (book.cohorts()[0].lots, book.cohorts()[0].row))


def test_tick_without_bars_is_no_step() -> None:
    assert book_with(None).apply([]) == BookStep((), ())


@pytest.mark.parametrize(
    ("bars", "text"),
    [
        (lambda: [make_bar(MINUTE), make_bar(MINUTE + 1, instrument=OTHER)], "must share minute"),
        (lambda: [make_bar(MINUTE), make_bar(MINUTE)], "name each instrument once"),
    ],
)
def test_bars_of_two_minutes_or_of_one_instrument_twice_are_a_defect(bars: Callable[[], list[Bar]], text: str) -> None:
    book = OpenOnlyBook("BTC", [BTC, OTHER], BTC_SCALE, NumpyBackend())

    with pytest.raises(ModelError, match=text):
        book.apply(bars())


def test_mix_with_a_share_too_few_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"mix of venue:BTCUSDT has 1 shares; give one for each of 3, 5, 10"):
        book_with((SHARE_ONE,))
