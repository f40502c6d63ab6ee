"""Rows and columns of a grid, in the user's units: quote currency and UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liqscape.v1 import stream_pb2
from liqscape_client.decoding import MAX_RING_CELLS
from liqscape_client.errors import DecodeError

_MAX_COLUMN_MINUTES: Final = 60 * 24 * 366
MAX_ABSOLUTE_COLUMN: Final = 1 << 40
"""Minutes of two million years; keeps every product below in 64 bits."""

_MAX_PRICE_DECIMALS: Final = 18


@dataclass(frozen=True, slots=True)
class GridAxes:
    """Axes of one generation of a channel, checked.

    Attributes:
        column_minutes: minutes of a column.
        columns: columns of the window.
        first_row: absolute number of the lowest row.
        rows: number of rows.
        row_height: price units of a row.
        price_decimals: a price unit is 10^-price_decimals of the quote currency.
    """

    column_minutes: int
    columns: int
    first_row: int
    rows: int
    row_height: int
    price_decimals: int

    @classmethod
    def from_message(cls, message: stream_pb2.Axes) -> GridAxes:
        """Check axes that came over the wire.

        Raises:
            DecodeError: a number is zero, absurd, or leads out of 64 bits.
        """
        row_height = message.base_step * message.base_steps_per_row
        highest = (abs(message.first_row) + message.rows) * row_height
        for name, value, allowed in (
            ("column_minutes", message.column_minutes, 1 <= message.column_minutes <= _MAX_COLUMN_MINUTES),
            ("columns x rows", message.columns * message.rows, 1 <= message.columns * message.rows <= MAX_RING_CELLS),
            ("base_step x base_steps_per_row", row_height, row_height >= 1),
            ("price_decimals", message.price_decimals, message.price_decimals <= _MAX_PRICE_DECIMALS),
            ("highest price", highest, highest < 1 << 62),
        ):
            if not allowed:
                raise DecodeError(f"axes with {name} {value} make no grid")
        return cls(
            message.column_minutes,
            message.columns,
            message.first_row,
            message.rows,
            row_height,
            message.price_decimals,
        )

    @property
    def price_unit(self) -> int:
        """Return how many price units make one unit of the quote currency."""
        return int(10**self.price_decimals)

    def price_edges(self) -> NDArray[np.float64]:
        """Return the edges of the rows in quote currency, float64[rows + 1]; row r covers [edge r, edge r + 1)."""
        rows = np.arange(self.first_row, self.first_row + self.rows + 1, dtype=np.int64)
        return rows * self.row_height / self.price_unit

    def price_low(self) -> NDArray[np.float64]:
        """Return the lower edge of each row in quote currency, float64[rows], inclusive."""
        return self.price_edges()[:-1]

    def price_middle(self) -> NDArray[np.float64]:
        """Return the middle of each row in quote currency, float64[rows]."""
        rows = np.arange(self.first_row, self.first_row + self.rows, dtype=np.int64)
        return (2 * rows + 1) * self.row_height / (2 * self.price_unit)

    def column_numbers(self, newest_column: int) -> NDArray[np.int64]:
        """Return the absolute number of each column of the window, int64[columns], oldest first."""
        return np.arange(newest_column - self.columns + 1, newest_column + 1, dtype=np.int64)

    def column_start(self, newest_column: int) -> NDArray[np.datetime64]:
        """Return the UTC start of each column, datetime64[m][columns], oldest first."""
        return (self.column_numbers(newest_column) * self.column_minutes).astype("datetime64[m]")


def check_newest_column(newest_column: int) -> int:
    """Return the column, or raise DecodeError where its times would leave 64 bits."""
    if abs(newest_column) > MAX_ABSOLUTE_COLUMN:
        raise DecodeError(f"newest column {newest_column} lies beyond any calendar")
    return newest_column
