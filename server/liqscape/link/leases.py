"""Tiles and custom channels that edges have opened, by the connection over which they came.

Whatever ends a connection (an edge that is killed, a new epoch) gives back every lease that was taken over it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from liqscape.broadcast.ports import ChannelPort
from liqscape.errors import Unavailable
from liqscape.grid.channel_specs import ChannelSpec
from liqscape.grid.updates import Channel
from liqscape.link.asker import Asker

NOT_CONNECTED: Final = "the engine has been started again"


class Leases:
    """The engine's side.

    Args:
        port: of the engine.
    """

    def __init__(self, port: ChannelPort) -> None:
        self._port = port
        self._held: dict[bytes, Counter[int]] = {}

    @contextlib.asynccontextmanager
    async def connection(self, name: bytes) -> AsyncIterator[None]:
        """Let leases be taken under a name until the block is left."""
        self._held[name] = Counter()
        try:
            yield
        finally:
            given_back = self._held.pop(name).elements()
            await asyncio.gather(*(self._port.close_channel(channel_id) for channel_id in given_back))

    async def open_channel(self, name: bytes, spec: ChannelSpec) -> Channel:
        """Return a channel, see ChannelPort. Unavailable: the connection of that name has ended."""
        channel = await self._port.open_channel(spec)
        held = self._held.get(name)
        if held is None:
            await self._port.close_channel(channel.channel_id)
            raise Unavailable(NOT_CONNECTED)
        held[channel.channel_id] += 1
        return channel

    async def close_channel(self, name: bytes, channel_id: int) -> None:
        """Give a lease of a connection back; one that it does not have is passed over."""
        held = self._held.get(name, Counter())
        if held[channel_id] > 0:
            held[channel_id] -= 1
            await self._port.close_channel(channel_id)


class LinkedChannels:
    """An edge's side: a ChannelPort over one connection.

    Args:
        asker: to the engine.
        name: of the connection.
    """

    def __init__(self, asker: Asker, name: bytes) -> None:
        self._asker = asker
        self._name = name

    async def open_channel(self, spec: ChannelSpec) -> Channel:
        """Return the channel of a spec; see ChannelPort."""
        channel: Channel = await self._asker.ask("open_channel", self._name, spec)
        return channel

    async def close_channel(self, channel_id: int) -> None:
        """Give a lease back; see ChannelPort."""
        with contextlib.suppress(Unavailable):  # the engine has gone, and with it the channel
            await self._asker.ask("close_channel", self._name, channel_id)
