"""What the door without tokens says is found out now and then, however many ask."""

from __future__ import annotations

import asyncio

import orjson
from aiohttp.test_utils import make_mocked_request

from liqscape.api.health import VERDICT_HOLDS_S, PublicHealth
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.hubs import Hubs
from liqscape.broadcast.in_process import InProcessFrameSource
from liqscape.grid.updates import EngineStatus
from tests.fake_engine import FakeEngine, FakeQueries

REQUEST = make_mocked_request("GET", "/healthz")


async def test_many_who_ask_make_one_question_and_a_change_shows_after_a_moment() -> None:
    engine, now_s, asked = FakeEngine(), 100.0, 0
    queries = FakeQueries(engine)

    async def status() -> EngineStatus:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return await queries.status()

    health = PublicHealth(Hubs(Hub(InProcessFrameSource(engine.shard), monotonic=lambda: now_s)), status)

    answers = await asyncio.gather(*(health.answer(REQUEST) for _ in range(50)))
    asked_at_first = asked
    queries.state = EngineStatus("failed", "broken", 1.0, None, 1, 7, "numpy", "fake")
    held = await health.answer(REQUEST)
    now_s += VERDICT_HOLDS_S
    later = await health.answer(REQUEST)

    assert asked_at_first == 1
    assert {answer.status for answer in answers} == {200}
    assert held.status == 200
    assert (later.status, asked) == (503, 2)
    assert isinstance(later.body, bytes)
    assert orjson.loads(later.body) == {"status": "failed"}
