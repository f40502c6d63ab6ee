"""What a shard of several venues states: lots that can be added up, whichever unit an account is kept in."""

from __future__ import annotations

import pytest

from liqscape.device.numpy_backend import NumpyBackend
from liqscape.events import PositionSide, TickEnd
from liqscape.grid.shard import Shard
from liqscape.instruments import find_instrument
from tests.unit.synthetic_market import at, mark, open_interest, trade

MINUTE = 29_430_150
LINEAR, COIN_M = find_instrument("binance:BTCUSDT"), find_instrument("binance:BTCUSD_PERP")


def shard_of_two_venues() -> Shard:
    shard = Shard([LINEAR, COIN_M], NumpyBackend(), lambda: 0)
    for minute, contracts in ((MINUTE, "10000"), (MINUTE + 1, "10100")):
        for instrument, quantity in ((LINEAR, "500"), (COIN_M, contracts)):
            shard.accept(mark(at(minute, 1), 1_000_000, instrument=instrument))
            shard.accept(trade(at(minute, 2), 1_000_000, "1000", instrument=instrument))
            shard.accept(open_interest(at(minute, 3), quantity, instrument=instrument))
        shard.accept(TickEnd(at(minute + 1)))
    return shard


def test_coverage_of_contracts_is_stated_in_lots_at_the_mark_price() -> None:
    shard = shard_of_two_venues()

    linear, coin_m = shard.status()[0].coverage

    # 350 of 10,100 contracts of 100 USD opened; at 100,000 a contract is 0.001 BTC, 100 lots of 1e-5 BTC.
    assert (linear.instrument_id, coin_m.instrument_id) == ("binance:BTCUSDT", "binance:BTCUSD_PERP")
    assert coin_m.live_lots == (35_000, 35_000)
    assert coin_m.uncovered_lots == (975_000, 975_000)
    assert coin_m.lot_decimals == linear.lot_decimals == 5
    assert coin_m.covered_share() == pytest.approx(350 / 10_100)
    account = shard.book("BTC").account(COIN_M.instrument_id)
    assert (account.live[PositionSide.LONG], account.uncovered[PositionSide.LONG]) == (350, 9750)
    assert linear.live_lots == (30_000_000, 30_000_000)


def test_contracts_have_no_lots_before_a_price() -> None:
    account = shard_of_two_venues().book("BTC").account(COIN_M.instrument_id)
    scale = shard_of_two_venues().engine("BTC").scale

    assert account.in_lots(350, scale, 0) == 0
    assert account.in_lots(350, scale, scale.price_units(1_000_000, 1)) == 35_000


def test_grid_of_an_inverse_book_holds_the_lots_its_events_sum_to() -> None:
    shard = shard_of_two_venues()
    book, engine = shard.book("BTC"), shard.engine("BTC")

    columns = engine.capture().columns()
    told = columns.lots[columns.key >> 5 == 1].sum()

    held = book.cohorts_in_lots()
    assert told == held.lots[held.key >> 5 == 1].sum()
    # 350 contracts a side, worth 35,000 lots at entry: more below the price, fewer above it.
    assert told == pytest.approx(70_000, rel=0.02)
