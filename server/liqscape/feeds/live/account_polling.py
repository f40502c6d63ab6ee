"""Asks a venue for the positions of accounts, one after the other, inside a budget of their own."""

from __future__ import annotations

from typing import Final

from liqscape.feeds.live.account_desk import AccountDesk
from liqscape.feeds.live.backoff import TOO_MANY_S, TOO_MANY_STATUS, Backoff
from liqscape.feeds.live.budgets import Pacer
from liqscape.feeds.live.connection import BLOCKED_STATUS, OK, Surroundings
from liqscape.feeds.live.polling import ANSWER_S
from liqscape.feeds.live.transport import ConnectFailed

LOOK_S: Final = 1.0
"""Between two looks at who is due, where nobody is: an account may be found at any time."""

SERVER_ERRORS: Final = 500
"""Status from which the venue has failed; below it, it refuses the question about this account."""


class AccountPoller:
    """Asks until it is cancelled.

    Args:
        desk: whom to ask about, and who takes the answers.
        around: shared by all.

    Attributes:
        reason: why nothing is answered, in words; empty: it is.
    """

    def __init__(self, desk: AccountDesk, around: Surroundings) -> None:
        self.desk = desk
        self.reason = ""
        self._around = around
        self._timing = around.timing
        budget, weight = desk.accounts.budget, desk.accounts.weight
        # Nobody else draws on this budget: even turns keep it, and spend no minute's weight in its first seconds.
        self._turns = Pacer(budget.weight / weight / budget.seconds, around.timing)

    async def run(self) -> None:
        """Ask about everybody, round and round."""
        backoff = Backoff(self._around.generator)
        while True:
            address = self.desk.next(self._timing.monotonic())
            if address is None:
                await self._timing.sleep(LOOK_S)
                continue
            await self._turns.turn()
            retry_s = await self._ask(address, backoff)
            if retry_s is None:
                backoff.reset()
            else:
                await self._timing.sleep(retry_s)

    async def _ask(self, address: str, backoff: Backoff) -> float | None:
        """Ask once; return None if the venue is well, else seconds to wait before it is asked about anybody."""
        self.desk.ask(address, self._timing.monotonic())
        try:
            async with self._timing.timeout(ANSWER_S):
                answer = await self._around.transport.request(self.desk.accounts.request(address))
        except (TimeoutError, ConnectFailed) as error:
            self.reason = str(error) or "no answer"
            return backoff.after_failure()
        if answer.status == OK:
            self.reason = ""
            self.desk.answer(address, answer.body, self._timing.now_ns())
            return None
        self.reason = f"HTTP {answer.status}"
        if answer.status in TOO_MANY_STATUS:
            return backoff.after_failure(retry_after_s=answer.retry_after_s or TOO_MANY_S)
        if answer.status in BLOCKED_STATUS:
            return backoff.after_failure(blocked=True, retry_after_s=answer.retry_after_s)
        if answer.status >= SERVER_ERRORS:
            return backoff.after_failure(retry_after_s=answer.retry_after_s)
        self.desk.refuse(address, self.reason)
        self.reason = ""
        return None
