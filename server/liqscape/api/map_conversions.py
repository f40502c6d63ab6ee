"""Liquidation maps as messages of QueryService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from liqscape.api.context_conversions import assumed_message, context_message
from liqscape.api.conversions import CELL, FRAGMENT_OVERHEAD_BYTES, MAX_FRAGMENT_BYTES, MODELS
from liqscape.axes import WEIGHT_ONE
from liqscape.broadcast.chunks import coverage_message
from liqscape.events import PositionSide
from liqscape.grid.exact_layer import ExactPositions
from liqscape.grid.liquidation_map import ABOVE, BELOW, INSIDE, MapAnswer, MapTotals
from liqscape.grid.updates import PositionModel
from liqscape.v1 import query_pb2, stream_pb2

MEANINGS: Final = {
    PositionModel.NET_OF_CLOSES: (
        "estimate by a model, confirmed by no exchange: weighted lots of all positions open now, by the price at which "
        "they would be force-closed"
    ),
    PositionModel.OPEN_ONLY: (
        "estimate by the open-only model, for comparison, confirmed by no exchange: weighted lots of positions that "
        "rising open interest opened and that no price has reached, by their entry price less or more 1/leverage; "
        "nothing is closed, so there are too many"
    ),
}

_SIDES: Final = {
    PositionSide.LONG: query_pb2.POSITION_SIDE_LONG,
    PositionSide.SHORT: query_pb2.POSITION_SIDE_SHORT,
}


def map_header(answer: MapAnswer, states: Iterable[stream_pb2.DataState]) -> query_pb2.GetLiquidationMapResponse:
    """Return the first message of a map."""
    found, scale = answer.map, answer.scale
    longs, shorts = PositionSide.LONG, PositionSide.SHORT
    return query_pb2.GetLiquidationMapResponse(
        header=query_pb2.MapHeader(
            symbol=answer.symbol,
            epoch=answer.epoch,
            tick=answer.tick,
            axis=query_pb2.RowAxis(
                first_row=found.rows.first,
                rows=found.rows.count,
                base_steps_per_row=found.rows.multiple,
                base_step=scale.base_step,
                price_decimals=scale.price_decimals,
            ),
            lot_decimals=scale.lot_decimals,
            weight_one=WEIGHT_ONE,
            usd_per_weighted_lot=found.usd_per_weighted_lot.tolist(),
            mark_price=answer.mark_price,
            price_row=found.price_row,
            source_watermark_unix_ns=answer.source_watermark_ns,
            states=states,
            coverage=[coverage_message(coverage) for coverage in answer.coverage],
            meaning=MEANINGS[answer.model],
            model=MODELS[answer.model],
            reconciled=found.reconciled,
            series=_series(found.series),
            cells_bytes=found.cells.size * CELL.itemsize,
            long_cumulative_weighted_lots=found.curves[longs].tolist(),
            short_cumulative_weighted_lots=found.curves[shorts].tolist(),
            long_cumulative_usd=found.curves_usd[longs].tolist(),
            short_cumulative_usd=found.curves_usd[shorts].tolist(),
            by_side=_series(found.by_side),
            by_venue=_series(found.by_venue),
            by_leverage=_series(found.by_leverage),
            exact=[_exact(positions) for positions in answer.exact],
            long_without_price_weighted_lots=found.without_price[longs],
            short_without_price_weighted_lots=found.without_price[shorts],
            context=[context_message(context) for context in answer.context],
            assumed=[assumed_message(positions) for positions in answer.assumed],
        )
    )


def map_fragments(answer: MapAnswer) -> Iterator[query_pb2.GetLiquidationMapResponse]:
    """Yield the cells of a map in whole series, made one at a time."""
    cells = answer.map.cells
    series, rows = cells.shape
    step = max(1, (MAX_FRAGMENT_BYTES - FRAGMENT_OVERHEAD_BYTES) // (rows * CELL.itemsize))
    for first in range(0, series, step):
        part = cells[first : first + step]
        yield query_pb2.GetLiquidationMapResponse(
            fragment=query_pb2.MapFragment(
                series_index=first, series=len(part), cells=part.astype(CELL, copy=False).tobytes()
            )
        )


def _exact(positions: ExactPositions) -> query_pb2.ExactPositions:
    return query_pb2.ExactPositions(
        venue=positions.venue,
        rows=[
            query_pb2.ExactRow(
                row=row.row,
                side=_SIDES[row.side],
                lots=row.lots,
                model_lots=row.model_lots,
                model_share=row.model_share(),
                accounts=row.accounts,
                oldest_unix_ns=row.oldest_ns,
            )
            for row in positions.rows
        ],
        totals=[
            query_pb2.ExactTotal(
                side=_SIDES[total.side],
                inside_lots=total.inside_lots,
                below_lots=total.below_lots,
                above_lots=total.above_lots,
                without_price_lots=total.without_price_lots,
                accounts=total.accounts,
                accounts_without_price=total.accounts_without_price,
                oldest_unix_ns=total.oldest_ns,
                open_interest_lots=total.open_interest_lots,
                open_interest_share=total.open_interest_share(),
            )
            for total in positions.totals
        ],
    )


def _series(totals: MapTotals) -> list[query_pb2.MapSeries]:
    rows = zip(totals.groups, totals.weighted_lots.tolist(), totals.usd.tolist(), strict=True)
    return [
        query_pb2.MapSeries(
            venue=group.venue,
            instrument=group.instrument_id,
            leverage=group.leverage,
            side=_SIDES[group.side],
            inside=query_pb2.MapAmount(weighted_lots=lots[INSIDE], usd=usd[INSIDE]),
            below=query_pb2.MapAmount(weighted_lots=lots[BELOW], usd=usd[BELOW]),
            above=query_pb2.MapAmount(weighted_lots=lots[ABOVE], usd=usd[ABOVE]),
            stated=group.stated,
        )
        for group, lots, usd in rows
    ]
