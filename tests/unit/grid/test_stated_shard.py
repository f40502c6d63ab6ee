"""Stated positions in a shard: ticks without bars, what is told of them, and how old they may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from liqscape.axes import MINUTE_NS, WEIGHT_ONE, RowRange, SymbolScale, timeframe
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import STATED_PRICE_DECIMALS, STATEMENT_HOLDS_NS, PositionSide, PositionStatement, TickEnd
from liqscape.grid import symbol_model
from liqscape.grid.book_steps import steps_by_symbol
from liqscape.grid.shard import UNHEARD_NS, Shard
from liqscape.grid.updates import PositionModel
from liqscape.positions.stated_changes import AccountNews
from tests.equal_shards import differences
from tests.unit.synthetic_market import (
    BTC,
    EXAMPLE_MINUTE,
    at,
    base_coins,
    make_bar,
    mark,
    open_interest,
    tick_end,
)


def shard_with_open_interest() -> Shard:
    shard = Shard([BTC], NumpyBackend(), lambda: 0)
    for event in (
        mark(at(EXAMPLE_MINUTE), 900_000),
        open_interest(at(EXAMPLE_MINUTE), "10"),
        tick_end(EXAMPLE_MINUTE, 1, render=False),
    ):
        shard.accept(event)
    return shard


def long_of(quantity: str, price: int, second: float = 2) -> PositionStatement:
    units = price * 10**STATED_PRICE_DECIMALS
    when = at(EXAMPLE_MINUTE, second)
    return PositionStatement(BTC.instrument_id, when, 7, PositionSide.LONG, base_coins(quantity), units)


def newest(shard: Shard, row: int) -> int:
    """Return what the newest column of the day has in a base row, in lots."""
    view = shard.view()["BTC"]
    grid = view.engine.project(view.ledger, timeframe("24h"), view.now_minute, RowRange(row, 1, 1))
    return int(grid[-1, 0]) // WEIGHT_ONE


def test_statement_in_a_tick_without_bars_is_in_grid_and_coverage_of_that_tick() -> None:
    shard = shard_with_open_interest()

    shard.accept(long_of("2.5", 80_000))
    output = shard.accept(tick_end(EXAMPLE_MINUTE + 1, 1))

    assert output is not None
    (coverage,) = output.venues
    assert (coverage.live_lots, coverage.uncovered_lots) == ((250_000, 0), (750_000, 1_000_000))
    assert (coverage.stated_lots, coverage.stated_beyond_lots) == ((250_000, 0), (0, 0))
    assert newest(shard, 4000) == 250_000
    assert shard.view()["BTC"].ledger.columns().minute.tolist() == [EXAMPLE_MINUTE + 1]
    assert shard.counters["positions_stated"] == 1
    assert len(shard.live_book("BTC", PositionModel.OPEN_ONLY).cohorts_in_lots()) == 0


def test_statement_that_is_an_hour_old_is_let_go_in_a_tick_in_which_nothing_was_said() -> None:
    shard = shard_with_open_interest()
    shard.accept(long_of("2.5", 80_000))
    for minute in range(1, 60, 5):
        shard.accept(tick_end(EXAMPLE_MINUTE + minute, render=False))
    end = at(EXAMPLE_MINUTE, 2) + STATEMENT_HOLDS_NS

    shard.accept(tick_end(EXAMPLE_MINUTE + 60, 2 - 1e-9, render=False))
    before = shard.view()["BTC"].coverage[0]
    shard.accept(tick_end(EXAMPLE_MINUTE + 60, 2, render=False))
    after = shard.view()["BTC"].coverage[0]

    assert end == at(EXAMPLE_MINUTE + 60, 2)
    assert (before.stated_lots, after.stated_lots) == ((250_000, 0), (0, 0))
    assert before.live_lots == after.live_lots == (250_000, 0)
    assert newest(shard, 4000) == 250_000


@pytest.mark.parametrize("down_ns", [UNHEARD_NS + 1, 30 * STATEMENT_HOLDS_NS])
def test_time_in_which_nobody_listened_makes_no_statement_older(down_ns: int) -> None:
    shard = shard_with_open_interest()
    shard.accept(long_of("2.5", 80_000))
    shard.accept(replace(long_of("1", 79_000, 32), account=8))
    shard.accept(tick_end(EXAMPLE_MINUTE + 1, render=False))
    up_ns = at(EXAMPLE_MINUTE + 1, 0) + down_ns
    found: list[int] = []

    # The first one was 58 s old when the last tick before ended.
    ends = [up_ns, *range(up_ns + UNHEARD_NS, up_ns + STATEMENT_HOLDS_NS - 58 * 10**9, UNHEARD_NS)]
    for end_ns in (*ends, up_ns + STATEMENT_HOLDS_NS - 58 * 10**9 - 1, up_ns + STATEMENT_HOLDS_NS - 58 * 10**9):
        shard.accept(TickEnd(end_ns, render=False))
        found.append(shard.view()["BTC"].coverage[0].stated_lots[PositionSide.LONG])

    assert found == [350_000] * (len(ends) + 1) + [100_000]


def test_step_in_which_nothing_turns_out_to_be_too_old_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Who was restored knows better than who lived how old the oldest statement is, and makes no such step.
    monkeypatch.setattr(symbol_model, "COARSEN_AFTER_MINUTES", 50)
    monkeypatch.setattr(SymbolScale, "is_too_fine", lambda scale, price: True)
    lived, restored = shard_with_open_interest(), Shard([BTC], NumpyBackend(), lambda: 0)
    for minute in (0, 9, 18):
        lived.accept(replace(long_of("2.5", 80_000), time_ns=at(EXAMPLE_MINUTE + minute, 2)))
        lived.accept(tick_end(EXAMPLE_MINUTE + minute, 3, render=False))
    restored.restore(lived.snapshot()())

    for minute in (27, 36, 45, 54, 61):
        for shard in (lived, restored):
            shard.accept(tick_end(EXAMPLE_MINUTE + minute, render=False))

    assert lived.book("BTC").scale == restored.book("BTC").scale
    assert differences(lived, restored) == []


def test_statement_is_as_old_as_the_clock_says_that_was_set_back_by_hours() -> None:
    shard = shard_with_open_interest()
    shard.accept(tick_end(EXAMPLE_MINUTE + 600, 1, render=False))  # a clock that is far ahead
    stated_ns = at(EXAMPLE_MINUTE, 2)

    shard.accept(long_of("2.5", 80_000))
    shard.accept(TickEnd(stated_ns + STATEMENT_HOLDS_NS - 1, render=False))
    before = shard.view()["BTC"].coverage[0]
    shard.accept(TickEnd(stated_ns + STATEMENT_HOLDS_NS, render=False))
    after = shard.view()["BTC"].coverage[0]

    assert shard.counters["held_ticks"] == 2
    assert (before.stated_lots, after.stated_lots) == ((250_000, 0), (0, 0))


def test_news_is_part_of_the_last_step_of_its_symbol_or_a_step_of_its_own() -> None:
    early, late = make_bar(10), make_bar(11)
    news = AccountNews(11, 12 * MINUTE_NS)

    with_bars = steps_by_symbol([early, late], ["BTC", "ETH"], {"BTC": news})
    without = steps_by_symbol([early], ["BTC", "ETH"], {"ETH": news})

    assert [(step.bars, step.news) for step in with_bars["BTC"]] == [([early], None), ([late], news)]
    assert list(with_bars) == ["BTC"]
    assert [(step.bars, step.news, step.minute) for step in without["ETH"]] == [([], news, 11)]
    assert without["BTC"][0].news is None
