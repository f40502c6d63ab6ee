"""Which channels are open: ids, leases, budgets, and what the next tick is told."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from liqscape.axes import RowRange, Timeframe
from liqscape.device.numpy_backend import NumpyBackend
from liqscape.device.numpy_channel import NumpyChannelBuffer
from liqscape.device.runtime import OutOfDeviceMemory
from liqscape.errors import InvalidArgument, LimitExceeded, NotFound, NotReady
from liqscape.events import PositionSide
from liqscape.grid.channel_specs import ChannelSpec, PositionFilter
from liqscape.grid.open_channels import MAX_TILES, OpenChannels
from liqscape.grid.shard import Shard
from tests.unit.grid.test_custom_channels import Recomputing
from tests.unit.grid.test_shard import ETH, EXAMPLE
from tests.unit.synthetic_market import BTC, EXAMPLE_MINUTE, tick_end

LONGS = PositionFilter.of(side=PositionSide.LONG)
SHORTS = PositionFilter.of(side=PositionSide.SHORT)
TENS = PositionFilter.of(leverages=[10])


@pytest.fixture
def shard() -> Shard:
    made = Shard([BTC, ETH], NumpyBackend(), lambda: 0)
    for event in EXAMPLE:
        made.accept(event)
    return made


def spec(positions: PositionFilter | None = None, tile: int | None = None, timeframe: str = "24h") -> ChannelSpec:
    return ChannelSpec("BTC", timeframe, positions, tile)


def test_equal_specs_are_one_channel_until_the_last_lease_is_given_back(shard: Shard) -> None:
    desk = shard.on_demand
    one, other = desk.open(spec(LONGS)), desk.open(spec(PositionFilter.of(side=PositionSide.LONG)))
    apart = desk.open(spec(LONGS, timeframe="12h"))

    desk.close(one.channel_id)
    still = desk.open(spec(LONGS))
    for _ in range(2):
        desk.close(one.channel_id)
    anew = desk.open(spec(LONGS))

    assert one is other is still
    assert (one.channel_id, apart.channel_id, anew.channel_id) == (19, 20, 21)
    assert (one.positions, one.tile, one.timeframe.name) == (LONGS, None, "24h")


def test_lists_of_a_filter_are_sets_and_a_filter_of_nothing_is_none() -> None:
    assert PositionFilter.of(["okx", "bybit", "okx"], [25, 10, 10]) == PositionFilter.of(["bybit", "okx"], [10, 25])
    assert PositionFilter.of() is None
    assert PositionFilter.of(leverage_shares=[(10, 1), (10, 1)]) != PositionFilter.of(leverage_shares=[(10, 1)])


def test_lease_given_back_too_often_or_of_nothing_is_passed_over(shard: Shard) -> None:
    desk = shard.on_demand
    channel = desk.open(spec(tile=30))

    for channel_id in (channel.channel_id, channel.channel_id, 2, 999):
        desk.close(channel_id)

    assert desk.counters["tiles_open"] == 0
    assert desk.counters["channels_closed"] == 1


def test_default_channel_is_itself_and_holds_no_lease(shard: Shard) -> None:
    assert shard.on_demand.open(spec()) is shard.channels[1]
    assert shard.on_demand.counters["channels_opened"] == 0


def test_next_tick_tells_which_tiles_begin_and_which_channels_end(shard: Shard) -> None:
    desk = shard.on_demand
    tile, custom, brief = desk.open(spec(tile=30)), desk.open(spec(LONGS)), desk.open(spec(tile=31))
    desk.close(brief.channel_id)

    first = shard.accept(tick_end(EXAMPLE_MINUTE + 6))
    desk.close(custom.channel_id)
    desk.close(tile.channel_id)
    second = shard.accept(tick_end(EXAMPLE_MINUTE + 7))
    third = shard.accept(tick_end(EXAMPLE_MINUTE + 8))

    assert first is not None
    assert second is not None
    assert third is not None
    assert [(opened.channel, opened.parent_id) for opened in first.opened_tiles] == [(tile, 2)]
    assert (first.closed, second.closed, third.closed) == ((), (custom.channel_id, tile.channel_id), ())
    assert second.opened_tiles == third.opened_tiles == ()


def test_tile_of_a_custom_channel_keeps_it_open(shard: Shard) -> None:
    desk = shard.on_demand
    tile = desk.open(spec(LONGS, tile=30))
    custom = desk.open(spec(LONGS))
    desk.close(custom.channel_id)
    open_before = desk.counters["custom_channels_open"]
    desk.close(tile.channel_id)

    output = shard.accept(tick_end(EXAMPLE_MINUTE + 6))

    assert open_before == 1
    assert (desk.counters["custom_channels_open"], desk.counters["tiles_open"]) == (0, 0)
    assert output is not None
    assert output.closed == (custom.channel_id,)  # the tile never began
    assert list(shard.engine("BTC").custom.states()) == []


def test_coarse_rows_are_a_custom_channel_that_all_who_ask_for_them_share(shard: Shard) -> None:
    desk = shard.on_demand
    one, other = (desk.open(ChannelSpec("BTC", "24h", row_fold=4)) for _ in range(2))
    tile = desk.open(ChannelSpec("BTC", "24h", tile=7, row_fold=4))

    desk.open(ChannelSpec("BTC", "24h", row_fold=8))
    with pytest.raises(LimitExceeded, match="2 custom channels are open"):
        desk.open(ChannelSpec("BTC", "24h", row_fold=2))
    output = shard.accept(tick_end(EXAMPLE_MINUTE + 6))

    assert output is not None
    assert one is other
    assert (one.row_fold, one.spec) == (4, ChannelSpec("BTC", "24h", row_fold=4))
    assert [(opened.channel, opened.parent_id) for opened in output.opened_tiles] == [(tile, one.channel_id)]


def test_third_custom_channel_of_a_host_is_refused_until_one_closes(shard: Shard) -> None:
    desk = shard.on_demand
    first = desk.open(spec(LONGS))
    desk.open(spec(SHORTS))

    with pytest.raises(LimitExceeded, match="2 custom channels are open, the limit of this server; take one") as caught:
        desk.open(spec(TENS))
    with pytest.raises(LimitExceeded, match="2 custom channels are open"):
        desk.open(spec(TENS, tile=30))
    desk.close(first.channel_id)
    opened = desk.open(spec(TENS, tile=30))

    assert caught.value.retry_after_ms == 5000
    assert opened.tile == 30
    assert (desk.counters["custom_channels_open"], desk.counters["custom_channels_limit"]) == (2, 2)
    assert (desk.counters["tiles_open"], desk.counters["tiles_limit"]) == (1, MAX_TILES)


def test_tiles_have_a_limit_of_their_own_and_leave_nothing_behind_when_refused(shard: Shard) -> None:
    desk = OpenChannels(shard.channels, shard._models, max_custom=5, max_tiles=2)
    desk.open(spec(tile=1))
    desk.open(spec(tile=2))

    with pytest.raises(LimitExceeded, match="2 tiles are open, the limit of this server"):
        desk.open(spec(LONGS, tile=3))

    assert desk.counters["custom_channels_open"] == 0
    assert desk.open(spec(tile=2)).tile == 2


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        (ChannelSpec("DOGE", "24h", LONGS), NotFound, "symbol 'DOGE' is not served; served are BTC, ETH"),
        (ChannelSpec("BTC", "7m", LONGS), InvalidArgument, "timeframe '7m' is unknown"),
        (ChannelSpec("ETH", "24h", None, 3), NotReady, "ETH has no price yet"),
        (spec(PositionFilter.of(["mtgox"])), NotFound, "venue 'mtgox' is unknown; known are venue"),
        (spec(PositionFilter.of(leverages=[7])), InvalidArgument, "leverages has 7; allowed are 3, 5, 10"),
        (spec(PositionFilter.of(leverage_shares=[(10, 5)])), InvalidArgument, "leverage_shares sum to 5; they must"),
    ],
)
def test_what_cannot_be_opened_says_why(shard: Shard, asked: ChannelSpec, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        shard.on_demand.open(asked)

    assert shard.on_demand.counters["custom_channels_open"] == 0


def test_device_without_room_refuses_the_channel_and_goes_on() -> None:
    class Full(Recomputing):
        is_full = False

        def channel_buffer(
            self,
            frame: Timeframe,
            rows: RowRange,
            weights: NDArray[np.uint16],
            usd_per_weighted_lot: NDArray[np.float64],
        ) -> NumpyChannelBuffer:
            if self.is_full:
                raise OutOfDeviceMemory("12 MB of 3 MB")
            return super().channel_buffer(frame, rows, weights, usd_per_weighted_lot)

    backend = Full()
    shard = Shard([BTC], backend, lambda: 0, max_custom_channels=64)
    for event in EXAMPLE:
        shard.accept(event)
    backend.is_full = True

    with pytest.raises(LimitExceeded, match="the device has no room for a custom channel now: 12 MB of 3 MB"):
        shard.on_demand.open(spec(LONGS))

    assert shard.accept(tick_end(EXAMPLE_MINUTE + 6)) is not None
    assert shard.on_demand.counters["custom_channels_open"] == 0
