"""A live source that begins with the kept past: where one ends and the other begins, and after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from liqscape.clock import ManualClock
from liqscape.config import SourceConfig
from liqscape.events import Candle, Event, Gap, MarkPrice, TickEnd
from liqscape.feeds.backfill.with_past import WithPast
from liqscape.feeds.build import build_source
from liqscape.feeds.exact import ExactView, ReportsExact
from liqscape.feeds.live.source import LiveSource
from liqscape.feeds.resumed import ResumableSource, events_after
from liqscape.feeds.source import Progress, SourceDescription
from liqscape.feeds.status import ReportsFeeds, VenueStatus
from tests.unit.feeds.backfill.made_up_history import (
    CANDLES,
    INSTRUMENT,
    LISTING,
    MINUTE,
    NAME,
    SECOND,
    START,
    VENUE,
    candle,
    keep,
)

LIVE = START + 10 * MINUTE


class FakeLive:
    """Two ticks of a quarter of a second, the first of which ends at LIVE."""

    description = SourceDescription(name="live: made-up", instruments=(INSTRUMENT,), tick_ms=250)

    def progress(self) -> Progress:
        return Progress(1, 1, "instruments are heard")

    def feeds(self) -> tuple[VenueStatus, ...]:
        return (VenueStatus(venue="made-up", message="", channels=()),)

    async def events(self) -> AsyncIterator[Event]:
        for number in range(2):
            yield MarkPrice(NAME, LIVE + number * SECOND // 4 - 1, 650_000 + number)
            yield TickEnd(LIVE + number * SECOND // 4)


def source(data: Path, now_ns: int = LIVE) -> WithPast:
    return WithPast(FakeLive(), data, (VENUE,), {VENUE.name: (LISTING,)}, ManualClock(now_ns))


async def test_past_comes_first_unrendered_then_a_gap_and_what_is_live(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(0), candle(1)])

    events = [event async for event in source(tmp_path).events()]

    assert [(e.time_ns, e.render) for e in events if isinstance(e, TickEnd)] == [
        (START + MINUTE, False),
        (START + 2 * MINUTE, False),
        (LIVE, True),
        (LIVE + SECOND // 4, True),
    ]
    gap = Gap(NAME, START + 2 * MINUTE, LIVE - SECOND // 4, "the server was not running")
    at = events.index(gap)
    assert events[at - 1] == MarkPrice(NAME, LIVE - 1, 650_000)
    assert events[at + 1] == TickEnd(LIVE)


async def test_without_a_past_it_is_the_live_source(tmp_path: Path) -> None:
    assert [event async for event in source(tmp_path).events()] == [event async for event in FakeLive().events()]


async def test_restarted_server_takes_what_was_backfilled_of_its_absence(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(n) for n in range(6)])
    with_past = source(tmp_path)

    events = [event async for event in events_after(with_past, START + 4 * MINUTE)]

    assert isinstance(with_past, ResumableSource)
    assert [e.open_time_ns for e in events if isinstance(e, Candle)] == [START + 4 * MINUTE, START + 5 * MINUTE]
    assert [e.from_ns for e in events if isinstance(e, Gap)] == [START + 6 * MINUTE]


async def test_restarted_server_without_newer_pages_says_the_whole_gap(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(0)])

    events = [event async for event in events_after(source(tmp_path), START + 4 * MINUTE)]

    assert [e.from_ns for e in events if isinstance(e, Gap)] == [START + 4 * MINUTE]
    assert [e.render for e in events if isinstance(e, TickEnd)] == [True, True]


async def test_pages_of_the_future_are_not_the_past(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(n) for n in range(6)])

    events = [event async for event in source(tmp_path, START + 3 * MINUTE).events()]

    assert max(e.close_time_ns for e in events if isinstance(e, Candle)) == START + 3 * MINUTE


async def test_progress_is_of_the_past_while_it_is_told_and_status_of_the_venues_always(tmp_path: Path) -> None:
    keep(tmp_path, CANDLES, [candle(n) for n in range(6)])
    with_past = source(tmp_path)
    assert isinstance(with_past, ReportsFeeds)

    seen = set()
    async for event in with_past.events():
        if isinstance(event, TickEnd):
            seen.add((event.render, with_past.progress().what))

    assert seen == {(False, "pages"), (True, "instruments are heard")}
    assert [status.venue for status in with_past.feeds()] == ["made-up"]


def test_accounts_are_those_of_the_live_source_and_none_where_it_follows_none(tmp_path: Path) -> None:
    class Following(FakeLive):
        def exact(self) -> tuple[ExactView, ...]:
            return (ExactView("made-up", ()),)

    plain = source(tmp_path)
    following = WithPast(Following(), tmp_path, (VENUE,), {VENUE.name: (LISTING,)}, ManualClock(LIVE))

    assert isinstance(following, ReportsExact)
    assert (plain.exact(), following.exact()) == ((), (ExactView("made-up", ()),))


def test_live_source_of_a_data_folder_begins_with_its_past(tmp_path: Path) -> None:
    wanted = SourceConfig(kind="live", venues=("binance-usdm",), symbols=("BTC",))

    plain = build_source(wanted, ManualClock(LIVE))
    with_past = build_source(replace(wanted, past=tmp_path), ManualClock(LIVE))

    assert isinstance(plain, LiveSource)
    assert isinstance(with_past, WithPast)
    assert with_past.description == plain.description
