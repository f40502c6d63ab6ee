"""A server with its page, a Chromium of this machine that opens it, and questions to the page while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from clients.web import packages

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed (extra dev)")

WAIT_S: Final = 30.0
POLL_S: Final = 0.02
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
BROWSER_VARIABLE: Final = "LIQSCAPE_CHROMIUM"
OPTIONS: Final = (
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1600, "height": 900}}
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
}

PROBE: Final = (Path(__file__).parent / "probe.js").read_text("utf-8")
"""Functions that tests ask the page for; put into it by the debugger, which no policy of the page stops."""

ARTIFACTS_VARIABLE: Final = "LIQSCAPE_ARTIFACTS"
"""Names a folder for pictures of the page; without it none are kept."""

_LOST_SERVER: Final = re.compile(r"net::ERR_|WebSocket connection to|status of (409|503)")
"""What a browser says of its own accord about a server that is not there, or not ready."""


def browser_or_skip() -> str:
    """Return the path of a Chromium, or skip and say why; the packages of the page are installed too."""
    named = os.environ.get(BROWSER_VARIABLE)
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no Chromium on this machine (or in {BROWSER_VARIABLE})")
    reason = packages.install(packages.HERE, packages.PAGE)
    if reason:
        pytest.skip(reason)
    return found


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """Yield a browser."""
    path = browser_or_skip()
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class PageServer:
    """A running server.

    Attributes:
        listen: HOST:PORT of gRPC.
        http: HOST:PORT of the page.
    """

    listen: str
    http: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def page_server(*arguments: str, http: str = "127.0.0.1:0") -> AsyncIterator[PageServer]:
    """Run `liqscape serve` with a page; yield it once it has said where it is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liqscape", "serve", "--listen", "127.0.0.1:0", "--http", http, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    reading: asyncio.Task[None] | None = None
    said = ""
    try:
        async with asyncio.timeout(WAIT_S):
            while not (page := re.search(r"look at it: +http://([0-9.]+:\d+)/", said)):
                line = (await process.stdout.readline()).decode()
                assert line, f"the server ended before it served: {said}"
                said += line
        listen = re.search(r"liqscape serves .* on ([0-9.]+:\d+)", said)
        assert listen is not None
        reading = asyncio.create_task(_drain(process.stdout))  # a full pipe would stop the server
        yield PageServer(listen.group(1), page.group(1), process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(1 << 16):
        pass


@dataclass(slots=True)
class OpenPage:
    """The page in a tab, and what its console has said.

    Attributes:
        tab: of playwright.
        complaints: errors of the console, of scripts, and broken policies.
    """

    tab: Any
    complaints: list[str] = field(default_factory=list)

    async def ask(self, expression: str, argument: object = None) -> Any:
        """Return what JavaScript says; `page` is the Page, and the functions of probe.js are there."""
        body = f"(argument) => {{ const page = globalThis.liqscape; {PROBE}\n return ({expression}); }}"
        return await self.tab.evaluate(body, argument)

    async def until(self, expression: str, argument: object = None) -> Any:
        """Return what JavaScript says once that is neither false nor nothing."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    said = await self.ask(f"page && ({expression})", argument)
                    if said:
                        return said
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            standing = await self.ask("page?.connection.standing()")
            raise AssertionError(f"never came true: {expression}; the page says {standing}") from None

    async def in_sync(self) -> None:
        """Return once the page is in sync and has drawn what it holds."""
        await self.until("page.connection.standing().phase === 'in sync' && page.chart.heatmap.texture.levels")
        await self.drawn()

    async def drawn(self) -> None:
        """Return once everything that has been applied is on the screen."""
        await self.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    async def keep(self, what: str = "") -> None:
        """Keep a picture of what is seen, under the name of the running test, where a folder for it is named.

        Of a failure one is kept in any case.
        """
        folder = os.environ.get(ARTIFACTS_VARIABLE)
        if not folder:
            return
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition("::")[2].removesuffix(" (call)")
        name = re.sub(r"[^\w.-]+", "_", f"{test} {what}".strip())
        await self.tab.screenshot(path=str(Path(folder) / f"{name}.jpg"), type="jpeg", quality=80)

    async def text(self, selector: str) -> str:
        """Return what stands in an element, as it is seen."""
        return str(await self.tab.locator(selector).inner_text())


@contextlib.asynccontextmanager
async def open_page(
    browser: Any, address: str, hash_: str = "", *, loses_server: bool = False, script: str = "", **options: Any
) -> AsyncIterator[OpenPage]:
    """Open the page in a window of its own; at the end nothing may have been complained of. See OpenPage.keep.

    Args:
        browser: of chromium().
        address: HOST:PORT.
        hash_: what stands behind the # of the address.
        loses_server: connections that are refused or break are no complaint.
        script: run before any of the page's own.
        options: of the window, DESKTOP unless given.
    """
    context = await browser.new_context(**(options or DESKTOP))
    page = OpenPage(await context.new_page())
    complaints = page.complaints
    page.tab.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.tab.on("pageerror", lambda error: complaints.append(str(error)))
    if script:
        await page.tab.add_init_script(script)
    try:
        await page.tab.goto(f"http://{address}/{hash_ and '#'}{hash_}")
        yield page
        unexpected = [text for text in complaints if not (loses_server and _LOST_SERVER.search(text))]
        assert unexpected == []
    except BaseException:
        with contextlib.suppress(Exception):  # of a picture; what has failed is what is told
            await page.keep("failed")
        raise
    finally:
        await context.close()
