"""A tick that has ended, as the model takes it: bars, and what the market stage remembers of it.

Ticks in a row are all that decides the state of a shard: fed to a new one again they make the same, and the market
stage goes on as if it had heard the events itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liqscape.axes import SymbolScale
from liqscape.events import Correction, PositionStatement
from liqscape.market.bars import Bar
from liqscape.market.terms import Terms


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
        sampled_ns, candle_ns, prices_behind_ns, samples_behind_ns: see Stamps.
    """

    quantity_left: int
    sends_marks: bool
    watermark_ns: int
    rejected: int
    held: HeldSample | None
    sampled_ns: int = 0
    candle_ns: int = 0
    prices_behind_ns: int = 0
    samples_behind_ns: int = 0


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
        corrections: heard in this tick; what they do is in the bars.
        terms: those that are others from this tick on, before its bars.
        held_ns: by which its end is after what the clock of the source said, which was set back; else 0.
        statements: of positions, on symbols whose units are known; in the order heard.
    """

    end_ns: int
    render: bool
    bars: tuple[Bar, ...]
    scales: tuple[SymbolScale, ...]
    carries: Mapping[str, InstrumentCarry]
    counters: Mapping[str, int]
    corrections: tuple[Correction, ...] = ()
    terms: tuple[Terms, ...] = ()
    held_ns: int = 0
    statements: tuple[PositionStatement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSnapshot:
    """The market stage between two ticks, whole.

    Attributes:
        last_end_ns: end of the last tick; None before the first.
        scales: units now.
        carries: by instrument id, of those that have said something.
        counters: since the first tick.
        held_ns: of the last tick.
    """

    last_end_ns: int | None
    scales: tuple[SymbolScale, ...]
    carries: Mapping[str, InstrumentCarry]
    counters: Mapping[str, int]
    held_ns: int = 0
