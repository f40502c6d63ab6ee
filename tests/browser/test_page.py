"""The page in a browser, against a server that has built a recording: what it draws is what the server says."""

from __future__ import annotations

import asyncio
import json
import zlib
from pathlib import Path
from typing import Any, Final

import pytest

from liqscape.device.numpy_backend import levels_of
from liqscape_client import Client
from liqscape_client.decoding import window_to_ring
from tests.browser.driver import ARTIFACTS_VARIABLE, PHONE, OpenPage, PageServer, open_page

CELLS: Final = 150
TIMES: Final = "\u00d7"
ALWAYS_SEEN: Final = ("symbol", "price", "sync", "states", "watermark", "covered", "timeframes", "chart", "map")

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def assert_cells_are_drawn_in_their_colours(page: OpenPage) -> None:
    await page.drawn()
    cells = await page.ask("cellColours(argument)", CELLS)

    assert len(cells) == CELLS
    assert len({cell["level"] for cell in cells}) > 5
    assert [cell for cell in cells if cell["seen"] != cell["wanted"]] == []


@pytest.mark.parametrize("hash_", ["", "scale=viridis&spread=linear&timeframe=3d"])
async def test_every_cell_is_drawn_in_the_colour_of_its_level(browser: Any, served: PageServer, hash_: str) -> None:
    async with open_page(browser, served.http, f"{hash_}&swept=off") as page:
        await page.in_sync()
        await page.ask("zoom({ ...brightest(), columns: 90, rows: 60 })")

        await assert_cells_are_drawn_in_their_colours(page)
        assert await page.ask("page.chart.heatmap.texture.fold") == 1
        await page.keep()


async def test_a_phone_sums_levels_itself_where_the_server_cannot_and_hides_nothing_that_matters(
    browser: Any, served: PageServer
) -> None:
    async with open_page(browser, served.http, "swept=off", **PHONE) as page:
        await page.in_sync()

        await page.until("page.connection.isSecondChoice")
        assert await page.ask("page.chart.heatmap.texture.fold") > 1
        assert (await page.text("#legend-unit")).startswith("about USD a row of ")
        assert await page.ask("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
        for name in ALWAYS_SEEN:
            box = await page.tab.locator(f"#{name}").evaluate(
                "(element) => { const range = document.createRange(); range.selectNode(element);"
                " return range.getBoundingClientRect().toJSON(); }"
            )
            assert box["width"] > 0, name
            assert box["bottom"] <= PHONE["viewport"]["height"], name
            assert box["right"] <= PHONE["viewport"]["width"], name
        await page.ask("zoom({ ...brightest(), columns: 40, rows: 240 })")
        await page.drawn()
        assert await page.ask("page.chart.heatmap.texture.fold") > 1
        await assert_cells_are_drawn_in_their_colours(page)

        await page.ask("(page.fit(), page.state.set({ side: 'long' }))")
        await page.until("page.picture.rowFold.fold >= 4 && page.chart.heatmap.texture.levels === page.filtered")
        steps = await page.until(
            "page.filtered?.axes.baseStepsPerRow === 2 * page.picture.rowFold.fold && 2 * page.picture.rowFold.fold"
        )
        async with Client(served.listen) as client:
            grid = await client.grid("BTC", "24h", side="long", base_steps_per_row=steps)
        wanted = window_to_ring(levels_of(grid.cells, grid.usd_per_weighted_lot), grid.newest_column)
        # What is asked for has the coarse rows that are not streamed.
        assert await page.ask("ringSum()") == zlib.crc32(wanted.tobytes())


async def test_a_filter_that_is_not_streamed_shows_the_exact_part_and_says_how_often_and_how_old(
    browser: Any, served: PageServer
) -> None:
    async with open_page(browser, served.http, "swept=off") as page:
        await page.in_sync()
        before = await page.ask("ringSum()")
        await page.tab.get_by_role("button", name="Longs", exact=True).click()
        await page.tab.get_by_role("button", name=f"10{TIMES}", exact=True).click()
        await page.until("page.filtered && page.chart.heatmap.texture.levels === page.filtered")

        async with Client(served.listen) as client:
            grid = await client.grid("BTC", "24h", side="long", leverages=[10])
        wanted = window_to_ring(levels_of(grid.cells, grid.usd_per_weighted_lot), grid.newest_column)
        assert before != await page.ask("ringSum()") == zlib.crc32(wanted.tobytes())
        said = await page.text("#filter-note")
        assert said.startswith(f"Filtered: 10{TIMES} · longs, refreshed every 5 s: data to 01:00:00 UTC, asked for ")
        reason = await page.tab.locator("#filter-note").get_attribute("title")
        assert reason.startswith("Not streamed: the input has ended")
        await page.ask("zoom({ ...brightest(), columns: 90, rows: 60 })")
        await assert_cells_are_drawn_in_their_colours(page)

        await page.tab.locator("#filter-clear").click()
        await page.drawn()
        assert await page.ask("page.chart.heatmap.texture.levels === page.replica")
        assert not await page.tab.locator("#filter-note").is_visible()


async def test_what_the_data_are_is_always_in_view(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        await page.until("document.querySelector('#states').textContent.includes('ENDED')")

        assert await page.text("#states") == "REPLAY\nENDED"
        assert await page.text("#watermark") == "2025-12-02 01:00:00 UTC"
        assert "%" in await page.text("#covered")
        assert (await page.text("#banner")).startswith("ENDED: the source has ended.")
        assert "Estimate" in await page.text(".line")
        assert "binance:BTCUSDT" in await page.text("#sources")
        assert (await page.text("#sync")).startswith("in sync")


async def test_a_stale_source_is_never_drawn_as_a_fresh_one(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        stale = "(page.stream.market.takeHeartbeat([argument]), page.connection.onStanding(), page.isGrey)"
        said = "document.querySelector('#banner').textContent.trim(), document.querySelector('#price').className"

        assert not await page.ask("page.isGrey")
        is_grey, banner, price, title = await page.ask(f"[{stale}, {said}, document.title]", 3)

        assert is_grey
        assert banner.startswith("STALE: ")
        assert "old" in price.split()
        assert title.startswith("NOT CURRENT ")


async def test_the_cursor_tells_cell_row_and_holders(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        await page.ask("zoom({ ...brightest(200), columns: 90, rows: 60 })")
        await page.drawn()
        x, y = await page.ask(
            """(() => { const { column, row } = brightest(200); const box = heatmapCanvas().getBoundingClientRect();
            return [box.x + page.chart.chart.timeScale().logicalToCoordinate(column - page.chart.heatmap.firstColumn),
                    box.y + page.chart.series.priceToCoordinate(page.levels.axes.priceAt(row + 0.5))]; })()"""
        )
        await page.tab.mouse.move(x, y)
        await page.until("document.querySelectorAll('#readout .bars').length === 2")

        said = await page.text("#readout")
        wanted = await page.ask("usdOf(brightest(200).level)")
        assert f"${wanted / 1e6:.2f}M" in said
        assert "binance" in said
        assert "Open now in this row" in said
        low = await page.ask("page.levels.axes.priceAt(brightest(200).row)")
        assert f"{low:,.0f}" in said


async def test_clusters_are_brackets_beside_the_map_in_sight_and_in_words(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        await page.until("page.map.map && page.map.found")
        real = await page.ask("page.map.found.clusters")

        found = await page.ask(
            """(() => { const { map, chart } = page; const view = chart.visiblePrices();
            const at = (share) => view.bottom + share * (view.top - view.bottom);
            const cluster = { side: "longs", rank: 1, low: at(0.3), high: at(0.4), peak: at(0.35), usd: 7.12e8 };
            const look = () => { const { canvas } = map; const ratio = devicePixelRatio;
            const copy = new OffscreenCanvas(canvas.width, canvas.height)
            .getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0); const x = Math.round(canvas.width - 3 * ratio);
            return [0.37, 0.45].map((share) => { const y = Math.round((1 - share) * view.height * ratio);
            return [...copy.getImageData(x, y, 1, 1).data]; }); };
            map.found = { takenMs: Date.now(), clusters: [] }; map.draw(); const before = look();
            map.found = { takenMs: Date.now() + 1, clusters: [cluster] }; map.draw();
            const during = [...look(), map.canvas.getAttribute("aria-label")];
            map.found = { takenMs: Date.now() - 61_000, clusters: [cluster] }; map.draw();
            return { before, during, after: look() }; })()"""
        )

        assert all({"side", "low", "high", "usd", "statedShare"} <= cluster.keys() for cluster in real)
        inside, outside, words = found["during"]
        assert min(inside[:3]) > 200
        assert [outside] == found["before"][1:]
        assert "; clusters: $712M of longs from " in words
        assert found["after"] == found["before"]


async def test_the_address_is_the_view(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, "timeframe=1w&scale=heat&dim=40&bright=90&map=off") as page:
        await page.in_sync()
        assert await page.ask("[page.replica.timeframe, page.colours.brightness().bright]") == ["1w", 90]
        assert not await page.tab.locator("#map-box").is_visible()

        await page.ask("location.hash = '#symbol=BTC&timeframe=3d&side=short'")
        await page.until("page.filtered && page.replica?.timeframe === '3d'")
        assert await page.tab.locator("#map-box").is_visible()
        assert await page.tab.get_by_role("button", name="Shorts").get_attribute("aria-pressed") == "true"

        await page.tab.locator("#bright").fill("120")
        assert page.tab.url.endswith("#symbol=BTC&timeframe=3d&side=short&bright=120")


async def test_the_legend_is_in_usd(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, "dim=40&bright=120&spread=linear") as page:
        await page.in_sync()
        assert (await page.text("#legend-ticks")).split() == ["$8.19K", "$2.80M", "$5.60M", "$8.39M"]
        assert await page.text("#legend-unit") == "USD a row of 40"

        await page.tab.keyboard.press("l")
        assert (await page.text("#legend-ticks")).split() == ["$8.19K", "$90.1K", "$852K", "$8.39M"]


async def test_a_position_is_a_line_where_it_would_be_liquidated(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        await page.tab.locator("#position-leverage").select_option("10")
        await page.tab.locator("#position-entry").fill("65000")

        # R5: a 10x long of 65,000 on Binance.
        assert await page.until("page.chart.lines.length === 2 && page.chart.lines[1].options().price.toFixed(1)") == (
            "58734.9"
        )
        assert "58,734.9" in await page.text("#position-result")
        assert "position=long~10~65000~binance:BTCUSDT" in page.tab.url


async def test_swept_marks_stand_where_the_price_was(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        marks = await page.until("page.chart.swept.marks.length && page.chart.swept.marks")
        candles = await page.ask(
            "[...page.replica.candles].map(([column, prices]) =>"
            " [column, ...prices.map((price) => Number(price) / page.replica.axes.priceUnit)])"
        )

        ranges = {int(column): (low, high) for column, _, high, low, _ in candles}
        height = await page.ask("page.replica.axes.rowHeight")
        assert len(marks) > 10
        for mark in marks:
            low, high = ranges[mark["column"]]
            assert low - height <= mark["price"] <= high + height


async def test_what_is_seen_can_be_saved(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        await page.ask("zoom({ ...brightest(), columns: 40, rows: 40 })")
        await page.drawn()
        files: list[Path] = []
        for button in ("#csv", "#png"):
            async with page.tab.expect_download() as waiting:
                await page.tab.locator(button).click()
            download = await waiting.value
            assert download.suggested_filename.startswith("liqscape_BTC_24h_")
            files.append(await download.path())

        lines = files[0].read_text().splitlines()
        cells = [line.split(",") for line in lines if not line.startswith("#")][1:]
        columns, prices = await page.ask("[page.chart.visibleColumns(), page.chart.visiblePrices()]")
        async with Client(served.listen) as client:
            grid = await client.grid("BTC", "24h")
        levels = levels_of(grid.cells, grid.usd_per_weighted_lot)
        low, high = grid.price_low(), grid.price_low() + (grid.price_low()[1] - grid.price_low()[0])
        oldest = grid.newest_column - levels.shape[0] + 1
        inside = levels[max(0, columns["first"] - oldest) : columns["last"] - oldest + 1]
        inside = inside[:, (high > prices["bottom"]) & (low <= prices["top"])]
        assert len(cells) == (inside > 0).sum() > 500
        assert "# REPLAY ENDED" in lines
        assert "# estimate of a model" in lines
        picture = files[1].read_bytes()
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(picture[16:20]) > 1000


async def test_no_script_but_the_pages_own_may_run(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http) as page:
        await page.in_sync()
        broken = await page.ask(
            """new Promise((resolve) => {
              document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
              const script = Object.assign(document.createElement("script"), { textContent: "globalThis.hit = 1" });
              document.body.append(script);
            })"""
        )

        assert broken.startswith("script-src")
        assert await page.ask("globalThis.hit === undefined")
        assert len(page.complaints) == 1  # the browser says so too
        page.complaints.clear()


async def test_a_symbol_that_does_not_exist_is_said_so(browser: Any, served: PageServer) -> None:
    async with open_page(browser, served.http, "symbol=NOPE", loses_server=True) as page:
        await page.until("page.connection.standing().phase === 'failed' && !document.querySelector('#banner').hidden")

        assert (await page.text("#banner")).startswith("NOT SERVED: ")
        assert "BTC" in await page.text("#banner")
        page.complaints.clear()  # the browser's own words on answers of 404


async def test_pictures_are_kept_where_a_folder_is_named_and_always_of_a_failure(
    browser: Any, served: PageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        async with open_page(browser, served.http) as page:
            await page.keep("as it was")
            raise ZeroDivisionError

    monkeypatch.delenv(ARTIFACTS_VARIABLE, raising=False)
    with pytest.raises(ZeroDivisionError):
        await fail()
    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path / "kept"))
    with pytest.raises(ZeroDivisionError):
        await fail()

    found = {path.name.partition("failure")[2]: path.read_bytes()[:3] for path in (tmp_path / "kept").iterdir()}
    assert found == {"_as_it_was.jpg": b"\xff\xd8\xff", "_failed.jpg": b"\xff\xd8\xff"}


async def test_files_are_served_as_listed_and_typed(served: PageServer) -> None:
    listed = json.loads((Path(__file__).parents[2] / "clients" / "web" / "assets.json").read_text())["files"]
    reader, writer = await asyncio.open_connection(*served.http.split(":"))
    request = f"GET /static/{listed[-1]} HTTP/1.1\r\nHost: {served.http}\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    head = (await reader.read()).partition(b"\r\n\r\n")[0].decode().lower()
    writer.close()

    assert head.startswith("http/1.1 200")
    assert "content-type: text/javascript" in head
    assert "content-security-policy: default-src 'none'; script-src 'self'" in head
