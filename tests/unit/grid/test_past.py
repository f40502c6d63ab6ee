"""A grid of the past becomes a picture: levels in the order of the ring, and the price that was known then."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import replace

import numpy as np
import pytest

from liqscape.axes import MINUTE_NS, Timeframe, timeframe
from liqscape.grid.past import NO_PRICE, picture_of, price_at
from tests.fake_engine import candle_columns, grid_answer
from tests.past_engine import levels_window

HOURS = Timeframe("hours", 60, 24, 120, 2)
MINUTES = Timeframe("minutes", 1, 720, 120, 2)


def nothing() -> None:
    """Go on."""


@pytest.mark.parametrize("newest_column", [1719, 719, 720, 1000])
def test_column_sits_at_its_number_modulo_the_columns(newest_column: int) -> None:
    answer = replace(grid_answer(720, 5), newest_column=newest_column)
    answer.cells[:] = np.abs(answer.cells) >> np.arange(720)[:, None] % 60

    picture = picture_of(answer, (), nothing)

    window = levels_window(answer)
    for age in (0, 1, 127, 128, 719):
        column = newest_column - age
        assert picture.ring[column % 720].tolist() == window[719 - age].tolist()
    assert len(np.unique(picture.ring)) > 100


def test_watermark_is_never_later_than_the_minute() -> None:
    early = replace(grid_answer(5, 5), as_of_minute=2, source_watermark_ns=9 * MINUTE_NS)
    late = replace(early, source_watermark_ns=MINUTE_NS)

    assert picture_of(early, (), nothing).source_watermark_ns == 3 * MINUTE_NS
    assert picture_of(late, (), nothing).source_watermark_ns == MINUTE_NS


def test_price_is_the_close_of_the_newest_column_that_was_over() -> None:
    by_hour = candle_columns({hour: (hour, hour, hour, 1000 + hour) for hour in range(10, 13)})
    by_minute = candle_columns({minute: (1, 1, 1, minute) for minute in range(700, 760)})
    paths = [(HOURS, by_hour), (MINUTES, by_minute)]

    assert price_at(paths, 719) == 1011  # an hour ends with this minute: the same instant, and the first that is named
    assert price_at(paths, 730) == 730
    assert price_at(paths, 759) == 759
    assert price_at(paths, 800) == 1012  # of 12:00 to 12:59, which ends after the minutes that are known
    assert price_at(paths, 660) == 1010
    assert price_at([(HOURS, by_hour)], 779) == 1012


def test_price_before_everything_known_is_none() -> None:
    assert price_at([(HOURS, candle_columns({10: (1, 1, 1, 1)}))], 658) == NO_PRICE
    assert price_at([], 5) == NO_PRICE


def test_price_of_a_picture_is_looked_for_in_its_candles_too() -> None:
    frame = timeframe("24h")
    answer = replace(grid_answer(5, 5), candles=candle_columns({1718: (5, 9, 2, 7), 1719: (7, 8, 6, 6)}))
    answer = replace(
        answer, axes=replace(answer.axes, timeframe=replace(frame, columns=5)), source_watermark_ns=1 << 60
    )

    assert picture_of(replace(answer, as_of_minute=3439), (), nothing).mark_price == 6
    assert picture_of(replace(answer, as_of_minute=3438), (), nothing).mark_price == 7


def test_answer_that_includes_nothing_later_has_the_price_of_then() -> None:
    answer = replace(grid_answer(5, 5), as_of_minute=3439, source_watermark_ns=3440 * MINUTE_NS)

    assert picture_of(answer, (), nothing).mark_price == answer.mark_price == 6_500_000
    assert picture_of(replace(answer, source_watermark_ns=3440 * MINUTE_NS + 1), (), nothing).mark_price == 6


def test_picture_that_nobody_waits_for_is_given_up() -> None:
    def gone() -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        picture_of(grid_answer(5, 5), (), gone)
