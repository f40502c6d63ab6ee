"""The shard: events in, tick outputs out."""

from __future__ import annotations

from dataclasses import astuple, replace
from itertools import count

import numpy as np
import pytest

from liqscape.axes import TIMEFRAME_NAMES, WEIGHT_ONE
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.errors import ModelError
from liqscape.events import Event, TickEnd
from liqscape.grid.shard import Shard
from liqscape.grid.updates import PositionModel, TickOutput
from liqscape.market.bars import Bar
from liqscape.positions.book import BookStep
from tests.unit.recording_backend import RecordingBackend
from tests.unit.synthetic_market import (
    BTC,
    EXAMPLE_MINUTE,
    at,
    candle,
    make_instrument,
    mark,
    open_interest,
    tick_end,
    trade,
)

MINUTE = EXAMPLE_MINUTE
ETH = make_instrument("ETHUSDT", symbol="ETH", price_decimals=2)
EXAMPLE: list[Event] = [
    mark(at(MINUTE, -1), 908_000),
    open_interest(at(MINUTE), "88060.900"),
    tick_end(MINUTE),
    candle(MINUTE, MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "2241.182"),
    open_interest(at(MINUTE + 5), "88351.808"),
    tick_end(MINUTE + 5),
]


def make_shard() -> Shard:
    """Return a shard of BTC and ETH whose wall clock ticks once a question."""
    ticks = count(1_000)
    return Shard([ETH, BTC], NumpyBackend(), lambda: next(ticks))


def accept_all(shard: Shard, events: list[Event]) -> list[TickOutput]:
    return [output for event in events if (output := shard.accept(event)) is not None]


def unrendered(events: list[Event]) -> list[Event]:
    """Return the events with ticks that ask for no grids."""
    return [replace(event, render=False) if isinstance(event, TickEnd) else event for event in events]


def test_channels_are_numbered_by_symbol_and_timeframe() -> None:
    shard = make_shard()

    assert [channel.channel_id for channel in shard.channels] == list(range(1, 19))
    assert [channel.symbol for channel in shard.channels] == ["BTC"] * 9 + ["ETH"] * 9
    assert [channel.timeframe.name for channel in shard.channels] == list(TIMEFRAME_NAMES) * 2


def test_tick_says_price_coverage_and_all_nine_grids() -> None:
    shard = make_shard()

    first, second = accept_all(shard, EXAMPLE)

    assert (first.tick, second.tick) == (1, 2)
    assert [update.channel.timeframe.name for update in second.channels] == list(TIMEFRAME_NAMES)
    assert [(s.symbol, s.mark_price, s.price_decimals) for s in second.symbols] == [("BTC", 890_406, 1)]
    assert second.symbols[0].source_watermark_ns == at(MINUTE + 5)
    (venue,) = second.venues
    assert venue.live_lots == (81_780_860, 81_780_860)
    assert venue.uncovered_lots == (8_753_399_940, 8_753_399_940)
    assert venue.covered_share() == 81_780_860 / 8_835_180_800
    assert first.bars_closed_unix_ns < first.grids_ready_unix_ns < second.bars_closed_unix_ns


def test_what_is_heard_after_a_tick_changes_nothing_that_is_said_of_it() -> None:
    shard = make_shard()
    accept_all(shard, EXAMPLE)
    before, served = shard.view()["BTC"], shard.served()
    book = shard.live_book("BTC", PositionModel.NET_OF_CLOSES).profile()()

    accept_all(
        shard,
        [trade(at(MINUTE + 5, 1), 850_000, "9"), mark(at(MINUTE + 5, 2), 850_000), open_interest(at(MINUTE + 6), "7")],
    )

    now = shard.view()["BTC"]
    assert (now.mark_price, now.source_watermark_ns, now.coverage) == (890_406, at(MINUTE + 5), before.coverage)
    assert shard.served() == served
    after = shard.live_book("BTC", PositionModel.NET_OF_CLOSES).profile()()
    assert all(map(np.array_equal, astuple(book), astuple(after)))
    assert accept_all(shard, [tick_end(MINUTE + 6)])[0].symbols[0].mark_price == 850_000


def test_tick_before_any_price_says_nothing_and_is_counted() -> None:
    shard = make_shard()

    outputs = accept_all(shard, [open_interest(at(MINUTE), "5"), tick_end(MINUTE)])

    assert outputs == []
    assert (shard.tick, shard.render(), shard.view(), shard.status()) == (1, None, {}, ())


def test_tick_that_is_not_rendered_says_nothing_and_is_counted() -> None:
    shard, rendered = make_shard(), make_shard()

    outputs = accept_all(shard, [*unrendered(EXAMPLE[:3]), *EXAMPLE[3:]])
    accept_all(rendered, EXAMPLE)

    assert [output.tick for output in outputs] == [2]
    assert [update.generation for update in outputs[0].channels] == [1] * 9
    for channel in shard.channels[:9]:
        assert shard.engine("BTC").levels(channel.channel_id).any()
    assert shard.engine("BTC").ledger_events == rendered.engine("BTC").ledger_events


def test_render_on_demand_says_what_the_last_tick_left() -> None:
    shard = make_shard()
    accept_all(shard, unrendered(EXAMPLE))

    output = shard.render()
    again = shard.render()

    assert output is not None
    assert again is not None
    assert (output.tick, len(output.channels)) == (2, 9)
    assert again.channels == ()


def test_row_range_moves_with_the_price_into_a_new_generation() -> None:
    shard = make_shard()
    accept_all(shard, EXAMPLE)
    crash = candle(MINUTE + 5, MINUTE + 10, (890_406, 890_406, 820_000, 830_000), "100")

    (output,) = accept_all(shard, [crash, open_interest(at(MINUTE + 10), "88000"), tick_end(MINUTE + 10)])

    generations = {update.channel.timeframe.name: update.generation for update in output.channels}
    moved = {update.channel.timeframe.name for update in output.channels if update.axes is not None}
    assert moved == {"12h", "24h"}
    assert {name for name, generation in generations.items() if generation == 2} == moved
    for update in output.channels:
        if update.axes is not None:
            assert update.axes.rows.holds_in_middle_half(830_000 // 200)


def test_unannounced_instrument_is_a_defect_of_the_source() -> None:
    with pytest.raises(ModelError, match="unannounced instrument 'venue:DOGEUSDT'"):
        make_shard().accept(mark(at(MINUTE), 1, instrument=make_instrument("DOGEUSDT", symbol="DOGE")))


@pytest.mark.slow
def test_symbols_have_books_of_their_own() -> None:
    events: list[Event] = [*EXAMPLE[:3], mark(at(MINUTE + 1), 300_000, instrument=ETH), *EXAMPLE[3:]]

    first, second = accept_all(make_shard(), events)

    assert [s.symbol for s in first.symbols] == ["BTC"]
    assert [(s.symbol, s.mark_price) for s in second.symbols] == [("BTC", 890_406), ("ETH", 300_000)]
    assert [update.channel.channel_id for update in second.channels] == list(range(1, 19))


def test_view_stays_as_it_was_when_the_shard_goes_on() -> None:
    shard = make_shard()
    accept_all(shard, EXAMPLE)
    view = shard.view()["BTC"]
    before = len(view.ledger), view.ledger.columns().lots.sum()

    accept_all(
        shard,
        [candle(MINUTE + 5, MINUTE + 10, (890_406, 890_406, 800_000, 810_000), "9"), tick_end(MINUTE + 10)],
    )

    assert shard.engine("BTC").ledger_events > before[0]
    assert (len(view.ledger), view.ledger.columns().lots.sum()) == before
    assert (view.tick, view.now_minute, view.mark_price) == (2, MINUTE + 4, 890_406)
    assert list(view.channels) == list(TIMEFRAME_NAMES)
    assert view.channels["24h"].candles.column[-1] == (MINUTE + 4) // 2


def test_grid_of_a_view_is_the_book() -> None:
    shard = make_shard()
    accept_all(shard, EXAMPLE)
    view = shard.view()["BTC"]
    channel = view.channels["1y"]

    grid = view.engine.project(view.ledger, channel.axes.timeframe, view.now_minute, channel.axes.rows)

    cohorts, _ = shard.book("BTC").cohorts()
    rows = cohorts.row // channel.axes.rows.multiple - channel.axes.rows.first
    served = (rows >= 0) & (rows < channel.axes.rows.count)
    assert grid[-1].sum() == cohorts.lots[served].sum() * WEIGHT_ONE
    assert np.count_nonzero(~served) == 0


def test_status_counts_cohorts_and_events() -> None:
    shard = make_shard()
    accept_all(shard, EXAMPLE)

    (status,) = shard.status()

    assert status.symbol == "BTC"
    assert status.live_cohorts == status.ledger_events == shard.engine("BTC").ledger_events > 0
    assert status.mark_price == 890_406


def test_observer_sees_every_step_with_its_bars() -> None:
    seen: list[tuple[str, int, int]] = []

    def observe(symbol: str, bars: list[Bar], step: BookStep) -> None:
        seen.append((symbol, bars[0].minute, len(step.samples)))

    accept_all(Shard([BTC], NumpyBackend(), lambda: 0, observe), EXAMPLE)

    assert seen == [("BTC", MINUTE - 1, 2), ("BTC", MINUTE + 4, 2)]


def test_bars_are_closed_before_books_take_them_and_grids_are_ready_after() -> None:
    clock = count(1)
    steps: list[int] = []

    def observe(symbol: str, bars: list[Bar], step: BookStep) -> None:
        steps.append(next(clock))

    shard = Shard([BTC], NumpyBackend(), lambda: next(clock), observe)
    outputs = [output for event in EXAMPLE if (output := shard.accept(event)) is not None]

    stamps = [(output.bars_closed_unix_ns, output.grids_ready_unix_ns) for output in outputs]
    assert len(stamps) == len(steps) == 2
    assert all(closed < step < ready for (closed, ready), step in zip(stamps, steps, strict=True))


def test_sample_held_until_the_first_price_starts_the_account() -> None:
    shard = Shard([BTC], NumpyBackend(), lambda: 0)

    accept_all(
        shard,
        [open_interest(at(MINUTE), "5"), tick_end(MINUTE), mark(at(MINUTE), 908_000), tick_end(MINUTE + 1)],
    )

    assert shard.book("BTC").account(BTC.instrument_id).last_sample == 500_000


def test_sample_held_within_the_minute_of_the_first_price_starts_the_account() -> None:
    shard = Shard([BTC], NumpyBackend(), lambda: 0)

    # Ticks of a second: the sample and the first price share a minute.
    accept_all(
        shard,
        [
            open_interest(at(MINUTE, 0.5), "5"),
            tick_end(MINUTE, 1),
            mark(at(MINUTE, 1.5), 908_000),
            tick_end(MINUTE, 2),
            trade(at(MINUTE, 2.5), 908_000),
            mark(at(MINUTE, 2.5), 908_000),
            open_interest(at(MINUTE, 2.7), "6"),
            tick_end(MINUTE, 3),
        ],
    )

    account = shard.book("BTC").account(BTC.instrument_id)
    assert (account.last_sample, account.uncovered) == (600_000, [500_000, 500_000])


def both_symbols(eth_late: bool = False) -> list[Event]:
    """Return three ticks of BTC and ETH: prices, samples that begin the accounts, and samples that close and open.

    Args:
        eth_late: of ETH, the first sample comes before the first price, so it is a bar of its own in the second tick.
    """
    eth_price = mark(at(MINUTE, -1), 300_000, instrument=ETH)
    eth_sample = open_interest(at(MINUTE), "5000", instrument=ETH)
    eth_traded = candle(MINUTE, MINUTE + 5, (300_000, 301_000, 299_000, 300_000), "9000", instrument=ETH)
    eth_again = open_interest(at(MINUTE + 5), "5100", instrument=ETH)
    late = mark(at(MINUTE + 5), 300_000, instrument=ETH)
    return [
        *EXAMPLE[:2],
        *([] if eth_late else [eth_price]),
        eth_sample,
        EXAMPLE[2],
        *EXAMPLE[3:5],
        *([late] if eth_late else [eth_traded, eth_again]),
        EXAMPLE[5],
        candle(MINUTE + 5, MINUTE + 10, (890_406, 890_406, 820_000, 830_000), "2000"),
        candle(MINUTE + 5, MINUTE + 10, (300_000, 301_000, 280_000, 290_000), "9000", instrument=ETH),
        open_interest(at(MINUTE + 10), "88200"),
        open_interest(at(MINUTE + 10), "5050", instrument=ETH),
        tick_end(MINUTE + 10),
    ]


def test_tick_is_one_call_a_stage_for_all_symbols_and_books() -> None:
    backend = RecordingBackend()
    shard = Shard([ETH, BTC], backend, lambda: 0)

    outputs = accept_all(shard, both_symbols())

    assert len(outputs) == 3
    assert backend.calls == [
        *(("sweep", 4), ("advance", 18)),
        *(("sweep", 4), ("append", 4), ("advance", 18)),  # everything that is open is uncovered still
        *(("sweep", 4), ("close", 2), ("append", 2), ("advance", 18)),  # open interest falls: open-only does nothing
    ]


@pytest.mark.parametrize("eth_late", [False, True])
@pytest.mark.parametrize("with_open_only", [False, True])
def test_symbol_beside_another_one_is_what_it_is_alone(eth_late: bool, with_open_only: bool) -> None:
    events = both_symbols(eth_late)
    seen: list[tuple[str, int]] = []

    def observe(symbol: str, bars: list[Bar], step: BookStep) -> None:
        seen.append((symbol, bars[0].minute))

    shard = Shard([ETH, BTC], NumpyBackend(), lambda: 0, observe, with_open_only=with_open_only)

    outputs = accept_all(shard, events)

    for instrument in (BTC, ETH):
        symbol = instrument.symbol
        single = Shard([instrument], NumpyBackend(), lambda: 0, with_open_only=with_open_only)
        mine = [e for e in events if getattr(e, "instrument_id", instrument.instrument_id) == instrument.instrument_id]
        changes = [dict(cells_by_frame(output, symbol)) for output in accept_all(single, mine)]
        assert changes == [found for output in outputs if (found := dict(cells_by_frame(output, symbol)))]
        assert ledger_of(shard, symbol) == ledger_of(single, symbol)
    first, second, third = (MINUTE - 1, MINUTE + 4, MINUTE + 9)
    ticks = [[("BTC", first), ("ETH", first)], [("BTC", second), ("ETH", second)], [("BTC", third), ("ETH", third)]]
    if eth_late:
        ticks[:2] = [[("BTC", first)], [("BTC", second), ("ETH", first), ("ETH", second)]]
    assert seen == [step for tick in ticks for step in tick]


def cells_by_frame(output: TickOutput, symbol: str) -> list[tuple[str, tuple[list[int], list[int]]]]:
    return [
        (update.channel.timeframe.name, (update.cells.tolist(), update.levels.tolist()))
        for update in output.channels
        if update.channel.symbol == symbol
    ]


def ledger_of(shard: Shard, symbol: str) -> list[list[int]]:
    columns = shard.engine(symbol).capture().columns()
    return [columns.minute.tolist(), columns.row.tolist(), columns.key.tolist(), columns.lots.tolist()]


def test_status_says_for_each_symbol_what_the_grids_of_all_took() -> None:
    shard = make_shard()
    accept_all(shard, both_symbols())

    assert [status.tick_compute_ms for status in shard.status()] == [1e-6, 1e-6]
