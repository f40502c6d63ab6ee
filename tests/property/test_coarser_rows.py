"""A base step that becomes coarser: rows merge exactly, the book goes on, every channel begins a new generation.

Seen to fail when broken on purpose, one at a time:
- contracts.py, Restatement.between: `change > 0` set to `change >= 2`; cohort_book.py, CohortBook.coarsen_rows:
  ContractLots kept;
- numpy_ledger.py, coarsen_rows: tiers or raw rows left as they were; numpy_cohorts.py: duplicates not merged;
- inflow.py, coarsen_rows: traded rows left as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liqscape.axes import BASE_STEP_COARSENING, WEIGHT_ONE, RowRange, SymbolScale, Timeframe, last_minute_before
from liqscape.device.backend import LedgerView
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import PositionSide, TickEnd
from liqscape.grid import symbol_model
from liqscape.grid.shard import Shard
from liqscape.grid.updates import PositionModel
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep
from liqscape.positions.weights import KEY_INSTRUMENT_SHIFT, make_key, no_weights
from tests.conftest import fewer_examples
from tests.property.made_up_days import short_frames
from tests.property.test_grid import Replicas, check_view
from tests.property.test_inverse_books import lots_of
from tests.property.venue_days import INSTRUMENTS, VenueDay, venue_days
from tests.unit.synthetic_market import as_tuples

COARSE = 1000
"""Price units; what a first price of 24,000 to 300,000 USD chooses is below it, and ten times that is not."""
WINDOW = Timeframe("whole", column_minutes=60, columns=60, span_permille=0, min_row_multiple=1)
ROWS = RowRange(0, 3000, 1)


@contextmanager
def coarsened_after(minutes: int) -> Iterator[None]:
    """Let the base step of a shard's first price be too fine from the first tick on, and be noticed so much later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(symbol_model, "COARSEN_AFTER_MINUTES", minutes)
        patch.setattr(SymbolScale, "is_too_fine", lambda scale, price: scale.base_step < COARSE)
        yield


def linear_alone() -> NDArray[np.uint16]:
    weights = no_weights(len(INSTRUMENTS))
    for number, instrument in enumerate(sorted(INSTRUMENTS, key=lambda i: i.instrument_id)):
        for tier in range(len(LEVERAGE_TIERS)) if not instrument.is_inverse else ():
            for side in PositionSide:
                weights[make_key(number, tier, side)] = WEIGHT_ONE
    return weights


def grid(view: LedgerView, minute: int, rows: RowRange) -> NDArray[np.int64]:
    return NumpyBackend().project(view, WINDOW, minute, rows, linear_alone())


def check_ledger(shard: Shard) -> None:
    """Compare what each ledger still holds with the live cohorts of its book."""
    view = shard.view()["BTC"]
    for model in PositionModel:
        held: Counter[tuple[int, int, int]] = Counter()
        columns = view.ledger_of(model).columns()
        parts = (columns.open_minute, columns.row, columns.key, columns.lots)
        for minute, row, key, lots in zip(*(part.tolist() for part in parts), strict=True):
            held[minute, row, key] += lots
        cohorts = as_tuples(shard.live_book("BTC", model).cohorts_in_lots())
        assert len({cohort[:3] for cohort in cohorts}) == len(cohorts)
        assert {k: v for k, v in held.items() if v} == {(m, r, k): lots for m, r, k, lots in cohorts if lots}


def check_cohorts(shard: Shard, prices: list[int]) -> None:
    """Compare the cohorts' lots with their definition, and their rows with the prices there have been."""
    book = shard.book("BTC")
    in_lots = as_tuples(book.cohorts_in_lots())
    for (_, row, key, quantity), (*_, lots) in zip(as_tuples(book.cohorts()[0]), in_lots, strict=True):
        assert lots == lots_of(quantity, row, book.instruments[key >> KEY_INSTRUMENT_SHIFT], book.scale)
        # At 3x a long is liquidated a third below its entry, an inverse short half as much again above it.
        assert 0.6 * min(prices) <= row * book.scale.base_step <= 1.6 * max(prices)


@pytest.mark.slow
@fewer_examples(3)
@given(day=venue_days(), when=st.integers(1, 10))
def test_book_ledger_and_grids_go_on_across_a_coarser_base_step(day: VenueDay, when: int) -> None:
    ends = [event.time_ns for tick in day.ticks for event in tick if isinstance(event, TickEnd)]
    minutes = [last_minute_before(end) for end in ends]
    prices: list[int] = []

    def note_prices(symbol: str, bars: list[Bar], step: BookStep) -> None:
        told = [bar.trigger for bar in bars if bar.trigger is not None]
        prices.extend(price for t in told for price in (t.low * 970 // 1000, t.high * 1030 // 1000))

    with short_frames():
        shard = Shard(day.instruments, NumpyBackend(), lambda: 0, note_prices)
    replicas = Replicas()

    with coarsened_after(minutes[when] - minutes[0]):
        for event in (event for tick in day.ticks for event in tick):
            before = shard.view().get("BTC") if isinstance(event, TickEnd) else None
            output = shard.accept(event)
            if output is None:
                continue
            replicas.take(output)
            view = shard.view()["BTC"]
            check_ledger(shard)
            check_cohorts(shard, prices)
            check_view(view, shard, replicas, all_rolled=False)
            if before is not None and before.scale != view.scale:
                assert view.scale.base_step == BASE_STEP_COARSENING * before.scale.base_step
                assert all(len(channel.history) == 1 for channel in view.channels.values())
                check_merged(before.ledger, view.ledger, before.now_minute)

    assert shard.view()["BTC"].scale.base_step >= COARSE


def check_merged(fine: LedgerView, coarse: LedgerView, minute: int) -> None:
    """Compare the past on both rows, as of the minute before the step changed."""
    wide = RowRange(ROWS.first, ROWS.count * BASE_STEP_COARSENING, 1)
    earlier = grid(fine, minute - 1, wide).reshape(WINDOW.columns, ROWS.count, BASE_STEP_COARSENING).sum(axis=2)
    assert (grid(coarse, minute - 1, ROWS) == earlier).all()
