"""The kept past as events: order, what the trigger is, gaps, faults of the data, and that it is the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from liqscape.events import Candle, Event, Funding, Gap, MarkPrice, OpenInterest, TickEnd
from liqscape.feeds.backfill.page_store import PageStore
from liqscape.feeds.backfill.past import JUMP_SAMPLES, BackfilledHistory, marks_of
from liqscape.feeds.backfill.spans import Span
from liqscape.feeds.venues.dialect import Listing, Reading, Request
from liqscape.feeds.venues.history import PastSeries
from liqscape.market.state import MarketState
from tests.unit.feeds.backfill.made_up_history import (
    CANDLES,
    FUNDING,
    HOUR,
    HOURS,
    INSTRUMENT,
    LISTING,
    MARKS,
    MINUTE,
    NAME,
    SAMPLES,
    SECOND,
    START,
    VENUE,
    MadeUpHistory,
    candle,
    keep,
)

T = START // SECOND


def past(data: Path, **bounds: Any) -> BackfilledHistory:
    return BackfilledHistory(PageStore(data, read_only=True), (VENUE,), {VENUE.name: (LISTING,)}, **bounds)


def said(data: Path, **bounds: Any) -> list[Event]:
    return list(past(data, **bounds).iterate())


def test_minute_says_marks_then_what_was_traded_then_open_interest_and_ends_unrendered(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(0, 650_000, 300, 5)])
    keep(tmp_path, MARKS, [candle(0, 650_000, 50, 0)])
    keep(tmp_path, SAMPLES, [[T + 60, 77]])
    keep(tmp_path, FUNDING, [[T + 60, 100_000]])

    events = said(tmp_path)

    third = MINUTE // 3
    assert events == [
        Funding(NAME, START + MINUTE - 8 * HOUR, 100_000, 8),
        TickEnd(START + MINUTE - 8 * HOUR, render=False),
        MarkPrice(NAME, START, 650_000),
        MarkPrice(NAME, START + third, 650_050),
        MarkPrice(NAME, START + 2 * third, 649_950),
        MarkPrice(NAME, START + MINUTE - 1, 650_001),
        Candle(NAME, START, START + MINUTE, 650_000, 650_300, 649_700, 650_001, 5),
        OpenInterest(NAME, START + MINUTE, 77),
        TickEnd(START + MINUTE, render=False),
    ]


def test_trigger_is_the_range_of_the_mark_and_the_volume_that_of_the_trades(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(0, 650_000, 3_000, 10**8), candle(1, 650_000, 3_000, 10**8)])
    keep(tmp_path, MARKS, [candle(0, 650_000, 50, 0)])
    market = MarketState((INSTRUMENT,))

    bars = []
    for event in said(tmp_path):
        if isinstance(event, TickEnd):
            bars += market.close_tick(event.time_ns)
        else:
            market.apply(event)

    with_mark, without = bars
    scale = market.scale("BTC")
    assert scale is not None
    shift = 10 ** (scale.price_decimals - 1)
    assert with_mark.trigger is not None
    assert without.trigger is not None
    assert (with_mark.trigger.low, with_mark.trigger.high) == (649_950 * shift, 650_050 * shift)
    assert (without.trigger.low, without.trigger.high) == (647_000 * shift, 653_000 * shift)
    assert with_mark.traded is not None
    assert int(with_mark.traded.lots.sum()) == 10**scale.lot_decimals


@pytest.mark.parametrize(
    ("prices", "marks"),
    [
        ((10, 10, 10, 10), [10]),
        ((10, 12, 10, 12), [10, 12]),
        ((10, 15, 10, 12), [10, 15, 12]),
        ((10, 12, 5, 12), [10, 5, 12]),
        ((10, 15, 5, 10), [10, 15, 5]),
    ],
)
def test_mark_candle_becomes_its_open_high_low_and_close_once_each(
    prices: tuple[int, int, int, int], marks: list[int]
) -> None:
    found = list(marks_of(Candle(NAME, START, START + MINUTE, *prices, 0)))

    assert [mark.price for mark in found] == marks
    assert all(START <= mark.time_ns < START + MINUTE for mark in found)
    assert [mark.time_ns for mark in found] == sorted({mark.time_ns for mark in found})


def test_hole_in_the_candles_is_a_gap_said_when_they_go_on(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(0), candle(1), candle(5)])

    gaps = [event for event in said(tmp_path) if isinstance(event, Gap)]

    assert gaps == [Gap(NAME, START + 2 * MINUTE, START + 5 * MINUTE, "no candles")]


def test_open_interest_that_stays_away_is_a_gap_and_one_sample_is_not(tmp_path: Path) -> None:
    keep(tmp_path, SAMPLES, [[T, 50], [T + 600, 51], [T + 1_500, 52]])

    gaps = [event for event in said(tmp_path) if isinstance(event, Gap)]

    assert gaps == [Gap(NAME, START + 600 * SECOND, START + 1_500 * SECOND, "no open interest")]


def test_open_interest_that_jumps_is_rejected_and_counted_until_it_stays(tmp_path: Path) -> None:
    there_and_back = [[T, 1_000], [T + 300, 100_000], [T + 600, 1_010]]
    to_stay = [[T + 900 + 300 * n, 90_000] for n in range(JUMP_SAMPLES + 2)]
    keep(tmp_path, SAMPLES, there_and_back + to_stay)

    history = past(tmp_path)
    events = list(history.iterate())

    assert [e.quantity for e in events if isinstance(e, OpenInterest)] == [1_000, 1_010, 90_000, 90_000]
    assert sum(e.rejected for e in events if isinstance(e, Gap)) == 1 + JUMP_SAMPLES
    assert history.counters["rejected samples"] == 1 + JUMP_SAMPLES


def test_sample_between_minutes_is_said_at_the_end_of_its_minute(tmp_path: Path) -> None:
    keep(tmp_path, SAMPLES, [[T + 61, 50]])

    assert said(tmp_path) == [OpenInterest(NAME, (T + 61) * SECOND, 50), TickEnd(START + 2 * MINUTE, render=False)]


def test_coarse_candles_are_said_until_the_fine_ones_begin(tmp_path: Path) -> None:
    keep(tmp_path, HOURS, [candle(-120), candle(-60), candle(0), candle(60)])
    keep(tmp_path, CANDLES, [candle(30 + n) for n in range(3)])

    spans = [(e.open_time_ns, e.close_time_ns) for e in said(tmp_path) if isinstance(e, Candle)]

    assert spans == [
        (START - 2 * HOUR, START - HOUR),
        (START - HOUR, START),
        *((START + (30 + n) * MINUTE, START + (31 + n) * MINUTE) for n in range(3)),
    ]


def test_pages_that_overlap_say_each_row_once(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(n) for n in range(5)])
    keep(tmp_path, CANDLES, [candle(n) for n in range(3, 8)])

    history = past(tmp_path)
    opens = [e.open_time_ns for e in history.iterate() if isinstance(e, Candle)]

    assert opens == [START + n * MINUTE for n in range(8)]
    assert history.counters["repeated rows"] == 2


def test_damaged_page_is_left_out_counted_and_leaves_a_gap(tmp_path: Path) -> None:
    for first in (0, 10, 20):
        keep(tmp_path, CANDLES, [candle(first + n) for n in range(10)])
    damaged = sorted(tmp_path.rglob("*.page"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-2])

    history = past(tmp_path)
    events = list(history.iterate())

    assert history.counters["damaged pages"] == 1
    assert [e for e in events if isinstance(e, Gap)] == [
        Gap(NAME, START + 10 * MINUTE, START + 20 * MINUTE, "no candles")
    ]


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    keep(tmp_path, SAMPLES, [[T, 50], [T + 300, None]])

    history = past(tmp_path)

    assert len([e for e in history.iterate() if isinstance(e, OpenInterest)]) == 1
    assert history.counters["rows rejected"] == 1


def test_bounds_cut_the_past_and_the_end_is_told(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(n) for n in range(10)])
    keep(tmp_path, FUNDING, [[T + 240, 100_000]])  # of hours that began before

    history = past(tmp_path, from_ns=START + 3 * MINUTE, until_ns=START + 7 * MINUTE)
    events = list(history.iterate())

    assert [e.open_time_ns for e in events if isinstance(e, Candle)] == [START + n * MINUTE for n in (3, 4, 5, 6)]
    assert not [e for e in events if isinstance(e, Funding)]
    assert history.end_ns == START + 7 * MINUTE


def test_nothing_kept_is_an_empty_past(tmp_path: Path) -> None:
    history = past(tmp_path)

    assert history.is_empty
    assert list(history.iterate()) == []
    assert history.end_ns is None


async def test_events_are_those_of_iterate_and_progress_comes_to_its_end(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(n) for n in range(5)])
    keep(tmp_path, SAMPLES, [[T, 5]], span=Span(START, START + HOUR))

    history = past(tmp_path)
    assert (history.progress().done, history.progress().total) == (0, 2)
    events = [event async for event in history.events()]

    assert events == said(tmp_path)
    assert (history.progress().done, history.progress().total) == (2, 2)


class ForgetfulHistory(MadeUpHistory):
    """Leaves out what it was not asked for itself, as some venues' histories do."""

    def __init__(self, listing: Listing) -> None:
        super().__init__(listing)
        self._asked: list[Span] = []

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        self._asked.append(Span(from_ns, until_ns))
        return super().request(series, from_ns, until_ns)

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        if self._asked:
            super().read_page(series, body, into)


def test_page_asked_for_by_another_process_is_read_by_a_history_that_knows_what_it_asked(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(0), candle(1)])
    venue = replace(VENUE, history=ForgetfulHistory)

    history = BackfilledHistory(PageStore(tmp_path, read_only=True), (venue,), {VENUE.name: (LISTING,)})

    assert sum(isinstance(event, Candle) for event in history.iterate()) == 2
