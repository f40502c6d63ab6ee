"""Events of inverse instruments become bars in contracts, and a venue's own rule says which price triggers."""

from __future__ import annotations

from dataclasses import replace

from liqscape.instruments import find_instrument
from liqscape.market.bars import Bar, PriceRange
from liqscape.market.state import MarketState
from tests.unit.synthetic_market import BTC, at, candle, mark, open_interest, trade

MINUTE = 1000
COIN_M = find_instrument("binance:BTCUSD_PERP")
LAST = replace(BTC, trigger="last")


def bar_of(market: MarketState, minute: int, *events: object) -> Bar:
    for event in events:
        market.apply(event)  # type: ignore[arg-type]
    (bar,) = market.close_tick(at(minute + 1))
    return bar


def test_inverse_quantities_are_whole_contracts() -> None:
    bar = bar_of(
        MarketState([COIN_M]),
        MINUTE,
        trade(at(MINUTE), 908_000, "570", instrument=COIN_M),
        open_interest(at(MINUTE, 1), "13069401.5", instrument=COIN_M),
    )

    assert bar.traded is not None
    assert (bar.traded.total, bar.open_interest_lots) == (570, 13_069_401)


def test_part_of_a_contract_is_carried_into_the_next_trade() -> None:
    market = MarketState([COIN_M])

    bars = [bar_of(market, MINUTE + i, trade(at(MINUTE + i), 908_000, "0.4", instrument=COIN_M)) for i in range(5)]

    assert [bar.traded.total for bar in bars if bar.traded] == [0, 0, 1, 0, 1]


def test_contracts_of_a_candle_are_spread_over_its_rows() -> None:
    bar = bar_of(
        MarketState([COIN_M]),
        MINUTE + 4,
        candle(MINUTE, MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "100", instrument=COIN_M),
    )

    assert bar.traded is not None
    assert (bar.traded.total, len(bar.traded.lots)) == (100, 19)


def test_venue_that_liquidates_on_the_last_price_is_triggered_by_trades_though_it_sends_marks() -> None:
    events = (mark(at(MINUTE), 908_000), trade(at(MINUTE), 890_000), trade(at(MINUTE, 1), 920_000))

    by_last = bar_of(MarketState([LAST]), MINUTE, *events)
    by_mark = bar_of(MarketState([BTC]), MINUTE, *events)

    assert by_last.trigger == PriceRange(890_000, 920_000, 890_000, 920_000)
    assert by_mark.trigger == PriceRange(908_000, 908_000, 908_000, 908_000)


def test_last_price_of_a_candle_triggers_where_no_trades_are_known() -> None:
    spanning = candle(MINUTE, MINUTE + 1, (905_000, 920_000, 890_000, 906_000))

    bar = bar_of(MarketState([LAST]), MINUTE, mark(at(MINUTE), 908_000), spanning)
    quiet = bar_of(MarketState([LAST]), MINUTE, mark(at(MINUTE), 908_000))

    assert bar.trigger == PriceRange(905_000, 920_000, 890_000, 906_000)
    assert quiet.trigger is None
