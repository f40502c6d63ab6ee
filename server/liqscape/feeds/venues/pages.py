"""What the histories of many venues share: the scale of a listing, and the span of time that was ever asked for.

Venues read the bounds of a request in their own ways, inclusive, exclusive, or not at all. Rows outside everything that
was asked for are counted and left out here, the candle of now above all. Several pages may be on their way at once, so
a row is not held against the bounds of one request: who asks does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from liqscape.feeds.venues.dialect import Listing, Reading
from liqscape.feeds.venues.history import PastSeries
from liqscape.feeds.venues.scale import MAX_COUNT, SECOND, Scale

HOUR_NS: Final = 3600 * SECOND


class Pages:
    """The rows of one listing, between the bounds asked for.

    Args:
        listing: of them.
        unit: see Scale.
    """

    def __init__(self, listing: Listing, unit: Fraction | None = None) -> None:
        self.scale = Scale(listing, unit)
        self._from_ns = MAX_COUNT
        self._until_ns = 0

    def ask(self, from_ns: int, until_ns: int) -> None:
        """Remember the span of a request."""
        self._from_ns = min(self._from_ns, from_ns)
        self._until_ns = max(self._until_ns, until_ns)

    def candle(
        self, into: Reading, series: PastSeries, open_ns: int, prices: Sequence[object], quantity: object
    ) -> None:
        """Note a candle of the span; see Scale.candle."""
        if self._has(into, open_ns):
            self.scale.candle(into, open_ns, series.step_ns, prices, quantity)

    def open_interest(self, into: Reading, time_ns: int, quantity: object) -> None:
        """Note an open interest of an instant of the span; see Scale.open_interest."""
        if self._has(into, time_ns):
            self.scale.open_interest(into, time_ns, quantity)

    def funding(self, into: Reading, began_ns: int, rate: object, interval_hours: int) -> None:
        """Note a payment of the span, which it belongs to by its instant: the end of its interval."""
        if self._has(into, began_ns + interval_hours * HOUR_NS):
            self.scale.funding(into, began_ns, rate, interval_hours)

    def _has(self, into: Reading, time_ns: int) -> bool:
        if self._from_ns <= time_ns < self._until_ns:
            return True
        into.ignored["outside the span asked for"] += 1
        return False
