"""Bitget before v2, of recordings alone: the socket mix/v1 (instType mc) and the tables of swap of 2021.

Source: real messages of 2021 and 2022. Rows of mix/v1 trades are [time, price, coins, side]; a snapshot of them replays
what was traded before. Its tickers name open interest `holding`, in coins, and the funding rate `capitalRate`. Tables
of swap count contracts and name instruments cmt_btcusdt.
"""

from __future__ import annotations

from typing import Any, Final

from liqscape.events import TakerSide
from liqscape.feeds.venues.dialect import Reading, Unreadable, read_rows
from liqscape.feeds.venues.notes import ignore
from liqscape.feeds.venues.scale import Scale
from liqscape.feeds.venues.wanted import Wanted, from_ms

FUNDING_HOURS: Final = 8
"""Between payments: no ticker says; that of every large pair."""


class BitgetV1:
    """Reads messages of before v2.

    Args:
        scales: of the listings wanted.
    """

    def __init__(self, scales: Wanted) -> None:
        self._scales = scales

    def read(self, channel: str, name: object, said: dict[str, Any], into: Reading) -> None:
        """Read a message of mix/v1."""
        if channel == "trade":
            if said["action"] == "update":
                read_rows(said["data"], lambda row: self._trade(name, row, into), into)
            else:
                into.ignored["replayed trades"] += 1
        elif channel == "ticker":
            read_rows(said["data"], lambda row: self._ticker(name, row, into), into)
        elif channel.startswith(_NOT_NEEDED):
            ignore(into, channel)
        else:
            raise Unreadable("unknown channel", channel)

    def read_table(self, said: dict[str, Any], into: Reading) -> None:
        """Read a message of swap."""
        table = said["table"]
        if table == "swap/trade":
            read_rows(said["data"], lambda row: self._old_trade(row, into), into)
        elif table == "swap/funding_rate":
            read_rows(said["data"], lambda row: self._old_funding(row, into), into)
        elif table.startswith("swap/"):
            into.ignored["swap table"] += 1
        else:
            raise Unreadable("unknown table", table)

    def _trade(self, name: object, row: list[Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            time_ms, price, size, side = row
            scale.trade(into, from_ms(time_ms), price, size, TAKER[side])

    def _ticker(self, name: object, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(name, into)
        if scale is not None:
            time_ns = from_ms(row["systemTime"])
            add_ticker(scale, time_ns, row["markPrice"], row["holding"], row.get("capitalRate"), into)

    def _old_trade(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["instrument_id"], into)
        if scale is not None:
            scale.trade(into, from_ms(row["timestamp"]), row["price"], row["size"], TAKER[row["side"]])

    def _old_funding(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["instrument_id"], into)
        if scale is not None:
            scale.funding(into, from_ms(row["funding_time"]), row["funding_rate"], FUNDING_HOURS)


def add_ticker(
    scale: Scale, time_ns: int, mark: object, interest: object, rate: object, into: Reading, hours: int = FUNDING_HOURS
) -> None:
    """Add what a ticker says; the rate is None or empty where no funding is paid, hours those between payments."""
    scale.mark(into, time_ns, mark)
    scale.open_interest(into, time_ns, interest)
    if rate:
        scale.funding(into, time_ns, rate, hours)


_NOT_NEEDED: Final = ("books", "candle")

TAKER: Final = {"buy": TakerSide.BUY, "sell": TakerSide.SELL}
