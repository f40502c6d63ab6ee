"""Questions in an address: read in full, and what is wrong is named."""

from __future__ import annotations

import pytest

from liqscape.api.web_requests import clusters_request, grid_request, map_request, no_parameters, row_request
from liqscape.errors import InvalidArgument
from liqscape.v1 import query_pb2


def test_every_parameter_of_a_grid() -> None:
    found = grid_request(
        [
            ("symbol", "BTC"),
            ("timeframe", "24h"),
            ("venues", "binance, okx"),
            ("leverages", "10,25"),
            ("side", "long"),
            ("leverage_shares", "10:250000,25:750000"),
            ("as_of_minute", "29430154"),
            ("column_minutes", "5"),
            ("columns", "100"),
            ("base_steps_per_row", "4"),
            ("price_low", "60000.5"),
            ("price_high", "7e4"),
            ("model", "open_only"),
        ]
    )

    share = query_pb2.LeverageShare
    assert found == query_pb2.GetGridRequest(
        symbol="BTC",
        timeframe="24h",
        venues=["binance", "okx"],
        leverages=[10, 25],
        side=query_pb2.POSITION_SIDE_LONG,
        leverage_shares=[share(leverage=10, share_ppm=250_000), share(leverage=25, share_ppm=750_000)],
        as_of_minute=29_430_154,
        column_minutes=5,
        columns=100,
        base_steps_per_row=4,
        price_low=60_000.5,
        price_high=70_000.0,
        model=query_pb2.POSITION_MODEL_OPEN_ONLY,
    )


def test_an_empty_parameter_is_none() -> None:
    assert grid_request([("symbol", "BTC"), ("timeframe", "24h"), ("columns", ""), ("venues", "")]) == (
        query_pb2.GetGridRequest(symbol="BTC", timeframe="24h")
    )


def test_every_parameter_of_clusters() -> None:
    thresholds = query_pb2.ClusterThresholds(
        smoothing_percent=0.0,
        valley_share=0.25,
        edge_share=0.5,
        max_width_percent=2.0,
        min_mass_usd=5e7,
        within_percent=10.0,
        isolation_percent=4.0,
        neighbour_share=0.2,
        band_percent=0.4,
        noise_floor_usd=1e6,
        min_open_interest_usd=1e8,
        min_covered_share=0.3,
        max_feed_lag_seconds=30.0,
        min_venues=4,
        max_venue_share=0.7,
        expiry_hours=24.0,
    )
    told = [(field.name, str(value)) for field, value in thresholds.ListFields()]

    found = clusters_request(
        [
            ("symbol", "BTC"),
            ("venues", "binance,okx"),
            ("leverages", "10,25"),
            ("side", "short"),
            ("base_steps_per_row", "4"),
            ("model", "open_only"),
            ("limit", "7"),
            ("order", "mass"),
            *told,
        ]
    )

    assert len(told) == len(thresholds.DESCRIPTOR.fields)
    assert found == query_pb2.ListClustersRequest(
        symbol="BTC",
        venues=["binance", "okx"],
        leverages=[10, 25],
        side=query_pb2.POSITION_SIDE_SHORT,
        base_steps_per_row=4,
        model=query_pb2.POSITION_MODEL_OPEN_ONLY,
        limit=7,
        order=query_pb2.CLUSTER_ORDER_MASS,
        thresholds=thresholds,
    )


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("order", "size", "order='size' is unknown; use score or mass or distance"),
        ("band_percent", "wide", "band_percent='wide' is not a number"),
        ("band_percent", "inf", "band_percent='inf' is not a number"),
        ("min_venues", "1.5", r"min_venues='1\.5' is not a whole number"),
        ("price_low", "1", "parameter 'price_low' is unknown"),
    ],
)
def test_parameters_of_clusters_that_make_no_sense(name: str, value: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        clusters_request([("symbol", "BTC"), (name, value)])


def test_breakdown_of_a_map() -> None:
    found = map_request([("symbol", "BTC"), ("breakdown", "venue,leverage")])

    assert list(found.breakdown) == [query_pb2.MAP_BREAKDOWN_VENUE, query_pb2.MAP_BREAKDOWN_LEVERAGE]


def test_a_row_is_a_map_of_one_price() -> None:
    found = row_request([("symbol", "BTC"), ("price", "65000"), ("base_steps_per_row", "4")])

    assert (found.price_low, found.price_high, found.base_steps_per_row) == (65_000, 65_000, 4)
    assert list(found.breakdown) == [query_pb2.MAP_BREAKDOWN_VENUE, query_pb2.MAP_BREAKDOWN_LEVERAGE]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (("symbl", "BTC"), "parameter 'symbl' is unknown; allowed: as_of_minute, base_steps_per_row"),
        (("columns", "1.5"), "columns='1.5' is not a whole number"),
        (("columns", "-1"), "columns=-1 is out of range; use 0 to 4294967295"),
        (("columns", "4294967296"), "columns=4294967296 is out of range"),
        (("columns", "²"), "columns='²' is not a whole number"),
        (("columns", "9" * 5000), "columns has 5000 characters; at most 2048 are allowed"),
        (("as_of_minute", "9" * 30), "is not a whole number"),
        (("leverages", "10,x"), "leverages='x' is not a whole number"),
        (("leverage_shares", "10"), "leverage_shares='10' is not a list of LEVERAGE:PPM"),
        (("price_low", "nan"), "price_low='nan' is not a price"),
        (("price_low", "1e999"), "price_low='1e999' is not a price"),
        (("side", "up"), "side='up' is unknown; use long or short"),
        (("model", "x"), "model='x' is unknown; use net_of_closes or open_only"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_named(parameter: tuple[str, str], message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        grid_request([parameter])

    assert message in str(refused.value)


def test_nothing_twice_and_nothing_where_nothing_is_allowed() -> None:
    with pytest.raises(InvalidArgument, match="parameter symbol is given twice"):
        grid_request([("symbol", "BTC"), ("symbol", "ETH")])
    with pytest.raises(InvalidArgument, match="parameter 'symbol' is unknown; allowed: none"):
        no_parameters([("symbol", "BTC")])
    with pytest.raises(InvalidArgument, match="price is missing"):
        row_request([("symbol", "BTC")])
