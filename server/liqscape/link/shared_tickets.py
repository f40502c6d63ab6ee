"""Tickets that are good at every door of a server: whoever gets one at an edge may come to another with it."""

from __future__ import annotations

from typing import Final

from liqscape.link.asker import Asker

TICKET_LIMIT_S: Final = 5.0
"""A browser waits for it."""


class SharedTickets:
    """The supervisor's tickets.

    Args:
        supervisor: who keeps them.
    """

    def __init__(self, supervisor: Asker) -> None:
        self._supervisor = supervisor

    async def issue(self, authorization: str) -> str:
        """Return a ticket that stands for an authorization.

        Raises:
            LimitExceeded: too many wait to be used. Unavailable: the supervisor does not answer.
        """
        ticket: str = await self._supervisor.ask("issue_ticket", authorization, timeout_s=TICKET_LIMIT_S)
        return ticket

    async def redeem(self, ticket: str) -> str | None:
        """Return what a ticket stands for, for the first who shows it in time, at whichever edge; else None.

        Raises:
            Unavailable: the supervisor does not answer.
        """
        authorization: str | None = await self._supervisor.ask("redeem_ticket", ticket, timeout_s=TICKET_LIMIT_S)
        return authorization
