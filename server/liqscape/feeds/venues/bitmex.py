"""BitMEX, of recordings alone: it closed on 2026-09-23.

Source: real messages of 2019 to 2023. A message names a table and an action on it; a partial of trades replays what was
traded before. Sizes are contracts: 1 USD each of XBTUSD, a millionth of a coin of XBTUSDT; quanto contracts are neither
and not taken. Rows of instruments hold what has changed, often without a time: that of our clock is taken, and of a
liquidation always. Only an insert of a liquidation is a new one; its side is that of the closing order, its price the
order's. Whether all were told is not documented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from liqscape.events import Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues.dialect import (
    Budget,
    Completeness,
    Endpoint,
    Listing,
    Poll,
    Reading,
    Unreadable,
    Venue,
    read_rows,
)
from liqscape.feeds.venues.notes import ignore, refuse
from liqscape.feeds.venues.scale import time_of_text
from liqscape.feeds.venues.wanted import Wanted, hours_of

FUNDING_HOURS: Final = 8
"""Between payments, where a row does not say."""


class BitmexDialect:
    """See Dialect; it asks for nothing.

    Args:
        listings: perpetuals, linear or inverse.
    """

    endpoints: Sequence[Endpoint] = ()
    polls: Sequence[Poll] = ()
    budgets: Sequence[Budget] = ()

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._scales = Wanted(listings)
        self._tables: Mapping[str, Callable[[dict[str, Any], int, Reading], None]] = {
            "trade": self._trade,
            "instrument": self._instrument,
            "funding": self._funding,
            "liquidation": self._liquidation,
        }

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read a message of the realtime socket."""
        if message == b"pong":
            into.heartbeats += 1
            return
        said = orjson.loads(message)
        if "table" not in said:
            _control(said, into)
            return
        table, action = said["table"], said["action"]
        read = self._tables.get(table)
        if read is None:
            if not table.startswith(_NOT_NEEDED):
                raise Unreadable("unknown table", table)
            ignore(into, table)
        elif action not in _READ[table]:
            ignore(into, f"{action} of {table}" if action in _ACTIONS else "other action")
        else:
            read_rows(said["data"], lambda row: read(row, receive_ns, into), into)

    def _trade(self, row: dict[str, Any], _: int, into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is None:
            return
        if "side" not in row:  # a settlement
            into.ignored["trade of the venue itself"] += 1
            return
        scale.trade(into, time_of_text(row["timestamp"]), row["price"], row["size"], _TAKER[row["side"]])

    def _instrument(self, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is None:
            return
        time_ns = time_of_text(row["timestamp"]) if "timestamp" in row else receive_ns
        mark, interest, rate = row.get("markPrice"), row.get("openInterest"), row.get("fundingRate")
        if mark is not None:
            scale.mark(into, time_ns, mark)
        if interest is not None:
            scale.open_interest(into, time_ns, interest)
        if rate is not None:
            scale.funding(into, time_ns, rate, _hours(row))
        if mark is None and interest is None and rate is None:
            into.ignored["other change"] += 1

    def _funding(self, row: dict[str, Any], _: int, into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is not None:
            scale.funding(into, time_of_text(row["timestamp"]), row["fundingRate"], _hours(row))

    def _liquidation(self, row: dict[str, Any], receive_ns: int, into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is not None:
            into.events.append(
                Liquidation(
                    scale.instrument_id,
                    receive_ns,
                    scale.floored_price(row["price"]),
                    scale.quantity(row["leavesQty"]),
                    _CLOSED_BY[row["side"]],
                    PrintPrice.ORDER,
                    complete=False,
                )
            )

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Refuse: nothing is asked for."""
        raise Unreadable("answer to nothing", poll.name)


def _control(said: dict[str, Any], into: Reading) -> None:
    if said.get("success") is True:
        into.acknowledged.append(str(said["subscribe"]))
    elif "error" in said:
        refuse(into, said)
    elif "info" in said:
        into.heartbeats += 1
    else:
        raise Unreadable("unknown message", said)


def _hours(row: dict[str, Any]) -> int:
    """Return the hours of an interval, told as a time of the first day of 2000."""
    told = row.get("fundingInterval")
    if not isinstance(told, str) or not told.startswith(_DAY):
        return FUNDING_HOURS
    return hours_of(int(told[len(_DAY) : len(_DAY) + 2]), 1)


_READ: Final = {
    "trade": frozenset({"insert"}),
    "instrument": frozenset({"partial", "insert", "update"}),
    "funding": frozenset({"partial", "insert"}),
    "liquidation": frozenset({"insert"}),
}
"""Actions by table that tell something new."""

_ACTIONS: Final = frozenset({"partial", "insert", "update", "delete"})

_NOT_NEEDED: Final = ("orderBook", "quote", "tradeBin", "settlement", "insurance", "announcement", "chat", "connected")

_TAKER: Final = {"Buy": TakerSide.BUY, "Sell": TakerSide.SELL}

_CLOSED_BY: Final = {"Sell": PositionSide.LONG, "Buy": PositionSide.SHORT}

_DAY: Final = "2000-01-01T"


BITMEX: Final = Venue(
    name="bitmex",
    instruments_of="bitmex",
    dialect=BitmexDialect,
    liquidations=Completeness.SAMPLED,
    provenance="recorded",
    regions="closed on 2026-09-23: recordings alone",
)
