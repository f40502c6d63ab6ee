"""How a venue's clock stands to ours, from what it says when. Pure."""

from __future__ import annotations

from collections import deque
from statistics import median
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
    """

    def __init__(self) -> None:
        self.due_ns = 0
        self._lags: deque[int] = deque(maxlen=SAMPLES)
        self._median_ns: int | None = None

    @property
    def median_ns(self) -> int | None:
        """Return the median lag, or None before it is known."""
        return self._median_ns

    def see(self, venue_ns: int, receive_ns: int) -> None:
        """Take a message's two times; those before due_ns are passed over."""
        if self.due_ns - EVERY_NS <= receive_ns < self.due_ns:
            return
        self.due_ns = receive_ns + EVERY_NS
        self._lags.append(receive_ns - venue_ns)
        if len(self._lags) >= LEAST:
            self._median_ns = round(median(self._lags))

    def wind_back(self, now_ns: int) -> None:
        """Let the next message count if the clock was set back."""
        if now_ns < self.due_ns - EVERY_NS:
            self.due_ns = now_ns
