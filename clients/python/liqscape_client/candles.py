"""Trigger price by column: the wire's differences, a ring beside the ring of levels, and what users see of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2
from liqscape_client.axes import MAX_ABSOLUTE_COLUMN
from liqscape_client.errors import DecodeError

_NEVER = np.iinfo(np.int64).min
_MAX_PRICE = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Open, high, low and close in quote currency, float64[column] each, oldest first; NaN where nothing is known."""

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CandleChange:
    """Candles of some columns, absolute: column int64[n] ascending, prices int64[n, 4] (open, high, low, close)."""

    column: NDArray[np.int64]
    prices: NDArray[np.int64]

    @classmethod
    def from_message(cls, message: stream_pb2.Candles, newest_column: int) -> CandleChange:
        """Decode candles that came over the wire.

        Raises:
            DecodeError: unequal lengths, columns out of order or newer than newest_column, prices out of range.
        """
        count = len(message.column_differences)
        fields = (message.open_differences, message.high_minus_open, message.open_minus_low, message.close_minus_open)
        if any(len(field) != count for field in fields):
            raise DecodeError(f"candles have arrays of {count}, {', '.join(str(len(f)) for f in fields)} entries")
        column = np.cumsum(np.fromiter(message.column_differences, dtype=np.int64, count=count))
        # Sums wrap at 64 bits without a word; from inside the calendar no difference wraps back into it.
        if count and (column.max() > MAX_ABSOLUTE_COLUMN or column.min() < -MAX_ABSOLUTE_COLUMN):
            raise DecodeError("candles name a column beyond any calendar")
        if count and (np.any(np.diff(column) <= 0) or column[-1] > newest_column):
            raise DecodeError("candles are not in ascending columns up to the newest")
        opens = np.cumsum(np.fromiter(message.open_differences, dtype=np.int64, count=count))
        high, low = (np.fromiter(field, dtype=np.uint64, count=count) for field in fields[1:3])
        close = np.fromiter(message.close_minus_open, dtype=np.int64, count=count)
        for part in (np.abs(opens), high, low, np.abs(close)):
            # abs of the smallest int64 is itself, negative: both ends are tested.
            if count and (int(part.max()) >= _MAX_PRICE or int(part.min()) < 0):
                raise DecodeError("candles hold a price out of range")
        prices = np.stack([opens, opens + high.astype(np.int64), opens - low.astype(np.int64), opens + close], axis=1)
        return cls(column, prices)


class CandleRing:
    """Candles of the window of one channel; column c at position c modulo columns, like the levels."""

    def __init__(self, columns: int) -> None:
        self._column = np.full(columns, _NEVER, dtype=np.int64)
        self._prices = np.zeros((columns, 4), dtype=np.int64)

    def apply(self, change: CandleChange) -> None:
        """Take over the candles of a chunk; within a chunk the newer column wins a position."""
        columns = self._column.size
        kept = change.column[-columns:]
        position = kept % columns
        self._column[position] = kept
        self._prices[position] = change.prices[-columns:]

    def window(self, newest_column: int, price_unit: int) -> Candles:
        """Return the candles of the window that ends at newest_column, copied."""
        columns = self._column.size
        wanted = np.arange(newest_column - columns + 1, newest_column + 1, dtype=np.int64)
        position = wanted % columns
        # A position may still hold a column that has left the window: only the very column asked for counts.
        known = self._column[position] == wanted
        prices = np.where(known[:, None], self._prices[position] / price_unit, np.nan)
        return Candles(prices[:, 0].copy(), prices[:, 1].copy(), prices[:, 2].copy(), prices[:, 3].copy())
