"""The grid engine: generations, what an update says, and that nothing of it is lost."""

from __future__ import annotations

import numpy as np
import pytest

from liqscape.axes import TIMEFRAMES, WEIGHT_ONE
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.grid.engine import GridEngine
from liqscape.grid.updates import Channel, ChannelUpdate
from liqscape.positions.book import BookStep, Cause, EventBatch
from tests.unit.synthetic_market import BTC_SCALE, make_bar, make_batch, make_instrument, middle_price

MINUTE = 29_430_000  # the first of a column in every timeframe but the longest
ROW = 4540
MARK = middle_price(ROW)
OTHER = make_instrument("BTCUSDC")


@pytest.fixture
def engine() -> GridEngine:
    """Return the engine of nine channels, numbered from 1 in the order of the timeframes."""
    channels = tuple(Channel(number + 1, "BTC", frame) for number, frame in enumerate(TIMEFRAMES))
    return GridEngine(channels, BTC_SCALE, 1, NumpyBackend())


def opened(minute: int, *cohorts: tuple[int, int]) -> BookStep:
    """Return a step that opened cohorts given as (row, lots)."""
    batch = make_batch(*((minute, row, 0, lots) for row, lots in cohorts))
    return BookStep((EventBatch(minute, Cause.OPENED, batch),), ())


NOTHING = BookStep((), ())


def by_name(updates: list[ChannelUpdate]) -> dict[str, ChannelUpdate]:
    return {update.channel.timeframe.name: update for update in updates}


def test_first_render_begins_generation_one_of_every_channel(engine: GridEngine) -> None:
    engine.record(opened(MINUTE, (4100, 1_000_000)), [make_bar(MINUTE, (ROW, ROW))])

    updates = engine.render(MINUTE, MARK)

    assert [update.channel.channel_id for update in updates] == list(range(1, 10))
    for update in updates:
        frame = update.channel.timeframe
        assert update.generation == 1
        assert update.axes is not None
        assert update.axes.rows == BTC_SCALE.row_range(frame, MARK)
        assert update.newest_column == MINUTE // frame.column_minutes
        assert len(update.cells) == len(update.levels) == 1
        row = 4100 // update.axes.rows.multiple - update.axes.rows.first
        assert update.cells[0] == update.newest_column % frame.columns * update.axes.rows.count + row
        assert update.candles.close.tolist() == update.all_candles.close.tolist() == [MARK]
        assert engine.axes(update.channel.channel_id) == (1, update.axes)


def test_nothing_is_known_of_a_channel_before_its_first_render(engine: GridEngine) -> None:
    assert engine.axes(1) is None
    assert engine.levels(1).size == 0
    assert engine.ledger_events == 0


def test_unchanged_channel_says_nothing(engine: GridEngine) -> None:
    engine.record(opened(MINUTE, (4100, 1_000_000)), [make_bar(MINUTE, (ROW, ROW))])
    engine.render(MINUTE, MARK)

    assert engine.render(MINUTE, MARK) == []


def test_delta_names_the_changed_cells_and_no_axes(engine: GridEngine) -> None:
    engine.record(opened(MINUTE, (4100, 1_000_000)), [make_bar(MINUTE, (ROW, ROW))])
    engine.render(MINUTE, MARK)

    engine.record(opened(MINUTE, (4200, 1_000_000)), [make_bar(MINUTE, (ROW, ROW))])
    updates = engine.render(MINUTE, MARK)

    assert len(updates) == 9
    assert {(update.generation, update.axes, len(update.cells)) for update in updates} == {(1, None, 1)}


def test_column_that_rolls_is_said_even_when_no_cell_changes(engine: GridEngine) -> None:
    engine.record(NOTHING, [make_bar(MINUTE, (ROW, ROW))])
    engine.render(MINUTE, MARK)

    updates = by_name(engine.render(MINUTE + 1, MARK))

    assert list(updates) == ["12h"]
    assert updates["12h"].newest_column == MINUTE + 1
    assert len(updates["12h"].cells) == 0


def test_price_that_leaves_the_middle_half_begins_a_new_generation_from_zeros(engine: GridEngine) -> None:
    engine.record(opened(MINUTE, (4100, 1_000_000)), [make_bar(MINUTE, (ROW, ROW))])
    engine.render(MINUTE, MARK)
    # 7 % up: beyond half of the 12 % served on 12h and 24h, inside it elsewhere.
    moved = middle_price(ROW * 107 // 100)

    updates = by_name(engine.render(MINUTE, moved))

    assert list(updates) == ["12h", "24h"]
    for update in updates.values():
        assert update.generation == 2
        assert update.axes is not None
        assert update.axes.rows == BTC_SCALE.row_range(update.channel.timeframe, moved)
        ring = np.zeros_like(engine.levels(update.channel.channel_id))
        ring.reshape(-1)[update.cells] = update.levels
        assert ring.tolist() == engine.levels(update.channel.channel_id).tolist()
        assert update.candles.column.tolist() == update.all_candles.column.tolist()
    assert engine.axes(9) is not None
    assert engine.axes(9) == (1, engine.axes(9)[1])  # type: ignore[index]


def test_price_within_the_middle_half_keeps_the_rows(engine: GridEngine) -> None:
    engine.record(NOTHING, [make_bar(MINUTE, (ROW, ROW))])
    engine.render(MINUTE, MARK)

    assert engine.render(MINUTE, middle_price(ROW * 105 // 100)) == []


def test_levels_said_are_those_of_the_exact_grid(engine: GridEngine) -> None:
    engine.record(opened(MINUTE, (4100, 1_000_000), (4800, 77_000)), [make_bar(MINUTE, (ROW, ROW))])

    engine.render(MINUTE, MARK)

    for number, frame in enumerate(TIMEFRAMES):
        known = engine.axes(number + 1)
        assert known is not None
        rows = known[1].rows
        grid = engine.project(engine.capture(), frame, MINUTE, rows)
        levels = levels_of(grid, np.array(BTC_SCALE.usd_per_weighted_lot(rows)))
        assert grid.sum() == 1_077_000 * WEIGHT_ONE
        assert engine.levels(number + 1)[frame.column_of(MINUTE) % frame.columns].tolist() == levels[-1].tolist()


def test_candle_is_of_the_first_instrument_with_a_price(engine: GridEngine) -> None:
    without = make_bar(MINUTE)
    first, second = make_bar(MINUTE, (ROW, ROW + 3)), make_bar(MINUTE, (ROW - 90, ROW), instrument=OTHER)
    engine.record(NOTHING, [without, first, second])

    update = engine.render(MINUTE, MARK)[0]

    assert (update.candles.low.tolist(), update.candles.high.tolist()) == ([MARK], [middle_price(ROW + 3)])


def test_deltas_say_every_candle_that_changed(engine: GridEngine) -> None:
    engine.record(opened(MINUTE, (4100, 1_000_000)), [make_bar(MINUTE, (ROW, ROW))])
    said: dict[int, dict[int, tuple[int, ...]]] = {number: {} for number in range(1, 10)}

    for step, rows in enumerate([(ROW, ROW), (ROW - 5, ROW + 5), (ROW, ROW), (ROW + 1, ROW + 1)]):
        # The price moves and no lots do: at most a column rolls.
        engine.record(NOTHING, [make_bar(MINUTE + step, rows)])
        for update in engine.render(MINUTE + step, MARK):
            candles = zip(*(getattr(update.candles, n).tolist() for n in ("open", "high", "low", "close")), strict=True)
            said[update.channel.channel_id].update(zip(update.candles.column.tolist(), candles, strict=True))

    for number, frame in enumerate(TIMEFRAMES):
        window = engine.candles(number + 1, frame.column_of(MINUTE + 3))
        candles = zip(*(getattr(window, n).tolist() for n in ("open", "high", "low", "close")), strict=True)
        # What has not been said yet may follow in a later update, but only of the newest column.
        complete = dict(list(zip(window.column.tolist(), candles, strict=True))[:-1])
        assert {c: said[number + 1].get(c) for c in complete} == complete
