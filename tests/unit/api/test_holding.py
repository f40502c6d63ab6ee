"""What one stream keeps open from one selection to the next, where there is room for one channel.

Seen to fail when broken on purpose: holding.py, select without the selection before; without _restore; _restore without
what is left.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from liqscape.api.holding import Holding
from liqscape.broadcast.selections import Wanted
from liqscape.errors import InvalidArgument, LimitExceeded
from liqscape.events import PositionSide
from liqscape.grid.channel_specs import ChannelSpec, PositionFilter
from liqscape.grid.updates import Channel
from tests.fake_engine import FakeChannels, FakeEngine
from tests.unit.broadcast.test_on_demand import Origin

LONGS = Wanted("BTC", "12h", positions=PositionFilter.of(side=PositionSide.LONG))
SHORTS = replace(LONGS, positions=PositionFilter.of(side=PositionSide.SHORT))
TENS = replace(LONGS, positions=PositionFilter.of(leverages=[10]))
PLAIN = Wanted("BTC", "12h")


class Picky(FakeChannels):
    """Refuses one filter for a reason that no room mends, and then, if told so, everything."""

    then_everything = False

    def __init__(self, engine: FakeEngine, *, limit: int = 1, build_ticks: int = 0) -> None:
        super().__init__(engine, limit=1, build_ticks=build_ticks)
        self.is_shut = False

    async def open_channel(self, spec: ChannelSpec) -> Channel:
        if self.is_shut or (spec.positions == TENS.positions and not self.open):
            self.is_shut = self.then_everything
            raise LimitExceeded("the device has no room", 5000)
        return await super().open_channel(spec)


class Shut(Picky):
    """See Picky."""

    then_everything = True


async def at_an_engine(desk: type[FakeChannels] = Picky) -> tuple[Origin, Holding]:
    at = Origin(desk=desk)
    await at.step()
    return at, Holding(at.hub)


async def test_one_filter_goes_over_into_another_where_there_is_room_for_one() -> None:
    at, holding = await at_an_engine()
    async with holding:
        longs = await holding.select([PLAIN, LONGS])

        shorts = await holding.select([PLAIN, SHORTS])

        assert holding.held == shorts
        assert longs.channel_ids[0] == shorts.channel_ids[0]
        assert set(at.desk.leases) == {shorts.channel_ids[1]}
    at.now_s += 100
    await at.step()
    assert at.desk.leases == {}


async def test_what_is_refused_before_anything_was_closed_leaves_all_as_it_was() -> None:
    at, holding = await at_an_engine()
    longs = await holding.select([PLAIN, LONGS])

    with pytest.raises(InvalidArgument):
        await holding.select([Wanted("BTC", "7m")])

    assert holding.held == longs
    assert set(at.desk.leases) == {longs.channel_ids[1]}


async def test_what_was_closed_in_vain_is_opened_anew() -> None:
    at, holding = await at_an_engine()
    longs = await holding.select([PLAIN, LONGS])

    with pytest.raises(LimitExceeded, match="the device has no room"):
        await holding.select([TENS])

    assert holding.held is not None
    assert holding.held.channel_ids[0] == longs.channel_ids[0]
    assert set(at.desk.leases) == {holding.held.channel_ids[1]}
    assert at.hub.describe(holding.held.channel_ids)[1].positions == LONGS.positions


async def test_what_cannot_be_opened_anew_is_missing_in_what_is_held() -> None:
    at, holding = await at_an_engine(Shut)
    longs = await holding.select([PLAIN, LONGS])

    with pytest.raises(LimitExceeded, match="the device has no room"):
        await holding.select([TENS])

    assert holding.held is not None
    assert holding.held.channel_ids == longs.channel_ids[:1]
    assert at.desk.leases == {}
