"""Bybit before v5, of recordings alone: v2 of inverse and linear contracts, the USDC form of 2022, v3.

Sources: real messages of 2020 to 2023. Topics are trade, instrument_info and liquidation. Numbers come as text of the
plain field or scaled (`_e4`, `E8`); the USDC form has the same names in camel case. Liquidations of `liquidation` were
capped at one a second for each contract. As in v5, the side is that of the position and open interest counts both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from liqscape.events import Liquidation, PositionSide, PrintPrice, TakerSide
from liqscape.feeds.venues.dialect import Reading, Unreadable, read_rows
from liqscape.feeds.venues.notes import ignore
from liqscape.feeds.venues.numbers import as_fraction
from liqscape.feeds.venues.scale import Scale
from liqscape.feeds.venues.wanted import Wanted, from_ms, note_both_sides

FUNDING_HOURS: Final = 8


class BybitV2:
    """Reads topics of before v5.

    Args:
        scales: of the listings wanted.
    """

    def __init__(self, scales: Wanted) -> None:
        self._scales = scales

    def read(self, kind: str, name: str, said: dict[str, Any], into: Reading) -> bool:
        """Read a message.

        Args:
            kind: first part of its topic.
            name: the rest of it.
            said: the message.
            into: where it is noted what it said.

        Returns:
            whether the topic is one of these.
        """
        if kind == "trade":
            read_rows(said["data"], lambda row: self._trade(row, into), into)
        elif kind == "instrument_info":
            self._info(said, into)
        elif kind == "liquidation":
            rows = said["data"]
            read_rows(
                rows if isinstance(rows, list) else [rows],
                lambda row: self._liquidation(row, name, into),
                into,
            )
        elif kind in _NOT_NEEDED:
            ignore(into, kind)
        else:
            return False
        return True

    def _trade(self, row: dict[str, Any], into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is not None:
            time = row["trade_time_ms"] if "trade_time_ms" in row else row["tradeTimeMs"]
            scale.trade(into, from_ms(time), row["price"], row["size"], _TAKER[row["side"]])

    def _info(self, said: dict[str, Any], into: Reading) -> None:
        time_e6 = said["timestamp_e6"] if "timestamp_e6" in said else said["timestampE6"]
        time_ns = from_ms(int(time_e6) // 1_000)
        told = said["data"]
        rows = told.get("update", [told])
        read_rows(rows, lambda row: self._changed(row, time_ns, into), into)

    def _changed(self, row: dict[str, Any], time_ns: int, into: Reading) -> None:
        scale = self._scales.find(row["symbol"], into)
        if scale is None:
            return
        mark = _told(row, ("mark_price", 0), ("markPrice", 0), ("mark_price_e4", 4), ("markPriceE4", 4))
        interest = _told(row, ("open_interest", 0), ("open_interest_e8", 8), ("openInterestE8", 8))
        rate = _told(row, ("funding_rate_e6", 6), ("fundingRateE6", 6))
        if mark is not None:
            scale.mark(into, time_ns, mark)
        if interest is not None:
            note_both_sides(scale, into, time_ns, interest)
        if rate is not None:
            scale.funding(into, time_ns, rate, FUNDING_HOURS)
        if mark is None and interest is None and rate is None:
            into.ignored["other change"] += 1

    def _liquidation(self, row: dict[str, Any], name: str, into: Reading) -> None:
        scale = self._scales.find(row.get("symbol", name), into)
        if scale is not None:
            into.events.append(_closed(row, scale))


def _closed(row: Mapping[str, Any], scale: Scale) -> Liquidation:
    return Liquidation(
        scale.instrument_id,
        from_ms(row["time"] if "time" in row else row["updatedTime"]),
        scale.floored_price(row["price"]),
        scale.quantity(row["qty"] if "qty" in row else row["size"]),
        _CLOSED[row["side"]],
        PrintPrice.BANKRUPTCY,
        complete=False,
    )


def _told(row: Mapping[str, Any], *names: tuple[str, int]) -> str | int | float | None:
    """Return the first field that is there, divided by ten to the power beside its name."""
    for name, decimals in names:
        value = row.get(name)
        if value is None or value == "":
            continue
        if decimals == 0:
            return value  # type: ignore[no-any-return]  # whatever it is, the numbers module judges it
        scaled = as_fraction(value)
        if scaled.denominator != 1:
            raise Unreadable("scaled number with a fraction", value)
        whole, rest = divmod(abs(scaled.numerator), 10**decimals)
        return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{decimals}d}"
    return None


_TAKER: Final = {"Buy": TakerSide.BUY, "Sell": TakerSide.SELL}

_CLOSED: Final = {"Buy": PositionSide.LONG, "Sell": PositionSide.SHORT}

_NOT_NEEDED: Final = frozenset(
    {"orderBookL2_25", "orderBook_200", "orderBookL2", "orderBook", "klineV2", "candle", "orderbook", "insurance"}
)
