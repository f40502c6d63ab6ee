"""Tiles and custom channels as the client names them: in requests, in keys, and put together again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liqscape.v1 import stream_pb2
from liqscape_client.axes import GridAxes
from liqscape_client.candles import CandleRing
from liqscape_client.channel_parts import ChannelPart
from liqscape_client.channel_selectors import channel_selectors, wanted_selectors
from liqscape_client.errors import ClientError, NotInSync, NotServed
from liqscape_client.grids import Heatmap
from liqscape_client.replica_set import ReplicaSet
from liqscape_client.tile_stack import stack_tiles

FILTER = stream_pb2.PositionFilter
TENS = ChannelPart(leverages=(10,), side="long")


def test_options_become_fields_of_each_selector() -> None:
    tile, other = channel_selectors(["BTC", "ETH"], "24h", tile=3)
    (span,) = channel_selectors("BTC", "24h", rows=(5, 9))
    (prices,) = channel_selectors("BTC", "24h", prices=(1.0, 2.5), side="short")
    (custom,) = channel_selectors("BTC", "1y", venues=["okx"], leverages=[10], leverage_shares={10: 1_000_000})

    assert (tile.symbol, other.symbol) == ("BTC", "ETH")
    assert tile.rows == other.rows == stream_pb2.RowSpan(first=384, last=511)
    assert span.rows == stream_pb2.RowSpan(first=5, last=9)
    assert not span.HasField("positions")
    assert (prices.prices, prices.positions) == (
        stream_pb2.PriceSpan(low=1.0, high=2.5),
        FILTER(side=FILTER.SIDE_SHORT),
    )
    assert custom.positions == FILTER(
        venues=["okx"], leverages=[10], leverage_shares=[FILTER.Share(leverage=10, share_ppm=1_000_000)]
    )
    assert custom.WhichOneof("part") is None
    assert channel_selectors("BTC", "24h", tile=1, row_fold=4) == [
        stream_pb2.ChannelSelector(
            symbol="BTC", timeframe="24h", rows=stream_pb2.RowSpan(first=128, last=255), row_fold=4
        )
    ]


def test_more_selectors_come_beside_those_of_names_and_alone_they_are_all() -> None:
    more = channel_selectors("BTC", "24h", tile=1)

    assert wanted_selectors((), (), more, {}) == more
    assert wanted_selectors("ETH", (), more, {}) == [*more, stream_pb2.ChannelSelector(symbol="ETH")]
    assert wanted_selectors((), (), (), {}) == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tile": 1, "rows": (1, 2)}, "tile and rows exclude each other; name one of them"),
        ({"side": "up"}, "side 'up' is unknown; use one of long, short"),
    ],
)
def test_options_that_contradict_or_are_unknown_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(ClientError, match=text):
        channel_selectors("BTC", "24h", **options)  # type: ignore[arg-type]


def test_options_without_a_timeframe_are_refused() -> None:
    with pytest.raises(ClientError, match="leverages, tile need a symbol and a timeframe"):
        channel_selectors("BTC", leverages=[10], tile=2)


def description(channel_id: int, **fields: object) -> stream_pb2.ChannelDescription:
    return stream_pb2.ChannelDescription(
        channel_id=channel_id,
        source_id="s",
        symbol="BTC",
        timeframe="24h",
        **fields,  # type: ignore[arg-type]
    )


def greeted(*channels: stream_pb2.ChannelDescription) -> ReplicaSet:
    replicas = ReplicaSet(lambda: 0.0)
    replicas.connecting()
    hello = stream_pb2.Hello(sources=[stream_pb2.SourceDescription(source_id="s", epoch=1)], channels=channels)
    replicas.apply(stream_pb2.Frame(hello=hello))
    return replicas


def test_channels_of_one_timeframe_are_told_apart_by_their_parts() -> None:
    span = stream_pb2.RowSpan(first=128, last=255)
    tens = FILTER(leverages=[10], side=FILTER.SIDE_LONG)
    replicas = greeted(
        description(1),
        description(19, rows=span),
        description(20, positions=tens),
        description(21, rows=span, positions=tens),
        description(22, row_fold=4),
        description(23, rows=span, row_fold=4),
    )

    assert replicas.channels() == (
        ("BTC", "24h"),
        ("BTC", "24h", ChannelPart(tile=1)),
        ("BTC", "24h", TENS),
        ("BTC", "24h", replace(TENS, tile=1)),
        ("BTC", "24h", ChannelPart(row_fold=4)),
        ("BTC", "24h", ChannelPart(tile=1, row_fold=4)),
    )
    assert [replicas.replica(*key).channel_id for key in replicas.channels()] == [1, 19, 20, 21, 22, 23]
    assert replicas.parts("BTC", "24h")[0] is None
    assert replicas.replica("BTC", "24h", replace(TENS, tile=1)).reason == "BTC 24h 10x long tile 1: no keyframe yet"
    assert replace(TENS, tile=1).positions == TENS
    assert ChannelPart(tile=1).positions is None
    assert ChannelPart(tile=1, row_fold=4).positions == ChannelPart(row_fold=4)
    with pytest.raises(NotServed, match="channel BTC 24h tile 2 is not in this stream; it carries BTC 24h, BTC"):
        replicas.replica("BTC", "24h", ChannelPart(tile=2))


def test_part_of_every_kind_has_words() -> None:
    part = ChannelPart(3, ("bybit", "okx"), (10, 25), "short", ((10, 1_000_000),), 8)

    assert str(part) == "bybit okx 10x 25x short own mix 8 rows in one tile 3"


def picture(tile: int, tick: int = 5) -> Heatmap:
    axes = GridAxes(2, 3, 128 * tile, 128, 2000, 2)
    levels = np.full((3, 128), tile, np.uint8)
    candles = CandleRing(3).window(9, axes.price_unit)
    return Heatmap("BTC", "24h", tick, 1, axes, 9, levels, candles, True, "", ChannelPart(tile=tile))


def test_tiles_are_stacked_lowest_first() -> None:
    found = stack_tiles([picture(3, tick=7), picture(2)])

    assert (found.axes.first_row, found.axes.rows, found.levels.shape) == (256, 256, (3, 256))
    assert found.levels[0, [0, 127, 128, 255]].tolist() == [2, 2, 3, 3]
    assert (found.tick, found.in_sync, found.part) == (7, True, None)
    assert found.price_low()[[0, -1]].tolist() == [256 * 20.0, 511 * 20.0]


def test_stack_with_a_tile_out_of_sync_is_out_of_sync() -> None:
    found = stack_tiles([picture(2), replace(picture(3), in_sync=False, reason="a gap")])

    assert (found.in_sync, found.reason) == (False, "a gap")


def test_tiles_that_do_not_fit_are_not_stacked() -> None:
    with pytest.raises(NotServed, match="the tile of rows 384 to 511 is missing"):
        stack_tiles([picture(2), picture(4)])
    with pytest.raises(NotInSync, match="tiles of BTC 24h are of different columns or rows"):
        stack_tiles([picture(2), replace(picture(3), newest_column=10)])
    with pytest.raises(NotServed, match="there are no tiles"):
        stack_tiles([])
