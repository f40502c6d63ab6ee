"""Time and price axes: minutes, base rows, columns, the nine timeframes.

Ground that every stage may use; knows nothing of venues, positions or grids. Everything here is integer arithmetic:
prices are integers in a decimal unit of the quote currency, times are nanoseconds or whole minutes since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from liqscape.errors import InvalidArgument

MINUTE_NS: Final = 60_000_000_000
MAX_GRID_ROWS: Final = 1024
"""Rows of a grid at most: one column of int64 is then 8 KB, which fits a shared-memory block and an L1 cache."""

WEIGHT_ONE: Final = 4096
"""Weight of a lot that counts in full; weights are 16-bit, so a view can raise a lot to just under 16-fold."""

BASE_STEP_PER_MYRIAD: Final = 3
"""The base step is the largest of {1, 2, 5} x 10^k not above this many ten-thousandths of the price first seen."""

BASE_STEP_COARSENING: Final = 10
"""A base step becomes so many times itself once the price has risen so far: ten keeps it {1, 2, 5} x 10^k."""

MAX_LOT_DECIMALS: Final = 8
"""A lot is never finer than the quantities feeds send; only a coin above 10^8 would want it."""

ROW_MULTIPLES: Final = (2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Timeframe:
    """One of the nine windows.

    Attributes:
        name: what users call it; 1m is 30 days.
        column_minutes: minutes of a column.
        columns: number of columns; a window is the newest so many columns.
        span_permille: prices served on each side of the price, in per mille of it.
        min_row_multiple: base steps of a row, at least.
        row_multiple_unit: the row multiple is a multiple of this (5 where merged history is read).
    """

    name: str
    column_minutes: int
    columns: int
    span_permille: int
    min_row_multiple: int
    row_multiple_unit: int = 1

    def column_of(self, minute: int) -> int:
        """Return the absolute number of the column that holds a minute."""
        return minute // self.column_minutes

    def first_column(self, now_minute: int) -> int:
        """Return the oldest column of the window whose newest column holds now_minute."""
        return self.column_of(now_minute) - (self.columns - 1)


TIMEFRAMES: Final[tuple[Timeframe, ...]] = (
    Timeframe("12h", 1, 720, 120, 2),
    Timeframe("24h", 2, 720, 120, 2),
    Timeframe("3d", 5, 864, 200, 5),
    Timeframe("1w", 15, 672, 200, 5, 5),
    Timeframe("2w", 30, 672, 300, 5, 5),
    Timeframe("1m", 60, 720, 300, 5, 5),
    Timeframe("3m", 180, 720, 500, 10, 5),
    Timeframe("6m", 360, 720, 500, 10, 5),
    Timeframe("1y", 720, 730, 500, 10, 5),
)
TIMEFRAME_NAMES: Final = tuple(t.name for t in TIMEFRAMES)


def timeframe(name: str) -> Timeframe:
    """Return the timeframe of that name.

    Raises:
        InvalidArgument: the name is unknown.
    """
    for candidate in TIMEFRAMES:
        if candidate.name == name:
            return candidate
    allowed = ", ".join(TIMEFRAME_NAMES)
    raise InvalidArgument(f"timeframe {name!r} is unknown; use one of {allowed} (1m = 30 days)")


def last_minute_before(time_ns: int) -> int:
    """Return the last whole or begun minute of data that ends (exclusive) at time_ns."""
    return (time_ns - 1) // MINUTE_NS


def minute_of(time_ns: int) -> int:
    """Return the minute an instant lies in."""
    return time_ns // MINUTE_NS


@dataclass(frozen=True, slots=True)
class SymbolScale:
    """Integer units of one symbol, fixed when its first price is seen.

    Attributes:
        symbol: base coin.
        price_decimals: a price unit is 10^-price_decimals of the quote currency; it divides the base step.
        base_step: price units of one base row.
        lot_decimals: a lot is 10^-lot_decimals of the base coin, worth at most 1 USD when first seen.
    """

    symbol: str
    price_decimals: int
    base_step: int
    lot_decimals: int

    @classmethod
    def first_seen(cls, symbol: str, price: int, tick_decimals: int) -> SymbolScale:
        """Choose the units of a symbol from its first price.

        Args:
            symbol: base coin.
            price: first price in units of 10^-tick_decimals; positive.
            tick_decimals: decimal places of the finest tick size among the symbol's instruments.
        """
        if price <= 0:
            raise InvalidArgument(f"first price of {symbol} is {price}; a price is positive")
        # Work in 10^-decimals with decimals large enough that the step is an integer of at least one unit.
        decimals = tick_decimals
        limit = price * BASE_STEP_PER_MYRIAD
        while limit < 10_000:
            decimals += 1
            limit *= 10
        step = _largest_one_two_five(limit // 10_000)
        # Largest power of ten of the base coin worth <= 1 quote unit: smallest d with price * 10^-d <= 1.
        lot_decimals = -tick_decimals  # the least price is one tick, and this many coins of it are worth 1
        while price * _power(10, -lot_decimals - tick_decimals) > _power(10, lot_decimals + tick_decimals):
            lot_decimals += 1
        lot_decimals = min(lot_decimals, MAX_LOT_DECIMALS)
        return cls(symbol, decimals, step, lot_decimals)

    def price_units(self, price: int, decimals: int) -> int:
        """Convert a price from units of 10^-decimals into this scale's units, exactly.

        Raises:
            InvalidArgument: the price is finer than this scale's unit.
        """
        shift = self.price_decimals - decimals
        if shift >= 0:
            return price * _power(10, shift)
        quotient, remainder = divmod(price, _power(10, -shift))
        if remainder:
            raise InvalidArgument(
                f"price {price}e-{decimals} of {self.symbol} is finer than the unit 1e-{self.price_decimals}"
            )
        return quotient

    def base_row(self, price: int) -> int:
        """Return the base row of a price in this scale's units."""
        return price // self.base_step

    def is_too_fine(self, price: int) -> bool:
        """Return whether the base step chosen at a price would be BASE_STEP_COARSENING times this one, or more."""
        return price * BASE_STEP_PER_MYRIAD >= 10_000 * BASE_STEP_COARSENING * self.base_step

    def coarsened(self) -> SymbolScale:
        """Return the same units with a base step BASE_STEP_COARSENING times as high: old rows lie whole in new ones."""
        return replace(self, base_step=self.base_step * BASE_STEP_COARSENING)

    def row_range(self, frame: Timeframe, price: int) -> RowRange:
        """Return the rows served for a timeframe around a price (in this scale's units).

        The multiple is the smallest allowed one with which the span on both sides fits MAX_GRID_ROWS rows.
        """
        for multiple in ROW_MULTIPLES:
            if multiple < frame.min_row_multiple or multiple % frame.row_multiple_unit:
                continue
            width = self.base_step * multiple
            half = -(-price * frame.span_permille // (1000 * width))
            if 2 * half <= MAX_GRID_ROWS:
                break
        else:
            half = MAX_GRID_ROWS // 2  # the price has moved far from where the base step was chosen
        return RowRange(price // width - half, 2 * half, multiple)

    def usd_of_lots(self, lots: int, price: int) -> float:
        """Return what lots are worth at a price in price units, rounded once."""
        numerator = lots * price * _power(10, -self.lot_decimals)
        return numerator / (_power(10, self.price_decimals) * _power(10, self.lot_decimals))

    def usd_per_weighted_lot(self, rows: RowRange) -> list[float]:
        """Return USD of one weighted lot for each row: its middle price x lot / WEIGHT_ONE, rounded once to float64."""
        width = self.base_step * rows.multiple
        denominator = 2 * WEIGHT_ONE * _power(10, self.price_decimals) * _power(10, self.lot_decimals)
        numerator = width * _power(10, -self.lot_decimals)
        # int / int is correctly rounded in Python, so the factor is the same on every machine.
        return [((2 * (rows.first + i) + 1) * numerator) / denominator for i in range(rows.count)]


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows of a grid: [first, first + count), each of `multiple` base rows."""

    first: int
    count: int
    multiple: int

    def folded(self, fold: int) -> RowRange:
        """Return the rows, each of `fold` of these, that cover them: the outermost may reach beyond."""
        first, last = self.first // fold, (self.first + self.count - 1) // fold
        return RowRange(first, last - first + 1, self.multiple * fold)

    def holds_in_middle_half(self, base_row: int) -> bool:
        """Return whether a base row lies in the middle half of the range; if not the range must move."""
        offset = base_row // self.multiple - self.first
        return self.count // 4 <= offset < self.count - self.count // 4


def _largest_one_two_five(limit: int) -> int:
    power = _power(10, len(str(limit)) - 1)
    for digit in (5, 2):
        if digit * power <= limit:
            return digit * power
    return power


def _power(base: int, exponent: int) -> int:
    """Return base^exponent, and 1 for a negative exponent (the caller multiplies the other side)."""
    return int(base**exponent) if exponent > 0 else 1
