"""The channels that one stream keeps open, from one selection to the next. No sockets."""

from __future__ import annotations

import contextlib
from typing import Self

from liqscape.api.gate import check_channels
from liqscape.broadcast.hub import Hub
from liqscape.broadcast.selections import Plan, Selection, Wanted
from liqscape.errors import QueryError


class Holding:
    """What one stream has selected: its channels stay open until it selects others, or ends.

    Args:
        hub: whose channels.

    Attributes:
        held: what is selected now; None = nothing yet.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._plan: Plan | None = None
        self.held: Selection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._take(None)

    async def select(self, wanted: list[Wanted]) -> Selection:
        """Return the selection of what a request wants, in place of the one before.

        Raises:
            QueryError: it cannot be served, or not to this caller; the one before stays. Where it had made room, it has
                been opened anew, under other ids, or its channels are missing in `held` where that failed too.
        """
        plan = self._hub.plan(wanted)
        check_channels(plan.size)
        try:
            selection = await self._hub.hold(plan, self.held)
        except QueryError:
            await self._restore()
            raise
        self._take(selection)
        self._plan = plan
        return selection

    async def _restore(self) -> None:
        """Have what was closed in vain opened anew."""
        if self.held is None or self._plan is None:
            return
        left = self._hub.still_open(self.held)
        if len(left.channel_ids) == len(self.held.channel_ids):
            return
        self.held = left  # the readers of what was closed went with it
        with contextlib.suppress(QueryError):
            self._take(await self._hub.hold(self._plan))

    def _take(self, selection: Selection | None) -> None:
        if self.held is not None:
            self._hub.release(self.held)
        self.held = selection
