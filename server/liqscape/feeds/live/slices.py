"""When what was heard is handed over: in slices, so that the end of a tick finds little left to take in.

A tick ends by the clock. Were everything of it handed over then, a burst would make every tick late: events are taken
in one by one, and the grids wait for all of them. Most of a tick is waiting, so that work is done there.

What was heard in a slice is handed over at its end, by venue time; slices follow each other in the order of hearing.
A replay cuts its ticks at the same instants, those of receive times. Decides instants and order, and nothing else.
"""

from __future__ import annotations

from typing import Final

from liqscape.clock import Clock
from liqscape.events import Event, TickEnd
from liqscape.feeds.live.inbox import Inbox
from liqscape.feeds.live.turn import Turn

SLICES_A_TICK: Final = 25
"""10 ms of a tick of 250: of 22,000 messages a second 220 are left for its end, 0.4 ms of work. Waking up for one in
which nothing was said costs some 0.03 ms. A capture that is replayed with another number says the same in another
order; see server/README.md, time and order."""

STEPPED_BACK_NS: Final = 1_000_000
"""By which ticks move on while the clock stands before the last one: minutes never go back, and hardly on."""


def slice_ns(tick_ns: int) -> int:
    """Return how long a slice is: a whole part of a tick, so that the last slice of a tick ends with it."""
    assert tick_ns % SLICES_A_TICK == 0, tick_ns
    return tick_ns // SLICES_A_TICK


class Slices:
    """Hands over what an inbox holds, at the ends of slices by a clock.

    Args:
        inbox: filled by another thread.
        clock: ends slices and ticks.
        tick_ns: length of a tick, a multiple of SLICES_A_TICK.

    Attributes:
        turn: of who takes, from the end of a tick until it is taken and the next one is asked for.
    """

    def __init__(self, inbox: Inbox, clock: Clock, tick_ns: int) -> None:
        self._inbox = inbox
        self._clock = clock
        self._tick_ns = tick_ns
        self._slice_ns = slice_ns(tick_ns)
        self.turn = Turn(clock.now_ns)
        self._last_ns = 0  # end of the last tick
        self._end_ns: int | None = None  # of the tick that runs, by the clock; None: it has not begun

    async def next(self) -> list[Event]:
        """Wait for the end of a slice and return what it holds, by venue time; the last of a tick ends with TickEnd.

        A tick begins when it is asked for, so ends that have gone by while the one before was taken are left out. Once
        it has begun its end is kept: a slice that takes long makes it late, and never skips it.
        """
        self.turn.give_back()
        now_ns = self._clock.now_ns()
        next_ns = (now_ns // self._tick_ns + 1) * self._tick_ns
        # Set back since the tick began, the clock would reach the end of then much too late.
        end_ns = next_ns if self._end_ns is None else min(self._end_ns, next_ns)
        wake_ns = min((now_ns // self._slice_ns + 1) * self._slice_ns, end_ns)
        if wake_ns == end_ns:
            self.turn.claim(end_ns)
        await self._clock.sleep_until_ns(wake_ns)
        heard = self._inbox.take()
        if wake_ns < end_ns:
            self._end_ns = end_ns
            return heard
        self._end_ns = None
        self._last_ns = end_ns if end_ns > self._last_ns else self._last_ns + STEPPED_BACK_NS
        heard.append(TickEnd(self._last_ns))
        return heard
