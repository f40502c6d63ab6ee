"""Which days of a symbol are kept, and whether a window lies in them without a hole."""

from __future__ import annotations

from collections.abc import Mapping

from liqscape.archive.manifest import DAY_MINUTES, DayManifest, Span, day_of, day_text, joined_spans, minute_text
from liqscape.errors import DataLoss, OutOfRange


class KeptDays:
    """The days of a symbol as they stood when they were looked at.

    Args:
        symbol: base coin.
        days: manifests by day, ascending; some may be without the symbol.

    Attributes:
        days: those with the symbol.
    """

    def __init__(self, symbol: str, days: Mapping[int, DayManifest]) -> None:
        self.symbol = symbol
        self.days = {day: manifest for day, manifest in days.items() if symbol in manifest.symbols}
        self._spans = joined_spans((span for manifest in days.values() for span in manifest.spans), symbol)
        self._oldest = next((manifest.spans[0] for manifest in days.values()), None)

    def retained(self) -> tuple[int, int] | None:
        """Return the first and the last minute that can be asked for; None: there is none.

        Days may be missing between them.
        """
        said = [m for m in self.days.values() if not m.is_thin and m.symbols[self.symbol].first_minute >= 0]
        if not said:
            return None
        return said[0].symbols[self.symbol].first_minute, said[-1].spans[-1].until_minute

    def day_at(self, minute: int) -> DayManifest:
        """Return the day that holds the last end of a minute up to one.

        Raises:
            OutOfRange: the minute is not kept; names the range that is.
            DataLoss: its day is missing; names it.
        """
        self._span(minute)
        found = [m for m in self.days.values() if 0 <= m.symbols[self.symbol].first_minute <= minute]
        if not found or found[-1].is_thin:
            raise self.out_of_range(f"minute {minute} ({minute_text(minute)}) is not kept")
        return found[-1]

    def window(self, first_minute: int, minute: int) -> list[tuple[DayManifest, int]]:
        """Return the days that hold events of first_minute..minute, and the last minute wanted of each.

        Raises:
            OutOfRange: the window begins before what is kept; names the range.
            DataLoss: a day of the window is missing; names it.
        """
        span = self._span(minute)
        if span.after_tick and first_minute <= span.after_minute:
            raise self._begins_early(first_minute, span)
        return [
            (manifest, min(minute, (day + 1) * DAY_MINUTES - 1))
            for day, manifest in self.days.items()
            if day_of(first_minute) <= day <= day_of(minute)
        ]

    def out_of_range(self, text: str) -> OutOfRange:
        """Return an error that names the range that is kept."""
        retained = self.retained()
        if retained is None:
            return OutOfRange(f"{text}; the archive of {self.symbol} is empty")
        first, last = (f"{minute} ({minute_text(minute)})" for minute in retained)
        return OutOfRange(f"{text}; the archive of {self.symbol} holds minutes {first} to {last}")

    def _span(self, minute: int) -> Span:
        """Return the joined span that holds a minute."""
        for span in self._spans:
            if span.after_minute < minute <= span.until_minute:
                return span
        retained = self.retained()
        if retained is None or not retained[0] <= minute <= retained[1]:
            raise self.out_of_range(f"minute {minute} ({minute_text(minute)}) is not kept")
        raise DataLoss(f"{day_text(day_of(minute))} is missing in the archive of {self.symbol}, or a part of it")

    def _begins_early(self, first_minute: int, span: Span) -> OutOfRange | DataLoss:
        begin = span.after_minute + 1
        since = f"minute {begin} ({minute_text(begin)})"
        asked = f"the window begins at minute {first_minute} ({minute_text(first_minute)})"
        if self._oldest is None or span.after_minute <= self._oldest.after_minute:
            return self.out_of_range(f"{asked}, and events are kept from {since} on")
        before = max(other.until_minute for other in self._spans if other.until_minute <= span.after_minute)
        days = sorted({day_text(day) for day in range(day_of(before + 1), day_of(span.after_minute) + 1)})
        return DataLoss(
            f"{asked}, and {', '.join(days)} is missing in the archive of {self.symbol}, or a part of it; windows that"
            f" begin at {since} or later can be asked for"
        )
