"""The ChannelPort of an engine: tiles and custom channels, opened and closed between two ticks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, Future

from liqscape.between_ticks import BetweenTicks
from liqscape.channel_builds import ChannelBuilds
from liqscape.errors import NotFound, NotReady, Unavailable
from liqscape.grid.channel_specs import ChannelSpec
from liqscape.grid.shard import Shard
from liqscape.grid.updates import Channel, EngineStatus


class ChannelDesk:
    """See broadcast.ports.ChannelPort.

    Args:
        shard: whose channels these are; touched on the engine's thread only.
        between_ticks: how to get there.
        status: returns what the engine is doing.
        executor: where first grids are made that a tick must not wait for.
    """

    def __init__(
        self, shard: Shard, between_ticks: BetweenTicks, status: Callable[[], EngineStatus], executor: Executor
    ) -> None:
        self._shard = shard
        self._between_ticks = between_ticks
        self._status = status
        self._builds = ChannelBuilds(executor)

    @property
    def counters(self) -> dict[str, int]:
        """Return what has gone wrong."""
        return {"channel_builds_failed": self._builds.failed}

    def after_tick(self) -> None:
        """See to the first grids. On the engine's thread."""
        self._builds.after_tick(self._shard)

    async def settle(self) -> bool:
        """Wait for first grids that are being made; return whether any await the next tick, and are worth a render.

        On the engine's thread, when the input has ended: no tick will take them over.
        """
        return await self._builds.settle(self._shard)

    async def open_channel(self, spec: ChannelSpec) -> Channel:
        """Return the channel of a spec and count a lease on it; see ChannelPort."""
        self._require_serving()  # while history is built nothing is done between ticks
        opened = self._between_ticks.submit(lambda: self._open(spec))
        try:
            return await asyncio.wrap_future(opened)
        except asyncio.CancelledError:
            opened.add_done_callback(self._give_back)  # who asked will never know of the lease
            raise

    async def close_channel(self, channel_id: int) -> None:
        """Give a lease back; see ChannelPort."""
        with contextlib.suppress(RuntimeError):  # the engine has been stopped, and its channels with it
            await asyncio.wrap_future(self._between_ticks.submit(lambda: self._shard.on_demand.close(channel_id)))

    def _open(self, spec: ChannelSpec) -> Channel:
        self._require_serving()
        channel = self._shard.on_demand.open(spec)
        self.after_tick()  # its first grid need not wait for the next tick to be begun
        return channel

    def _require_serving(self) -> None:
        status = self._status()
        if status.state == "failed":
            raise Unavailable(f"the engine has failed: {status.message}")
        if status.state == "ended":
            raise NotFound("the input has ended, and a new channel begins with a tick; ask for default channels")
        if status.state == "building":
            raise NotReady(status.message or "history is still being built", status.progress)

    def _give_back(self, opened: Future[Channel]) -> None:
        if not opened.cancelled() and opened.exception() is None:
            channel_id = opened.result().channel_id
            self._between_ticks.submit(lambda: self._shard.on_demand.close(channel_id))
