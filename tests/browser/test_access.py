"""Whoever cannot point, or sees less, can use the page: keys, names, contrast, no motion."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.browser.driver import DESKTOP, PHONE, PageServer, open_page

LEAST_CONTRAST: Final = 4.5

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_keys_reach_everything(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        for key, timeframe in (("1", "12h"), ("4", "1w"), ("9", "1y"), ("2", "24h")):
            await page.tab.keyboard.press(key)
            await page.until("page.replica?.inSync && page.replica.timeframe === argument", timeframe)
        await page.tab.keyboard.press("c")
        assert await page.ask("page.state.choices.scale") == "purple"
        assert "scale=purple" in page.tab.url

        await page.tab.keyboard.press("?")
        assert await page.tab.locator("#help").is_visible()
        await page.tab.keyboard.press("Escape")
        assert not await page.tab.locator("#help").is_visible()

        wanted = set(
            await page.ask(
                "[...document.querySelectorAll('button, select, input, a, [tabindex]')]"
                ".filter((element) => element.checkVisibility() && !element.disabled)"
                ".map((element, index) => (element.dataset.seen = index))"
            )
        )
        reached: set[int] = set()
        for _ in range(len(wanted) + 12):
            await page.tab.keyboard.press("Tab")
            seen = await page.ask("document.activeElement.dataset.seen")
            reached |= set() if seen is None else {int(seen)}
        assert wanted - reached == set()


async def test_arrow_keys_move_the_cursor(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        await page.tab.locator("#chart").focus()
        await page.tab.keyboard.press("ArrowUp")
        first = await page.ask("page.cursor.place")
        await page.tab.keyboard.press("ArrowLeft")
        await page.tab.keyboard.press("PageUp")

        second = await page.ask("page.cursor.place")
        assert second["column"] == first["column"] - 1
        assert second["price"] > first["price"]
        assert "Open now" in await page.until("document.querySelector('#readout h3')?.textContent")
        await page.tab.keyboard.press("Escape")
        assert await page.ask("page.cursor.place === undefined")


@pytest.mark.parametrize("options", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_everything_has_a_name_and_can_be_read(browser: Any, served: PageServer, options: dict[str, Any]) -> None:
    async with open_page(browser, served.http, "side=long&position=long~10~91000~", **options) as page:
        await page.in_sync()
        await page.until("page.filtered")
        session = await page.tab.context.new_cdp_session(page.tab)
        nodes = (await session.send("Accessibility.getFullAXTree"))["nodes"]
        roles = {"button", "combobox", "slider", "checkbox", "spinbutton", "textbox", "link", "image", "application"}
        found = [node for node in nodes if not node["ignored"] and node.get("role", {}).get("value") in roles]

        assert len(found) > 30
        assert [node for node in found if not node.get("name", {}).get("value", "").strip()] == []
        assert await page.ask("faintText(argument)", LEAST_CONTRAST) == []


async def test_nothing_moves_for_who_wants_no_motion(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, reduced_motion="reduce", **DESKTOP) as page:
        await page.in_sync()
        moving = (
            "[...document.querySelectorAll('*')].filter((element) => { const style = getComputedStyle(element);"
            " return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0; }).length"
        )

        assert await page.ask(moving) == 0
