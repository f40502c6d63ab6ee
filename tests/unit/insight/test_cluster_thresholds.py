"""Thresholds: every one has bounds, is refused beyond them, and stands in the documents as it is.

Seen to fail when broken on purpose, one at a time: a bound left unchecked, a default changed in the code alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import fields
from pathlib import Path

import pytest

from liqscape.errors import InvalidArgument
from liqscape.insight.cluster_thresholds import (
    BOUNDS,
    SIGNIFICANT_BTC_USD,
    ClusterThresholds,
    millionths,
    percent_millionths,
)

ROOT = Path(__file__).parents[3]
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


def test_documents_and_protocol_name_every_threshold_with_its_default_and_bounds() -> None:
    text = (ROOT / "docs" / "clusters.md").read_text("utf-8")
    protocol = (ROOT / "proto" / "liqscape" / "v1" / "query.proto").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) to ([^|]+) \|", text, re.MULTILINE)
    told = re.findall(
        r"; (\S+) to (\S+); default (\d[\d.]*(?: million)?).*\n(?:  //.*\n)?  optional \w+ (\w+) =", protocol
    )

    defaults = {name: getattr(ClusterThresholds(min_mass_usd=SIGNIFICANT_BTC_USD), name) for name in NAMES}
    expected = [(name, defaults[name], BOUNDS[name].low, BOUNDS[name].high) for name in NAMES]
    assert [(name, number(default), float(low), float(high)) for name, default, low, high in rows] == expected
    assert [(name, number(default), float(low), float(high)) for low, high, default, name in told] == expected


def number(text: str) -> float:
    """Return a number from words: 0.5, 1.2 million, 150 million for BTC."""
    match = re.match(r"([\d.]*\d)\.?( million)?", text)
    assert match is not None
    return float(match[1]) * (1e6 if match[2] else 1)
