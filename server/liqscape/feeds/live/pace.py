"""How often a connection usually speaks, and whether it has just been silent for longer. Pure.

A venue that pushes marks never rests for long. Where nothing has come for PATIENCE times its longest rest of late, and
what comes then is as much later by the venue's own clock, everything between was not told: a hole, though the
connection was never cut. What was only delayed on its way comes with the times of then, and is no hole; a venue whose
clock jumps has not rested, and has none either.
"""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 3
"""Rests: a mark that is not pushed because it has not changed makes one of two, seldom of three."""

LEAST_NS: Final = 5_000_000_000
"""Of a silence: most venues push each second or more often, and may be busy for a few."""

LEARNT: Final = 32
"""Rests seen, before what is usual is known."""

FORGET_NS: Final = 300_000_000_000
"""A share of the longest rest is forgotten with each, as that is of so long: one of a quiet hour is not usual in a busy
one, and one between two bursts is."""


class Pace:
    """The rests of an endpoint, over all its connections: one that is begun anew in a silence has none of its own.

    Attributes:
        limit_ns: a longer rest is a silence; None while too little is known.
    """

    __slots__ = ("_longest_ns", "_seen", "limit_ns")

    def __init__(self) -> None:
        self.limit_ns: int | None = None
        self._longest_ns = 0
        self._seen = 0

    def rest(self, rest_ns: int) -> None:
        """Take note of a rest that has ended.

        A silence counts for half the limit: it must not hide the next one, and where a venue has become slower for good
        that is learnt after a few.
        """
        if self.limit_ns is not None:
            rest_ns = min(rest_ns, self.limit_ns // 2)
        self._longest_ns = max(rest_ns, self._longest_ns - self._longest_ns * rest_ns // FORGET_NS)
        self._seen += 1
        if self._seen >= LEARNT:
            self.limit_ns = max(PATIENCE * self._longest_ns, LEAST_NS)
