"""Price by column: candles merge inside a column, and each column's last state is told once."""

from __future__ import annotations

from liqscape.axes import Timeframe
from liqscape.market.bars import PriceRange
from liqscape.market.price_path import PricePath

FRAME = Timeframe("test", column_minutes=5, columns=4, span_permille=100, min_row_multiple=1)


def test_bars_of_one_column_merge_into_one_candle() -> None:
    path = PricePath(FRAME)

    path.update(100, 100, PriceRange(10, 12, 9, 11))
    path.update(101, 101, PriceRange(11, 15, 11, 14))
    path.update(104, 104, PriceRange(14, 14, 8, 9))

    assert path.window(20).T.tolist() == [[20, 10, 15, 8, 9]]


def test_bar_longer_than_a_column_is_drawn_in_each_column_it_covers() -> None:
    path = PricePath(FRAME)

    path.update(100, 112, PriceRange(10, 12, 9, 11))

    assert path.window(22).T.tolist() == [[20, 10, 12, 9, 11], [21, 10, 12, 9, 11], [22, 10, 12, 9, 11]]


def test_bar_longer_than_the_window_fills_the_window_only() -> None:
    path = PricePath(FRAME)

    path.update(0, 1000, PriceRange(10, 12, 9, 11))

    assert path.window(200)[0].tolist() == [197, 198, 199, 200]
    assert path.take_changed(200)[0].tolist() == [197, 198, 199, 200]


def test_window_leaves_out_columns_that_no_bar_touched_and_those_that_rolled_out() -> None:
    path = PricePath(FRAME)
    for minute in (100, 105, 115):
        path.update(minute, minute, PriceRange(minute, minute, minute, minute))

    assert path.window(23)[0].tolist() == [20, 21, 23]
    assert path.window(24)[0].tolist() == [21, 23]
    assert path.window(40)[0].tolist() == []


def test_slot_of_a_column_that_rolled_out_starts_anew() -> None:
    path = PricePath(FRAME)
    path.update(100, 100, PriceRange(10, 99, 1, 11))

    path.update(120, 120, PriceRange(20, 22, 19, 21))

    assert path.window(24).T.tolist() == [[24, 20, 22, 19, 21]]


def test_changed_columns_are_told_once_in_order() -> None:
    path = PricePath(FRAME)
    for minute in (110, 100, 105):
        path.update(minute, minute, PriceRange(minute, minute, minute, minute))

    first = path.take_changed(22)
    path.update(105, 105, PriceRange(105, 200, 105, 105))
    second = path.take_changed(22)

    assert first[0].tolist() == [20, 21, 22]
    assert second.T.tolist() == [[21, 105, 200, 105, 105]]
    assert path.take_changed(22).shape == (5, 0)


def test_changed_column_that_has_left_the_window_is_not_told() -> None:
    path = PricePath(FRAME)
    path.update(100, 100, PriceRange(10, 10, 10, 10))

    assert path.take_changed(24).shape == (5, 0)
    assert path.take_changed(20).shape == (5, 0)
