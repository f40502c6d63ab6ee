"""A bar: what one instrument did in one tick, in the integer units of its symbol.

Of an inverse instrument, what is called lots here are its contracts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class PriceRange:
    """Path of the trigger price over a bar, in price units of the symbol."""

    open: int
    high: int
    low: int
    close: int


@dataclass(frozen=True, slots=True)
class TradedRows:
    """Lots traded by base row: int64[n], entry i at base row first_row + i."""

    first_row: int
    lots: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Return the lots traded over all rows."""
        return int(self.lots.sum())

    @classmethod
    def evenly(cls, lots: int, low_row: int, high_row: int) -> TradedRows:
        """Spread lots over rows low..high, both included, by cumulative floors: where only a candle is known."""
        rows = high_row - low_row + 1
        shares = [lots * (i + 1) // rows - lots * i // rows for i in range(rows)]
        return cls(low_row, np.array(shares, np.int64))

    @classmethod
    def from_mapping(cls, lots_by_row: dict[int, int]) -> TradedRows:
        """Return the rows of a mapping, with zeros between them."""
        first = min(lots_by_row)
        lots = np.zeros(max(lots_by_row) - first + 1, np.int64)
        for row, count in lots_by_row.items():
            lots[row - first] = count
        return cls(first, lots)

    def plus(self, other: TradedRows) -> TradedRows:
        """Return the sum of both."""
        first = min(self.first_row, other.first_row)
        end = max(self.first_row + len(self.lots), other.first_row + len(other.lots))
        lots = np.zeros(end - first, np.int64)
        for part in (self, other):
            offset = part.first_row - first
            lots[offset : offset + len(part.lots)] += part.lots
        return TradedRows(first, lots)

    def on_coarser_rows(self, multiple: int) -> TradedRows:
        """Return the same lots on rows multiple times as high."""
        first = self.first_row // multiple
        rows = np.arange(self.first_row, self.first_row + len(self.lots), dtype=np.int64) // multiple - first
        lots = np.zeros(int(rows[-1]) + 1, np.int64)
        np.add.at(lots, rows, self.lots)
        return TradedRows(first, lots)


@dataclass(frozen=True, slots=True)
class Bar:
    """One instrument, one tick.

    Attributes:
        instrument_id, symbol: which.
        first_minute: first minute covered.
        minute: last minute covered; the minute of every event this bar causes.
        trigger: range of the trigger price (mark where the venue sends one, else the candle's or the trades'), or None.
        traded: lots by base row, or None.
        open_interest_lots: a sample at the end of the bar, floored to lots, or None.
        watermark_ns: newest event included.
    """

    instrument_id: str
    symbol: str
    first_minute: int
    minute: int
    trigger: PriceRange | None
    traded: TradedRows | None
    open_interest_lots: int | None
    watermark_ns: int
