"""A live source in a server, its captures, and replays of them; over real sockets of a fake exchange."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from liqscape.__main__ import main
from liqscape.app import serve
from liqscape.clock import ManualClock
from liqscape.config import ServeConfig, SourceConfig
from liqscape.events import Event, OpenInterest, TickEnd
from liqscape.feeds.build import build_source
from liqscape.feeds.live.capture_file import CaptureWriter
from liqscape.feeds.live.feeds import Feeds
from liqscape.feeds.live.replay import ReplaySource
from liqscape.feeds.live.slices import SLICES_A_TICK, STEPPED_BACK_NS
from liqscape.feeds.live.source import FeedsStopped, LiveSource
from liqscape.feeds.venues.dialect import Listing, Venue
from liqscape.running import RunningServer
from liqscape_client.client import Client
from tests.fake_exchange.audit import flows, unannounced, unreconciled
from tests.fake_exchange.scaled_time import ScaledTime
from tests.fake_exchange.server import FakeExchange
from tests.fake_exchange.venues import binance_coinm, binance_usdm, like_binance

pytestmark = pytest.mark.slow

TICK_NS = 250_000_000


async def eventually(holds: object, seconds: float = 20.0) -> None:
    assert callable(holds)
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.02)


async def test_a_server_shows_a_heatmap_of_what_two_venues_say() -> None:
    exchange = FakeExchange([binance_usdm(), binance_coinm()], ScaledTime(1.0, time.time_ns()))
    seen: list[str] = []

    async def use(server: RunningServer) -> None:
        async with Client(server.address) as client, asyncio.timeout(30):
            while True:
                status = await client.status()
                states = {c.channel: c.state for feed in status.feeds for c in feed.channels}
                if status.symbols and status.symbols[0].live_cohorts and states["trades"] == "live":
                    break
                await asyncio.sleep(0.1)
            seen.extend(feed.venue for feed in status.feeds)
            seen.extend(part.instrument for part in status.symbols[0].coverage)
            grid = await client.grid("BTC", "12h")
            assert grid.cells.sum() > 0
            assert status.input == "live: binance-usdm, binance-coinm"

    async with exchange.running():
        source = SourceConfig(
            kind="live", symbols=("BTC",), venues=("binance-usdm", "binance-coinm"), relay=exchange.address
        )
        await serve(ServeConfig(source=source, listen="127.0.0.1:0", backend="numpy"), use)

    assert seen == ["binance-usdm", "binance-coinm", "binance:BTCUSDC", "binance:BTCUSDT", "binance:BTCUSD_PERP"]
    assert "feeds" not in {thread.name for thread in threading.enumerate()}


async def test_a_server_that_starts_again_says_what_it_has_missed(tmp_path: Path) -> None:
    exchange = FakeExchange([binance_usdm()], ScaledTime(1.0, time.time_ns()))
    gaps: list[int] = []

    async def use(server: RunningServer) -> None:
        async with asyncio.timeout(30):
            while True:
                status = await server.status()
                trades = [c.events for feed in status.feeds for c in feed.channels if c.channel == "trades"]
                if status.state == "serving" and status.symbols and sum(trades):
                    break
                await asyncio.sleep(0.1)
        gaps.append((await server.status()).counters["gaps"])

    async with exchange.running():
        source = SourceConfig(kind="live", symbols=("BTC",), venues=("binance-usdm",), relay=exchange.address)
        config = ServeConfig(source=source, listen="127.0.0.1:0", backend="numpy", data=tmp_path)
        await serve(config, use)
        await asyncio.sleep(1.0)
        await serve(config, use)

    # Of the second life: what was missed between both, and until its first message (of sockets, perhaps of the poll).
    assert gaps[1] >= gaps[0] + 2


class SteppingClock(ManualClock):
    """A clock that is set back by an hour after so many ticks."""

    def __init__(self, ticks: int) -> None:
        super().__init__(1_795_219_200_000_000_000)
        self._slices = ticks * SLICES_A_TICK

    async def sleep_until_ns(self, deadline_ns: int) -> None:
        await super().sleep_until_ns(deadline_ns)
        self._slices -= 1
        if self._slices == 0:
            self.advance(-3600 * 10**9)


async def test_ticks_move_on_when_the_clock_is_set_back() -> None:
    venue, listings, fake = like_binance("stepped", 1)
    exchange = FakeExchange([fake], ScaledTime(1.0))
    async with exchange.running():
        source = LiveSource(
            [venue], {venue.name: listings}, SteppingClock(3), rewrite=exchange.rewrite, timing=ScaledTime(1.0)
        )
        ends: list[int] = []
        events = source.events()
        async for event in events:
            if isinstance(event, TickEnd):
                ends.append(event.time_ns)
            if len(ends) == 6:
                break
        await events.aclose()  # type: ignore[attr-defined]

    steps = [later - before for before, later in pairwise(ends)]
    assert steps == [TICK_NS, TICK_NS, STEPPED_BACK_NS, STEPPED_BACK_NS, STEPPED_BACK_NS]


async def test_a_defect_of_the_feeds_thread_ends_the_source_with_its_name() -> None:
    venue, listings, _ = like_binance("broken", 1)
    source = LiveSource([venue], {venue.name: listings}, ScaledTime(20.0))
    source._feeds.tell = lambda: 1 // 0  # type: ignore[method-assign,assignment]

    with pytest.raises(FeedsStopped, match="ExceptionGroup"):
        async for _ in source.events():
            pass


@contextlib.asynccontextmanager
async def captured(folder: Path) -> AsyncIterator[tuple[list[Event], Venue, tuple[Listing, ...], FakeExchange, Path]]:
    """Yield what was heard in a minute of a venue with renewals and two cut connections, and its capture."""
    venue, listings, fake = like_binance("taped", 7, lambda endpoint: replace(endpoint, max_age_s=20.0))
    clock = ScaledTime(20.0)
    exchange = FakeExchange([fake], clock)
    heard: list[Event] = []
    writer = CaptureWriter(folder / "taped.jsonl.gz", {"venues": ["taped"], "symbols": ["BTC"]}, 1 << 14, 20 * 10**9)
    feeds = Feeds([venue], {"taped": listings}, heard.extend, clock, seed=5, recorder=writer, rewrite=exchange.rewrite)
    async with exchange.running():
        running = asyncio.create_task(feeds.run())
        for _ in range(2):
            await clock.sleep(24.0)
            writer.flush(clock.now_ns())
            await fake.drop()
        await clock.sleep(12.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    writer.close(clock.now_ns())
    yield heard, venue, listings, exchange, folder


async def test_a_replay_says_what_was_heard_live_and_twice_the_same(tmp_path: Path) -> None:
    async with captured(tmp_path) as (heard, venue, listings, exchange, folder):
        source = ReplaySource(folder, [venue], {venue.name: listings}, ManualClock())

        once = list(source.ticks())
        again = list(source.ticks())

    said = [event for _, events in once for event in events]
    assert once == again
    assert flows(said) == flows(heard)
    assert [e for e in said if isinstance(e, OpenInterest)] == [e for e in heard if isinstance(e, OpenInterest)]
    assert len(source.capture.paths) > 1
    assert source.desks.counts["over"] >= 1
    truth = exchange._all[0].market.truth
    assert unannounced(truth, said, max(event.time_ns for event in flows(said))) == []
    samples, wrong = unreconciled([events for _, events in once], source.description.instruments)
    assert (samples > 5, wrong) == (True, [])


async def test_commands_record_a_venue_and_count_what_it_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange = FakeExchange([binance_usdm()], ScaledTime(1.0, time.time_ns()))
    out = tmp_path / "all.jsonl.gz"
    async with exchange.running():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "liqscape"),
            *("capture", "--venues", "binance-usdm", "--symbols", "BTC", "--seconds", "3"),
            *("--out", str(out), "--relay", exchange.address),
        )
        assert await asyncio.wait_for(process.wait(), 60) == 0
    (path,) = tmp_path.iterdir()  # noqa: ASYNC240 (nothing else waits)

    assert main(["replay", str(path)]) == 0
    shown = capsys.readouterr().out

    assert "binance-usdm: trades " in shown
    assert "OpenInterest " in shown
    source = build_source(SourceConfig(kind="replay", manifest=path, speed=None), ManualClock())
    assert [i.instrument_id for i in source.description.instruments] == ["binance:BTCUSDC", "binance:BTCUSDT"]
