"""Whose turn it is: two threads of Python never run at once, and at the end of a tick the engine's goes first.

The feeds' thread reads message after message while a burst lasts. Whenever the engine's lets go of Python's lock, be it
to wait for the end of a tick or in the middle of its work, it gets it back when the other one has nothing more to read
or Python takes it away, after 5 ms. So from the end of a tick until it is taken the feeds' thread waits before it hands
over what it has heard; sockets keep the rest. What it hears then is of the next tick anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

GIVE_WAY_S: Final = 0.010
"""At most, of a tick of 250 ms: receive times are late by no more, and a tick that takes longer shares the lock with
the feeds as before."""


class Turn:
    """Lets one thread wait while another takes a tick.

    Args:
        now_ns: the clock by which ticks end.

    Attributes:
        claimed_from_ns: from when on it is the engine's turn; None: it is not.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.claimed_from_ns: int | None = None
        self._over = threading.Event()

    def claim(self, from_ns: int) -> None:
        """Have the turn from an instant on. On the engine's thread."""
        self._over.clear()
        self.claimed_from_ns = from_ns

    def give_back(self) -> None:
        """Let the other thread go on. On the engine's thread; without a claim it is nothing."""
        self.claimed_from_ns = None
        self._over.set()

    def wait(self) -> None:
        """Wait while it is the engine's turn, once for each claim. On the feeds' thread."""
        from_ns = self.claimed_from_ns
        if from_ns is None or self._now_ns() < from_ns:
            return
        if not self._over.wait(GIVE_WAY_S) and self.claimed_from_ns == from_ns:
            self.claimed_from_ns = None
