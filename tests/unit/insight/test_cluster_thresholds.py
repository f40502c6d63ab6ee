"""Thresholds: every one has bounds, and is refused beyond them."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from liqscape.errors import InvalidArgument
from liqscape.insight.cluster_thresholds import BOUNDS, ClusterThresholds, millionths, percent_millionths

NAMES = [field.name for field in fields(ClusterThresholds)]


def test_every_threshold_has_bounds() -> None:
    assert list(BOUNDS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_threshold_beyond_its_bounds_is_refused_by_name(name: str) -> None:
    low, high = BOUNDS[name].low, BOUNDS[name].high

    for value in (low, high):
        ClusterThresholds(**{name: value})  # type: ignore[arg-type]
    for value in (low - 0.0001, high + 0.0001 * high, math.nan, math.inf):
        with pytest.raises(InvalidArgument, match=rf"thresholds\.{name} is .+; use .+ to "):
            ClusterThresholds(**{name: value})  # type: ignore[arg-type]


def test_refusal_says_what_is_allowed() -> None:
    with pytest.raises(InvalidArgument, match=r"^thresholds\.min_mass_usd is -1\.0; use 0 to 1e\+12$"):
        ClusterThresholds(min_mass_usd=-1.0)


def test_decisions_are_made_in_whole_millionths() -> None:
    assert (millionths(0.5), percent_millionths(0.1), percent_millionths(3.0)) == (500_000, 1_000, 30_000)
