"""The scale of levels, against its formula and its promise."""

from __future__ import annotations

import pytest

from liqscape.broadcast.levels import LEVEL_LOWER_BOUNDS_USD, LEVEL_VALUES_USD, level_of_usd, lower_bound_usd
from liqscape.errors import InvalidArgument


def test_worked_example_of_the_design_has_level_85() -> None:
    assert level_of_usd(450_887) == 85


@pytest.mark.parametrize(
    ("usd", "level"),
    [
        (0, 0),
        (63, 0),
        (64, 1),
        (511, 7),
        (512, 8),
        (575, 8),
        (576, 9),
        (1023, 15),
        (1024, 16),
        (15 << 36, 255),
        (1 << 60, 255),
    ],
)
def test_bounds_fall_where_the_page_says(usd: int, level: int) -> None:
    assert level_of_usd(usd) == level


def test_bounds_and_levels_are_inverse_over_the_whole_scale() -> None:
    for level in range(256):
        lower = lower_bound_usd(level)

        assert LEVEL_LOWER_BOUNDS_USD[level] == lower
        assert level_of_usd(lower) == level
        assert lower == 0 or level_of_usd(lower - 1) == level - 1


def test_value_is_within_5_9_percent_of_both_bounds_from_512_usd_up() -> None:
    for level in range(8, 255):
        value = float(LEVEL_VALUES_USD[level])

        for bound in (lower_bound_usd(level), lower_bound_usd(level + 1)):
            assert abs(value - bound) / bound < 0.059


def test_ends_of_the_scale_stand_for_nothing_and_for_their_lower_bound() -> None:
    assert LEVEL_VALUES_USD[0] == 0
    assert LEVEL_VALUES_USD[255] == lower_bound_usd(255) == 15 << 36


def test_negative_usd_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="usd is -1"):
        level_of_usd(-1)


def test_tables_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        LEVEL_VALUES_USD[3] = 1.0
