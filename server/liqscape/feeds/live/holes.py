"""Spans in which something was not heard, told as Gap events. Pure.

A hole is told when it ends, and a long one in pieces, so that a journal holds it if the process dies in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from liqscape.events import Gap

MARGIN_NS: Final = 1_000_000_000
"""On both sides of a hole, in venue time: streams of one connection lag behind each other by less."""

PIECE_NS: Final = 10_000_000_000
"""A hole that goes on is told so often. Of one in which the process dies, so much may stay untold."""


class Hole:
    """A span not heard, of some instruments; it may end for one earlier than for another.

    Args:
        instruments: ids.
        from_ns: its begin, venue time.
        reason: of a fixed set.
    """

    def __init__(self, instruments: Iterable[str], from_ns: int, reason: str) -> None:
        self._open = dict.fromkeys(instruments, (from_ns, reason))

    @property
    def is_over(self) -> bool:
        """Return whether it has ended for every instrument."""
        return not self._open

    def go_on(self, now_ns: int) -> list[Gap]:
        """Return what is to be told of it by now, while it lasts."""
        long = [name for name, (from_ns, _) in self._open.items() if now_ns - from_ns >= PIECE_NS]
        gaps = self._told(long, now_ns)
        self._open.update((gap.instrument_id, (now_ns, gap.reason)) for gap in gaps)
        return gaps

    def end(self, at_ns: int, instruments: Iterable[str] | None = None) -> list[Gap]:
        """Return the rest of it, that ends here: for some instruments, or (None) for all."""
        gaps = self._told(self._open if instruments is None else instruments, at_ns)
        for gap in gaps:
            del self._open[gap.instrument_id]
        return gaps

    def join(self, instruments: Iterable[str], from_ns: int, reason: str) -> None:
        """Let it begin, for those instruments for which it has ended."""
        for name in instruments:
            self._open.setdefault(name, (from_ns, reason))

    def _told(self, instruments: Iterable[str], to_ns: int) -> list[Gap]:
        found = ((name, *self._open[name]) for name in instruments if name in self._open)
        return [Gap(name, from_ns, max(to_ns, from_ns + 1), reason) for name, from_ns, reason in found]


class Rejections:
    """Inputs thrown away, gathered into one Gap an instrument and reason until they are taken."""

    def __init__(self) -> None:
        self._gathered: dict[tuple[str, str], tuple[int, int, int]] = {}

    def add(self, instrument_id: str, reason: str, from_ns: int, to_ns: int, count: int = 1) -> None:
        """Note some of [from_ns, to_ns)."""
        key = (instrument_id, reason)
        known = self._gathered.get(key)
        if known is not None:
            from_ns, to_ns, count = min(known[0], from_ns), max(known[1], to_ns), known[2] + count
        self._gathered[key] = (from_ns, to_ns, count)

    def take(self) -> list[Gap]:
        """Return and forget what was gathered."""
        if not self._gathered:
            return []
        gaps = [Gap(key[0], first, last, key[1], n) for key, (first, last, n) in self._gathered.items()]
        self._gathered.clear()
        return gaps
