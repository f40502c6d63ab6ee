"""Weights of queries where the leverages an instrument offers are not those of a moment ago, or of later."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from liqscape.axes import WEIGHT_ONE
from liqscape.events import PositionSide
from liqscape.grid.queries import selected_keys, weights_of
from liqscape.grid.updates import GridQuery
from liqscape.instruments import LEVERAGE_TIERS, find_instrument
from liqscape.positions.mix import SHARE_ONE, prior_inflow_mix
from liqscape.positions.weights import STATED_TIER_INDEX, make_key

OKX, BINANCE = find_instrument("okx:BTC-USDT-SWAP"), find_instrument("binance:BTCUSDT")
"""Up to 100x, and up to 125x."""

MIXES = [prior_inflow_mix(OKX.leverage_tiers), prior_inflow_mix(BINANCE.leverage_tiers)]

HIGHEST = LEVERAGE_TIERS.index(125)


def query(**asked: object) -> GridQuery:
    return GridQuery("BTC", "24h", **asked)  # type: ignore[arg-type]


def test_filter_lets_a_leverage_pass_that_its_venue_offers_later() -> None:
    weights, reconciled = weights_of(query(venues=("okx",), side=PositionSide.LONG), (OKX, BINANCE), MIXES)

    counted = set(np.flatnonzero(weights).tolist())
    assert reconciled
    tiers = [*range(len(LEVERAGE_TIERS)), STATED_TIER_INDEX]
    assert counted == {make_key(0, tier, PositionSide.LONG) for tier in tiers}
    assert set(weights[sorted(counted)].tolist()) == {WEIGHT_ONE}
    offered = {entry.key for entry in selected_keys(query(venues=("okx",), side=PositionSide.LONG), (OKX, BINANCE))}
    assert counted - offered == {make_key(0, HIGHEST, PositionSide.LONG)}


def test_filter_by_leverage_holds_for_those_that_are_not_offered_too() -> None:
    weights, _ = weights_of(query(leverages=(10,)), (OKX, BINANCE), MIXES)

    tier = LEVERAGE_TIERS.index(10)
    assert set(np.flatnonzero(weights).tolist()) == {make_key(i, tier, side) for i in (0, 1) for side in PositionSide}


def test_mix_of_ones_own_is_over_the_shares_there_were_and_leaves_out_a_leverage_that_had_none() -> None:
    then = [MIXES[0], MIXES[0]]  # of a day on which Binance, too, offered 100x at most
    shares = {**dict.fromkeys(LEVERAGE_TIERS[:8], 100_000), 125: 200_000}
    assert sum(shares.values()) == SHARE_ONE

    weights, reconciled = weights_of(query(leverage_shares=tuple(shares.items())), (OKX, BINANCE), then)

    assert not reconciled
    for number in (0, 1):
        assert weights[make_key(number, HIGHEST, PositionSide.LONG)] == 0
        for tier, share in enumerate(MIXES[0]):
            wanted = round(Fraction(100_000, share) * WEIGHT_ONE)
            assert weights[make_key(number, tier, PositionSide.LONG)] == pytest.approx(wanted, abs=1)
