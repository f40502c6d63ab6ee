"""Draw the picture of README.md: the page on a simulated market, as it is served.

python -m tests.browser.screenshot docs/page.jpg
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from tests.browser.driver import chromium, open_page, page_server

SIZE: Final[dict[str, Any]] = {"viewport": {"width": 1600, "height": 900}}
QUALITY: Final = 82
SOURCE: Final = ("--source", "simulate", "--seed", "1")
VIEW: Final = "symbol=BTC&timeframe=24h&position=long~25~95000~"
BUILT_WITHIN_S: Final = 90


async def draw(path: Path) -> None:
    """Write the picture."""
    async with (
        chromium() as browser,
        page_server(*SOURCE) as server,
        open_page(browser, server.http, VIEW, loses_server=True, **SIZE) as page,
    ):
        async with asyncio.timeout(BUILT_WITHIN_S):
            while await page.ask("page?.connection.standing().phase") != "in sync":
                page.complaints.clear()  # history is still being built
                await asyncio.sleep(0.5)
        await page.until("page.map.map && page.chart.swept.marks.length")
        box = await page.tab.locator("#chart").bounding_box()
        await page.tab.mouse.move(box["x"] + 0.72 * box["width"], box["y"] + 0.38 * box["height"])
        await page.until("document.querySelectorAll('#readout .bars').length === 2")
        await page.drawn()
        path.parent.mkdir(exist_ok=True)
        await page.tab.screenshot(path=str(path), type="jpeg", quality=QUALITY)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1])))
