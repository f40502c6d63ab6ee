"""Prints without an id that a venue tells again: known by all they say."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final

REMEMBERED: Final = 4096
"""Prints: of a venue that tells one each second, an hour's."""


class Repeats:
    """The latest prints told."""

    def __init__(self) -> None:
        self._seen: set[Hashable] = set()
        self._order: deque[Hashable] = deque()

    def is_new(self, said: Hashable) -> bool:
        """Remember a print; return whether it was not told before."""
        if said in self._seen:
            return False
        self._seen.add(said)
        self._order.append(said)
        if len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())
        return True
