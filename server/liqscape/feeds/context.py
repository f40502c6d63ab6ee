"""Markets that stand beside a map because no rule says where their positions are closed, as plain values.

They never enter the model: no lot of the book, no coverage and no share of an instrument contains them.
"""

from __future__ import annotations

from dataclasses import dataclass

from liqscape.feeds.venues.cme import DailyContext


@dataclass(frozen=True, slots=True)
class MarketContext:
    """A market as it is known at a moment, and what it is beside the map.

    Attributes:
        venue: of it.
        day: its newest day.
        age_ns: how old that is.
        open_interest_share: its part of the open interest of it and the map's instruments together; None while the
            latter is not known.
        covered_share: what the map explains of both together; None as above.
        warning: in words, where that is low; empty where it is not.
    """

    venue: str
    day: DailyContext
    age_ns: int
    open_interest_share: float | None
    covered_share: float | None
    warning: str


@dataclass(frozen=True, slots=True)
class DailyReportStatus:
    """How reading the files of a daily report fares.

    Attributes:
        files: read.
        rows: of them, taken.
        ignored: rows of other products.
        read_ns: when they were read.
        failures: changes that could not be taken since the start; what was read before stays then.
        message: why the newest change was not taken; empty: it was.
    """

    files: int
    rows: int
    ignored: int
    read_ns: int
    failures: int = 0
    message: str = ""
