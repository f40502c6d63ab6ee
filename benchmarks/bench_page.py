"""How fast is the page? Time to the first picture, work a message, and what it fetches, in a Chromium without a GPU.

    python -m benchmarks.bench_page                 all, stored
    python -m benchmarks.bench_page --seconds 5     shorter, nothing stored

A server of the simulation at four ticks a second and the browser share the machine, over loopback. The first picture:
from the navigation to the end of drawing the first heatmap, in a window without a cache, several times. Then the page
stays on the timeframe with the most cells while the market moves: how long the script takes to apply and to draw a
message, how far apart animation frames are (60 a second are 16.7 ms; the browser paints in between, with the processor
alone, so one with a GPU takes less), how long after it was sent a message is applied, and what is received: by the
stream, and by questions as they cross the wire and as they are. At last a filter is chosen, and the same is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import numpy as np
import pytest

from benchmarks import report
from tests.browser.driver import OpenPage, PageServer, chromium, open_page, page_server

QUESTION: Final = "how fast is the page, in a browser without a GPU on the server's machine?"
SPEED: Final = "4"
"""Simulated seconds a second, a tick each."""

LOADS: Final = 7
SECONDS: Final = 60.0
TIMEFRAMES: Final = ("12h", "24h", "3d", "1w", "2w", "1m", "3m", "6m", "1y")
SOURCE: Final = ("--source", "simulate", "--symbols", "BTC", "--no-open-only", "--speed", SPEED)
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 2560, "height": 1300}}

WATCH: Final = """
(() => {
  const seen = (globalThis.seen = { applyMs: [], frameMs: [], bytes: page.connection.totals.bytes, behindMs: [] });
  const apply = page.stream.apply.bind(page.stream);
  page.stream.apply = async (frame) => {
    const started = performance.now();
    const effect = await apply(frame);
    seen.applyMs.push(performance.now() - started);
    if (frame.sections.length) seen.behindMs.push(Date.now() - Number(frame.sentUnixNs / 1000000n));
    return effect;
  };
  page.chart.heatmap.drawMs.length = 0;
  let before = performance.now();
  const next = (now) => { seen.frameMs.push(now - before); before = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
})()
"""
"""Notes what the page does from now on; both ends of a message are on one clock."""


LOADED: Final = """
[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter(({ name }) => !new URL(name).pathname.startsWith("/v1/"))
  .reduce(([packed, plain], entry) => [packed + entry.encodedBodySize, plain + entry.decodedBodySize], [0, 0])
"""
"""Bytes of the files of the page, as they crossed the wire and as they are."""


async def first_pictures(browser: Any, server: PageServer, loads: int) -> tuple[list[float], tuple[int, int]]:
    """Return milliseconds from navigation to the first picture, of windows without a cache, and the bytes of LOADED."""
    found = []
    packed = plain = 0
    for _ in range(loads):
        async with open_page(browser, server.http, **DESKTOP) as page:
            await page.in_sync()
            found.append(float(await page.ask("performance.getEntriesByName('first picture')[0].startTime")))
            packed, plain = await page.ask(LOADED)
    return found, (packed, plain)


async def largest_timeframe(page: OpenPage) -> tuple[str, int]:
    """Return the timeframe with the most cells, and how many; the page shows it then."""
    cells: dict[str, int] = {}
    for timeframe in TIMEFRAMES:
        await page.ask("page.state.set({ timeframe: argument })", timeframe)
        await page.until("page.replica?.inSync && page.replica.timeframe === argument", timeframe)
        cells[timeframe] = int(await page.ask("page.replica.axes.cells"))
    largest = max(cells, key=lambda name: cells[name])
    await page.ask("page.state.set({ timeframe: argument })", largest)
    await page.until("page.replica?.inSync && page.replica.timeframe === argument", largest)
    return largest, cells[largest]


async def live(page: OpenPage, seconds: float) -> dict[str, Any]:
    """Return what the page did in so many seconds."""
    session = await page.tab.context.new_cdp_session(page.tab)
    await session.send("Network.enable")
    fetched: list[int] = []
    unpacked: list[int] = []
    session.on("Network.loadingFinished", lambda event: fetched.append(int(event["encodedDataLength"])))
    session.on("Network.dataReceived", lambda event: unpacked.append(int(event["dataLength"])))
    await page.ask(WATCH)
    started = time.monotonic()
    await asyncio.sleep(seconds)
    seen = await page.ask(
        "({ ...globalThis.seen, drawMs: page.chart.heatmap.drawMs,"
        " bytes: page.connection.totals.bytes - globalThis.seen.bytes, phase: page.connection.standing().phase })"
    )
    elapsed = time.monotonic() - started
    assert seen["phase"] == "in sync"
    await session.detach()
    return {**seen, "fetched": sum(fetched), "unpacked": sum(unpacked), "seconds": elapsed}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the figures of a distribution that are kept."""
    p50, p95, p99 = np.percentile(np.asarray(values, np.float64), [50, 95, 99])
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(max(values)), "count": len(values)}


async def measure(loads: int, seconds: float) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the figures for readers and everything measured."""
    async with chromium() as browser, page_server(*SOURCE) as server:
        async with open_page(browser, server.http, **DESKTOP) as page:
            await page.in_sync()  # history has been built
        pictures, (packed, plain) = await first_pictures(browser, server, loads)
        async with open_page(browser, server.http, **DESKTOP) as page:
            await page.in_sync()
            timeframe, cells = await largest_timeframe(page)
            seen = await live(page, seconds)
            await page.ask("page.state.set({ side: 'long' })")
            await page.until("!page.connection.isSecondChoice && page.replica?.inSync")
            filtered = await live(page, seconds)
    minute = 60 / seen["seconds"]
    result = {
        "first_picture_ms": pictures,
        "timeframe": timeframe,
        "cells": cells,
        "messages_a_second": len(seen["behindMs"]) / seen["seconds"],
        "apply_ms": percentiles(seen["applyMs"]),
        "draw_ms": percentiles(seen["drawMs"]),
        "frame_ms": percentiles(seen["frameMs"]),
        "sent_to_applied_ms": percentiles(seen["behindMs"]),
        "stream_bytes_a_minute": seen["bytes"] * minute,
        "fetched_bytes_a_minute": seen["fetched"] * minute,
        "fetched_unpacked_bytes_a_minute": seen["unpacked"] * minute,
        "filtered_stream_bytes_a_minute": filtered["bytes"] * 60 / filtered["seconds"],
        "filtered_fetched_bytes_a_minute": filtered["fetched"] * 60 / filtered["seconds"],
        "page_bytes": packed,
        "page_unpacked_bytes": plain,
    }
    shown = {name: result[name] for name in ("apply_ms", "draw_ms", "frame_ms", "sent_to_applied_ms")}
    figures = {
        "from navigation to the first picture, median / slowest": f"{median(pictures):.0f} / {max(pictures):.0f} ms",
        f"live on {timeframe}, {cells:,} cells": f"{result['messages_a_second']:.1f} messages a second",
        **{
            f"{name.removesuffix('_ms').replace('_', ' ')}, p50 / p95": f"{value['p50']:.1f} / {value['p95']:.1f} ms"
            for name, value in shown.items()
        },
        "received by the stream / by questions, a minute": (
            f"{result['stream_bytes_a_minute'] / 1e6:.2f} / {result['fetched_bytes_a_minute'] / 1e6:.2f} MB"
            f" ({result['fetched_unpacked_bytes_a_minute'] / 1e6:.2f} MB unpacked)"
        ),
        "the same of a filtered view": (
            f"{result['filtered_stream_bytes_a_minute'] / 1e6:.2f}"
            f" / {result['filtered_fetched_bytes_a_minute'] / 1e6:.2f} MB"
        ),
        "files of the page, packed / as they are": f"{packed / 1e6:.2f} / {plain / 1e6:.2f} MB",
    }
    return figures, result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="measure the page in a browser")
    parser.add_argument("--loads", type=int, default=LOADS, help=f"windows opened (default {LOADS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of live data (default {SECONDS:g})")
    options = parser.parse_args(arguments)
    try:
        figures, result = asyncio.run(measure(options.loads, options.seconds))
    except pytest.skip.Exception as reason:
        print(f"not measured: {reason}")
        return 0
    for name, value in figures.items():
        print(f"{name:60} {value}")
    if (options.loads, options.seconds) == (LOADS, SECONDS):
        report.store("page", QUESTION, figures, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
