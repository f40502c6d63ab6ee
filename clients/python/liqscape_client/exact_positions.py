"""What venues themselves state of accounts, by the rows of a liquidation map: positions, not an estimate.

The map contains them, in place of what it had estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from liqscape.v1 import query_pb2
from liqscape_client.errors import DecodeError

_SIDES: Final = {query_pb2.POSITION_SIDE_LONG: "long", query_pb2.POSITION_SIDE_SHORT: "short"}


@dataclass(frozen=True, slots=True)
class ExactRow:
    """Stated positions of one side whose liquidation price lies in one row of the map.

    Attributes:
        row: absolute number.
        side: "long" or "short".
        lots: not weighted.
        model_lots: what the book estimates of the venue and side in the row, beside what is stated.
        model_share: lots / model_lots, above 1 where more is stated than is estimated; None where nothing is.
        accounts: that hold them.
        oldest_unix_ns: time of the oldest statement of them.
    """

    row: int
    side: str
    lots: int
    model_lots: int
    model_share: float | None
    accounts: int
    oldest_unix_ns: int


@dataclass(frozen=True, slots=True)
class ExactTotal:
    """All stated positions of one side.

    Attributes:
        side: "long" or "short".
        inside_lots, below_lots, above_lots: by their liquidation price, seen from the rows of the map.
        without_price_lots: of positions for which the venue states no liquidation price.
        accounts: that hold any.
        accounts_without_price: that hold some without a liquidation price.
        oldest_unix_ns: time of the oldest statement of them; 0: there is none.
        open_interest_lots: of the venue's instruments of the symbol.
        open_interest_share: all lots / open_interest_lots; None while that is not known. May exceed 1: statement and
            open interest are not of one moment.
    """

    side: str
    inside_lots: int
    below_lots: int
    above_lots: int
    without_price_lots: int
    accounts: int
    accounts_without_price: int
    oldest_unix_ns: int
    open_interest_lots: int
    open_interest_share: float | None

    @property
    def lots(self) -> int:
        """Return everything that is stated."""
        return self.inside_lots + self.below_lots + self.above_lots + self.without_price_lots


@dataclass(frozen=True, slots=True)
class ExactPositions:
    """What one venue states. It is part of the open interest that the map explains: never add it to the cells.

    Attributes:
        venue: which.
        rows: those of the map that hold some, ascending, long before short.
        totals: of each side.
    """

    venue: str
    rows: tuple[ExactRow, ...]
    totals: tuple[ExactTotal, ...]

    @classmethod
    def from_message(cls, message: query_pb2.ExactPositions, axis: query_pb2.RowAxis) -> ExactPositions:
        """Read a message.

        Raises:
            DecodeError: a side is missing, or a row lies outside of the map or out of order.
        """
        rows = tuple(
            ExactRow(
                row=row.row,
                side=_side(row.side),
                lots=row.lots,
                model_lots=row.model_lots,
                model_share=row.model_share if row.HasField("model_share") else None,
                accounts=row.accounts,
                oldest_unix_ns=row.oldest_unix_ns,
            )
            for row in message.rows
        )
        order = [(row.row, row.side) for row in rows]
        if any(not axis.first_row <= row.row < axis.first_row + axis.rows for row in rows):
            raise DecodeError(f"exact rows of {message.venue!r} lie outside of the map")
        if order != sorted(set(order)):
            raise DecodeError(f"exact rows of {message.venue!r} are out of order")
        totals = tuple(
            ExactTotal(
                side=_side(total.side),
                inside_lots=total.inside_lots,
                below_lots=total.below_lots,
                above_lots=total.above_lots,
                without_price_lots=total.without_price_lots,
                accounts=total.accounts,
                accounts_without_price=total.accounts_without_price,
                oldest_unix_ns=total.oldest_unix_ns,
                open_interest_lots=total.open_interest_lots,
                open_interest_share=total.open_interest_share if total.HasField("open_interest_share") else None,
            )
            for total in message.totals
        )
        return cls(message.venue, rows, totals)


def _side(side: query_pb2.PositionSide) -> str:
    if side not in _SIDES:
        raise DecodeError(f"exact positions have side {side}")
    return _SIDES[side]
