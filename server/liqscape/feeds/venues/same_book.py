"""Do two venues tell of one book? Coinbase International's gateway may serve the contracts of Deribit itself.

Two venues that are really one would be counted twice. Their open interest shows it: it agrees to the last digit, again
and again, though it changes. Pure: fed with open interest in the order it comes, it says what was seen so far.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

from liqscape.events import OpenInterest

WITHIN_NS: Final = 1_000_000_000
"""Between two samples that are compared; both venues sample ten times a second."""

ENOUGH: Final = 20
"""Different values compared before anything is said. That two books agree by chance on one is already unlikely."""

SHARE: Final = 0.9
"""Of them that must agree: samples of a second in which a trade happened may not."""

KEPT: Final = 64
"""Samples of one side that wait for the other's: six seconds of them."""


class Verdict(enum.Enum):
    """What the samples of two instruments show."""

    OPEN = "not enough seen"
    SAME = "one book: count one of them"
    DIFFERENT = "two books"


class SameBook:
    """Compare the open interest of two instruments.

    Each new value of the one waits for WITHIN_NS; then it agrees if the other showed the same value within that time
    before or after, and is left out if the other showed none. A value that stands still is compared once.

    Args:
        one: instrument id.
        other: instrument id.
    """

    def __init__(self, one: str, other: str) -> None:
        self._one = one
        self._other = other
        self._waiting: deque[OpenInterest] = deque(maxlen=KEPT)
        self._theirs: deque[OpenInterest] = deque(maxlen=KEPT)
        self._last: int | None = None
        self.compared = 0
        self.agreed = 0

    def tell(self, sample: OpenInterest) -> None:
        """Take a sample; those of other instruments are none of its business."""
        if sample.instrument_id == self._one:
            if sample.quantity != self._last:
                self._last = sample.quantity
                self._waiting.append(sample)
        elif sample.instrument_id == self._other:
            self._theirs.append(sample)
        while self._waiting and self._waiting[0].time_ns + WITHIN_NS < sample.time_ns:
            self._compare(self._waiting.popleft())

    def _compare(self, ours: OpenInterest) -> None:
        near = [each.quantity for each in self._theirs if abs(each.time_ns - ours.time_ns) <= WITHIN_NS]
        if near:
            self.compared += 1
            self.agreed += ours.quantity in near

    @property
    def verdict(self) -> Verdict:
        """Return what was seen so far."""
        if self.compared < ENOUGH:
            return Verdict.OPEN
        return Verdict.SAME if self.agreed >= SHARE * self.compared else Verdict.DIFFERENT
