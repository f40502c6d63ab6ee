"""A playback held by the second client, whose replicas know nothing of playbacks."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import numpy as np
import pytest

from liqscape.grid.updates import GridQuery
from tests.integration.test_playback import serving
from tests.node.packages import node_program
from tests.past_engine import FIRST, LAST, past_engine

WAIT_S = 60.0

pytestmark = pytest.mark.slow


async def lines_of(*arguments: str) -> list[dict[str, Any]]:
    """Run the program to its end and return what it has said."""
    process = await asyncio.create_subprocess_exec(
        *node_program("playback.mjs"), *arguments, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    async with asyncio.timeout(WAIT_S):
        output, _ = await process.communicate()
    return [json.loads(line) for line in output.splitlines()]


async def test_node_holds_each_picture_of_a_playback() -> None:
    span = (str(FIRST), str(LAST + 1), "4")
    with past_engine() as engine:
        async with serving(engine) as server:
            *frames, end = await lines_of(server.address, *span, "BTC", "12h", "BTC", "24h")

        assert end == {"event": "end", "why": "the playback has ended", "fatal": False, "building": False}
        pictures = [frame for frame in frames if frame["control"] == "playback"]
        assert [int(picture["minute"]) for picture in pictures] == list(range(FIRST, LAST + 1, 4))
        assert all(picture["in_sync"] for picture in pictures[1:])  # the first comes before SnapshotEnd
        for picture in pictures:
            held = {channel["channel"]: channel["crc32"] for channel in picture["channels"]}
            for timeframe in ("12h", "24h"):
                query = GridQuery("BTC", timeframe, as_of_minute=int(picture["minute"]))
                ring = (await engine.get_picture(query)).ring
                assert held[f"BTC {timeframe}"] == zlib.crc32(np.ascontiguousarray(ring).tobytes())
