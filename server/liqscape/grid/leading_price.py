"""Whose price is the price of a symbol that many venues trade: one venue's at a time, or it would hop between them.

Venues tell their marks at different moments, and their marks differ. The instrument with the most open interest leads
for as long as it is heard. Who leads is decided between two ticks, so that it is known before a tick is taken. Pure,
and integers alone: the same bars give the same price.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from liqscape.market.bars import Bar

SILENT_NS: Final = 10_000_000_000
"""After which a leader that has told no price is followed by another. Marks of the large venues come every second or
three; ten without one is a venue in trouble, and a price that stands still for longer is a wrong one."""

LEAD_NUMERATOR, LEAD_DENOMINATOR = 5, 4
"""Open interest that a follower needs, in that of the leader: two that are alike must not take turns."""


def priced_bar(bars: Sequence[Bar], leader: str | None) -> Bar | None:
    """Return the bar that moves the price of a symbol; None: none of them does.

    Args:
        bars: of a step, each instrument once.
        leader: instrument id; None: nobody leads yet, and the first one that has a price is taken.
    """
    told = (bar for bar in bars if bar.trigger is not None and leader in (None, bar.instrument_id))
    return next(told, None)


class LeadingPrice:
    """The price of a symbol.

    Args:
        price: integer price to begin with; 0: none was told yet.
        leader: instrument id; None: nobody leads yet.
        time_ns: of the newest event in the bar of the leader's newest price.
    """

    def __init__(self, price: int = 0, leader: str | None = None, time_ns: int = 0) -> None:
        self.price = price
        self.leader = leader
        self.time_ns = time_ns
        self._told: dict[str, Bar] = {}

    def follow(self, bars: Sequence[Bar]) -> Bar | None:
        """Take the bars of a step; return the one that has moved the price, if any has."""
        self._told |= {bar.instrument_id: bar for bar in bars if bar.trigger is not None}
        bar = priced_bar(bars, self.leader)
        if bar is not None and bar.trigger is not None:
            self.price, self.time_ns = bar.trigger.close, bar.watermark_ns
        return bar

    def elect(self, open_interest: Callable[[str, int], int]) -> None:
        """Say who leads from the next tick on, after the steps of a tick.

        Args:
            open_interest: lots of an instrument at a price.
        """
        told, self._told = self._told, {}
        lots = {name: open_interest(name, bar.trigger.close) for name, bar in told.items() if bar.trigger is not None}
        if not lots:
            return
        strongest = max(lots, key=lots.__getitem__)  # of equal ones the first
        now_ns = max(bar.watermark_ns for bar in told.values())
        if self.leader is None or now_ns - self.time_ns > SILENT_NS:
            self.leader = strongest
        elif strongest != self.leader:
            leads = lots[self.leader] if self.leader in lots else open_interest(self.leader, self.price)
            if lots[strongest] * LEAD_DENOMINATOR > leads * LEAD_NUMERATOR:
                self.leader = strongest
