"""Live books of a shard: captured once a tick, equal to the accounts, the cohorts and the grids of that tick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from liqscape.axes import WEIGHT_ONE
from liqscape.clock import ManualClock
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event, PositionSide
from liqscape.feeds.exact import ExactView, StatedPosition
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.grid.liquidation_map import ABOVE, BELOW, INSIDE, MapAnswer, MapGroup
from liqscape.grid.queries import plan_grid
from liqscape.grid.shard import Shard
from liqscape.grid.updates import Breakdown, GridQuery, MapQuery, PositionModel
from liqscape.instruments import LEVERAGE_TIERS, find_instrument
from liqscape.live_books import LiveBooks

START_NS = 1_795_000_020_000_000_000
NAMES = ("binance:BTCUSDT", "bybit:BTCUSDT", "binance:BTCUSD_PERP")
LINEAR = NAMES[:2]


def simulated() -> tuple[Shard, Iterator[Event]]:
    """Return a shard after five simulated days and a live tick, and the events to come."""
    source = SimulateSource(
        clock=ManualClock(START_NS),
        symbols=("BTC",),
        instruments=tuple(find_instrument(name) for name in NAMES),
        start_ns=START_NS,
        past=(PastSpan(5 * 1440, 60),),
    )
    shard = Shard(source.description.instruments, NumpyBackend(), lambda: 0)
    events = source.iterate(20)
    while shard.accept(next(events)) is None:
        pass
    return shard, events


@pytest.fixture(scope="module")
def shard() -> Shard:
    return simulated()[0]


def ask(shard: Shard, query: MapQuery) -> MapAnswer:
    return LiveBooks(shard).capture("BTC", query.model).answer(query, epoch=7)


def summed(shard: Shard, model: PositionModel, multiple: int) -> Counter[tuple[str, PositionSide, int]]:
    """Return lots by instrument, side and row, cohort by cohort, from what the book holds in its own units."""
    book = shard.live_book("BTC", model)
    scale = book.scale
    total: Counter[tuple[str, PositionSide, int]] = Counter()
    cohorts, _ = book.cohorts()
    for row, key, quantity in zip(cohorts.row.tolist(), cohorts.key.tolist(), cohorts.lots.tolist(), strict=True):
        instrument = book.instruments[key >> 5]
        lots = quantity
        if instrument.contract_value is not None:
            middle = Fraction((2 * row + 1) * scale.base_step, 2 * 10**scale.price_decimals)
            lots = int(quantity * instrument.contract_value * 10**scale.lot_decimals / middle)
        total[instrument.instrument_id, PositionSide(key & 1), row // multiple] += lots
    return total


@pytest.mark.slow
@pytest.mark.parametrize("model", PositionModel)
def test_stated_positions_stand_beside_a_map_that_is_the_same_without_them(shard: Shard, model: PositionModel) -> None:
    view, scale = shard.view()["BTC"], shard.view()["BTC"].scale
    price = Fraction(view.mark_price, 10**scale.price_decimals)
    stated = [StatedPosition(1, NAMES[1], PositionSide.LONG, 10**8, price * n / 100, 5) for n in range(60, 100)]
    books = LiveBooks(shard, lambda: (ExactView("bybit", tuple(stated)),))

    found = books.capture("BTC", model).answer(MapQuery("BTC", model=model), epoch=7)

    plain = ask(shard, MapQuery("BTC", breakdown=frozenset({Breakdown.INSTRUMENT}), model=model))
    np.testing.assert_array_equal(found.map.cells, ask(shard, MapQuery("BTC", model=model)).map.cells)
    np.testing.assert_array_equal(found.map.curves, plain.map.curves)
    assert found.coverage == plain.coverage
    assert plain.exact == ()
    (exact,) = found.exact
    bybit = next(part for part in found.coverage if part.instrument_id == NAMES[1])
    long = plain.map.series.groups.index(MapGroup("bybit", NAMES[1], 0, PositionSide.LONG))
    lots_of_row = plain.map.cells[long] // WEIGHT_ONE
    assert exact.totals[0].open_interest_lots == bybit.live_lots[0] + bybit.uncovered_lots[0]
    assert [row.model_lots for row in exact.rows] == [lots_of_row[row.row - found.map.rows.first] for row in exact.rows]
    assert sum(row.model_lots > 0 for row in exact.rows) > 10
    assert sum(row.lots for row in exact.rows) == exact.totals[0].inside_lots == 40 * 10**scale.lot_decimals


@pytest.mark.slow
@pytest.mark.parametrize("model", PositionModel)
def test_map_is_the_sum_over_the_cohorts_of_linear_and_inverse_instruments(shard: Shard, model: PositionModel) -> None:
    found = ask(shard, MapQuery("BTC", breakdown=frozenset({Breakdown.INSTRUMENT}), model=model)).map

    expected = summed(shard, model, found.rows.multiple)
    series, rows = np.nonzero(found.cells)
    cells = {
        (found.series.groups[s].instrument_id, found.series.groups[s].side, r + found.rows.first): int(n)
        for s, r, n in zip(series.tolist(), rows.tolist(), found.cells[series, rows] // WEIGHT_ONE, strict=True)
    }
    held = range(found.rows.first, found.rows.first + found.rows.count)
    assert cells == {cell: lots for cell, lots in expected.items() if lots and cell[2] in held}
    for number, group in enumerate(found.series.groups):
        of_group = sum(
            n for (name, side, _), n in expected.items() if (name, side) == (group.instrument_id, group.side)
        )
        assert found.series.weighted_lots[number].sum() == of_group * WEIGHT_ONE
    assert {name for name, *_ in cells} == set(NAMES)


@pytest.mark.parametrize("model", PositionModel)
def test_book_by_key_is_the_map_before_it_is_summed(shard: Shard, model: PositionModel) -> None:
    query = MapQuery("BTC", breakdown=frozenset({Breakdown.INSTRUMENT, Breakdown.LEVERAGE}), model=model)
    captured = LiveBooks(shard).capture("BTC", model)

    keyed, found = captured.keyed(query, epoch=7), captured.answer(query, epoch=7)

    assert keyed.book.rows == found.map.rows
    profile, groups = keyed.book.profile, found.map.series.groups
    cells = np.zeros_like(found.map.cells)
    for key, row, lots in zip(profile.key.tolist(), profile.row.tolist(), profile.lots.tolist(), strict=True):
        name = keyed.instruments[key >> 5]
        group = MapGroup(keyed.venues[key >> 5], name, LEVERAGE_TIERS[(key >> 1) & 15], PositionSide(key & 1))
        cells[groups.index(group), row // keyed.book.rows.multiple - keyed.book.rows.first] += lots * WEIGHT_ONE
    np.testing.assert_array_equal(cells, found.map.cells)
    outside = found.map.by_side.weighted_lots[:, [BELOW, ABOVE]] // WEIGHT_ONE
    assert [list(pair) for pair in keyed.book.outside_lots] == outside.tolist()
    assert (keyed.tick, keyed.epoch, keyed.coverage) == (found.tick, found.epoch, found.coverage)
    assert (keyed.mark_price, keyed.scale, keyed.model) == (found.mark_price, found.scale, model)


def test_totals_of_linear_instruments_are_the_live_lots_of_coverage(shard: Shard) -> None:
    answer = ask(
        shard, MapQuery("BTC", breakdown=frozenset({Breakdown.INSTRUMENT}), price_low=80_000, price_high=90_000)
    )

    coverage = {c.instrument_id: c.live_lots for c in answer.coverage}
    totals = dict(zip(answer.map.series.groups, answer.map.series.weighted_lots.sum(axis=1).tolist(), strict=True))
    for name in LINEAR:
        for side in PositionSide:
            assert totals[MapGroup(name.split(":")[0], name, 0, side)] == coverage[name][side] * WEIGHT_ONE > 0
    assert (answer.tick, answer.epoch, answer.map.reconciled) == (shard.tick, 7, True)


@pytest.mark.parametrize("model", PositionModel)
def test_map_of_what_opened_within_a_year_is_the_newest_column_of_its_grid(shard: Shard, model: PositionModel) -> None:
    view = shard.view()["BTC"]
    rows = view.channels["1y"].axes.rows
    width = view.scale.base_step * rows.multiple / 10**view.scale.price_decimals
    low, high = rows.first * width, (rows.first + rows.count - 0.5) * width
    ledger = view.ledger_of(model)
    plan = plan_grid(
        GridQuery("BTC", "1y", model=model),
        instruments=view.instruments,
        mixes=view.mixes,
        scale=view.scale,
        mark_price=view.mark_price,
        now_minute=view.now_minute,
        view=ledger,
        history=view.channels["1y"].history,
    )

    grid = view.engine.project(ledger, plan.axes.timeframe, plan.minute, plan.axes.rows, plan.weights)
    found = ask(shard, MapQuery("BTC", row_multiple=rows.multiple, price_low=low, price_high=high, model=model)).map

    assert found.rows == rows
    assert found.cells.sum(axis=0).tolist() == grid[-1].tolist()
    assert plan.reconciled is (model is PositionModel.NET_OF_CLOSES)


def test_open_only_book_is_another_one_and_is_not_reconciled(shard: Shard) -> None:
    ours, theirs = (ask(shard, MapQuery("BTC", model=model)) for model in PositionModel)

    assert (ours.map.reconciled, theirs.map.reconciled) == (True, False)
    assert ours.map.rows == theirs.map.rows
    assert (ours.map.cells != theirs.map.cells).any()
    assert ours.coverage == theirs.coverage


def test_questions_of_one_tick_share_a_capture_and_the_next_tick_has_its_own() -> None:
    shard, events = simulated()
    books = LiveBooks(shard)
    query = MapQuery("BTC")

    first = books.capture("BTC", PositionModel.NET_OF_CLOSES)
    again = books.capture("BTC", PositionModel.NET_OF_CLOSES)
    other = books.capture("BTC", PositionModel.OPEN_ONLY)
    for event in events:
        shard.accept(event)
    later = books.capture("BTC", PositionModel.NET_OF_CLOSES)

    assert first is again
    assert other is not first
    assert later is not first
    assert (first.tick, later.tick) == (shard.tick - 19, shard.tick)
    before, after = (
        book.answer(query, epoch=7).map.by_side.weighted_lots[:, BELOW : ABOVE + 1].sum() for book in (first, later)
    )
    assert before != after
    assert first.answer(query, epoch=7).map.by_side.weighted_lots[:, INSIDE].sum() > 0
