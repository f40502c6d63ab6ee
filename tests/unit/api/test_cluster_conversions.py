"""Clusters on the wire: what is asked arrives as it was meant, and every number is told.

Seen to fail when broken on purpose, one at a time: a threshold that is 0 taken for one that is absent, the order left
out, the upper edge told as that of the last row's lower one, the shares told of the side in place of the cluster.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from liqscape.api.cluster_conversions import clusters_of, clusters_response, open_interest_usd_of
from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.grid.exact_layer import ExactPositions, ExactRow
from liqscape.grid.updates import MapQuery, PositionModel, SymbolStatus
from liqscape.insight.cluster_answer import ClusterOrder
from liqscape.insight.cluster_thresholds import ClusterThresholds
from liqscape.insight.clusters import ClusterQuery, find_clusters
from liqscape.v1 import query_pb2, stream_pb2
from tests.unit.insight.hand_made_books import NOW_NS, STATED, Lots, book, covers

SMALL = ClusterThresholds(min_mass_usd=1.0, smoothing_percent=0.0)
EXACT = ExactPositions("beta", (ExactRow(950, PositionSide.LONG, 100, 0, 2, NOW_NS - 5),), ())


def answered(lots: list[Lots], query: ClusterQuery | None = None) -> query_pb2.ListClustersResponse:
    asked = query or ClusterQuery(SMALL)
    keyed = book(lots, exact=(EXACT,))
    return clusters_response(keyed, asked, find_clusters(keyed, asked), (stream_pb2.DATA_STATE_REPLAY,), NOW_NS + 9)


def test_symbol_alone_is_the_default_of_everything() -> None:
    asked, query = clusters_of(query_pb2.ListClustersRequest(symbol="BTC"))

    assert asked == MapQuery("BTC")
    assert query == ClusterQuery()


def test_everything_that_is_asked_arrives() -> None:
    told: dict[str, Any] = {field.name: 1 if field.name == "min_venues" else 0.5 for field in fields(ClusterThresholds)}
    told |= {"max_feed_lag_seconds": 7.0, "smoothing_percent": 0.0, "min_mass_usd": 0.0}
    request = query_pb2.ListClustersRequest(
        symbol="ETH",
        venues=["alpha", "beta"],
        leverages=[10],
        side=query_pb2.POSITION_SIDE_SHORT,
        base_steps_per_row=7,
        model=query_pb2.POSITION_MODEL_OPEN_ONLY,
        limit=9,
        order=query_pb2.CLUSTER_ORDER_DISTANCE,
        thresholds=query_pb2.ClusterThresholds(**told),
    )

    asked, query = clusters_of(query_pb2.ListClustersRequest.FromString(request.SerializeToString()))

    assert asked == MapQuery(
        "ETH",
        venues=("alpha", "beta"),
        leverages=(10,),
        side=PositionSide.SHORT,
        row_multiple=7,
        model=PositionModel.OPEN_ONLY,
    )
    assert query == ClusterQuery(ClusterThresholds(**told), 9, ClusterOrder.DISTANCE)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"symbol": ""}, "symbol is empty"),
        ({"order": 7}, "order 7 is unknown; use score, mass, distance or none"),
        ({"model": 9}, "model 9 is unknown"),
        ({"side": 5}, "side 5 is unknown"),
        ({"limit": 0}, "limit is 0; use 1 to 200"),
        ({"venues": ["x"] * 65}, "venues has 65 entries; at most 64 are allowed"),
        ({"thresholds": {"valley_share": -0.1}}, r"thresholds\.valley_share is -0\.1; use 0 to 1"),
        ({"thresholds": {"isolation_percent": float("nan")}}, r"thresholds\.isolation_percent is nan; use 0\.1 to 20"),
        ({"thresholds": {"min_venues": 0}}, r"thresholds\.min_venues is 0; use 1 to 64"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(changed: dict[str, object], text: str) -> None:
    request = query_pb2.ListClustersRequest(**{"symbol": "BTC", **changed})  # type: ignore[arg-type]

    with pytest.raises(InvalidArgument, match=text):
        clusters_of(request)


def test_answer_tells_book_thresholds_and_clusters() -> None:
    lots = [Lots(95_000, 300, 20, 0), Lots(95_000, 100, STATED, 1), Lots(93_000, 50, 10), Lots(104_000, 77, 50, 2)]

    found = answered(lots, ClusterQuery(SMALL, order=ClusterOrder.MASS))

    assert (found.symbol, found.epoch, found.tick, found.mark_price) == ("BTC", 1, 2, 100_000)
    assert (found.axis.first_row, found.axis.rows, found.axis.base_steps_per_row) == (500, 1000, 10)
    assert (found.source_watermark_unix_ns, found.server_unix_ns) == (NOW_NS, NOW_NS + 9)
    assert list(found.states) == [stream_pb2.DATA_STATE_REPLAY]
    assert (found.order, found.model) == (query_pb2.CLUSTER_ORDER_MASS, query_pb2.POSITION_MODEL_NET_OF_CLOSES)
    assert "confirmed by no exchange" in found.meaning
    assert "not measured by this server" in found.band_source
    assert (found.covered_share, found.open_interest_usd) == (1.0, 8e9)
    assert found.thresholds.min_mass_usd == 1.0
    assert all(found.thresholds.HasField(field.name) for field in found.thresholds.DESCRIPTOR.fields)
    assert [part.instrument for part in found.coverage] == [f"{v}:BTCUSDT" for v in ("alpha", "beta", "gamma", "delta")]
    first, second, short = found.clusters
    assert (first.side, second.side, short.side) == (1, 1, 2)
    assert (first.rank, second.rank, short.rank) == (1, 2, 1)
    assert (first.first_row, first.last_row, first.peak_row) == (950, 950, 950)
    assert (first.price_low, first.price_high, first.peak_price) == (95_000, 95_100, 95_050)
    assert (first.lots, first.usd, first.open_interest_share) == (400, 380.2, 400 / (8 * 10**9))
    assert (first.mean_leverage, first.mean_margin_percent) == (20.0, 5.0)
    assert [(p.venue, p.leverage, p.lots, p.share) for p in first.by_venue] == [
        ("alpha", 0, 300, 0.75),
        ("beta", 0, 100, 0.25),
    ]
    assert [(p.venue, p.leverage, p.lots, p.share) for p in first.by_leverage] == [("", 20, 300, 0.75)]
    assert (first.largest_venue_share, first.venue_concentration) == (0.75, 0.625)
    assert (first.edge_distance, first.edge_distance_percent) == (4_900, 4.9)
    assert (first.peak_distance, first.peak_distance_percent) == (4_950, 4.95)
    assert (first.below.peak_price, first.below.distance_percent, first.below.usd) == (93_050, 2.0, 46.525)
    assert first.below.gap_percent == pytest.approx(1.9)
    assert not first.HasField("above")
    assert (first.isolated, first.score_usd) == (False, 400 * 1901 * 20_000 // 30_000 * 100 / 200_000)
    assert (first.band_low, first.band_high) == (94_574.75, 95_525.25)
    assert (first.stated_lots, first.stated_share, first.stated_accounts) == (100, 0.25, 2)
    assert first.oldest_stated_unix_ns == NOW_NS - 5
    assert (first.grade, [r.code for r in first.reasons]) == (query_pb2.RELIABILITY_GRADE_LOW, ["noise", "one_venue"])
    assert (first.reasons[0].severe, first.reasons[1].text) == (True, "75% of it is on alpha, above 60%")
    assert (short.edge_distance, short.peak_distance) == (4_000, 4_050)
    assert [(s.side, s.live_lots, s.clustered_lots, s.found) for s in found.sides] == [(1, 450, 450, 2), (2, 77, 77, 1)]
    assert [(s.near_lots, s.near_usd) for s in found.sides] == [(450, 426.725), (77, 80.1185)]


def test_cluster_of_stated_lots_alone_has_no_leverage() -> None:
    (cluster,) = answered([Lots(95_000, 100, STATED, 1)]).clusters

    assert not cluster.HasField("mean_leverage")
    assert not cluster.HasField("mean_margin_percent")
    assert cluster.stated_share == 1.0


def test_open_interest_of_a_symbol_is_one_sided_at_its_price() -> None:
    btc = SymbolStatus("BTC", 900_000, 1, 0, 0, 0, (covers(0), covers(1, live=10**9, uncovered=10**9)), 0.0)
    quiet = replace(btc, symbol="ETH", coverage=())

    assert open_interest_usd_of((quiet, btc), "BTC") == 4 * 10**9 / 10**5 * 90_000
    assert open_interest_usd_of((quiet, btc), "ETH") is None
    assert open_interest_usd_of((), "BTC") is None
