"""--drain from text to seconds."""

from __future__ import annotations

import pytest

from liqscape.config import DEFAULT_DRAIN_SECONDS, parse_drain
from liqscape.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("2.5", 2.5), ("3600", 3600.0), ("5.0", DEFAULT_DRAIN_SECONDS)]
)
def test_seconds_up_to_an_hour_are_taken(text: str, seconds: float) -> None:
    assert parse_drain(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "3601", "5s"])
def test_anything_else_is_an_error_that_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match="use seconds from 0 to 3600"):
        parse_drain(text)
