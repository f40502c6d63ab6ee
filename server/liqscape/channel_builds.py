"""First grids of custom channels, made on the query thread while ticks go on: see grid.custom_channels."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Final

from liqscape.grid.custom_channels import ChannelBuild
from liqscape.grid.shard import Shard

_LOG = logging.getLogger(__name__)

BUILD_RETRY_SECONDS: Final = 10.0
"""After a grid could not be made; its readers wait, everybody else is served."""


class ChannelBuilds:
    """Starts the builds of a shard and sees them through. On the engine's thread, between ticks.

    Args:
        executor: where grids are made, one after the other: each takes as long as an answer to GetGrid.
        monotonic: seconds.

    Attributes:
        failed: builds that broke down since the start.
    """

    def __init__(self, executor: Executor, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.failed = 0
        self._executor = executor
        self._monotonic = monotonic
        self._underway: list[tuple[ChannelBuild, Future[None]]] = []
        self._due_at = monotonic()
        self._made_at_tick = -1  # a grid was found made after this tick, and the next one takes it over

    def after_tick(self, shard: Shard) -> None:
        """See what has come of the builds under way, and start those that are due."""
        for build, future in [pair for pair in self._underway if pair[1].done()]:
            self._underway.remove((build, future))
            error = future.exception()
            if error is None:
                self._made_at_tick = shard.tick
            else:
                self.failed += 1
                self._due_at = self._monotonic() + BUILD_RETRY_SECONDS
                shard.retry_build(build)
                _LOG.error("no first grid of channel %d yet: %r", build.channel.channel_id, error)
        if self._monotonic() >= self._due_at:
            self._underway.extend((build, self._executor.submit(build.run)) for build in shard.channel_builds())

    async def settle(self, shard: Shard) -> bool:
        """Wait until nothing is under way any more; return whether a grid was made since the newest tick.

        At the end of the input.
        """
        self.after_tick(shard)
        while self._underway:
            futures = [asyncio.wrap_future(future) for _, future in self._underway]
            await asyncio.gather(*futures, return_exceptions=True)
            self.after_tick(shard)
        return self._made_at_tick == shard.tick
