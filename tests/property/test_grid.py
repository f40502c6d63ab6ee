"""The grids of a shard are its book: newest column = what is open, levels = the projected ledger, replica = levels.

Seen to fail when broken on purpose, one at a time:
- numpy_backend.py, NumpyChannelBuffer.advance: one event seen too few, or the ring not written; _grow: `+=` set to `=`;
  _recompute: `np.ones` set to `np.zeros`, or `self._cells[rolled:]` to `self._cells[:kept]`; _window_to_ring:
  `newest_column + 1` set to `newest_column`;
- engine.py, GridEngine._prepare_channel: a generation that does not rise, rows that never move, a buffer kept across
  generations, `rolled` always false, `may_roll` always true;
- rolls.py, RollQueue.take: one channel more than allowed, the newest due ones first, `>= SPREAD_NS` never reached;
- book.py, EventBatch.sign: what was swept counted as opened.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from liqscape.axes import MINUTE_NS, WEIGHT_ONE
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.grid.rolls import ticks_to_spread_over
from liqscape.grid.shard import Shard
from liqscape.grid.symbol_model import SymbolView
from liqscape.grid.updates import TickOutput
from tests.property.made_up_days import Day, days, short_frames


class Replicas:
    """What a reader that applies every update holds."""

    def __init__(self) -> None:
        self.rings: dict[int, NDArray[np.uint8]] = {}
        self.generations: dict[int, int] = {}
        self.newest: dict[int, int] = {}

    def take(self, output: TickOutput) -> None:
        """Apply the updates of a tick, and check that they are as small as they promise."""
        for update in output.channels:
            number = update.channel.channel_id
            if update.axes is not None:
                assert update.generation == self.generations.get(number, 0) + 1
                self.rings[number] = np.zeros((update.channel.timeframe.columns, update.axes.rows.count), np.uint8)
            else:
                assert update.newest_column >= self.newest[number]
            assert update.generation == self.generations.get(number, 0) + (update.axes is not None)
            self.generations[number] = update.generation
            self.newest[number] = update.newest_column
            flat = self.rings[number].reshape(-1)
            assert (np.diff(update.cells.astype(np.int64)) > 0).all()
            assert (flat[update.cells] != update.levels).all()
            flat[update.cells] = update.levels


def check_view(view: SymbolView, shard: Shard, replicas: Replicas, *, all_rolled: bool) -> None:
    """Compare grids, levels and replicas of a symbol with its ledger and its book."""
    cohorts = shard.book(view.symbol).cohorts_in_lots()
    for known in view.channels.values():
        frame, rows, number = known.channel.timeframe, known.axes.rows, known.channel.channel_id
        grid = view.engine.project(view.ledger, frame, view.now_minute, rows, newest_column=known.newest_column)
        first_column = known.newest_column - frame.columns + 1
        row = cohorts.row // rows.multiple - rows.first
        counted = (cohorts.open_minute // frame.column_minutes >= first_column) & (row >= 0) & (row < rows.count)
        newest = np.zeros(rows.count, np.int64)
        np.add.at(newest, row[counted], cohorts.lots[counted] * WEIGHT_ONE)
        assert grid[-1].tolist() == newest.tolist()
        assert grid.min() >= 0
        ring = np.zeros(grid.shape, np.uint8)
        factors = np.array(view.scale.usd_per_weighted_lot(rows))
        for index in range(frame.columns):
            ring[(first_column + index) % frame.columns] = levels_of(grid[index], factors)
        assert ring.tobytes() == view.engine.levels(number).tobytes() == replicas.rings[number].tobytes()
        assert replicas.generations[number] == known.generation
        assert replicas.newest[number] == known.newest_column
        if all_rolled:
            assert known.newest_column == frame.column_of(view.now_minute)
            assert rows.holds_in_middle_half(view.scale.base_row(view.mark_price))


@pytest.mark.slow
@given(days(symbols=("BTC", "ETH"), min_ticks=10, max_ticks=20), st.integers(1, 4))
def test_grids_levels_and_replicas_are_the_book_after_every_rendered_tick(day: Day, rolls_per_tick: int) -> None:
    with short_frames():
        shard = Shard(day.instruments, NumpyBackend(), lambda: 0, rolls_per_tick=rolls_per_tick)
    replicas = Replicas()
    newest: dict[int, int] = {}
    ended_before: int | None = None

    for event in day.events():
        output = shard.accept(event)
        if output is not None:
            replicas.take(output)
            all_rolled = (shard.end_ns - 1) % MINUTE_NS >= MINUTE_NS // 2
            for view in shard.view().values():
                check_view(view, shard, replicas, all_rolled=all_rolled)
            rolled = sum(newest[number] != column for number, column in replicas.newest.items() if number in newest)
            left = ticks_to_spread_over(shard.end_ns, ended_before)
            assert left is None or rolled <= max(rolls_per_tick, -(-len(shard.channels) // left))
            ended_before = shard.end_ns
            newest = dict(replicas.newest)
