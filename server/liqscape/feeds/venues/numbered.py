"""What a venue numbers without holes: what is missing is announced, what comes again is left out.

Numbered counts the trades of each instrument, Counted the messages of a connection. A number far below the newest is a
new count of the venue's (or the newest was nonsense), not one told again: it is taken, with a gap, so that no single
message can make a dialect deaf.
"""

from __future__ import annotations

import enum
from typing import Final

from liqscape.events import Gap
from liqscape.feeds.venues.dialect import Reading, Unreadable
from liqscape.feeds.venues.scale import MS

AGAIN: Final = 1000
"""Numbers below the newest that are taken for trades told again: more than any message or reconnect repeats."""


class Numbered:
    """The newest number of each instrument of a connection."""

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, int]] = {}

    def takes(self, into: Reading, instrument_id: str, number: object, time_ns: int) -> bool:
        """Return whether a trade is a new one; note a gap where some before it were not told.

        Args:
            into: where gaps and repeated trades are noted.
            instrument_id: of the trade; one that is wanted, so that what is kept is bounded.
            number: as the venue counts.
            time_ns: of the trade.
        """
        if type(number) is not int:
            raise Unreadable("number", number)
        newest = self._newest.get(instrument_id)
        if newest is not None and number != newest[0] + 1:
            if newest[0] - AGAIN < number <= newest[0]:
                into.ignored["trade again"] += 1
                return False
            first, last = sorted((newest[1], time_ns))
            into.events.append(Gap(instrument_id, first, last + MS, "trades are missing"))
        self._newest[instrument_id] = (number, time_ns)
        return True

    def begins(self, instrument_id: str, number: object, time_ns: int) -> None:
        """Take the newest of the old trades that a subscription is answered with, to count from."""
        if type(number) is int:
            self._newest[instrument_id] = (number, time_ns)


class Step(enum.Enum):
    """What a number says about the one before it."""

    NEXT = "next"
    AGAIN = "again"
    """Told before."""
    MISSED = "missed"
    """Some between them were not told."""


class Counted:
    """The newest number of the messages of a connection."""

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        self._newest: int | None = None

    def step(self, number: int) -> Step:
        """Take the number of the next message; the first may be any."""
        newest = self._newest
        if newest is not None and newest - AGAIN < number <= newest:
            return Step.AGAIN
        self._newest = number
        return Step.NEXT if newest is None or number == newest + 1 else Step.MISSED
