"""Clusters as messages of QueryService, and the questions about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Final

from liqscape.api.conversions import MODELS
from liqscape.api.requests import map_of
from liqscape.axes import SymbolScale
from liqscape.broadcast.chunks import coverage_message
from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.grid.keyed_book import BookAnswer
from liqscape.grid.updates import MapQuery, SymbolStatus
from liqscape.insight.cluster_answer import (
    BAND_SOURCE,
    MEANINGS,
    Cluster,
    ClusterOrder,
    Clusters,
    Neighbour,
    SideSummary,
)
from liqscape.insight.cluster_thresholds import MILLION, ClusterThresholds
from liqscape.insight.clusters import DEFAULT_LIMIT, ClusterQuery
from liqscape.insight.reliability import Grade
from liqscape.v1 import query_pb2, stream_pb2

_SIDES: Final = {
    PositionSide.LONG: query_pb2.POSITION_SIDE_LONG,
    PositionSide.SHORT: query_pb2.POSITION_SIDE_SHORT,
}
_ORDERS: Final = {
    ClusterOrder.SCORE: query_pb2.CLUSTER_ORDER_SCORE,
    ClusterOrder.MASS: query_pb2.CLUSTER_ORDER_MASS,
    ClusterOrder.DISTANCE: query_pb2.CLUSTER_ORDER_DISTANCE,
}
_ASKED_ORDERS: Final[dict[int, ClusterOrder]] = {
    query_pb2.CLUSTER_ORDER_UNSPECIFIED: ClusterOrder.SCORE,
    **{value: order for order, value in _ORDERS.items()},
}
_GRADES: Final = {
    Grade.HIGH: query_pb2.RELIABILITY_GRADE_HIGH,
    Grade.MEDIUM: query_pb2.RELIABILITY_GRADE_MEDIUM,
    Grade.LOW: query_pb2.RELIABILITY_GRADE_LOW,
}


def clusters_of(request: query_pb2.ListClustersRequest) -> tuple[MapQuery, ClusterQuery]:
    """Return the book a request asks for, and what is to be found in it.

    Raises:
        InvalidArgument: names the field and what is allowed.
    """
    if request.order not in _ASKED_ORDERS:
        raise InvalidArgument(f"order {request.order} is unknown; use score, mass, distance or none")
    like_a_map = query_pb2.GetLiquidationMapRequest(
        symbol=request.symbol,
        venues=request.venues,
        leverages=request.leverages,
        side=request.side,
        base_steps_per_row=request.base_steps_per_row if request.HasField("base_steps_per_row") else None,
        model=request.model,
    )
    given = request.thresholds
    thresholds: dict[str, Any] = {
        field.name: getattr(given, field.name) for field in fields(ClusterThresholds) if given.HasField(field.name)
    }
    return map_of(like_a_map), ClusterQuery(
        thresholds=ClusterThresholds(**thresholds),
        limit=request.limit if request.HasField("limit") else DEFAULT_LIMIT,
        order=_ASKED_ORDERS[request.order],
    )


def open_interest_usd_of(symbols: Iterable[SymbolStatus], symbol: str) -> float | None:
    """Return the open interest of a symbol at its price, one side; None where the server has none of it."""
    for status in symbols:
        lots = sum(sum(part.live_lots) + sum(part.uncovered_lots) for part in status.coverage)
        if status.symbol == symbol and lots and status.mark_price:
            scale = SymbolScale(symbol, status.price_decimals, 1, status.coverage[0].lot_decimals)
            return scale.usd_of_lots(lots, status.mark_price) / 2
    return None


def clusters_response(
    answer: BookAnswer,
    query: ClusterQuery,
    found: Clusters,
    states: Iterable[stream_pb2.DataState],
    server_unix_ns: int,
) -> query_pb2.ListClustersResponse:
    """Return the answer."""
    rows, scale = answer.book.rows, answer.scale
    told = {field.name: getattr(found.thresholds, field.name) for field in fields(ClusterThresholds)}
    return query_pb2.ListClustersResponse(
        symbol=answer.symbol,
        epoch=answer.epoch,
        tick=answer.tick,
        axis=query_pb2.RowAxis(
            first_row=rows.first,
            rows=rows.count,
            base_steps_per_row=rows.multiple,
            base_step=scale.base_step,
            price_decimals=scale.price_decimals,
        ),
        lot_decimals=scale.lot_decimals,
        mark_price=answer.mark_price,
        source_watermark_unix_ns=answer.source_watermark_ns,
        server_unix_ns=server_unix_ns,
        states=states,
        meaning=MEANINGS[answer.model],
        model=MODELS[answer.model],
        covered_share=found.covered_share,
        open_interest_usd=found.open_interest_usd,
        thresholds=query_pb2.ClusterThresholds(**told),
        order=_ORDERS[query.order],
        clusters=[_cluster(cluster, answer) for cluster in found.clusters],
        sides=[_side(side) for side in found.sides],
        band_source=BAND_SOURCE,
        coverage=[coverage_message(coverage) for coverage in answer.coverage],
    )


def _cluster(cluster: Cluster, answer: BookAnswer) -> query_pb2.Cluster:
    unit, height = int(10**answer.scale.price_decimals), answer.scale.base_step * answer.book.rows.multiple
    held, lots = cluster.held, cluster.lots
    margin = held.mean_margin_share()
    return query_pb2.Cluster(
        side=_SIDES[cluster.side],
        rank=cluster.rank,
        first_row=cluster.first_row,
        last_row=cluster.last_row,
        peak_row=cluster.peak_row,
        price_low=cluster.first_row * height / unit,
        price_high=(cluster.last_row + 1) * height / unit,
        peak_price=_middle(cluster.peak_row, answer),
        lots=lots,
        usd=cluster.usd,
        open_interest_share=cluster.open_interest_share,
        mean_leverage=held.mean_leverage(),
        mean_margin_percent=None if margin is None else 100 * margin,
        by_venue=[query_pb2.ClusterPart(venue=name, lots=n, share=n / lots) for name, n in held.by_venue],
        by_leverage=[query_pb2.ClusterPart(leverage=tier, lots=n, share=n / lots) for tier, n in held.by_leverage],
        largest_venue_share=held.by_venue[0][1] / lots,
        venue_concentration=cluster.venue_concentration,
        edge_distance=cluster.edge_distance_units / unit,
        edge_distance_percent=100 * cluster.edge_distance_units / answer.mark_price,
        peak_distance=cluster.peak_distance_units / unit,
        peak_distance_percent=100 * cluster.peak_distance_units / answer.mark_price,
        below=_neighbour(cluster.below, answer),
        above=_neighbour(cluster.above, answer),
        isolated=cluster.isolated,
        score_usd=cluster.score_usd,
        band_low=cluster.band_low,
        band_high=cluster.band_high,
        stated_lots=cluster.stated.lots,
        stated_share=cluster.stated.lots / lots,
        stated_accounts=cluster.stated.accounts,
        oldest_stated_unix_ns=cluster.stated.oldest_ns,
        grade=_GRADES[cluster.grade],
        reasons=[query_pb2.ReliabilityReason(code=r.code, text=r.text, severe=r.severe) for r in cluster.reasons],
    )


def _neighbour(neighbour: Neighbour | None, answer: BookAnswer) -> query_pb2.ClusterNeighbour | None:
    if neighbour is None:
        return None
    return query_pb2.ClusterNeighbour(
        peak_price=_middle(neighbour.peak_row, answer),
        distance_percent=100 * neighbour.distance_ppm / MILLION,
        usd=neighbour.usd,
        gap_percent=100 * neighbour.gap_ppm / MILLION,
    )


def _side(side: SideSummary) -> query_pb2.ClusterSide:
    return query_pb2.ClusterSide(
        side=_SIDES[side.side],
        open_interest_lots=side.open_interest_lots,
        live_lots=side.live_lots,
        at_price_lots=side.at_price_lots,
        outside_lots=side.outside_lots,
        clustered_lots=side.clustered_lots,
        found=side.found,
        small=side.small,
        largest_small_usd=side.largest_small_usd,
        far=side.far,
        unlisted=side.unlisted,
        near_lots=side.near_lots,
        near_usd=side.near_usd,
    )


def _middle(row: int, answer: BookAnswer) -> float:
    height = answer.scale.base_step * answer.book.rows.multiple
    return (2 * row + 1) * height / (2 * int(10**answer.scale.price_decimals))
