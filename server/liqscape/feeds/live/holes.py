"""Spans in which something was not heard, told as Gap events. Pure.

A hole is told when it ends, and a long one in pieces, so that a journal holds it if the process dies in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from liqscape.events import Gap

MARGIN_NS: Final = 1_000_000_000
"""On both sides of a hole, in venue time: streams of one connection lag behind each other by less."""

PIECE_NS: Final = 10_000_000_000
"""A hole that goes on is told so often. Of one in which the process dies, so much may stay untold."""


class Hole:
    """A span not heard, of some instruments.

    Args:
        instruments: ids.
        from_ns: its begin, venue time.
        reason: of a fixed set.
    """

    def __init__(self, instruments: Sequence[str], from_ns: int, reason: str) -> None:
        self._instruments = instruments
        self._from_ns = from_ns
        self.reason = reason

    def go_on(self, now_ns: int) -> list[Gap]:
        """Return what is to be told of it by now, while it lasts."""
        if now_ns - self._from_ns < PIECE_NS:
            return []
        gaps = self._told(now_ns)
        self._from_ns = now_ns
        return gaps

    def end(self, at_ns: int) -> list[Gap]:
        """Return the rest of it, that ends here."""
        return self._told(max(at_ns, self._from_ns + 1))

    def _told(self, to_ns: int) -> list[Gap]:
        return [Gap(instrument, self._from_ns, to_ns, self.reason) for instrument in self._instruments]


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
