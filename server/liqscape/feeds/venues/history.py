"""The seam for the past: how a venue is asked for candles, open interest and funding of spans gone by.

A VenueHistory is made for one listing. It says what series the venue keeps, how deep and in how large pages, makes one
request a page, and reads its answer. Pure, as a Dialect is. Who asks, and within what budget, is in feeds/backfill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from liqscape.feeds.venues.dialect import Budget, Channel, Reading, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSeries:
    """One series that a venue keeps.

    Attributes:
        name: of the series, unique in a VenueHistory, for example "candles 1m".
        channel: TRADES for candles of what was traded, MARK for candles of the mark price, OPEN_INTEREST, FUNDING.
        step_ns: distance of its rows; of funding the usual one.
        page: rows in an answer at most.
        depth_ns: how far back it reaches from now; None: to the listing, or it is not known (then UNVERIFIED).
        budget: name of the budget that a request draws on.
        weight: what it takes of it.
    """

    name: str
    channel: Channel
    step_ns: int
    page: int
    depth_ns: int | None = None
    budget: str = "history"
    weight: int = 1


class VenueHistory(Protocol):
    """What a venue tells of the past of one listing."""

    @property
    def series(self) -> Sequence[PastSeries]:
        """Return the series it keeps, the finest of each channel first."""
        ...

    @property
    def budgets(self) -> Sequence[Budget]:
        """Return what the requests draw on."""
        ...

    def request(self, series: PastSeries, from_ns: int, until_ns: int) -> Request:
        """Return the request for the rows of [from_ns, until_ns), which are at most a page."""
        ...

    def read_page(self, series: PastSeries, body: bytes, into: Reading) -> None:
        """Read an answer: Candle, OpenInterest or Funding events, ascending, of rows that are final.

        Candles of the mark price are Candles of quantity 0. A row that may still change (the candle of now) is counted
        as ignored. Stamps are those of Candle and OpenInterest: a venue that stamps a sample with the end of its period
        or the start is read accordingly.

        Raises:
            Unreadable, UnreadableNumber, KeyError, ValueError, TypeError, IndexError: it cannot be read.
        """
        ...
