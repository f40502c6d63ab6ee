"""Short-lived tickets: a browser cannot send a token with a WebSocket, and a token must not stand in an address.

Whoever shows a token gets a ticket that stands for it, once, for half a minute.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, Protocol

from liqscape.errors import LimitExceeded

TICKET_SECONDS: Final = 30.0
MAX_TICKETS: Final = 4096
"""Waiting to be used; as many as there may be streams. 200 bytes each."""


class TicketOffice(Protocol):
    """Where tickets are to be had: in this process, or in one that all doors of the server share."""

    async def issue(self, authorization: str) -> str:
        """Return a ticket that stands for an authorization.

        Raises:
            LimitExceeded: too many wait to be used.
        """
        ...

    async def redeem(self, ticket: str) -> str | None:
        """Return what a ticket stands for, for the first who shows it in time; else None."""
        ...


class Tickets:
    """Tickets of a server, in its memory.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._open: dict[str, tuple[str, float]] = {}  # authorization and end, by ticket, oldest first

    def issue(self, authorization: str) -> str:
        """Return a ticket that stands for an authorization.

        Raises:
            LimitExceeded: too many wait to be used.
        """
        self._forget()
        if len(self._open) >= MAX_TICKETS:
            raise LimitExceeded(f"{MAX_TICKETS} tickets wait to be used, the limit", int(TICKET_SECONDS * 1000))
        ticket = secrets.token_urlsafe(24)
        self._open[ticket] = authorization, self._monotonic() + TICKET_SECONDS
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Return what a ticket stands for, for the first who shows it in time; else None."""
        self._forget()
        found = self._open.pop(ticket, None)
        return None if found is None else found[0]

    def _forget(self) -> None:
        now = self._monotonic()
        for ticket, (_, ends_at) in list(self._open.items()):
            if ends_at > now:
                return
            del self._open[ticket]


class OwnTickets:
    """Tickets of a server that is one process, or of the process that keeps them for all.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._tickets = Tickets(monotonic)

    async def issue(self, authorization: str) -> str:
        """Return a ticket that stands for an authorization.

        Raises:
            LimitExceeded: too many wait to be used.
        """
        return self._tickets.issue(authorization)

    async def redeem(self, ticket: str) -> str | None:
        """Return what a ticket stands for, for the first who shows it in time; else None."""
        return self._tickets.redeem(ticket)
