"""Contracts of inverse instruments as lots: worked figures, no overflow, and sums that come out even."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.axes import SymbolScale
from liqscape.device.backend import CohortBatch, EndedCohorts
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import InvalidArgument, ModelError
from liqscape.events import PositionSide
from liqscape.instruments import LEVERAGE_TIERS, Instrument, find_instrument
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep, Cause, PositionBook
from liqscape.positions.contracts import ContractLots, contracts_in_lots
from liqscape.positions.mix import SHARE_ONE
from liqscape.positions.weights import make_key
from tests.unit.synthetic_market import BTC, BTC_SCALE, as_tuples, make_bar, make_batch, make_instrument

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
MINUTE = 29_430_000
COIN_M = find_instrument("binance:BTCUSD_PERP")
LINEAR_KEY, INVERSE_KEY = make_key(0, 2, LONG), make_key(1, 2, LONG)


def lots_of(contracts: int, row: int, value: int = 100, scale: SymbolScale = BTC_SCALE) -> int:
    """Return the definition: floor of the contracts' worth over that of a lot at the middle of the row."""
    middle = Fraction((2 * row + 1) * scale.base_step, 2) / 10**scale.price_decimals
    lots = contracts * value * Fraction(10) ** scale.lot_decimals / middle
    return int(lots.numerator // lots.denominator)


def arrays(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def ended(batch: CohortBatch, *left: int) -> EndedCohorts:
    return EndedCohorts(batch.open_minute, batch.row, batch.key, batch.lots, arrays(*left))


def test_worked_figure() -> None:
    # Row 4029 of 20 USD has its middle at 80,590; 1,000 contracts of 100 USD are 1.24084 BTC there.
    converter = ContractLots([BTC, COIN_M], BTC_SCALE)

    batch = converter.held(make_batch((MINUTE, 4029, INVERSE_KEY, 1000), (MINUTE, 4029, LINEAR_KEY, 1000)))

    assert as_tuples(batch) == [(MINUTE, 4029, INVERSE_KEY, 124_084), (MINUTE, 4029, LINEAR_KEY, 1000)]
    assert lots_of(1000, 4029) == 124_084


def test_contracts_at_a_price() -> None:
    assert contracts_in_lots(COIN_M, BTC_SCALE, 1000, 805_900) == 124_084
    assert contracts_in_lots(find_instrument("kraken:PI_XBTUSD"), BTC_SCALE, 1000, 805_900) == 1240


@pytest.mark.parametrize(
    ("instrument_id", "scale"),
    [
        ("binance:BTCUSD_PERP", SymbolScale.first_seen("BTC", 950_000, 1)),
        ("binance:BTCUSD_PERP", SymbolScale.first_seen("BTC", 9_500_000, 2)),
        ("kraken:PI_XBTUSD", SymbolScale.first_seen("BTC", 310_000, 1)),
        ("deribit:BTC-PERPETUAL", SymbolScale.first_seen("BTC", 2_000_000, 1)),
        ("deribit:ETH-PERPETUAL", SymbolScale.first_seen("ETH", 330_000, 2)),
        ("binance:ETHUSD_PERP", SymbolScale.first_seen("ETH", 33, 5)),
        ("binance:ETHUSD_PERP", SymbolScale.first_seen("ETH", 7, 9)),
    ],
)
def test_lots_are_the_definition_for_any_row_and_any_amount(instrument_id: str, scale: SymbolScale) -> None:
    instrument = find_instrument(instrument_id)
    assert instrument.contract_value is not None
    rows = [0, 1, 17, 3333, 4029, 9999, 65_535, 1_000_003, 3 << 27]
    most = min(lots_limit(instrument, scale, row) for row in rows)
    amounts = [0, 1, 2, 3, 99, 10**4 + 7, most // 3, most]
    cohorts = [(MINUTE, row, INVERSE_KEY, amount) for row in rows for amount in amounts]

    batch = ContractLots([BTC, instrument], scale).held(make_batch(*cohorts))

    value = int(instrument.contract_value)
    assert batch.lots.tolist() == [lots_of(amount, row, value, scale) for _, row, _, amount in cohorts]


def lots_limit(instrument: Instrument, scale: SymbolScale, row: int) -> int:
    """Return an amount of contracts whose product with the factor passes 2^63, while its lots do not."""
    assert instrument.contract_value is not None
    one = lots_of(10**15, row, int(instrument.contract_value), scale)
    return min(10**18, 10**15 * (1 << 62) // max(one, 1))


def test_linear_batches_pass_untouched() -> None:
    batch = make_batch((MINUTE, 4029, LINEAR_KEY, 7), (MINUTE, 4030, INVERSE_KEY, 9))
    converter = ContractLots([BTC, make_instrument("BTCUSDC")], BTC_SCALE)
    leaving = ended(batch, 0, 3)

    assert converter.opened(batch, batch.lots) is batch
    assert converter.ended(leaving) is leaving
    assert converter.held(batch) is batch


def test_joining_tells_the_difference_of_what_is_held() -> None:
    # 1 contract of Kraken is 1.24 lots on row 4029: the first one is 1 lot, four more make 6 of 6.2.
    converter = ContractLots([BTC, find_instrument("kraken:PI_XBTUSD")], BTC_SCALE)

    first = converter.opened(make_batch((MINUTE, 4029, INVERSE_KEY, 1)), arrays(1))
    second = converter.opened(make_batch((MINUTE, 4029, INVERSE_KEY, 4)), arrays(5))

    assert (first.lots.tolist(), second.lots.tolist()) == ([1], [5])


def test_what_comes_to_less_than_a_lot_is_not_told() -> None:
    # 1 USD is 0.9 lots of 1e-5 BTC at 110,010.
    converter = ContractLots([BTC, find_instrument("kraken:PI_XBTUSD")], BTC_SCALE)
    one = make_batch((MINUTE, 5500, INVERSE_KEY, 1))

    assert len(converter.opened(one, arrays(1))) == 0
    assert converter.opened(one, arrays(2)).lots.tolist() == [1]
    assert converter.ended(ended(one, 1)).lots.tolist() == [1]
    assert len(converter.ended(ended(one, 0))) == 0
    assert converter.held(one).lots.tolist() == [0]


def test_units_too_fine_for_the_arithmetic_are_a_defect() -> None:
    odd = replace(COIN_M, contract_value=Fraction(10**12, 7))

    with pytest.raises(ModelError, match=r"binance:BTCUSD_PERP: .* are too fine"):
        ContractLots([odd], BTC_SCALE)


def test_linear_instrument_has_no_contracts_to_convert() -> None:
    with pytest.raises(ModelError, match="venue:BTCUSDT is counted in lots"):
        contracts_in_lots(BTC, BTC_SCALE, 1, 900_000)


@pytest.mark.parametrize(
    ("contract", "value"), [("inverse", None), ("inverse", Fraction(0)), ("linear", Fraction(1)), ("quanto", None)]
)
def test_contract_the_model_cannot_count_is_refused(contract: str, value: Fraction | None) -> None:
    with pytest.raises(InvalidArgument, match=f"contract '{contract}' of venue:BTCUSDT"):
        replace(BTC, contract=contract, contract_value=value)


# The book of an inverse instrument, at 10x alone.


def only_10x() -> tuple[int, ...]:
    return tuple(SHARE_ONE if tier == 10 else 0 for tier in LEVERAGE_TIERS)


def coin_book(*bars: Bar) -> PositionBook:
    book = PositionBook("BTC", [COIN_M], BTC_SCALE, NumpyBackend(), {COIN_M.instrument_id: only_10x()})
    for bar in bars:
        book.apply([bar])
    return book


def coin_bar(minute: int, rows: tuple[int, int] | None = None, *, contracts: int = 0, sample: int | None = None) -> Bar:
    return make_bar(minute, rows, lots=contracts, sample=sample, instrument=COIN_M)


def told(step: BookStep, cause: Cause, side: PositionSide) -> list[tuple[int, int]]:
    """Return (row, lots) of one cause and side."""
    batches = [batch.cohorts for batch in step.events if batch.cause is cause]
    return [(row, lots) for batch in batches for _, row, key, lots in as_tuples(batch) if key & 1 == side]


def test_inverse_book_opens_contracts_and_tells_lots() -> None:
    book = coin_book(coin_bar(MINUTE, (4459, 4459), sample=10_000))

    # 1,000 contracts trade and open interest rises by 100: 350 open and 250 close on each side, all uncovered.
    step = book.apply([coin_bar(MINUTE + 1, (4459, 4459), contracts=1000, sample=10_100)])

    # Row 4459 is 89,190: a long at 10x is liquidated at 81,405.8, row 4070; a short at 98,703.6, row 4935.
    assert told(step, Cause.OPENED, LONG) == [(4070, lots_of(350, 4070))]
    assert told(step, Cause.OPENED, SHORT) == [(4935, lots_of(350, 4935))]
    assert lots_of(350, 4070) == 42_992
    assert [(s.live_lots, s.uncovered_lots, s.open_interest_lots) for s in step.samples] == [(350, 9750, 10_100)] * 2
    assert book.lots_by_group().tolist() == [350, 350]
    assert sorted(book.cohorts_in_lots().lots.tolist()) == sorted([lots_of(350, 4070), lots_of(350, 4935)])


def test_swept_contracts_take_back_all_lots_they_told() -> None:
    book = coin_book(coin_bar(MINUTE, (4459, 4459), sample=0))
    opened = book.apply([coin_bar(MINUTE + 1, (4459, 4459), contracts=333, sample=199)])

    swept = book.apply([coin_bar(MINUTE + 2, (4070, 4070))])

    assert told(swept, Cause.SWEPT, LONG) == told(opened, Cause.OPENED, LONG) == [(4070, lots_of(199, 4070))]
    assert book.account(COIN_M.instrument_id).swept == (199, 0)


def test_cohort_joined_and_closed_in_parts_sums_to_zero() -> None:
    book = coin_book(coin_bar(MINUTE, (4459, 4459), sample=0))
    running: dict[tuple[int, int], int] = {}
    # Two samples in one minute: the second opening joins the first. Then closes, a few contracts at a time.
    for minute, contracts, sample in (
        (MINUTE + 1, 101, 60),
        (MINUTE + 1, 17, 70),
        (MINUTE + 2, 123, 57),
        (MINUTE + 3, 99, 31),
        (MINUTE + 4, 7, 27),
        (MINUTE + 5, 27, 0),
    ):
        step = book.apply([coin_bar(minute, (4459, 4459), contracts=contracts, sample=sample)])
        for batch in step.events:
            for opened, row, key, lots in as_tuples(batch.cohorts):
                running[opened << 32 | row, key] = running.get((opened << 32 | row, key), 0) + batch.sign * lots
        held = {
            (opened << 32 | row, key): lots_of(contracts, row)
            for opened, row, key, contracts in as_tuples(book.cohorts()[0])
        }
        assert {name: lots for name, lots in running.items() if lots} == held

    assert book.live_cohorts == 0
    assert len(running) >= 4
    assert set(running.values()) == {0}
