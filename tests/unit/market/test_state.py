"""Events become bars: which price triggers, which minute a bar has, and that no lot is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.gpu.equal_payloads import same
from liqscape.errors import ModelError
from liqscape.events import Event, Funding, Gap, Liquidation, PositionSide
from liqscape.market.bars import Bar, PriceRange
from liqscape.market.state import MarketState
from tests.unit.synthetic_market import (
    BTC,
    at,
    candle,
    make_instrument,
    mark,
    open_interest,
    tick_end,
    trade,
)

MINUTE = 1000
OTHER = make_instrument("BTCUSDC", price_decimals=2)
ETH = make_instrument("ETHUSDT", symbol="ETH", price_decimals=2)


def bars_of(market: MarketState, end_minute: int, *events: Event, second: float = 0.0) -> list[Bar]:
    """Pass events on and end the tick."""
    for event in events:
        market.apply(event)
    return market.close_tick(at(end_minute, second))


def test_bar_of_five_minutes_carries_its_last_minute() -> None:
    (bar,) = bars_of(MarketState([BTC]), MINUTE + 5, candle(MINUTE, MINUTE + 5, (893_530, 893_651, 890_123, 890_406)))

    assert (bar.first_minute, bar.minute) == (MINUTE, MINUTE + 4)
    assert bar.trigger == PriceRange(893_530, 893_651, 890_123, 890_406)
    assert bar.watermark_ns == at(MINUTE + 5)
    assert (bar.symbol, bar.instrument_id) == ("BTC", "venue:BTCUSDT")


def test_tick_inside_a_minute_carries_that_minute() -> None:
    market = MarketState([BTC])
    bars_of(market, MINUTE, mark(at(MINUTE - 1, 30), 908_000))

    (bar,) = bars_of(market, MINUTE, mark(at(MINUTE, 0.5), 908_000), second=1)

    assert (bar.first_minute, bar.minute) == (MINUTE, MINUTE)


def test_candle_is_spread_evenly_over_the_rows_of_its_range() -> None:
    (bar,) = bars_of(
        MarketState([BTC]), MINUTE + 5, candle(MINUTE, MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "2241.182")
    )

    assert bar.traded is not None
    assert (bar.traded.first_row, len(bar.traded.lots)) == (4450, 19)
    assert bar.traded.total == 224_118_200
    assert set(bar.traded.lots.tolist()) == {11_795_694, 11_795_695}


def test_mark_price_triggers_before_candle_and_candle_before_trades() -> None:
    marks = [mark(at(MINUTE, s), price) for s, price in ((1, 908_000), (2, 909_000), (3, 907_000), (4, 907_500))]
    spanning = candle(MINUTE, MINUTE + 1, (905_000, 920_000, 890_000, 906_000))
    trades = [trade(at(MINUTE, 5), 800_000), trade(at(MINUTE, 6), 990_000)]

    (all_three,) = bars_of(MarketState([BTC]), MINUTE + 1, *trades, spanning, *marks)
    (without_mark,) = bars_of(MarketState([BTC]), MINUTE + 1, *trades, spanning)
    (trades_only,) = bars_of(MarketState([BTC]), MINUTE + 1, *trades)

    assert all_three.trigger == PriceRange(908_000, 909_000, 907_000, 907_500)
    assert without_mark.trigger == PriceRange(905_000, 920_000, 890_000, 906_000)
    assert trades_only.trigger == PriceRange(800_000, 990_000, 800_000, 990_000)


def test_trades_never_trigger_where_the_venue_sends_marks() -> None:
    market = MarketState([BTC])
    bars_of(market, MINUTE + 1, mark(at(MINUTE), 908_000), trade(at(MINUTE), 908_000))

    # Ticks are shorter than the interval between marks: this one has a trade far off and no mark.
    (bar,) = bars_of(market, MINUTE + 1, trade(at(MINUTE + 1, 0.1), 700_000), second=0.25)

    assert bar.trigger is None or bar.trigger == PriceRange(908_000, 908_000, 908_000, 908_000)


def test_open_interest_alone_makes_a_bar_without_prices() -> None:
    market = MarketState([BTC])
    bars_of(market, MINUTE, mark(at(MINUTE - 1), 908_000))

    (bar,) = bars_of(market, MINUTE + 1, open_interest(at(MINUTE, 30), "88060.900001"))

    assert (bar.trigger, bar.traded, bar.open_interest_lots) == (None, None, 8_806_090_000)


def test_last_sample_of_a_tick_counts() -> None:
    samples = [open_interest(at(MINUTE, second), quantity) for second, quantity in ((1, "5"), (2, "7"), (3, "6"))]

    (bar,) = bars_of(MarketState([BTC]), MINUTE + 1, mark(at(MINUTE), 908_000), *samples)

    assert bar.open_interest_lots == 600_000


def test_sample_before_the_first_price_is_held_and_becomes_a_bar_of_its_own() -> None:
    market = MarketState([BTC])

    before = bars_of(market, MINUTE, open_interest(at(MINUTE), "88060.900"))
    after = bars_of(market, MINUTE + 5, candle(MINUTE, MINUTE + 5, (893_530, 893_651, 890_123, 890_406), "2241.182"))

    assert before == []
    assert [bar.minute for bar in after] == [MINUTE - 1, MINUTE + 4]
    held, present = after
    assert (held.open_interest_lots, held.trigger, held.traded) == (8_806_090_000, None, None)
    assert held.watermark_ns == at(MINUTE)
    assert present.open_interest_lots is None
    assert present.trigger is not None


def test_newest_of_several_held_samples_is_kept() -> None:
    market = MarketState([BTC])
    bars_of(market, MINUTE, open_interest(at(MINUTE), "5"))
    bars_of(market, MINUTE + 1, open_interest(at(MINUTE + 1), "6"))

    bars = bars_of(market, MINUTE + 2, mark(at(MINUTE + 1), 908_000), open_interest(at(MINUTE + 2), "7"))
    later = bars_of(market, MINUTE + 3, mark(at(MINUTE + 2), 908_000))

    assert [(bar.minute, bar.open_interest_lots) for bar in bars] == [(MINUTE, 600_000), (MINUTE + 1, 700_000)]
    assert [bar.open_interest_lots for bar in later] == [None]


def test_price_of_one_instrument_fixes_the_units_of_all_of_its_symbol_alone() -> None:
    market = MarketState([BTC, OTHER, ETH])

    market.apply(mark(at(MINUTE), 908_000))
    scale = market.scale("BTC")

    assert market.scale("ETH") is None
    assert scale is not None
    # The unit is that of the finest tick size of the symbol: BTCUSDC has two decimals.
    assert (scale.price_decimals, scale.base_step, scale.lot_decimals) == (2, 2000, 5)


def test_units_stay_those_of_the_first_price() -> None:
    market = MarketState([BTC])
    market.apply(mark(at(MINUTE), 908_000))
    first = market.scale("BTC")

    market.apply(mark(at(MINUTE), 9_080))

    assert market.scale("BTC") == first


def test_prices_of_instruments_with_different_ticks_meet_in_one_unit() -> None:
    market = MarketState([BTC, OTHER])

    bars = bars_of(market, MINUTE + 1, mark(at(MINUTE), 908_000), mark(at(MINUTE), 9_080_050, instrument=OTHER))

    closes = {bar.instrument_id: bar.trigger.close for bar in bars if bar.trigger}
    assert closes == {"venue:BTCUSDT": 9_080_000, "venue:BTCUSDC": 9_080_050}


def test_fraction_of_a_lot_is_carried_into_the_next_trade() -> None:
    market = MarketState([BTC])
    totals = []

    for tick in range(1, 5):
        (bar,) = bars_of(market, MINUTE + tick, trade(at(MINUTE + tick - 1), 908_000, "0.000014"))
        assert bar.traded is not None
        totals.append(bar.traded.total)

    assert totals == [1, 1, 2, 1]  # 1.4 lots each: 5.6 in all


def test_trades_are_gathered_by_row_and_added_to_a_candle() -> None:
    (bar,) = bars_of(
        MarketState([BTC]),
        MINUTE + 1,
        trade(at(MINUTE), 908_000, "1"),
        trade(at(MINUTE), 908_199, "2"),
        trade(at(MINUTE), 908_400, "4"),
        candle(MINUTE, MINUTE + 1, (908_200, 908_200, 908_200, 908_200), "8"),
    )

    assert bar.traded is not None
    assert (bar.traded.first_row, bar.traded.lots.tolist()) == (4540, [300_000, 800_000, 400_000])


def test_candles_of_one_tick_merge() -> None:
    (bar,) = bars_of(
        MarketState([BTC]),
        MINUTE + 2,
        candle(MINUTE, MINUTE + 1, (908_000, 908_300, 907_900, 908_200), "1"),
        candle(MINUTE + 1, MINUTE + 2, (908_200, 908_250, 907_000, 907_100), "1"),
    )

    assert (bar.first_minute, bar.minute) == (MINUTE, MINUTE + 1)
    assert bar.trigger == PriceRange(908_000, 908_300, 907_000, 907_100)
    assert bar.traded is not None
    assert bar.traded.total == 200_000


def test_tick_without_events_makes_no_bar_and_forgets_nothing() -> None:
    market = MarketState([BTC])

    first = bars_of(market, MINUTE + 1, trade(at(MINUTE), 908_000))
    quiet = bars_of(market, MINUTE + 2)
    second = bars_of(market, MINUTE + 3, trade(at(MINUTE + 2), 909_000))

    assert quiet == []
    assert [bar.traded.total for bar in first + second if bar.traded] == [100_000, 100_000]
    assert second[0].trigger == PriceRange(909_000, 909_000, 909_000, 909_000)


def test_bars_of_one_minute_come_in_the_order_of_their_ids() -> None:
    market = MarketState([BTC, OTHER, ETH])

    bars = bars_of(
        market,
        MINUTE + 1,
        mark(at(MINUTE), 300_000, instrument=ETH),
        mark(at(MINUTE), 908_000),
        mark(at(MINUTE), 9_080_000, instrument=OTHER),
    )

    assert [bar.instrument_id for bar in bars] == ["venue:BTCUSDC", "venue:BTCUSDT", "venue:ETHUSDT"]


def test_counts_of_what_was_not_used_are_kept() -> None:
    market = MarketState([BTC])

    market.apply(Gap("venue:BTCUSDT", 0, 1, "no data", rejected=3))
    market.apply(Gap("venue:BTCUSDT", 1, 2, "no data", rejected=2))
    market.apply(Liquidation("venue:BTCUSDT", at(MINUTE), 1, 1, PositionSide.LONG))
    market.apply(Funding("venue:BTCUSDT", at(MINUTE), 1, 8))

    assert market.rejected_events("venue:BTCUSDT") == 5
    assert market.counters["gaps"] == 2
    assert market.counters["rejected_events"] == 5
    assert market.counters["liquidations_printed"] == 1


def test_event_of_an_unannounced_instrument_is_a_defect_of_the_source() -> None:
    market = MarketState([BTC])

    with pytest.raises(ModelError, match="unannounced instrument 'venue:ETHUSDT'"):
        market.apply(mark(at(MINUTE), 300_000, instrument=ETH))


def test_tick_end_is_not_an_event_to_gather() -> None:
    with pytest.raises(ModelError, match="close_tick"):
        MarketState([BTC]).apply(tick_end(MINUTE))


@pytest.mark.parametrize("later", [0, -1])
def test_time_that_does_not_move_forward_is_refused(later: int) -> None:
    market = MarketState([BTC])
    market.close_tick(at(MINUTE))

    with pytest.raises(ModelError, match="is not after the one before"):
        market.close_tick(at(MINUTE) + later)


def test_market_that_follows_ticks_goes_on_as_the_one_that_closed_them() -> None:
    """What is carried: half a lot, a sample held before any price, a mark sent, inputs rejected, units, counters."""
    events: list[list[Event]] = [
        [open_interest(at(MINUTE), "7", instrument=ETH), Gap(BTC.instrument_id, 0, 1, "made up", rejected=2)],
        [mark(at(MINUTE), 908_000), trade(at(MINUTE), 908_000, "0.000015")],
        [Funding(BTC.instrument_id, at(MINUTE + 2), 1, 8)],
        [trade(at(MINUTE + 3), 908_000, "0.000015"), mark(at(MINUTE + 3), 300_000, instrument=ETH)],
        [trade(at(MINUTE + 4), 908_000, "1"), trade(at(MINUTE + 4), 300_000, "1", instrument=ETH)],
    ]
    for killed_after in range(1, len(events)):
        lived, followed, restored = (MarketState([BTC, OTHER, ETH]) for _ in range(3))
        for number, said in enumerate(events):
            for event in said:
                lived.apply(event)
            closed = lived.close(tick_end(MINUTE + number))
            if number < killed_after:
                followed.follow(closed)
                restored = MarketState([BTC, OTHER, ETH])
                restored.restore(lived.snapshot())
                continue
            for market in (followed, restored):
                for event in said:
                    market.apply(event)
                assert same(market.close(tick_end(MINUTE + number)), closed)
        assert lived.snapshot() == followed.snapshot() == restored.snapshot()


@pytest.mark.parametrize("price", [mark, trade])
def test_watermark_is_of_the_newest_event_though_an_older_one_follows(price: Callable[[int, int], Event]) -> None:
    newest = at(MINUTE, 3)

    (bar,) = bars_of(MarketState([BTC]), MINUTE + 1, price(newest, 908_000), price(newest - 1, 907_000))

    assert bar.watermark_ns == newest


def test_tick_tells_of_the_instruments_of_which_something_has_changed_and_of_no_other() -> None:
    market = MarketState([BTC, ETH])

    def told(minute: int, *said: Event) -> set[str]:
        for event in said:
            market.apply(event)
        return set(market.close(tick_end(minute)).carries)

    both = told(MINUTE, mark(at(MINUTE), 908_000), mark(at(MINUTE), 300_000, instrument=ETH))
    again = told(MINUTE + 1, mark(at(MINUTE), 908_000), mark(at(MINUTE + 1), 300_000, instrument=ETH))
    none = told(MINUTE + 2)
    late = told(MINUTE + 3, trade(at(MINUTE), 908_000))

    assert both == {BTC.instrument_id, ETH.instrument_id}
    assert again == {ETH.instrument_id}  # what BTC says is of the same instant as before
    assert none == set()
    assert late == {BTC.instrument_id}  # of which an input was thrown away


def test_tick_of_other_instruments_or_units_or_time_is_not_followed() -> None:
    market, other = MarketState([BTC]), MarketState([ETH])
    market.apply(mark(at(MINUTE), 908_000))
    closed = market.close(tick_end(MINUTE))

    with pytest.raises(ModelError, match="units"):
        other.follow(closed)
    with pytest.raises(ModelError, match="unannounced instrument 'venue:BTCUSDT'"):
        MarketState([ETH]).follow(replace(closed, scales=()))
    with pytest.raises(ModelError, match="is not after the one before"):
        market.follow(closed)
