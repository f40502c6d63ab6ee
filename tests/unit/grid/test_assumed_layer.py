"""Positions assumed of CME on the rows of a map: exact lots, their label, and nothing lost."""

from __future__ import annotations

from fractions import Fraction

from liqscape.axes import RowRange, SymbolScale
from liqscape.events import PositionSide
from liqscape.grid.assumed_layer import AssumedPositions, assumed_layers, assumed_positions
from liqscape.grid.updates import MapQuery
from liqscape.positions.assumed import MAX_DAYS
from liqscape.positions.mix import SHARE_ONE
from tests.unit.daily_days import btc_days

SCALE = SymbolScale("BTC", price_decimals=2, base_step=1000, lot_decimals=5)
"""Rows of 10 USD."""

ROWS = RowRange(2400, 1300, 2)
"""48,000 to 74,000 in rows of 20 USD."""

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def layer(
    shares: tuple[tuple[int, int], ...] = ((5, SHARE_ONE),),
    *,
    price: int = 61_500,
    rows: RowRange = ROWS,
    side: PositionSide | None = None,
) -> AssumedPositions:
    days = btc_days()
    layers = assumed_layers(days, shares, SCALE.lot_decimals)
    return assumed_positions(layers, shares, days[-1], MapQuery("BTC", side=side), rows, SCALE, price * 100)


def test_lots_lie_in_the_rows_of_their_liquidation_price() -> None:
    long, short = layer().series

    assert (long.label, long.leverage, long.side) == ("CME, 2026-11-24, daily report, preliminary; 5x assumed", 5, LONG)
    # Opened at 60,000 and 62,000, a fifth of both closed at the end: 48,000 and 49,600; 72,000 and 74,400.
    assert (long.rows, long.lots) == ((2400, 2480), (80_000_000, 40_000_000))
    assert (short.rows, short.lots) == ((3600,), (80_000_000,))
    assert (long.inside_lots, long.below_lots, long.above_lots) == (120_000_000, 0, 0)
    assert (short.inside_lots, short.below_lots, short.above_lots) == (80_000_000, 0, 40_000_000)


def test_lots_below_the_rows_are_counted_there() -> None:
    long, _ = layer(rows=RowRange(2401, 100, 2)).series

    assert (long.rows, long.below_lots, long.inside_lots) == ((2480,), 80_000_000, 40_000_000)


def test_lots_whose_price_was_reached_since_the_settlement_are_in_no_row() -> None:
    long, short = layer(price=49_600).series
    _, high = layer(price=72_001).series

    assert (long.rows, long.reached_lots) == ((2400,), 40_000_000)
    assert short.reached_lots == 0
    assert (high.rows, high.reached_lots, high.above_lots) == ((), 80_000_000, 40_000_000)


def test_leverages_share_the_open_interest_and_say_their_part() -> None:
    found = layer(((1, 250_000), (5, 750_000))).series

    assert [(each.leverage, each.side) for each in found] == [(1, LONG), (1, SHORT), (5, LONG), (5, SHORT)]
    assert [each.label.partition("; ")[2] for each in found[1:3]] == ["1x assumed for 25 %", "5x assumed for 75 %"]
    assert found[0].without_price_lots == 30_000_000
    for each in found:
        total = each.inside_lots + each.below_lots + each.above_lots + each.reached_lots + each.without_price_lots
        assert total == (30_000_000 if each.leverage == 1 else 90_000_000)


def test_filter_by_side_holds() -> None:
    assert [each.side for each in layer(side=SHORT).series] == [SHORT]


def test_of_many_days_the_newest_count_and_what_opened_before_opened_on_their_first() -> None:
    first, *rest = btc_days()

    found = assumed_layers([first, *[rest[0]] * MAX_DAYS], ((5, SHARE_ONE),), 5)

    assert [(each.lots, each.entry_price) for each in found[5, LONG]] == [(150_000_000, Fraction(62_000))]
