"""How a venue's clock stands to ours, from what it says when. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

SAMPLES: Final = 64
"""Of the window. A median of so many is not moved by a third of them being bursts after a connect."""

EVERY_NS: Final = 250_000_000
"""Between two samples: the window then covers a quarter of a minute of a busy venue."""

LEAST: Final = 8
"""Samples before anything is said."""


class ClockOffset:
    """Median of receive time - venue time over the newest samples: way and difference of the clocks together.

    Below zero the venue's clock is ahead of ours, by so much at least. They cannot be told apart from one side; a way
    of seconds is as unlikely as clocks that agree to the millisecond.

    Attributes:
        due_ns: receive time from which a message counts.
        median_ns: the median lag, or None before it is known.
    """

    __slots__ = ("_lags", "_sorted", "due_ns", "median_ns")

    def __init__(self) -> None:
        self.due_ns = 0
        self.median_ns: int | None = None
        self._lags: deque[int] = deque()  # of the window, in the order of receiving
        self._sorted: list[int] = []  # the same: one goes and one comes, so that nothing is sorted anew

    def see(self, venue_ns: int, receive_ns: int) -> None:
        """Take a message's two times; those before due_ns are passed over."""
        if self.due_ns - EVERY_NS <= receive_ns < self.due_ns:
            return
        self.due_ns = receive_ns + EVERY_NS
        lag_ns = receive_ns - venue_ns
        lags = self._sorted
        if len(lags) == SAMPLES:
            del lags[bisect_left(lags, self._lags.popleft())]
        self._lags.append(lag_ns)
        insort(lags, lag_ns)
        count = len(lags)
        if count >= LEAST:  # the middle one, or the mean of the middle two
            self.median_ns = round((lags[(count - 1) // 2] + lags[count // 2]) / 2)

    def wind_back(self, now_ns: int) -> None:
        """Let the next message count if the clock was set back."""
        if now_ns < self.due_ns - EVERY_NS:
            self.due_ns = now_ns
