"""OKX before v5 (OKEx v3), of recordings alone.

Source: real messages of 2019 to 2021. A message names a table, swap/trade or futures/trade, and its rows their
instrument. Quantities are contracts. A liquidation of type 3 closed a long, of type 4 a short; what its price is was
not documented. Rows of liquidations are of a wrapper that a recorder put around what it had polled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from liqscape.events import Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues.dialect import Reading, Unreadable, read_rows
from liqscape.feeds.venues.notes import ignore
from liqscape.feeds.venues.scale import Scale, time_of_text
from liqscape.feeds.venues.wanted import Wanted

FUNDING_HOURS: Final = 8


class OkxV3:
    """Reads tables.

    Args:
        scales: of the listings wanted.
    """

    def __init__(self, scales: Wanted) -> None:
        self._scales = scales

    def read(self, said: dict[str, Any], receive_ns: int, into: Reading) -> None:
        """Read a message."""
        market, _, table = said["table"].partition("/")
        read = _ROWS.get(table) if market in ("swap", "futures") else None
        if read is not None:
            read_rows(said["data"], lambda row: self._row(row, read, receive_ns, into), into)
        elif market in _MARKETS:
            ignore(into, f"{market} table")
        else:
            raise Unreadable("unknown table", said["table"])

    def _row(
        self,
        row: dict[str, Any],
        read: Callable[[dict[str, Any], Scale, int, Reading], None],
        receive_ns: int,
        into: Reading,
    ) -> None:
        scale = self._scales.find(row["instrument_id"], into)
        if scale is not None:
            read(row, scale, receive_ns, into)


def _trade(row: dict[str, Any], scale: Scale, _: int, into: Reading) -> None:
    scale.trade(
        into,
        time_of_text(row["timestamp"]),
        row["price"],
        row["size"] if "size" in row else row["qty"],
        _TAKER[row["side"]],
    )


def _mark(row: dict[str, Any], scale: Scale, _: int, into: Reading) -> None:
    scale.mark(into, time_of_text(row["timestamp"]), row["mark_price"])


def _ticker(row: dict[str, Any], scale: Scale, _: int, into: Reading) -> None:
    interest = row.get("open_interest")
    if interest is None:
        into.ignored["ticker without open interest"] += 1
    else:
        scale.open_interest(into, time_of_text(row["timestamp"]), interest)


def _funding(row: dict[str, Any], scale: Scale, receive_ns: int, into: Reading) -> None:
    scale.funding(into, receive_ns, row["funding_rate"], FUNDING_HOURS)


def _liquidation(row: dict[str, Any], scale: Scale, _: int, into: Reading) -> None:
    into.events.append(
        Liquidation(
            scale.instrument_id,
            time_of_text(row["created_at"]),
            scale.floored_price(row["price"]),
            scale.quantity(row["size"]),
            _CLOSED[row["type"]],
            PrintPrice.UNKNOWN,
            complete=False,
        )
    )


_ROWS: Final[Mapping[str, Callable[[dict[str, Any], Scale, int, Reading], None]]] = {
    "trade": _trade,
    "mark_price": _mark,
    "ticker": _ticker,
    "funding_rate": _funding,
    "liquidation": _liquidation,
}

_MARKETS: Final = frozenset({"swap", "futures", "spot", "option", "index"})

_TAKER: Final = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}

_CLOSED: Final = {"3": PositionSide.LONG, "4": PositionSide.SHORT}
