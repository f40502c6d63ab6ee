"""Markets beside a map, and what is assumed of them, as messages of QueryService."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from liqscape.events import QUANTITY_DECIMALS, PositionSide
from liqscape.feeds.context import DailyReportStatus, MarketContext
from liqscape.feeds.venues.cme import DailyMonth
from liqscape.grid.assumed_layer import MEANING as ASSUMED_MEANING
from liqscape.grid.assumed_layer import AssumedPositions, AssumedSeries
from liqscape.grid.market_context import MEANING
from liqscape.v1 import query_pb2

_SIDES: Final = {
    PositionSide.LONG: query_pb2.POSITION_SIDE_LONG,
    PositionSide.SHORT: query_pb2.POSITION_SIDE_SHORT,
}


def context_message(context: MarketContext) -> query_pb2.MarketContext:
    """Return a market."""
    day = context.day
    return query_pb2.MarketContext(
        venue=context.venue,
        symbol=day.symbol,
        label=day.label,
        trade_date=day.trade_date.isoformat(),
        is_final=day.is_final,
        as_of_unix_ns=day.as_of_ns,
        age_seconds=context.age_ns / 1e9,
        open_interest_base=day.open_interest / 10**QUANTITY_DECIMALS,
        open_interest_change_base=_float(day.change),
        previous_trade_date="" if day.previous is None else day.previous.isoformat(),
        settle_quote=_float(day.settle),
        months=[_month(month) for month in day.months],
        meaning=MEANING,
        open_interest_share=context.open_interest_share,
        covered_share=context.covered_share,
        warning=context.warning,
    )


def report_message(status: DailyReportStatus) -> query_pb2.DailyReportFiles:
    """Return how reading fares."""
    return query_pb2.DailyReportFiles(
        files=status.files,
        rows=status.rows,
        ignored=status.ignored,
        read_unix_ns=status.read_ns,
        failures=status.failures,
        message=status.message,
    )


def assumed_message(positions: AssumedPositions) -> query_pb2.AssumedPositions:
    """Return a layer."""
    return query_pb2.AssumedPositions(
        venue=positions.venue, meaning=ASSUMED_MEANING, series=[_series(series) for series in positions.series]
    )


def _month(month: DailyMonth) -> query_pb2.ContractMonth:
    row = month.row
    return query_pb2.ContractMonth(
        product=row.product,
        contract_month=row.contract_month,
        contract_size_base=float(row.contract_size),
        open_interest_contracts=row.open_interest,
        open_interest_change_contracts=month.change,
        volume_contracts=row.volume,
        settle_quote=_float(row.settle),
        is_final=row.is_final,
    )


def _series(series: AssumedSeries) -> query_pb2.AssumedSeries:
    return query_pb2.AssumedSeries(
        label=series.label,
        leverage=series.leverage,
        side=_SIDES[series.side],
        rows=series.rows,
        lots=series.lots,
        inside_lots=series.inside_lots,
        below_lots=series.below_lots,
        above_lots=series.above_lots,
        reached_lots=series.reached_lots,
        without_price_lots=series.without_price_lots,
    )


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
