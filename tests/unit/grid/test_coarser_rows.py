"""A price that has risen tenfold, and stays there for an hour, makes the base step ten times as high."""

from __future__ import annotations

import numpy as np

from liqscape.axes import TIMEFRAMES, RowRange
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import Event
from liqscape.grid.shard import Shard
from liqscape.grid.symbol_model import SymbolView
from liqscape.grid.updates import TickOutput
from tests.unit.synthetic_market import BTC, EXAMPLE_MINUTE, at, candle, mark, open_interest, tick_end

MINUTE = EXAMPLE_MINUTE
LOW, HIGH = 900_000, 9_900_000


def step(minute: int, price: int, coins: int) -> list[Event]:
    """Return a minute of trading that ends with a sample."""
    return [
        candle(minute, minute + 1, (price, price + 3_000, price - 3_000, price), "50"),
        open_interest(at(minute + 1), str(coins)),
        tick_end(minute + 1),
    ]


def shard_after(minutes_high: int) -> tuple[Shard, list[TickOutput]]:
    """Return a shard whose price was low for ten minutes and then high; and what it told."""
    shard = Shard([BTC], NumpyBackend(), lambda: 0)
    events: list[Event] = [mark(at(MINUTE, -1), LOW), open_interest(at(MINUTE), "1000"), tick_end(MINUTE)]
    for number in range(10 + minutes_high):
        events += step(MINUTE + number, LOW if number < 10 else HIGH, 1000 + number)
    return shard, [output for event in events if (output := shard.accept(event)) is not None]


def view_of(shard: Shard) -> SymbolView:
    return shard.view()["BTC"]


def test_base_step_waits_an_hour_then_every_channel_begins_anew() -> None:
    before, _ = shard_after(60)
    after, told = shard_after(61)

    assert view_of(after).scale.base_step == 10 * view_of(before).scale.base_step == 2000
    fresh = told[-1].channels
    assert [update.channel.timeframe for update in fresh] == list(TIMEFRAMES)
    assert {update.axes.scale.base_step for update in fresh if update.axes is not None} == {2000}
    generations = {u.channel.channel_id: u.generation for output in told[:-1] for u in output.channels}
    assert [u.generation for u in fresh] == [generations[u.channel.channel_id] + 1 for u in fresh]


def test_a_price_that_comes_back_within_the_hour_changes_nothing() -> None:
    shard, _ = shard_after(35)
    for number in range(45, 140):
        for event in step(MINUTE + number, LOW if number % 50 == 0 else HIGH, 1000 + number):
            shard.accept(event)

    assert view_of(shard).scale.base_step == 200


def test_the_past_lies_on_the_new_rows_as_a_sum_of_the_old_ones() -> None:
    before, after = (view_of(shard_after(minutes)[0]) for minutes in (60, 61))
    frame = TIMEFRAMES[0]
    fine, coarse = (
        view.engine.project(view.ledger, frame, MINUTE + 69, RowRange(0, rows, 1))
        for view, rows in ((before, 80_000), (after, 8_000))
    )

    assert fine.any()
    assert (coarse == fine.reshape(frame.columns, 8_000, 10).sum(axis=2)).all()


def test_open_interest_without_a_price_opens_on_a_new_row() -> None:
    shard, _ = shard_after(61)
    cohorts = shard.book("BTC").cohorts()[0]
    for event in (open_interest(at(MINUTE + 72), "2000"), tick_end(MINUTE + 72)):
        shard.accept(event)

    opened = shard.book("BTC").cohorts()[0]
    new = opened.row[opened.open_minute > cohorts.open_minute.max()]
    assert len(new) > 0
    assert (np.abs(new * 2000 - HIGH) < 0.4 * HIGH).all()
