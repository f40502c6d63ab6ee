"""--workers from text to a number of edges."""

from __future__ import annotations

import pytest

from liqscape.config import MAX_WORKERS, parse_workers
from liqscape.errors import ConfigError


@pytest.mark.parametrize(("text", "workers"), [("0", 0), ("2", 2), ("64", MAX_WORKERS)])
def test_number_up_to_the_limit_is_taken(text: str, workers: int) -> None:
    assert parse_workers(text) == workers


@pytest.mark.parametrize("text", ["", "-1", "65", "1.5", "two", "²"])
def test_anything_else_is_an_error_that_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match="use a whole number from 0 to 64"):
        parse_workers(text)
