"""Custom channels: the grid of a query with the same filter and rows, over rolls, moves of rows and coarser base rows.

Seen to fail when broken on purpose, one at a time, in custom_channels.py: `whole` never set; a grid taken over that was
built for rows the leader has left; the buffer kept when rows move; the price path begun anew; coarse rows counted from
the lowest row of the grid in place of row 0; coarse rows that begin inside of the grid left out.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.axes import RowRange, last_minute_before, timeframe
from liqscape.device.backend import LedgerView
from liqscape.device.numpy_backend import NumpyBackend, levels_of
from liqscape.device.numpy_channel import NumpyChannelBuffer
from liqscape.events import Event, PositionSide
from liqscape.grid.channel_specs import ChannelSpec, PositionFilter
from liqscape.grid.custom_channels import ChannelBuild
from liqscape.grid.queries import plan_grid
from liqscape.grid.shard import Shard
from liqscape.grid.updates import Channel, ChannelAxes, ChannelUpdate, GridQuery, TickOutput
from tests.conftest import IS_FULL
from tests.unit.synthetic_market import BTC, EXAMPLE_MINUTE, at, candle, mark, open_interest, tick_end

MINUTE = EXAMPLE_MINUTE
EVERY = 1 if IS_FULL else 3
"""Ticks between two comparisons, each of which makes every grid anew: what is wrong once stays so for long."""

LONGS = PositionFilter.of(side=PositionSide.LONG)
TENS = PositionFilter.of(leverages=[10, 25], leverage_shares=[(10, 400_000), (25, 350_000), (50, 250_000)])
SPECS = (
    ChannelSpec("BTC", "12h", LONGS),
    ChannelSpec("BTC", "24h", TENS),
    ChannelSpec("BTC", "24h", None, row_fold=2),
    ChannelSpec("BTC", "12h", TENS, row_fold=16),
)


class Recomputing(NumpyBackend):
    """A host that makes every grid anew in every tick, as a device does."""

    recomputes_every_tick = True


class Rings:
    """What a reader that takes every update holds of each channel."""

    def __init__(self) -> None:
        self.axes: dict[int, ChannelAxes] = {}
        self.levels: dict[int, NDArray[np.uint8]] = {}
        self.last: dict[int, ChannelUpdate] = {}
        self.generations: dict[int, list[int]] = {}

    def take(self, output: TickOutput) -> None:
        for update in output.channels:
            number = update.channel.channel_id
            if update.axes is not None:
                self.axes[number] = update.axes
                self.levels[number] = np.zeros((update.axes.timeframe.columns, update.axes.rows.count), np.uint8)
                self.generations.setdefault(number, []).append(update.generation)
                np.testing.assert_array_equal(update.candles.column, update.all_candles.column)
            self.levels[number].reshape(-1)[update.cells] = update.levels
            self.last[number] = update


def trading(minutes: int, seed: int = 1) -> Iterator[Event]:
    """Yield minutes of a market that falls and rises far enough for rows to move, then tenfold for them to coarsen."""
    rng = random.Random(seed)
    price, coins = 900_000, 1_000
    yield from (mark(at(MINUTE, -1), price), open_interest(at(MINUTE), str(coins)), tick_end(MINUTE))
    for number in range(minutes):
        if number % 10 == 9:
            price = rng.randrange(780_000, 1_020_000, 10)
        if number == minutes - 65:
            price = 9_900_000  # in an hour the base step becomes ten times as high
        price += 10 * rng.randrange(-900, 900)
        coins = max(900, coins + rng.randrange(-30, 35))
        minute = MINUTE + number
        yield candle(minute, minute + 1, (price, price + 3_000, price - 3_000, price), str(rng.randrange(50, 150)))
        yield open_interest(at(minute + 1), str(coins))
        yield tick_end(minute + 1)


def run_builds(shard: Shard) -> None:
    for build in shard.channel_builds():
        build.run()


def expected(shard: Shard, channel: Channel, newest_column: int) -> NDArray[np.uint8]:
    """Return the levels of GetGrid with the filter of a channel, as a ring."""
    view, positions = shard.view()["BTC"], channel.positions or PositionFilter()
    history = view.channels[channel.timeframe.name].history
    plan = plan_grid(
        GridQuery(
            "BTC",
            channel.timeframe.name,
            leverages=positions.leverages,
            side=positions.side,
            leverage_shares=positions.leverage_shares,
            row_multiple=channel.row_fold * history[-1].axes.rows.multiple,
        ),
        instruments=view.instruments,
        mixes=view.mixes,
        scale=view.scale,
        mark_price=view.mark_price,
        now_minute=view.now_minute,
        view=view.ledger,
        history=history,
    )
    rows = plan.axes.rows
    cells = view.engine.project(view.ledger, channel.timeframe, plan.minute, rows, plan.weights, newest_column)
    window = levels_of(cells, np.array(view.scale.usd_per_weighted_lot(rows)))
    return np.roll(window, (newest_column + 1) % channel.timeframe.columns, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "generations"), [(NumpyBackend(), 10), (Recomputing(), 11)], ids=["built aside", "built in the tick"]
)
def test_custom_channel_is_the_query_of_the_same_filter_after_every_tick(
    backend: NumpyBackend, generations: int
) -> None:
    shard, rings = Shard([BTC], backend, lambda: 0, max_custom_channels=len(SPECS)), Rings()
    channels: list[Channel] = []
    compared: Counter[int] = Counter()
    for event in trading(160):
        output = shard.accept(event)
        if output is None:
            continue
        rings.take(output)
        run_builds(shard)
        if output.tick == 20:
            channels = [shard.on_demand.open(spec) for spec in SPECS]
            run_builds(shard)
        for channel in channels if output.tick % EVERY == 0 else ():
            default = next(c for c in shard.channels if c.timeframe == channel.timeframe)
            number = channel.channel_id
            leader = rings.axes[default.channel_id]
            wanted = replace(leader, rows=leader.rows.folded(channel.row_fold))
            if rings.axes.get(number) != wanted:
                assert output.tick <= 20 + EVERY or not backend.recomputes_every_tick
                continue
            newest = rings.last[default.channel_id].newest_column
            assert rings.last[number].newest_column == newest
            np.testing.assert_array_equal(rings.levels[number], expected(shard, channel, newest))
            if any(update.channel == channel for update in output.channels):
                prices = shard.engine("BTC").candles(default.channel_id, newest)
                np.testing.assert_array_equal(rings.last[number].all_candles.column, prices.column)
                np.testing.assert_array_equal(rings.last[number].all_candles.high, prices.high)
            compared[number] += bool(rings.levels[number].any())

    assert min(compared[channel.channel_id] for channel in channels) > 70 // EVERY
    # The first one aside came too late.
    assert [len(rings.generations[c.channel_id]) for c in channels] == [generations] * len(SPECS)
    assert shard.channel_builds() == []


def test_tick_never_makes_a_first_grid_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    shard = Shard([BTC], NumpyBackend(), lambda: 0)
    made: list[str] = []
    recompute = NumpyChannelBuffer._recompute
    where = "tick"

    def noted(self: NumpyChannelBuffer, view: LedgerView, now_minute: int, newest: int) -> NDArray[np.int64]:
        if (self._weights != 4096).any():
            made.append(where)
        return recompute(self, view, now_minute, newest)

    monkeypatch.setattr(NumpyChannelBuffer, "_recompute", noted)
    for event in trading(60):
        output = shard.accept(event)
        if output is not None and output.tick == 10:
            shard.on_demand.open(ChannelSpec("BTC", "12h", LONGS))
        if output is not None:
            where = "aside"
            run_builds(shard)
            where = "tick"

    assert set(made) == {"aside"}
    assert len(made) > 1  # rows have moved since


def test_channel_goes_on_with_its_old_rows_until_the_new_ones_are_built() -> None:
    shard, rings = Shard([BTC], NumpyBackend(), lambda: 0), Rings()
    moved: list[RowRange] = []
    builds: list[ChannelBuild] = []
    number = 0
    for event in trading(60):
        output = shard.accept(event)
        if output is None:
            continue
        rings.take(output)
        if output.tick == 12:
            number = shard.on_demand.open(ChannelSpec("BTC", "12h", LONGS)).channel_id
            run_builds(shard)
            continue
        builds = builds or shard.channel_builds()
        if builds:
            moved.append(rings.axes[number].rows)
            if len(moved) == 3:
                builds.pop().run()
                break

    assert len(set(moved)) == 1
    assert rings.last[number].newest_column == rings.last[1].newest_column
    assert rings.axes[1].rows != moved[0]


def test_grid_built_for_rows_that_have_moved_again_is_thrown_away() -> None:
    shard, rings = Shard([BTC], NumpyBackend(), lambda: 0), Rings()
    number, late = 0, None
    for event in trading(60):
        output = shard.accept(event)
        if output is None:
            continue
        rings.take(output)
        if output.tick == 5:
            number = shard.on_demand.open(ChannelSpec("BTC", "12h", LONGS)).channel_id
            (late,) = shard.channel_builds()
        elif late is not None and len(rings.generations[1]) == 2:
            late.run()
            late = None
            break

    output = next(o for e in [tick_end(MINUTE + 60)] if (o := shard.accept(e)) is not None)
    rings.take(output)
    assert number not in rings.levels
    assert [build.channel.channel_id for build in shard.channel_builds()] == [number]


def test_self_check_covers_custom_channels() -> None:
    shard = Shard([BTC], NumpyBackend(), lambda: 0)
    for event in trading(30):
        output = shard.accept(event)
        if output is not None and output.tick == 10:
            shard.on_demand.open(ChannelSpec("BTC", "12h", LONGS))
        run_builds(shard) if output is not None else None
    check = shard.self_check(9)
    assert check is not None

    fine = check()
    (state,) = shard.engine("BTC").custom.states()
    assert isinstance(state.buffer, NumpyChannelBuffer)
    state.buffer._cells[3, 5] += 1
    again = shard.self_check(9)

    assert fine is None
    assert again is not None
    assert again() == f"1 of {state.buffer._cells.size} cells of BTC 12h differ"
    assert timeframe("12h").column_of(last_minute_before(shard.end_ns)) == state.newest_column


def test_default_channels_do_not_depend_on_who_has_opened_what() -> None:
    plain, busy = (Shard([BTC], NumpyBackend(), lambda: 0) for _ in range(2))
    rings = Rings(), Rings()
    for event in trading(40):
        outputs = plain.accept(event), busy.accept(event)
        if outputs[0] is None:
            continue
        if busy.tick == 5:
            for positions in (LONGS, TENS):
                busy.on_demand.open(ChannelSpec("BTC", "12h", positions, 17))
        run_builds(busy)
        told = []
        for output, held in zip(outputs, rings, strict=True):
            assert output is not None
            held.take(output)
            told.append([(u.channel, u.generation, u.newest_column, u.cells.tolist()) for u in output.channels])
        assert told[0] == [update for update in told[1] if update[0].positions is None]

    assert len(rings[1].levels) == len(rings[0].levels) + 2
    assert all(np.array_equal(rings[0].levels[number], rings[1].levels[number]) for number in rings[0].levels)
