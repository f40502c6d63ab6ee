"""How old is what a slow reader of a session gets? Counted in ticks, by hand, so that no clock decides.

A reader takes a message, is busy while TICKS_A_READ ticks come, acknowledges, and takes the next. Whatever lies
between, buffers of gRPC and of the kernel, what it takes was newest at most W reads ago.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest

from tests.integration.test_grpc_api import Server, assert_equals_engine, serving
from tests.integration.test_session import Session

TICKS_A_READ = 5
READS = 30
WAIT_S = 10.0

pytestmark = pytest.mark.slow


async def until_frames(server: Server, count: int) -> None:
    """Return when the transport has taken so many frames."""
    async with asyncio.timeout(WAIT_S):
        while server.hub.counters.frames < count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def ages_in_ticks(server: Server, session: Session) -> list[int]:
    """Return how many ticks behind the engine each message of data was when it was taken."""
    ages = []
    for _ in range(READS):
        frame = await session.read()
        ages.append(server.engine.tick - frame.sections[0].tick)
        for _ in range(TICKS_A_READ):
            await server.step()
            await asyncio.sleep(0.001)  # in which a server that did not count would send each tick by itself
        sent = server.hub.counters.frames
        await session.acknowledge()
        await until_frames(server, sent + 1)  # what that sets free
    return ages


@pytest.mark.parametrize("window", [1, 2, 4])
async def test_slow_reader_is_never_more_than_its_window_of_reads_behind(window: int) -> None:
    async with serving() as narrow, grpc.aio.insecure_channel(narrow.running.address) as channel:
        server = replace(narrow, channel=channel)  # whose buffers take a whole window of messages
        session = Session(server)
        await session.join(max_in_flight=window)
        for in_flight in range(1, window + 1):
            await server.step()
            await until_frames(server, session.replica.frames + in_flight)

        ages = await ages_in_ticks(server, session)

        assert max(ages) <= window * TICKS_A_READ + 1
        assert ages[window:] == [(window - 1) * TICKS_A_READ] * (READS - window)
        await session.catch_up(server)
        assert_equals_engine(session.replica, server.engine)
