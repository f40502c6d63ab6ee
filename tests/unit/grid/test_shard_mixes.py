"""A shard opens positions under the mixes it is given."""

from __future__ import annotations

import pytest

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import QUANTITY_DECIMALS, Candle, OpenInterest, TickEnd
from liqscape.grid.shard import Shard
from liqscape.instruments import LEVERAGE_TIERS, find_instrument
from liqscape.positions.mix import MIN_SHARE, SHARE_ONE

BTC = find_instrument("binance:BTCUSDT")
MINUTE_NS = 60_000_000_000
ONE = 10**QUANTITY_DECIMALS


def live_lots_by_tier(shard: Shard) -> list[int]:
    for number in range(3):
        begin, end = number * MINUTE_NS, (number + 1) * MINUTE_NS
        shard.accept(Candle(BTC.instrument_id, begin, end, 900_000, 900_100, 899_900, 900_000, 50 * ONE))
        shard.accept(OpenInterest(BTC.instrument_id, end, (1000 + number) * ONE))
        shard.accept(TickEnd(end, render=False))
    cohorts, _ = shard.book("BTC").cohorts()
    lots = [0] * len(LEVERAGE_TIERS)
    for key, count in zip(cohorts.key.tolist(), cohorts.lots.tolist(), strict=True):
        lots[(key & 31) >> 1] += count
    return lots


@pytest.mark.parametrize("leverage", [5, 100])
def test_lots_open_by_the_mix_given(leverage: int) -> None:
    tier = LEVERAGE_TIERS.index(leverage)
    mix = [MIN_SHARE] * len(LEVERAGE_TIERS)
    mix[tier] = SHARE_ONE - MIN_SHARE * (len(mix) - 1)

    lots = live_lots_by_tier(Shard([BTC], NumpyBackend(), lambda: 0, mixes={BTC.instrument_id: mix}))

    assert lots[tier] > 0.98 * sum(lots) > 0


def test_an_instrument_without_a_mix_of_its_own_has_the_prior() -> None:
    given = live_lots_by_tier(Shard([BTC], NumpyBackend(), lambda: 0, mixes={"other:BTC": [SHARE_ONE]}))

    assert given == live_lots_by_tier(Shard([BTC], NumpyBackend(), lambda: 0))


def test_a_size_mix_spreads_a_tier_over_the_steps_of_its_ladder() -> None:
    tiers = len(BTC.maintenance_tiers)
    sizes = [400_000, 300_000, 200_000, 100_000, *[0] * (tiers - 4)]
    plain = Shard([BTC], NumpyBackend(), lambda: 0)
    laddered = Shard([BTC], NumpyBackend(), lambda: 0, size_mixes={BTC.instrument_id: sizes})

    assert sum(live_lots_by_tier(plain)) == sum(live_lots_by_tier(laddered)) > 0
    rows = [len(set(shard.book("BTC").cohorts()[0].row.tolist())) for shard in (plain, laddered)]
    assert rows[1] > rows[0]
