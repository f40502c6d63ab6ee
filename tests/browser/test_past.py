"""The page looking at the past: each minute is what the server says of it, and nobody takes it for now."""

from __future__ import annotations

import zlib
from typing import Any, Final

import pytest

from liqscape.device.numpy_backend import levels_of
from liqscape_client import Client
from liqscape_client.decoding import window_to_ring
from tests.browser.driver import PHONE, OpenPage, PageServer, open_page

MINUTE: Final = 29_410_500
"""2025-12-01 23:00 UTC, two hours before the recording ends."""

SHOWN: Final = "!page.past.isSought && page.past.minute"
DRAWN: Final = "page.replica?.inSync && page.chart.heatmap.texture.levels === page.replica"

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def assert_shows(page: OpenPage, served: PageServer, minute: int, **options: Any) -> None:
    """Hold the ring against the exact grid of a minute."""
    async with Client(served.listen) as client:
        grid = await client.grid("BTC", "24h", as_of_minute=minute, **options)
    wanted = window_to_ring(levels_of(grid.cells, grid.usd_per_weighted_lot), grid.newest_column)
    assert await page.ask("ringSum()") == zlib.crc32(wanted.tobytes())


async def slide(page: OpenPage, minute: int) -> None:
    """Move the slider to a minute and let go."""
    await page.tab.locator("#past-slider").evaluate(
        "(slider, minute) => { slider.value = minute; slider.dispatchEvent(new Event('input'));"
        " slider.dispatchEvent(new Event('change')); }",
        minute,
    )


async def test_the_slider_shows_the_grid_of_each_minute_and_live_the_one_of_now(
    browser: Any, served: PageServer
) -> None:
    async with open_page(browser, served.http, "swept=off") as page:
        await page.in_sync()
        now = await page.ask("ringSum()")

        for minute in (MINUTE, MINUTE - 361, MINUTE + 37):
            await slide(page, minute)
            await page.until(f"{SHOWN} === argument && {DRAWN}", minute)
            await assert_shows(page, served, minute)
        await page.keep()
        assert await page.ask("location.hash") == "#symbol=BTC&timeframe=24h&swept=off&past=2025-12-01T23:37"
        assert (await page.text("#banner")).startswith("THE PAST, not now. What is shown is what was known at")
        assert "2025-12-01 23:37:59 UTC" in await page.text("#banner")
        assert await page.text("#past-shown") == "2025-12-01 23:37 UTC"
        assert await page.text("#sync-text") == "the past"
        assert "old" in (await page.tab.locator("#price").get_attribute("class")).split()

        await page.tab.locator("#past-live").click()
        await page.until(f"!page.past.isOn && {DRAWN}")
        assert await page.ask("ringSum()") == now
        assert await page.ask("location.hash") == "#symbol=BTC&timeframe=24h&swept=off"
        assert (await page.text("#banner")).startswith("ENDED")


async def test_it_plays_stays_steps_and_stops_at_the_end(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, "swept=off&past=2025-12-01T23:00") as page:
        await page.until(f"{SHOWN} === argument && {DRAWN}", MINUTE)
        await page.tab.locator("#past-rate button", has_text="10").click()
        await page.tab.keyboard.press("Space")
        await page.until("page.past.isPlaying && page.past.minute > argument + 8", MINUTE)

        await page.tab.keyboard.press("Space")
        await page.until("!page.past.isPlaying && page.past.minute === page.state.choices.past")
        await page.drawn()
        stayed = int(await page.ask("page.past.minute"))
        assert (stayed - MINUTE) % 2 == 0, "a step is a column"
        await assert_shows(page, served, stayed)

        await page.tab.keyboard.press("[")
        await page.until(f"{SHOWN} === argument && {DRAWN}", stayed - 2)
        await assert_shows(page, served, stayed - 2)

        await page.ask("page.state.set({ past: page.pastBar.liveMinute - 6 })")
        await page.until(f"!page.past.isSought && {DRAWN}")
        await page.tab.keyboard.press("Space")
        await page.until("!page.past.isPlaying && page.past.minute >= page.pastBar.liveMinute - 2")
        await assert_shows(page, served, int(await page.ask("page.past.minute")))


async def test_a_filter_and_another_timeframe_hold_in_the_past(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, "swept=off&past=2025-12-01T23:00&side=long") as page:
        await page.until(f"{SHOWN} === argument && {DRAWN}", MINUTE)
        await assert_shows(page, served, MINUTE, side="long")
        assert await page.text("#filter-note") == "Filtered: longs"

        await page.ask("page.state.set({ side: '' })")
        await page.until(f"{SHOWN} === argument && {DRAWN} && page.past.channel.positions === undefined", MINUTE)
        await assert_shows(page, served, MINUTE)


async def test_a_minute_that_is_not_held_is_said_so_and_a_held_one_shown_again(
    browser: Any, served: PageServer
) -> None:
    async with open_page(browser, served.http, "past=2030-01-01T00:00") as page:
        await page.until("page.past.why")

        assert (await page.text("#banner")).startswith("NOT HELD: as_of_minute 31557600 is not held; ask for ")
        await page.ask("page.state.set({ past: argument })", MINUTE)
        await page.until(f"{SHOWN} === argument && {DRAWN}", MINUTE)
        await assert_shows(page, served, MINUTE)


async def test_a_broken_line_is_opened_again(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, "past=2025-12-01T23:00", loses_server=True) as page:
        await page.until(f"{SHOWN} === argument && {DRAWN}", MINUTE)

        await page.tab.keyboard.press("Space")
        await page.until("page.past.isPlaying && page.past.stream")

        await page.ask("page.past.stream.socket.close()")
        await page.until("page.past.isPlaying && page.past.minute > argument", MINUTE)

        assert await page.ask("page.past.why") == ""


async def test_a_phone_has_all_of_it_in_reach(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, "past=2025-12-01T23:00", **PHONE) as page:
        await page.until(f"{SHOWN} === argument && {DRAWN}", MINUTE)
        await page.keep()

        for name in ("slider", "play", "back", "forward", "live", "at", "shown"):
            box = await page.tab.locator(f"#past-{name}").bounding_box()
            assert box["x"] >= 0, name
            assert box["x"] + box["width"] <= PHONE["viewport"]["width"], name
