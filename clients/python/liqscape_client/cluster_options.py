"""What may be asked of clusters beside their symbol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypedDict, cast

from liqscape.v1 import query_pb2
from liqscape_client.errors import ClientError
from liqscape_client.grid_options import MapOptions, map_request

Order = Literal["score", "mass", "distance"]


class ClusterOptions(TypedDict, total=False):
    """Options of a list of clusters; what is left out is the server's default, which the answer states.

    Attributes:
        venues: only these.
        leverages: only these tiers; positions that venues state have none and are left out then.
        side: only this side.
        base_steps_per_row: height of a row.
        model: the book: "net of closes" or "open only".
        limit: clusters of each side, at most.
        order: "score" (mass times isolation), "mass" or "distance".
        smoothing_percent, valley_share, edge_share, max_width_percent: what a cluster is.
        min_mass_usd, within_percent: which clusters are listed.
        isolation_percent, neighbour_share: how alone one stands.
        band_percent: trigger band around the peak, each way.
        noise_floor_usd, min_open_interest_usd, min_covered_share, max_feed_lag_seconds, min_venues, max_venue_share,
            expiry_hours: what lowers a grade.
    """

    venues: Sequence[str]
    leverages: Sequence[int]
    side: Literal["long", "short"]
    base_steps_per_row: int
    model: Literal["net of closes", "open only"]
    limit: int
    order: Order
    smoothing_percent: float
    valley_share: float
    edge_share: float
    max_width_percent: float
    min_mass_usd: float
    within_percent: float
    isolation_percent: float
    neighbour_share: float
    band_percent: float
    noise_floor_usd: float
    min_open_interest_usd: float
    min_covered_share: float
    max_feed_lag_seconds: float
    min_venues: int
    max_venue_share: float
    expiry_hours: float


THRESHOLDS: Final = tuple(field.name for field in query_pb2.ClusterThresholds.DESCRIPTOR.fields)

_ORDERS: Final[dict[str, query_pb2.ClusterOrder]] = {
    "score": query_pb2.CLUSTER_ORDER_SCORE,
    "mass": query_pb2.CLUSTER_ORDER_MASS,
    "distance": query_pb2.CLUSTER_ORDER_DISTANCE,
}


def clusters_request(symbol: str, options: ClusterOptions) -> query_pb2.ListClustersRequest:
    """Return the request of a list of clusters.

    Raises:
        ClientError: an option, side, model or order is unknown.
    """
    for name in options:
        if name not in ClusterOptions.__annotations__:
            raise ClientError(f"option {name!r} is unknown; use one of {', '.join(ClusterOptions.__annotations__)}")
    order = options.get("order", "score")
    if order not in _ORDERS:
        raise ClientError(f"order {order!r} is unknown; use one of {', '.join(_ORDERS)}")
    like_a_map = map_request(symbol, cast(MapOptions, options))
    return query_pb2.ListClustersRequest(
        symbol=symbol,
        venues=like_a_map.venues,
        leverages=like_a_map.leverages,
        side=like_a_map.side,
        base_steps_per_row=options.get("base_steps_per_row"),
        model=like_a_map.model,
        limit=options.get("limit"),
        order=_ORDERS[order],
        thresholds=query_pb2.ClusterThresholds(**{name: options.get(name) for name in THRESHOLDS}),  # type: ignore[arg-type]
    )


def order_name(order: int) -> str:
    """Return a ClusterOrder of an answer in words."""
    return next((name for name, value in _ORDERS.items() if value == order), f"UNKNOWN_{order}")
