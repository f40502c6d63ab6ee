"""What a grid query may ask for, and that filters, moments and windows of one's own are exact parts of the book."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.axes import TIMEFRAMES, WEIGHT_ONE
from liqscape.clock import ManualClock
from liqscape.device.age_tiers import RAW_MINUTES
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import InvalidArgument, LimitExceeded, NotFound, OutOfRange, QueryError
from liqscape.events import PositionSide
from liqscape.feeds.simulate import PastSpan, SimulateSource
from liqscape.grid.queries import plan_grid
from liqscape.grid.shard import Shard
from liqscape.grid.symbol_model import SymbolView
from liqscape.grid.updates import GridQuery
from liqscape.instruments import LEVERAGE_TIERS
from liqscape.positions.mix import prior_inflow_mix
from tests.conftest import IS_FULL

START_NS = 1_795_000_020_000_000_000
QUERY = GridQuery("BTC", "24h")


def simulated_view(*, compacted: bool) -> SymbolView:
    """Return a book of ten simulated days and one live tick."""
    source = SimulateSource(
        clock=ManualClock(START_NS), symbols=("BTC",), start_ns=START_NS, past=(PastSpan(10 * 1440, 60),)
    )
    shard = Shard(source.description.instruments, NumpyBackend(), lambda: 0)
    for event in source.iterate(1):
        shard.accept(event)
    if compacted:
        for log, work in shard.compactions():
            log.adopt(work())
    return shard.view()["BTC"]


@pytest.fixture(scope="module")
def view() -> SymbolView:
    return simulated_view(compacted=True)


def answer(view: SymbolView, query: GridQuery) -> NDArray[np.int64]:
    channel = view.channels.get(query.timeframe)
    plan = plan_grid(
        query,
        instruments=view.instruments,
        mixes=view.mixes,
        scale=view.scale,
        mark_price=view.mark_price,
        now_minute=view.now_minute,
        view=view.ledger,
        history=channel.history if channel else (),
    )
    return view.engine.project(view.ledger, plan.axes.timeframe, plan.minute, plan.axes.rows, plan.weights)


def test_the_book_is_merged_in_these_tests(view: SymbolView) -> None:
    assert sum(len(tier.lots) for tier in view.ledger.tiers()) > 10_000


def test_default_query_is_the_streamed_grid(view: SymbolView) -> None:
    for frame in TIMEFRAMES:
        axes = view.channels[frame.name].axes

        grid = answer(view, GridQuery("BTC", frame.name))

        assert (grid == view.engine.project(view.ledger, frame, view.now_minute, axes.rows)).all()


def test_sides_and_tiers_are_exact_parts_of_the_whole(view: SymbolView) -> None:
    whole = answer(view, QUERY)

    by_side = sum(answer(view, replace(QUERY, side=side)) for side in PositionSide)
    by_tier = sum(answer(view, replace(QUERY, leverages=(leverage,))) for leverage in LEVERAGE_TIERS)

    assert np.array_equal(by_side, whole)
    assert np.array_equal(by_tier, whole)
    assert (answer(view, replace(QUERY, venues=("binance",))) == whole).all()
    assert 0 < answer(view, replace(QUERY, leverages=(10,))).sum() < whole.sum()


def test_model_mix_as_own_mix_is_the_book_but_is_called_not_reconciled(view: SymbolView) -> None:
    shares = tuple(zip(LEVERAGE_TIERS, prior_inflow_mix(LEVERAGE_TIERS), strict=True))
    doubled = dict(shares)
    doubled[3], doubled[10] = 2 * doubled[3], doubled[10] - doubled[3]

    own = answer(view, replace(QUERY, leverage_shares=shares))
    more = answer(view, replace(QUERY, leverage_shares=tuple(doubled.items()), leverages=(3,)))

    assert (own == answer(view, QUERY)).all()
    assert (more == 2 * answer(view, replace(QUERY, leverages=(3,)))).all()


def test_own_window_of_the_same_columns_is_the_timeframe(view: SymbolView) -> None:
    frame = next(f for f in TIMEFRAMES if f.name == "1w")
    rows = view.channels["1w"].axes.rows
    width = view.scale.base_step * rows.multiple / 10**view.scale.price_decimals
    own = GridQuery(
        "BTC",
        column_minutes=frame.column_minutes,
        columns=frame.columns,
        row_multiple=rows.multiple,
        price_low=rows.first * width,
        price_high=(rows.first + rows.count - 0.5) * width,
    )

    assert (answer(view, own) == answer(view, GridQuery("BTC", "1w"))).all()


def test_rows_and_range_of_ones_own_add_up(view: SymbolView) -> None:
    rows = view.channels["24h"].axes.rows
    fine = answer(view, replace(QUERY, row_multiple=1))
    coarse = answer(view, replace(QUERY, row_multiple=2))

    assert fine.shape[1] == 2 * rows.count
    assert (fine.reshape(720, -1, 2).sum(axis=2) == coarse).all()


@pytest.mark.slow
def test_as_of_equals_what_was_rendered_then() -> None:
    minutes = 50 if IS_FULL else 20
    source = SimulateSource(
        clock=ManualClock(START_NS),
        symbols=("BTC",),
        start_ns=START_NS,
        tick_ms=30_000,
        past=(PastSpan(12 * 1440, 60), PastSpan(60, 5)),
    )
    shard = Shard(source.description.instruments, NumpyBackend(), lambda: 0)
    rendered: dict[tuple[int, str], tuple[NDArray[np.uint8], int]] = {}
    for event in source.iterate(2 * minutes):
        output = shard.accept(event)
        if output is not None and output.tick % 7 == 0:
            for log, work in shard.compactions():
                log.adopt(work())
        if output is not None:
            now = shard.view()["BTC"]
            for name, channel in now.channels.items():
                grid = now.engine.project(now.ledger, channel.channel.timeframe, now.now_minute, channel.axes.rows)
                rendered[now.now_minute, name] = (grid.astype(np.int64).tobytes(), channel.generation)  # type: ignore[assignment]

    later = shard.view()["BTC"]
    pairs = list(rendered)
    chosen = np.random.default_rng(1).choice(len(pairs), 4 * minutes, replace=False)
    for number in chosen:
        minute, name = pairs[number]
        assert answer(later, GridQuery("BTC", name, as_of_minute=minute)).tobytes() == rendered[minute, name][0]


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        (replace(QUERY, timeframe="7m"), InvalidArgument, "timeframe '7m' is unknown; use one of 12h"),
        (replace(QUERY, column_minutes=5, columns=10), InvalidArgument, "exclude each other"),
        (GridQuery("BTC", column_minutes=5), InvalidArgument, "go together"),
        (GridQuery("BTC", column_minutes=720, columns=731), InvalidArgument, "more than a year"),
        (GridQuery("BTC", column_minutes=1, columns=9 * 1440), InvalidArgument, "use a multiple of 30"),
        (GridQuery("BTC", column_minutes=30, columns=430, row_multiple=7), InvalidArgument, "use a multiple of 5"),
        (replace(QUERY, row_multiple=0), InvalidArgument, "base_steps_per_row 0"),
        (replace(QUERY, price_low=90_000.0, price_high=80_000.0), InvalidArgument, "above price_high"),
        (replace(QUERY, price_low=float("nan")), InvalidArgument, "price_low nan"),
        (replace(QUERY, price_high=1e9), InvalidArgument, "too large"),
        (replace(QUERY, max_cells=1000), LimitExceeded, "cells; the limit of this caller is 1000"),
        (replace(QUERY, venues=("nowhere",)), NotFound, "known are binance"),
        (replace(QUERY, leverages=(7,)), InvalidArgument, "allowed are 3, 5, 10"),
        (replace(QUERY, leverage_shares=((3, 1_000_000),)), InvalidArgument, "below 16 is allowed"),
        (replace(QUERY, leverage_shares=((3, 5),)), InvalidArgument, "must sum to 1000000"),
    ],
)
def test_bad_query_names_the_field_and_what_is_allowed(
    view: SymbolView, query: GridQuery, error: type[QueryError], text: str
) -> None:
    with pytest.raises(error, match=text):
        answer(view, query)


def test_minute_outside_the_last_day_is_out_of_range_and_names_it(view: SymbolView) -> None:
    earliest = view.now_minute - RAW_MINUTES

    assert answer(view, replace(QUERY, as_of_minute=earliest)).any()
    with pytest.raises(OutOfRange, match=f"ask for {earliest} to {view.now_minute}"):
        answer(view, replace(QUERY, as_of_minute=earliest - 1))
    with pytest.raises(OutOfRange, match=f"ask for {earliest} to {view.now_minute}"):
        answer(view, replace(QUERY, as_of_minute=view.now_minute + 1))


def test_weight_one_means_lots(view: SymbolView) -> None:
    assert (answer(view, QUERY) % WEIGHT_ONE == 0).all()
