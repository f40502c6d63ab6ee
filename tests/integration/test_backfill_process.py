"""The backfill command as a process: killed while it works, run again, and read by a program that asks nobody."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from liqscape.events import Candle, OpenInterest, TickEnd
from liqscape.feeds.backfill.page_store import PageStore
from liqscape.feeds.backfill.past import BackfilledHistory
from liqscape.feeds.venues.registry import find_venue, listings
from tests.history_server import HistoryServer, history_server

USDM = find_venue("binance-usdm")


async def start(server: HistoryServer, data: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "backfill", "--data", str(data), "--days", "2", "--relay", server.url),
        *("--venues", "binance-usdm", "--symbols", "ETH"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_killed_run_goes_on_where_it_was_and_the_past_is_whole(tmp_path: Path) -> None:
    async with history_server() as server:
        server.first_ms = 0
        server.delay_s = 0.05
        server.busy_after = 8
        process = await start(server, tmp_path)
        await server.busy.wait()
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        kept = len(PageStore(tmp_path, read_only=True).all_pages())
        server.delay_s = 0.0
        first, server.asked = len(server.asked), []

        again = await start(server, tmp_path)
        output, errors = await again.communicate()

    assert (again.returncode, errors) == (0, b"")
    # Three requests were on their way when it was killed; what they brought is all that was lost.
    assert first - 3 <= kept
    text = output.decode()
    assert "binance-usdm ETHUSDT candles 1m: 2,8" in text
    assert text.count("100.0 % of what was asked for") == 8
    store = PageStore(tmp_path, read_only=True)
    assert len(store.all_pages()) == kept + len(server.asked)

    history = BackfilledHistory(store, (USDM,), listings((USDM,), ("ETH",)))
    events = list(history.iterate())
    candles = [event for event in events if isinstance(event, Candle)]
    assert history.counters["damaged pages"] == history.counters["gaps"] == 0
    assert len(candles) == 2 * len({candle.open_time_ns for candle in candles})
    assert sum(isinstance(event, OpenInterest) for event in events) == history.counters["samples"]
    ends = [event.time_ns for event in events if isinstance(event, TickEnd)]
    assert ends == sorted(set(ends))
