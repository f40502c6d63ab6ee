"""Clusters as a client holds them, and as people read them.

Seen to fail when broken on purpose, one at a time: an absent share read as 0, a cluster without lots taken, longs told
from the furthest on, an unknown option passed over, control characters passed on.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from liqscape.v1 import query_pb2, stream_pb2
from liqscape_client import ClientError, Cluster, ClusterList, ClusterNeighbour, DecodeError, ReliabilityReason
from liqscape_client.cluster_options import ClusterOptions, clusters_request
from liqscape_client.clusters_command import add_clusters_arguments, lines, options_of, to_json

LONG, SHORT = query_pb2.POSITION_SIDE_LONG, query_pb2.POSITION_SIDE_SHORT


def message(side: query_pb2.PositionSide, rank: int, row: int, **changed: Any) -> query_pb2.Cluster:
    told: dict[str, Any] = {
        "side": side,
        "rank": rank,
        "first_row": row,
        "last_row": row + 4,
        "peak_row": row + 2,
        "price_low": row * 100.0,
        "price_high": row * 100.0 + 500,
        "peak_price": row * 100.0 + 250,
        "lots": 200_000_000,
        "usd": 2.5e8,
        "open_interest_share": 0.031,
        "mean_leverage": 21.75,
        "mean_margin_percent": 4.6,
        "by_venue": [query_pb2.ClusterPart(venue="alpha", lots=150_000_000, share=0.75)],
        "by_leverage": [query_pb2.ClusterPart(leverage=20, lots=200_000_000, share=1.0)],
        "largest_venue_share": 0.75,
        "venue_concentration": 0.6,
        "peak_distance": abs(row * 100.0 + 250 - 100_000),
        "peak_distance_percent": abs(row * 100.0 + 250 - 100_000) / 1000,
        "isolated": True,
        "score_usd": 2.5e8,
        "band_low": row * 99.0,
        "band_high": row * 101.0 + 500,
        "stated_lots": 4_000_000,
        "stated_share": 0.02,
        "stated_accounts": 3,
        "oldest_stated_unix_ns": 17,
        "grade": query_pb2.RELIABILITY_GRADE_MEDIUM,
        "reasons": [query_pb2.ReliabilityReason(code="few_venues", text="1 of 3", severe=False)],
    }
    return query_pb2.Cluster(**{**told, **changed})


def answer(*clusters: query_pb2.Cluster, **changed: Any) -> query_pb2.ListClustersResponse:
    told: dict[str, Any] = {
        "symbol": "BTC",
        "epoch": 5,
        "tick": 1234,
        "axis": query_pb2.RowAxis(first_row=1, rows=9, base_steps_per_row=2, base_step=500, price_decimals=1),
        "lot_decimals": 5,
        "mark_price": 1_000_000,
        "source_watermark_unix_ns": 1_768_089_600_000_000_000,
        "server_unix_ns": 1_768_089_602_500_000_000,
        "meaning": "estimate by a model",
        "model": query_pb2.POSITION_MODEL_NET_OF_CLOSES,
        "covered_share": 0.873,
        "open_interest_usd": 8.69e9,
        "thresholds": query_pb2.ClusterThresholds(min_mass_usd=1.5e8, isolation_percent=3, within_percent=20),
        "order": query_pb2.CLUSTER_ORDER_SCORE,
        "clusters": clusters,
        "sides": [
            query_pb2.ClusterSide(
                side=LONG, live_lots=100, clustered_lots=92, found=56, small=40, far=4, unlisted=9, near_usd=4.1e9
            )
        ],
        "band_source": "traders' figure",
    }
    return query_pb2.ListClustersResponse(**{**told, **changed})


def test_everything_that_is_asked_is_in_the_request_and_nothing_else_is() -> None:
    request = clusters_request(
        "BTC", {"venues": ["okx"], "side": "short", "limit": 2, "order": "mass", "min_venues": 4, "valley_share": 0.0}
    )

    assert request == query_pb2.ListClustersRequest(
        symbol="BTC",
        venues=["okx"],
        side=SHORT,
        model=query_pb2.POSITION_MODEL_NET_OF_CLOSES,
        limit=2,
        order=query_pb2.CLUSTER_ORDER_MASS,
        thresholds=query_pb2.ClusterThresholds(min_venues=4, valley_share=0.0),
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"order": "size"}, "order 'size' is unknown; use one of score, mass, distance"),
        ({"side": "both"}, "side 'both' is unknown"),
        ({"min_mass": 5}, "option 'min_mass' is unknown; use one of venues, leverages"),
    ],
)
def test_option_that_is_unknown_is_refused(options: Any, text: str) -> None:
    with pytest.raises(ClientError, match=text):
        clusters_request("BTC", options)


def test_every_threshold_of_the_protocol_is_an_option() -> None:
    names = {field.name for field in query_pb2.ClusterThresholds.DESCRIPTOR.fields}

    assert names <= ClusterOptions.__annotations__.keys()


def test_answer_is_held_as_it_came() -> None:
    near = query_pb2.ClusterNeighbour(peak_price=94_000, distance_percent=1.5, usd=9e7, gap_percent=0.5)
    lonely = message(SHORT, 1, 1040)
    stated = message(LONG, 1, 950, below=near, isolated=False)
    for name in ("mean_leverage", "mean_margin_percent", "open_interest_share"):
        stated.ClearField(name)

    found = ClusterList.from_message(answer(stated, lonely, states=[stream_pb2.DATA_STATE_STALE]))

    long, short = found.clusters
    assert (found.mark_price, found.age_seconds, found.states) == (100_000.0, 2.5, ("STALE",))
    assert (found.order, found.model, found.thresholds["min_mass_usd"]) == ("score", "net of closes", 1.5e8)
    assert (found.of("long"), found.of("short")) == ((long,), (short,))
    assert (long.mean_leverage, long.mean_margin_percent, long.open_interest_share) == (None, None, None)
    assert (long.below, long.above) == (ClusterNeighbour(94_000, 1.5, 9e7, 0.5), None)
    assert (short.by_venue, short.by_leverage) == ({"alpha": 150_000_000}, {20: 200_000_000})
    assert (short.stated_lots, short.stated_share, short.stated_accounts) == (4_000_000, 0.02, 3)
    assert (short.grade, short.reasons) == ("medium", (ReliabilityReason("few_venues", "1 of 3", False),))
    assert found.sides[0].found == 56


def test_grade_of_a_newer_server_is_told_by_its_number() -> None:
    newer = message(LONG, 1, 950)
    newer.grade = 9  # type: ignore[assignment]

    assert Cluster.from_message(newer).grade == "UNKNOWN_9"


@pytest.mark.parametrize("changed", [{"lots": 0}, {"last_row": 949}, {"peak_row": 955}, {"side": 0}])
def test_cluster_that_cannot_be_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        Cluster.from_message(message(**{"side": LONG, "rank": 1, "row": 950, **changed}))


def test_prices_of_four_billion_decimals_are_refused() -> None:
    with pytest.raises(DecodeError, match="price_decimals 4000000000"):
        ClusterList.from_message(answer(axis=query_pb2.RowAxis(price_decimals=4_000_000_000)))


def test_frame_has_a_row_a_cluster_and_says_that_it_is_an_estimate() -> None:
    frame = ClusterList.from_message(answer(message(LONG, 1, 950), message(SHORT, 1, 1040))).to_pandas()

    assert frame["side"].tolist() == ["long", "short"]
    assert frame["stated_share"].tolist() == [0.02, 0.02]
    assert frame["peak_price"].tolist() == [95_250.0, 104_250.0]
    assert frame.attrs["note"] == "estimate by a model"


def test_people_read_a_ladder_around_the_price() -> None:
    near = query_pb2.ClusterNeighbour(peak_price=94_000, distance_percent=1.258, usd=9e7, gap_percent=0.5)
    clusters = (
        message(LONG, 1, 950, above=near, isolated=False),
        message(LONG, 2, 970),
        message(SHORT, 2, 1040),
        message(SHORT, 1, 1060, grade=query_pb2.RELIABILITY_GRADE_HIGH, reasons=[]),
    )

    shown = lines(ClusterList.from_message(answer(*clusters)))

    assert shown == [
        "BTC  100,000.0",
        "  open interest 8.69B USD, 87.3% covered, data to 2026-01-11 00:00:00 UTC (2.5 s ago), tick 1,234",
        "  estimate by a model",
        "",
        "  rank                 prices        peak      away      USD   of OI  leverage  exact  largest venue"
        "         next at  grade",
        "     1        106,000-106,500     106,250    +6.25%     250M    3.1%     21.8x     2%  alpha 75%"
        "                > 3%  high",
        "     2        104,000-104,500     104,250    +4.25%     250M    3.1%     21.8x     2%  alpha 75%"
        "                > 3%  medium: few_venues",
        " price              100,000.0",
        "     2          97,000-97,500      97,250    -2.75%     250M    3.1%     21.8x     2%  alpha 75%"
        "                > 3%  medium: few_venues",
        "     1          95,000-95,500      95,250    -4.75%     250M    3.1%     21.8x     2%  alpha 75%"
        "               1.26%  medium: few_venues",
        "",
        "  longs below: 4.1B USD within 20%; 56 clusters, 40 smaller than 150M, 4 too far, 9 not listed;"
        " 92% of all lots are in one",
    ]


def test_lines_of_a_server_that_is_not_ours_move_no_cursor() -> None:
    forged = answer(message(LONG, 1, 950), symbol="BTC\x1b[2J", meaning="a\rb", source_watermark_unix_ns=(1 << 64) - 1)

    shown = lines(ClusterList.from_message(forged))

    assert shown[0].startswith("BTC?[2J")
    assert shown[2] == "  a?b"
    assert all(line.isprintable() for line in shown)


def test_json_has_every_field() -> None:
    found = ClusterList.from_message(answer(message(LONG, 1, 950)))

    plain = json.loads(json.dumps(to_json(found)))

    assert plain.keys() == {*ClusterList.__dataclass_fields__} - {"coverage"}
    assert plain["clusters"][0].keys() == {*Cluster.__dataclass_fields__}
    assert plain["clusters"][0]["by_leverage"] == {"20": 200_000_000}


def test_command_line_becomes_the_options_that_were_given() -> None:
    parser = argparse.ArgumentParser()
    add_clusters_arguments(parser)

    plain = options_of(parser.parse_args([]))
    full = options_of(
        parser.parse_args(
            [
                "ETH",
                *("--count", "5", "--order", "distance", "--side", "long", "--venues", "okx,bybit"),
                *("--leverages", "10,25", "--model", "open-only", "--min-mass-usd", "5e7", "--min-venues", "2"),
            ]
        )
    )

    assert plain == {}
    assert full == {
        "limit": 5,
        "order": "distance",
        "side": "long",
        "venues": ["okx", "bybit"],
        "leverages": [10, 25],
        "model": "open only",
        "min_mass_usd": 5e7,
        "min_venues": 2,
    }
    with pytest.raises(ClientError, match="--leverages '10x' is no list of whole numbers"):
        options_of(parser.parse_args(["--leverages", "10x"]))
