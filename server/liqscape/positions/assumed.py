"""Positions assumed of open interest that comes once a day and has no rule for a map: where they opened. Pure.

What is stated is the open interest and the settlement of each day; what is assumed is the leverage. Then, day by day:

1. positions whose liquidation price the settlement has reached have ended;
2. of what is left, open interest that has become less takes an equal part of every entry;
3. what open interest has beyond that opened at the settlement, the whole of it on the first day that is told of.

So each side holds the open interest of each day, to the lot: cuts are by cumulative floors. The margin is the broker's,
and so is the moment at which a position is closed: no maintenance margin is counted, and a liquidation price is where
the margin is gone, entry x (1 - 1 / leverage) of a long, entry x (1 + 1 / leverage) of a short. A long without leverage
has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from liqscape.events import PositionSide
from liqscape.positions.mix import SHARE_ONE

MAX_DAYS: Final = 260
"""Newest trading days that are used, a year of them: what opened before counts as opened on their first. Rows of twenty
leverages and both sides then fit the header of a map."""


@dataclass(frozen=True, slots=True)
class AssumedDay:
    """Lots open on a trading day, one-sided, and what they were settled at in quote; None: they were not."""

    lots: int
    settle: Fraction | None


@dataclass(frozen=True, slots=True)
class AssumedEntry:
    """Lots that were opened at one settlement.

    Attributes:
        lots: still open, above 0.
        entry_price: quote; None: opened on a day without a settlement.
        liquidation_price: quote; None: there is none.
    """

    lots: int
    entry_price: Fraction | None
    liquidation_price: Fraction | None


def liquidation_price(entry_price: Fraction, leverage: int, side: PositionSide) -> Fraction | None:
    """Return the price at which the margin of a position is gone; None of a long without leverage."""
    if side is PositionSide.SHORT:
        return entry_price * (leverage + 1) / leverage
    return entry_price * (leverage - 1) / leverage if leverage > 1 else None


def is_reached(price: Fraction, liquidation_price: Fraction, side: PositionSide) -> bool:
    """Return whether a price ends a position."""
    return price <= liquidation_price if side is PositionSide.LONG else price >= liquidation_price


def assumed_entries(days: Iterable[AssumedDay], leverage: int, side: PositionSide) -> tuple[AssumedEntry, ...]:
    """Return what is open after the last day, in the order in which it opened; the lots are those of that day.

    Args:
        days: ascending.
        leverage: assumed, 1 or more.
        side: of the positions.
    """
    entries: list[AssumedEntry] = []
    for day in days:
        settle = day.settle
        if settle is not None:
            entries = [e for e in entries if not _has_ended(e, settle, side)]
        held = sum(entry.lots for entry in entries)
        if held > day.lots:
            entries, held = _cut(entries, held, day.lots), day.lots
        if day.lots > held:
            price = None if settle is None else liquidation_price(settle, leverage, side)
            entries.append(AssumedEntry(day.lots - held, settle, price))
    return tuple(entries)


def split_by_leverage(days: Sequence[AssumedDay], shares: Sequence[tuple[int, int]]) -> dict[int, list[AssumedDay]]:
    """Return the days of each leverage; the lots of a day add up to its own, by cumulative floors.

    Args:
        days: ascending.
        shares: leverage and millionths of the open interest, which sum to one.
    """
    found: dict[int, list[AssumedDay]] = {}
    below = 0
    for leverage, share in shares:
        above = below + share
        found[leverage] = [
            AssumedDay(day.lots * above // SHARE_ONE - day.lots * below // SHARE_ONE, day.settle) for day in days
        ]
        below = above
    return found


def _has_ended(entry: AssumedEntry, settle: Fraction, side: PositionSide) -> bool:
    return entry.liquidation_price is not None and is_reached(settle, entry.liquidation_price, side)


def _cut(entries: Sequence[AssumedEntry], held: int, left: int) -> list[AssumedEntry]:
    """Return entries of which `left` of `held` lots are left, in proportion."""
    found: list[AssumedEntry] = []
    running = 0
    for entry in entries:
        lots = (running + entry.lots) * left // held - running * left // held
        running += entry.lots
        if lots:
            found.append(AssumedEntry(lots, entry.entry_price, entry.liquidation_price))
    return found
