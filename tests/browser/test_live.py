"""The page while the market moves: cut off, killed, hidden, slowed down. It is current, or it says that it is not."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from liqscape.device.numpy_backend import levels_of
from liqscape_client import Client, channel_selectors
from liqscape_client.decoding import window_to_ring
from tests.browser.driver import PHONE, WAIT_S, OpenPage, PageServer, open_page, page_server
from tests.integration.synthetic_recording import write_recording
from tests.integration.test_node_client import cable

BARS: Final = 3000
SPEED: Final = "1200"
"""Recorded seconds a second: a bar of five minutes each quarter of a second."""

HIDDEN_S: Final = 2.0
"""Eight ticks of the server; what is tested is time itself."""

MOST_TICKS_BEHIND: Final = 6
"""What a page may lack of the server's newest tick: two messages under way, and what passes while both are asked."""

TRIES: Final = 30
CELLS: Final = 100
TIMES: Final = "\u00d7"
WINDOW: Final[dict[str, Any]] = {"viewport": {"width": 1000, "height": 700}}
"""Small: the processor draws."""

HIDEABLE: Final = """
(() => {
  let hidden = false;
  const waiting = [];
  const draw = globalThis.requestAnimationFrame.bind(globalThis);
  Object.defineProperty(document, "hidden", { get: () => hidden });
  Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
  globalThis.requestAnimationFrame = (callback) => (hidden ? waiting.push(callback) : draw(callback));
  globalThis.hide = (value) => {
    hidden = value;
    if (!hidden) waiting.splice(0).forEach((callback) => draw(callback));
    document.dispatchEvent(new Event("visibilitychange"));
  };
})();
"""
"""A tab that can be hidden: browsers without a screen hide none. No pictures are drawn then, as in a real one."""

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the options of a server of a moving market."""
    folder = tmp_path_factory.mktemp("recording")
    manifest = write_recording(folder, bars=BARS, step_minutes=5, seed=7)
    return ["--source", f"history:{manifest}", "--recordings", str(folder), "--speed", SPEED]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def moving(browser: Any, source: list[str]) -> AsyncIterator[PageServer]:
    async with page_server(*source) as server:
        yield server


async def server_tick(server: PageServer) -> int:
    async with Client(server.listen) as client:
        return (await client.status()).tick


async def page_tick(page: OpenPage) -> int:
    return int(await page.ask("String([...page.stream.sources.values()][0].tick)"))


async def assert_current(page: OpenPage, server: PageServer) -> None:
    """Hold the page's tick against the server's of just before."""
    tick = await server_tick(server)

    assert await page_tick(page) >= tick - MOST_TICKS_BEHIND


async def assert_equals_the_exact_grid(page: OpenPage, server: PageServer, **options: Any) -> None:
    """Hold the ring at some tick against the exact grid of the same tick. Ticks that were merged are not seen.

    Args:
        page: in sync.
        server: of it.
        options: of Client.grid, beside BTC and 24h.
    """
    await page.ask(
        """import("/static/stream/crc32.js").then(({ crc32 }) => {
          globalThis.held = {};
          const { onFrame } = page.connection;
          page.connection.onFrame = (effect) => {
            onFrame(effect);
            globalThis.held[page.stream.sources.values().next().value.tick] = crc32(page.replica.ring);
          };
        })"""
    )
    async with Client(server.listen) as client:
        for _ in range(TRIES):
            grid = await client.grid("BTC", "24h", **options)
            await page.until("page.stream.sources.values().next().value.tick >= BigInt(argument)", str(grid.tick))
            held = await page.ask("globalThis.held[argument]", str(grid.tick))
            if held is not None:
                wanted = window_to_ring(levels_of(grid.cells, grid.usd_per_weighted_lot), grid.newest_column)
                assert held == zlib.crc32(wanted.tobytes())
                return
    raise AssertionError(f"none of {TRIES} ticks was seen by itself")


async def test_the_page_holds_what_the_server_holds_while_it_moves(browser: Any, moving: PageServer) -> None:
    async with open_page(browser, moving.http, **WINDOW) as page:
        await page.in_sync()
        await page.until("page.replica.checksums > 3")

        await assert_equals_the_exact_grid(page, moving)
        await assert_current(page, moving)
        assert await page.ask("page.stream.counters.keyframes") == 1
        assert await page.text("#states") == "REPLAY"


async def assert_is_drawn(page: OpenPage) -> None:
    """Hold pixels against levels. The market moves: what has come since the last picture is seen by the next one."""
    wrong: list[Any] = []
    for _ in range(TRIES):
        await page.drawn()
        cells = await page.ask("cellColours(argument)", CELLS)
        assert len(cells) == CELLS
        wrong = [cell for cell in cells if cell["seen"] != cell["wanted"]]
        if not wrong:
            assert len({cell["level"] for cell in cells}) > 5
            return
    raise AssertionError(wrong)


STREAMED: Final = (
    "!page.connection.isSecondChoice && page.replica?.inSync && page.chart.heatmap.levels === page.replica"
)


async def test_a_filter_is_streamed_and_the_channel_before_it_given_back(browser: Any, moving: PageServer) -> None:
    async with open_page(browser, moving.http, "swept=off", **WINDOW) as page:
        await page.in_sync()
        # More than the two channels that a server without a GPU has room for, one after the other.
        for name in ("Shorts", "Longs", f"25{TIMES}", f"10{TIMES}", f"25{TIMES}"):
            await page.tab.get_by_role("button", name=name, exact=True).click()
            await page.until(STREAMED)
            assert await page.ask("page.connection.refusal") == ""

        assert await page.text("#filter-note") == f"Filtered: 10{TIMES} · longs"
        await assert_equals_the_exact_grid(page, moving, side="long", leverages=[10])
        before = await page.ask("ringSum()")
        await page.until("ringSum().then((sum) => sum !== argument)", before)
        await page.ask("zoom({ ...brightest(), columns: 60, rows: 60 })")
        await assert_is_drawn(page)
        await page.keep()
        assert await page.ask("[page.filtered === undefined, page.connection.totals.connections]") == [True, 1]
        async with Client(moving.listen) as client:
            assert (await client.status()).counters["custom_channels_open"] <= 2

        await page.tab.locator("#filter-clear").click()
        await page.until("page.connection.standing().phase === 'in sync' && page.chart.heatmap.levels === page.replica")
        await assert_equals_the_exact_grid(page, moving)


async def test_a_filter_beyond_the_budget_is_asked_for_until_there_is_room(browser: Any, moving: PageServer) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(moving.listen))
        selectors = [one for side in ("long", "short") for one in channel_selectors("BTC", "1w", side=side)]
        held = await stack.enter_async_context(client.stream(selectors=selectors))
        await held.wait_in_sync(WAIT_S)
        page = await stack.enter_async_context(open_page(browser, moving.http, "side=long", **WINDOW))

        await page.until("page.filtered && page.chart.heatmap.levels === page.filtered")
        assert (await page.text("#filter-note")).startswith("Filtered: longs, refreshed every 5 s: data to ")
        reason = await page.tab.locator("#filter-note").get_attribute("title")
        assert reason.startswith("Not streamed: 2 custom channels are open")
        await page.until("page.connection.standing().phase === 'in sync'")

        await held.close()
        await page.until("(page.connection.againMs = Math.min(page.connection.againMs, 0), " + STREAMED + ")")
        assert await page.text("#filter-note") == "Filtered: longs"
        await assert_equals_the_exact_grid(page, moving, side="long")


async def test_phones_share_coarse_rows_of_the_server_as_their_zoom_asks_for(browser: Any, moving: PageServer) -> None:
    async with (
        open_page(browser, moving.http, "swept=off", **PHONE) as page,
        open_page(browser, moving.http, **PHONE) as other,
        Client(moving.listen) as client,
    ):
        for one in (page, other):
            await one.in_sync()
            await one.until(STREAMED)
        fold, rows = await page.ask("[page.connection.channels[0].rowFold, page.levels.axes.rows]")
        assert fold == await other.ask("page.connection.channels[0].rowFold") >= 4
        assert await page.ask("page.chart.heatmap.texture.fold") == 1
        assert await page.text("#legend-unit") == f"USD a row of {40 * fold}"
        await assert_equals_the_exact_grid(page, moving, base_steps_per_row=2 * fold)
        await page.keep()
        await page.ask("zoom({ ...brightest(), columns: 40, rows: argument })", rows)
        await assert_is_drawn(page)
        assert (await client.status()).counters["custom_channels_open"] <= 2

        await page.ask("zoom({ ...brightest(), columns: 60, rows: argument })", rows / fold)
        await page.until(f"page.connection.channels[0].rowFold !== {fold} && {STREAMED}")
        assert await page.ask("page.levels.axes.rows") > rows
        assert await page.ask("page.chart.heatmap.texture.fold") == 1
        assert await other.ask("page.connection.channels[0].rowFold") == fold


async def test_a_line_that_is_cut_is_told_and_resumed(browser: Any, moving: PageServer) -> None:
    async with cable(moving.http) as line, open_page(browser, line.address, loses_server=True, **WINDOW) as page:
        await page.in_sync()
        line.cut()
        await page.until("!document.querySelector('#banner').hidden && page.isGrey")
        said = await page.text("#banner")
        assert said.startswith("RECONNECTING")
        assert "UTC" in said
        await page.keep()
        assert await page.tab.locator("#stage").evaluate("(stage) => stage.classList.contains('old')")

        line.mend()
        await page.in_sync()
        await page.until("document.querySelector('#banner').hidden && !page.isGrey")
        # Where much has changed meanwhile a keyframe is shorter than what it replaces; that is resumed all the same.
        await page.until("page.stream.resumed && page.stream.lagged === ''")
        assert await page.ask("page.connection.totals.connections") > 1
        await assert_equals_the_exact_grid(page, moving)


async def test_a_server_that_was_killed_is_found_again(browser: Any, source: list[str]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(page_server(*source))
        page = await stack.enter_async_context(open_page(browser, first.http, loses_server=True, **WINDOW))
        await page.in_sync()
        await first.kill()
        await page.until("!document.querySelector('#banner').hidden && page.isGrey")

        await stack.enter_async_context(page_server(*source, http=first.http))
        await page.in_sync()

        await page.until("document.querySelector('#banner').hidden && !page.isGrey")
        assert await page.ask("page.stream.counters.epochs") == 1


async def test_a_hidden_tab_holds_the_server_back_and_is_current_once_it_is_seen(
    browser: Any, moving: PageServer
) -> None:
    async with open_page(browser, moving.http, script=HIDEABLE, **WINDOW) as page:
        await page.in_sync()
        await page.ask("hide(true)")
        frames = await page.ask("page.connection.totals.frames")
        await asyncio.sleep(HIDDEN_S)
        assert await page.ask("page.connection.totals.frames") <= frames + 2 + HIDDEN_S + 1  # two of data, heartbeats
        assert await server_tick(moving) - await page_tick(page) > 2

        assert await page.ask("(hide(false), page.connection.standing().phase)") == "joining"
        await page.in_sync()
        await assert_current(page, moving)
        assert await page.ask("[page.connection.totals.connections, page.stream.counters.keyframes]") == [1, 1]
        assert await page.ask("page.stream.counters.conflated") > 0


async def test_a_slow_machine_gets_merged_ticks_and_stays_current(browser: Any, moving: PageServer) -> None:
    async with open_page(browser, moving.http, **WINDOW) as page:
        await page.in_sync()
        session = await page.tab.context.new_cdp_session(page.tab)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": 12})
        started = await page_tick(page)
        await page.until("[...page.stream.sources.values()][0].tick > BigInt(argument)", str(started + 12))

        await assert_current(page, moving)
        assert await page.ask("page.connection.standing().phase") == "in sync"


async def test_other_timeframes_come_on_the_same_stream(browser: Any, moving: PageServer) -> None:
    async with open_page(browser, moving.http, **WINDOW) as page:
        await page.in_sync()
        for timeframe in ("12h", "1w", "1y", "3d", "24h"):
            await page.tab.get_by_role("button", name=timeframe, exact=True).click()
            await page.until(
                "page.replica?.timeframe === argument && page.connection.standing().phase === 'in sync'"
                " && page.chart.heatmap.texture.levels === page.replica",
                timeframe,
            )

        assert await page.ask("page.connection.totals.connections") == 1
        await assert_equals_the_exact_grid(page, moving)


async def test_a_server_with_tokens_is_given_one_by_its_user(browser: Any, source: list[str], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    added = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "token", "add", "desk", "--tokens", str(tokens)),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await added.communicate()
    (token,) = re.findall(rb"liqs_\S+", said)
    async with (
        page_server(*source, "--tokens", str(tokens)) as server,
        open_page(browser, server.http, **WINDOW) as page,
    ):
        for text in ("liqs_not_this_one", token.decode()):
            await page.until("document.querySelector('#token').open")
            assert await page.ask("page.connection.totals.connections") == 0
            await page.tab.locator("#token-text").fill(text)
            await page.tab.keyboard.press("Enter")

        await page.in_sync()

        assert token.decode() not in page.tab.url + await page.tab.content()
        await page.until("page.map.map")
        assert all("401" in complaint for complaint in page.complaints)  # the browser's own words
        page.complaints.clear()
