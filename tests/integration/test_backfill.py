"""A backfill against a loopback server that answers as Binance documents it, rightly and wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from liqscape.feeds.backfill.coverage import Coverage, coverage
from liqscape.feeds.backfill.page_store import PageStore
from liqscape.feeds.backfill.run import EMPTY_PAGES_END, Backfill
from liqscape.feeds.backfill.spans import SETTLED_NS
from liqscape.feeds.live.transport import open_transport, through_relay
from liqscape.feeds.venues import binance_history
from liqscape.feeds.venues.binance_history import CANDLES, BinanceHistory
from liqscape.feeds.venues.dialect import Budget, Listing, Venue
from liqscape.feeds.venues.registry import find_venue, listings
from tests.history_server import FIRST_MS, MINUTE_MS, Answer, Fault, HistoryServer, history_server
from tests.unit.feeds.backfill.jumping_time import JumpingTime

MINUTE = 60_000_000_000
END = (FIRST_MS + 3_000 * MINUTE_MS) * 1_000_000
"""Of what is final, 3,000 minutes after the listing."""

NOW = END + SETTLED_NS
DAY = 86_400 * 10**9
USDM = find_venue("binance-usdm")
VENUES = (USDM,)
LISTINGS = listings(VENUES, ("BTC",))
ONE: Mapping[str, Sequence[Listing]] = {USDM.name: [each for each in LISTINGS[USDM.name] if each.name == "BTCUSDT"]}


async def fill(
    server: HistoryServer,
    data: Path,
    *,
    now_ns: int = NOW,
    from_ns: int = END - DAY,
    venues: Sequence[Venue] = VENUES,
    wanted: Mapping[str, Sequence[Listing]] = ONE,
) -> tuple[Backfill, JumpingTime]:
    """Run a backfill to its end."""
    timing = JumpingTime(now_ns)
    with closing(PageStore(data)) as store:
        async with open_transport(through_relay(server.url)) as transport:
            ran = Backfill(store, transport, timing)
            await ran.run(venues, wanted, from_ns)
    return ran, timing


def covered(data: Path, now_ns: int = NOW, from_ns: int = END - DAY) -> dict[str, Coverage]:
    store = PageStore(data, read_only=True)
    return {found.key.series: found for found in coverage(store, VENUES, ONE, from_ns, now_ns)}


def pages_of(data: Path) -> list[Path]:
    """Return the kept pages, those of candles first."""
    return sorted(data.rglob("*.page"))


def bad(status: int, **headers: str) -> web.Response:
    return web.Response(status=status, text="no", headers=headers)


async def test_day_is_fetched_whole_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    async with history_server() as server:
        ran, _ = await fill(server, tmp_path)
        asked = len(server.asked)
        again, _ = await fill(server, tmp_path)

        found = covered(tmp_path)
        assert {name: (each.rows, each.gaps, each.unasked) for name, each in found.items()} == {
            "candles 1m": (1_440, (), ()),
            "mark 1m": (1_440, (), ()),
            "open interest 5m": (288, (), ()),
            "funding": (3, (), ()),
        }
        assert all(each.share == 1.0 for each in found.values())
        assert ran.progress[USDM.name].rows == 1_440 + 1_440 + 288 + 3
        assert (len(server.asked), again.progress[USDM.name].total) == (asked, 0)


async def test_later_run_asks_only_for_what_has_come_since(tmp_path: Path) -> None:
    async with history_server() as server:
        await fill(server, tmp_path)
        server.asked.clear()
        later = NOW + 30 * MINUTE
        await fill(server, tmp_path, now_ns=later)

        begins = {path.rpartition("/")[2]: int(query["startTime"]) for path, query in server.asked}
        assert begins["klines"] == END // 10**6
        assert covered(tmp_path, later)["candles 1m"].rows == 1_470


async def test_newest_pages_come_first(tmp_path: Path) -> None:
    async with history_server() as server:
        await fill(server, tmp_path, from_ns=END - 2 * DAY)

        begins = [int(query["startTime"]) for path, query in server.asked if path.endswith("/klines")]
        assert begins == sorted(begins, reverse=True)
        assert len(begins) >= 3


async def test_venue_that_says_too_many_is_not_asked_before_it_allows(tmp_path: Path) -> None:
    async with history_server() as server:
        server.faults = [Fault(lambda rows: bad(429, **{"Retry-After": "77"}), times=2, path="klines")]
        ran, timing = await fill(server, tmp_path)

        assert covered(tmp_path)["candles 1m"].rows == 1_440
        assert not ran.progress[USDM.name].failed
        assert sum(1 for slept in timing.sleeps if slept > 70) >= 1
        assert timing.monotonic() >= 77


@pytest.mark.parametrize(
    "answer",
    [
        lambda rows: bad(503),
        lambda rows: web.Response(text="[[1790000"),
        lambda rows: web.Response(text="<html>"),
        lambda rows: web.json_response({"code": -1001, "msg": "DISCONNECTED"}),
    ],
    ids=["503", "truncated", "html", "refused"],
)
async def test_failed_try_is_repeated(tmp_path: Path, answer: Answer) -> None:
    async with history_server() as server:
        server.faults = [Fault(answer, times=3)]
        ran, timing = await fill(server, tmp_path)

        assert {name: each.share for name, each in covered(tmp_path).items()} == dict.fromkeys(covered(tmp_path), 1.0)
        assert not ran.progress[USDM.name].failed
        assert len(timing.sleeps) >= 3


async def test_page_that_fails_for_good_is_counted_and_asked_for_by_the_next_run(tmp_path: Path) -> None:
    async with history_server() as server:
        server.faults = [Fault(lambda rows: bad(502), times=10_000, path="/klines")]
        ran, _ = await fill(server, tmp_path)
        assert ran.progress[USDM.name].failed == {"HTTP 502": 2}
        assert covered(tmp_path)["candles 1m"].rows == 0
        assert covered(tmp_path)["mark 1m"].rows == 1_440

        server.faults.clear()
        await fill(server, tmp_path)

        assert covered(tmp_path)["candles 1m"].rows == 1_440


async def test_wrong_request_is_not_repeated(tmp_path: Path) -> None:
    async with history_server() as server:
        server.faults = [Fault(lambda rows: bad(400), times=10_000, path="fundingRate")]
        ran, _ = await fill(server, tmp_path)

        assert ran.progress[USDM.name].failed == {"HTTP 400: no": 1}
        assert sum(path.endswith("fundingRate") for path, _ in server.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 451])
async def test_venue_that_refuses_us_is_left_alone(tmp_path: Path, status: int) -> None:
    async with history_server() as server:
        server.faults = [Fault(lambda rows: bad(status), times=10_000)]
        ran, _ = await fill(server, tmp_path, from_ns=END - 2 * DAY)

        progress = ran.progress[USDM.name]
        assert progress.refused == f"HTTP {status}: no"
        assert progress.done == progress.total
        assert len(server.asked) <= 3  # those on their way when the first answer came


async def test_answer_that_never_comes_is_given_up_and_asked_for_again(tmp_path: Path) -> None:
    async with history_server() as server:
        server.delay_s = 30.0
        server.busy_after = 3
        task = asyncio.create_task(fill(server, tmp_path))
        await server.busy.wait()
        server.delay_s = 0.0
        await task

        assert covered(tmp_path)["candles 1m"].share == 1.0


async def test_answer_cut_short_is_asked_for_the_rest(tmp_path: Path) -> None:
    async with history_server() as server:
        server.faults = [
            Fault(lambda rows: rows[:300], times=3, path="/klines"),
            Fault(lambda rows: rows[-200:], path="/klines"),
        ]
        await fill(server, tmp_path)

        found = covered(tmp_path)["candles 1m"]
        assert (found.rows, found.gaps) == (1_440, ())


async def test_gap_of_the_venue_is_told_and_asked_for_once(tmp_path: Path) -> None:
    hole = range(FIRST_MS + 2_000 * MINUTE_MS, FIRST_MS + 2_042 * MINUTE_MS)
    async with history_server() as server:
        server.absent = lambda path, stamp: path == "klines" and stamp in hole
        await fill(server, tmp_path)
        asked = len(server.asked)
        await fill(server, tmp_path)

        found = covered(tmp_path)["candles 1m"]
        assert found.rows == 1_440 - 42
        assert [(gap.from_ns // 10**6, gap.until_ns // 10**6) for gap in found.gaps] == [(hole.start, hole.stop)]
        assert len(server.asked) == asked


async def test_duplicates_and_overlapping_pages_are_dropped_and_counted(tmp_path: Path) -> None:
    async with history_server() as server:

        def overlapping(rows: list[list[object]]) -> list[list[object]]:
            before = [[int(str(row[0])) - 5_000 * MINUTE_MS, *row[1:]] for row in rows[:4]]
            return [*before, *rows[::-1], *rows[:7]]

        server.faults = [Fault(overlapping, times=2, path="/klines")]
        ran, _ = await fill(server, tmp_path)

        assert covered(tmp_path)["candles 1m"].rows == 1_440
        assert ran.progress[USDM.name].dropped == {"outside what was asked for": 8, "told twice": 14}


async def test_series_that_ends_is_not_asked_for_beyond(tmp_path: Path) -> None:
    """The market was listed two days ago; a year is wanted."""
    async with history_server() as server:
        await fill(server, tmp_path, from_ns=END - 365 * DAY)
        asked = sum(path.endswith("/klines") for path, _ in server.asked)
        again, _ = await fill(server, tmp_path, from_ns=END - 365 * DAY)

        with_rows = -(-3_000 // 1_000) + 1
        assert asked <= with_rows + EMPTY_PAGES_END + 3
        assert sum(path.endswith("/klines") for path, _ in server.asked) == asked
        assert again.progress[USDM.name].rows == 0


async def test_new_rows_of_a_series_that_ended_are_still_fetched(tmp_path: Path) -> None:
    async with history_server() as server:
        await fill(server, tmp_path, from_ns=END - 365 * DAY)
        ran, _ = await fill(server, tmp_path, now_ns=NOW + DAY, from_ns=END - 364 * DAY)

        assert ran.progress[USDM.name].rows == 1_440 + 1_440 + 288 + 3


async def test_budget_of_the_venue_is_never_exceeded(tmp_path: Path) -> None:
    """Two pages of candles or marks a minute, here; two days of both have six."""

    def small(listing: Listing) -> BinanceHistory:
        history = BinanceHistory(listing, binance_history.USDM)
        history.budgets = (Budget("history", 2 * CANDLES.weight, 60.0), *history.budgets[1:])
        return history

    async with history_server() as server:
        _, timing = await fill(server, tmp_path, from_ns=END - 2 * DAY, venues=(replace(USDM, history=small),))

        assert sum(path.endswith("lines") for path, _ in server.asked) == 6
        assert 120 <= timing.monotonic() < 180


async def test_damaged_page_is_set_aside_and_fetched_anew(tmp_path: Path) -> None:
    async with history_server() as server:
        await fill(server, tmp_path)
        page = pages_of(tmp_path)[0]
        page.write_bytes(page.read_bytes()[:-3])

        ran, _ = await fill(server, tmp_path)

        assert [path.name for path in ran.set_aside] == [f"{page.name}.damaged"]
        assert covered(tmp_path)["candles 1m"].rows == 1_440
        assert covered(tmp_path)["candles 1m"].damaged == 0


async def test_run_that_is_cut_off_keeps_what_it_had(tmp_path: Path) -> None:
    async with history_server() as server:
        server.delay_s = 0.02
        server.busy_after = 6
        task = asyncio.create_task(fill(server, tmp_path, from_ns=END - 2 * DAY))
        await server.busy.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        kept = len(pages_of(tmp_path))
        server.delay_s = 0.0
        server.asked.clear()

        await fill(server, tmp_path, from_ns=END - 2 * DAY)

        assert kept >= 2
        assert covered(tmp_path, from_ns=END - 2 * DAY)["candles 1m"].rows == 2_880
        assert len(server.asked) == len(pages_of(tmp_path)) - kept
