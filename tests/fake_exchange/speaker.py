"""What a venue's file of the fake exchange gives: the other side of its dialect, small and by the documents.

To add a venue: write a Speaker in a file of its own beside this one and list it where the tests make their exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from liqscape.events import Event


class Speaker(Protocol):
    """A venue as it speaks."""

    @property
    def hosts(self) -> frozenset[str]:
        """Return the host names of its addresses."""
        ...

    def reply(self, text: str) -> list[str]:
        """Return what is said at once to a message of a client: confirmations, pongs."""
        ...

    def say(self, event: Event, number: int) -> str | bytes | None:
        """Return the message of an event, or None where it is not streamed.

        Args:
            event: in the normal form.
            number: of the event among those of its instrument and kind, without holes.
        """
        ...

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        """Return the body of an answer to a request, or None where there is no such path.

        Args:
            path: of the address.
            query: of the request.
            newest: open interest by instrument id, in units of events.
            now_ns: time of the venue.
        """
        ...
