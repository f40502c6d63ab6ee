"""Requests are bounded and named before anything is done with them."""

from __future__ import annotations

from typing import Any

import pytest

from liqscape.api.requests import channels_of, grid_of, map_of, parse, resume_points_of
from liqscape.broadcast.selections import Wanted
from liqscape.errors import InvalidArgument
from liqscape.events import PositionSide
from liqscape.grid.channel_specs import PositionFilter
from liqscape.grid.updates import Breakdown, GridQuery, MapQuery, PositionModel
from liqscape.v1 import query_pb2, stream_pb2


def selector(symbol: str, timeframe: str = "") -> stream_pb2.ChannelSelector:
    return stream_pb2.ChannelSelector(symbol=symbol, timeframe=timeframe)


def test_request_survives_the_wire() -> None:
    request = stream_pb2.SubscribeRequest(channels=[selector("BTC", "24h"), selector("ETH")], cadence_ms=7)

    parsed = parse(stream_pb2.SubscribeRequest, request.SerializeToString())

    assert parsed == request
    assert channels_of(parsed) == [Wanted("BTC", "24h"), Wanted("ETH", "")]


def test_text_that_is_not_utf8_is_no_request() -> None:
    with pytest.raises(InvalidArgument, match="request of 4 bytes is not a GetGridRequest"):
        parse(query_pb2.GetGridRequest, b"\x0a\x02\xff\xfe")


def test_unknown_fields_of_a_newer_client_are_ignored() -> None:
    assert parse(query_pb2.GetStatusRequest, b"\xf8\x07\x01") is not None


def test_as_many_selectors_as_allowed_pass_and_one_more_does_not() -> None:
    allowed = stream_pb2.SubscribeRequest(channels=[selector("BTC")] * 256)
    too_many = stream_pb2.SubscribeRequest(channels=[selector("BTC")] * 257)

    assert len(channels_of(allowed)) == 256
    with pytest.raises(InvalidArgument, match="channels has 257 entries; at most 256 are allowed"):
        channels_of(too_many)


def test_long_name_is_refused_without_being_echoed() -> None:
    request = stream_pb2.SubscribeRequest(channels=[selector("BTC"), selector("BTC", "x" * 60_000)])

    with pytest.raises(InvalidArgument) as caught:
        channels_of(request)

    assert str(caught.value) == "channels[1].timeframe has 60000 characters; at most 64 are allowed"


def test_two_resume_points_of_one_source_are_refused() -> None:
    point = stream_pb2.ResumePoint(source_id="a", epoch=1, tick=1)

    with pytest.raises(InvalidArgument, match="resume names source 'a' twice"):
        resume_points_of(stream_pb2.SubscribeRequest(resume=[point, point]))


def test_resume_points_of_several_sources_pass() -> None:
    points = [stream_pb2.ResumePoint(source_id=name, epoch=1, tick=1) for name in "ab"]

    assert resume_points_of(stream_pb2.SubscribeRequest(resume=points)) == points


def test_grid_query_carries_every_field() -> None:
    request = query_pb2.GetGridRequest(
        symbol="BTC",
        venues=["binance"],
        leverages=[10, 20],
        side=query_pb2.POSITION_SIDE_SHORT,
        leverage_shares=[query_pb2.LeverageShare(leverage=10, share_ppm=1_000_000)],
        as_of_minute=0,
        column_minutes=30,
        columns=48,
        base_steps_per_row=5,
        price_low=1.5,
        price_high=2.5,
        model=query_pb2.POSITION_MODEL_OPEN_ONLY,
    )

    query = grid_of(request)

    assert query == GridQuery(
        symbol="BTC",
        venues=("binance",),
        leverages=(10, 20),
        side=PositionSide.SHORT,
        leverage_shares=((10, 1_000_000),),
        as_of_minute=0,
        column_minutes=30,
        columns=48,
        row_multiple=5,
        price_low=1.5,
        price_high=2.5,
        model=PositionModel.OPEN_ONLY,
    )


def test_map_query_carries_every_field() -> None:
    request = query_pb2.GetLiquidationMapRequest(
        symbol="BTC",
        venues=["binance"],
        leverages=[10, 20],
        side=query_pb2.POSITION_SIDE_LONG,
        leverage_shares=[query_pb2.LeverageShare(leverage=10, share_ppm=1_000_000)],
        base_steps_per_row=5,
        price_low=1.5,
        price_high=2.5,
        breakdown=[query_pb2.MAP_BREAKDOWN_LEVERAGE, query_pb2.MAP_BREAKDOWN_VENUE, query_pb2.MAP_BREAKDOWN_VENUE],
        model=query_pb2.POSITION_MODEL_OPEN_ONLY,
    )

    query = map_of(request)

    assert query == MapQuery(
        symbol="BTC",
        venues=("binance",),
        leverages=(10, 20),
        side=PositionSide.LONG,
        leverage_shares=((10, 1_000_000),),
        row_multiple=5,
        price_low=1.5,
        price_high=2.5,
        breakdown=frozenset({Breakdown.VENUE, Breakdown.LEVERAGE}),
        model=PositionModel.OPEN_ONLY,
    )
    assert map_of(query_pb2.GetLiquidationMapRequest(symbol="BTC")) == MapQuery("BTC")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "symbol is empty; name a base coin"),
        ({"symbol": "B" * 65}, "symbol has 65 characters; at most 64"),
        ({"symbol": "BTC", "venues": ["x"] * 65}, "venues has 65 entries; at most 64"),
        ({"symbol": "BTC", "venues": ["x" * 65]}, r"venues\[0\] has 65 characters; at most 64"),
        ({"symbol": "BTC", "leverages": [10] * 17}, "leverages has 17 entries; at most 16"),
        ({"symbol": "BTC", "side": 9}, "side 9 is unknown; use long, short or none"),
        ({"symbol": "BTC", "model": 9}, "model 9 is unknown; use net of closes, open only or none"),
        ({"symbol": "BTC", "breakdown": [0]}, "breakdown has 0; use venue, instrument, leverage or none"),
        ({"symbol": "BTC", "breakdown": [1] * 4}, "breakdown has 4 entries; at most 3"),
    ],
)
def test_bad_map_request_names_field_and_limit(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        map_of(query_pb2.GetLiquidationMapRequest(**fields))


def test_grid_refuses_too_many_filters_and_an_unknown_side() -> None:
    with pytest.raises(InvalidArgument, match="venues has 65 entries; at most 64"):
        grid_of(query_pb2.GetGridRequest(symbol="BTC", timeframe="1y", venues=["x"] * 65))
    with pytest.raises(InvalidArgument, match="leverages has 17 entries; at most 16"):
        grid_of(query_pb2.GetGridRequest(symbol="BTC", timeframe="1y", leverages=[10] * 17))
    with pytest.raises(InvalidArgument, match="side 9 is unknown"):
        grid_of(query_pb2.GetGridRequest(symbol="BTC", timeframe="1y", side=9))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="model 9 is unknown"):
        grid_of(query_pb2.GetGridRequest(symbol="BTC", timeframe="1y", model=9))  # type: ignore[arg-type]


def test_grid_needs_a_symbol_and_a_known_timeframe() -> None:
    assert grid_of(query_pb2.GetGridRequest(symbol="BTC", timeframe="1y")) == GridQuery("BTC", "1y")
    with pytest.raises(InvalidArgument, match="symbol is empty"):
        grid_of(query_pb2.GetGridRequest(timeframe="1y"))
    with pytest.raises(InvalidArgument, match="timeframe '2y' is unknown"):
        grid_of(query_pb2.GetGridRequest(symbol="BTC", timeframe="2y"))


def filtered(**fields: Any) -> stream_pb2.ChannelSelector:
    return stream_pb2.ChannelSelector(symbol="BTC", timeframe="24h", **fields)


def test_parts_and_positions_of_a_selector_are_read() -> None:
    positions = stream_pb2.PositionFilter(
        venues=["okx", "bybit"],
        leverages=[25, 10],
        side=stream_pb2.PositionFilter.SIDE_SHORT,
        leverage_shares=[stream_pb2.PositionFilter.Share(leverage=10, share_ppm=1_000_000)],
    )
    request = stream_pb2.Change(
        channels=[
            filtered(rows=stream_pb2.RowSpan(first=0, last=0)),
            filtered(prices=stream_pb2.PriceSpan(low=1.5, high=2.5), positions=positions),
            filtered(positions=stream_pb2.PositionFilter(), row_fold=1),
            filtered(rows=stream_pb2.RowSpan(first=0, last=0), row_fold=16),
        ]
    )

    rows, prices, nothing, coarse = channels_of(request)

    assert rows == Wanted("BTC", "24h", rows=(0, 0))
    asked = PositionFilter(("bybit", "okx"), (10, 25), PositionSide.SHORT, ((10, 1_000_000),))
    assert prices == Wanted("BTC", "24h", prices=(1.5, 2.5), positions=asked)
    assert nothing == Wanted("BTC", "24h")
    assert coarse == Wanted("BTC", "24h", rows=(0, 0), row_fold=16)


@pytest.mark.parametrize("fold", [3, 32, (1 << 32) - 1])
def test_coarse_rows_of_another_height_than_the_few_that_are_shared_are_refused(fold: int) -> None:
    with pytest.raises(
        InvalidArgument, match=rf"channels\[0\].row_fold is {fold}; use one of 1, 2, 4, 8, 16, or leave"
    ):
        channels_of(stream_pb2.SubscribeRequest(channels=[filtered(row_fold=fold)]))


def test_sides_of_streams_have_the_numbers_of_those_of_questions() -> None:
    theirs = {name.removeprefix("POSITION_"): value for name, value in query_pb2.PositionSide.items()}

    assert dict(stream_pb2.PositionFilter.Side.items()) == theirs


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"venues": ["v"] * 65}, r"channels\[0\].positions.venues has 65 entries; at most 64 are allowed"),
        ({"leverages": [10] * 17}, r"channels\[0\].positions.leverages has 17 entries; at most 16"),
        (
            {"leverage_shares": [stream_pb2.PositionFilter.Share()] * 17},
            r"channels\[0\].positions.leverage_shares has 17 entries; at most 16",
        ),
        ({"side": 3}, r"channels\[0\].positions.side 3 is unknown; use long, short or none"),
    ],
)
def test_filter_beyond_its_bounds_is_refused(fields: dict[str, Any], text: str) -> None:
    request = stream_pb2.SubscribeRequest(channels=[filtered(positions=stream_pb2.PositionFilter(**fields))])

    with pytest.raises(InvalidArgument, match=text):
        channels_of(request)
