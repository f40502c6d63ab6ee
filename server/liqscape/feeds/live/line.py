"""One life of a connection, as far as its messages go: what was confirmed, what was heard when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from liqscape.events import Event, Funding, Gap, Liquidation, Trade
from liqscape.feeds.live.holes import MARGIN_NS, Hole
from liqscape.feeds.live.pace import Pace
from liqscape.feeds.venues.dialect import Channel, Dialect, Endpoint, Poll, Reading, read_answer, read_message

if TYPE_CHECKING:  # it makes these
    from liqscape.feeds.live.desk import VenueDesk

REFUSALS_KEPT: Final = 10

_FLOWS: Final = (Trade, Liquidation)
"""Events that count by themselves: none may be missed or taken twice. Of the others the newest counts."""

_FUNDING: Final = Channel.FUNDING

_NONE: Final[list[str | bytes]] = []


class Line:
    """One life of a connection. Made by VenueDesk.open.

    Attributes:
        endpoint: what it was opened for.
        is_subscribed: everything asked for was confirmed, or refused.
        control_heard: messages with something of the control channel.
        newest_ns: newest venue time.
        pace: of its endpoint; None: it has no channel that never rests.
        refused: what the venue has said against a subscription.
    """

    def __init__(self, desk: VenueDesk, endpoint: Endpoint, dialect: Dialect, instruments: tuple[str, ...]) -> None:
        self.endpoint = endpoint
        self.is_subscribed = not endpoint.acknowledgements
        self.control_heard = 0
        self.newest_ns = 0
        self.refused: list[str] = []
        self.instruments = instruments
        self.hole: Hole | None = None
        self.pace: Pace | None = None
        self._moved_ns = 0  # receive time at which newest_ns has moved last
        self.takes_from_ns: int | None = None
        self.takes_until_ns: int | None = None
        self.is_waiting = False
        self._control = endpoint.control
        self._desk = desk
        self._dialect = dialect
        self._reading = Reading()
        self._unconfirmed = set(endpoint.acknowledgements)

    def hear(self, message: bytes, receive_ns: int) -> list[str | bytes]:
        """Take a message; return what is to be answered at once."""
        reading, desk = self._reading, self._desk
        read_message(self._dialect, message, receive_ns, reading)
        if reading.acknowledged and not self.is_subscribed:
            self._unconfirmed.difference_update(reading.acknowledged)
            self.is_subscribed = not self._unconfirmed
        if reading.refused:
            self.refused += reading.refused
            del self.refused[:-REFUSALS_KEPT]
        replies = list(reading.replies) if reading.replies else _NONE
        desk.take(reading, receive_ns, self)
        if desk.overhear is not None:
            desk.overhear(message)
        return replies

    def learn(self, poll: Poll, body: bytes, receive_ns: int) -> None:
        """Let the dialect of the line read the list of instruments, which others have counted already."""
        read_answer(self._dialect, poll, body, receive_ns, Reading())

    def is_heard_with(self, event: Event, time_ns: int, channel: Channel, latest_ns: int) -> bool:
        """Note an event; return whether it counts on this line, and not on the one it takes over from or gives way to.

        Args:
            event, time_ns, channel: the event, and what is known of it.
            latest_ns: a time beyond is not believed, and moves nothing here.
        """
        if self.newest_ns < time_ns <= latest_ns and channel is not _FUNDING:  # whose time is that of an interval
            self.newest_ns = time_ns
        if channel is self._control:
            self.control_heard += 1
        from_ns, until_ns = self.takes_from_ns, self.takes_until_ns
        if from_ns is None and until_ns is None and not self.is_waiting:
            return True
        if not isinstance(event, _FLOWS):
            return not self.is_waiting
        return (until_ns is None or time_ns < until_ns) and (
            from_ns <= time_ns if from_ns is not None else not self.is_waiting
        )

    def missed(self, gap: Gap) -> Gap | None:
        """Return what of a gap in the venue's numbers was to be heard on this line, and not on another; None: nothing.

        A line that waits to take over, or has been taken over from, misses nothing by what it is not told.
        """
        if self.is_waiting and self.takes_from_ns is None:
            return None
        from_ns, until_ns = gap.from_ns, gap.to_ns
        if self.takes_from_ns is not None:
            from_ns = max(from_ns, self.takes_from_ns)
        if self.takes_until_ns is not None:
            until_ns = min(until_ns, self.takes_until_ns)
        if from_ns >= until_ns:
            return None
        return gap if (from_ns, until_ns) == (gap.from_ns, gap.to_ns) else replace(gap, from_ns=from_ns, to_ns=until_ns)

    def moved(self, before_ns: int, receive_ns: int) -> None:
        """Take note of a message, the newest venue time having been before_ns."""
        if self.newest_ns != before_ns and self.pace is not None:
            if before_ns and receive_ns > self._moved_ns:
                self.pace.rest(receive_ns - self._moved_ns)
            self._moved_ns = receive_ns

    def silence(self, events: Sequence[Event], receive_ns: int, latest_ns: int) -> list[Gap]:
        """Return the gaps of a span of which nothing was told before a message, longer than the venue ever rests.

        Args:
            events: of the message.
            receive_ns: of it.
            latest_ns: a time beyond is not believed.
        """
        limit_ns, newest_ns = None if self.pace is None else self.pace.limit_ns, self.newest_ns
        if limit_ns is None or not newest_ns or receive_ns - self._moved_ns <= limit_ns:
            return []
        times = [time_ns for event in events if (time_ns := _time_of(event)) is not None]
        if not times or not limit_ns < min(times) - newest_ns <= latest_ns - newest_ns:
            return []
        return Hole(self.instruments, newest_ns - MARGIN_NS, "silent").end(min(times) + MARGIN_NS)

    def give_up_unconfirmed(self) -> None:
        """Go on with what was confirmed, the venue having refused the rest."""
        self.is_subscribed = True


def _time_of(event: Event) -> int | None:
    """Return when an event was; None of one whose time says nothing of now."""
    return None if isinstance(event, Funding) else getattr(event, "time_ns", None)
