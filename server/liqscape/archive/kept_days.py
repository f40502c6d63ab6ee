"""Which days of a symbol are kept, and whether a window lies in them without a hole."""

from __future__ import annotations

from collections.abc import Mapping

from liqscape.archive.manifest import DAY_MINUTES, DayManifest, Span, day_of, day_text, joined_spans, minute_text
from liqscape.errors import DataLoss, OutOfRange


class KeptDays:
    """The days of a symbol as they stood when they were looked at.

    Args:
        symbol: base coin.
        days: manifests by day, ascending; those without the symbol are left out.
    """

    def __init__(self, symbol: str, days: Mapping[int, DayManifest]) -> None:
        self.symbol = symbol
        self.days = {day: manifest for day, manifest in days.items() if symbol in manifest.symbols}

    def retained(self) -> tuple[int, int] | None:
        """Return the first and the last minute of the days of which raw events are kept; None: there are none."""
        raw = [manifest for manifest in self.days.values() if not manifest.is_thin]
        if not raw:
            return None
        first = raw[0].spans[0]
        return max(first.after_minute + 1, raw[0].number * DAY_MINUTES), raw[-1].spans[-1].until_minute

    def day_at(self, minute: int) -> DayManifest:
        """Return the day that holds the last tick up to the end of a minute.

        Raises:
            OutOfRange: the minute is not kept; names the range that is.
            DataLoss: its day is missing; names it.
        """
        self._span(minute)
        manifest = self.days[max(day for day in self.days if day <= day_of(minute))]
        if manifest.is_thin:
            raise self.out_of_range(f"minute {minute} ({minute_text(minute)}) is no longer kept")
        return manifest

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
        for span in joined_spans([span for manifest in self.days.values() for span in manifest.spans], self.symbol):
            if span.after_minute < minute <= span.until_minute:
                return span
        retained = self.retained()
        if retained is None or not retained[0] <= minute <= retained[1]:
            raise self.out_of_range(f"minute {minute} ({minute_text(minute)}) is not kept")
        raise DataLoss(f"{day_text(day_of(minute))} is missing in the archive of {self.symbol}, or a part of it")

    def _begins_early(self, first_minute: int, span: Span) -> OutOfRange | DataLoss:
        oldest = next(iter(self.days.values())).spans[0]
        begin = span.after_minute + 1
        since = f"minute {begin} ({minute_text(begin)})"
        asked = f"the window begins at minute {first_minute} ({minute_text(first_minute)})"
        if span.after_minute <= oldest.after_minute:
            return self.out_of_range(f"{asked}, and events are kept from {since} on")
        day = day_text(day_of(span.after_minute))
        return DataLoss(
            f"{asked}, and {day} is missing in the archive of {self.symbol}, or a part of it; windows that begin at"
            f" {since} or later can be asked for"
        )
