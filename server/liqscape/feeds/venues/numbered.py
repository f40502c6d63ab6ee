"""What a venue numbers without holes: what is missing is announced, what comes again is left out.

Numbered counts the trades of each instrument, Counted the messages of a connection, and Followed the ids of trades of
which nobody says that they have no holes: only once they have shown it. A number far below the newest is a
new count of the venue's (or the newest was nonsense), not one told again: it is taken, with a gap, so that no single
message can make a dialect deaf.
"""

from __future__ import annotations

import enum
from typing import Final

from liqscape.events import Gap, Trade
from liqscape.feeds.venues.dialect import Reading, Unreadable
from liqscape.feeds.venues.readings import Question
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

    def begin_anew(self, number: int) -> None:
        """Count from a number on that looks like one told before, and is not."""
        self._newest = number


FOLLOWED: Final = Question("ids of trades", ("they follow without holes",), needs=1)
"""See Followed; a connection that has shown it votes once."""

SHOWN: Final = 200
"""Ids that follow, before a hole in them is believed to be one: of a large instrument those of a minute or two."""

HOLES: Final = 50
"""One hole in so many ids, above which they are not believed to have none."""


class Followed:
    """The newest ids of the trades of a connection, of each instrument."""

    __slots__ = ("_followed", "_holes", "_newest")

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, int]] = {}
        self._followed = 0
        self._holes = 0

    def see(self, into: Reading, trade_id: object, count: object = 1) -> None:
        """Take the id of the newest event of a reading, a trade; note a gap where some before it were not told.

        Args:
            into: ends with the trade.
            trade_id: the venue's, a number or the text of one; anything else says nothing.
            count: trades that are told as one, whose last has the id.
        """
        trade = into.events[-1]
        assert isinstance(trade, Trade)
        try:
            number, taken = int(trade_id), int(count)  # type: ignore[call-overload]
        except (ValueError, TypeError, OverflowError):
            return
        newest = self._newest.get(trade.instrument_id)
        if newest is None or not newest[0] - AGAIN < number <= newest[0]:
            self._newest[trade.instrument_id] = number, trade.time_ns
            if newest is not None:
                self._step(into, trade, newest, is_next=number == newest[0] + taken)

    def pass_over(self, instrument_id: str, trade_id: object) -> None:
        """Take the id of a trade that is told and not wanted: where it is the next one, the trade after it is no hole.

        Any other id says nothing here. That such trades are counted with all others is not documented.
        """
        newest = self._newest.get(instrument_id)
        if newest is not None and type(trade_id) is int and trade_id == newest[0] + 1:
            self._newest[instrument_id] = trade_id, newest[1]

    def _step(self, into: Reading, trade: Trade, newest: tuple[int, int], *, is_next: bool) -> None:
        if is_next:
            self._followed += 1
            if self._followed == SHOWN and self._are_shown:
                into.evidence.append((FOLLOWED, FOLLOWED.alternatives[0]))
            return
        self._holes += 1
        if self._are_shown:
            first, last = sorted((newest[1], trade.time_ns))
            into.events.append(Gap(trade.instrument_id, first, last + MS, "trades are missing"))

    @property
    def _are_shown(self) -> bool:
        return self._followed >= SHOWN and self._holes * HOLES <= self._followed
