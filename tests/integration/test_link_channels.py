"""Tiles and custom channels over a real unix socket: opened and closed as in one process, given back with a link."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from liqscape.errors import LimitExceeded, Unavailable
from liqscape.grid.channel_specs import ChannelSpec
from liqscape.grid.updates import Channel
from liqscape.link.host import hosting, port_methods
from liqscape.link.leases import Leases
from tests.fake_engine import FRAMES
from tests.link_engine import WAIT_S, HostedEngine, first_source, linked
from tests.worker_processes import until


class FakeChannels:
    """A ChannelPort that counts leases."""

    def __init__(self) -> None:
        self.leases: Counter[int] = Counter()
        self.error: Exception | None = None

    async def open_channel(self, spec: ChannelSpec) -> Channel:
        if self.error is not None:
            raise self.error
        channel = Channel(40 + len(spec.symbol), spec.symbol, FRAMES[0])
        self.leases[channel.channel_id] += 1
        return channel

    async def close_channel(self, channel_id: int) -> None:
        self.leases[channel_id] -= 1


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[tuple[FakeChannels, Path]]:
    made, port = HostedEngine(tmp_path), FakeChannels()
    async with hosting(made.path, port_methods(made.queries), made.fan, Leases(port)):
        yield port, made.path


def spec_of(symbol: str) -> ChannelSpec:
    return ChannelSpec(symbol=symbol, timeframe=FRAMES[0].name)


async def test_channel_is_opened_and_given_back(engine: tuple[FakeChannels, Path]) -> None:
    port, path = engine
    async with linked(path) as link, first_source(link) as source:
        channel = await source.channels.open_channel(spec_of("BTC"))
        opened = +port.leases
        await source.channels.close_channel(channel.channel_id)
        await source.channels.close_channel(channel.channel_id)  # a second time is passed over

    assert channel == Channel(43, "BTC", FRAMES[0])
    assert opened == {43: 1}
    assert port.leases[43] == 0


async def test_refusal_arrives_as_its_type(engine: tuple[FakeChannels, Path]) -> None:
    port, path = engine
    port.error = LimitExceeded("2 custom channels are open", 5000)
    async with linked(path) as link, first_source(link) as source:
        with pytest.raises(LimitExceeded, match="2 custom channels are open") as caught:
            await source.channels.open_channel(spec_of("BTC"))

    assert caught.value.retry_after_ms == 5000


async def test_edge_that_goes_gives_back_what_it_had_and_no_other(engine: tuple[FakeChannels, Path]) -> None:
    port, path = engine
    async with linked(path) as stays, first_source(stays) as kept:
        await kept.channels.open_channel(spec_of("BTC"))
        async with linked(path) as link, first_source(link) as source:
            for symbol in ("BTC", "BTC", "DOGE"):
                await source.channels.open_channel(spec_of(symbol))
            while_there = +port.leases

        await until(lambda: +port.leases == Counter({43: 1}), WAIT_S)

    assert while_there == {43: 3, 44: 1}


async def test_channels_of_a_connection_that_has_ended_cannot_be_opened(engine: tuple[FakeChannels, Path]) -> None:
    port, path = engine
    async with linked(path) as link:
        async with first_source(link) as source:
            pass
        await asyncio.sleep(0)

        async def refused() -> bool:
            try:
                await source.channels.open_channel(spec_of("BTC"))
            except Unavailable:
                return True
            return False

        async with asyncio.timeout(WAIT_S):
            while not await refused():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await until(lambda: not +port.leases, WAIT_S)
