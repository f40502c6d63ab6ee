"""A heatmap thinned out to a small picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from liqscape_client.axes import GridAxes
from liqscape_client.candles import Candles
from liqscape_client.colours import SCALES, STEPS, level_shades
from liqscape_client.grids import Heatmap
from liqscape_client.picture import draw, price_decimals, price_marks, time_marks


def heatmap(columns: int = 720, rows: int = 400, column_minutes: int = 2) -> Heatmap:
    """Return an empty heatmap of prices 80,000 to 80,000 + 40 x rows that ends with 2025-12-15 14:34 UTC."""
    unknown = np.full(columns, np.nan)
    return Heatmap(
        symbol="BTC",
        timeframe="24h",
        tick=1,
        generation=1,
        axes=GridAxes(column_minutes, columns, 2000, rows, 40, 0),
        newest_column=29_430_154 // column_minutes,
        levels=np.zeros((columns, rows), dtype=np.uint8),
        candles=Candles(unknown, unknown, unknown, unknown),
        in_sync=True,
        reason="",
    )


@pytest.mark.parametrize(("width", "height"), [(70, 38), (1, 1), (720, 400), (719, 399), (1000, 900)])
def test_every_cell_can_be_seen(width: int, height: int) -> None:
    generator = np.random.default_rng(4)
    for _ in range(20):
        shown = heatmap()
        column, row = int(generator.integers(720)), int(generator.integers(400))
        shown.levels[column, row] = 99

        picture = draw(shown, width, height, price=None)

        assert picture.levels.shape == (width, height)
        assert picture.levels.max() == picture.top_level == 99
        # It lies where it belongs, to within a point.
        assert abs(np.argmax(picture.levels.max(axis=1)) - column * width / 720) <= 1 + width / 720
        assert abs(np.argmax(picture.levels.max(axis=0)) - row * height / 400) <= 1 + height / 400


def test_price_is_found_at_its_height() -> None:
    picture = draw(heatmap(), 70, 40, price=88_000.0)

    assert (picture.price_low, picture.price_high) == (80_000, 96_000)
    assert picture.price_y == 20


@pytest.mark.parametrize("price", [None, 79_999.0, 96_000.0])
def test_price_outside_is_not_shown(price: float | None) -> None:
    assert draw(heatmap(), 70, 40, price=price).price_y is None


def test_span_shows_the_rows_around_the_price() -> None:
    picture = draw(heatmap(), 70, 40, price=88_000.0, span_percent=5)

    assert picture.price_low == pytest.approx(88_000 * 0.95, abs=40)
    assert picture.price_high == pytest.approx(88_000 * 1.05, abs=40)


@pytest.mark.parametrize("price", [50_000.0, 200_000.0])
def test_span_that_holds_no_row_shows_all(price: float) -> None:
    assert draw(heatmap(), 70, 40, price=price, span_percent=1).price_high == 96_000


def test_price_path_is_one_line_from_close_to_close() -> None:
    close = np.full(720, np.nan)
    close[0:360] = 84_000
    close[360:720] = 92_000
    shown = replace(heatmap(), candles=Candles(close, close, close, close))

    picture = draw(shown, 72, 40, price=None)

    assert picture.on_path[10].nonzero()[0].tolist() == [10]
    assert picture.on_path[50].nonzero()[0].tolist() == [30]
    assert picture.on_path[36].nonzero()[0].tolist() == list(range(10, 31))


def test_price_path_is_absent_where_no_candle_is_known() -> None:
    close = np.full(720, np.nan)
    close[500:] = 84_000
    shown = replace(heatmap(), candles=Candles(close, close, close, close))

    picture = draw(shown, 72, 40, price=None)

    assert not picture.on_path[:49].any()
    assert picture.on_path[50:].any(axis=1).all()


def test_price_path_outside_the_span_is_cut() -> None:
    close = np.full(720, 84_000.0)
    shown = replace(heatmap(), candles=Candles(close, close, close, close))

    picture = draw(shown, 72, 40, price=92_000.0, span_percent=2)

    assert not picture.on_path.any()


def test_price_marks_are_the_middles_of_their_lines() -> None:
    picture = draw(heatmap(), 70, 40, price=None)

    marks = price_marks(picture, 20, 5)

    assert marks == {0: 95_600, 5: 91_600, 10: 87_600, 15: 83_600}


def test_decimals_tell_neighbouring_lines_apart() -> None:
    picture = draw(heatmap(), 70, 40, price=None)

    assert price_decimals(picture, 20, 2) == 0
    assert price_decimals(replace(picture, price_low=0.1, price_high=0.12), 20, 8) == 4
    assert price_decimals(replace(picture, price_low=0.1, price_high=0.12), 20, 2) == 2


@pytest.mark.parametrize(("column_minutes", "step"), [(1, 120), (2, 180), (5, 720), (60, 10080), (720, 86400)])
def test_time_marks_lie_on_round_times_and_apart(column_minutes: int, step: int) -> None:
    shown = heatmap(column_minutes=column_minutes)

    marks = time_marks(shown, 70, 8)

    assert len(marks) > 2
    for x, minute, is_day in marks:
        assert minute % step == 0
        assert 0 <= x < 70
        assert is_day == (step >= 1440)
    assert all(after[0] - before[0] >= 8 for before, after in pairwise(marks))


@pytest.mark.parametrize("name", sorted(SCALES))
def test_scale_never_repeats_a_colour(name: str) -> None:
    colours = SCALES[name].colours

    assert len(colours) == STEPS
    assert len(set(colours)) == STEPS


def test_default_scale_runs_from_black_to_yellow() -> None:
    colours = SCALES["yellow"].colours

    assert colours[0] == (0, 0, 0)
    lightness = [0.3 * red + 0.59 * green + 0.11 * blue for red, green, blue in colours]
    assert lightness == sorted(lightness)
    red, green, blue = colours[-1]
    assert red > 240
    assert green > 240
    assert blue < 200


def test_viridis_grows_steadily_lighter() -> None:
    lightness = [0.3 * red + 0.59 * green + 0.11 * blue for red, green, blue in SCALES["viridis"].colours]

    assert lightness == sorted(lightness)


@pytest.mark.parametrize("top_level", [0, 1, 85, 255])
def test_something_is_never_shaded_as_nothing(top_level: int) -> None:
    shades = level_shades(top_level)

    assert shades[0] == 0
    assert shades[1] >= 1
    assert shades[max(1, top_level)] == STEPS - 1
    assert np.all(np.diff(shades.astype(int)) >= 0)
