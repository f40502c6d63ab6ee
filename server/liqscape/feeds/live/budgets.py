"""What a venue lets us do in a stretch of time: weights of requests, messages, connections."""

from __future__ import annotations

from collections import deque

from liqscape.feeds.live.timing import Timing
from liqscape.feeds.venues.dialect import Budget


class WeightBudget:
    """A Budget shared by all requests of a venue: in no stretch of its seconds is more weight taken.

    Args:
        budget: what it allows.
        timing: clock.
    """

    def __init__(self, budget: Budget, timing: Timing) -> None:
        self._budget = budget
        self._timing = timing
        self._taken: deque[tuple[float, int]] = deque()
        self._weight = 0
        self._closed_until = 0.0

    @property
    def taken(self) -> int:
        """Return the weight taken in the stretch that ends now."""
        self._forget()
        return self._weight

    def close_for(self, seconds: float) -> None:
        """Let nobody take anything for so long: the venue has said stop."""
        self._closed_until = max(self._closed_until, self._timing.monotonic() + seconds)

    async def take(self, weight: int) -> None:
        """Wait until so much can be taken, and take it. More than the budget holds is taken when it is empty."""
        weight = min(weight, self._budget.weight)
        while (wait := self._wait(weight)) > 0:
            await self._timing.sleep(wait)
        self._taken.append((self._timing.monotonic(), weight))
        self._weight += weight

    def _wait(self, weight: int) -> float:
        now = self._timing.monotonic()
        if now < self._closed_until:
            return self._closed_until - now
        self._forget()
        excess = self._weight + weight - self._budget.weight
        for taken_at, taken in self._taken:
            if excess <= 0:
                break
            excess -= taken
            if excess <= 0:
                # A little more: a sleep may end a hair early by the clock that is asked here.
                return max(taken_at + self._budget.seconds - now, 0.0) + 0.001
        return 0.0

    def _forget(self) -> None:
        oldest = self._timing.monotonic() - self._budget.seconds
        while self._taken and self._taken[0][0] <= oldest:
            self._weight -= self._taken.popleft()[1]


class Pacer:
    """Turns, one after the other, at least so far apart. For messages of a connection and connections of a venue.

    Args:
        per_s: turns a second.
        timing: clock.
    """

    def __init__(self, per_s: float, timing: Timing) -> None:
        self._apart_s = 1.0 / per_s
        self._timing = timing
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for a turn; whoever asks first has it first."""
        now = self._timing.monotonic()
        mine = max(now, self._next)
        self._next = mine + self._apart_s
        if mine > now:
            await self._timing.sleep(mine - now)
