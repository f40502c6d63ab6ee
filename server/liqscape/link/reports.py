"""What a process of a server tells its supervisor, and what it hears of all the others in return."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from liqscape.broadcast.accounts import Account
from liqscape.errors import Unavailable
from liqscape.link.asker import Asker

REPORT_EVERY_S: Final = 1.0

REPORT_LIMIT_S: Final = 0.5
"""GetStatus waits for it; a supervisor that is slower is busy starting something."""


class Reporter:
    """The account of one process, told to the supervisor; an Accounts of the whole server.

    Args:
        supervisor: where it is told.
        life: which process this is; no other of this server ever has the same number.
        own: what is counted here.
    """

    def __init__(self, supervisor: Asker, life: int, own: Account) -> None:
        self._asker = supervisor
        self._life = life
        self._own = own
        self._whole: Account | None = None

    async def whole(self) -> Account:
        """Report, and return the account of all processes; the last one known where there is no answer."""
        with contextlib.suppress(Unavailable):
            self._whole = await self._asker.ask("report", self._life, self._own, timeout_s=REPORT_LIMIT_S)
        return self._whole or self._own

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Report now and then until the block is left, and a last time then."""
        task = asyncio.create_task(self._run(), name="reports")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self.whole()

    async def _run(self) -> None:
        while True:
            await self.whole()
            await asyncio.sleep(REPORT_EVERY_S)
