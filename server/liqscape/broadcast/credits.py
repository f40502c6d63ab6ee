"""What a peer may be sent ahead of its acknowledgements. Counts only; the messages themselves are kept nowhere.

A peer counts every message it receives, which needs no knowledge of what is in them. Only data need credit, so it is
kept which of the messages underway are data: at most as many as the window is wide.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from liqscape.errors import InvalidArgument

DEFAULT_MAX_IN_FLIGHT: Final = 2
"""One message travels while another is being applied; what a slow reader gets is then at most two reads old."""

LARGEST_MAX_IN_FLIGHT: Final = 8
"""At ten messages a second, a round trip of 0.8 s: beyond the longest line."""


def max_in_flight(asked: int) -> int:
    """Return the window to use for the one asked for; 0 = the default.

    Raises:
        InvalidArgument: it is too wide.
    """
    if asked > LARGEST_MAX_IN_FLIGHT:
        raise InvalidArgument(
            f"max_in_flight {asked} is too large; use 1 to {LARGEST_MAX_IN_FLIGHT}, or 0 for the default"
        )
    return asked or DEFAULT_MAX_IN_FLIGHT


class Credits:
    """The window of one session.

    Attributes:
        max_in_flight: width of the window, messages of data.
        frames_sent: messages of every kind.
        frames_acknowledged: of these, how many the peer is done with.
        free_since: when the window last ceased to be full; 0 = it never was.
        used_up_since: when the window became full, or when the peer last gave a sign since; None = it is not full.
    """

    __slots__ = ("_data", "frames_acknowledged", "frames_sent", "free_since", "max_in_flight", "used_up_since")

    def __init__(self, max_in_flight: int = DEFAULT_MAX_IN_FLIGHT) -> None:
        self.max_in_flight = max_in_flight
        self.frames_sent = 0
        self.frames_acknowledged = 0
        self.free_since = 0.0
        self.used_up_since: float | None = None
        self._data: deque[int] = deque()

    @property
    def in_flight(self) -> int:
        """Return how many messages of data are unacknowledged."""
        return len(self._data)

    @property
    def are_left(self) -> bool:
        """Return whether a message of data may go out."""
        return len(self._data) < self.max_in_flight

    def sent(self, now: float, *, is_data: bool) -> None:
        """Count a message that goes out."""
        self.frames_sent += 1
        if is_data:
            assert self.are_left
            self._data.append(self.frames_sent)
            if len(self._data) == self.max_in_flight:
                self.used_up_since = now

    def acknowledge(self, frames: int, now: float) -> None:
        """Take the peer's running total.

        Raises:
            InvalidArgument: it leads what was sent, or has fallen.
        """
        if frames > self.frames_sent:
            raise InvalidArgument(f"acknowledge.frames {frames} leads what was sent, {self.frames_sent}")
        if frames < self.frames_acknowledged:
            raise InvalidArgument(
                f"acknowledge.frames {frames} falls behind {self.frames_acknowledged}; it is a running total"
            )
        if frames > self.frames_acknowledged and self.used_up_since is not None:
            self.used_up_since = now
        self.frames_acknowledged = frames
        while self._data and self._data[0] <= frames:
            self._data.popleft()
        if self.are_left and self.used_up_since is not None:
            self.free_since, self.used_up_since = now, None
