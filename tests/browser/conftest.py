"""A browser, and a server that has built a recording: each once a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.browser.driver import PageServer, chromium, page_server
from tests.integration.synthetic_recording import write_recording

BARS: Final = 300


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PageServer]:
    """Yield a server of a recording that has ended: nothing moves while a test looks."""
    folder = tmp_path_factory.mktemp("recording")
    manifest = write_recording(folder, bars=BARS, step_minutes=5, seed=7)
    source = ("--source", f"history:{manifest}", "--recordings", str(folder), "--speed", "max")
    async with page_server(*source) as server:
        yield server
