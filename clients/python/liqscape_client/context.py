"""Markets beside a map, by a daily report, and what a user assumes of them: plain values, JSON, and lines for people.

No cell, total or share of a map contains any of this: never add it to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from liqscape.v1 import query_pb2
from liqscape_client.errors import DecodeError

_SIDES: Final = {query_pb2.POSITION_SIDE_LONG: "long", query_pb2.POSITION_SIDE_SHORT: "short"}


@dataclass(frozen=True, slots=True)
class ContractMonth:
    """A contract month on a trading day.

    Attributes:
        product: the exchange's code.
        contract_month: as the report writes it.
        contract_size: coins in a contract.
        open_interest_contracts: one-sided.
        open_interest_change_contracts: since the day before; None where that one does not tell of the product.
        volume_contracts: traded.
        settle: quote currency; None where there was none.
        is_final: else preliminary.
    """

    product: str
    contract_month: str
    contract_size: float
    open_interest_contracts: int
    open_interest_change_contracts: int | None
    volume_contracts: int
    settle: float | None
    is_final: bool


@dataclass(frozen=True, slots=True)
class MarketContext:
    """A market by its daily report: beside the map and no part of it.

    Attributes:
        venue: for example cme.
        symbol: base coin.
        label: for people, with the day and whether it is final.
        trade_date: ISO.
        is_final: else a number of the day is preliminary.
        as_of_unix_ns: end of the trading day.
        age_s: how old that is.
        open_interest: coins, one-sided.
        open_interest_change: since the day before; None where there is none.
        previous_trade_date: ISO; empty where there is none.
        settle: of the month with the most coins open; None where none was settled.
        months: by product and month.
        meaning: the server's words.
        open_interest_share: of this and the map's instruments together; None while those are not known.
        covered_share: what the map explains of both together; None while that is not known.
        warning: where that is low; empty where it is not.
    """

    venue: str
    symbol: str
    label: str
    trade_date: str
    is_final: bool
    as_of_unix_ns: int
    age_s: float
    open_interest: float
    open_interest_change: float | None
    previous_trade_date: str
    settle: float | None
    months: tuple[ContractMonth, ...]
    meaning: str
    open_interest_share: float | None
    covered_share: float | None
    warning: str

    @classmethod
    def from_message(cls, message: query_pb2.MarketContext) -> MarketContext:
        """Read a message."""
        return cls(
            venue=message.venue,
            symbol=message.symbol,
            label=message.label,
            trade_date=message.trade_date,
            is_final=message.is_final,
            as_of_unix_ns=message.as_of_unix_ns,
            age_s=message.age_seconds,
            open_interest=message.open_interest_base,
            open_interest_change=_optional(message, "open_interest_change_base"),
            previous_trade_date=message.previous_trade_date,
            settle=_optional(message, "settle_quote"),
            months=tuple(
                ContractMonth(
                    product=month.product,
                    contract_month=month.contract_month,
                    contract_size=month.contract_size_base,
                    open_interest_contracts=month.open_interest_contracts,
                    open_interest_change_contracts=_optional(month, "open_interest_change_contracts"),
                    volume_contracts=month.volume_contracts,
                    settle=_optional(month, "settle_quote"),
                    is_final=month.is_final,
                )
                for month in message.months
            ),
            meaning=message.meaning,
            open_interest_share=_optional(message, "open_interest_share"),
            covered_share=_optional(message, "covered_share"),
            warning=message.warning,
        )


@dataclass(frozen=True, slots=True)
class AssumedSeries:
    """Positions of a market beside the map under a leverage that whoever runs the server assumes, of one side.

    Attributes:
        venue: for example cme.
        label: for people, with the leverage.
        leverage: assumed.
        side: "long" or "short".
        lots_by_row: lots (not weighted) by absolute number of a row of the map.
        usd_by_row: the same in USD at the middle price of each row.
        inside_lots, below_lots, above_lots: seen from the rows of the map.
        reached_lots: the price has reached theirs.
        without_price_lots: have none.
        meaning: the server's words.
    """

    venue: str
    label: str
    leverage: int
    side: str
    lots_by_row: dict[int, int]
    usd_by_row: dict[int, float]
    inside_lots: int
    below_lots: int
    above_lots: int
    reached_lots: int
    without_price_lots: int
    meaning: str


def assumed_series(message: query_pb2.AssumedPositions, header: query_pb2.MapHeader) -> tuple[AssumedSeries, ...]:
    """Return the series of a message of a map, whose header names USD of each row of its axis.

    Raises:
        DecodeError: a side is missing, the lists of a series differ in length, or a row lies outside of the map or out
            of order.
    """
    axis, factors = header.axis, header.usd_per_weighted_lot
    found = []
    for series in message.series:
        rows = list(series.rows)
        if series.side not in _SIDES:
            raise DecodeError(f"assumed positions have side {series.side}")
        if len(rows) != len(series.lots):
            raise DecodeError(f"assumed positions have {len(rows)} rows and {len(series.lots)} lots")
        if rows != sorted(set(rows)) or any(not axis.first_row <= row < axis.first_row + axis.rows for row in rows):
            raise DecodeError(f"assumed rows of {message.venue!r} lie outside of the map or are out of order")
        found.append(
            AssumedSeries(
                venue=message.venue,
                label=series.label,
                leverage=series.leverage,
                side=_SIDES[series.side],
                lots_by_row=dict(zip(rows, series.lots, strict=True)),
                usd_by_row={
                    row: lots * header.weight_one * factors[row - axis.first_row]
                    for row, lots in zip(rows, series.lots, strict=True)
                },
                inside_lots=series.inside_lots,
                below_lots=series.below_lots,
                above_lots=series.above_lots,
                reached_lots=series.reached_lots,
                without_price_lots=series.without_price_lots,
                meaning=message.meaning,
            )
        )
    return tuple(found)


def context_json(status: query_pb2.GetStatusResponse) -> dict[str, Any]:
    """Return markets and their files as plain values under the names of the protocol; null is what is absent."""
    report = status.daily_report if status.HasField("daily_report") else None
    return {
        "context": [
            {**_plain(market), "months": [_plain(month) for month in market.months]} for market in status.context
        ],
        "daily_report": None if report is None else _plain(report),
    }


def context_lines(market: query_pb2.MarketContext) -> list[str]:
    """Return what people read of a market: its numbers, and where the map explains little of all, that."""
    said = [f"{market.open_interest_base:,.10g} {market.symbol} open, one-sided"]
    if market.HasField("open_interest_change_base"):
        said.append(f"{market.open_interest_change_base:+,.10g} since {market.previous_trade_date}")
    by_product: dict[str, int] = {}
    for month in market.months:
        by_product[month.product] = by_product.get(month.product, 0) + month.open_interest_contracts
    said += [f"{count:,} contracts of {product}" for product, count in by_product.items()]
    settled = [
        f"{m.product} {m.contract_month} {m.settle_quote:,.10g}" for m in market.months if m.HasField("settle_quote")
    ]
    shown = [f"  {market.label}: {', '.join(said)}, {_age(market.age_seconds)} old, beside the map"]
    if settled:
        shown.append(f"    settled: {', '.join(settled)}")
    if market.HasField("covered_share"):
        both = f"{market.open_interest_share:.1%} of open interest with the map's"
        shown.append(
            f"    {both}; {market.covered_share:.1%} of both is explained"
            + (f": {market.warning}" if market.warning else "")
        )
    return shown


def report_line(report: query_pb2.DailyReportFiles) -> str:
    """Return how reading the files fares."""
    read = f"daily report: {report.rows:,} rows of {report.files:,} file{'' if report.files == 1 else 's'}"
    ignored = f", {report.ignored:,} of other products left out" if report.ignored else ""
    return f"{read}{ignored}" + (f"; not taken: {report.message}" if report.message else "")


def _age(seconds: float) -> str:
    return f"{seconds / 86_400:.1f} days" if seconds >= 86_400 else f"{seconds / 3600:.1f} h"


def _optional(message: Message, field: Any) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _plain(message: Message) -> dict[str, Any]:
    return {
        field.name: _optional(message, field.name) if field.has_presence else getattr(message, field.name)
        for field in message.DESCRIPTOR.fields
        if field.message_type is None
    }
