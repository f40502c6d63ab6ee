"""A tick that has ended, as the model takes it: bars, and what the market stage remembers of it.

Ticks in a row are all that decides the state of a shard: fed to a new one again they make the same, and the market
stage goes on as if it had heard the events itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liqscape.axes import SymbolScale
from liqscape.market.bars import Bar


@dataclass(frozen=True, slots=True)
class HeldSample:
    """A sample of open interest before any price, in units of events, and the tick in which it came."""

    end_ns: int
    watermark_ns: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentCarry:
    """What an instrument takes into the next tick.

    Attributes:
        quantity_left: of trades, below a lot, in units of events.
        sends_marks: it has sent a mark price.
        watermark_ns: newest event heard.
        rejected: inputs thrown away since the first tick.
        held: the newest sample before any price.
    """

    quantity_left: int
    sends_marks: bool
    watermark_ns: int
    rejected: int
    held: HeldSample | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTick:
    """One tick.

    Attributes:
        end_ns: its end, exclusive.
        render: grids are wanted.
        bars: earlier held ones first, then by instrument id, on the rows in force when it began.
        scales: units of the symbols whose first price has come, as they were fixed then.
        carries: by instrument id, of those for which something has changed.
        counters: what was added to each.
    """

    end_ns: int
    render: bool
    bars: tuple[Bar, ...]
    scales: tuple[SymbolScale, ...]
    carries: Mapping[str, InstrumentCarry]
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSnapshot:
    """The market stage between two ticks, whole.

    Attributes:
        last_end_ns: end of the last tick; None before the first.
        scales: units now.
        carries: by instrument id, of those that have said something.
        counters: since the first tick.
    """

    last_end_ns: int | None
    scales: tuple[SymbolScale, ...]
    carries: Mapping[str, InstrumentCarry]
    counters: Mapping[str, int]
